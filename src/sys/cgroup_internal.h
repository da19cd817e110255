/* Shared by cgroup_host.c, cgroup.c, cgroup_v1.c and cgroup_v2.c alone. */
#pragma once

#include <stdio.h>

#include "sys/cgroup.h"

struct cgroup_host {
	struct cgroup_hierarchy items[CGROUP_HIERARCHIES];
	char *roots[CGROUP_HIERARCHIES]; /* mountinfo's root of each */
	size_t count;
};

struct cgroup_member {
	char *folder;
	size_t mount_len; /* of the hierarchy's mount, a prefix of folder */
	char **controllers;
	bool is_v2;
	bool is_made;  /* by this handle */
	bool is_alone; /* v2 without v1 beside it */
	bool is_unit;  /* systemd may have made it, and put a process in */
};

/* How one version does it. Each function is called with a member of that version. */
struct cgroup_ops {
	int (*freeze)(struct cgroup_member *member, bool frozen);
	int (*is_frozen)(struct cgroup_member *member);
	int (*oom_open)(struct cgroup_member *member);
	int (*oom_kills)(struct cgroup_member *member, uint64_t *ret);
	/* Makes a new folder usable: `parent` is one level up. */
	int (*prepare)(struct cgroup_member *member, const char *parent, const char *folder, bool is_new);
};

/* Lets the children of `parent` have every controller that it has itself and can hand on. */
void cgroup_v2_hand_on(const char *parent);
/* Whether `controller` is among those that `folder` itself has. */
bool cgroup_v2_has(const char *folder, const char *controller);

extern const struct cgroup_ops cgroup_v1_ops;
extern const struct cgroup_ops cgroup_v2_ops;

struct cgroup {
	struct cgroup_member items[CGROUP_HIERARCHIES];
	size_t count;
	char **folders;
	char **marks;
};

bool cgroup_member_has(const struct cgroup_member *member, const char *controller);

int cgroup_file_open(const char *folder, const char *file, int flags);
int cgroup_file_write(const char *folder, const char *file, const char *text);
/* Whole text with its last newline cut; -EFBIG if it does not fit. */
int cgroup_file_read(const char *folder, const char *file, char *out, size_t size);
/* Value of "key N" in a flat keyed file. */
int cgroup_file_read_key(const char *folder, const char *file, const char *key, uint64_t *ret);
