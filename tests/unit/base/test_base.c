#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/io.h"
#include "base/list.h"
#include "base/map.h"
#include "base/parse.h"
#include "base/strv.h"

static void buf_keeps_its_ceiling(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf buf = BUF_INIT(8);
	assert_int_equal(buf_puts(&buf, "1234567"), 0);
	assert_int_equal(buf_putc(&buf, '8'), 0);
	assert_int_equal(buf_putc(&buf, '9'), -EFBIG);
	assert_string_equal(buf.data, "12345678");
	buf_consume(&buf, 3);
	assert_string_equal(buf.data, "45678");
	assert_int_equal(buf_printf(&buf, "%d", 123), 0);
	assert_int_equal(buf_printf(&buf, "%d", 1), -EFBIG);
	_cleanup_free_ char *taken = buf_take(&buf);
	assert_string_equal(taken, "45678123");
	assert_int_equal(buf.len, 0);
}

static void map_survives_churn(void **state)
{
	(void)state;
	_autofree_(map) struct map *map = map_new(free);
	char key[16];
	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "k%d", i);
		assert_int_equal(map_set(map, key, strdup(key)), 0);
		if (i >= 10) {
			snprintf(key, sizeof key, "k%d", i - 10);
			assert_true(map_remove(map, key));
		}
	}
	assert_int_equal(map_count(map), 10);
	assert_null(map_get(map, "k4989"));
	assert_string_equal(map_get(map, "k4990"), "k4990");

	int expected = 4990;
	struct map_entry *entry;
	map_foreach (entry, map) {
		snprintf(key, sizeof key, "k%d", expected++);
		assert_string_equal(entry->key, key);
	}
	assert_int_equal(map_set(map, "k4990", strdup("new")), 0);
	assert_string_equal(map_get(map, "k4990"), "new");
	assert_int_equal(map_count(map), 10);
}

static void errors_carry_kind_and_sentence(void **state)
{
	(void)state;
	_autofree_(err) struct err *err = NULL;
	assert_int_equal(err_errno(&err, -ENOENT, "cannot open %s", "x"), -ENOENT);
	assert_int_equal(err->kind, ERR_NOT_FOUND);
	assert_string_equal(err->message, "cannot open x: no such file or directory");
	assert_int_equal(err_wrap(&err, -ENOENT, "layer %d", 3), -ENOENT);
	assert_string_equal(err->message, "layer 3: cannot open x: no such file or directory");
	assert_int_equal(err_set(NULL, ERR_CONFLICT, 0, "ignored"), -EEXIST);
	assert_int_equal(err_kind_from_name("too-large"), ERR_TOO_LARGE);
	assert_int_equal(err_kind_from_name("no such kind"), ERR_INTERNAL);
}

static void numbers_are_checked(void **state)
{
	(void)state;
	uint64_t u;
	int64_t i;
	assert_int_equal(parse_u64("4294967295", UINT32_MAX, &u), 0);
	assert_int_equal(u, UINT32_MAX);
	assert_int_equal(parse_u64("4294967296", UINT32_MAX, &u), -ERANGE);
	assert_int_equal(parse_u64("99999999999999999999999", UINT64_MAX, &u), -ERANGE);
	static const char *const wrong[] = { "", "-1", "+1", " 1", "1 ", "0x1", "1e3", "99999999999999999999x" };
	for (size_t n = 0; n < ARRAY_SIZE(wrong); n++)
		assert_int_equal(parse_u64(wrong[n], UINT64_MAX, &u), -EINVAL);
	assert_int_equal(parse_i64("-9223372036854775808", INT64_MIN, INT64_MAX, &i), 0);
	assert_true(i == INT64_MIN);
	assert_int_equal(parse_i64("-9223372036854775809", INT64_MIN, INT64_MAX, &i), -ERANGE);

	assert_int_equal(parse_bytes("64m", &i), 0);
	assert_int_equal(i, 64 << 20);
	assert_int_equal(parse_bytes("1.5KiB", &i), 0);
	assert_int_equal(i, 1536);
	assert_int_equal(parse_bytes("12b", &i), 0);
	assert_int_equal(i, 12);
	assert_int_equal(parse_bytes("m", &i), -EINVAL);
	assert_int_equal(parse_bytes("1q", &i), -EINVAL);
	assert_int_equal(parse_bytes("999999999999t", &i), -ERANGE);

	static const struct {
		const char *text;
		int64_t bits;
	} rates[] = { { "0", 0 }, { "8000", 8000 }, { "500k", 500000 }, { "10M", 10000000 }, { "2.5g", 2500000000 },
		{ "1tbit", 1000000000000 }, { "0.0011m", 1100 }, { "3BIT", 3 } };
	for (size_t n = 0; n < ARRAY_SIZE(rates); n++) {
		assert_int_equal(parse_bits(rates[n].text, &i), 0);
		assert_int_equal(i, rates[n].bits);
	}
	static const char *const no_rates[] = { "", "m", "-1", "1q", "1kb", "1 k", "1kbits", "1p" };
	for (size_t n = 0; n < ARRAY_SIZE(no_rates); n++)
		assert_int_equal(parse_bits(no_rates[n], &i), -EINVAL);
	assert_int_equal(parse_bits("99999999999t", &i), -ERANGE);
}

