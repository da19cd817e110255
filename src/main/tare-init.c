/*
 * PID 1 of a container that asked for --init: reaps what is orphaned, forwards signals to the user's command, and ends as it
 * does. It did not start the command: the runtime forked before executing us, and says with -p whose pid it is.
 *
 * Signals are blocked and taken with rt_sigtimedwait, so nothing runs asynchronously; those the kernel raises for faults of our
 * own keep their action. The terminal's signals reach the command directly, since its process group is in the foreground.
 *
 * There is one of these in many a container, so it has no libc: eight calls of the kernel, two pages of memory.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/prctl.h>
#include <linux/wait.h>

#include "main/bare.h"

#define EXIT_LOST     125
#define KERNEL_ECHILD (-10)

static uint64_t bit_of(int signo)
{
	return 1ULL << (signo - 1);
}

static void ignore(int signo)
{
	/* handler, flags, restorer, mask: as the kernel has it on every architecture where it has a restorer, and longer than it
	 * elsewhere */
	const uint64_t action[4] = { (uintptr_t)SIG_IGN };
	bare_call(__NR_rt_sigaction, signo, (long)action, 0, sizeof(uint64_t));
}

/* The set that is blocked, and waited for. */
static uint64_t block_signals(void)
{
	static const uint8_t kept[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU };
	uint64_t set = ~0ULL;

	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		set &= ~bit_of(kept[i]);
	bare_call(__NR_rt_sigprocmask, SIG_SETMASK, (long)&set, 0,
		sizeof(set)); /* all were blocked when we were executed */
	ignore(SIGTTIN);
	ignore(SIGTTOU);
	return set;
}

_Noreturn static void leave(int code)
{
	for (;;)
		bare_call(__NR_exit_group, code, 0, 0, 0);
}

/* Reaps all that have ended; the command's own end is ours. */
static void reap(long command)
{
	int status;
	long pid;

	while ((pid = bare_call(__NR_wait4, -1, (long)&status, WNOHANG, 0)) > 0)
		if (pid == command)
			leave((status & 0x7f) == 0 ? status >> 8 & 0xff : 128 + (status & 0x7f));
	if (pid == KERNEL_ECHILD)
		leave(EXIT_LOST);
}

/* A positive number, else -1. */
static long number(const char *text)
{
	long value = 0;

	for (; *text >= '0' && *text <= '9' && value < INT32_MAX / 10; text++)
		value = value * 10 + (*text - '0');
	return *text || value <= 0 ? -1 : value;
}

static bool is_pid_option(const char *word)
{
	return word[0] == '-' && word[1] == 'p' && !word[2];
}

_Noreturn void bare_main(long argc, char **argv)
{
	long command = argc > 2 && is_pid_option(argv[1]) ? number(argv[2]) : -1;

	if (command <= 0)
		leave(EXIT_LOST);
	if (bare_call(__NR_getpid, 0, 0, 0, 0) != 1)
		bare_call(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1, 0, 0);
	const uint64_t set = block_signals();
	for (;;) {
		reap(command);
		long signo = bare_call(__NR_rt_sigtimedwait, (long)&set, 0, 0, sizeof(set));
		if (signo > 0 && signo != SIGCHLD)
			bare_call(__NR_kill, command, signo, 0, 0);
	}
}
