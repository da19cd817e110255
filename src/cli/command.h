/*
 * What a verb is to the program: its names, its options, what must hold before it runs, and the function. The table of
 * all of them (commands.h) drives dispatch, help, completion and the manual pages.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "cli/options.h"

struct client;
struct command;

enum command_flags {
	COMMAND_ENGINE = 1 << 0,        /* talks to the engine: a client is made, and the engine started if need be */
	COMMAND_OPTIONS_FIRST = 1 << 1, /* the first argument ends the options */
	COMMAND_HIDDEN = 1 << 2,
	COMMAND_NO_START = 1 << 3, /* it is not started */
};

/* What its arguments are, for completion. */
enum command_arguments {
	ARGUMENTS_OTHER,
	ARGUMENTS_CONTAINERS,
	ARGUMENTS_RUNNING, /* containers that run */
	ARGUMENTS_STOPPED,
	ARGUMENTS_IMAGES,
	ARGUMENTS_VOLUMES,
	ARGUMENTS_NETWORKS,
	ARGUMENTS_COMMANDS,
	ARGUMENTS_FILES,
};

/* One run of a command. All is borrowed by the verb. */
struct invocation {
	const struct command *command;
	const char *name;    /* as it was typed: "ps", "container ls" */
	const void *options; /* the command's own struct */
	char **args;         /* NULL-terminated */
	size_t arg_count;
	struct client *client; /* NULL unless COMMAND_ENGINE */
};

/* Returns the program's exit code (what it had to say is printed then), or a negative errno with *reterr, which is
 * printed and ends in code 1. */
typedef int command_fn(const struct invocation *invocation, struct err **reterr);

#define COMMAND_ARGS_ANY 1000000
#define COMMAND_NAMES    4

struct command {
	const char *names[COMMAND_NAMES]; /* the first is the one listed: "container ls"; then "container list", "ps" */
	const char *usage;                /* "[OPTIONS] CONTAINER [CONTAINER...]" */
	const char *summary;              /* one line, no full stop */
	const char *description;          /* paragraphs for the manual page, or NULL */
	struct option_tables options;
	size_t options_size; /* of the struct that the tables' offsets are in */
	size_t min_args;
	size_t max_args;
	enum command_arguments arguments;
	unsigned flags;
	command_fn *run;
};
