#include "cli/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strv.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/suggest.h"
#include "cli/usage.h"

#define EXIT_USAGE  125
#define EXIT_FAILED 1

/* What a command was called, and where its own arguments begin. */
struct call {
	const struct command *command;
	char name[64];
	int argc;
	char **argv;
};

static int print_usage(int (*make)(struct buf *out), int code)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(USAGE_MAX);
	if (make(&text) < 0 || print_out(text.data, text.len, NULL) < 0)
		return EXIT_FAILED;
	return code;
}

static int print_group(const struct command_group *group)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(USAGE_MAX);
	return usage_group(group, &text) < 0 || print_out(text.data, text.len, NULL) < 0 ? EXIT_FAILED : 0;
}

static int print_command_help(const struct call *call)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(USAGE_MAX);
	if (usage_command(call->command, call->name, &text) < 0 || print_out(text.data, text.len, NULL) < 0)
		return EXIT_FAILED;
	return 0;
}

/* A wrong use of a command: what is wrong, how it is used, where more is told. */
static int fail_usage(const struct call *call, const char *prefix, const struct err *err, int code)
{
	_cleanup_(buf_finish) struct buf usage = BUF_INIT(USAGE_MAX);
	usage_line(call->command, call->name, &usage);
	print_error("%s%s\n\n%s\n\nRun 'tare %s --help' for more information", prefix, err_message(err), usage.data,
		call->name);
	return code;
}

/* Words that begin a command, of the group or of none. */
static void suggest_words(struct suggestion *best, const char *group)
{
	const char *word;
	for (const struct command *command = NULL; (command = commands_next(command));) {
		if (!(command->flags & COMMAND_HIDDEN) && command_in_group(command, group, &word))
			suggest(best, word);
	}
	for (const struct command_group *item = NULL; !group && (item = command_groups_next(item));)
		suggest(best, item->name);
}

static int fail_unknown(const char *group, const char *word)
{
	struct suggestion best = SUGGESTION_FOR(word);
	suggest_words(&best, group);
	const char *space = group ? " " : "";
	group = group ? group : "";
	if (best.found)
		print_error("tare: unknown command: tare %s%s%s\n\nDid you mean 'tare %s%s%s'?", group, space, word,
			group, space, best.found);
	else
		print_error("tare: unknown command: tare %s%s%s\n\nRun 'tare%s%s --help' for more information", group,
			space, word, space, group);
	return EXIT_FAILED;
}

/* A name that is no command's: hidden ones are found all the same. */
static bool find_command(struct call *call, const char *group, const char *word)
{
	if ((size_t)snprintf(call->name, sizeof call->name, "%s%s%s", group ? group : "", group ? " " : "", word) >=
		sizeof call->name)
		return false;
	call->command = commands_find(call->name);
	return call->command;
}

static bool is_help(const char *word)
{
	return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

/* Fills in `call`, or prints what there is to print and returns the exit code; -1: go on. */
static int resolve(struct call *call, int argc, char **argv)
{
	if (argc == 0)
		return print_usage(usage_program, 0);
	const struct command_group *group = command_group_find(argv[0]);
	if (!group) {
		call->argc = argc - 1;
		call->argv = argv + 1;
		return find_command(call, NULL, argv[0]) ? -1 : fail_unknown(NULL, argv[0]);
	}
	if (argc == 1 || is_help(argv[1]))
		return print_group(group);
	call->argc = argc - 2;
	call->argv = argv + 2;
	return find_command(call, group->name, argv[1]) ? -1 : fail_unknown(group->name, argv[1]);
}

static int check_arguments(const struct call *call, size_t count, struct err **reterr)
{
	const struct command *command = call->command;
	const char *quantity = command->min_args == command->max_args ? ""
			       : count < command->min_args            ? "at least "
								      : "at most ";
	size_t wanted = count < command->min_args ? command->min_args : command->max_args;
	if (count >= command->min_args && count <= command->max_args)
		return 0;
	if (command->max_args == 0)
		return err_set(reterr, ERR_INVALID, 0, "'tare %s' accepts no arguments", call->name);
	return err_set(reterr, ERR_INVALID, 0, "'tare %s' requires %s%zu argument%s", call->name, quantity, wanted,
		wanted == 1 ? "" : "s");
}

static int run_command(const struct call *call, const struct globals *globals, const void *options,
	const struct option_arguments *arguments)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(client) struct client *client = NULL;
	int ret = 0;
	if (call->command->flags & COMMAND_ENGINE)
		ret = client_new(globals->host, !(call->command->flags & COMMAND_NO_START), &client, &err);
	const struct invocation invocation = {
		.command = call->command,
		.name = call->name,
		.options = options,
		.args = arguments->args,
		.arg_count = arguments->count,
		.client = client,
	};
	if (ret == 0)
		ret = call->command->run(&invocation, &err);
	if (ret >= 0)
		return ret;
	print_error("%s", err_message(err));
	return EXIT_FAILED;
}

