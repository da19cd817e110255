#include "engine/pattern.h"

#include <ctype.h>
#include <string.h>

/* After a backslash: a character that stands for itself, or a class or place of the library's. */
static bool is_known_escape(char c)
{
	return c && (strchr("wWsSbB", c) || ispunct((unsigned char)c));
}

static bool is_supported(const char *pattern)
{
	for (const char *at = pattern; *at; at++) {
		if (*at == '{' || (*at == '\\' && !is_known_escape(*++at)))
			return false;
	}
	return true;
}

int pattern_compile(const char *pattern, regex_t *ret, struct err **reterr)
{
	char why[128];
	if (strlen(pattern) > PATTERN_MAX)
		return err_set(reterr, ERR_INVALID, 0, "the regular expression is longer than %d characters",
			PATTERN_MAX);
	if (!is_supported(pattern))
		return err_set(reterr, ERR_INVALID, 0,
			"error parsing regexp: counted repeats and this escape are not supported: `%s`", pattern);
	int r = regcomp(ret, pattern, REG_EXTENDED | REG_NOSUB);
	if (r == 0)
		return 0;
	regerror(r, ret, why, sizeof(why));
	return err_set(reterr, ERR_INVALID, 0, "error parsing regexp: %s: `%s`", why, pattern);
}

bool pattern_matches(const regex_t *regex, const char *text)
{
	return regexec(regex, text, 0, NULL, 0) == 0;
}
