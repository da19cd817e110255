/*
 * Completion scripts. Commands and options stand in the script, made from the tables; names of containers, images, networks and
 * volumes are asked for with `tare ps` and the like when they are needed.
 */
#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/usage.h"
#include "cli/verbs.h"

/* What a script asks for each kind of argument. */
static const char *const queries[] = {
	[ARGUMENTS_OTHER] = "",
	[ARGUMENTS_CONTAINERS] = "containers",
	[ARGUMENTS_RUNNING] = "running",
	[ARGUMENTS_STOPPED] = "stopped",
	[ARGUMENTS_IMAGES] = "images",
	[ARGUMENTS_VOLUMES] = "volumes",
	[ARGUMENTS_NETWORKS] = "networks",
	[ARGUMENTS_COMMANDS] = "commands",
	[ARGUMENTS_FILES] = "files",
};

/* Collects text and remembers the first failure. */
struct script {
	struct buf out;
	int ret;
};

#define put(script, ...) ((script)->ret = (script)->ret < 0 ? (script)->ret : buf_printf(&(script)->out, __VA_ARGS__))

typedef void visit_fn(struct script *script, const struct command *command, const char *name);

/* Each name of each command that is shown. */
static void visit_names(struct script *script, visit_fn *visit)
{
	for (const struct command *command = NULL; (command = commands_next(command));) {
		if (command->flags & COMMAND_HIDDEN)
			continue;
		for (size_t i = 0; i < COMMAND_NAMES && command->names[i]; i++)
			visit(script, command, command->names[i]);
	}
}

static void put_option_words(struct script *script, const struct option_tables *tables)
{
	for (const struct option_spec *spec = NULL; (spec = options_next(tables, spec));) {
		put(script, " --%s", spec->name);
		if (spec->letter)
			put(script, " -%c", spec->letter);
	}
	put(script, " --help");
}

/* Words that may stand after `group` (NULL: first), each after a blank. */
static void put_words(struct script *script, const char *group)
{
	const char *word;
	for (const struct command *command = NULL; (command = commands_next(command));) {
		if (!(command->flags & COMMAND_HIDDEN) && command_in_group(command, group, &word))
			put(script, " %s", word);
	}
	for (const struct command_group *item = NULL; !group && (item = command_groups_next(item));)
		put(script, " %s", item->name);
}

/* bash, and zsh by way of its bashcompinit */

static void put_shell_case(struct script *script, const struct command *command, const char *name)
{
	put(script, "\t'%s') options='", name);
	put_option_words(script, &command->options);
	put(script, "' kind='%s' valued='", queries[command->arguments]);
	for (const struct option_spec *spec = NULL; (spec = options_next(&command->options, spec));) {
		if (option_takes_value(spec))
			put(script, " --%s", spec->name);
		if (option_takes_value(spec) && spec->letter)
			put(script, " -%c", spec->letter);
	}
	put(script, " ' ;;\n");
}

static void put_shell_functions(struct script *script)
{
	put(script, "_tare_words() {\n\tcase $1 in\n"
		    "\tcontainers) tare ps -a --format '{{.Names}}' ;;\n"
		    "\trunning) tare ps --format '{{.Names}}' ;;\n"
		    "\tstopped) tare ps -a --filter status=exited --filter status=created --format '{{.Names}}' ;;\n"
		    "\timages) tare images --format '{{.Repository}}:{{.Tag}}' ;;\n"
		    "\tvolumes) tare volume ls -q ;;\n"
		    "\tnetworks) tare network ls --format '{{.Name}}' ;;\n"
		    "\tcommands) echo");
	put_words(script, NULL);
	put(script, " ;;\n\tesac 2>/dev/null\n}\n\n");
	put(script, "_tare_command() {\n\toptions= kind= valued=\n\tcase $1 in\n");
	visit_names(script, put_shell_case);
	put(script, "\tesac\n}\n\n");
	put(script, "_tare_group() {\n\tcase $1 in\n");
	for (const struct command_group *group = NULL; (group = command_groups_next(group));) {
		put(script, "\t%s) words='", group->name);
		put_words(script, group->name);
		put(script, "' ;;\n");
	}
	put(script, "\t*) return 1 ;;\n\tesac\n}\n\n");
}

