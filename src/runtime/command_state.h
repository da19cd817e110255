/*
 * A container of tare-runtime's as it lies on disk, below --root:
 *
 *	ID/              made first: it is also the claim on the name
 *	   cgroup        the groups, a line each, before they are made
 *	   config.json   the bundle's, as it was at create
 *	   start.sock    where init waits for `start`
 *	   notify/       with NOTIFY_SOCKET: what of it the container sees (command_notify.h)
 *	   state.json    last: from then on it is created
 *
 * A folder without state.json is a creation in progress, or the rest of a killed one: `delete --force` clears it.
 */
#pragma once

#include <stdbool.h>

#include "codec/json.h"
#include "runtime/container.h"
#include "spec/oci_runtime.h"

#define STATE_ID_MAX       1024
#define STATE_START_SOCKET "start.sock"

struct saved_state {
	char *id;
	int64_t pid;
	int64_t mark; /* of the process: tells a reused pid */
	char *bundle;
	char *rootfs;
	char *created;
	struct map *annotations;
	bool no_new_keyring;
};

extern const struct json_table saved_state_table;

enum state_status { STATE_CREATING, STATE_CREATED, STATE_RUNNING, STATE_PAUSED, STATE_STOPPED };

/* Letters, digits, and _ + - . */
int state_check_id(const char *id, struct err **reterr);

/* Makes ROOT (with parents) and ROOT/ID; ERR_CONFLICT if the container exists. Returns the folder's descriptor. */
int state_folder_make(const char *root, const char *id, int *ret_fd, struct err **reterr);
/* ERR_NOT_FOUND: "container does not exist". */
int state_folder_open(const char *root, const char *id, int *ret_fd, struct err **reterr);
void state_folder_remove(const char *root, const char *id);
int state_root_open(const char *root);
/* All IDs, in order. A root that `must_exist` is an error where it does not. */
int state_names(const char *root, bool must_exist, char ***ret, struct err **reterr);

int state_write(int folder, const struct saved_state *state, struct err **reterr);
/* A missing file is ERR_NOT_FOUND. */
int state_read(int folder, struct saved_state *out, struct err **reterr);

int state_write_groups(int folder, char *const *groups);
int state_read_groups(int folder, char ***ret);

/* Opened by id: handle with init's pidfd (or -1 if it is gone), the saved state and the status. */
struct opened {
	int folder;
	struct saved_state state;
	struct container *container;
	enum state_status status;
};

int state_open(const char *root, const char *id, struct opened *ret, struct err **reterr);
void state_close(struct opened *opened);

struct command;

/* Whatever is left of the container, its hooks of the end, and its folder. */
int command_destroy(struct command *command, struct opened *opened, struct err **reterr);
void command_run_poststop(struct command *command, const struct oci_spec *spec, const char *id, const char *bundle);

const char *state_status_name(enum state_status status);

/* What no other process of this boot with the same pid has: the number that the kernel knows it by (Linux 6.9), or else its start time.
 * -errno. `pidfd` may be -1. */
int64_t process_mark(pid_t pid, int pidfd);
