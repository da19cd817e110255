#include "base/strv.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

void strv_free(char **v)
{
	if (!v)
		return;
	for (char **item = v; *item; item++)
		free(*item);
	free(v);
}

size_t strv_count(char *const *v)
{
	size_t count = 0;
	strv_foreach (item, v)
		count++;
	return count;
}

int strv_append_take(char ***v, char *string)
{
	if (!string)
		return -ENOMEM;
	size_t count = strv_count(*v);
	char **bigger = realloc(*v, (count + 2) * sizeof *bigger);
	if (!bigger) {
		free(string);
		return -ENOMEM;
	}
	bigger[count] = string;
	bigger[count + 1] = NULL;
	*v = bigger;
	return 0;
}

int strv_append(char ***v, const char *string)
{
	return strv_append_take(v, strdup(string));
}

int strv_appendf(char ***v, const char *format, ...)
{
	char *string = NULL;
	va_list args;
	va_start(args, format);
	int len = vasprintf(&string, format, args);
	va_end(args);
	return strv_append_take(v, len < 0 ? NULL : string);
}

int strv_extend(char ***v, char *const *other)
{
	strv_foreach (item, other) {
		int ret = strv_append(v, *item);
		if (ret < 0)
			return ret;
	}
	return 0;
}

char **strv_copy(char *const *v)
{
	_autofree_(strv) char **copy = calloc(1, sizeof *copy);
	if (!copy || strv_extend(&copy, v) < 0)
		return NULL;
	return TAKE(copy);
}

bool strv_has(char *const *v, const char *string)
{
	strv_foreach (item, v)
		if (strcmp(*item, string) == 0)
			return true;
	return false;
}

bool strv_equal(char *const *a, char *const *b)
{
	size_t count = strv_count(a);
	if (count != strv_count(b))
		return false;
	for (size_t i = 0; i < count; i++)
		if (strcmp(a[i], b[i]) != 0)
			return false;
	return true;
}

char **strv_split(const char *string, char separator)
{
	_autofree_(strv) char **v = NULL;
	for (;;) {
		const char *end = strchrnul(string, separator);
		if (strv_append_take(&v, strndup(string, (size_t)(end - string))) < 0)
			return NULL;
		if (!*end)
			return TAKE(v);
		string = end + 1;
	}
}

char *strv_join(char *const *v, const char *separator)
{
	_cleanup_(buf_finish) struct buf joined = BUF_INIT(SIZE_MAX / 4);
	strv_foreach (item, v)
		if ((item != v && buf_puts(&joined, separator) < 0) || buf_puts(&joined, *item) < 0)
			return NULL;
	return buf_take(&joined);
}

static int compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void strv_sort(char **v)
{
	if (v)
		qsort(v, strv_count(v), sizeof *v, compare_strings);
}

static size_t env_name_len(const char *assignment)
{
	return (size_t)(strchrnul(assignment, '=') - assignment);
}

const char *strv_env_get(char *const *env, const char *name)
{
	size_t len = strlen(name);
	strv_foreach (item, env)
		if (strncmp(*item, name, len) == 0 && (*item)[len] == '=')
			return *item + len + 1;
	return NULL;
}

int strv_env_set(char ***env, const char *assignment)
{
	size_t len = env_name_len(assignment);
	for (char **item = *env; item && *item; item++) {
		if (env_name_len(*item) != len || strncmp(*item, assignment, len) != 0)
			continue;
		char *copy = strdup(assignment);
		if (!copy)
			return -ENOMEM;
		free(*item);
		*item = copy;
		return 0;
	}
	return strv_append(env, assignment);
}
