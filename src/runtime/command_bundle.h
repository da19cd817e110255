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

/* The compiled filter of the spec's profile, or -1 in *ret_fd. */
int bundle_seccomp(const char *root, const struct oci_spec *spec, int *ret_fd, struct err **reterr);

/* Writes the pid, replacing the file; and connects to a console socket. */
/* Who listens to the filter of the spec, for a container that is `status`; all is borrowed but *ret_state. */
struct saved_state;
int command_listener(const struct oci_spec *spec, const struct saved_state *state, const char *status,
	struct container_listener *ret, char **ret_state, struct err **reterr);

int command_write_pid_file(const char *path, pid_t pid, struct err **reterr);
int command_connect_console(const char *path, int *ret_fd, struct err **reterr);
/* --pidfd-socket: to whoever listens there; no path, no deed. */
int command_send_pidfd(const char *path, int pidfd, struct err **reterr);

/* LISTEN_FDS of our own environment, for the container to inherit: their count, and the variables into process.env. */
int command_listen_fds(struct oci_process *process, unsigned *count, struct err **reterr);
