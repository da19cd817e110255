/* Ports of a host that is a network namespace of the test's own. */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "../unit.h"
#include "network/published.h"

static int setup(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	if (unshare(CLONE_NEWNET) < 0)
		return 0;
	_autoclose_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo) == 0)
		*state = (void *)1;
	return 0;
}

#define PORT(protocol, address, first, choice, container, number) \
 ((struct lease_port){ .proto = (char *)(protocol),               \
	 .host_ip = (char *)(address),                            \
	 .host_port = (first),                                    \
	 .choices = (choice),                                     \
	 .container_port = (container),                           \
	 .count = (number) })

static struct lease_endpoint endpoint_with(struct lease_port *ports, size_t count)
{
	return (struct lease_endpoint){ .ipv4 = { .address = (char *)"10.0.0.2" },
		.endpoint_id = (char *)"0123",
		.interface = (char *)"eth0",
		.ports = ports,
		.port_count = count };
}

static int reserve(struct published *published, struct lease_port *ports, size_t count, struct err **reterr)
{
	struct lease_endpoint endpoint = endpoint_with(ports, count);
	*published = (struct published){ 0 };
	return published_reserve(published, &endpoint, 1, NULL, reterr);
}

/* What another program would get: it is polite as servers are, and sets SO_REUSEADDR. */
static int foreign(int family, int type, uint16_t port, int *ret_fd)
{
	const int on = 1;
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(family, type | SOCK_CLOEXEC, 0), r = 0;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, family == AF_INET6 ? (void *)&v6 : (void *)&v4, family == AF_INET6 ? sizeof(v6) : sizeof(v4)) <
			0 ||
		(type == SOCK_STREAM && listen(fd, 1) < 0))
		r = -errno;
	if (r == 0 && ret_fd)
		*ret_fd = fd;
	else
		close(fd);
	return r;
}

static void nobody_else_gets_a_reserved_port(void **state)
{
	if (!*state)
		skip();
	struct lease_port ports[] = { PORT("tcp", "0.0.0.0", 8080, 0, 80, 2), PORT("tcp", "::", 8080, 0, 80, 2),
		PORT("udp", "0.0.0.0", 53, 0, 53, 1) };
	struct published published;
	assert_int_equal(reserve(&published, ports, 3, NULL), 0);
	assert_int_equal(published.count, 5);
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 8080, NULL), -EADDRINUSE);
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 8081, NULL), -EADDRINUSE);
	assert_int_equal(foreign(AF_INET6, SOCK_STREAM, 8081, NULL), -EADDRINUSE);
	assert_int_equal(foreign(AF_INET, SOCK_DGRAM, 53, NULL), -EADDRINUSE);
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 8082, NULL), 0);

	/* Not even one of our own; and he who is refused has nothing. */
	struct lease_port second[] = { PORT("tcp", "0.0.0.0", 9090, 0, 80, 1),
		PORT("tcp", "127.0.0.1", 8081, 0, 80, 1) };
	struct published none;
	struct err *err = NULL;
	assert_int_equal(reserve(&none, second, 2, &err), -EADDRINUSE);
	assert_non_null(strstr(err->message, "Bind for 127.0.0.1:8081 failed: port is already allocated"));
	err_free(err);
	assert_int_equal(none.count, 0);
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 9090, NULL), 0);

	published_release(&published);
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 8080, NULL), 0);
}

static void another_program_s_port_is_refused(void **state)
{
	if (!*state)
		skip();
	int held, datagrams;
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 7000, &held), 0);
	assert_int_equal(foreign(AF_INET, SOCK_DGRAM, 7000, &datagrams), 0);
	struct published published;
	struct err *err = NULL;
	const char *const protocols[] = { "tcp", "udp" };
	for (int i = 0; i < 2; i++) {
		struct lease_port port = PORT(protocols[i], "0.0.0.0", 6999, 0, 80, 2);
		assert_int_equal(reserve(&published, &port, 1, &err), -EADDRINUSE);
		assert_non_null(strstr(err->message, "Bind for 0.0.0.0:7000 failed"));
		err_free(err);
		err = NULL;
	}
	struct lease_port elsewhere = PORT("tcp", "192.0.2.9", 80, 0, 80, 1);
	assert_int_equal(reserve(&published, &elsewhere, 1, &err), -EADDRNOTAVAIL);
	assert_non_null(strstr(err->message, "Bind for 192.0.2.9:80 failed: Cannot assign requested address"));
	err_free(err);
	close(held);
	close(datagrams);
}

/* A server that has closed first leaves its connections in TIME-WAIT. */
static void a_port_with_a_past_is_free(void **state)
{
	if (!*state)
		skip();
	int listener;
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 7100, &listener), 0);
	struct sockaddr_in to = { AF_INET, htons(7100), { htonl(INADDR_LOOPBACK) }, { 0 } };
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(client, (void *)&to, sizeof(to)), 0);
	int server = accept(listener, NULL, NULL);
	close(server);
	close(client);
	close(listener);
	struct published published;
	struct lease_port port = PORT("tcp", "0.0.0.0", 7100, 0, 80, 1);
	assert_int_equal(reserve(&published, &port, 1, NULL), 0);
	published_release(&published);
}

