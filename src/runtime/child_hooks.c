/*
 * Hooks that run inside: by fork and execve of an absolute path. One without an environment of its own gets ours or, for
 * startContainer, the process's, as callers know it from runc, less what makes the linker load things of the image's choice into
 * a program that has more privileges than the image (CVE-2025-23266).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/child.h"

static char **drop_linker_words(char **env)
{
	size_t kept = 0;

	for (size_t i = 0; env[i]; i++)
		if (strncmp(env[i], "LD_", 3) != 0 && strncmp(env[i], "GLIBC_TUNABLES=", 15) != 0)
			env[kept++] = env[i];
	env[kept] = NULL;
	return env;
}

/* In a process of its own by now: the plan's copy is ours to change. */
_Noreturn static void become_hook(const struct child *child, const struct oci_hook *hook, bool is_start)
{
	char **env = is_start ? drop_linker_words(child->plan->process.env) : environ;
	char *args[] = { hook->path, NULL };

	if (lseek(child->plan->state_fd, 0, SEEK_SET) < 0 || dup2(child->plan->state_fd, 0) < 0)
		_exit(125);
	close_range(3, ~0U, 0);
	execve(hook->path, hook->args && hook->args[0] ? hook->args : args, hook->env ? hook->env : env);
	_exit(127);
}

/* True if it ended in time. */
static bool wait_hook(const struct oci_hook *hook, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int64_t seconds = hook->timeout_s.value;
	int timeout_ms = hook->timeout_s.set && seconds > 0 && seconds < 1000000 ? (int)seconds * 1000 : -1;
	int r;

	do {
		r = poll(&ended, 1, timeout_ms);
	} while (r < 0 && errno == EINTR);
	fd_close(&pidfd);
	return r != 0;
}

void child_run_hooks(struct child *child, const struct oci_hook *hooks, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		int status = 0;
		pid_t pid = fork();
		if (pid == 0)
			become_hook(child, &hooks[i], hooks == child->plan->hooks->start_container);
		if (pid < 0)
			child_fail(child, STAGE_HOOK, errno, "%s hook #%zu", name, i);
		if (!wait_hook(&hooks[i], pid)) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			child_fail(child, STAGE_HOOK, ETIMEDOUT, "%s hook #%zu: (%s)", name, i, hooks[i].path);
		}
		if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
			child_fail(child, STAGE_HOOK, ECANCELED, "%s hook #%zu: %s: exit status %d", name, i,
				hooks[i].path, WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
}
