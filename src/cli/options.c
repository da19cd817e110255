#include "cli/options.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cli/suggest.h"

/* What is being set, for messages: "-m, --memory" */
struct flag_name {
	char text[80];
};

static struct flag_name flag_name(const struct option_spec *spec)
{
	struct flag_name name;
	if (spec->letter)
		snprintf(name.text, sizeof name.text, "-%c, --%s", spec->letter, spec->name);
	else
		snprintf(name.text, sizeof name.text, "--%s", spec->name);
	return name;
}

bool option_takes_value(const struct option_spec *spec)
{
	return spec->type != OPTION_BOOL && spec->type != OPTION_OPT_BOOL;
}

const char *option_type_word(const struct option_spec *spec)
{
	static const char *const words[] = {
		[OPTION_BOOL] = "bool",
		[OPTION_OPT_BOOL] = "bool",
		[OPTION_STRING] = "string",
		[OPTION_LIST] = "list",
		[OPTION_STRINGS] = "strings",
		[OPTION_INT] = "int",
		[OPTION_OPT_INT] = "int",
		[OPTION_UINT16] = "uint16",
		[OPTION_UINT] = "uint",
		[OPTION_BYTES] = "bytes",
		[OPTION_BITS] = "bits",
		[OPTION_DECIMAL] = "decimal",
		[OPTION_DURATION] = "duration",
	};
	return spec->word ? spec->word : words[spec->type];
}

const char *option_word(const struct option_spec *spec)
{
	return option_takes_value(spec) ? option_type_word(spec) : "";
}

/* Values */

static int set_strings(char ***list, const char *value)
{
	_autofree_(strv) char **parts = strv_split(value, ',');
	return parts ? strv_extend(list, parts) : -ENOMEM;
}

/* "1.5" is 1500000000: digits, at most nine of them after the point. */
static int parse_decimal(const char *text, int64_t *ret)
{
	size_t whole_len = strcspn(text, ".");
	char whole[16] = "";
	if (whole_len >= sizeof whole)
		return -ERANGE;
	memcpy(whole, text, whole_len);
	const char *fraction = text[whole_len] ? text + whole_len + 1 : "";
	size_t digits = strlen(fraction);
	uint64_t units = 0, parts = 0;
	if (digits > 9 || (!whole_len && !digits))
		return digits > 9 ? -ERANGE : -EINVAL;
	if (whole_len && parse_u64(whole, 1000000000, &units) < 0)
		return -EINVAL;
	if (digits && parse_u64(fraction, 999999999, &parts) < 0)
		return -EINVAL;
	for (; digits < 9; digits++)
		parts *= 10;
	*ret = (int64_t)(units * 1000000000 + parts);
	return 0;
}

/* Returns 0, -ENOMEM, or another error after setting what was expected. */
static int set_value(const struct option_spec *spec, const char *value, void *values, const char **expected)
{
	void *field = (char *)values + spec->offset;
	bool flag;
	int ret;
	switch (spec->type) {
	case OPTION_BOOL: *expected = "expected true or false"; return parse_bool(value, field);
	case OPTION_OPT_BOOL:
		*expected = "expected true or false";
		ret = parse_bool(value, &flag);
		if (ret == 0)
			*(struct option_bool *)field = (struct option_bool){ .set = true, .value = flag };
		return ret;
	case OPTION_STRING: *(const char **)field = value; return 0;
	case OPTION_LIST: return strv_append(field, value);
	case OPTION_STRINGS: return set_strings(field, value);
	case OPTION_INT: *expected = "expected a whole number"; return parse_i64(value, INT64_MIN, INT64_MAX, field);
	case OPTION_OPT_INT:
		*expected = "expected a whole number";
		ret = parse_i64(value, INT64_MIN, INT64_MAX, &((struct option_int *)field)->value);
		((struct option_int *)field)->set = ret == 0;
		return ret;
	case OPTION_UINT16:
		*expected = "expected a number from 0 to 65535";
		return parse_i64(value, 0, UINT16_MAX, field);
	case OPTION_UINT:
		*expected = "expected a number that is not negative";
		return parse_i64(value, 0, INT64_MAX, field);
	case OPTION_BYTES:
		*expected = "invalid size: expected a number with an optional unit b, k, m or g";
		if (strcmp(value, "-1") == 0) {
			*(int64_t *)field = -1;
			return 0;
		}
		return parse_bytes(value, field);
	case OPTION_BITS:
		*expected = "expected bits per second, with an optional unit k, m or g";
		ret = parse_bits(value, &((struct option_int *)field)->value);
		((struct option_int *)field)->set = ret == 0;
		return ret;
	case OPTION_DECIMAL:
		*expected = "expected a decimal number with at most 9 digits after the point";
		return parse_decimal(value, field);
	case OPTION_DURATION:
		*expected = "invalid duration: expected a number with a unit, such as 90s or 1m30s";
		return clock_parse_duration(value, field);
	}
	return -EINVAL;
}

static int set_option(const struct option_spec *spec, const char *value, void *values, struct err **reterr)
{
	const char *expected = "";
	int ret = set_value(spec, value, values, &expected);
	if (ret == -ENOMEM)
		return err_oom(reterr);
	if (ret < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid argument \"%s\" for \"%s\" flag: %s", value,
			flag_name(spec).text, expected);
	return 0;
}

