#include "spec/oci_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_NUMBER_MAX 65535
#define SHOWN_MAX       200

int oci_bad(struct err **reterr, const char *problem, const char *path_format, ...)
{
	char path[256];
	va_list args;
	va_start(args, path_format);
	vsnprintf(path, sizeof path, path_format, args);
	va_end(args);
	return err_set(reterr, ERR_INVALID, 0, "%s: %s", path, problem);
}

bool oci_is_absolute(const char *path)
{
	return path && path[0] == '/';
}

bool oci_has_no_dotdot(const char *path)
{
	for (const char *at = path; at; at = strchr(at, '/')) {
		at += *at == '/';
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
			return false;
	}
	return true;
}

bool oci_is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

bool oci_is_id(int64_t id)
{
	return id >= 0 && id <= OCI_ID_MAX;
}

/* Digits at *at, moved past them; -1 if there are none or too many. */
static long take_number(const char **at)
{
	long number = 0;
	const char *start = *at;
	while (isdigit((unsigned char)**at)) {
		number = number * 10 + (**at - '0');
		if (number > LIST_NUMBER_MAX)
			return -1;
		(*at)++;
	}
	return *at > start ? number : -1;
}

static void skip_spaces(const char **at)
{
	while (**at == ' ')
		(*at)++;
}

typedef int range_fn(long first, long last, void *user);

static int each_range(const char *list, range_fn *fn, void *user)
{
	int r = 0;

	skip_spaces(&list);
	while (*list && r == 0) {
		long first = take_number(&list);
		skip_spaces(&list);
		long last = first;
		if (*list == '-') {
			list++;
			skip_spaces(&list);
			last = take_number(&list);
			skip_spaces(&list);
		}
		if (first < 0 || last < first)
			return -EINVAL;
		r = fn(first, last, user);
		if (!*list)
			return r;
		if (*list++ != ',')
			return -EINVAL;
		skip_spaces(&list);
		if (!*list)
			return -EINVAL;
	}
	return r;
}

static int accept_range(long first, long last, void *user)
{
	(void)first, (void)last, (void)user;
	return 0;
}

bool oci_is_number_list(const char *list)
{
	return each_range(list, accept_range, NULL) == 0;
}

struct bits {
	unsigned long *words;
	size_t count;
};

static int set_range(long first, long last, void *user)
{
	const struct bits *bits = user;
	const size_t word_bits = 8 * sizeof(*bits->words);

	if ((size_t)last >= bits->count)
		return -ERANGE;
	for (size_t i = (size_t)first; i <= (size_t)last; i++)
		bits->words[i / word_bits] |= 1UL << i % word_bits;
	return 0;
}

int oci_number_list_bits(const char *list, unsigned long *words, size_t bit_count)
{
	struct bits bits = { words, bit_count };

	return each_range(list, set_range, &bits);
}

const char *oci_printable(const char *text)
{
	if (!text)
		return "";
	return strnlen(text, SHOWN_MAX + 1) <= SHOWN_MAX && oci_is_one_line(text) ? text : "(not printable)";
}

bool oci_is_word_of(const char *word, const char *const *words, size_t count)
{
	for (size_t i = 0; word && i < count; i++)
		if (strcmp(word, words[i]) == 0)
			return true;
	return false;
}
