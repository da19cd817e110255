#include "runtime/command_wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <termios.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "runtime/command_notify.h"
#include "sys/pty.h"

/* Everything but what the kernel means for us alone. */
static void forwarded_signals(sigset_t *set)
{
	static const int own[] = { SIGCHLD, SIGPIPE, SIGURG, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS,
		SIGTTOU, SIGTTIN };

	sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(set, own[i]);
}

void foreground_prepare(void)
{
	sigset_t set;

	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	forwarded_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

struct foreground {
	int pidfd;
	int signals;
	int console;
	struct notify *notify;
	pid_t pid;
	bool input_open;
	bool is_raw;
	struct termios saved;
};

static void follow_size(const struct foreground *self)
{
	uint16_t columns, rows;

	if (self->console >= 0 && pty_get_size(0, &columns, &rows) == 0)
		pty_set_size(self->console, columns, rows);
}

static void make_raw(struct foreground *self)
{
	if (self->console < 0 || tcgetattr(0, &self->saved) < 0)
		return;
	struct termios raw = self->saved;
	cfmakeraw(&raw);
	raw.c_oflag = self->saved.c_oflag; /* the line's return is made here, not on the inner terminal */
	self->is_raw = tcsetattr(0, TCSANOW, &raw) == 0;
	follow_size(self);
}

static void forward_signal(const struct foreground *self)
{
	struct signalfd_siginfo info;

	if (read(self->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH && self->console >= 0)
		follow_size(self);
	else
		syscall(SYS_pidfd_send_signal, self->pidfd, info.ssi_signo, NULL, 0);
}

/* False at the end. EIO is how a pty says that nobody holds its other side. */
static bool carry(int from, int to)
{
	char bytes[16384];
	ssize_t count = read(from, bytes, sizeof(bytes));

	if (count < 0)
		return errno == EINTR || errno == EAGAIN;
	return count > 0 && io_write_full(to, bytes, (size_t)count) == 0;
}

static void serve(struct foreground *self)
{
	for (;;) {
		struct pollfd fds[] = { { .fd = self->pidfd, .events = POLLIN },
			{ .fd = self->signals, .events = POLLIN }, { .fd = self->console, .events = POLLIN },
			{ .fd = self->console >= 0 && self->input_open ? 0 : -1, .events = POLLIN },
			{ .fd = self->notify ? self->notify->fd : -1, .events = POLLIN } };
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			continue;
		if (fds[1].revents)
			forward_signal(self);
		if (fds[4].revents)
			notify_serve(self->notify, self->pid);
		if (fds[3].revents && !carry(0, self->console))
			self->input_open = false;
		if (fds[2].revents && !carry(self->console, 1))
			self->console = -1;
		else if (fds[0].revents && !(fds[2].revents & POLLIN))
			return; /* ended, and its last words are read */
	}
}

int foreground_wait(pid_t pid, int pidfd, int console_fd, struct notify *notify, int *ret_code, struct err **reterr)
{
	struct foreground self = {
		.pidfd = pidfd, .console = console_fd, .notify = notify, .pid = pid, .input_open = true
	};
	sigset_t set;
	int status;

	forwarded_signals(&set);
	self.signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (self.signals < 0)
		return err_errno(reterr, -errno, "cannot watch signals");
	make_raw(&self);
	serve(&self);
	if (self.is_raw)
		tcsetattr(0, TCSANOW, &self.saved);
	fd_close(&self.signals);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(reterr, -errno, "cannot wait for the container's process");
	*ret_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}