static int dispatch(const struct call *call, const struct globals *globals, void *options,
	struct option_arguments *arguments)
{
	const struct command *command = call->command;
	_autofree_(err) struct err *err = NULL;
	int ret = options_parse(&command->options, command->flags & COMMAND_OPTIONS_FIRST, call->argc, call->argv,
		options, arguments, &err);
	if (ret < 0)
		return fail_usage(call, "", err, EXIT_USAGE);
	if (arguments->help)
		return print_command_help(call);
	if (check_arguments(call, arguments->count, &err) < 0)
		return fail_usage(call, "tare: ", err, EXIT_FAILED);
	return run_command(call, globals, options, arguments);
}

static int run_call(const struct call *call, const struct globals *globals)
{
	struct option_arguments arguments = { NULL };
	_cleanup_free_ void *options = calloc(1, call->command->options_size + 1);
	if (!options) {
		print_error("out of memory");
		return EXIT_FAILED;
	}
	options_defaults(&call->command->options, options);
	int code = dispatch(call, globals, options, &arguments);
	options_finish(&call->command->options, options, &arguments);
	return code;
}

static int set_up_log(const struct globals *globals)
{
	enum log_level level = LOG_LEVEL_INFO;
	if (log_level_parse(globals->log_level, &level) < 0) {
		print_error("unable to parse logging level: %s", globals->log_level);
		return -1;
	}
	log_setup("tare", globals->debug ? LOG_LEVEL_DEBUG : level);
	return 0;
}

static int run_program(const struct globals *globals, const struct option_arguments *arguments)
{
	struct call call = { NULL };
	if (arguments->help)
		return print_usage(usage_program, 0);
	if (globals->version)
		return print_line(NULL, "tare version %s", TARE_VERSION) < 0 ? EXIT_FAILED : 0;
	if (set_up_log(globals) < 0)
		return EXIT_FAILED;
	int code = resolve(&call, (int)arguments->count, arguments->args);
	return code >= 0 ? code : run_call(&call, globals);
}

/* Descriptors 0 to 2 are open, so that no socket of ours becomes somebody's standard output. A broken pipe is an error
 * of write(2), since the terminal may have to be put back. */
static void set_up_process(void)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	fd_close(&fd);
	signal(SIGPIPE, SIG_IGN);
}

int cli_main(int argc, char **argv)
{
	set_up_process();
	struct globals globals = { NULL };
	struct option_arguments arguments = { NULL };
	_autofree_(err) struct err *err = NULL;
	options_defaults(&globals_tables, &globals);
	int code;
	if (options_parse(&globals_tables, true, argc - 1, argv + 1, &globals, &arguments, &err) < 0) {
		print_error("%s\n\nUsage:  tare [OPTIONS] COMMAND [ARG...]\n\nRun 'tare --help' for more information",
			err_message(err));
		code = EXIT_USAGE;
	} else {
		code = run_program(&globals, &arguments);
	}
	options_finish(&globals_tables, &globals, &arguments);
	return code;
}
