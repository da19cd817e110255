#include "worker/change.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"

struct change {
	const char *name;
	struct oci_image_run *run;
	struct err **reterr;
};

typedef int change_fn(const struct change *change, const char *text);

static int oom(const struct change *change)
{
	return err_oom(change->reterr);
}

static int bad(const struct change *change, const char *what)
{
	return err_set(change->reterr, ERR_INVALID, 0, "%s %s", change->name, what);
}

static int set_string(const struct change *change, char **field, const char *text)
{
	char *copy = strdup(text);

	if (!copy)
		return oom(change);
	free(*field);
	*field = copy;
	return 0;
}

/* Takes `words`. */
static int set_words(char ***field, char **words)
{
	strv_free(*field);
	*field = words;
	return 0;
}

/* ---- text */

/* ["a", "b"] as a vector; NULL in *ret if it is no array of strings, and so no JSON form. */
static int parse_json_words(const struct change *change, const char *text, char ***ret)
{
	_autojson_ json_t *array = NULL;
	_autofree_(strv) char **words = calloc(1, sizeof(*words));
	json_t *item;
	size_t index;

	*ret = NULL;
	if (!words)
		return oom(change);
	if (*text != '[' || json_load(text, strlen(text), &array, NULL) < 0 || !json_is_array(array))
		return 0;
	json_array_foreach (array, index, item) {
		if (!json_is_string(item))
			return 0;
		if (strv_append(&words, json_string_value(item)) < 0)
			return oom(change);
	}
	*ret = TAKE(words);
	return 0;
}

/*
 * One word, with quotes taken off and backslashes before quotes, backslashes and blanks; `out` is at least as large as the
 * text. Returns where it ended, or NULL for a quote that does not end.
 */
static const char *parse_word(const char *text, char *out)
{
	char quote = '\0';

	for (; *text && (quote || !isblank((unsigned char)*text)); text++) {
		if (quote ? *text == quote : *text == '"' || *text == '\'')
			quote = quote ? '\0' : *text;
		else if (*text == '\\' && quote != '\'' && text[1])
			*out++ = *++text;
		else
			*out++ = *text;
	}
	*out = '\0';
	return quote ? NULL : text + strspn(text, " \t");
}

static int parse_words(const struct change *change, const char *text, char ***ret)
{
	_cleanup_free_ char *word = malloc(strlen(text) + 1);
	_autofree_(strv) char **words = NULL;

	if (!word)
		return oom(change);
	while (*text) {
		text = parse_word(text, word);
		if (!text)
			return bad(change, "has a quote that does not end");
		if (strv_append(&words, word) < 0)
			return oom(change);
	}
	*ret = TAKE(words);
	return 0;
}

/* The JSON form, else words. */
static int parse_list(const struct change *change, const char *text, char ***ret)
{
	int r = parse_json_words(change, text, ret);

	return r < 0 || *ret ? r : parse_words(change, text, ret);
}

/* ---- instructions */

/* The JSON form, else a line for the shell. */
static int parse_command(const struct change *change, const char *text, char ***ret)
{
	int r = parse_json_words(change, text, ret);

	if (r < 0 || *ret)
		return r;
	if (strv_append(ret, "/bin/sh") < 0 || strv_append(ret, "-c") < 0 || strv_append(ret, text) < 0) {
		strv_free(*ret);
		return oom(change);
	}
	return 0;
}

static int change_cmd(const struct change *change, const char *text)
{
	char **words;
	int r = parse_command(change, text, &words);

	return r < 0 ? r : set_words(&change->run->cmd, words);
}

static int change_entrypoint(const struct change *change, const char *text)
{
	char **words;
	int r = parse_command(change, text, &words);

	return r < 0 ? r : set_words(&change->run->entrypoint, words);
}

/* "NAME=value ..." or the old "NAME the rest". Each assignment goes to `add`. */
static int assignments(const struct change *change, const char *text,
	int (*add)(const struct change *change, const char *assignment))
{
	_autofree_(strv) char **words = NULL;
	_cleanup_free_ char *whole = NULL;
	size_t name = strcspn(text, "= \t");
	int r;

	if (text[name] != '=') {
		const char *value = text + name + strspn(text + name, " \t");

		if (!text[name])
			return bad(change, "must have two arguments");
		if (asprintf(&whole, "%.*s=%s", (int)name, text, value) < 0)
			return oom(change);
		return add(change, whole);
	}
	r = parse_words(change, text, &words);
	strv_foreach (word, words) {
		if (r < 0)
			break;
		r = strchr(*word, '=') > *word ? add(change, *word) : bad(change, "needs NAME=value");
	}
	return r;
}

