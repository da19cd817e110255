#include "cli/text.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "cli/object.h"
#include "codec/utf8.h"

#define FILE_MAX       (4 * 1024 * 1024)
#define LINE_MAX_BYTES (128 * 1024)

char *text_cut(char *text, char separator)
{
	char *at = strchr(text, separator);
	if (!at)
		return NULL;
	*at = '\0';
	return at + 1;
}

/* One field at *line, which is moved behind it. */
static int take_field(const char **line, struct buf *field)
{
	const char *p = *line;
	int ret = buf_puts(field, ""); /* so that an empty one is a string too */
	if (*p != '"') {
		size_t len = strcspn(p, ",");
		if (memchr(p, '"', len))
			return -EINVAL;
		*line = p + len;
		return ret < 0 ? ret : buf_append(field, p, len);
	}
	for (p++; ret == 0; p++) {
		if (*p == '"' && p[1] == '"')
			p++;
		else if (*p == '"')
			break;
		if (!*p)
			return -EINVAL;
		ret = buf_putc(field, *p);
	}
	*line = p + 1;
	if (**line && **line != ',')
		return -EINVAL;
	return ret;
}

int text_split_csv(const char *line, char ***ret)
{
	_autofree_(strv) char **fields = NULL;
	for (;; line++) {
		_cleanup_(buf_finish) struct buf field = BUF_INIT(LINE_MAX_BYTES);
		int r = take_field(&line, &field);
		if (r == 0)
			r = strv_append(&fields, field.data);
		if (r < 0)
			return r;
		if (!*line)
			break;
	}
	*ret = TAKE(fields);
	return 0;
}

json_t *text_map(char *const *assignments)
{
	json_t *map = json_object();
	strv_foreach (item, assignments) {
		_cleanup_free_ char *name = utf8_repair(*item);
		const char *value = name ? text_cut(name, '=') : NULL;
		if (!name || json_object_set_new(map, name, object_string(value ? value : "")) < 0) {
			json_decref(map);
			return NULL;
		}
	}
	return map;
}

json_t *text_array(char *const *strings)
{
	json_t *array = json_array();
	strv_foreach (item, strings) {
		if (json_array_append_new(array, object_string(*item)) < 0) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

char *text_absolute(const char *path)
{
	if (path[0] != '.')
		return strdup(path);
	_cleanup_free_ char *here = getcwd(NULL, 0);
	if (!here)
		return NULL;

	/* "." and ".." are resolved by name: the folder need not exist */
	_autofree_(strv) char **parts = strv_split(here, '/'), **add = strv_split(path, '/'), **result = NULL;
	if (!parts || !add || strv_extend(&parts, add) < 0)
		return NULL;
	strv_foreach (part, parts) {
		size_t count = strv_count(result);
		if (!**part || strcmp(*part, ".") == 0)
			continue;
		if (strcmp(*part, "..") == 0) {
			if (count) {
				free(result[count - 1]);
				result[count - 1] = NULL;
			}
		} else if (strv_append(&result, *part) < 0) {
			return NULL;
		}
	}
	_cleanup_free_ char *joined = result ? strv_join(result, "/") : strdup("");
	char *absolute;
	return joined && asprintf(&absolute, "/%s", joined) >= 0 ? absolute : NULL;
}

/* Files of variables and labels */

static int read_whole_file(const char *path, struct buf *content, struct err **reterr)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "open %s", path);
	int ret = io_read_all(fd, content);
	return ret < 0 ? err_errno(reterr, ret, "cannot read %s", path) : 0;
}

/* A line "NAME=value", "NAME" or "#..."; blanks before it don't count, blanks in the name are wrong. */
static int read_line(const char *path, const char *line, bool is_env, char ***out, struct err **reterr)
{
	while (isspace((unsigned char)*line))
		line++;
	if (!*line || *line == '#')
		return 0;

	size_t name_len = strcspn(line, "=");
	const char *value = line[name_len] ? line + name_len + 1 : NULL;
	if (!name_len)
		return err_set(reterr, ERR_INVALID, 0, "invalid env file (%s): no variable name on line '%s'", path,
			line);
	if (value) {
		for (size_t i = 0; i < name_len; i++) {
			if (isspace((unsigned char)line[i]))
				return err_set(reterr, ERR_INVALID, 0,
					"invalid env file (%s): variable '%.*s' contains whitespaces", path,
					(int)name_len, line);
		}
		return strv_append(out, line) < 0 ? err_oom(reterr) : 0;
	}
	while (name_len && isspace((unsigned char)line[name_len - 1]))
		name_len--;
	_cleanup_free_ char *name = strndup(line, name_len);
	if (!name)
		return err_oom(reterr);
	if (!is_env)
		return strv_append(out, name) < 0 ? err_oom(reterr) : 0;
	const char *here = getenv(name);
	return here && strv_appendf(out, "%s=%s", name, here) < 0 ? err_oom(reterr) : 0;
}

static int read_assignment_file(const char *path, bool is_env, char ***out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf content = BUF_INIT(FILE_MAX);
	int ret = read_whole_file(path, &content, reterr);
	if (ret < 0 || !content.len)
		return ret;
	if (strlen(content.data) != content.len)
		return err_set(reterr, ERR_INVALID, 0, "invalid env file (%s): it holds a NUL byte", path);

	char *line = content.data;
	if (strncmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3;
	while (ret == 0 && line) {
		char *next = text_cut(line, '\n');
		size_t len = strlen(line);
		if (len && line[len - 1] == '\r')
			line[len - 1] = '\0';
		ret = read_line(path, line, is_env, out, reterr);
		line = next;
	}
	return ret;
}

int text_read_env(char *const *files, char *const *assignments, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **out = NULL;
	strv_foreach (file, files) {
		int r = read_assignment_file(*file, true, &out, reterr);
		if (r < 0)
			return err_wrap(reterr, r, "--env-file");
	}
	strv_foreach (item, assignments) {
		if (**item == '=' || !**item)
			return err_set(reterr, ERR_INVALID, 0,
				"invalid argument \"%s\" for \"-e, --env\" flag: invalid environment variable: %s",
				*item, *item);
		const char *here = strchr(*item, '=') ? NULL : getenv(*item);
		if ((here ? strv_appendf(&out, "%s=%s", *item, here) : strv_append(&out, *item)) < 0)
			return err_oom(reterr);
	}
	*ret = TAKE(out);
	return 0;
}

int text_read_labels(char *const *files, char *const *assignments, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **out = NULL;
	strv_foreach (file, files) {
		int r = read_assignment_file(*file, false, &out, reterr);
		if (r < 0)
			return err_wrap(reterr, r, "--label-file");
	}
	strv_foreach (item, assignments) {
		if (**item == '=' || !**item)
			return err_set(reterr, ERR_INVALID, 0,
				"invalid argument \"%s\" for \"-l, --label\" flag: invalid label '%s': empty name",
				*item, *item);
		if (strv_append(&out, *item) < 0)
			return err_oom(reterr);
	}
	*ret = TAKE(out);
	return 0;
}
