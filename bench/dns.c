/*
 * dns RESOLVER [SECONDS]: how many answers a second a container's resolver gives, and how long one takes. In a network namespace of
 * its own: the door, the program behind it, a server of ours for it to ask, and clients that have one query open each. Two runs:
 * names of a network with 1,000 containers, and 1,000 names of the server's, from the cache.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "network/dns_door.h"
#include "network/dns_names.h"
#include "network/dns_resolver.h"
#include "sys/spawn.h"

#define NAMES       1000
#define CLIENTS     16
#define SAMPLES_MAX 4000000
#define SERVER_PORT "5353"

static _Noreturn void fail(const char *what)
{
	perror(what);
	exit(1);
}

static void check(bool ok, const char *what)
{
	if (!ok)
		fail(what);
}

static struct sockaddr_in address(const char *text, int port)
{
	struct sockaddr_in ret = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	inet_pton(AF_INET, text, &ret.sin_addr);
	return ret;
}

/* Every name has an address there. */
static void serve(int fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		uint8_t data[512];
		ssize_t len = recvfrom(fd, data, sizeof(data) - 16, 0, (struct sockaddr *)&from, &from_len);
		if (len <= DNS_OPT_BYTES)
			continue;
		len -= DNS_OPT_BYTES;
		data[2] = 0x81;
		data[3] = 0x80;
		data[7] = 1;
		data[11] = 0;
		memcpy(data + len, "\xc0\x0c\0\1\0\1\0\0\x0e\x10\0\4\xc0\0\2\1", 16);
		(void)!sendto(fd, data, (size_t)len + 16, 0, (struct sockaddr *)&from, from_len);
	}
}

static void begin_server(void)
{
	struct sockaddr_in at = address("127.0.0.1", atoi(SERVER_PORT));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	check(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
	if (fork() == 0)
		serve(fd);
	close(fd);
}

static int names_folder(char *path)
{
	struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);
	char ipv4[32], name[32];

	check(mkdtemp(path) != NULL, "mkdtemp");
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dns_names_print_network(&text, "bench");
	for (int i = 0; i < NAMES; i++) {
		snprintf(ipv4, sizeof(ipv4), "10.0.%d.%d", i / 250, i % 250);
		snprintf(name, sizeof(name), "local%d", i);
		dns_names_print_endpoint(&text, ipv4, NULL, (char *const[]){ name, NULL });
	}
	check(io_replace_file(fd, DNS_NAMES_FILE, text.data, text.len, false) == 0, "names");
	buf_finish(&text);
	return fd;
}

static pid_t begin_resolver(const char *program, int folder, int *ret_leash)
{
	struct dns_door door;
	int leash[2];
	pid_t pid = 0;

	check(dns_door_open(&door) == 0 && pipe2(leash, O_CLOEXEC) == 0, "door");
	int r = spawn_program(&(struct spawn){ .program_fd = -1,
				      .path = program,
				      .argv = (char *const[]){ (char *)RESOLVER_PROGRAM, (char *)"--server",
					      (char *)"127.0.0.1#" SERVER_PORT, NULL },
				      .stdio = SPAWN_STDIO_INHERIT,
				      .fds = (int[]){ leash[0], door.udp_fd, door.tcp_fd, folder },
				      .fd_count = 4 },
		&pid, NULL);
	check(r == 0, "resolver");
	*ret_leash = leash[1];
	return pid;
}

struct client {
	int fd;
	int64_t sent_ns;
};

static int connect_client(void)
{
	struct sockaddr_in to = address(DNS_DOOR_ADDRESS, 53);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	check(fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0, "connect");
	return fd;
}

static void ask(struct client *client, const char *prefix, unsigned number)
{
	struct dns_question question = { .type = DNS_A, .class = DNS_IN };
	uint8_t out[DNS_QUERY_BYTES];
	char name[64];

	snprintf(name, sizeof(name), "%s%u", prefix, number % NAMES);
	dns_name_from_text(name, &question.name);
	size_t len = dns_query_build((uint16_t)number, 0, &question, false, false, out);
	client->sent_ns = clock_monotonic_ns();
	check(send(client->fd, out, len, 0) == (ssize_t)len, "send");
}

static bool hear(const struct client *client)
{
	uint8_t data[512];
	ssize_t len = recv(client->fd, data, sizeof(data), 0);

	return len > 0 && (data[3] & 0xf) == 0 && data[7] == 1;
}

static int by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void measure(const char *what, const char *prefix, int64_t seconds)
{
	static uint32_t samples[SAMPLES_MAX];
	struct client clients[CLIENTS];
	struct epoll_event events[CLIENTS];
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	unsigned number = 0, wrong = 0, count = 0;

	for (int i = 0; i < CLIENTS; i++) {
		clients[i].fd = connect_client();
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd,
			&(struct epoll_event){ .events = EPOLLIN, .data.ptr = &clients[i] });
	}
	for (; number < NAMES; number++) { /* into the cache */
		ask(&clients[0], prefix, number);
		wrong += !hear(&clients[0]);
	}
	int64_t begin_ns = clock_monotonic_ns(), end_ns = begin_ns + seconds * NS_PER_SEC, now_ns = begin_ns;
	for (int i = 0; i < CLIENTS; i++)
		ask(&clients[i], prefix, number++);
	while (now_ns < end_ns && count < SAMPLES_MAX) {
		int n = epoll_wait(epoll, events, CLIENTS, 1000);
		check(n > 0, "an answer is lost");
		for (int i = 0; i < n && count < SAMPLES_MAX; i++) {
			struct client *client = events[i].data.ptr;
			wrong += !hear(client);
			now_ns = clock_monotonic_ns();
			samples[count++] = (uint32_t)(now_ns - client->sent_ns);
			ask(client, prefix, number++);
		}
	}
	qsort(samples, count, sizeof(samples[0]), by_number);
	printf("%-8s %9.0f answers/s   p50 %6.3f ms   p99 %6.3f ms   longest %6.3f ms   wrong %u\n", what,
		(double)count * 1e9 / (double)(now_ns - begin_ns), samples[count / 2] / 1e6,
		samples[(size_t)count * 99 / 100] / 1e6, samples[count - 1] / 1e6, wrong);
	for (int i = 0; i < CLIENTS; i++)
		close(clients[i].fd);
	close(epoll);
}

int main(int argc, char **argv)
{
	char folder[] = "/tmp/tare-bench-dns-XXXXXX";
	int64_t seconds = argc > 2 ? atoi(argv[2]) : 5;
	int leash;

	if (argc < 2 || seconds < 1) {
		fputs("dns RESOLVER [SECONDS]\n", stderr);
		return 2;
	}
	check(unshare(CLONE_NEWNET) == 0, "unshare");
	int fd = names_folder(folder);
	begin_server(); /* which must not hold the resolver's leash */
	pid_t pid = begin_resolver(argv[1], fd, &leash);
	measure("names", "local", seconds);
	measure("cache", "www.example.n", seconds);
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *status = fopen(path, "r");
	while (status && fgets(line, sizeof(line), status))
		if (strncmp(line, "RssAnon", 7) == 0)
			fputs(line, stdout);
	close(leash);
	waitpid(pid, NULL, 0);
	unlinkat(fd, DNS_NAMES_FILE, 0);
	rmdir(folder);
	return 0;
}