#define foreach_spec(spec, tables)                                                                           \
 for (size_t spec##_t = 0; spec##_t < OPTION_TABLES; spec##_t++)                                             \
  for (const struct option_spec *spec = (tables)->table[spec##_t] ? (tables)->table[spec##_t]->specs : NULL, \
				*spec##_end = spec ? spec + (tables)->table[spec##_t]->count : NULL;         \
	  spec && spec < spec##_end; spec++)

void options_defaults(const struct option_tables *tables, void *values)
{
	foreach_spec(spec, tables)
	{
		if (spec->fallback) {
			int ret = set_option(spec, spec->fallback, values, NULL);
			(void)ret; /* a default that does not parse shows in the tests */
		}
	}
}

void options_finish(const struct option_tables *tables, void *values, struct option_arguments *arguments)
{
	foreach_spec(spec, tables)
	{
		if (spec->type == OPTION_LIST || spec->type == OPTION_STRINGS) {
			char ***list = (char ***)(void *)((char *)values + spec->offset);
			strv_free(TAKE(*list));
		}
	}
	free(arguments->args);
	arguments->args = NULL;
}

const struct option_spec *options_find(const struct option_tables *tables, const char *name)
{
	foreach_spec(spec, tables)
	{
		if (strcmp(spec->name, name) == 0)
			return spec;
	}
	return NULL;
}

static const struct option_spec *find_letter(const struct option_tables *tables, char letter)
{
	foreach_spec(spec, tables)
	{
		if (spec->letter == letter)
			return spec;
	}
	return NULL;
}

const struct option_spec *options_next(const struct option_tables *tables, const struct option_spec *previous)
{
	const struct option_spec *next = NULL;
	foreach_spec(spec, tables)
	{
		if (spec->hidden || (previous && strcmp(spec->name, previous->name) <= 0))
			continue;
		if (!next || strcmp(spec->name, next->name) < 0)
			next = spec;
	}
	return next;
}

/* Parsing */

struct parser {
	const struct option_tables *tables;
	char **argv;
	int argc;
	int next; /* index of the argument after the current one */
	void *values;
	struct option_arguments *result;
	struct err **reterr;
};

static int unknown_flag(struct parser *parser, const char *name)
{
	struct suggestion best = SUGGESTION_FOR(name);
	foreach_spec(spec, parser->tables)
	{
		if (!spec->hidden)
			suggest(&best, spec->name);
	}
	suggest(&best, "help");
	if (best.found)
		return err_set(parser->reterr, ERR_INVALID, 0, "unknown flag: --%s (did you mean --%s?)", name,
			best.found);
	return err_set(parser->reterr, ERR_INVALID, 0, "unknown flag: --%s", name);
}

static int parse_long(struct parser *parser, char *text)
{
	char *value = strchr(text, '=');
	if (value == text)
		return err_set(parser->reterr, ERR_INVALID, 0, "bad flag syntax: --%s", text);
	_cleanup_free_ char *name = strndup(text, value ? (size_t)(value - text) : strlen(text));
	if (!name)
		return err_oom(parser->reterr);

	const struct option_spec *spec = options_find(parser->tables, name);
	if (!spec) {
		if (strcmp(name, "help") != 0)
			return unknown_flag(parser, name);
		parser->result->help = true;
		return 0;
	}
	if (value)
		return set_option(spec, value + 1, parser->values, parser->reterr);
	if (!option_takes_value(spec))
		return set_option(spec, "true", parser->values, parser->reterr);
	if (parser->next >= parser->argc)
		return err_set(parser->reterr, ERR_INVALID, 0, "flag needs an argument: --%s", name);
	return set_option(spec, parser->argv[parser->next++], parser->values, parser->reterr);
}

/* "abc" of -abc: booleans until one takes the rest, or the next argument, as its value. */
static int parse_letters(struct parser *parser, char *letters)
{
	for (char *p = letters; *p; p++) {
		const struct option_spec *spec = find_letter(parser->tables, *p);
		if (!spec && *p == 'h') {
			parser->result->help = true;
			return 0;
		}
		if (!spec)
			return err_set(parser->reterr, ERR_INVALID, 0, "unknown shorthand flag: '%c' in -%s", *p,
				letters);
		if (p[1] == '=')
			return set_option(spec, p + 2, parser->values, parser->reterr);
		if (!option_takes_value(spec)) {
			int ret = set_option(spec, "true", parser->values, parser->reterr);
			if (ret < 0)
				return ret;
			continue;
		}
		if (p[1])
			return set_option(spec, p + 1, parser->values, parser->reterr);
		if (parser->next >= parser->argc)
			return err_set(parser->reterr, ERR_INVALID, 0, "flag needs an argument: '%c' in -%s", *p,
				letters);
		return set_option(spec, parser->argv[parser->next++], parser->values, parser->reterr);
	}
	return 0;
}

static void take_rest(struct parser *parser)
{
	while (parser->next < parser->argc)
		parser->result->args[parser->result->count++] = parser->argv[parser->next++];
}

int options_parse(const struct option_tables *tables, bool options_first, int argc, char **argv, void *values,
	struct option_arguments *ret, struct err **reterr)
{
	*ret = (struct option_arguments){ .args = calloc((size_t)argc + 1, sizeof *ret->args) };
	if (!ret->args)
		return err_oom(reterr);

	struct parser parser = {
		.tables = tables, .argv = argv, .argc = argc, .values = values, .result = ret, .reterr = reterr
	};
	int r = 0;
	while (r == 0 && !ret->help && parser.next < argc) {
		char *argument = argv[parser.next++];
		if (strcmp(argument, "--") == 0) {
			take_rest(&parser);
		} else if (strncmp(argument, "--", 2) == 0) {
			r = parse_long(&parser, argument + 2);
		} else if (argument[0] == '-' && argument[1]) {
			r = parse_letters(&parser, argument + 1);
		} else {
			ret->args[ret->count++] = argument;
			if (options_first)
				take_rest(&parser);
		}
	}
	return r;
}