static void times_round_trip(void **state)
{
	(void)state;
	char text[CLOCK_RFC3339_MAX];
	int64_t ns;
	assert_int_equal(clock_parse_rfc3339("2026-11-23T20:15:00.5+01:00", &ns), 0);
	clock_format_rfc3339(ns, text);
	assert_string_equal(text, "2026-11-23T19:15:00.5Z");
	clock_format_rfc3339_fixed(ns, text);
	assert_string_equal(text, "2026-11-23T19:15:00.500000000Z");
	clock_format_rfc3339(CLOCK_NEVER, text);
	assert_string_equal(text, "0001-01-01T00:00:00Z");
	assert_int_equal(clock_parse_rfc3339(text, &ns), 0);
	assert_true(ns == CLOCK_NEVER);
	assert_int_equal(clock_parse_rfc3339("2026-13-01T00:00:00Z", &ns), -EINVAL);
	assert_int_equal(clock_parse_rfc3339("2026-11-23", &ns), -EINVAL);

	assert_int_equal(clock_parse_duration("1h30m1.5s", &ns), 0);
	assert_true(ns == 5401500000000);
	assert_int_equal(clock_parse_duration("10", &ns), -EINVAL);
	assert_int_equal(clock_parse_duration("9999999h", &ns), -ERANGE);
}

/* libc's calendar is the judge, over all that nanoseconds reach, with each day's first and last second. */
static void calendar_is_libcs(void **state)
{
	(void)state;
	for (int64_t day = -106000; day < 106000; day++) {
		for (int edge = 0; edge < 2; edge++) {
			time_t seconds = day * 86400 + (edge ? 86399 : 0);
			struct tm tm;
			char expected[CLOCK_RFC3339_MAX], text[CLOCK_RFC3339_MAX];
			int64_t ns;
			strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
			clock_format_rfc3339(seconds * NS_PER_SEC, text);
			assert_string_equal(text, expected);
			assert_int_equal(clock_parse_rfc3339(text, &ns), 0);
			assert_int_equal(ns, seconds * NS_PER_SEC);
		}
	}
}

static void environment_is_replaced_by_name(void **state)
{
	(void)state;
	_autofree_(strv) char **env = NULL;
	assert_int_equal(strv_env_set(&env, "A=1"), 0);
	assert_int_equal(strv_env_set(&env, "AB=2"), 0);
	assert_int_equal(strv_env_set(&env, "A=3"), 0);
	assert_int_equal(strv_count(env), 2);
	assert_string_equal(strv_env_get(env, "A"), "3");
	assert_null(strv_env_get(env, "B"));
	_autofree_(strv) char **pieces = strv_split("a::b", ':');
	assert_int_equal(strv_count(pieces), 3);
	_cleanup_free_ char *joined = strv_join(pieces, ",");
	assert_string_equal(joined, "a,,b");
}

static void files_are_replaced_whole(void **state)
{
	(void)state;
	char folder[] = "/tmp/tare-test-base.XXXXXX";
	assert_non_null(mkdtemp(folder));
	_autoclose_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(io_replace_file(fd, "f", "one", 3, false), 0);
	assert_int_equal(io_replace_file(fd, "f", "three", 5, true), 0);
	assert_int_equal(io_replace_file(fd, "a/f", "x", 1, false), -EINVAL);

	_cleanup_(buf_finish) struct buf exact = BUF_INIT(5);
	assert_int_equal(io_read_file(fd, "f", &exact), 0);
	assert_string_equal(exact.data, "three");
	_cleanup_(buf_finish) struct buf small = BUF_INIT(4);
	assert_int_equal(io_read_file(fd, "f", &small), -EFBIG);
	assert_int_equal(unlinkat(fd, "f", 0), 0);
	assert_int_equal(rmdir(folder), 0); /* so no temporary file is left */
}

struct member {
	int value;
	struct list link;
};

static void list_allows_removal_while_walking(void **state)
{
	(void)state;
	struct list head = LIST_INIT(head);
	struct member members[4];
	for (int i = 0; i < 4; i++) {
		members[i].value = i;
		list_append(&head, &members[i].link);
	}
	struct member *m, *following;
	list_foreach_safe (m, following, &head, link)
		if (m->value % 2)
			list_remove(&m->link);
	int sum = 0;
	list_foreach (m, &head, link)
		sum += m->value;
	assert_int_equal(sum, 2);
	list_remove(&members[1].link); /* again: harmless */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_keeps_its_ceiling),
		cmocka_unit_test(map_survives_churn),
		cmocka_unit_test(errors_carry_kind_and_sentence),
		cmocka_unit_test(numbers_are_checked),
		cmocka_unit_test(times_round_trip),
		cmocka_unit_test(environment_is_replaced_by_name),
		cmocka_unit_test(files_are_replaced_whole),
		cmocka_unit_test(list_allows_removal_while_walking),
		cmocka_unit_test(calendar_is_libcs),
	};
	return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
