/*
 * The engine is started at most once however many commands want it: a lock beside its socket is held from before the
 * second look at the socket until it accepts connections. Whoever gets the lock later finds the engine there.
 *
 * Where systemd runs and knows the unit, it starts it: the engine then belongs to no login session. Elsewhere tared is
 * started in a session of its own, with a clean environment, no descriptor but /dev/null and its log, and every signal
 * at its default.
 *
 * A crash of this program in the middle leaves either no engine or a whole one; the lock goes with the process.
 */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/strv.h"
#include "sys/spawn.h"

#define EXEC_ROOT     "/run/tare"
#define LOG_NAME      EXEC_ROOT "/tared.log"
#define LOCK_NAME     EXEC_ROOT "/launch.lock"
#define RETRY_MS      2
#define SYSTEMD_ALIVE "/run/systemd/system"

int launch_connect(const char *socket_path, int *ret_fd)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(socket_path) >= sizeof address.sun_path)
		return -ENAMETOOLONG;
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);

	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static bool engine_answers(const char *socket_path)
{
	_autoclose_ int fd = -1;
	return launch_connect(socket_path, &fd) == 0;
}

/* tared's path: in $TARE_LIBEXEC, the folders given at build time, or $PATH. NULL when there is none. */
static char *find_tared(void)
{
	const char *folder = getenv("TARE_LIBEXEC");
	_autofree_(strv) char **candidates = NULL;
	if (folder && *folder)
		strv_append(&candidates, folder);
	strv_append(&candidates, TARE_SBIN_DIR);
	strv_append(&candidates, TARE_PROGRAM_DIR);
	const char *path = getenv("PATH");
	_autofree_(strv) char **folders = path ? strv_split(path, ':') : NULL;
	strv_extend(&candidates, folders);

	strv_foreach (candidate, candidates) {
		char *file = NULL;
		if (**candidate == '/' && asprintf(&file, "%s/tared", *candidate) >= 0 && access(file, X_OK) == 0)
			return file;
		free(file);
	}
	return NULL;
}

/* Runs a program to its end with everything on /dev/null; its exit status, or -1. */
static int run_quietly(const char *path, const char *const *argv)
{
	const struct spawn spawn = {
		.program_fd = -1, .path = path, .argv = (char *const *)argv, .stdio = SPAWN_STDIO_NULL
	};
	pid_t pid;
	if (spawn_program(&spawn, &pid, NULL) < 0)
		return -1;
	int status;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Returns whether systemd took it on. */
static bool start_by_systemd(void)
{
	static const char *const systemctl[] = { "/usr/bin/systemctl", "/bin/systemctl" };
	static const char *const known[] = { "systemctl", "--quiet", "cat", "tare.service", NULL };
	static const char *const start[] = { "systemctl", "--quiet", "start", "tare.service", NULL };
	if (access(SYSTEMD_ALIVE, F_OK) < 0)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(systemctl); i++) {
		if (access(systemctl[i], X_OK) == 0)
			return run_quietly(systemctl[i], known) == 0 && run_quietly(systemctl[i], start) == 0;
	}
	return false;
}

/* Clean, but for where the other programs are if that is not where they were installed. */
static char **tared_environment(void)
{
	const char *folder = getenv("TARE_LIBEXEC");
	_autofree_(strv) char **env = NULL;
	if (strv_append(&env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin") < 0)
		return NULL;
	if (folder && *folder && strv_appendf(&env, "TARE_LIBEXEC=%s", folder) < 0)
		return NULL;
	return TAKE(env);
}

/* It is a child of ours until we end, in a session of its own from the start, so that nothing reaches it from here. */
static int spawn_tared(char *path, int log_fd, pid_t *ret_pid)
{
	_autofree_(strv) char **env = tared_environment();
	char *const argv[] = { path, NULL };
	const struct spawn spawn = {
		.program_fd = -1, .path = path, .argv = argv, .env = env, .stdio = { -1, log_fd, log_fd }
	};
	return env ? spawn_program(&spawn, ret_pid, NULL) : -ENOMEM;
}

static int start_by_ourselves(pid_t *ret_pid, struct err **reterr)
{
	_cleanup_free_ char *path = find_tared();
	if (!path)
		return err_set(reterr, ERR_UNAVAILABLE, ENOENT,
			"the engine does not run, and tared is neither in %s nor in $PATH", TARE_SBIN_DIR);
	_autoclose_ int log_fd = open(LOG_NAME, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (log_fd < 0)
		return err_errno(reterr, -errno, "cannot start the engine: cannot open its log %s", LOG_NAME);
	int ret = spawn_tared(path, log_fd, ret_pid);
	return ret < 0 ? err_errno(reterr, ret, "cannot start the engine: cannot execute %s", path) : 0;
}

/* What became of a tared that ended instead of serving; 0 while it runs, or if systemd watches it (pid 0). */
static int check_alive(pid_t pid, struct err **reterr)
{
	int status;
	if (!pid || waitpid(pid, &status, WNOHANG) != pid)
		return 0;
	if (WIFSIGNALED(status))
		return err_set(reterr, ERR_UNAVAILABLE, 0, "the engine was started but ended by signal %d: see %s",
			WTERMSIG(status), LOG_NAME);
	return err_set(reterr, ERR_UNAVAILABLE, 0, "the engine was started but ended with code %d: see %s",
		WEXITSTATUS(status), LOG_NAME);
}

/* The socket's appearance and its first accept are two moments, and no event tells the second: look again, often. */
static int wait_for_engine(const char *socket_path, pid_t pid, struct err **reterr)
{
	int64_t deadline = clock_monotonic_ms() + LAUNCH_DEADLINE_MS;
	while (!engine_answers(socket_path)) {
		int ret = check_alive(pid, reterr);
		if (ret < 0)
			return ret;
		if (clock_monotonic_ms() >= deadline)
			return err_set(reterr, ERR_UNAVAILABLE, ETIMEDOUT,
				"the engine was started but did not answer at %s within %d seconds: see %s",
				socket_path, LAUNCH_DEADLINE_MS / 1000, LOG_NAME);
		poll(NULL, 0, RETRY_MS);
	}
	return 0;
}

static int take_lock(int *ret_fd, struct err **reterr)
{
	if (mkdir(EXEC_ROOT, 0711) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "the engine does not run, and cannot be started: cannot make %s",
			EXEC_ROOT);
	_autoclose_ int fd = open(LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot start the engine: cannot open %s", LOCK_NAME);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR)
			return err_errno(reterr, -errno, "cannot start the engine: cannot lock %s", LOCK_NAME);
	}
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int launch_engine(const char *socket_path, struct err **reterr)
{
	if (geteuid() != 0)
		return err_set(reterr, ERR_UNAVAILABLE, ENOENT,
			"Cannot connect to the engine at unix://%s. Is tared running? Only root can start it",
			socket_path);
	_autoclose_ int lock = -1;
	int ret = take_lock(&lock, reterr);
	if (ret < 0 || engine_answers(socket_path))
		return ret;
	pid_t pid = 0;
	if (!start_by_systemd())
		ret = start_by_ourselves(&pid, reterr);
	return ret < 0 ? ret : wait_for_engine(socket_path, pid, reterr);
}
