/*
 * PID 1 of a container that asked for --init: reaps what is orphaned, forwards signals to the user's command, and ends as it
 * does. It did not start the command: the runtime forked before executing us, and says with -p whose pid it is.
 *
 * Signals are blocked and taken with sigtimedwait, so nothing runs asynchronously; those the kernel raises for faults of our
 * own keep their action. The terminal's signals reach the command directly, since its process group is in the foreground.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#define EXIT_LOST 125

static void block_signals(sigset_t *set)
{
	static const int kept[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU };

	sigfillset(set);
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		sigdelset(set, kept[i]);
	sigprocmask(SIG_SETMASK, set, NULL); /* all were blocked when we were executed */
	signal(SIGTTIN, SIG_IGN);
	signal(SIGTTOU, SIG_IGN);
}

/* Reaps all that have ended; the command's own end is ours. */
static void reap(pid_t command)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == command)
			exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	if (pid < 0 && errno == ECHILD)
		exit(EXIT_LOST);
}

int main(int argc, char **argv)
{
	sigset_t set;
	siginfo_t info;
	pid_t command = argc > 2 && strcmp(argv[1], "-p") == 0 ? (pid_t)atoi(argv[2]) : -1;

	if (command <= 0)
		return EXIT_LOST;
	if (getpid() != 1)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	block_signals(&set);
	for (;;) {
		reap(command);
		int signo = sigwaitinfo(&set, &info);
		if (signo > 0 && signo != SIGCHLD)
			kill(command, signo);
	}
}
