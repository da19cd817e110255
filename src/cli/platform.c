#include "cli/platform.h"

#include <string.h>

#include "base/strv.h"
#include "cli/object.h"
#include "codec/json.h"
#include "codec/query.h"

#define PLATFORM_MAX 4096

static int build(const char *text, struct buf *out, struct err **reterr)
{
	static const char *const keys[] = { "os", "architecture", "variant" };
	_autofree_(strv) char **parts = strv_split(text, '/');
	if (!parts)
		return err_oom(reterr);
	_cleanup_(object_finish) struct object platform;
	object_init(&platform);
	for (size_t i = 0; parts[i]; i++) {
		if (i >= ARRAY_SIZE(keys) || !*parts[i])
			return err_set(reterr, ERR_INVALID, 0, "invalid platform \"%s\": expected os[/arch[/variant]]",
				text);
		object_put_string(&platform, keys[i], parts[i]);
	}
	if (platform.failed || json_print_value(platform.json, out) < 0)
		return err_oom(reterr);
	return 0;
}

int platform_append(const char *text, const char *key, struct buf *path, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf json = BUF_INIT(PLATFORM_MAX);
	int ret = build(text, &json, reterr);
	if (ret < 0)
		return ret;
	ret = query_append(path, key, json.data);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the request") : 0;
}
