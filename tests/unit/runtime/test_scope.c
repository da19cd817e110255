/* Names of units and slices, and limits in systemd's words. */
#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "runtime/scope.h"
#include "runtime/scope_properties.h"

static void test_slices(void **state)
{
	(void)state;
	static const char *const good[][2] = { { "system.slice", "/system.slice" },
		{ "a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice" }, { "-.slice", "" },
		{ "a.b-c.slice", "/a.b.slice/a.b-c.slice" } };
	static const char *const bad[] = { "", ".slice", "system", "a/b.slice", "-a.slice", "a-.slice", "a--b.slice",
		"a.slice.d", "--.slice" };
	char long_name[300];

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		_cleanup_free_ char *path = NULL;
		assert_int_equal(scope_slice_path(good[i][0], &path), 0);
		assert_string_equal(path, good[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_free_ char *path = NULL;
		assert_int_equal(scope_slice_path(bad[i], &path), -EINVAL);
	}
	for (size_t len = 254; len <= 256; len++) {
		_cleanup_free_ char *path = NULL;
		memset(long_name, 'x', len);
		strcpy(long_name + len - 6, ".slice");
		assert_int_equal(scope_slice_path(long_name, &path), len <= 255 ? 0 : -EINVAL);
	}
}

static void check_names(const char *path, bool is_user, const char *slice, const char *unit)
{
	_cleanup_free_ char *found_slice = NULL, *found_unit = NULL;

	assert_int_equal(scope_names(path, "id", is_user, &found_slice, &found_unit, NULL), 0);
	assert_string_equal(found_slice, slice);
	assert_string_equal(found_unit, unit);
}

static void test_names(void **state)
{
	(void)state;
	static const char *const bad[] = { "/a/b", "a:b", "a:b:c:d", "a.slice:b:c/d", "a.slice:b:c d" };

	check_names(NULL, false, "system.slice", "tare-id.scope");
	check_names("", true, "user.slice", "tare-id.scope");
	check_names("m.slice:docker:0123", false, "m.slice", "docker-0123.scope");
	check_names("m.slice::0123", false, "m.slice", "0123.scope");
	check_names(":cri:", false, "system.slice", "cri-id.scope");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		char *slice = NULL, *unit = NULL;
		assert_int_equal(scope_names(bad[i], "id", false, &slice, &unit, NULL), -EINVAL);
	}
}

/* "Name=value" for each property, arrays of bytes and of pairs written out. */
static void read_properties(const struct dbus_body *body, char ***ret)
{
	struct dbus_message message = { .body = (uint8_t *)body->bytes.data, .body_len = body->bytes.len };
	struct dbus_reader reader;

	assert_int_equal(body->r, 0);
	dbus_reader_init(&reader, &message);
	while (reader.at < reader.len) {
		reader.at = (reader.at + 7) / 8 * 8;
		const char *name = dbus_get_string(&reader), *type = dbus_get_signature(&reader);
		assert_non_null(type);
		uint64_t number = 0;
		char text[2000] = "";
		if (strcmp(type, "t") == 0) {
			reader.at = (reader.at + 7) / 8 * 8;
			number = dbus_get_u32(&reader);
			number |= (uint64_t)dbus_get_u32(&reader) << 32;
			snprintf(text, sizeof(text), number == UINT64_MAX ? "max" : "%llu", (unsigned long long)number);
		} else if (strcmp(type, "s") == 0) {
			snprintf(text, sizeof(text), "%s", dbus_get_string(&reader));
		} else if (strcmp(type, "ay") == 0) {
			uint32_t count = dbus_get_u32(&reader);
			for (uint32_t i = 0; i < count; i++)
				snprintf(text + strlen(text), 4, "%02x", reader.data[reader.at++]);
		} else {
			assert_string_equal(type, "a(ss)");
			size_t len = dbus_get_u32(&reader);
			reader.at = (reader.at + 7) / 8 * 8;
			for (size_t end = reader.at + len; reader.at < end;) {
				reader.at = (reader.at + 7) / 8 * 8;
				const char *device = dbus_get_string(&reader), *access = dbus_get_string(&reader);
				snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s %s,", device, access);
			}
		}
		assert_int_equal(reader.r, 0);
		assert_int_equal(strv_appendf(ret, "%s=%s", name, text), 0);
	}
}

static void check_resources(const char *json, bool is_v2, bool new_devices, const char *expected)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	_autofree_(strv) char **found = NULL;
	struct oci_resources resources = { 0 };

	assert_int_equal(json_parse(&oci_resources_table, json, strlen(json), &resources, NULL), 0);
	scope_put_resources(&body, &resources, is_v2, new_devices);
	read_properties(&body, &found);
	_cleanup_free_ char *text = strv_join(found, " ");
	assert_string_equal(text ? text : "", expected);
	json_finish(&oci_resources_table, &resources);
}

