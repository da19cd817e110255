/* The whole resolver in a child, on the loopback; the test is its client, and the servers that it asks. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "network/dns_server.h"

#define SERVERS   2
#define WAIT_MS   20000                          /* for what must come */
#define LONG_NAME "averylongnamewithmanyletters" /* no two spellings of it are alike */

struct world {
	char folder[64];
	int folder_fd;
	int udp_fd, tcp_fd; /* the resolver's */
	int server_udp[SERVERS], server_tcp[SERVERS];
	struct dns_server_address servers[SERVERS];
	int client_fd;
	pid_t pid;
	char *links[2];
};

static int bound(int type, struct sockaddr_in *address)
{
	socklen_t len = sizeof(*address);
	int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	address->sin_family = AF_INET;
	address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)address, sizeof(*address)), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)address, &len), 0);
	return fd;
}

static struct sockaddr_in address_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return address;
}

static void write_names(struct world *world, const char *text)
{
	assert_int_equal(io_replace_file(world->folder_fd, "names", text, strlen(text), false), 0);
}

static int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	strcpy(world->folder, "/tmp/tare-dns-XXXXXX");
	assert_non_null(mkdtemp(world->folder));
	world->folder_fd = open(world->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sockaddr_in address = { 0 };
	world->udp_fd = bound(SOCK_DGRAM, &address);
	address = (struct sockaddr_in){ 0 };
	world->tcp_fd = bound(SOCK_STREAM, &address);
	for (int i = 0; i < SERVERS; i++) {
		/* One port for both: another program's may be in the way. */
		for (int r = -1; r < 0;) {
			address = (struct sockaddr_in){ 0 };
			world->server_udp[i] = bound(SOCK_DGRAM, &address);
			world->server_tcp[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
			r = bind(world->server_tcp[i], (struct sockaddr *)&address, sizeof(address));
			if (r < 0) {
				close(world->server_udp[i]);
				close(world->server_tcp[i]);
			}
		}
		assert_int_equal(listen(world->server_tcp[i], 16), 0);
		char text[64];
		snprintf(text, sizeof(text), "127.0.0.1#%d", ntohs(address.sin_port));
		assert_int_equal(dns_server_address_parse(text, &world->servers[i]), 0);
	}
	struct sockaddr_in to = address_of(world->udp_fd);
	world->client_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(world->client_fd, (struct sockaddr *)&to, sizeof(to)), 0);
	*state = world;
	return 0;
}

