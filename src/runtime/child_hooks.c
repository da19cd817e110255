/*
 * Hooks that run inside: by fork and execve of an absolute path. One without an environment of its own gets ours or, for
 * startContainer, the process's, as callers know it from runc, less what makes the linker load things of the image's choice into
 * a program that has more privileges than the image (CVE-2025-23266).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "runtime/child.h"

#define LOOK_MS 20

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

/* True if it ended in time. Without a limit that is the wait's own matter: the container's filter may be in force, and know no pidfd;
 * with one, who has no pidfd looks from time to time. */
static bool wait_hook(const struct oci_hook *hook, pid_t pid)
{
	int64_t seconds = hook->timeout_s.set ? hook->timeout_s.value : 0;
	siginfo_t info = { 0 };

	if (seconds <= 0 || seconds >= 1000000)
		return true;
	int64_t deadline = clock_monotonic_ms() + seconds * 1000;
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	for (int64_t left = seconds * 1000; left > 0 && !info.si_pid; left = deadline - clock_monotonic_ms()) {
		poll(&ended, 1, pidfd < 0 && left > LOOK_MS ? LOOK_MS : (int)left);
		waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	}
	fd_close(&pidfd);
	return info.si_pid;
}

/* A signal by its name, as runc has it: "bad system call" tells of the filter. */
_Noreturn static void fail(const struct child *child, const struct oci_hook *hook, const char *name, size_t index,
	int status)
{
	char signal_name[64];
	const char *text = WIFSIGNALED(status) ? sigdescr_np(WTERMSIG(status)) : NULL;

	if (!text)
		child_fail(child, STAGE_HOOK, ECANCELED, "%s hook #%zu: %s: exit status %d", name, index, hook->path,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	snprintf(signal_name, sizeof(signal_name), "%c%s", text[0] | 0x20, text + 1);
	child_fail(child, STAGE_HOOK, ECANCELED, "%s hook #%zu: %s: signal: %s", name, index, hook->path, signal_name);
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
		if (waitpid(pid, &status, 0) < 0 || status != 0)
			fail(child, &hooks[i], name, i, status);
	}
}
