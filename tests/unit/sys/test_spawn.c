/* The program started is this test itself: with "probe" it checks what it was given, and its status says what is wrong. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "sys/pty.h"
#include "sys/sealed.h"
#include "sys/spawn.h"

extern char **environ;

static int open_self(void)
{
	return open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
}

static int probe_signals(void)
{
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int signo = 1; signo < NSIG; signo++) {
		struct sigaction action;
		if (sigismember(&mask, signo) == 1)
			return 10;
		/* SA_SIGINFO: a sanitizer's own handler, set by the program after it was started. */
		if (sigaction(signo, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
			!(action.sa_flags & SA_SIGINFO))
			return 11;
	}
	return 0;
}

/* argv: probe COUNT NAME...: descriptors 3 ... hold these, and nothing is open above. */
static int probe(int argc, char **argv)
{
	int r = probe_signals();
	if (r)
		return r;
	char cwd[8] = "";
	if (!getcwd(cwd, sizeof cwd) || strcmp(cwd, "/") != 0)
		return 12;
	if (getsid(0) != getpid())
		return 13;
	if (!environ[0] || strcmp(environ[0], "ONLY=this") != 0 || environ[1])
		return 14;
	mode_t mask = umask(0);
	if (mask != 022)
		return 15;
	for (int i = 2; i < argc; i++) {
		char content[32] = "";
		if (pread(i + 1, content, sizeof content - 1, 0) < 0 || strcmp(content, argv[i]) != 0)
			return 16;
		if (fcntl(i + 1, F_GETFD) != 0)
			return 17;
	}
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) != 0)
			return 18;
	for (int fd = argc + 1; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			return 19;
	return 0;
}

static int named_file(const char *content)
{
	int fd = memfd_create(content, 0); /* inheritable on purpose */
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, strlen(content)), strlen(content));
	return fd;
}

static int wait_status(pid_t pid)
{
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static char *const only_env[] = { "ONLY=this", NULL };

static void ignore(int signo)
{
	(void)signo;
}

static void child_gets_what_is_named_and_nothing_else(void **state)
{
	(void)state;
	signal(SIGUSR1, ignore);
	signal(SIGPIPE, SIG_IGN);
	sigset_t blocked, before, after;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigaddset(&blocked, SIGRTMIN + 2);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigprocmask(SIG_SETMASK, NULL, &before);
	mode_t mask = umask(077);

	int a = named_file("a"), b = named_file("b"), c = named_file("c");
	_autoclose_ int program_fd = open_self();
	/* Sources on each other's places, and one twice. */
	int fds[] = { c, a, b, a };
	char *argv[] = { "probe-child", "probe", "c", "a", "b", "a", NULL };
	struct spawn spawn = { .program_fd = program_fd,
		.argv = argv,
		.env = only_env,
		.stdio = SPAWN_STDIO_NULL,
		.fds = fds,
		.fd_count = 4 };
	pid_t pid;
	_autoclose_ int pidfd = -1;
	assert_int_equal(spawn_program(&spawn, &pid, &pidfd), 0);
	assert_true(fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	siginfo_t info = { 0 };
	assert_int_equal(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOWAIT), 0);
	assert_int_equal(info.si_pid, pid);
	assert_int_equal(wait_status(pid), 0);

	sigprocmask(SIG_SETMASK, NULL, &after);
	assert_memory_equal(&before, &after, sizeof(unsigned long));
	assert_int_equal(umask(mask), 077);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	close(a);
	close(b);
	close(c);
}

static void as_many_descriptors_as_allowed(void **state)
{
	(void)state;
	_autoclose_ int program_fd = open_self();
	int file = named_file("x");
	int fds[SPAWN_FDS_MAX + 1];
	char *argv[SPAWN_FDS_MAX + 3] = { "probe-child", "probe" };
	for (int i = 0; i < SPAWN_FDS_MAX + 1; i++)
		fds[i] = file;
	for (int i = 0; i < SPAWN_FDS_MAX; i++)
		argv[2 + i] = "x";
	struct spawn spawn = { .program_fd = program_fd,
		.argv = argv,
		.env = only_env,
		.stdio = SPAWN_STDIO_INHERIT,
		.fds = fds,
		.fd_count = SPAWN_FDS_MAX };
	pid_t pid;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), 0);
	assert_int_equal(wait_status(pid), 0);
	spawn.fd_count++;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -E2BIG);
	close(file);
}

static void failures_are_told_and_leave_no_child(void **state)
{
	(void)state;
	char *argv[] = { "nothing", NULL };
	pid_t pid = 0;
	struct spawn spawn = {
		.program_fd = -1, .path = "/nonexistent/program", .argv = argv, .stdio = SPAWN_STDIO_NULL
	};
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -ENOENT);
	spawn.path = "/etc/passwd";
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -EACCES);
	int text = named_file("no program");
	spawn.program_fd = text;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -ENOEXEC);
	close(text);
	int closed[] = { 1000 };
	spawn.program_fd = -1;
	spawn.fds = closed;
	spawn.fd_count = 1;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -EBADF);
	assert_int_equal(pid, 0);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

