/* In a network namespace of its own; without the rights for that it is skipped. */
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

#include "../unit.h"
#include "network/dns_door.h"

#define WAIT_S 20

static int setup(void **state)
{
	static struct dns_door door;
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	if (dns_door_open(&door) < 0)
		return -1;
	*state = &door;
	return 0;
}

static int teardown(void **state)
{
	if (*state)
		dns_door_close(*state);
	return 0;
}

static struct dns_door *door_of(void **state)
{
	if (!*state)
		skip();
	return *state;
}

static struct sockaddr_in address(const char *text, uint16_t port)
{
	struct sockaddr_in ret = { .sin_family = AF_INET, .sin_port = htons(port) };
	inet_pton(AF_INET, text, &ret.sin_addr);
	return ret;
}

static int connected(int type, const struct sockaddr_in *to)
{
	const struct timeval wait = { .tv_sec = WAIT_S };
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	assert_int_equal(connect(fd, (const struct sockaddr *)to, sizeof(*to)), 0);
	return fd;
}

static void a_datagram_goes_there_and_its_answer_back(void **state)
{
	struct dns_door *door = door_of(state);
	struct sockaddr_in to = address(DNS_DOOR_ADDRESS, 53), from;
	socklen_t from_len = sizeof(from);
	char text[8] = "";
	int client = connected(SOCK_DGRAM, &to);

	assert_int_equal(send(client, "ask", 3, 0), 3);
	assert_int_equal(recvfrom(door->udp_fd, text, sizeof(text), 0, (struct sockaddr *)&from, &from_len), 3);
	assert_int_equal(sendto(door->udp_fd, "answer", 6, 0, (struct sockaddr *)&from, from_len), 6);
	assert_int_equal(recv(client, text, sizeof(text), 0), 6); /* only from where it was sent to */
	close(client);
}

static void a_connection_too(void **state)
{
	struct dns_door *door = door_of(state);
	struct sockaddr_in to = address(DNS_DOOR_ADDRESS, 53);
	char text[8] = "";
	int client = connected(SOCK_STREAM, &to), server = accept4(door->tcp_fd, NULL, NULL, SOCK_CLOEXEC);

	assert_true(server >= 0);
	assert_int_equal(send(client, "ask", 3, 0), 3);
	assert_int_equal(recv(server, text, 3, MSG_WAITALL), 3);
	assert_int_equal(send(server, "answer", 6, 0), 6);
	assert_int_equal(recv(client, text, 6, MSG_WAITALL), 6);
	close(server);
	assert_int_equal(recv(client, text, 1, 0), 0);
	close(client);
}

static void port_53_is_the_containers(void **state)
{
	door_of(state);
	struct sockaddr_in all = address("0.0.0.0", 53), loopback = address("127.0.0.1", 53);
	int server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
	    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[8] = "";

	assert_int_equal(bind(server, (struct sockaddr *)&all, sizeof(all)), 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&all, sizeof(all)), 0);
	assert_int_equal(listen(listener, 1), 0);
	int client = connected(SOCK_DGRAM, &loopback);
	assert_int_equal(send(client, "mine", 4, 0), 4);
	assert_int_equal(recv(server, text, sizeof(text), 0), 4);
	close(client);
	a_datagram_goes_there_and_its_answer_back(state);
	a_connection_too(state);
	assert_int_equal(recv(server, text, sizeof(text), MSG_DONTWAIT), -1);
	close(server);
	close(listener);
}

static void opened_again_it_is_the_new_ones(void **state)
{
	struct dns_door *door = door_of(state);

	dns_door_close(door);
	assert_int_equal(dns_door_open(door), 0);
	a_datagram_goes_there_and_its_answer_back(state);
	a_connection_too(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_goes_there_and_its_answer_back),
		cmocka_unit_test(a_connection_too),
		cmocka_unit_test(port_53_is_the_containers),
		cmocka_unit_test(opened_again_it_is_the_new_ones),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