static void put_bash(struct script *script)
{
	put(script, "# bash completion for tare\n\n");
	put_shell_functions(script);
	put(script, "_tare() {\n"
		    "\tlocal current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
		    "\tlocal i=1 name= words= options kind valued\n"
		    "\twhile ((i < COMP_CWORD)) && [[ ${COMP_WORDS[i]} == -* ]]; do\n"
		    "\t\t[[ ${COMP_WORDS[i]} == -H || ${COMP_WORDS[i]} == --host ]] && ((i++))\n"
		    "\t\t((i++))\n\tdone\n"
		    "\tif ((i >= COMP_CWORD)); then\n"
		    "\t\tCOMPREPLY=($(compgen -W \"$(_tare_words commands)");
	put_option_words(script, &globals_tables);
	put(script, "\" -- \"$current\"))\n\t\treturn\n\tfi\n"
		    "\tname=${COMP_WORDS[i]}\n"
		    "\tif _tare_group \"$name\"; then\n"
		    "\t\tif ((i + 1 >= COMP_CWORD)); then\n"
		    "\t\t\tCOMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n\t\t\treturn\n\t\tfi\n"
		    "\t\tname+=\" ${COMP_WORDS[i+1]}\"\n\tfi\n"
		    "\t_tare_command \"$name\"\n"
		    "\tif [[ $valued == *\" $previous \"* ]]; then\n"
		    "\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n"
		    "\telif [[ $current == -* ]]; then\n"
		    "\t\tCOMPREPLY=($(compgen -W \"$options\" -- \"$current\"))\n"
		    "\telif [[ $kind == files ]]; then\n"
		    "\t\tCOMPREPLY=($(compgen -f -- \"$current\"))\n"
		    "\telif [[ -n $kind ]]; then\n"
		    "\t\tCOMPREPLY=($(compgen -W \"$(_tare_words \"$kind\")\" -- \"$current\"))\n"
		    "\t\t[[ ${COMPREPLY[0]} == *:* && $(type -t __ltrim_colon_completions) == function ]] &&\n"
		    "\t\t\t__ltrim_colon_completions \"$current\"\n"
		    "\tfi\n}\n\ncomplete -F _tare tare\n");
}

static void put_zsh(struct script *script)
{
	put(script, "#compdef tare\n\n");
	put_shell_functions(script);
	put(script, "_tare() {\n"
		    "\tlocal i=2 name words options kind valued\n"
		    "\tlocal -a typed\n\ttyped=(\"${(@)words}\")\n"
		    "\twhile ((i < CURRENT)) && [[ ${typed[i]} == -* ]]; do\n"
		    "\t\t[[ ${typed[i]} == -H || ${typed[i]} == --host ]] && ((i++))\n"
		    "\t\t((i++))\n\tdone\n"
		    "\tif ((i >= CURRENT)); then\n"
		    "\t\tcompadd -- $(_tare_words commands)");
	put_option_words(script, &globals_tables);
	put(script, "\n\t\treturn\n\tfi\n"
		    "\tname=${typed[i]}\n"
		    "\tif _tare_group \"$name\"; then\n"
		    "\t\tif ((i + 1 >= CURRENT)); then\n"
		    "\t\t\tcompadd -- ${=words}\n\t\t\treturn\n\t\tfi\n"
		    "\t\tname+=\" ${typed[i+1]}\"\n\tfi\n"
		    "\t_tare_command \"$name\"\n"
		    "\tif [[ $valued == *\" ${typed[CURRENT-1]} \"* || $kind == files ]]; then\n"
		    "\t\t_files\n"
		    "\telif [[ ${typed[CURRENT]} == -* ]]; then\n"
		    "\t\tcompadd -- ${=options}\n"
		    "\telif [[ -n $kind ]]; then\n"
		    "\t\tcompadd -- $(_tare_words \"$kind\")\n"
		    "\tfi\n}\n\ncompdef _tare tare\n");
}

/* fish: one line for each command and each option */

/* Single quotes, with what they don't protect escaped. */
static void put_quoted(struct script *script, const char *text)
{
	put(script, "'");
	for (; *text; text++)
		put(script, *text == '\'' || *text == '\\' ? "\\%c" : "%c", *text);
	put(script, "'");
}

