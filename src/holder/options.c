#include "holder/options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "spec/engine_flags.h"

#define DEFAULT_DATA_ROOT "/var/lib/tare"
#define DEFAULT_EXEC_ROOT "/run/tare"
#define DEFAULT_GROUP     "tare"

enum option_code {
	OPTION_DATA_ROOT = 256,
	OPTION_EXEC_ROOT,
	OPTION_GROUP,
	OPTION_LOG_LEVEL,
	OPTION_LIBEXEC,
	OPTION_PIDFILE,
	OPTION_CGROUP_PARENT,
	OPTION_CONFIG_FILE,
	OPTION_CLEANUP,
	OPTION_VERSION,
	OPTION_HELP,
	OPTION_MAN,
	OPTION_ENGINE, /* and on: engine_flags */
};

struct option_text {
	const char *name;
	const char *value; /* NULL: takes none */
	enum option_code code;
	const char *help;
};

static const struct option_text option_texts[] = {
	{ "data-root", "FOLDER", OPTION_DATA_ROOT, "images, containers, volumes (default " DEFAULT_DATA_ROOT ")" },
	{ "exec-root", "FOLDER", OPTION_EXEC_ROOT, "run state, on a tmpfs (default " DEFAULT_EXEC_ROOT ")" },
	{ "host", "ADDRESS", 'H', "listen there: unix://PATH, or fd:// for inherited sockets; may be repeated" },
	{ "group", "NAME", OPTION_GROUP, "who may use the sockets beside root (default " DEFAULT_GROUP ")" },
	{ "log-level", "LEVEL", OPTION_LOG_LEVEL, "debug, info, warn or error (default info)" },
	{ "libexec", "FOLDER", OPTION_LIBEXEC, "where the other programs are" },
	{ "pidfile", "FILE", OPTION_PIDFILE, "write the process ID there" },
	{ "cgroup-parent", "PATH", OPTION_CGROUP_PARENT, "the group containers are made below" },
	{ "config-file", "FILE", OPTION_CONFIG_FILE, "settings (default /etc/tare/daemon.json, if it is there)" },
	{ "cleanup", NULL, OPTION_CLEANUP,
		"remove what networks are on the host (bridges, tables of nf_tables), which tared leaves to running containers when it "
		"ends, and end; for a removal, when no container runs. Forwarding and lo stay as they are" },
	{ "version", NULL, OPTION_VERSION, "print the version" },
	{ "help", NULL, OPTION_HELP, "print this" },
};

/* --- help and the manual page --- */

typedef void text_fn(char letter, const char *name, const char *value, const char *help);

static void each_text(text_fn *fn)
{
	for (size_t i = 0; i < ARRAY_SIZE(option_texts); i++) {
		const struct option_text *text = &option_texts[i];
		fn(text->code == 'H' ? 'H' : '\0', text->name, text->value, text->help);
	}
	for (const struct engine_flag *flag = engine_flags; flag->name; flag++)
		fn('\0', flag->name, flag->value, flag->help);
}

static void print_help(char letter, const char *name, const char *value, const char *help)
{
	char left[64];
	snprintf(left, sizeof left, "%s--%s %s", letter ? "-H, " : "    ", name, value ? value : "");
	printf("  %-28s %s\n", left, help);
}

void options_help(void)
{
	printf("Usage: tared [OPTION]...\n\n"
	       "Keeps the container engine running and its sockets open.\n\n");
	each_text(print_help);
}

/* roff takes a hyphen for something to break at. */
static void print_roff(const char *text)
{
	for (; *text; text++)
		printf("%s%c", *text == '-' ? "\\" : "", *text);
}

static void print_man(char letter, const char *name, const char *value, const char *help)
{
	printf(".TP\n.B %s", letter ? "\\-H, " : "");
	print_roff("--");
	print_roff(name);
	printf(" %s\n", value ? value : "");
	print_roff(help);
	putchar('\n');
}

void options_man(void)
{
	printf(".TH TARED 8 \"\" \"tare %s\" \"System administration\"\n"
	       ".SH NAME\ntared \\- keeps the container engine running and its sockets open\n"
	       ".SH SYNOPSIS\n.B tared\n[OPTION]...\n.SH OPTIONS\n",
		TARE_VERSION);
	each_text(print_man);
	printf(".SH FILES\n.TP\n.B /etc/tare/daemon.json\nOne object, with these keys; what is given as an option is not given there:\n");
	for (const struct engine_flag *flag = engine_flags; flag->name; flag++) {
		printf(".br\n");
		print_roff(flag->key);
		putchar('\n');
	}
}

/* Relative to where we were started, since everything runs in "/". */
static int set_absolute(char **ret, const char *path, struct err **reterr)
{
	char cwd[PATH_MAX];
	char *made = NULL;
	if (path[0] == '\0')
		return err_set(reterr, ERR_INVALID, 0, "an empty path was given");
	if (path[0] == '/')
		made = strdup(path);
	else if (!getcwd(cwd, sizeof cwd))
		return err_errno(reterr, -errno, "cannot tell the current folder");
	else if (asprintf(&made, "%s/%s", cwd, path) < 0)
		made = NULL;
	if (!made)
		return err_oom(reterr);
	for (size_t len = strlen(made); len > 1 && made[len - 1] == '/'; len--)
		made[len - 1] = '\0';
	free(*ret);
	*ret = made;
	return 0;
}

