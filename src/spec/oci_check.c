#include "spec/oci_check.h"

#include <ctype.h>
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

bool oci_is_number_list(const char *list)
{
	skip_spaces(&list);
	while (*list) {
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
			return false;
		if (!*list)
			return true;
		if (*list++ != ',')
			return false;
		skip_spaces(&list);
		if (!*list)
			return false;
	}
	return true;
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
