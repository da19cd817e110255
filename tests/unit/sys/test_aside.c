#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "sys/aside.h"
#include "sys/bare_call.h"
#include "sys/namespaces.h"

struct work {
	int ask[2]; /* pipes */
	int answer[2];
};

/* Both are at work at once, or this would wait for ever; what one opens the other has. */
static long carry(void *user)
{
	const struct work *work = user;
	char byte;
	long r = bare_call(__NR_read, work->ask[0], (long)&byte, 1, 0);

	if (r == 1)
		r = bare_call(__NR_write, work->answer[1], (long)&byte, 1, 0);
	return r == 1 ? bare_call(__NR_dup, work->ask[0], 0, 0, 0) : r;
}

static void works_beside_its_caller(void **state)
{
	struct work work;
	char byte = 'x';

	(void)state;
	assert_int_equal(pipe2(work.ask, O_CLOEXEC), 0);
	assert_int_equal(pipe2(work.answer, O_CLOEXEC), 0);
	struct aside *aside = aside_begin(carry, &work);
	assert_non_null(aside);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* whoever waits for any child does not meet it */
	assert_int_equal(errno, ECHILD);
	assert_int_equal(write(work.ask[1], &byte, 1), 1);
	byte = 0;
	assert_int_equal(read(work.answer[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	int fd = (int)aside_finish(aside);
	assert_true(fd >= 0 && fcntl(fd, F_GETFD) >= 0);
	close(fd);
	for (int i = 0; i < 2; i++) {
		close(work.ask[i]);
		close(work.answer[i]);
	}
}

static long close_nothing(void *user)
{
	return bare_call(__NR_close, *(int *)user, 0, 0, 0);
}

static void a_failure_leaves_errno_alone(void **state)
{
	int no_fd = -1;

	(void)state;
	errno = ENOTTY;
	struct aside *aside = aside_begin(close_nothing, &no_fd);
	assert_non_null(aside);
	assert_int_equal(aside_finish(aside), -EBADF);
	assert_int_equal(errno, ENOTTY);
}

static long end(void *user)
{
	(void)user;
	return bare_call(__NR_kill, bare_call(__NR_getpid, 0, 0, 0, 0), SIGKILL, 0, 0);
}

static void killed_or_never_begun(void **state)
{
	(void)state;
	struct aside *aside = aside_begin(end, NULL);
	assert_non_null(aside);
	assert_int_equal(aside_finish(aside), -ECHILD);
	assert_int_equal(aside_finish(NULL), -ECHILD);
}

static void makes_a_network(void **state)
{
	char home[64] = "", now[64] = "", path[64], made[64] = "";

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_true(readlink("/proc/self/ns/net", home, sizeof(home) - 1) > 0);
	_autoclose_ int fd = (int)aside_finish(aside_begin(namespace_new_network_aside, (void *)(uintptr_t)UINT_MAX));
	assert_true(fd >= 0);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_true(readlink("/proc/self/ns/net", now, sizeof(now) - 1) > 0);
	assert_string_equal(now, home);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_true(readlink(path, made, sizeof(made) - 1) > 0);
	assert_int_equal(strncmp(made, "net:[", 5), 0);
	assert_string_not_equal(made, home);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(works_beside_its_caller),
		cmocka_unit_test(a_failure_leaves_errno_alone),
		cmocka_unit_test(killed_or_never_begun),
		cmocka_unit_test(makes_a_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
