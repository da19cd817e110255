#include "cli/usage.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"

/* Collects text and remembers the first failure. */
struct writer {
	struct buf *out;
	int ret;
};

#define write_text(writer, ...) \
 ((writer)->ret = (writer)->ret < 0 ? (writer)->ret : buf_printf((writer)->out, __VA_ARGS__))

int usage_line(const struct command *command, const char *name, struct buf *out)
{
	return buf_printf(out, "Usage:  tare %s%s%s", name, *command->usage ? " " : "", command->usage);
}

/* "      --name string   " padded to `width`. */
static size_t option_width(const struct option_spec *spec)
{
	size_t word = strlen(option_word(spec));
	return 6 + 2 + strlen(spec->name) + (word ? word + 1 : 0);
}

/* Lines after the first start under the first one's text. */
static void write_option(struct writer *writer, const struct option_spec *spec, size_t width)
{
	char letter[8] = "    ";
	if (spec->letter)
		snprintf(letter, sizeof letter, "-%c, ", spec->letter);
	const char *word = option_word(spec);
	write_text(writer, "  %s--%s%s%s%*s   %s", letter, spec->name, *word ? " " : "", word,
		(int)(width - option_width(spec)), "", spec->help);
	if (spec->fallback && spec->type == OPTION_STRING)
		write_text(writer, " (default \"%s\")", spec->fallback);
	else if (spec->fallback)
		write_text(writer, " (default %s)", spec->fallback);
	write_text(writer, "\n");
}

static void write_options(struct writer *writer, const struct option_tables *tables, const char *heading)
{
	size_t width = 0;
	for (const struct option_spec *spec = NULL; (spec = options_next(tables, spec));)
		width = option_width(spec) > width ? option_width(spec) : width;
	if (!width)
		return;
	write_text(writer, "\n%s:\n", heading);
	for (const struct option_spec *spec = NULL; (spec = options_next(tables, spec));)
		write_option(writer, spec, width);
}

static void write_aliases(struct writer *writer, const struct command *command)
{
	if (!command->names[1])
		return;
	write_text(writer, "\nAliases:\n  ");
	for (size_t i = 0; i < COMMAND_NAMES && command->names[i]; i++)
		write_text(writer, "%stare %s", i ? ", " : "", command->names[i]);
	write_text(writer, "\n");
}

int usage_command(const struct command *command, const char *name, struct buf *out)
{
	struct writer writer = { .out = out, .ret = usage_line(command, name, out) };
	write_text(&writer, "\n\n%s\n", command->summary);
	write_aliases(&writer, command);
	write_options(&writer, &command->options, "Options");
	return writer.ret;
}

/* The commands of a group, or those in none, in alphabetical order. */
static void write_commands(struct writer *writer, const char *group)
{
	_autofree_(strv) char **words = NULL;
	size_t width = 0;
	const char *word;
	for (const struct command *command = NULL; (command = commands_next(command));) {
		if ((command->flags & COMMAND_HIDDEN) || !command_in_group(command, group, &word))
			continue;
		if (strv_append(&words, word) < 0)
			writer->ret = -ENOMEM;
		width = strlen(word) > width ? strlen(word) : width;
	}
	strv_sort(words);
	strv_foreach (item, words) {
		for (const struct command *command = NULL; (command = commands_next(command));) {
			if (command_in_group(command, group, &word) && strcmp(word, *item) == 0)
				write_text(writer, "  %-*s   %s\n", (int)width, word, command->summary);
		}
	}
}

int usage_group(const struct command_group *group, struct buf *out)
{
	struct writer writer = { .out = out };
	write_text(&writer, "Usage:  tare %s COMMAND\n\n%s\n\nCommands:\n", group->name, group->summary);
	write_commands(&writer, group->name);
	write_text(&writer, "\nRun 'tare %s COMMAND --help' for more information on a command.\n", group->name);
	return writer.ret;
}

int usage_program(struct buf *out)
{
	struct writer writer = { .out = out };
	write_text(&writer, "Usage:  tare [OPTIONS] COMMAND\n\nBuild, ship and run containers\n\nCommands:\n");
	write_commands(&writer, NULL);
	write_text(&writer, "\nGroups of commands:\n");
	for (const struct command_group *group = NULL; (group = command_groups_next(group));)
		write_text(&writer, "  %-10s   %s\n", group->name, group->summary);
	write_options(&writer, &globals_tables, "Options");
	write_text(&writer, "\nRun 'tare COMMAND --help' for more information on a command.\n");
	return writer.ret;
}