static void begin(struct world *world, size_t server_count, bool forwards, bool has_ndots)
{
	const struct dns_server_options options = {
		.udp_fd = world->udp_fd,
		.tcp_fd = world->tcp_fd,
		.network_fds = &world->folder_fd,
		.network_count = 1,
		.links = world->links,
		.servers = world->servers,
		.server_count = server_count,
		.forwards = forwards,
		.has_ndots = has_ndots,
	};
	struct dns_server *server = NULL;
	struct loop *loop = NULL;

	world->pid = fork();
	if (world->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (loop_new(&loop) < 0 || dns_server_new(loop, &options, &server) < 0)
		_exit(1);
	loop_run(loop);
	_exit(1);
}

static int world_teardown(void **state)
{
	struct world *world = *state;
	int status = 0;

	if (world->pid > 0) {
		/* It must have been alive until now. */
		assert_int_equal(waitpid(world->pid, &status, WNOHANG), 0);
		kill(world->pid, SIGKILL);
		waitpid(world->pid, &status, 0);
	}
	for (int i = 0; i < SERVERS; i++) {
		close(world->server_udp[i]);
		close(world->server_tcp[i]);
	}
	close(world->udp_fd);
	close(world->tcp_fd);
	close(world->client_fd);
	unlinkat(world->folder_fd, "names", 0);
	close(world->folder_fd);
	rmdir(world->folder);
	free(world);
	return 0;
}

/* ---- messages */

static size_t query(uint8_t *out, uint16_t id, const char *name, uint16_t type)
{
	struct dns_question question = { .type = type, .class = DNS_IN };

	assert_int_equal(dns_name_from_text(name, &question.name), 0);
	return dns_query_build(id, 0, &question, false, false, out);
}

static size_t receive(int fd, uint8_t *out, size_t size)
{
	struct pollfd poll_fd = { fd, POLLIN, 0 };

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	ssize_t n = recv(fd, out, size, 0);
	assert_true(n >= 0);
	return (size_t)n;
}

static void ask(struct world *world, uint16_t id, const char *name, uint16_t type)
{
	uint8_t out[DNS_QUERY_BYTES];
	size_t len = query(out, id, name, type);

	assert_int_equal(send(world->client_fd, out, len, 0), len);
}

struct seen {
	uint8_t data[DNS_MESSAGE_MAX];
	size_t len;
	struct sockaddr_in from;
};

static uint16_t id_of(const struct seen *seen)
{
	return (uint16_t)(seen->data[0] << 8 | seen->data[1]);
}

static int rcode_of(const struct seen *seen)
{
	return seen->data[3] & 0xf;
}

static int answers_of(const struct seen *seen)
{
	return seen->data[6] << 8 | seen->data[7];
}

static struct seen *hear(struct world *world)
{
	static struct seen seen;
	seen.len = receive(world->client_fd, seen.data, sizeof(seen.data));
	return &seen;
}

/* The address in the first record, which is the last thing in a message that has one record. */
static const char *last_ipv4(const struct seen *seen)
{
	static char text[INET_ADDRSTRLEN];
	assert_true(seen->len > 4);
	return inet_ntop(AF_INET, seen->data + seen->len - 4, text, sizeof(text));
}

static void expect(struct world *world, const char *name, uint16_t type, int rcode, int answers)
{
	static uint16_t id = 100;

	ask(world, ++id, name, type);
	const struct seen *seen = hear(world);
	assert_int_equal(id_of(seen), id);
	assert_int_equal(rcode_of(seen), rcode);
	assert_int_equal(answers_of(seen), answers);
}

/* ---- a server's part */

static void serve_hear(struct world *world, int server, struct seen *ret)
{
	struct pollfd poll_fd = { world->server_udp[server], POLLIN, 0 };
	socklen_t len = sizeof(ret->from);

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	ssize_t n = recvfrom(world->server_udp[server], ret->data, sizeof(ret->data), 0, (struct sockaddr *)&ret->from,
		&len);
	assert_true(n > DNS_HEADER_BYTES);
	ret->len = (size_t)n;
}

static bool serve_heard_nothing(struct world *world, int server)
{
	uint8_t byte;
	return recv(world->server_udp[server], &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static size_t question_end(const struct seen *asked)
{
	return DNS_HEADER_BYTES + strlen((const char *)asked->data + DNS_HEADER_BYTES) + 1 + 4;
}

/* What it asked, answered: with that address, if any, and so many seconds. */
static size_t answer_to(const struct seen *asked, int rcode, const char *ipv4, uint8_t *out)
{
	size_t len = question_end(asked);

	memcpy(out, asked->data, len);
	out[2] = 0x81;
	out[3] = (uint8_t)(0x80 | rcode);
	memset(out + 4, 0, 8);
	out[5] = 1;
	if (ipv4) {
		out[7] = 1;
		memcpy(out + len, "\xc0\x0c\0\1\0\1\0\0\0\x64\0\4", 12);
		assert_int_equal(inet_pton(AF_INET, ipv4, out + len + 12), 1);
		len += 16;
	}
	return len;
}

static void say(struct world *world, int server, const struct seen *asked, const uint8_t *data, size_t len)
{
	assert_int_equal(sendto(world->server_udp[server], data, len, 0, (const struct sockaddr *)&asked->from,
				 sizeof(asked->from)),
		len);
}

static void say_answer(struct world *world, int server, const struct seen *asked, int rcode, const char *ipv4)
{
	uint8_t out[512];
	say(world, server, asked, out, answer_to(asked, rcode, ipv4, out));
}

static int serve_accept(struct world *world, int server, struct seen *ret)
{
	struct pollfd poll_fd = { world->server_tcp[server], POLLIN, 0 };
	uint8_t prefix[2];

	assert_int_equal(poll(&poll_fd, 1, WAIT_MS), 1);
	int fd = accept4(world->server_tcp[server], NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(recv(fd, prefix, 2, MSG_WAITALL), 2);
	ret->len = (size_t)prefix[0] << 8 | prefix[1];
	assert_int_equal(recv(fd, ret->data, ret->len, MSG_WAITALL), ret->len);
	return fd;
}

static void say_tcp(int fd, const uint8_t *data, size_t len)
{
	uint8_t prefix[2] = { (uint8_t)(len >> 8), (uint8_t)len };

	assert_int_equal(send(fd, prefix, 2, MSG_MORE), 2);
	assert_int_equal(send(fd, data, len, 0), len);
	close(fd);
}

/* ---- names */

static void names_are_answered_here(void **state)
{
	struct world *world = *state;

	world->links[0] = (char *)"0:database=db";
	write_names(world, "network mynet\n10.1.0.2 fd00::2 web 0123456789ab www\n10.1.0.3 - db www\n");
	begin(world, 1, true, false);
	expect(world, "web", DNS_A, DNS_NOERROR, 1);
	expect(world, "WEB", DNS_AAAA, DNS_NOERROR, 1);
	expect(world, "0123456789ab", DNS_A, DNS_NOERROR, 1);
	expect(world, "web.mynet", DNS_A, DNS_NOERROR, 1);
	expect(world, "db", DNS_AAAA, DNS_NOERROR, 0);
	expect(world, "db", 16, DNS_NOERROR, 0); /* TXT: nobody else is asked */
	expect(world, "db", 65, DNS_NOERROR, 0);
	expect(world, "www", DNS_A, DNS_NOERROR, 2);
	expect(world, "database", DNS_A, DNS_NOERROR, 1);
	expect(world, "3.0.1.10.in-addr.arpa", DNS_PTR, DNS_NOERROR, 1);
	expect(world, "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa", DNS_PTR, DNS_NOERROR,
		1);
	ask(world, 1, "db", DNS_A);
	assert_string_equal(last_ipv4(hear(world)), "10.1.0.3");
	assert_true(serve_heard_nothing(world, 0));
}

static void the_file_is_looked_at_each_time(void **state)
{
	struct world *world = *state;
	char text[64];

	begin(world, 1, false, false);
	expect(world, "web", DNS_A, DNS_SERVFAIL, 0);
	for (int i = 1; i < 20; i++) {
		snprintf(text, sizeof(text), "network n\n10.1.0.%d - web\n", i);
		write_names(world, text);
		ask(world, 1, "web", DNS_A);
		assert_memory_equal(last_ipv4(hear(world)), text + strlen("network n\n"), strlen("10.1.0.1"));
	}
	unlinkat(world->folder_fd, "names", 0);
	expect(world, "web", DNS_A, DNS_SERVFAIL, 0);
}

static void of_many_addresses_another_is_first_each_time(void **state)
{
	struct world *world = *state;
	char first[INET_ADDRSTRLEN];

	write_names(world, "network n\n10.1.0.2 - web\n10.1.0.3 - web\n");
	begin(world, 1, true, false);
	ask(world, 1, "web", DNS_A);
	strcpy(first, last_ipv4(hear(world)));
	ask(world, 1, "web", DNS_A);
	assert_string_not_equal(first, last_ipv4(hear(world)));
}

/* ---- forwarding */

static void an_answer_comes_back_and_is_kept(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 1, true, false);
	ask(world, 7, "A.example", DNS_A);
	serve_hear(world, 0, &asked);
	assert_true(asked.data[2] & 1); /* recursion desired */
	assert_int_equal(asked.data[11], 1);
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	const struct seen *seen = hear(world);
	assert_int_equal(id_of(seen), 7);
	assert_memory_equal(seen->data + DNS_HEADER_BYTES, "\1A\7example", 10); /* as the client spelt it */
	assert_string_equal(last_ipv4(seen), "192.0.2.1");
	expect(world, "a.EXAMPLE", DNS_A, DNS_NOERROR, 1);
	assert_true(serve_heard_nothing(world, 0));
	/* A single label nobody knows goes out too. */
	ask(world, 8, "nobody", DNS_A);
	serve_hear(world, 0, &asked);
	say_answer(world, 0, &asked, DNS_NXDOMAIN, NULL);
	assert_int_equal(rcode_of(hear(world)), DNS_NXDOMAIN);
}

static void questions_differ_in_id_port_and_spelling(void **state)
{
	struct world *world = *state;
	struct seen asked[8];
	int ids = 0, ports = 0, spellings = 0;

	begin(world, 1, true, false);
	for (int i = 0; i < 8; i++) {
		ask(world, (uint16_t)i, LONG_NAME, DNS_A);
		serve_hear(world, 0, &asked[i]);
		say_answer(world, 0, &asked[i], DNS_NOERROR, NULL); /* no SOA: not kept */
		hear(world);
	}
	for (int i = 1; i < 8; i++) {
		ids += memcmp(asked[i].data, asked[0].data, 2) != 0;
		ports += asked[i].from.sin_port != asked[0].from.sin_port;
		spellings += memcmp(asked[i].data + DNS_HEADER_BYTES, asked[0].data + DNS_HEADER_BYTES,
				     sizeof(LONG_NAME)) != 0;
	}
	assert_true(ids >= 6);
	assert_true(ports >= 6);
	assert_int_equal(spellings, 7);
}

static void forged_answers_are_not_taken(void **state)
{
	struct world *world = *state;
	struct seen asked, again;
	uint8_t out[512];

	begin(world, 1, true, false);
	ask(world, 7, LONG_NAME, DNS_A);
	serve_hear(world, 0, &asked);
	/* Of another port, of another id: as if it had never come. */
	size_t len = answer_to(&asked, DNS_NOERROR, "192.0.2.66", out);
	assert_int_equal(sendto(world->server_udp[1], out, len, 0, (struct sockaddr *)&asked.from, sizeof(asked.from)),
		len);
	out[0] ^= 1;
	say(world, 0, &asked, out, len);
	out[0] ^= 1;
	/* Spelt otherwise: asked again over TCP. */
	out[DNS_HEADER_BYTES + 1] ^= 0x20;
	say(world, 0, &asked, out, len);
	int fd = serve_accept(world, 0, &again);
	say_tcp(fd, out, answer_to(&again, DNS_NOERROR, "192.0.2.1", out));
	assert_string_equal(last_ipv4(hear(world)), "192.0.2.1");
}

static void what_is_cut_is_asked_for_by_tcp(void **state)
{
	struct world *world = *state;
	static uint8_t out[DNS_MESSAGE_MAX];
	struct seen asked, again;

	begin(world, 1, true, false);
	ask(world, 7, "long.example", DNS_A);
	serve_hear(world, 0, &asked);
	size_t len = answer_to(&asked, DNS_NOERROR, NULL, out);
	out[2] |= 2;
	say(world, 0, &asked, out, len);
	int fd = serve_accept(world, 0, &again);
	len = answer_to(&again, DNS_NOERROR, NULL, out);
	out[6] = 4;
	out[7] = 0; /* 1024 */
	for (int i = 0; i < 1024; i++, len += 16)
		memcpy(out + len, "\xc0\x0c\0\1\0\1\0\0\0\x64\0\4\1\2\3", 16);
	say_tcp(fd, out, len);
	const struct seen *seen = hear(world);
	assert_true(seen->data[2] & 2);
	assert_true(seen->len <= DNS_UDP_MIN);
	assert_int_equal(answers_of(seen), (512 - 30) / 16);
}

static void a_silent_server_costs_little(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 2, true, false);
	ask(world, 7, "a.example", DNS_A);
	serve_hear(world, 1, &asked);
	say_answer(world, 1, &asked, DNS_NOERROR, "192.0.2.2");
	assert_string_equal(last_ipv4(hear(world)), "192.0.2.2");
	/* After a few of these it is not asked first any more. */
	for (int i = 1; i < DNS_SERVER_MISSES; i++) {
		ask(world, 7, i & 1 ? "b.example" : "c.example", DNS_A);
		serve_hear(world, 1, &asked);
		say_answer(world, 1, &asked, DNS_NOERROR, "192.0.2.2");
		hear(world);
	}
	while (!serve_heard_nothing(world, 0))
		;
	ask(world, 7, "d.example", DNS_A);
	serve_hear(world, 1, &asked);
	say_answer(world, 1, &asked, DNS_NOERROR, "192.0.2.2");
	hear(world);
	assert_true(serve_heard_nothing(world, 0));
}

static void a_no_of_a_later_server_waits_for_the_first(void **state)
{
	struct world *world = *state;
	struct seen first, second;

	begin(world, 2, true, false);
	ask(world, 7, "internal.example", DNS_A);
	serve_hear(world, 0, &first);
	serve_hear(world, 1, &second);
	say_answer(world, 1, &second, DNS_NXDOMAIN, NULL);
	say_answer(world, 0, &first, DNS_NOERROR, "10.0.0.1");
	assert_int_equal(rcode_of(hear(world)), DNS_NOERROR);
	/* Not for ever. */
	ask(world, 8, "gone.example", DNS_A);
	serve_hear(world, 0, &first);
	serve_hear(world, 1, &second);
	say_answer(world, 1, &second, DNS_NXDOMAIN, NULL);
	assert_int_equal(rcode_of(hear(world)), DNS_NXDOMAIN);
}

static void when_all_servers_fail_so_does_the_query(void **state)
{
	struct world *world = *state;
	struct seen asked;

	close(world->server_udp[1]); /* nobody listens there: refused */
	begin(world, 2, true, false);
	ask(world, 7, "a.example", DNS_A);
	serve_hear(world, 0, &asked);
	int64_t start_ms = clock_monotonic_ms();
	say_answer(world, 0, &asked, DNS_SERVFAIL, NULL);
	assert_int_equal(rcode_of(hear(world)), DNS_SERVFAIL);
	assert_true(clock_monotonic_ms() - start_ms < DNS_GIVE_UP_MS);
	world->server_udp[1] = dup(world->server_udp[0]); /* for the teardown */
}

static void a_server_without_edns_is_asked_without(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 1, true, false);
	ask(world, 7, "a.example", DNS_A);
	serve_hear(world, 0, &asked);
	assert_int_equal(asked.data[11], 1);
	say_answer(world, 0, &asked, DNS_FORMERR, NULL);
	serve_hear(world, 0, &asked);
	assert_int_equal(asked.data[11], 0);
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	assert_int_equal(answers_of(hear(world)), 1);
}

static void equal_questions_are_asked_once(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 1, true, false);
	for (uint16_t i = 0; i < 10; i++)
		ask(world, i, i & 1 ? "a.example" : "A.EXAMPLE", DNS_A);
	ask(world, 3, "a.example", DNS_A); /* said again: answered once */
	ask(world, 99, "end", DNS_OPT);    /* refused at once: all before it have been read */
	assert_int_equal(id_of(hear(world)), 99);
	serve_hear(world, 0, &asked);
	assert_true(serve_heard_nothing(world, 0));
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	for (uint16_t i = 0; i < 10; i++)
		assert_int_equal(id_of(hear(world)), i);
	expect(world, "a.example", DNS_A, DNS_NOERROR, 1);
}

