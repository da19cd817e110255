#include "sys/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/cleanup.h"
#include "base/parse.h"

/* The numbers every container on Linux sees; the C library's own SIGRTMIN hides those it keeps for itself. */
#define SIGNAL_LAST   64
#define SIGNAL_RTMIN  34
#define SIGNAL_RTMAX  64
#define RT_OFFSET_MAX 15

struct signal_name {
	int signo;
	char name[8]; /* in the table: a pointer would be a page of each monitor's own */
};

/* The first name of a number is the one that is printed. */
static const struct signal_name signal_names[] = {
	{ SIGHUP, "HUP" },
	{ SIGINT, "INT" },
	{ SIGQUIT, "QUIT" },
	{ SIGILL, "ILL" },
	{ SIGTRAP, "TRAP" },
	{ SIGABRT, "ABRT" },
	{ SIGABRT, "IOT" },
	{ SIGBUS, "BUS" },
	{ SIGFPE, "FPE" },
	{ SIGKILL, "KILL" },
	{ SIGUSR1, "USR1" },
	{ SIGSEGV, "SEGV" },
	{ SIGUSR2, "USR2" },
	{ SIGPIPE, "PIPE" },
	{ SIGALRM, "ALRM" },
	{ SIGTERM, "TERM" },
	{ SIGSTKFLT, "STKFLT" },
	{ SIGCHLD, "CHLD" },
	{ SIGCHLD, "CLD" },
	{ SIGCONT, "CONT" },
	{ SIGSTOP, "STOP" },
	{ SIGTSTP, "TSTP" },
	{ SIGTTIN, "TTIN" },
	{ SIGTTOU, "TTOU" },
	{ SIGURG, "URG" },
	{ SIGXCPU, "XCPU" },
	{ SIGXFSZ, "XFSZ" },
	{ SIGVTALRM, "VTALRM" },
	{ SIGPROF, "PROF" },
	{ SIGWINCH, "WINCH" },
	{ SIGIO, "IO" },
	{ SIGPOLL, "POLL" },
	{ SIGPWR, "PWR" },
	{ SIGSYS, "SYS" },
	{ SIGSYS, "UNUSED" },
};

/* "RTMIN", "RTMIN+n", "RTMAX", "RTMAX-n". */
static int signal_parse_rt(const char *name)
{
	uint64_t offset = 0;
	if (strncasecmp(name, "RTMIN", 5) == 0) {
		if (name[5] == '\0' || (name[5] == '+' && parse_u64(name + 6, RT_OFFSET_MAX, &offset) == 0))
			return SIGNAL_RTMIN + (int)offset;
	} else if (strncasecmp(name, "RTMAX", 5) == 0) {
		if (name[5] == '\0' || (name[5] == '-' && parse_u64(name + 6, RT_OFFSET_MAX - 1, &offset) == 0))
			return SIGNAL_RTMAX - (int)offset;
	}
	return -EINVAL;
}

int signal_parse(const char *text)
{
	uint64_t number;
	if (parse_u64(text, SIGNAL_LAST, &number) == 0)
		return number > 0 ? (int)number : -EINVAL;
	const char *name = strncasecmp(text, "SIG", 3) == 0 ? text + 3 : text;
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++)
		if (strcasecmp(name, signal_names[i].name) == 0)
			return signal_names[i].signo;
	return signal_parse_rt(name);
}

void signal_format(int signo, char out[static SIGNAL_NAME_MAX])
{
	for (size_t i = 0; i < ARRAY_SIZE(signal_names); i++) {
		if (signal_names[i].signo == signo) {
			snprintf(out, SIGNAL_NAME_MAX, "SIG%s", signal_names[i].name);
			return;
		}
	}
	if (signo == SIGNAL_RTMIN || signo == SIGNAL_RTMAX)
		snprintf(out, SIGNAL_NAME_MAX, "SIGRTM%s", signo == SIGNAL_RTMIN ? "IN" : "AX");
	else if (signo > SIGNAL_RTMIN && signo <= SIGNAL_RTMIN + RT_OFFSET_MAX)
		snprintf(out, SIGNAL_NAME_MAX, "SIGRTMIN+%d", signo - SIGNAL_RTMIN);
	else if (signo > SIGNAL_RTMIN && signo < SIGNAL_RTMAX)
		snprintf(out, SIGNAL_NAME_MAX, "SIGRTMAX-%d", SIGNAL_RTMAX - signo);
	else
		snprintf(out, SIGNAL_NAME_MAX, "%d", signo);
}

__attribute__((no_sanitize("address"))) void signals_reset(void)
{
	static const unsigned long by_default[4]; /* the kernel's own form of a struct sigaction */
	static const uint64_t none;

	for (int signo = 1; signo <= SIGNAL_LAST; signo++) /* refused for KILL and STOP */
		syscall(SYS_rt_sigaction, signo, by_default, NULL, sizeof(none));
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof(none));
}