static void put_fish_command(struct script *script, const struct command *command, const char *name)
{
	const char *space = strchr(name, ' ');
	char condition[160];
	if (space)
		snprintf(condition, sizeof condition, "__tare_at %.*s %s", (int)(space - name), name, space + 1);
	else
		snprintf(condition, sizeof condition, "__tare_at %s", name);
	if (space)
		put(script, "complete -c tare -f -n '__tare_only %.*s' -a %s -d ", (int)(space - name), name,
			space + 1);
	else
		put(script, "complete -c tare -f -n '__tare_only' -a %s -d ", name);
	put_quoted(script, command->summary);
	put(script, "\n");
	for (const struct option_spec *spec = NULL; (spec = options_next(&command->options, spec));) {
		put(script, "complete -c tare -n '%s' -l %s", condition, spec->name);
		if (spec->letter)
			put(script, " -s %c", spec->letter);
		put(script, "%s -d ", option_takes_value(spec) ? " -r" : "");
		put_quoted(script, spec->help);
		put(script, "\n");
	}
	if (command->arguments != ARGUMENTS_OTHER && command->arguments != ARGUMENTS_FILES)
		put(script, "complete -c tare -f -n '%s' -a '(__tare_words %s)'\n", condition,
			queries[command->arguments]);
}

static void put_fish(struct script *script)
{
	put(script,
		"# fish completion for tare\n\n"
		"function __tare_words\n\tswitch $argv[1]\n"
		"\t\tcase containers\n\t\t\ttare ps -a --format '{{.Names}}' 2>/dev/null\n"
		"\t\tcase running\n\t\t\ttare ps --format '{{.Names}}' 2>/dev/null\n"
		"\t\tcase stopped\n\t\t\ttare ps -a --filter status=exited --filter status=created --format '{{.Names}}' "
		"2>/dev/null\n"
		"\t\tcase images\n\t\t\ttare images --format '{{.Repository}}:{{.Tag}}' 2>/dev/null\n"
		"\t\tcase volumes\n\t\t\ttare volume ls -q 2>/dev/null\n"
		"\t\tcase networks\n\t\t\ttare network ls --format '{{.Name}}' 2>/dev/null\n"
		"\t\tcase commands\n\t\t\tprintf '%%s\\n'");
	put_words(script, NULL);
	put(script,
		"\n\tend\nend\n\n"
		"# the words before the cursor, options left out, begin with the arguments\n"
		"function __tare_at\n\tset -l typed (commandline -opc | string match -v -- '-*')\n"
		"\ttest (count $typed) -gt (count $argv); and test \"$typed[2..(math (count $argv) + 1)]\" = \"$argv\"\nend\n\n"
		"# and are no more than them\n"
		"function __tare_only\n\tset -l typed (commandline -opc | string match -v -- '-*')\n"
		"\ttest (count $typed) -eq (math (count $argv) + 1); and begin\n"
		"\t\ttest (count $argv) -eq 0; or test \"$typed[2..-1]\" = \"$argv\"\n\tend\nend\n\n");
	for (const struct command_group *group = NULL; (group = command_groups_next(group));) {
		put(script, "complete -c tare -f -n '__tare_only' -a %s -d ", group->name);
		put_quoted(script, group->summary);
		put(script, "\n");
	}
	visit_names(script, put_fish_command);
}

static int completion_run(const struct invocation *invocation, struct err **reterr)
{
	static const struct {
		const char *shell;
		void (*write)(struct script *script);
	} shells[] = { { "bash", put_bash }, { "zsh", put_zsh }, { "fish", put_fish } };
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		if (strcmp(shells[i].shell, invocation->args[0]) != 0)
			continue;
		struct script script = { .out = BUF_INIT(4 * USAGE_MAX) };
		shells[i].write(&script);
		int ret = script.ret < 0 ? err_errno(reterr, script.ret, "cannot print")
					 : print_out(script.out.data, script.out.len, reterr);
		buf_finish(&script.out);
		return ret;
	}
	return err_set(reterr, ERR_INVALID, 0, "there is no completion for %s: expected bash, zsh or fish",
		invocation->args[0]);
}

const struct command completion_command = {
	.names = { "completion" },
	.usage = "bash|zsh|fish",
	.summary = "Print a completion script for a shell",
	.min_args = 1,
	.max_args = 1,
	.run = completion_run,
};