static void a_question_that_comes_back_is_a_loop(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 1, true, false);
	ask(world, 7, LONG_NAME, DNS_A);
	serve_hear(world, 0, &asked);
	/* The server asks us what we asked it, letter for letter. */
	assert_int_equal(send(world->client_fd, asked.data, asked.len, 0), asked.len);
	const struct seen *seen = hear(world);
	assert_int_equal(id_of(seen), id_of(&asked));
	assert_int_equal(rcode_of(seen), DNS_SERVFAIL);
	say_answer(world, 0, &asked, DNS_SERVFAIL, NULL);
	seen = hear(world);
	assert_int_equal(id_of(seen), 7);
	assert_int_equal(rcode_of(seen), DNS_SERVFAIL);
	assert_true(serve_heard_nothing(world, 0));
}

static void without_a_way_out_nobody_is_asked(void **state)
{
	struct world *world = *state;

	write_names(world, "network n\n10.1.0.2 - web\n");
	begin(world, 1, false, false);
	expect(world, "example.com", DNS_A, DNS_SERVFAIL, 0);
	expect(world, "example.com", 16, DNS_SERVFAIL, 0);
	expect(world, "9.0.1.10.in-addr.arpa", DNS_PTR, DNS_SERVFAIL, 0);
	expect(world, "web", DNS_A, DNS_NOERROR, 1);
	assert_true(serve_heard_nothing(world, 0));
}