static void what_is_left_to_us_is_chosen(void **state)
{
	if (!*state)
		skip();
	/* One of three, of which two are taken; both families get the same. */
	int v4, v6;
	assert_int_equal(foreign(AF_INET, SOCK_STREAM, 7200, &v4), 0);
	assert_int_equal(foreign(AF_INET6, SOCK_STREAM, 7201, &v6), 0);
	struct lease_port ports[] = { PORT("tcp", "0.0.0.0", 7200, 3, 80, 1), PORT("tcp", "::", 7200, 3, 80, 1) };
	struct published published, more;
	assert_int_equal(reserve(&published, ports, 2, NULL), 0);
	assert_int_equal(ports[0].host_port, 7202);
	assert_int_equal(ports[1].host_port, 7202);
	assert_int_equal(ports[0].choices, 0);
	assert_int_equal(published.count, 2);
	struct lease_port third[] = { PORT("tcp", "0.0.0.0", 7200, 3, 80, 1), PORT("tcp", "::", 7200, 3, 80, 1) };
	struct err *err = NULL;
	assert_int_equal(reserve(&more, third, 2, &err), -EADDRINUSE);
	assert_non_null(strstr(err->message, "Bind for 0.0.0.0:7200-7202 failed: all ports are allocated"));
	err_free(err);
	published_release(&published);
	close(v4);
	close(v6);

	FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");
	assert_non_null(range);
	fputs("40000 40003", range);
	assert_int_equal(fclose(range), 0);
	struct lease_port any[5];
	unsigned seen = 0;
	for (int i = 0; i < 4; i++)
		any[i] = PORT("tcp", "0.0.0.0", 0, 0, 80, 1);
	assert_int_equal(reserve(&published, any, 4, NULL), 0);
	for (int i = 0; i < 4; i++) {
		assert_in_range(any[i].host_port, 40000, 40003);
		seen |= 1U << (any[i].host_port - 40000);
	}
	assert_int_equal(seen, 15);
	any[4] = PORT("tcp", "0.0.0.0", 0, 0, 80, 1);
	assert_int_equal(reserve(&more, &any[4], 1, NULL), -EADDRINUSE);
	published_release(&published);
}

static struct lease_port heap_port(const char *proto, const char *address, int64_t number)
{
	return PORT(strdup(proto), strdup(address), number, 0, 80, 1);
}

static void switch_v6(bool on)
{
	FILE *file = fopen("/proc/sys/net/ipv6/conf/all/disable_ipv6", "w");
	assert_non_null(file);
	fputs(on ? "0" : "1", file);
	assert_int_equal(fclose(file), 0);
}

/* The half of a binding to all addresses that nobody could reach is left out; named by itself it is refused. */
static void what_nobody_could_reach_is_not_published(void **state)
{
	if (!*state)
		skip();
	static const struct {
		const char *proto, *own_v6, *v6;
		bool has_host_v6, is_reached;
	} cases[] = {
		{ "tcp", NULL, "::", true, true },
		{ "tcp", NULL, "::", false, false },
		{ "tcp", "fd00::2", "::", false, false },
		{ "sctp", NULL, "::", true, false },
		{ "sctp", "fd00::2", "::", true, true },
		{ "sctp", "fd00::2", "::1", true, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct lease_port *ports = calloc(2, sizeof(*ports));
		struct published published = { 0 };
		ports[0] = heap_port(cases[i].proto, "0.0.0.0", 7400);
		ports[1] = heap_port(cases[i].proto, cases[i].v6, 7400);
		struct lease_endpoint endpoint = endpoint_with(ports, 2);
		endpoint.ipv6.address = (char *)cases[i].own_v6;
		switch_v6(cases[i].has_host_v6);
		bool is_half = strcmp(cases[i].v6, "::") == 0;
		int r = published_reserve(&published, &endpoint, 1, NULL, NULL);
		switch_v6(true);
		assert_int_equal(r, is_half || cases[i].is_reached ? 0 : -EPROTONOSUPPORT);
		if (r == 0)
			assert_int_equal(endpoint.port_count, cases[i].is_reached ? 2 : 1);
		assert_string_equal(endpoint.ports[0].host_ip, "0.0.0.0");
		published_release(&published);
		for (size_t k = 0; k < endpoint.port_count; k++)
			json_finish(&lease_port_table, &ports[k]);
		free(ports);
	}
}

/* Sockets up to the ceiling; of the rest it is only seen that they are free. */
static void more_than_the_ceiling_is_looked_at(void **state)
{
	if (!*state)
		skip();
	struct published published;
	struct lease_port port = PORT("udp", "0.0.0.0", 10000, 0, 10000, PUBLISHED_SOCKETS_MAX + 10);
	int last;
	if (reserve(&published, &port, 1, NULL) == -EMFILE)
		skip();
	assert_int_equal(published.count, PUBLISHED_SOCKETS_MAX);
	assert_int_equal(foreign(AF_INET, SOCK_DGRAM, 10000 + PUBLISHED_SOCKETS_MAX - 1, NULL), -EADDRINUSE);
	assert_int_equal(foreign(AF_INET, SOCK_DGRAM, 10000 + PUBLISHED_SOCKETS_MAX, &last), 0);
	published_release(&published);
	assert_int_equal(reserve(&published, &port, 1, NULL), -EADDRINUSE);
	close(last);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_else_gets_a_reserved_port),
		cmocka_unit_test(another_program_s_port_is_refused),
		cmocka_unit_test(a_port_with_a_past_is_free),
		cmocka_unit_test(what_is_left_to_us_is_chosen),
		cmocka_unit_test(what_nobody_could_reach_is_not_published),
		cmocka_unit_test(more_than_the_ceiling_is_looked_at),
	};
	return cmocka_run_group_tests(tests, setup, NULL);
}