static int add_env(const struct change *change, const char *assignment)
{
	return strv_env_set(&change->run->env, assignment) < 0 ? oom(change) : 0;
}

static int add_label(const struct change *change, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	_cleanup_free_ char *name = strndup(assignment, (size_t)(equals - assignment));
	char *value = strdup(equals + 1);

	if (!change->run->labels)
		change->run->labels = map_new(free);
	if (name && value && change->run->labels && map_set(change->run->labels, name, value) == 0)
		return 0;
	free(value);
	return oom(change);
}

static int change_env(const struct change *change, const char *text)
{
	return assignments(change, text, add_env);
}

static int change_label(const struct change *change, const char *text)
{
	return assignments(change, text, add_label);
}

static int add_once(const struct change *change, char ***list, const char *item)
{
	return !strv_has(*list, item) && strv_append(list, item) < 0 ? oom(change) : 0;
}

/* "80", "80/udp", "80-82/tcp"; the protocol is tcp if it is not said. */
static int add_ports(const struct change *change, const char *word)
{
	const char *protocol = strchr(word, '/');
	char range[32];
	uint64_t first, last;
	char *dash;

	snprintf(range, sizeof(range), "%.*s", protocol ? (int)(protocol - word) : 31, word);
	protocol = protocol ? protocol + 1 : "tcp";
	dash = strchr(range, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(range, UINT16_MAX, &first) < 0 || parse_u64(dash ? dash : range, UINT16_MAX, &last) < 0 ||
		first == 0 || first > last ||
		(strcmp(protocol, "tcp") != 0 && strcmp(protocol, "udp") != 0 && strcmp(protocol, "sctp") != 0))
		return err_set(change->reterr, ERR_INVALID, 0, "invalid containerPort: %s", word);
	for (; first <= last; first++) {
		char port[32];
		int r;

		snprintf(port, sizeof(port), "%llu/%s", (unsigned long long)first, protocol);
		r = add_once(change, &change->run->exposed_ports, port);
		if (r < 0)
			return r;
	}
	return 0;
}

static int change_expose(const struct change *change, const char *text)
{
	_autofree_(strv) char **words = NULL;
	int r = parse_words(change, text, &words);

	strv_foreach (word, words) {
		if (r < 0)
			break;
		r = add_ports(change, *word);
	}
	return r;
}

static int change_volume(const struct change *change, const char *text)
{
	_autofree_(strv) char **words = NULL;
	int r = parse_list(change, text, &words);

	strv_foreach (word, words) {
		if (r < 0)
			break;
		r = **word ? add_once(change, &change->run->volumes, *word)
			   : bad(change, "specified can not be an empty string");
	}
	return r;
}

static int change_user(const struct change *change, const char *text)
{
	return set_string(change, &change->run->user, text);
}

static int change_stop_signal(const struct change *change, const char *text)
{
	return set_string(change, &change->run->stop_signal, text);
}

/* Relative ones go on from what was set before. */
static int change_workdir(const struct change *change, const char *text)
{
	const char *before = change->run->working_dir ? change->run->working_dir : "/";
	_cleanup_free_ char *path = NULL;

	if (*text == '/')
		return set_string(change, &change->run->working_dir, text);
	if (asprintf(&path, "%s%s%s", before, strcmp(before, "/") == 0 ? "" : "/", text) < 0)
		return oom(change);
	return set_string(change, &change->run->working_dir, path);
}

static int change_on_build(const struct change *change, const char *text)
{
	return strv_append(&change->run->on_build, text) < 0 ? oom(change) : 0;
}

/* ---- HEALTHCHECK */

static int health_duration(const struct change *change, const char *text, int64_t *ret)
{
	return clock_parse_duration(text, ret) < 0 || *ret < 0 ? bad(change, "has an option that is no duration") : 0;
}