static void with_ndots_a_single_label_stays_here(void **state)
{
	struct world *world = *state;
	struct seen asked;

	begin(world, 1, true, true);
	expect(world, "nobody", DNS_A, DNS_NOERROR, 0);
	assert_true(serve_heard_nothing(world, 0));
	ask(world, 7, "nobody", 16);
	serve_hear(world, 0, &asked);
	say_answer(world, 0, &asked, DNS_NXDOMAIN, NULL);
	hear(world);
}

static void what_nobody_should_ask_is_refused(void **state)
{
	struct world *world = *state;

	begin(world, 1, true, false);
	expect(world, "a.example", DNS_AXFR, DNS_REFUSED, 0);
	expect(world, "a.example", DNS_OPT, DNS_REFUSED, 0);
	/* Junk, and too much, get no answer; the next query does. */
	static uint8_t junk[DNS_QUERY_MAX + 1];
	assert_int_equal(send(world->client_fd, junk, 3, 0), 3);
	assert_int_equal(send(world->client_fd, "", 0, 0), 0);
	query(junk, 5, "a.example", DNS_AXFR);
	assert_int_equal(send(world->client_fd, junk, sizeof(junk), 0), sizeof(junk));
	expect(world, "a.example", DNS_AXFR, DNS_REFUSED, 0);
	assert_true(serve_heard_nothing(world, 0));
}

