#include "library/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"

struct tare_process {
	struct helper *helper;
	pid_t pid;
	int pidfd;
	int console;
	pthread_mutex_t lock; /* for what follows */
	bool is_known;
	struct tare_result result;
};

tare_process *process_new(struct helper *helper, struct reply *reply, struct tare_error *error)
{
	tare_process *process = calloc(1, sizeof(*process));

	if (!process) {
		fd_close(&reply->pidfd);
		fd_close(&reply->console);
		error_errno(error, -ENOMEM, "cannot remember process %d", reply->answer.pid);
		return NULL;
	}
	process->helper = helper;
	process->pid = reply->answer.pid;
	process->pidfd = TAKE_FD(reply->pidfd);
	process->console = TAKE_FD(reply->console);
	pthread_mutex_init(&process->lock, NULL);
	return process;
}

void tare_process_free(tare_process *process)
{
	if (!process)
		return;
	const struct call forget = { .op = SERVE_FORGET, .pid = process->pid };
	if (!process->is_known)
		helper_call(process->helper, &forget, NULL, NULL);
	fd_close(&process->pidfd);
	fd_close(&process->console);
	pthread_mutex_destroy(&process->lock);
	free(process);
}

pid_t tare_process_pid(const tare_process *process)
{
	return process ? process->pid : -1;
}

int tare_process_pidfd(const tare_process *process)
{
	return process ? process->pidfd : -1;
}

int tare_process_console(const tare_process *process)
{
	return process ? process->console : -1;
}

/* 0: it has ended. */
static int wait_for_end(int pidfd, int timeout_ms)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int64_t deadline_ms = clock_monotonic_ms() + timeout_ms;

	for (;;) {
		int64_t left_ms = timeout_ms < 0 ? -1 : deadline_ms - clock_monotonic_ms();
		int ready = poll(&end, 1, timeout_ms >= 0 && left_ms < 0 ? 0 : (int)left_ms);
		if (ready < 0 && errno != EINTR)
			return -errno;
		if (ready > 0)
			return end.revents & POLLNVAL ? -EBADF : 0;
		if (timeout_ms >= 0 && left_ms <= 0)
			return -ETIMEDOUT;
	}
}

static int learn_result(tare_process *process, struct tare_error *error)
{
	const struct call call = { .op = SERVE_EXIT, .pid = process->pid };
	struct reply reply;

	if (process->is_known)
		return 0;
	if (helper_call(process->helper, &call, &reply, error) < 0)
		return -1;
	int status = reply.answer.wait_status;
	int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	process->result = (struct tare_result){ .exit_code = signal ? 128 + signal : WEXITSTATUS(status),
		.signal = signal };
	process->is_known = true;
	return 0;
}

int tare_process_wait(tare_process *process, int timeout_ms, struct tare_result *ret, struct tare_error *error)
{
	if (!process)
		return error_set(error, TARE_INVALID, 0, "no process to wait for");
	int r = wait_for_end(process->pidfd, timeout_ms);
	if (r == -ETIMEDOUT)
		return error_set(error, TARE_UNAVAILABLE, ETIMEDOUT, "process %d has not ended within %d ms",
			process->pid, timeout_ms);
	if (r < 0)
		return error_errno(error, r, "cannot wait for process %d", process->pid);
	pthread_mutex_lock(&process->lock);
	r = learn_result(process, error);
	if (r == 0 && ret)
		*ret = process->result;
	pthread_mutex_unlock(&process->lock);
	return r;
}

int tare_process_signal(tare_process *process, int signo, struct tare_error *error)
{
	if (!process)
		return error_set(error, TARE_INVALID, 0, "no process to signal");
	if (syscall(SYS_pidfd_send_signal, process->pidfd, signo, NULL, 0) == 0)
		return 0;
	if (errno == ESRCH)
		return error_set(error, TARE_CONFLICT, ESRCH, "process %d has ended", process->pid);
	if (errno == EINVAL)
		return error_set(error, TARE_INVALID, EINVAL, "%d is no signal", signo);
	return error_errno(error, -errno, "cannot signal process %d", process->pid);
}
