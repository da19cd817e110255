/* The monitor's parts that are arithmetic or text. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "monitor/detach.h"
#include "monitor/health.h"
#include "monitor/ps.h"
#include "monitor/queue.h"
#include "monitor/restart.h"
#include "spec/health.h"

/* --- detach keys --- */

static void detach_keys_are_read(void **state)
{
	(void)state;
	struct detach detach;
	assert_int_equal(detach_init(&detach, NULL), 0);
	assert_int_equal(detach.count, 2);
	assert_memory_equal(detach.keys, "\x10\x11", 2);
	assert_int_equal(detach_init(&detach, "a,ctrl-[,DEL,ctrl-@,ctrl-_,,,ctrl-z"), 0);
	assert_int_equal(detach.count, 7);
	assert_memory_equal(detach.keys, "a\x1b\x7f\0\x1f,\x1a", 7);

	static const char *const bad[] = { "ctrl-", "ctrl-A", "ctrl-1", "ctrl-aa", "ab", "a,", "DELx", "ctrl-a,,b" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(detach_init(&detach, bad[i]), -EINVAL);
	assert_int_equal(detach_init(&detach, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p"), 0);
	assert_int_equal(detach_init(&detach, "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q"), -EINVAL);
}

/* Feeds `in` in pieces of each size; expects what passes, and whether it ends in a detach. */
static void expect_filtered(const char *keys, const char *in, const char *out, bool detaches)
{
	for (size_t piece = 1; piece <= strlen(in); piece++) {
		char passed[256], buffer[256 + DETACH_KEYS_MAX];
		size_t len = 0, got;
		bool detached = false;
		struct detach detach;
		assert_int_equal(detach_init(&detach, keys), 0);
		for (size_t at = 0; at < strlen(in) && !detached; at += piece) {
			size_t n = strlen(in) - at < piece ? strlen(in) - at : piece;
			detached = detach_filter(&detach, in + at, n, buffer, &got);
			memcpy(passed + len, buffer, got);
			len += got;
		}
		passed[len] = '\0';
		assert_string_equal(passed, out);
		assert_int_equal(detached, detaches);
	}
}

static void detach_keys_are_found(void **state)
{
	(void)state;
	expect_filtered("a,b", "xyz", "xyz", false);
	expect_filtered("a,b", "xaby", "x", true);
	expect_filtered("a,b", "xacb", "xacb", false);
	expect_filtered("a,b", "xaab", "xa", true);
	expect_filtered("a,a,b", "aaaab", "aa", true);
	expect_filtered("a,b,a,c", "ababac", "ab", true);
	expect_filtered("a,b,a,c", "ababad", "ababad", false);
	expect_filtered("a,b", "xa", "x", false); /* undecided yet */
}

/* --- restart policies --- */

static void policies_decide(void **state)
{
	(void)state;
	struct restart restart = { 0 };
	int64_t delay;

	assert_int_equal(restart_policy_parse("sometimes", 0, &restart.policy), -EINVAL);
	assert_int_equal(restart_policy_parse(NULL, 0, &restart.policy), 0);
	assert_false(restart_decide(&restart, 1, false, 0, &delay));
	assert_int_equal(restart_policy_parse("always", 0, &restart.policy), 0);
	assert_true(restart_decide(&restart, 0, true, 0, &delay));
	assert_int_equal(restart_policy_parse("unless-stopped", 0, &restart.policy), 0);
	assert_true(restart_decide(&restart, 0, false, 0, &delay));
	assert_false(restart_decide(&restart, 0, true, 0, &delay));
	assert_int_equal(restart_policy_parse("on-failure", 0, &restart.policy), 0);
	assert_false(restart_decide(&restart, 0, false, 0, &delay));
	assert_true(restart_decide(&restart, 1, false, 0, &delay));
	restart.is_canceled = true;
	assert_false(restart_decide(&restart, 1, false, 0, &delay));
}

static void retries_are_counted(void **state)
{
	(void)state;
	struct restart restart = { 0 };
	int64_t delay;
	assert_int_equal(restart_policy_parse("on-failure", 3, &restart.policy), 0);
	for (int i = 0; i < 3; i++)
		assert_true(restart_decide(&restart, 1, false, 0, &delay));
	assert_false(restart_decide(&restart, 1, false, 0, &delay));
	restart_reset(&restart);
	assert_true(restart_decide(&restart, 1, false, 0, &delay));
	assert_int_equal(restart.count, 1);
}

static void delays_double_up_to_a_minute(void **state)
{
	(void)state;
	struct restart restart = { .policy = { RESTART_ALWAYS, 0 } };
	const int64_t expected[] = { 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000 };
	int64_t delay;
	for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
		assert_true(restart_decide(&restart, 0, false, 9999, &delay));
		assert_int_equal(delay, expected[i]);
	}
	assert_true(restart_decide(&restart, 0, false, 10000, &delay));
	assert_int_equal(delay, 100);
}

/* --- queue --- */

static void queue_keeps_its_ceiling(void **state)
{
	(void)state;
	struct queue queue;
	queue_init(&queue, 10);
	assert_int_equal(queue_append(&queue, "123456789", 9), 0);
	assert_int_equal(queue_append(&queue, "ab", 2), -EFBIG);
	assert_int_equal(queue_append(&queue, "a", 1), 0);
	assert_int_equal(queue_append(&queue, "b", 1), -EFBIG);
	assert_int_equal(queue.len, 10);
	queue_finish(&queue);
	assert_int_equal(queue_append(&queue, "b", 1), 0);
	queue_finish(&queue);
}

static void queue_writes_in_order(void **state)
{
	(void)state;
	int ends[2];
	struct queue queue;
	_cleanup_(buf_finish) struct buf sent = BUF_INIT(1 << 24), got = BUF_INIT(1 << 24);
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	queue_init(&queue, 1 << 20);
	for (unsigned i = 0; i < 60000; i++) {
		char text[2][16];
		struct iovec iov[2];
		for (int part = 0; part < 2; part++) {
			int len = snprintf(text[part], sizeof text[part], "%u.%d ", i, part);
			iov[part] = (struct iovec){ text[part], (size_t)len };
			assert_int_equal(buf_append(&sent, text[part], (size_t)len), 0);
		}
		assert_int_equal(queue_write(&queue, ends[1], iov, 2), 0);
		if (i % 97 == 0) /* the reader takes odd bites */
			buf_read(&got, ends[0], 1001 + i % 7);
		if (queue.len > 1 << 19)
			buf_read(&got, ends[0], 1 << 16);
	}
	while (queue.len) {
		assert_true(buf_read(&got, ends[0], 1 << 16) > 0);
		assert_int_equal(queue_write(&queue, ends[1], NULL, 0), 0);
	}
	assert_null(queue.data); /* holds memory only for content */
	close(ends[1]);
	assert_int_equal(io_read_all(ends[0], &got), 0);
	close(ends[0]);
	assert_int_equal(got.len, sent.len);
	assert_memory_equal(got.data, sent.data, sent.len);
}

/* --- ps --- */

static const char stat_text[] = "4242 (a (b) c) S 1 4242 4242 34817 4243 4194560 100 0 0 0 150 50 0 0 20 0 3 0 60000 "
				"10485760 512 18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n";
static const char status_text[] = "Name:\ta\nUid:\t0\t1000\t0\t0\nGid:\t0\t7\t0\t0\n";

static char *row_text(const char *args)
{
	const struct ps_host host = {
		.now_s = 1700001000,
		.boot_s = 1700000000,
		.ticks_per_s = 100,
		.page_bytes = 4096,
		.memory_bytes = 1 << 30,
		.passwd = "root:x:0:0::/:\nsomebody:x:1000:1000::/:\n",
		.group = "root:x:0:\n",
	};
	_autofree_(ps_format) struct ps_format *format = NULL;
	struct ps_process process;
	assert_int_equal(ps_format_parse(args, &format, NULL), 0);
	assert_int_equal(ps_process_parse(stat_text, status_text,
				 "sleep\0"
				 "1\n0",
				 9, &process),
		0);
	_autofree_(strv) char **titles = ps_titles(format);
	_autofree_(strv) char **row = ps_row(format, &process, &host);
	ps_process_finish(&process);
	_cleanup_free_ char *first = strv_join(titles, "|");
	_cleanup_free_ char *second = strv_join(row, "|");
	char *text = NULL;
	assert_true(asprintf(&text, "%s\n%s", first, second) > 0);
	return text;
}

static void expect_row(const char *args, const char *expected)
{
	_cleanup_free_ char *text = row_text(args);
	assert_string_equal(text, expected);
}

static void ps_prints_what_was_asked(void **state)
{
	(void)state;
	expect_row("-o pid,user,group,comm,args,stat,tty,time,etime,nlwp,vsz,rss,pcpu",
		"PID|USER|GROUP|COMMAND|COMMAND|STAT|TTY|TIME|ELAPSED|NLWP|VSZ|RSS|%CPU\n"
		"4242|somebody|7|a (b) c|sleep 1?0|Ssl|pts/1|00:00:02|06:40|3|10240|2048|0.5");
	expect_row("-opid,uid=WHO", "PID|WHO\n4242|1000");
	expect_row("-e --format ppid", "PPID\n1");
	expect_row("-A --format=pid", "PID\n4242");
	_cleanup_free_ char *full = row_text(NULL);
	assert_non_null(strstr(full, "UID|PID|PPID|C|STIME|TTY|TIME|CMD\nsomebody|4242|1|0|"));
	_cleanup_free_ char *bsd = row_text("aux");
	assert_non_null(strstr(bsd, "USER|PID|%CPU|%MEM|VSZ|RSS|TTY|STAT|START|TIME|COMMAND\nsomebody|4242|0.5|0.1|"));
}

static void ps_refuses_what_it_does_not_know(void **state)
{
	(void)state;
	static const char *const bad[] = { "-o", "-o nonsuch", "-o pid,", "-Z", "--forest", "-o ,", "-o pid,uid,xx" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		_autofree_(ps_format) struct ps_format *format = NULL;
		_autofree_(err) struct err *err = NULL;
		assert_int_equal(ps_format_parse(bad[i], &format, &err), -EINVAL);
		assert_non_null(err);
	}
	struct ps_process process;
	static const char *const broken[] = { "", "1 sh S 1", "1 (sh) S 1 1", "1 )sh( S 1 1 1 1" };
	for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
		assert_int_equal(ps_process_parse(broken[i], "", "", 0, &process), -EINVAL);
}

static void kernel_threads_have_brackets(void **state)
{
	(void)state;
	struct ps_process process;
	assert_int_equal(ps_process_parse(stat_text, status_text, "", 0, &process), 0);
	assert_string_equal(process.command, "[a (b) c]");
	ps_process_finish(&process);
}

/* --- health --- */

static int apply(struct health *health, const struct healthcheck *check, int64_t exit_code, int64_t ran_for_ns)
{
	struct health_result result = {
		.start = strdup("a"), .end = strdup("b"), .exit_code = exit_code, .output = strdup("c")
	};
	return health_apply(health, check, &result, ran_for_ns);
}

static void health_changes_with_streaks(void **state)
{
	(void)state;
	struct health *health = calloc(1, sizeof *health);
	const struct healthcheck check = { .retries = 2, .start_period_ns = 100 };
	health->status = strdup("starting");

	for (int i = 0; i < 10; i++) /* within the start period */
		assert_int_equal(apply(health, &check, 1, 99), 0);
	assert_int_equal(health->failing_streak, 0);
	assert_int_equal(health->log_count, HEALTH_LOG_MAX);
	assert_int_equal(apply(health, &check, 1, 100), 0);
	assert_int_equal(apply(health, &check, 1, 101), 1);
	assert_string_equal(health->status, "unhealthy");
	assert_int_equal(apply(health, &check, 0, 102), 1);
	assert_string_equal(health->status, "healthy");
	assert_int_equal(health->failing_streak, 0);
	assert_int_equal(apply(health, &check, 1, 50), 0); /* it has been healthy: the start period is over */
	assert_int_equal(health->failing_streak, 1);
	json_free(&health_table, health);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(detach_keys_are_read),
		cmocka_unit_test(detach_keys_are_found),
		cmocka_unit_test(policies_decide),
		cmocka_unit_test(retries_are_counted),
		cmocka_unit_test(delays_double_up_to_a_minute),
		cmocka_unit_test(queue_keeps_its_ceiling),
		cmocka_unit_test(queue_writes_in_order),
		cmocka_unit_test(ps_prints_what_was_asked),
		cmocka_unit_test(ps_refuses_what_it_does_not_know),
		cmocka_unit_test(kernel_threads_have_brackets),
		cmocka_unit_test(health_changes_with_streaks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
