/* Namespace kinds by the OCI document's names, and processes born into new ones. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

/* "network" to CLONE_NEWNET; 0 if unknown. */
uint64_t namespace_flag(const char *type);
/* And back: "network"; NULL if unknown. The name in /proc/PID/ns is namespace_file: "net". */
const char *namespace_type(uint64_t flag);
const char *namespace_file(uint64_t flag);

/* An nsfs file at `path` of the kind `flag`: a descriptor, or -EINVAL if it is something else. */
int namespace_open(const char *path, uint64_t flag);

/*
 * Runs `fn` in that network namespace, and comes back: for sockets, and files of /proc/sys/net, which belong to it for ever.
 * The caller has one thread. -ENOTRECOVERABLE: it could not come back, and must end.
 */
typedef int namespace_visit_fn(void *user);
int namespace_visit_network(int netns_fd, namespace_visit_fn *fn, void *user);

/* A new one with its loopback up: a descriptor. The caller stays where it is, has one thread, and -ENOTRECOVERABLE is as above. */
int namespace_new_network(void);

/* As aside_fn (sys/aside.h): the same, for a process of its own. `user` is the number of its creator's processor: on the same one nothing
 * is gained, and it leaves it to its creator (-EAGAIN). */
long namespace_new_network_aside(void *user);

/* A user namespace that nobody is in, with these maps: lines of "inside outside count". A descriptor, or -errno. */
int namespace_new_user(const char *uid_map, const char *gid_map);

/*
 * clone3 as fork(2) goes: 0 in the child. `cgroup_fd` is CLONE_INTO_CGROUP's folder or -1. With CLONE_PARENT in `flags` the
 * child becomes its creator's sibling. The child is single-threaded and must not call what caches thread ids (abort, raise).
 */
pid_t process_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd);

/* Must not return. */
typedef void process_fn(void *user);

/*
 * As process_clone, but in our memory and on our stack, as after vfork(2): the child does `run`, with all signals blocked, and we
 * stand still until it has executed a program or ended. What it writes, we have.
 */
pid_t process_vfork(uint64_t flags, int cgroup_fd, int *ret_pidfd, process_fn *run, void *user);
