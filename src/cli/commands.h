/* The table of all commands. */
#pragma once

#include "cli/command.h"

/* Iterates in the table's order; NULL at the end. */
const struct command *commands_next(const struct command *previous);

/* "ps" or "container ls"; NULL if there is none. */
const struct command *commands_find(const char *name);

/* Groups of commands ("container"), with what they are about. */
struct command_group {
	const char *name;
	const char *summary;
};
const struct command_group *command_groups_next(const struct command_group *previous);
const struct command_group *command_group_find(const char *name);

/* Whether one of the command's names is in the group; then *ret_word is the name without the group. NULL group: the
 * names that are in none. */
bool command_in_group(const struct command *command, const char *group, const char **ret_word);

/* The options of the program itself, before the command. */
struct globals {
	const char *host;
	const char *log_level;
	bool debug;
	bool version;
};
extern const struct option_tables globals_tables;
