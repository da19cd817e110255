#include "registry/challenge.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

struct scan {
	const char *at;
};

static bool is_token_char(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

/* The text's end is one too. */
static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

static void skip_blanks(struct scan *scan)
{
	scan->at += strspn(scan->at, " \t");
}

static void skip_separators(struct scan *scan)
{
	scan->at += strspn(scan->at, " \t,");
}

static size_t token_length(const char *text)
{
	size_t len = 0;
	while (is_token_char(text[len]))
		len++;
	return len;
}

/* At the opening quote. */
static int read_quoted(struct scan *scan, char **ret)
{
	_cleanup_(buf_finish) struct buf value = BUF_INIT(CHALLENGE_TEXT_MAX);

	for (scan->at++; *scan->at != '"'; scan->at++) {
		if (*scan->at == '\\')
			scan->at++;
		if (is_control(*scan->at))
			return -EINVAL;
		int r = buf_putc(&value, *scan->at);
		if (r < 0)
			return r == -EFBIG ? -EINVAL : r;
	}
	scan->at++;
	*ret = value.data ? buf_take(&value) : strdup("");
	return *ret ? 0 : -ENOMEM;
}

static int read_value(struct scan *scan, char **ret)
{
	if (*scan->at == '"')
		return read_quoted(scan, ret);
	size_t len = token_length(scan->at);
	/* Some send URLs without quotes. */
	len += strcspn(scan->at + len, " \t,\"");
	for (size_t i = 0; i < len; i++)
		if (is_control(scan->at[i]))
			return -EINVAL;
	*ret = strndup(scan->at, len);
	scan->at += len;
	return *ret ? 0 : -ENOMEM;
}

/* "name = value" and not "Scheme", which is followed by a blank and something else. */
static bool is_parameter(const char *text, size_t name_len)
{
	const char *after = text + name_len + strspn(text + name_len, " \t");
	return name_len > 0 && *after == '=' && after[1] != '=' && after[1] != '\0';
}

static char **member(struct challenge *challenge, const char *name, size_t len)
{
	const struct {
		const char *name;
		char **member;
	} known[] = {
		{ "realm", &challenge->realm },
		{ "service", &challenge->service },
		{ "scope", &challenge->scope },
		{ "error", &challenge->error },
	};
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strlen(known[i].name) == len && strncasecmp(known[i].name, name, len) == 0)
			return known[i].member;
	return NULL;
}

/* `into` NULL: read and forgotten. */
static int read_parameters(struct scan *scan, struct challenge *into)
{
	for (;;) {
		skip_separators(scan);
		size_t len = token_length(scan->at);
		if (!is_parameter(scan->at, len))
			return 0;
		char **target = into ? member(into, scan->at, len) : NULL;
		char *value = NULL;
		scan->at += len;
		skip_blanks(scan);
		scan->at++;
		skip_blanks(scan);
		int r = read_value(scan, &value);
		if (r < 0)
			return r;
		if (target && !*target)
			*target = TAKE(value);
		free(value);
	}
}

static bool is_scheme(const char *text, size_t len, const char *scheme)
{
	return strlen(scheme) == len && strncasecmp(text, scheme, len) == 0;
}

static int read_challenge(struct scan *scan, struct challenge *out)
{
	size_t len = token_length(scan->at);
	if (len == 0)
		return -EINVAL;
	bool basic = is_scheme(scan->at, len, "Basic");
	bool bearer = is_scheme(scan->at, len, "Bearer") && !out->bearer;

	scan->at += len;
	skip_blanks(scan);
	/* Negotiate and NTLM send a token68 here. */
	size_t token = token_length(scan->at);
	if (!is_parameter(scan->at, token) && (scan->at[token] == '=' || scan->at[token] == '/'))
		scan->at += strcspn(scan->at, " \t,");
	int r = read_parameters(scan, bearer ? out : NULL);
	if (r < 0)
		return r;
	out->basic |= basic;
	out->bearer |= bearer && out->realm;
	return 0;
}

int challenge_parse(const char *text, struct challenge *out)
{
	struct scan scan = { text };

	if (strlen(text) >= CHALLENGE_TEXT_MAX)
		return -EINVAL;
	for (skip_separators(&scan); *scan.at; skip_separators(&scan)) {
		int r = read_challenge(&scan, out);
		if (r < 0)
			return r;
	}
	return 0;
}

void challenge_finish(struct challenge *challenge)
{
	free(challenge->realm);
	free(challenge->service);
	free(challenge->scope);
	free(challenge->error);
	memset(challenge, 0, sizeof(*challenge));
}
