/* The values of run's options that have a grammar: the first byte picks it. What is accepted makes valid JSON. */
#include <string.h>

#include "base/strv.h"
#include "cli/detach.h"
#include "cli/mounts.h"
#include "cli/ports.h"
#include "cli/resources.h"
#include "cli/text.h"
#include "cli/timestamp.h"
#include "codec/json.h"

#include "fuzz.h"

typedef int append_fn(const char *spec, json_t *out, struct err **reterr);

static int rate(const char *spec, json_t *out, struct err **reterr)
{
	return resources_rate(spec, true, out, reterr);
}

static void append(append_fn *fn, const char *spec)
{
	_autojson_ json_t *out = json_array();
	_autofree_(err) struct err *err = NULL;
	if (fn(spec, out, &err) < 0) {
		fuzz_check(err && *err->message);
		return;
	}
	fuzz_check(json_array_size(out) == 1);
	_cleanup_free_ char *text = json_dumps(out, 0);
	fuzz_check(text);
}

static void publish(const char *spec)
{
	_autojson_ json_t *exposed = json_object(), *bindings = json_object();
	_autofree_(err) struct err *err = NULL;
	if (ports_publish(spec, exposed, bindings, &err) < 0)
		fuzz_check(err && *err->message);
	else
		fuzz_check(json_object_size(exposed) == json_object_size(bindings) && json_object_size(exposed) > 0);
}

static void volume(const char *spec)
{
	_autojson_ json_t *binds = json_array(), *volumes = json_object();
	_autofree_(err) struct err *err = NULL;
	if (mounts_volume(spec, binds, volumes, &err) == 0)
		fuzz_check(json_array_size(binds) + json_object_size(volumes) == 1);
}

static void detach(const char *spec)
{
	struct detach_keys keys;
	_cleanup_(buf_finish) struct buf out = BUF_INIT(65536);
	if (detach_keys_parse(spec, &keys, NULL) < 0)
		return;
	size_t len = strlen(spec);
	int ret = detach_keys_feed(&keys, (const unsigned char *)spec, len, &out);
	fuzz_check(ret == 1 || out.len + keys.matched == len);
}

static void csv(const char *spec)
{
	_autofree_(strv) char **fields = NULL;
	if (text_split_csv(spec, &fields) == 0)
		fuzz_check(strv_count(fields) > 0);
}

static void timestamp(const char *spec)
{
	char out[TIMESTAMP_MAX];
	if (timestamp_parse(spec, out, NULL) == 0)
		fuzz_check(strspn(out, "-0123456789.") == strlen(out));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static append_fn *const appends[] = { mounts_mount, resources_device, resources_device_rule, resources_gpu,
		resources_ulimit, resources_weight, rate };
	static void (*const others[])(const char *spec) = { publish, volume, detach, csv, timestamp };
	if (!size)
		return 0;
	_cleanup_free_ char *spec = strndup((const char *)data + 1, size - 1);
	size_t choice = data[0] % (ARRAY_SIZE(appends) + ARRAY_SIZE(others));
	if (choice < ARRAY_SIZE(appends))
		append(appends[choice], spec);
	else
		others[choice - ARRAY_SIZE(appends)](spec);
	return 0;
}
