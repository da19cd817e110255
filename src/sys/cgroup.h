/*
 * Control groups as the host has them: v1 with each controller mounted by itself or several together, v2 alone, or hybrid
 * (v1 controllers, and a v2 hierarchy beside them). A `struct cgroup` is one container's group in every hierarchy; what
 * differs between the versions (freezing, killing, counting OOM kills) is in `struct cgroup_ops`. Limits are not known here.
 *
 * A folder is the group's absolute path in one hierarchy. The list of them is what a caller keeps on disk, before
 * cgroup_make, to be able to clear up after a crash. Among them may be marks, lines that begin with another character than a
 * slash: what else their writer wants to know at the end. One that begins with CGROUP_UNIT_PREFIX is a unit whose folders systemd makes;
 * one of our own tells of the folders' hierarchies, so that nobody has to look for these again.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/cleanup.h"

#define CGROUP_PATH_MAX    1024
#define CGROUP_HIERARCHIES 16
#define CGROUP_DEPTH_MAX   64
#define CGROUP_PIDS_MAX    65536
#define CGROUP_FILE_MAX    (64 * 1024)
#define CGROUP_MARKS_MAX   5
#define CGROUP_UNIT_PREFIX "systemd"

struct cgroup_host;
struct cgroup;

struct cgroup_hierarchy {
	char *mount;        /* "/sys/fs/cgroup/memory" */
	char *name;         /* mount(2)'s option for it: "memory", "cpu,cpuacct", "name=systemd"; "" for v2 */
	char **controllers; /* v1: of this mount; v2: of its root's cgroup.controllers */
	char *own;          /* this process's group, relative to the mount ("/" or "/a/b") */
	bool is_v2;
	bool is_delegating; /* v2 mounted with nsdelegate: a namespace can't change the limits of its own root */
};

/* What /proc/self/mountinfo and /proc/self/cgroup say now. -ENODEV: no hierarchy is mounted. */
int cgroup_host_new(struct cgroup_host **ret);
void cgroup_host_free(struct cgroup_host *host);
DEFINE_AUTOFREE(cgroup_host, struct cgroup_host *, cgroup_host_free);

size_t cgroup_host_count(const struct cgroup_host *host);
const struct cgroup_hierarchy *cgroup_host_get(const struct cgroup_host *host, size_t index);
/* v2 holds every controller (there is no v1 hierarchy). */
bool cgroup_host_is_unified(const struct cgroup_host *host);

/*
 * The folders for the OCI cgroupsPath `path`: absolute is below each hierarchy's mount, relative below this process's own
 * group there; on v2 beside it, since a group with processes can't hand controllers on. -EINVAL: "..", empty, "/", a
 * newline or other control byte, a component over 255 bytes or a path over CGROUP_PATH_MAX.
 */
int cgroup_host_folders(const struct cgroup_host *host, const char *path, char ***ret);

/* The same for a path from the hierarchies' roots, whatever part of them is mounted. */
int cgroup_host_folders_from_root(const struct cgroup_host *host, const char *path, char ***ret);

/* Whether the folder can be made by this process and joined: by the rights of what is there above it. */
bool cgroup_host_may_make(const struct cgroup_host *host, const char *folder);

/* A handle on folders, made or not (yet, any more). Folders of hierarchies that the host does not have are an -EINVAL. Copies. A host of NULL will do
 * where cgroup_lines of a handle are given; -ENODATA else. */
int cgroup_new(const struct cgroup_host *host, char *const *folders, struct cgroup **ret);
void cgroup_free(struct cgroup *group);
DEFINE_AUTOFREE(cgroup, struct cgroup *, cgroup_free);

char *const *cgroup_folders(const struct cgroup *group);
char *const *cgroup_marks(const struct cgroup *group);
const char *cgroup_unit(const struct cgroup *group); /* the mark, or NULL */
/* As cgroup_new takes them. */
int cgroup_lines(const struct cgroup *group, char ***ret);

/* Makes the folders and what is missing above them (cpusets inherited, v2 controllers delegated downwards). -EBUSY: one exists
 * and is in use or frozen, which those of a unit may be. On failure what this call made is removed; `*ret_folder`, borrowed, is the one that failed. */
int cgroup_make(struct cgroup *group, const char **ret_folder);

/* v2: to make groups below, and move processes there, is `owner`'s right, too; to change the group's own limits is not. */
int cgroup_give(struct cgroup *group, uid_t owner);

/* Removes the folders with those a container made below, waiting for dying members up to `timeout_ms`. -EBUSY: something
 * lives. Missing folders are fine. */
int cgroup_remove(struct cgroup *group, int timeout_ms);

/*
 * For a child to join: v1's `tasks` files open for writing into `fds` (the child writes "0" to each: moving oneself as the
 * only thread costs no RCU grace period, which moving another's pid does), and v2's folder for CLONE_INTO_CGROUP into
 * *ret_v2, or -1. Returns the count or -errno; the descriptors are the receiver's.
 *
 * `beside`: 0, or a process of the group. On v2 a group takes no processes once what runs in it hands controllers on to
 * groups of its own making (systemd does); the folder is then the one below it that `beside` is in.
 */
int cgroup_open_for_join(struct cgroup *group, pid_t beside, int fds[CGROUP_HIERARCHIES], int *ret_v2);
/* What the child does with them. Allocates nothing. */
int cgroup_join(const int *fds, size_t count);

/* Moves another process, where it can't join by itself. */
int cgroup_attach(struct cgroup *group, pid_t pid);

/* The folder whose hierarchy has `controller`, or NULL. "" is v2's whatever it holds. */
const char *cgroup_folder_of(const struct cgroup *group, const char *controller);
/* Whether that hierarchy is v2. */
bool cgroup_is_v2(const struct cgroup *group, const char *controller);

/* v2: whether the controller was handed down to the group itself, not to the root alone. */
bool cgroup_is_handed(const struct cgroup *group, const char *controller);

/* A file ("memory.limit_in_bytes") of the group in the hierarchy of `controller`. -ENODEV: no such hierarchy. */
int cgroup_write(struct cgroup *group, const char *controller, const char *file, const char *text);
/* For many writes to one file; -errno. */
int cgroup_open(struct cgroup *group, const char *controller, const char *file, int flags);
int cgroup_read(struct cgroup *group, const char *controller, const char *file, char *out, size_t size);
int cgroup_read_u64(struct cgroup *group, const char *controller, const char *file, uint64_t *ret);

/* Every process in the group and below it; heap, the receiver's. */
int cgroup_pids(struct cgroup *group, pid_t **ret, size_t *ret_count);
bool cgroup_is_empty(struct cgroup *group);

/* -ENODEV: the host can't. freeze waits until it is done, bounded. */
int cgroup_freeze(struct cgroup *group, bool frozen);
int cgroup_is_frozen(struct cgroup *group); /* 1, 0, -errno */
/* SIGKILL to everything, at once where the kernel can, else frozen first so that nothing forks away. */
int cgroup_kill(struct cgroup *group);
int cgroup_signal(struct cgroup *group, int signo);

/* A descriptor that polls readable after an OOM kill, and the count of kills. */
int cgroup_oom_open(struct cgroup *group);
int cgroup_oom_kills(struct cgroup *group, uint64_t *ret);
