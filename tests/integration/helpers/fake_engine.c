/*
 * Stands in for tare-engine in the tests of tared: serves the sockets it was given, one line per connection, and does with
 * the channel to tared what the line says:
 *
 *	pid                        its process ID
 *	fds                        the descriptors it has, but for this connection and the one to list them
 *	env                        its environment
 *	spawn KIND ID ARGV...      sends SPAWN; a worker gets this connection as its descriptor 3
 *	exits                      what EXITED told so far, "KIND ID PID STATUS" each
 *	deaf                       closes the channel to tared
 *	exit STATUS
 *
 * A file "engine-mode" in the exec root makes it end at once with the status in it. Each start adds a line to "starts".
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "spec/holder.h"
#include "sys/channel.h"

#define HOLDER_FD 3
#define FIRST_FD  4
#define LINE_SIZE 4096
#define WORDS_MAX 16

extern char **environ;

struct fake {
	char exits[64 * 1024];
	struct pollfd polled[1 + 16]; /* the channel, then the sockets */
	nfds_t count;
};

static void tell_fds(FILE *client)
{
	DIR *folder = opendir("/proc/self/fd");
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(folder) &&
			atoi(entry->d_name) != fileno(client))
			fprintf(client, "%s\n", entry->d_name);
	closedir(folder);
}

static void spawn(FILE *client, char **words, size_t count)
{
	char data[HOLDER_MESSAGE_MAX];
	struct holder_message message = {
		.type = HOLDER_SPAWN, .kind = (enum holder_kind)atoi(words[1]), .id = words[2], .argc = count - 3
	};
	for (size_t i = 3; i < count; i++)
		message.argv[i - 3] = words[i];
	int fd = fileno(client);
	int len = holder_message_encode(&message, data, sizeof data);
	int r = len < 0 ? len : message_send(HOLDER_FD, data, (size_t)len, &fd, message.kind == HOLDER_WORKER);
	if (r < 0)
		fprintf(client, "error %d\n", r);
}

static void serve(struct fake *fake, int fd)
{
	FILE *client = fdopen(fd, "r+");
	char line[LINE_SIZE];
	char *words[WORDS_MAX] = { NULL };
	size_t count = 0;
	if (!client || !fgets(line, sizeof line, client))
		exit(3);
	for (char *word = strtok(line, " \n"); word && count < WORDS_MAX; word = strtok(NULL, " \n"))
		words[count++] = word;

	fseek(client, 0, SEEK_CUR); /* from reading to writing */
	const char *verb = count ? words[0] : "";
	if (strcmp(verb, "pid") == 0)
		fprintf(client, "%d\n", getpid());
	else if (strcmp(verb, "fds") == 0)
		tell_fds(client);
	else if (strcmp(verb, "exits") == 0)
		fputs(fake->exits, client);
	else if (strcmp(verb, "spawn") == 0 && count > 3)
		spawn(client, words, count);
	else if (strcmp(verb, "deaf") == 0)
		close(HOLDER_FD), fake->polled[0].fd = -1;
	else if (strcmp(verb, "exit") == 0 && count > 1)
		exit(atoi(words[1]));
	else if (strcmp(verb, "env") == 0)
		for (char **variable = environ; *variable; variable++)
			fprintf(client, "%s\n", *variable);
	fclose(client);
}

static void hear(struct fake *fake)
{
	char data[HOLDER_MESSAGE_MAX];
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	struct holder_message message;
	ssize_t len = message_receive(HOLDER_FD, data, sizeof data, fds, &fd_count);
	if (len <= 0)
		exit(0); /* tared is gone */
	if (holder_message_decode(data, (size_t)len, &message) < 0 || message.type != HOLDER_EXITED)
		exit(4);
	size_t used = strlen(fake->exits);
	snprintf(fake->exits + used, sizeof fake->exits - used, "%d %s %d %d\n", message.kind, message.id, message.pid,
		message.status);
}

/* Ends as the file says, if it is there: with a status, at once or after so many seconds. */
static void obey_mode(const char *exec_root)
{
	char path[LINE_SIZE];
	int status;
	unsigned seconds = 0;
	snprintf(path, sizeof path, "%s/engine-mode", exec_root);
	FILE *mode = fopen(path, "re");
	if (mode && fscanf(mode, "%d %u", &status, &seconds) >= 1) {
		sleep(seconds);
		exit(status);
	}
	if (mode)
		fclose(mode);
}

static void note_start(const char *exec_root)
{
	char path[LINE_SIZE];
	snprintf(path, sizeof path, "%s/starts", exec_root);
	FILE *starts = fopen(path, "ae");
	if (!starts)
		exit(5);
	fprintf(starts, "%d\n", getpid());
	fclose(starts);
}

int main(int argc, char **argv)
{
	const char *exec_root = NULL;
	for (int i = 1; i + 1 < argc; i++)
		if (strcmp(argv[i], "--exec-root") == 0)
			exec_root = argv[i + 1];
	if (!exec_root)
		return 2;
	note_start(exec_root);
	obey_mode(exec_root);

	static struct fake fake;
	fake.polled[fake.count++] = (struct pollfd){ HOLDER_FD, POLLIN, 0 };
	for (int fd = FIRST_FD; fd < FIRST_FD + 16 && fcntl(fd, F_GETFD) >= 0; fd++)
		fake.polled[fake.count++] = (struct pollfd){ fd, POLLIN, 0 };
	for (;;) {
		if (poll(fake.polled, fake.count, -1) < 0)
			return 6;
		if (fake.polled[0].revents)
			hear(&fake);
		for (nfds_t i = 1; i < fake.count; i++) {
			int fd = fake.polled[i].revents ? accept4(fake.polled[i].fd, NULL, NULL, SOCK_CLOEXEC) : -1;
			if (fd >= 0)
				serve(&fake, fd);
		}
	}
}
