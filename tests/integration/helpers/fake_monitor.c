/*
 * Stands in for tare-monitor in the tests of tared. Takes monitor.lock, listens on monitor.sock, writes state.json, adds
 * "PID [recover]" to "runs" in the container's folder, and stays until SIGTERM: then it ends in peace. A file "mode" in
 * the folder makes it end with the status in it before it does anything; "recover-mode" the same when told to recover.
 * Recovering without such a file, it stays.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/socket.h>

#include "base/io.h"
#include "sys/channel.h"

static int folder_fd;

static void end(int signo)
{
	(void)signo;
	unlinkat(folder_fd, "monitor.sock", 0);
	_exit(0);
}

static const char *option(int argc, char **argv, const char *name)
{
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	exit(2);
}

static bool has_flag(int argc, char **argv, const char *name)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return false;
}

static void obey_mode(const char *name)
{
	char text[16] = "";
	int fd = openat(folder_fd, name, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof text - 1) > 0)
		exit(atoi(text));
}

int main(int argc, char **argv)
{
	char path[4096], run[64];
	snprintf(path, sizeof path, "%s/containers/%s", option(argc, argv, "--exec-root"), option(argc, argv, "--id"));
	bool recover = has_flag(argc, argv, "--recover");
	folder_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int runs_fd = openat(folder_fd, "runs", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	int len = snprintf(run, sizeof run, "%d%s\n", getpid(), recover ? " recover" : "");
	if (runs_fd < 0 || write(runs_fd, run, (size_t)len) != len)
		return 3;
	obey_mode(recover ? "recover-mode" : "mode");

	int lock_fd = openat(folder_fd, "monitor.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock_fd < 0 || flock(lock_fd, LOCK_EX) < 0)
		return 4;
	int listen_fd;
	if (channel_listen(folder_fd, "monitor.sock", &listen_fd) < 0)
		return 5;
	signal(SIGTERM, end); /* before the file that the tests wait for */
	if (io_replace_file(folder_fd, "state.json", "{}", 2, false) < 0)
		return 6;
	struct pollfd polled = { listen_fd, POLLIN, 0 };
	while (poll(&polled, 1, -1) > 0)
		accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC); /* kept open until we die */
	return 7;
}
