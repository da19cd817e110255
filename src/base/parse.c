#include "base/parse.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

int parse_u64(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10u, &value) || __builtin_add_overflow(value, *text - '0', &value) ||
			value > max) {
			for (; *text; text++)
				if (*text < '0' || *text > '9')
					return -EINVAL;
			return -ERANGE;
		}
	}
	*ret = value;
	return 0;
}

int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t magnitude;
	int r = parse_u64(text + negative, (uint64_t)INT64_MAX + negative, &magnitude);
	if (r < 0)
		return r;
	int64_t value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

int parse_bool(const char *text, bool *ret)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };
	for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
		if (strcmp(text, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
		if (strcmp(text, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	}
	return -EINVAL;
}

/* Digits with a point among them, or -EINVAL; what follows them. */
static int take_decimal(const char **text, double *ret)
{
	const char *at = *text;
	double value = 0, scale = 1;
	bool any = false;
	for (; *at >= '0' && *at <= '9'; at++, any = true)
		value = value * 10 + (*at - '0');
	if (*at == '.')
		for (at++; *at >= '0' && *at <= '9'; at++, any = true)
			value += (*at - '0') * (scale /= 10);
	*text = at;
	*ret = value;
	return any ? 0 : -EINVAL;
}

int parse_bits(const char *text, int64_t *ret)
{
	static const char letters[] = "kmgt";
	double value;
	if (take_decimal(&text, &value) < 0)
		return -EINVAL;
	const char *letter = *text ? strchr(letters, *text | 0x20) : NULL;
	for (const char *l = letters; letter && l <= letter; l++)
		value *= 1000;
	text += letter != NULL;
	if (*text && strcasecmp(text, "bit") != 0)
		return -EINVAL;
	if (value >= 9.2e18)
		return -ERANGE;
	*ret = (int64_t)(value + 0.5);
	return 0;
}

int parse_bytes(const char *text, int64_t *ret)
{
	double value;
	if (take_decimal(&text, &value) < 0)
		return -EINVAL;
	while (*text == ' ')
		text++;

	static const char letters[] = "kmgtp";
	const char *letter = *text ? strchr(letters, *text | 0x20) : NULL;
	if (letter) {
		for (const char *l = letters; l <= letter; l++)
			value *= 1024;
		text++;
		if (strcasecmp(text, "ib") == 0 || strcasecmp(text, "b") == 0)
			text += strlen(text);
	} else if (strcasecmp(text, "b") == 0) {
		text++;
	}
	if (*text)
		return -EINVAL;
	if (value >= 9.2e18)
		return -ERANGE;
	*ret = (int64_t)value;
	return 0;
}

bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
			return false;
	return text[len] == '\0';
}
