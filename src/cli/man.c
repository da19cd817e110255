/*
 * Manual pages, made from the tables when the program is built: "tare man ps" prints tare-ps(1), "tare man" prints
 * tare(1), "tare man --list" names the pages there are. Hidden: people have man(1).
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/usage.h"
#include "cli/verbs.h"

struct man_options {
	bool list;
};

static const struct option_spec specs[] = {
	OPTION_IN(struct man_options, "list", 0, OPTION_BOOL, list, "Print the names of all pages"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* Text with what roff would take for its own escaped. */
static int put_text(struct buf *out, const char *text)
{
	int ret = 0;
	if (*text == '.' || *text == '\'')
		ret = buf_puts(out, "\\&");
	for (; ret == 0 && *text; text++)
		ret = *text == '\\' ? buf_puts(out, "\\e") : *text == '-' ? buf_puts(out, "\\-") : buf_putc(out, *text);
	return ret;
}

static int put_line(struct buf *out, const char *request, const char *text)
{
	int ret = buf_puts(out, request);
	if (ret == 0)
		ret = put_text(out, text);
	return ret < 0 ? ret : buf_putc(out, '\n');
}

static int put_options(struct buf *out, const struct option_tables *tables, const char *heading)
{
	int ret = 0;
	for (const struct option_spec *spec = NULL; ret == 0 && (spec = options_next(tables, spec));) {
		char name[128];
		const char *word = option_word(spec);
		char letter[8] = "";
		if (spec->letter)
			snprintf(letter, sizeof letter, "-%c, ", spec->letter);
		snprintf(name, sizeof name, "%s--%s%s%s", letter, spec->name, *word ? " " : "", word);
		if (heading)
			ret = buf_printf(out, ".SH %s\n", heading);
		heading = NULL;
		if (ret == 0)
			ret = put_line(out, ".TP\n.B ", name);
		if (ret == 0)
			ret = put_text(out, spec->help);
		if (ret == 0 && spec->fallback)
			ret = buf_printf(out, " (default %s)", spec->fallback);
		if (ret == 0)
			ret = buf_puts(out, ".\n");
	}
	return ret;
}

static int put_head(struct buf *out, const char *page, const char *summary)
{
	_cleanup_free_ char *title = strdup(page);
	for (char *p = title; p && *p; p++)
		*p = (char)toupper((unsigned char)*p);
	if (!title)
		return -ENOMEM;
	int ret = buf_printf(out, ".TH %s 1 \"\" \"tare %s\" \"User commands\"\n.SH NAME\n", title, TARE_VERSION);
	if (ret == 0)
		ret = put_text(out, page);
	if (ret == 0)
		ret = buf_puts(out, " \\- ");
	return ret < 0 ? ret : put_line(out, "", summary);
}

static int put_command(struct buf *out, const struct command *command, const char *page)
{
	int ret = put_head(out, page, command->summary);
	if (ret == 0)
		ret = buf_puts(out, ".SH SYNOPSIS\n");
	for (size_t i = 0; ret == 0 && i < COMMAND_NAMES && command->names[i]; i++) {
		ret = buf_printf(out, "%s.B tare %s\n", i ? ".br\n" : "", command->names[i]);
		if (ret == 0 && *command->usage)
			ret = put_line(out, "", command->usage);
	}
	if (ret == 0 && command->description)
		ret = put_line(out, ".SH DESCRIPTION\n", command->description);
	if (ret == 0)
		ret = put_options(out, &command->options, "OPTIONS");
	return ret < 0 ? ret : buf_puts(out, ".SH SEE ALSO\n.BR tare (1)\n");
}

/* The name that has a page: the one without a group if there is one ("ps"), else with a dash ("tare-volume-ls"). */
static const char *page_word(const struct command *command)
{
	const char *word;
	return command_in_group(command, NULL, &word) ? word : command->names[0];
}

static int put_program(struct buf *out)
{
	int ret = put_head(out, "tare", "build, ship and run containers");
	if (ret == 0)
		ret = buf_puts(out, ".SH SYNOPSIS\n.B tare\n[OPTIONS] COMMAND [ARG...]\n");
	if (ret == 0)
		ret = put_options(out, &globals_tables, "OPTIONS");
	if (ret == 0)
		ret = buf_puts(out, ".SH COMMANDS\n");
	for (const struct command *command = NULL; ret == 0 && (command = commands_next(command));) {
		if (command->flags & COMMAND_HIDDEN)
			continue;
		ret = put_line(out, ".TP\n.B ", page_word(command));
		if (ret == 0)
			ret = put_line(out, "", command->summary);
	}
	if (ret == 0)
		ret = buf_puts(out,
			".SH ENVIRONMENT\n.TP\n.B TARE_HOST, DOCKER_HOST\nSocket of the engine, as unix://PATH.\n"
			".TP\n.B TARE_LIBEXEC\nFolder of tared, which is started if no engine runs.\n");
	return ret < 0 ? ret
		       : buf_puts(out, ".SH FILES\n.TP\n.I /run/tare/tare.sock\nThe engine's socket.\n"
				       ".TP\n.I /run/tare/tared.log\nLog of an engine that this program started.\n");
}

static int print_list(struct err **reterr)
{
	int ret = print_line(reterr, "tare");
	for (const struct command *command = NULL; ret == 0 && (command = commands_next(command));) {
		_cleanup_free_ char *word = strdup(page_word(command));
		if (!word)
			return err_oom(reterr);
		for (char *p = word; *p; p++)
			*p = (char)(*p == ' ' ? '-' : *p);
		if (!(command->flags & COMMAND_HIDDEN))
			ret = print_line(reterr, "tare-%s", word);
	}
	return ret;
}

static int man_run(const struct invocation *invocation, struct err **reterr)
{
	const struct man_options *options = invocation->options;
	if (options->list)
		return print_list(reterr);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(USAGE_MAX);
	_cleanup_free_ char *name = invocation->arg_count ? strv_join(invocation->args, " ") : strdup("");
	_cleanup_free_ char *page = invocation->arg_count ? strv_join(invocation->args, "-") : strdup("");
	_cleanup_free_ char *full = NULL;
	if (!name || !page || asprintf(&full, "tare-%s", page) < 0)
		return err_oom(reterr);
	const struct command *command = *name ? commands_find(name) : NULL;
	if (*name && !command)
		return err_set(reterr, ERR_NOT_FOUND, 0, "there is no command %s", name);
	int ret = command ? put_command(&out, command, full) : put_program(&out);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(out.data, out.len, reterr);
}

const struct command man_command = {
	.names = { "man" },
	.usage = "[OPTIONS] [COMMAND]",
	.summary = "Print a manual page",
	.options = { { &table } },
	.options_size = sizeof(struct man_options),
	.max_args = 2,
	.flags = COMMAND_HIDDEN,
	.run = man_run,
};