/* Nobody's wait and no SIGCHLD tells of it, its pidfd does; and its failures are told like a child's. */
static void orphans_are_nobodys_children(void **state)
{
	(void)state;
	_autoclose_ int program_fd = open_self();
	int file = named_file("a");
	char *argv[] = { "probe-child", "probe", "a", NULL };
	struct spawn spawn = { .program_fd = program_fd,
		.argv = argv,
		.env = only_env,
		.stdio = SPAWN_STDIO_NULL,
		.fds = &file,
		.fd_count = 1,
		.is_orphan = true };
	sigset_t children, before, pending;
	sigemptyset(&children);
	sigaddset(&children, SIGCHLD);
	sigprocmask(SIG_BLOCK, &children, &before);
	pid_t pid = 0;
	_autoclose_ int pidfd = -1;
	assert_int_equal(spawn_program(&spawn, &pid, &pidfd), 0);
	assert_true(pid > 0 && fcntl(pidfd, F_GETFD) & FD_CLOEXEC);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	assert_int_equal(poll(&end, 1, 60000), 1);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	assert_int_equal(errno, ECHILD);

	spawn.program_fd = -1;
	spawn.path = "/nonexistent/program";
	pid = 0;
	int none = -1;
	assert_int_equal(spawn_program(&spawn, &pid, &none), -ENOENT);
	assert_true(pid == 0 && none == -1);
	int closed = 1000;
	spawn.fds = &closed;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), -EBADF);
	assert_int_equal(waitpid(-1, NULL, WNOHANG | __WALL), -1);
	sigpending(&pending);
	assert_false(sigismember(&pending, SIGCHLD));
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(file);
}

/* What we close is closed, whenever the child gets to run. */
static void nothing_lives_on_aside(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		int pair[2];
		char byte;
		assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
		pid_t pid = spawn_aside(STDERR_FILENO);
		if (pid == 0)
			_exit(fcntl(pair[0], F_GETFD) >= 0);
		assert_true(pid > 0);
		close(pair[1]);
		assert_int_equal(read(pair[0], &byte, 1), 0);
		assert_int_equal(wait_status(pid), 0);
		assert_true(fcntl(pair[0], F_GETFD) >= 0);
		close(pair[0]);
	}
}

static void one_descriptor_is_kept_aside(void **state)
{
	(void)state;
	int before[2], kept[2], after[2];
	assert_int_equal(pipe2(before, O_CLOEXEC), 0);
	assert_int_equal(pipe2(kept, O_CLOEXEC), 0);
	assert_int_equal(pipe2(after, O_CLOEXEC), 0);
	pid_t pid = spawn_aside(kept[1]);
	if (pid == 0)
		_exit(fcntl(before[0], F_GETFD) >= 0 || fcntl(kept[0], F_GETFD) >= 0 || fcntl(after[0], F_GETFD) >= 0 ||
			fcntl(kept[1], F_GETFD) < 0 || fcntl(STDERR_FILENO, F_GETFD) < 0);
	assert_true(pid > 0);
	assert_int_equal(wait_status(pid), 0);
	for (int i = 0; i < 2; i++) {
		close(before[i]);
		close(kept[i]);
		close(after[i]);
	}
}

static void stdio_is_placed_too(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	char *argv[] = { "echo", "hello", NULL };
	struct spawn spawn = { .program_fd = -1, .path = "/bin/echo", .argv = argv, .stdio = { -1, ends[1], ends[1] } };
	pid_t pid;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), 0);
	close(ends[1]);
	char out[16] = "";
	assert_int_equal(read(ends[0], out, sizeof out - 1), 6);
	assert_string_equal(out, "hello\n");
	assert_int_equal(wait_status(pid), 0);
	close(ends[0]);
}

static void sealed_copy_runs_and_resists(void **state)
{
	(void)state;
	_autoclose_ int original = open_self();
	_autoclose_ int sealed = -1;
	assert_int_equal(sealed_copy(original, "tare-unit", &sealed), 0);

	struct stat from, to;
	fstat(original, &from);
	fstat(sealed, &to);
	assert_int_equal(from.st_size, to.st_size);
	assert_int_equal(write(sealed, "x", 1), -1);
	assert_int_equal(errno, EPERM);
	assert_int_equal(ftruncate(sealed, 0), -1);
	assert_int_equal(ftruncate(sealed, to.st_size + 1), -1);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, sealed, 0), MAP_FAILED);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), -1);

	char *argv[] = { "probe-child", "probe", NULL };
	struct spawn spawn = { .program_fd = sealed, .argv = argv, .env = only_env, .stdio = SPAWN_STDIO_NULL };
	pid_t pid;
	assert_int_equal(spawn_program(&spawn, &pid, NULL), 0);
	assert_int_equal(wait_status(pid), 0);

	_autoclose_ int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int none = -1;
	assert_int_equal(sealed_copy(folder, "tare-unit", &none), -EACCES);
	assert_int_equal(none, -1);
}

static void pty_has_a_size_and_two_ends(void **state)
{
	(void)state;
	_autoclose_ int master = -1;
	_autoclose_ int peer = -1;
	assert_int_equal(pty_open(&master, &peer), 0);
	assert_true(isatty(peer));
	uint16_t columns = 1, rows = 1;
	assert_int_equal(pty_set_size(master, 132, 43), 0);
	assert_int_equal(pty_get_size(peer, &columns, &rows), 0);
	assert_int_equal(columns, 132);
	assert_int_equal(rows, 43);
	_autoclose_ int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(pty_get_size(null_fd, &columns, &rows), -ENOTTY);
	assert_int_equal(pty_set_size(null_fd, 1, 1), -ENOTTY);
}

int main(int argc, char **argv)
{
	if (argc > 1 && strcmp(argv[1], "probe") == 0)
		return probe(argc, argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_gets_what_is_named_and_nothing_else),
		cmocka_unit_test(as_many_descriptors_as_allowed),
		cmocka_unit_test(failures_are_told_and_leave_no_child),
		cmocka_unit_test(orphans_are_nobodys_children),
		cmocka_unit_test(nothing_lives_on_aside),
		cmocka_unit_test(one_descriptor_is_kept_aside),
		cmocka_unit_test(stdio_is_placed_too),
		cmocka_unit_test(sealed_copy_runs_and_resists),
		cmocka_unit_test(pty_has_a_size_and_two_ends),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
