#include "runtime/command_line.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "codec/json.h"

static const struct flag *find_flag(const struct flag *flags, size_t count, const char *name, size_t len)
{
	for (size_t i = 0; i < count; i++)
		if ((strlen(flags[i].name) == len && strncmp(flags[i].name, name, len) == 0) ||
			(len == 1 && flags[i].letter == *name))
			return &flags[i];
	return NULL;
}

static int parse_number(const struct flag *flag, const char *value, struct json_opt_int *out, struct err **reterr)
{
	int r = flag->type == FLAG_BYTES && strcmp(value, "-1") != 0
			? parse_bytes(value, &out->value)
			: parse_i64(value, INT64_MIN, INT64_MAX, &out->value);

	out->set = r == 0;
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "invalid value \"%s\" for --%s", value, flag->name) : 0;
}

static int store(const struct flag *flag, const char *value, void *values, struct err **reterr)
{
	void *target = (char *)values + flag->offset;

	switch (flag->type) {
	case FLAG_BOOL:
		*(bool *)target = true;
		if (value && parse_bool(value, target) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid boolean \"%s\" for --%s", value, flag->name);
		return 0;
	case FLAG_STRING: *(const char **)target = value; return 0;
	case FLAG_LIST: return strv_append(target, value) < 0 ? err_oom(reterr) : 0;
	case FLAG_INT:
	case FLAG_BYTES: return parse_number(flag, value, target, reterr);
	case FLAG_IGNORED: return 0;
	}
	return 0;
}

int flags_parse(const struct flag *flags, size_t count, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr)
{
	int i = 0;

	for (; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		if (strcmp(argv[i], "--") == 0) {
			i++;
			break;
		}
		const char *name = argv[i] + 1 + (argv[i][1] == '-');
		size_t len = strcspn(name, "=");
		const char *value = name[len] ? name + len + 1 : NULL;
		const struct flag *flag = find_flag(flags, count, name, len);
		if (!flag)
			return err_set(reterr, ERR_INVALID, 0, "flag provided but not defined: -%s", name);
		if (!value && flag->type != FLAG_BOOL) {
			if (i + 1 >= argc)
				return err_set(reterr, ERR_INVALID, 0, "flag needs an argument: -%s", name);
			value = argv[++i];
		}
		int r = store(flag, value, values, reterr);
		if (r < 0)
			return r;
	}
	*ret_first = i;
	return 0;
}

void flags_print(const struct flag *flags, size_t count)
{
	char name[64];

	for (size_t i = 0; i < count; i++) {
		if (flags[i].type == FLAG_IGNORED)
			continue;
		int len = snprintf(name, sizeof(name), "--%s%s%s", flags[i].name, flags[i].word ? " " : "",
			flags[i].word ? flags[i].word : "");
		if (flags[i].letter && len > 0 && (size_t)len < sizeof(name))
			snprintf(name + len, sizeof(name) - (size_t)len, ", -%c", flags[i].letter);
		printf("   %-32s %s\n", name, flags[i].help ? flags[i].help : "");
	}
}

static void print_help(const struct verb_line *line)
{
	const char *program = program_invocation_short_name;

	printf("NAME:\n   %s %s - %s\n\nUsage: %s [OPTION...] %s %s\n\nOPTIONS:\n", program, line->name, line->summary,
		program, line->name, line->arguments);
	flags_print(line->flags, line->flag_count);
}

static int wrong_count(const struct verb_line *line, const char *word, int count, struct err **reterr)
{
	printf("Incorrect Usage.\n\n");
	print_help(line);
	return err_set(reterr, ERR_INVALID, 0, "%s: \"%s\" requires %s %d argument(s)", program_invocation_short_name,
		line->name, line->min_args == line->max_args ? "exactly" : word, count);
}

static bool asks_help(const char *argument)
{
	return strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0;
}

/* As runc, options are taken from among the arguments too. The arguments end up behind them, in their order. */
static int parse_anywhere(const struct verb_line *line, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr)
{
	bool only_words = false;
	int at = 1, end = argc;

	while (at < end) {
		int count = 0;
		int r = only_words ? 0
				   : flags_parse(line->flags, line->flag_count, end - at, argv + at, values, &count,
					     reterr);
		if (r < 0)
			return r;
		at += count;
		only_words |= count > 0 && strcmp(argv[at - 1], "--") == 0;
		if (at == end)
			break;
		char *word = argv[at];
		memmove(&argv[at], &argv[at + 1], (size_t)(argc - 1 - at) * sizeof(*argv));
		argv[argc - 1] = word;
		end--;
	}
	*ret_first = at;
	return 0;
}

static int parse_line(const struct verb_line *line, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr)
{
	if (line->max_args >= 0)
		return parse_anywhere(line, argc, argv, values, ret_first, reterr);
	int r = flags_parse(line->flags, line->flag_count, argc - 1, argv + 1, values, ret_first, reterr);
	*ret_first += 1;
	return r;
}

int verb_line_parse(const struct verb_line *line, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr)
{
	int first;

	if (argc > 1 && asks_help(argv[1])) {
		print_help(line);
		*ret_first = -1;
		return 0;
	}
	int r = parse_line(line, argc, argv, values, &first, reterr);
	if (r < 0)
		return r;
	int rest = argc - first;
	if (rest < line->min_args)
		return wrong_count(line, "a minimum of", line->min_args, reterr);
	if (line->max_args >= 0 && rest > line->max_args)
		return wrong_count(line, "a maximum of", line->max_args, reterr);
	*ret_first = first;
	return 0;
}