/* ---- TCP */

static int connect_tcp(struct world *world)
{
	struct sockaddr_in to = address_of(world->tcp_fd);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static size_t put_query(uint8_t *out, uint16_t id, const char *name, uint16_t type)
{
	size_t len = query(out + 2, id, name, type);
	out[0] = (uint8_t)(len >> 8);
	out[1] = (uint8_t)len;
	return len + 2;
}

static void hear_tcp(int fd, struct seen *ret)
{
	uint8_t prefix[2];

	assert_int_equal(recv(fd, prefix, 2, MSG_WAITALL), 2);
	ret->len = (size_t)prefix[0] << 8 | prefix[1];
	assert_int_equal(recv(fd, ret->data, ret->len, MSG_WAITALL), ret->len);
}

static void one_connection_takes_many_queries(void **state)
{
	struct world *world = *state;
	uint8_t out[4096];
	struct seen asked, seen;
	size_t len = 0;

	write_names(world, "network n\n10.1.0.2 - web\n");
	begin(world, 1, true, false);
	int fd = connect_tcp(world);
	len += put_query(out + len, 1, "slow.example", DNS_A);
	len += put_query(out + len, 2, "web", DNS_A);
	len += put_query(out + len, 3, "web.n", DNS_A);
	/* In pieces, too. */
	assert_int_equal(send(fd, out, 1, 0), 1);
	assert_int_equal(send(fd, out + 1, len - 4, 0), len - 4);
	serve_hear(world, 0, &asked);
	assert_int_equal(send(fd, out + len - 3, 3, 0), 3);
	shutdown(fd, SHUT_WR);
	hear_tcp(fd, &seen);
	assert_int_equal(id_of(&seen), 2);
	hear_tcp(fd, &seen);
	assert_int_equal(id_of(&seen), 3);
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	hear_tcp(fd, &seen);
	assert_int_equal(id_of(&seen), 1);
	assert_int_equal(recv(fd, out, 1, 0), 0); /* all said, all answered */
	close(fd);
}

static void over_tcp_an_answer_is_whole(void **state)
{
	struct world *world = *state;
	struct buf text = BUF_INIT(1 << 20);
	uint8_t out[512];
	struct seen seen;

	assert_int_equal(buf_puts(&text, "network n\n"), 0);
	for (int i = 0; i < 300; i++)
		assert_int_equal(buf_printf(&text, "10.1.%d.%d - all\n", i / 200, i % 200), 0);
	write_names(world, text.data);
	buf_finish(&text);
	begin(world, 1, true, false);
	ask(world, 1, "all", DNS_A);
	assert_true(hear(world)->data[2] & 2);
	int fd = connect_tcp(world);
	assert_true(send(fd, out, put_query(out, 2, "all", DNS_A), 0) > 0);
	hear_tcp(fd, &seen);
	assert_int_equal(answers_of(&seen), 300);
	close(fd);
}

static void a_connection_has_its_limits(void **state)
{
	struct world *world = *state;
	uint8_t out[2 + DNS_QUERY_MAX], byte;
	struct seen asked, seen;

	begin(world, 1, true, false);
	/* The greatest query is answered; a greater one ends the connection, and so does junk. */
	int fd = connect_tcp(world);
	memset(out, 0, sizeof(out));
	query(out + 2, 1, "a.example", DNS_AXFR);
	out[0] = DNS_QUERY_MAX >> 8;
	out[1] = DNS_QUERY_MAX & 0xff;
	assert_int_equal(send(fd, out, sizeof(out), 0), sizeof(out));
	hear_tcp(fd, &seen);
	out[1]++;
	assert_int_equal(send(fd, out, 2, 0), 2);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	fd = connect_tcp(world);
	assert_int_equal(send(fd, "\0\3abc", 5, 0), 5);
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
	/* So many questions may be open; the next is read when one is answered. */
	fd = connect_tcp(world);
	for (int i = 0; i <= DNS_TCP_PENDING_MAX; i++) {
		char name[32];
		snprintf(name, sizeof(name), "n%d.example", i);
		assert_true(send(fd, out, put_query(out, (uint16_t)i, name, DNS_A), 0) > 0);
	}
	for (int i = 0; i < DNS_TCP_PENDING_MAX; i++)
		serve_hear(world, 0, &asked);
	expect(world, "x", DNS_AXFR, DNS_REFUSED, 0);
	assert_true(serve_heard_nothing(world, 0));
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	hear_tcp(fd, &seen);
	serve_hear(world, 0, &asked);
	/* A client that goes takes what it asked with it; others are served. */
	close(fd);
	say_answer(world, 0, &asked, DNS_NOERROR, "192.0.2.1");
	expect(world, "x", DNS_AXFR, DNS_REFUSED, 0);
}

static void more_connections_wait_their_turn(void **state)
{
	struct world *world = *state;
	int fds[DNS_TCP_MAX + 1];
	uint8_t out[512];
	struct seen seen;

	begin(world, 1, true, false);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		fds[i] = connect_tcp(world);
		assert_true(send(fds[i], out, put_query(out, 1, "a.example", DNS_AXFR), 0) > 0);
		if (i < DNS_TCP_MAX)
			hear_tcp(fds[i], &seen);
	}
	struct pollfd last = { fds[DNS_TCP_MAX], POLLIN, 0 };
	expect(world, "x", DNS_AXFR, DNS_REFUSED, 0);
	assert_int_equal(poll(&last, 1, 0), 0);
	close(fds[0]);
	hear_tcp(fds[DNS_TCP_MAX], &seen);
	for (size_t i = 1; i < sizeof(fds) / sizeof(fds[0]); i++)
		close(fds[i]);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
		TEST(names_are_answered_here),
		TEST(the_file_is_looked_at_each_time),
		TEST(of_many_addresses_another_is_first_each_time),
		TEST(an_answer_comes_back_and_is_kept),
		TEST(questions_differ_in_id_port_and_spelling),
		TEST(forged_answers_are_not_taken),
		TEST(what_is_cut_is_asked_for_by_tcp),
		TEST(a_silent_server_costs_little),
		TEST(a_no_of_a_later_server_waits_for_the_first),
		TEST(when_all_servers_fail_so_does_the_query),
		TEST(a_server_without_edns_is_asked_without),
		TEST(equal_questions_are_asked_once),
		TEST(a_question_that_comes_back_is_a_loop),
		TEST(without_a_way_out_nobody_is_asked),
		TEST(with_ndots_a_single_label_stays_here),
		TEST(what_nobody_should_ask_is_refused),
		TEST(one_connection_takes_many_queries),
		TEST(over_tcp_an_answer_is_whole),
		TEST(a_connection_has_its_limits),
		TEST(more_connections_wait_their_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
