/*
 * What a network costs once it is there: how long a byte takes there and back, and how long it takes to move many.
 *
 *	wire serve PORT                        on all addresses, until it is ended
 *	wire latency ADDRESS PORT COUNT        COUNT bytes, one after the other, each answered before the next
 *	wire throughput ADDRESS PORT MEBIBYTES
 *
 * The last two print how many ms it took, connecting apart.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#define PIECE (256 * 1024)
#define MIB   (1024 * 1024)

static char piece[PIECE];

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct sockaddr_in address_of(const char *host, const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		fprintf(stderr, "wire: not an address: %s\n", host);
		exit(2);
	}
	return address;
}

static void at_once(int fd)
{
	const int on = 1;
	check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), "TCP_NODELAY");
}

/* The first byte says which: 'l', and all is echoed; 't', and a byte is sent when all has come. */
static _Noreturn void serve_one(int fd)
{
	ssize_t len;
	at_once(fd);
	check((int)recv(fd, piece, 1, 0), "recv");
	bool echo = piece[0] == 'l';
	while ((len = recv(fd, piece, sizeof piece, 0)) > 0)
		if (echo)
			check((int)send(fd, piece, (size_t)len, 0), "send");
	if (!echo)
		send(fd, "", 1, 0);
	_exit(0);
}

static void serve(const char *port)
{
	const int on = 1;
	const struct sockaddr_in any = address_of("0.0.0.0", port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), "SO_REUSEADDR");
	check(bind(fd, (const struct sockaddr *)&any, sizeof any), "bind");
	check(listen(fd, 16), "listen");
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int client = accept(fd, NULL, NULL);
		check(client, "accept");
		if (fork() == 0)
			serve_one(client);
		close(client);
	}
}

static int reach(const char *host, const char *port, const char *what)
{
	const struct sockaddr_in address = address_of(host, port);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	check(connect(fd, (const struct sockaddr *)&address, sizeof address), "connect");
	at_once(fd);
	check((int)send(fd, what, 1, 0), "send");
	return fd;
}

static double latency(int fd, long count)
{
	double start = now_ms();
	for (long i = 0; i < count; i++) {
		check((int)send(fd, "x", 1, 0), "send");
		if (recv(fd, piece, 1, 0) != 1)
			exit(1);
	}
	return now_ms() - start;
}

static double throughput(int fd, long mebibytes)
{
	double start = now_ms();
	for (long long left = (long long)mebibytes * MIB; left > 0;) {
		ssize_t len = send(fd, piece, left < PIECE ? (size_t)left : PIECE, 0);
		check((int)len, "send");
		left -= len;
	}
	check(shutdown(fd, SHUT_WR), "shutdown");
	if (recv(fd, piece, 1, 0) != 1)
		exit(1);
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		serve(argv[2]);
	if (argc != 5) {
		fprintf(stderr,
			"usage: wire serve PORT | latency ADDRESS PORT COUNT | throughput ADDRESS PORT MEBIBYTES\n");
		return 2;
	}
	bool is_latency = strcmp(argv[1], "latency") == 0;
	int fd = reach(argv[2], argv[3], is_latency ? "l" : "t");
	printf("%.3f\n", is_latency ? latency(fd, atol(argv[4])) : throughput(fd, atol(argv[4])));
	return 0;
}
