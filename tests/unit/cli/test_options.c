#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "cli/options.h"

struct values {
	bool all;
	bool proxy;
	struct option_bool init;
	const char *name;
	char **env;
	char **platforms;
	int64_t count;
	struct option_int timeout;
	int64_t weight;
	int64_t memory;
	int64_t cpus;
	int64_t interval;
};

#define OPTION(name_, letter_, type_, member_, ...)                                                               \
 {                                                                                                                \
  .name = (name_), .letter = (letter_), .type = (type_), .offset = offsetof(struct values, member_), .help = "x", \
  __VA_ARGS__                                                                                                     \
 }

static const struct option_spec specs[] = {
	OPTION("all", 'a', OPTION_BOOL, all),
	OPTION("proxy", 0, OPTION_BOOL, proxy, .fallback = "true"),
	OPTION("init", 0, OPTION_OPT_BOOL, init),
	OPTION("name", 'n', OPTION_STRING, name),
	OPTION("env", 'e', OPTION_LIST, env),
	OPTION("platform", 0, OPTION_STRINGS, platforms),
	OPTION("count", 0, OPTION_INT, count, .fallback = "-1"),
	OPTION("timeout", 't', OPTION_OPT_INT, timeout),
	OPTION("weight", 0, OPTION_UINT16, weight),
	OPTION("memory", 'm', OPTION_BYTES, memory),
	OPTION("cpus", 0, OPTION_DECIMAL, cpus),
	OPTION("interval", 0, OPTION_DURATION, interval, .hidden = true),
};
static const struct option_table table = OPTION_TABLE(specs);
static const struct option_tables tables = { .table = { &table } };

struct parsed {
	struct values values;
	struct option_arguments arguments;
	struct err *err;
	int ret;
};

/* `line` is split at blanks. */
static struct parsed parse(const char *line, bool options_first, char ***words)
{
	struct parsed parsed = { .ret = 0 };
	*words = *line ? strv_split(line, ' ') : NULL;
	options_defaults(&tables, &parsed.values);
	parsed.ret = options_parse(&tables, options_first, (int)strv_count(*words), *words, &parsed.values,
		&parsed.arguments, &parsed.err);
	return parsed;
}

static void release(struct parsed *parsed, char **words)
{
	options_finish(&tables, &parsed->values, &parsed->arguments);
	err_free(parsed->err);
	strv_free(words);
}

static void forms(void **state)
{
	(void)state;
	char **words;
	struct parsed p = parse(
		"-an x one --env A=b -eC=d -e=E --proxy=false --timeout 0 -m64m --cpus 1.5 --init --interval 1m two -- -z",
		false, &words);
	assert_int_equal(p.ret, 0);
	assert_true(p.values.all);
	assert_false(p.values.proxy);
	assert_true(p.values.init.set && p.values.init.value);
	assert_string_equal(p.values.name, "x");
	assert_int_equal(strv_count(p.values.env), 3);
	assert_string_equal(p.values.env[1], "C=d");
	assert_string_equal(p.values.env[2], "E");
	assert_int_equal(p.values.count, -1);
	assert_true(p.values.timeout.set);
	assert_int_equal(p.values.timeout.value, 0);
	assert_int_equal(p.values.memory, 64 << 20);
	assert_int_equal(p.values.cpus, 1500000000);
	assert_int_equal(p.values.interval, 60000000000LL);
	assert_int_equal(p.arguments.count, 3);
	assert_string_equal(p.arguments.args[1], "two");
	assert_string_equal(p.arguments.args[2], "-z");
	release(&p, words);

	p = parse("-a one -n two --unknown", true, &words);
	assert_int_equal(p.ret, 0);
	assert_null(p.values.name);
	assert_int_equal(p.arguments.count, 4);
	release(&p, words);

	p = parse("--platform a,b --platform c -a=false -", false, &words);
	assert_int_equal(p.ret, 0);
	assert_int_equal(strv_count(p.values.platforms), 3);
	assert_false(p.values.all);
	assert_string_equal(p.arguments.args[0], "-");
	release(&p, words);

	p = parse("x -h --nonsense", false, &words);
	assert_int_equal(p.ret, 0);
	assert_true(p.arguments.help);
	release(&p, words);
}

static void refused(void **state)
{
	(void)state;
	static const char *const cases[][2] = {
		{ "--al", "unknown flag: --al (did you mean --all?)" },
		{ "--zzzzzzzz", "unknown flag: --zzzzzzzz" },
		{ "-z", "unknown shorthand flag: 'z' in -z" },
		{ "-az", "unknown shorthand flag: 'z' in -az" },
		{ "--name", "flag needs an argument: --name" },
		{ "-an", "flag needs an argument: 'n' in -an" },
		{ "--=x", "bad flag syntax: --=x" },
		{ "--all=maybe", "invalid argument \"maybe\" for \"-a, --all\" flag: expected true or false" },
		{ "-t x", "invalid argument \"x\" for \"-t, --timeout\" flag: expected a whole number" },
		{ "--weight 65536",
			"invalid argument \"65536\" for \"--weight\" flag: expected a number from 0 to 65535" },
		{ "-m x",
			"invalid argument \"x\" for \"-m, --memory\" flag: invalid size: expected a number with an optional unit "
			"b, k, m or g" },
		{ "--cpus 1.0000000001",
			"invalid argument \"1.0000000001\" for \"--cpus\" flag: expected a decimal number with at "
			"most 9 digits after the point" },
		{ "--interval 5",
			"invalid argument \"5\" for \"--interval\" flag: invalid duration: expected a number with a unit, "
			"such as 90s or 1m30s" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char **words;
		struct parsed p = parse(cases[i][0], false, &words);
		assert_true(p.ret < 0);
		assert_string_equal(p.err->message, cases[i][1]);
		assert_int_equal(p.err->kind, ERR_INVALID);
		release(&p, words);
	}
}

static void bounds(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool good;
	} cases[] = { { "--weight 65535", true }, { "--weight -1", false }, { "--cpus .5", true },
		{ "--cpus .", false }, { "--cpus 1.", true }, { "--cpus 0.123456789", true }, { "--memory -1", true },
		{ "--memory -2", false }, { "--timeout -1", true }, { "--count 9223372036854775807", true },
		{ "--count 9223372036854775808", false } };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char **words;
		struct parsed p = parse(cases[i].text, false, &words);
		assert_int_equal(p.ret == 0, cases[i].good);
		release(&p, words);
	}
}

static void in_order_without_the_hidden(void **state)
{
	(void)state;
	const struct option_spec *spec = NULL, *previous = NULL;
	size_t count = 0;
	while ((spec = options_next(&tables, previous))) {
		assert_true(!previous || strcmp(previous->name, spec->name) < 0);
		assert_false(spec->hidden);
		previous = spec;
		count++;
	}
	assert_int_equal(count, ARRAY_SIZE(specs) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms),
		cmocka_unit_test(refused),
		cmocka_unit_test(bounds),
		cmocka_unit_test(in_order_without_the_hidden),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