static int set_string(char **ret, const char *value, struct err **reterr)
{
	char *copy = strdup(value);
	if (!copy)
		return err_oom(reterr);
	free(*ret);
	*ret = copy;
	return 0;
}

static int set_log_level(struct options *options, const char *value, struct err **reterr)
{
	if (log_level_parse(value, &options->log_level) < 0)
		return err_set(reterr, ERR_INVALID, 0, "unknown log level \"%s\": use debug, info, warn or error",
			value);
	return set_string(&options->log_name, value, reterr);
}

/* One of the engine's, which reads it. */
static int pass_on(struct options *options, const char *name, const char *value, struct err **reterr)
{
	if (strv_append(&options->engine, name) < 0 || strv_append(&options->engine, value) < 0)
		return err_oom(reterr);
	return 0;
}

static int pass_on_path(struct options *options, const char *name, const char *value, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	int r = set_absolute(&path, value, reterr);
	return r < 0 ? r : pass_on(options, name, path, reterr);
}

static int pass_on_flag(struct options *options, const struct engine_flag *flag, const char *value, struct err **reterr)
{
	if (strv_appendf(&options->engine, "--%s%s%s", flag->name, value ? "=" : "", value ? value : "") < 0)
		return err_oom(reterr);
	return 0;
}

static int option_apply(struct options *options, int code, const char *value, struct err **reterr)
{
	switch (code) {
	case OPTION_DATA_ROOT: return set_absolute(&options->data_root, value, reterr);
	case OPTION_EXEC_ROOT: return set_absolute(&options->exec_root, value, reterr);
	case OPTION_LIBEXEC: return set_absolute(&options->libexec, value, reterr);
	case OPTION_PIDFILE: return set_absolute(&options->pidfile, value, reterr);
	case OPTION_GROUP: return set_string(&options->group, value, reterr);
	case OPTION_LOG_LEVEL: return set_log_level(options, value, reterr);
	case 'H': return strv_append(&options->hosts, value) < 0 ? err_oom(reterr) : 0;
	case OPTION_CGROUP_PARENT: return pass_on(options, "--cgroup-parent", value, reterr);
	case OPTION_CONFIG_FILE: return pass_on_path(options, "--config-file", value, reterr);
	case OPTION_CLEANUP: options->cleanup = true; return 0;
	case OPTION_VERSION: options->version = true; return 0;
	case OPTION_HELP: options->help = true; return 0;
	case OPTION_MAN: options->man = true; return 0;
	default:
		if (code >= OPTION_ENGINE)
			return pass_on_flag(options, &engine_flags[code - OPTION_ENGINE], value, reterr);
		return err_set(reterr, ERR_INVALID, 0, "see tared --help");
	}
}

static int options_set_defaults(struct options *options, struct err **reterr)
{
	const char *libexec = getenv("TARE_LIBEXEC");
	int r = set_absolute(&options->data_root, DEFAULT_DATA_ROOT, reterr);
	if (r == 0)
		r = set_absolute(&options->exec_root, DEFAULT_EXEC_ROOT, reterr);
	if (r == 0)
		r = set_absolute(&options->libexec, libexec && libexec[0] ? libexec : TARE_PROGRAM_DIR, reterr);
	if (r == 0)
		r = set_string(&options->group, DEFAULT_GROUP, reterr);
	if (r == 0)
		r = set_log_level(options, "info", reterr);
	return r;
}

int options_parse(int argc, char **argv, struct options *ret, struct err **reterr)
{
	struct option table[ARRAY_SIZE(option_texts) + ENGINE_FLAGS_MAX + 1] = { 0 }, *last = table;
	for (size_t i = 0; i < ARRAY_SIZE(option_texts); i++)
		*last++ = (struct option){ option_texts[i].name,
			option_texts[i].value ? required_argument : no_argument, NULL, (int)option_texts[i].code };
	for (int i = 0; engine_flags[i].name; i++)
		*last++ = (struct option){ engine_flags[i].name,
			engine_flags[i].value ? required_argument : optional_argument, NULL, OPTION_ENGINE + i };
	*last = (struct option){ "man", no_argument, NULL, OPTION_MAN };

	struct options options = { 0 };
	int r = options_set_defaults(&options, reterr);
	int code;
	while (r == 0 && (code = getopt_long(argc, argv, "H:", table, NULL)) != -1)
		r = option_apply(&options, code, optarg, reterr);
	if (r == 0 && optind < argc)
		r = err_set(reterr, ERR_INVALID, 0, "unexpected argument \"%s\"", argv[optind]);
	if (r < 0) {
		options_finish(&options);
		return r;
	}
	*ret = options;
	return 0;
}

void options_finish(struct options *options)
{
	free(options->data_root);
	free(options->exec_root);
	free(options->libexec);
	free(options->group);
	free(options->pidfile);
	free(options->log_name);
	strv_free(options->hosts);
	strv_free(options->engine);
}
