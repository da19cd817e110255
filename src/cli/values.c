#include "cli/values.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"

json_t *value_at(const json_t *object, const char *path)
{
	for (;;) {
		size_t len = strcspn(path, ".");
		json_t *member = json_object_getn(object, path, len);
		if (!member || !path[len])
			return member;
		object = member;
		path += len + 1;
	}
}

const char *value_string(const json_t *object, const char *path)
{
	const char *text = json_string_value(value_at(object, path));
	return text ? text : "";
}

int64_t value_int(const json_t *object, const char *path)
{
	const json_t *value = value_at(object, path);
	return json_is_real(value) ? (int64_t)json_real_value(value) : json_integer_value(value);
}

bool value_bool(const json_t *object, const char *path)
{
	return json_is_true(value_at(object, path));
}

void value_short_id(const char *id, char out[static VALUE_SHORT_ID_MAX])
{
	const char *colon = strchr(id, ':');
	snprintf(out, VALUE_SHORT_ID_MAX, "%.12s", colon ? colon + 1 : id);
}

int value_join_labels(const json_t *labels, struct buf *out)
{
	_autofree_(strv) char **lines = NULL;
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)labels, key, value) {
		if (strv_appendf(&lines, "%s=%s", key, json_is_string(value) ? json_string_value(value) : "") < 0)
			return -ENOMEM;
	}
	strv_sort(lines);
	_cleanup_free_ char *joined = lines ? strv_join(lines, ",") : strdup("");
	return joined ? buf_puts(out, joined) : -ENOMEM;
}

int value_ellipsis(const char *text, size_t max, struct buf *out)
{
	size_t width = 0, cut = 0, i = 0;
	for (; text[i]; i++) {
		bool starts = ((unsigned char)text[i] & 0xc0) != 0x80;
		if (starts && width == max - 1)
			cut = i;
		width += starts;
	}
	if (width <= max)
		return buf_puts(out, text);
	int ret = buf_append(out, text, cut);
	return ret < 0 ? ret : buf_puts(out, "\xe2\x80\xa6");
}
