/*
 * Datagrams: each client of a target has a socket of its own, connected to the container, so that what comes back there is for
 * that client; it gets it from the address that it had asked. A session is a client's address and the host's that it asked, and
 * ends when it has been quiet for a while.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "network/splice_internal.h"

#define DATAGRAMS_AT_ONCE 64

/* Which of the host's addresses was asked. */
struct asked {
	struct in_pktinfo v4;
	struct in6_pktinfo v6;
};

union control {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
};

struct session {
	struct list link;
	struct target *target;
	struct loop_source *source;
	int fd;
	int64_t busy_ms;
	union splice_address client;
	struct asked asked;
};

/* A datagram with where it came from and where to. */
struct arrival {
	union splice_address client;
	socklen_t client_len;
	struct asked asked;
	char *bytes;
	size_t len;
};

static void session_free(struct session *session)
{
	struct splice *splice = session->target->splice;
	loop_source_free(session->source);
	fd_close(&session->fd);
	list_remove(&session->link);
	splice->session_count--;
	free(session);
}

void splice_udp_forget(struct splice *splice, const struct target *target)
{
	struct session *session, *next;
	list_foreach_safe (session, next, &splice->sessions, link) {
		if (!target || session->target == target)
			session_free(session);
	}
}

void splice_udp_expire(struct splice *splice, int64_t now_ms)
{
	struct session *session, *next;
	list_foreach_safe (session, next, &splice->sessions, link) {
		if (session->busy_ms + SPLICE_SESSION_MS > now_ms)
			return;
		session_free(session);
	}
}

static void touch(struct session *session)
{
	struct splice *splice = session->target->splice;
	session->busy_ms = splice->busy_ms = clock_monotonic_ms();
	list_remove(&session->link);
	list_append(&splice->sessions, &session->link);
}

/* --- back to the client --- */

/* Returns the bytes that it took. */
static size_t put_asked(struct msghdr *message, bool is_v6, const struct asked *asked)
{
	const size_t len = is_v6 ? sizeof(asked->v6) : sizeof(asked->v4);
	struct cmsghdr *head = CMSG_FIRSTHDR(message);
	head->cmsg_level = is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	head->cmsg_type = is_v6 ? IPV6_PKTINFO : IP_PKTINFO;
	head->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(head), is_v6 ? (const void *)&asked->v6 : (const void *)&asked->v4, len);
	return CMSG_SPACE(len);
}

static void send_back(const struct session *session, void *bytes, size_t len)
{
	bool is_v6 = session->client.any.sa_family == AF_INET6;
	union control control = { 0 };
	struct iovec part = { bytes, len };
	struct msghdr message = { .msg_name = (void *)&session->client,
		.msg_namelen = is_v6 ? sizeof(session->client.v6) : sizeof(session->client.v4),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	message.msg_controllen = put_asked(&message, is_v6, &session->asked);
	sendmsg(session->target->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL); /* lost, as datagrams are */
}

static void on_answer(struct loop_source *source, uint32_t events, void *data)
{
	struct session *session = data;
	char *bytes = session->target->splice->datagram;
	(void)source, (void)events;
	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		ssize_t n = recv(session->fd, bytes, SPLICE_DATAGRAM_MAX, MSG_DONTWAIT);
		if (n < 0)
			return; /* that nobody listened there is told once, and forgotten */
		touch(session);
		send_back(session, bytes, (size_t)n);
	}
}

/* --- to the container --- */

static bool is_of(const struct session *session, const struct target *target, const struct arrival *arrival)
{
	const union splice_address *a = &session->client, *b = &arrival->client;
	if (session->target != target || a->any.sa_family != b->any.sa_family || a->v4.sin_port != b->v4.sin_port)
		return false;
	if (a->any.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr &&
		       session->asked.v4.ipi_spec_dst.s_addr == arrival->asked.v4.ipi_spec_dst.s_addr;
	return a->v6.sin6_scope_id == b->v6.sin6_scope_id &&
	       memcmp(&a->v6.sin6_addr, &b->v6.sin6_addr, sizeof(a->v6.sin6_addr)) == 0 &&
	       memcmp(&session->asked.v6.ipi6_addr, &arrival->asked.v6.ipi6_addr,
		       sizeof(arrival->asked.v6.ipi6_addr)) == 0;
}

static int session_open(struct session *session)
{
	union splice_address address;
	socklen_t len = splice_fill_address(&session->target->is, &address);
	session->fd = socket(address.any.sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->fd < 0 || connect(session->fd, &address.any, len) < 0)
		return -errno;
	return loop_add_fd(session->target->splice->loop, session->fd, EPOLLIN, on_answer, session, &session->source);
}

static struct session *session_new(struct target *target, const struct arrival *arrival)
{
	struct splice *splice = target->splice;
	if (splice->session_count == SPLICE_SESSIONS_MAX)
		session_free(container_of(splice->sessions.next, struct session, link));
	struct session *session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	*session = (struct session){ .target = target, .fd = -1, .client = arrival->client, .asked = arrival->asked };
	/* Only what is of the link needs to be told by which. */
	if (!IN6_IS_ADDR_LINKLOCAL(&arrival->asked.v6.ipi6_addr))
		session->asked.v6.ipi6_ifindex = 0;
	session->asked.v4.ipi_ifindex = 0;
	list_append(&splice->sessions, &session->link);
	splice->session_count++;
	if (session_open(session) == 0)
		return session;
	session_free(session);
	return NULL;
}

/* Who comes again is most likely who came last. */
static struct session *session_of(struct target *target, const struct arrival *arrival)
{
	struct list *at = target->splice->sessions.prev;
	for (; at != &target->splice->sessions; at = at->prev) {
		struct session *session = container_of(at, struct session, link);
		if (is_of(session, target, arrival))
			return session;
	}
	return session_new(target, arrival);
}

static int receive(int fd, struct arrival *ret)
{
	union control control;
	struct iovec part = { ret->bytes, SPLICE_DATAGRAM_MAX };
	struct msghdr message = { .msg_name = &ret->client,
		.msg_namelen = sizeof(ret->client),
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
	if (n < 0)
		return -errno;
	ret->len = (size_t)n;
	memset(&ret->asked, 0, sizeof(ret->asked));
	for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head)) {
		if (head->cmsg_level == IPPROTO_IPV6 && head->cmsg_type == IPV6_PKTINFO)
			memcpy(&ret->asked.v6, CMSG_DATA(head), sizeof(ret->asked.v6));
		else if (head->cmsg_level == IPPROTO_IP && head->cmsg_type == IP_PKTINFO)
			memcpy(&ret->asked.v4, CMSG_DATA(head), sizeof(ret->asked.v4));
	}
	return 0;
}

void splice_udp_receive(struct target *target)
{
	struct arrival arrival = { .bytes = target->splice->datagram };
	for (int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		if (receive(target->fd, &arrival) < 0)
			return;
		struct session *session = session_of(target, &arrival);
		if (!session)
			continue;
		touch(session);
		send(session->fd, arrival.bytes, arrival.len, MSG_DONTWAIT | MSG_NOSIGNAL);
	}
}