static void test_resources(void **state)
{
	(void)state;
	check_resources("{}", true, false, "");
	check_resources("{\"memory\":{\"limit\":1000,\"swap\":1500,\"reservation\":-1},\"pids\":{\"limit\":5}}", true,
		false, "MemoryMax=1000 MemoryLow=max MemorySwapMax=500 TasksMax=5");
	check_resources("{\"memory\":{\"limit\":1000,\"swap\":-1}}", false, false, "MemoryLimit=1000");
	check_resources("{\"cpu\":{\"shares\":1024,\"cpus\":\"0-1,9\",\"mems\":\"0\"}}", true, false,
		"CPUWeight=100 AllowedCPUs=0302 AllowedMemoryNodes=01");
	check_resources("{\"cpu\":{\"shares\":1024,\"cpus\":\"0-1,9\"}}", false, false, "CPUShares=1024");
	check_resources("{\"cpu\":{\"shares\":1024,\"idle\":1}}", true, false, "CPUWeight=0");
	check_resources("{\"blockIO\":{\"weight\":30}}", false, false, "BlockIOWeight=30");
	/* To the next hundredth of a processor, never below. */
	check_resources("{\"cpu\":{\"quota\":50000}}", true, false,
		"CPUQuotaPeriodUSec=100000 CPUQuotaPerSecUSec=500000");
	check_resources("{\"cpu\":{\"quota\":12345,\"period\":50000}}", true, false,
		"CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=250000");
	check_resources("{\"cpu\":{\"quota\":-1,\"period\":50000}}", true, false,
		"CPUQuotaPeriodUSec=50000 CPUQuotaPerSecUSec=max");
	check_resources(
		"{\"unified\":{\"memory.high\":\"5\",\"pids.max\":\"max\",\"cpu.max\":\"max 1000\",\"cpuset.cpus\":\"7\",\"io.max\":\"x\"}}",
		true, false, "MemoryHigh=5 TasksMax=max AllowedCPUs=80 CPUQuotaPeriodUSec=1000 CPUQuotaPerSecUSec=max");
}

#define USUAL                                                                                                         \
 "char-* m,block-* m,/dev/char/1:3 rwm,/dev/char/1:5 rwm,/dev/char/1:7 rwm,/dev/char/1:8 rwm,/dev/char/1:9 rwm,/dev/" \
 "char/5:0 rwm,/dev/char/5:1 rwm,/dev/char/5:2 rwm,char-136 rwm,"

static void test_devices(void **state)
{
	(void)state;
	check_resources("{}", true, true, "DevicePolicy=strict DeviceAllow= DeviceAllow=" USUAL);
	check_resources(
		"{\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":4,\"access\":\"r\"},{\"allow\":true,\"major\":7,\"access\":\"w\"},"
		"{\"allow\":false,\"type\":\"b\",\"major\":7}]}",
		true, false, "DevicePolicy=strict DeviceAllow= DeviceAllow=char-4 r,char-7 w,block-7 w," USUAL);
	/* What was allowed before everything was denied is not. */
	check_resources("{\"devices\":[{\"allow\":true},{\"allow\":false}]}", true, false,
		"DevicePolicy=strict DeviceAllow= DeviceAllow=" USUAL);
	check_resources("{\"devices\":[{\"allow\":true}]}", true, false, "DevicePolicy=auto DeviceAllow=");
	/* A minor number of every major is nothing that can be said. */
	check_resources("{\"devices\":[{\"allow\":true,\"type\":\"c\",\"minor\":4,\"access\":\"r\"}]}", true, false,
		"DevicePolicy=auto DeviceAllow=");
}

static int put_annotation(const char *name, const char *value, char ***ret)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	_autofree_(map) struct map *map = map_new(NULL);

	assert_int_equal(map_set(map, name, (void *)value), 0);
	int r = scope_put_annotations(&body, map, NULL);
	if (r == 0)
		read_properties(&body, ret);
	return r;
}

static void test_annotations(void **state)
{
	(void)state;
	_autofree_(strv) char **found = NULL;

	assert_int_equal(put_annotation("other", "x", &found), 0);
	assert_int_equal(strv_count(found), 0);
	assert_int_equal(put_annotation("org.systemd.property.CollectMode", "'inactive'", &found), 0);
	assert_int_equal(put_annotation("org.systemd.property.TimeoutStopSec", "1.5", &found), 0);
	assert_int_equal(put_annotation("org.systemd.property.TimeoutStopSec", "uint32 3", &found), 0);
	assert_int_equal(put_annotation("org.systemd.property.TimeoutStopUSec", "uint64 7", &found), 0);
	_cleanup_free_ char *text = strv_join(found, " ");
	assert_string_equal(text,
		"CollectMode=inactive TimeoutStopUSec=1500000 TimeoutStopUSec=3000000 TimeoutStopUSec=7");
	assert_int_equal(put_annotation("org.systemd.property.TimeoutStopSec", "-1", &found), -EINVAL);
	assert_int_equal(put_annotation("org.systemd.property.A_b", "1", &found), -EINVAL);
	assert_int_equal(put_annotation("org.systemd.property.ab", "1", &found), -EINVAL);
	assert_int_equal(put_annotation("org.systemd.property.Abc", "what", &found), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slices),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_resources),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_annotations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
