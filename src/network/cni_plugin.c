#include "network/cni_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "network/cni_document.h"

#define PLUGIN_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define STDERR_MAX  4096
#define CHUNK       65536
#define ERROR_SIZE  512

/* What is at work, and what of it is read. */
struct plugin {
	pid_t pid;
	int pidfd;
	int out_fd, err_fd;
	struct buf errors; /* of its standard error: the beginning */
};

static int find(const char *path, const char *type, char out[PATH_MAX], struct err **reterr)
{
	_autofree_(strv) char **folders = strv_split(path, ':');
	if (!folders)
		return err_oom(reterr);
	strv_foreach (folder, folders) {
		if ((*folder)[0] == '/' && snprintf(out, PATH_MAX, "%s/%s", *folder, type) < PATH_MAX &&
			access(out, X_OK) == 0)
			return 0;
	}
	return err_set(reterr, ERR_NOT_FOUND, ENOENT, "there is no plugin %s in %s", type, path);
}

static int make_environment(const struct cni_call *call, char ***ret)
{
	const char *const values[][2] = { { "CNI_COMMAND", call->command }, { "CNI_CONTAINERID", call->container_id },
		{ "CNI_NETNS", call->netns }, { "CNI_IFNAME", call->interface }, { "CNI_ARGS", call->arguments },
		{ "CNI_PATH", call->path } };
	int r = strv_append(ret, PLUGIN_PATH);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(values); i++)
		r = strv_appendf(ret, "%s=%s", values[i][0], values[i][1]);
	return r;
}

/* A file, not a pipe: nobody has to stand by until it is read. */
static int make_input(const struct buf *config)
{
	_autoclose_ int fd = memfd_create("cni", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : io_write_full(fd, config->data, config->len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

/* In the child. */
static void become(const char *program, int in, int out, int err, char *const *environment, const char *type)
{
	char *const argv[] = { (char *)type, NULL };
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setpgid(0, 0) == 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err, 2) >= 0 &&
		close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		execve(program, argv, environment);
	_exit(127);
}

static int begin(const struct cni_call *call, const char *type, const struct buf *config, struct plugin *plugin,
	struct err **reterr)
{
	_autofree_(strv) char **environment = NULL;
	_autoclose_ int input = -1;
	char program[PATH_MAX];
	int out[2] = { -1, -1 }, err[2] = { -1, -1 };
	int r = find(call->path, type, program, reterr);
	if (r < 0)
		return r;
	r = make_environment(call, &environment);
	if (r == 0)
		r = input = make_input(config);
	if (r >= 0 && (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0))
		r = -errno;
	if (r >= 0) {
		plugin->pid = fork();
		if (plugin->pid == 0)
			become(program, input, out[1], err[1], environment, type);
		r = plugin->pid < 0 ? -errno : 0;
	}
	plugin->out_fd = out[0];
	plugin->err_fd = err[0];
	fd_close(&out[1]);
	fd_close(&err[1]);
	if (r < 0)
		return err_errno(reterr, r, "cannot start the plugin %s", type);
	setpgid(plugin->pid, plugin->pid); /* whoever of us is first */
	plugin->pidfd = (int)syscall(SYS_pidfd_open, plugin->pid, 0);
	return 0;
}

/* 1: there is more to come. What is past the ceiling is -EFBIG, or is dropped. */
static int take(int *fd, struct buf *into, bool drops)
{
	char chunk[CHUNK];
	ssize_t len = read(*fd, chunk, sizeof(chunk));
	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return 1;
	if (len <= 0) {
		fd_close(fd);
		return 0;
	}
	int r = buf_append(into, chunk, (size_t)len);
	return r < 0 && !drops ? r : 1;
}

/* Until it has ended and said all; what it started and left at work does not count. */
static int attend(const struct cni_call *call, struct plugin *plugin, struct buf *output)
{
	bool is_alive = true;
	while (is_alive || plugin->out_fd >= 0) {
		struct pollfd fds[] = { { .fd = plugin->out_fd, .events = POLLIN },
			{ .fd = plugin->err_fd, .events = POLLIN },
			{ .fd = is_alive ? plugin->pidfd : -1, .events = POLLIN },
			{ .fd = call->cancel_fd, .events = POLLIN } };
		int64_t left_ms = call->deadline_ms - clock_monotonic_ms();
		int ready = left_ms <= 0 ? 0 : poll(fds, ARRAY_SIZE(fds), left_ms > INT_MAX ? INT_MAX : (int)left_ms);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready == 0)
			return -ETIMEDOUT;
		if (ready < 0)
			continue;
		if (fds[3].revents)
			return -ECANCELED;
		if (fds[0].revents && take(&plugin->out_fd, output, false) < 0)
			return -EFBIG;
		if (fds[1].revents)
			take(&plugin->err_fd, &plugin->errors, true);
		if (!fds[0].revents && fds[2].revents) {
			/* Its end, and nothing more of it in the pipe. */
			is_alive = false;
			fd_close(&plugin->out_fd);
		}
	}
	return 0;
}

/* Returns its wait status. */
static int end(struct plugin *plugin)
{
	int status = 0;
	kill(-plugin->pid, SIGKILL);
	while (waitpid(plugin->pid, &status, 0) < 0 && errno == EINTR)
		;
	fd_close(&plugin->pidfd);
	fd_close(&plugin->out_fd);
	fd_close(&plugin->err_fd);
	return status;
}

static int explain(const struct cni_call *call, const char *type, int r, struct err **reterr)
{
	switch (-r) {
	case ECANCELED: return err_set(reterr, ERR_CONFLICT, ECANCELED, "plugin %s was cancelled", type);
	case ETIMEDOUT:
		return err_set(reterr, ERR_UNAVAILABLE, ETIMEDOUT, "plugin %s did not end in time (%s)", type,
			call->command);
	case EFBIG:
		return err_set(reterr, ERR_INVALID, EFBIG, "plugin %s printed more than %d bytes (%s)", type,
			CNI_TEXT_MAX, call->command);
	default: return err_errno(reterr, r, "plugin %s (%s)", type, call->command);
	}
}

int cni_plugin_run(const struct cni_call *call, const char *type, const struct buf *config, struct buf *output,
	struct err **reterr)
{
	struct plugin plugin = { .pid = -1, .pidfd = -1, .out_fd = -1, .err_fd = -1, .errors = BUF_INIT(STDERR_MAX) };
	char said[ERROR_SIZE];
	int r = begin(call, type, config, &plugin, reterr);
	if (r < 0) {
		fd_close(&plugin.out_fd);
		fd_close(&plugin.err_fd);
		return r;
	}
	r = attend(call, &plugin, output);
	int status = end(&plugin);
	if (r < 0)
		r = explain(call, type, r, reterr);
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		const struct buf *words = output->len > 0 ? output : &plugin.errors;
		cni_error_print(words->data, words->len, said, sizeof(said));
		r = err_set(reterr, ERR_INTERNAL, EIO, "plugin %s failed (%s): %s", type, call->command, said);
	}
	buf_finish(&plugin.errors);
	return r;
}
