/* Reading a bundle's config.json, and what the verbs need of a spec beside it. */
#pragma once

#include "base/err.h"
#include "runtime/container.h"
#include "spec/oci_runtime.h"

/* `bundle` NULL is the working folder. *ret_fd the folder, *ret_path its absolute path (heap), `text` config.json's own. */
int bundle_open(const char *bundle, int *ret_fd, char **ret_path, struct err **reterr);
/* "config.json" below `folder`, parsed and checked. */
int bundle_read_spec(int folder, struct oci_spec *out, struct buf *text, struct err **reterr);

/* The same of a file by another name. */
int bundle_read_config(int folder, const char *name, struct oci_spec *out, struct buf *text, struct err **reterr);

/* "1": the process keeps the supplementary groups of whoever creates the container, as Podman asks crun. */
#define BUNDLE_GROUPS_ANNOTATION "run.oci.keep_original_groups"
/* A document without linux.seccomp that says "default" here has our default profile, made for its capabilities: libtare's do. */
#define BUNDLE_SECCOMP_ANNOTATION "tare.seccomp"

/* The compiled filter of the spec's profile, or -1 in *ret_fd. */
int bundle_seccomp(const char *root, const struct oci_spec *spec, int *ret_fd, struct err **reterr);

/* Its flags, with --debug. */
struct command;
void command_debug_filter(const struct command *command, int fd);

/* Writes the pid, replacing the file; and connects to a console socket. */
/* Who listens to the filter of the spec, for a container that is `status`; all is borrowed but *ret_state. */
struct saved_state;
int command_listener(const struct oci_spec *spec, const struct saved_state *state, const char *status,
	struct container_listener *ret, char **ret_state, struct err **reterr);

int command_write_pid_file(const char *path, pid_t pid, struct err **reterr);
int command_connect_console(const char *path, int *ret_fd, struct err **reterr);
/* --pidfd-socket: to whoever listens there; no path, no deed. */
int command_send_pidfd(const char *path, int pidfd, struct err **reterr);

/* Of the caller's descriptors from 3 on, as many as --preserve-fds says, and then LISTEN_FDS if `listens`: those that are open lose
 * their mark to be closed. To be called before anything of ours is opened, which could have such a number. */
int command_keep_fds(const struct command *command, int64_t wish, bool listens, unsigned *ret, struct err **reterr);
/* What tells of LISTEN_FDS, into process.env. */
int command_listen_env(struct oci_process *process, struct err **reterr);
