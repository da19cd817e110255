/*
 * tare-runtime's command line, which is runc's: callers (containerd's shim, Podman, scripts) can't tell the difference. One
 * verb a function; options are tables (command_line.h).
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "runtime/container.h"

#define COMMAND_ROOT_DEFAULT "/run/tare-runtime"

struct served;

/* Global options. */
struct command {
	const char *root;
	bool is_root_given;
	const char *log;
	const char *log_format; /* text, json */
	bool debug;
	bool systemd_cgroup;
	const char *cgroup_manager;            /* crun's word for it */
	enum container_cgroup_manager cgroups; /* what the two come to */
	const char *rootless;
	bool is_rootless; /* for the groups; see command_main.c */
	bool help;
	bool version;

	int view_fd; /* what we run from (sys/selfexe.h); -1: none */
	int argc;    /* the verb's own */
	char **argv;
	int exit_code;  /* what a verb that succeeded wants returned */
	int error_code; /* what failing returns: 1, or 255 for exec */

	struct served *served; /* NULL: a command line of its own (command_serve.h) */
};

typedef int command_fn(struct command *command, struct err **reterr);

command_fn command_checkpoint, command_create, command_delete, command_events, command_exec, command_features,
	command_kill, command_list, command_pause, command_restore, command_ps, command_resume, command_run,
	command_serve, command_spec, command_start, command_state, command_update;

/* The verb in argv[0]. */
int command_dispatch(struct command *command, struct err **reterr);

/* Degradations, from the library: to stderr and the log. `user` is the struct command. */
void command_warn(const char *message, void *user);

/* What --debug tells: the steps, in runc's words, which scripts look for. */
void command_debug(const struct command *command, const char *message);

int command_main(int argc, char **argv);
