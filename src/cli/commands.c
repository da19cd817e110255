#include "cli/commands.h"

#include <string.h>

#include "cli/verbs.h"

#define VERB_ENTRY(name) &name##_command,
static const struct command *const commands[] = { VERBS(VERB_ENTRY) };

static const struct command_group groups[] = {
	{ "container", "Work with containers" },
	{ "image", "Work with images" },
	{ "network", "Work with networks" },
	{ "system", "Look at the engine as a whole" },
	{ "volume", "Work with volumes" },
};

static const struct option_spec globals_specs[] = {
	{ .name = "debug",
		.letter = 'D',
		.type = OPTION_BOOL,
		.offset = offsetof(struct globals, debug),
		.help = "Log each request and its answer on standard error" },
	{ .name = "host",
		.letter = 'H',
		.type = OPTION_STRING,
		.offset = offsetof(struct globals, host),
		.word = "list",
		.help = "Socket of the engine, as unix://PATH (also from TARE_HOST or DOCKER_HOST)" },
	{ .name = "log-level",
		.letter = 'l',
		.type = OPTION_STRING,
		.offset = offsetof(struct globals, log_level),
		.fallback = "info",
		.help = "How much to log: debug, info, warn, error" },
	{ .name = "version",
		.letter = 'v',
		.type = OPTION_BOOL,
		.offset = offsetof(struct globals, version),
		.help = "Print the version of this program" },
};
static const struct option_table globals_table = OPTION_TABLE(globals_specs);
const struct option_tables globals_tables = { .table = { &globals_table } };

const struct command *commands_next(const struct command *previous)
{
	if (!previous)
		return commands[0];
	for (size_t i = 0; i + 1 < ARRAY_SIZE(commands); i++) {
		if (commands[i] == previous)
			return commands[i + 1];
	}
	return NULL;
}

const struct command *commands_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		for (size_t k = 0; k < COMMAND_NAMES && commands[i]->names[k]; k++) {
			if (strcmp(commands[i]->names[k], name) == 0)
				return commands[i];
		}
	}
	return NULL;
}

const struct command_group *command_groups_next(const struct command_group *previous)
{
	if (!previous)
		return groups;
	return previous + 1 < groups + ARRAY_SIZE(groups) ? previous + 1 : NULL;
}

const struct command_group *command_group_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++) {
		if (strcmp(groups[i].name, name) == 0)
			return &groups[i];
	}
	return NULL;
}

bool command_in_group(const struct command *command, const char *group, const char **ret_word)
{
	size_t group_len = group ? strlen(group) : 0;
	for (size_t k = 0; k < COMMAND_NAMES && command->names[k]; k++) {
		const char *name = command->names[k];
		const char *space = strchr(name, ' ');
		if (!group && space)
			continue;
		if (group && (!space || (size_t)(space - name) != group_len || memcmp(name, group, group_len) != 0))
			continue;
		*ret_word = group ? space + 1 : name;
		return true;
	}
	return false;
}