static int health_option(const struct change *change, const char *option, struct healthcheck *check)
{
	const char *equals = strchr(option, '=');
	size_t len = equals ? (size_t)(equals - option) : 0;
	const struct {
		const char *name;
		int64_t *field;
	} durations[] = {
		{ "--interval", &check->interval_ns },
		{ "--timeout", &check->timeout_ns },
		{ "--start-period", &check->start_period_ns },
		{ "--start-interval", &check->start_interval_ns },
	};

	for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
		if (len == strlen(durations[i].name) && strncmp(option, durations[i].name, len) == 0)
			return health_duration(change, equals + 1, durations[i].field);
	if (len == strlen("--retries") && strncmp(option, "--retries", len) == 0)
		return parse_i64(equals + 1, 0, INT32_MAX, &check->retries) < 0
			       ? bad(change, "--retries needs a number")
			       : 0;
	return bad(change, "has an unknown option");
}

/* "NONE", or options and then "CMD" with a command. */
static int health_parse(const struct change *change, const char *text, struct healthcheck *check)
{
	size_t len;

	while (strncmp(text, "--", 2) == 0) {
		_cleanup_free_ char *option = NULL;
		int r;

		len = strcspn(text, " \t");
		option = strndup(text, len);
		if (!option)
			return oom(change);
		r = health_option(change, option, check);
		if (r < 0)
			return r;
		text += len + strspn(text + len, " \t");
	}
	if (strcasecmp(text, "NONE") == 0)
		return strv_append(&check->test, "NONE") < 0 ? oom(change) : 0;
	len = strcspn(text, " \t");
	if (len != 3 || strncasecmp(text, "CMD", len) != 0 || !text[len])
		return bad(change, "needs NONE, or CMD and a command");
	text += len + strspn(text + len, " \t");
	{
		_autofree_(strv) char **words = NULL;
		int r = parse_json_words(change, text, &words);

		if (r < 0)
			return r;
		if (strv_append(&check->test, words ? "CMD" : "CMD-SHELL") < 0 ||
			(words ? strv_extend(&check->test, words) : strv_append(&check->test, text)) < 0)
			return oom(change);
	}
	return 0;
}

static int change_healthcheck(const struct change *change, const char *text)
{
	struct healthcheck *check = calloc(1, sizeof(*check));
	int r = check ? health_parse(change, text, check) : oom(change);

	if (r < 0) {
		json_free(&healthcheck_table, check);
		return r;
	}
	json_free(&healthcheck_table, change->run->healthcheck);
	change->run->healthcheck = check;
	return 0;
}

/* ---- the table */

static const struct {
	const char *name;
	change_fn *apply;
} instructions[] = {
	{ "CMD", change_cmd },
	{ "ENTRYPOINT", change_entrypoint },
	{ "ENV", change_env },
	{ "EXPOSE", change_expose },
	{ "HEALTHCHECK", change_healthcheck },
	{ "LABEL", change_label },
	{ "ONBUILD", change_on_build },
	{ "STOPSIGNAL", change_stop_signal },
	{ "USER", change_user },
	{ "VOLUME", change_volume },
	{ "WORKDIR", change_workdir },
};

static bool has_control(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' && *text != '\t')
			return true;
	return false;
}

int change_apply(const char *line, struct oci_image_run *run, struct err **reterr)
{
	size_t len;
	const char *text;

	line += strspn(line, " \t");
	len = strcspn(line, " \t");
	text = line + len + strspn(line + len, " \t");
	if (strlen(line) > CHANGE_BYTES_MAX)
		return err_set(reterr, ERR_TOO_LARGE, 0, "a change is longer than %d bytes", CHANGE_BYTES_MAX);
	if (has_control(line))
		return err_set(reterr, ERR_INVALID, 0, "a change may not contain line ends or control characters");
	for (size_t i = 0; i < ARRAY_SIZE(instructions); i++) {
		struct change change = { .name = instructions[i].name, .run = run, .reterr = reterr };

		if (len != strlen(instructions[i].name) || strncasecmp(line, instructions[i].name, len) != 0)
			continue;
		return *text ? instructions[i].apply(&change, text) : bad(&change, "requires at least one argument");
	}
	return err_set(reterr, ERR_INVALID, 0, "%.*s is not a valid change command", (int)(len > 64 ? 64 : len), line);
}
