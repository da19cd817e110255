#include "sys/netlink.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include <sys/socket.h>

#include "base/cleanup.h"
#include "sys/namespaces.h"

/* --- the socket --- */

int netlink_open(struct netlink *netlink, int protocol)
{
	const int on = 1, room = 1024 * 1024;
	_autoclose_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return -errno;
	/* Older kernels may lack these; what we lose is the kernel's words. */
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	/* A thousand acknowledgements come before the first is read. Refused to who is not root: then it is the default. */
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room));
	*netlink = (struct netlink){ .fd = TAKE_FD(fd) };
	return 0;
}

struct opening {
	struct netlink *netlink;
	int protocol;
};

static int open_there(void *user)
{
	const struct opening *opening = user;
	return netlink_open(opening->netlink, opening->protocol);
}

int netlink_open_in(struct netlink *netlink, int protocol, int netns_fd)
{
	struct opening opening = { netlink, protocol };
	return namespace_visit_network(netns_fd, open_there, &opening);
}

void netlink_close(struct netlink *netlink)
{
	fd_close(&netlink->fd);
}

/* --- building --- */

static void append(struct netlink_request *request, const void *data, size_t len)
{
	static const char zeros[NLMSG_ALIGNTO];
	if (request->error == 0)
		request->error = buf_append(&request->data, data, len);
	if (request->error == 0)
		request->error = buf_append(&request->data, zeros, NLMSG_ALIGN(len) - len);
}

static struct nlmsghdr *message_at(const struct netlink_request *request, size_t offset)
{
	return (struct nlmsghdr *)(void *)(request->data.data + offset);
}

/* The message that is being built ends here, as far as we know. */
static void set_length(struct netlink_request *request)
{
	if (request->error == 0)
		message_at(request, request->message)->nlmsg_len = (uint32_t)(request->data.len - request->message);
}

void netlink_begin(struct netlink_request *request, uint16_t type, uint16_t flags, const void *header, size_t len)
{
	const struct nlmsghdr message = { .nlmsg_type = type, .nlmsg_flags = flags | NLM_F_REQUEST };
	request->message = request->data.len;
	request->count++;
	append(request, &message, sizeof(message));
	append(request, header, len);
	set_length(request);
}

void netlink_put(struct netlink_request *request, uint16_t type, const void *data, size_t len)
{
	struct nlattr attribute = { .nla_type = type, .nla_len = (uint16_t)(NLA_HDRLEN + len) };
	if (len > UINT16_MAX - NLA_HDRLEN) {
		request->error = -EMSGSIZE;
		return;
	}
	append(request, &attribute, sizeof(attribute));
	append(request, data, len);
	set_length(request);
}

void netlink_put_u8(struct netlink_request *request, uint16_t type, uint8_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_u16(struct netlink_request *request, uint16_t type, uint16_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_u32(struct netlink_request *request, uint16_t type, uint32_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_u64(struct netlink_request *request, uint16_t type, uint64_t value)
{
	netlink_put(request, type, &value, sizeof(value));
}

void netlink_put_be16(struct netlink_request *request, uint16_t type, uint16_t value)
{
	netlink_put_u16(request, type, htobe16(value));
}

void netlink_put_be32(struct netlink_request *request, uint16_t type, uint32_t value)
{
	netlink_put_u32(request, type, htobe32(value));
}

void netlink_put_be64(struct netlink_request *request, uint16_t type, uint64_t value)
{
	netlink_put_u64(request, type, htobe64(value));
}

void netlink_put_text(struct netlink_request *request, uint16_t type, const char *text)
{
	netlink_put(request, type, text, strlen(text) + 1);
}

void netlink_put_raw(struct netlink_request *request, const void *data, size_t len)
{
	append(request, data, len);
	set_length(request);
}

size_t netlink_nest(struct netlink_request *request, uint16_t type)
{
	size_t nest = request->data.len;
	netlink_put(request, type | NLA_F_NESTED, NULL, 0);
	return nest;
}

void netlink_nest_end(struct netlink_request *request, size_t nest)
{
	if (request->error < 0)
		return;
	size_t len = request->data.len - nest;
	if (len > UINT16_MAX)
		request->error = -EMSGSIZE;
	else
		((struct nlattr *)(void *)(request->data.data + nest))->nla_len = (uint16_t)len;
}

void netlink_request_finish(struct netlink_request *request)
{
	buf_finish(&request->data);
}

/* --- talking --- */

/* Numbers the messages from the socket's next number on, and returns the first one's. */
static uint32_t number(struct netlink *netlink, struct netlink_request *request, uint16_t flags)
{
	uint32_t first = netlink->sequence + 1;
	for (size_t at = 0; at < request->data.len; at += NLMSG_ALIGN(message_at(request, at)->nlmsg_len)) {
		struct nlmsghdr *message = message_at(request, at);
		message->nlmsg_seq = ++netlink->sequence;
		message->nlmsg_flags |= flags;
	}
	return first;
}

static int send_all(struct netlink *netlink, const struct netlink_request *request)
{
	netlink->complaint[0] = '\0';
	netlink->failed = 0;
	if (request->error < 0)
		return request->error;
	ssize_t sent = send(netlink->fd, request->data.data, request->data.len, MSG_NOSIGNAL);
	if (sent < 0)
		return -errno;
	return (size_t)sent == request->data.len ? 0 : -EMSGSIZE;
}

/* The text that stands behind an error, and which attribute it means is of no use to anybody but us. */
static void keep_complaint(struct netlink *netlink, const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = NLMSG_DATA(message);
	const struct nlattr *table[NLMSGERR_ATTR_MSG + 1];
	size_t skip = sizeof(*error);
	if (!(message->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(message->nlmsg_flags & NLM_F_CAPPED) && error->msg.nlmsg_len >= sizeof(error->msg))
		skip += NLMSG_ALIGN(error->msg.nlmsg_len) - sizeof(error->msg);
	if (netlink_message_attributes(message, skip, table, NLMSGERR_ATTR_MSG) < 0)
		return;
	const char *text = netlink_text(table[NLMSGERR_ATTR_MSG]);
	if (text && netlink->complaint[0] == '\0')
		snprintf(netlink->complaint, sizeof(netlink->complaint), "%s", text);
}

/* 0 or what went wrong with the message that this answers. */
static int error_of(struct netlink *netlink, const struct nlmsghdr *message)
{
	const struct nlmsgerr *error = NLMSG_DATA(message);
	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(*error)))
		return -EBADMSG;
	if (error->error < 0)
		keep_complaint(netlink, message);
	return error->error;
}

struct answers {
	char data[NETLINK_ANSWER_MAX] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t len;
	size_t at;
};

static int receive(struct netlink *netlink, struct answers *answers, int flags)
{
	struct sockaddr_nl from;
	struct iovec piece = { answers->data, sizeof(answers->data) };
	struct msghdr message = { .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &piece, .msg_iovlen = 1 };
	ssize_t len;
	do {
		len = recvmsg(netlink->fd, &message, flags);
	} while ((len < 0 && errno == EINTR) || (len >= 0 && from.nl_pid != 0)); /* only the kernel is believed */
	if (len < 0)
		return -errno;
	if (message.msg_flags & MSG_TRUNC)
		return -EMSGSIZE;
	answers->len = (size_t)len;
	answers->at = 0;
	return 0;
}

/* The next message, or NULL at the end of what was received. */
static const struct nlmsghdr *next(struct answers *answers)
{
	const struct nlmsghdr *message = (const void *)(answers->data + answers->at);
	if (answers->len - answers->at < sizeof(*message) || message->nlmsg_len < sizeof(*message) ||
		message->nlmsg_len > answers->len - answers->at)
		return NULL;
	answers->at += NLMSG_ALIGN(message->nlmsg_len);
	if (answers->at > answers->len)
		answers->at = answers->len;
	return message;
}

int netlink_transact_each(struct netlink *netlink, struct netlink_request *request, int *results)
{
	struct answers answers;
	uint32_t first = request->error == 0 ? number(netlink, request, NLM_F_ACK) : 0;
	for (unsigned i = 0; i < request->count; i++)
		results[i] = -ECANCELED;
	int r = send_all(netlink, request);
	/* The kernel has put every answer into the queue before send returned. Of who lacks the right to ask, netfilter answers the
	 * first message alone. */
	for (unsigned left = request->count; r == 0 && left > 0;) {
		const struct nlmsghdr *message;
		r = receive(netlink, &answers, MSG_DONTWAIT);
		while (r == 0 && (message = next(&answers))) {
			uint32_t index = message->nlmsg_seq - first;
			if (message->nlmsg_type != NLMSG_ERROR || index >= request->count)
				continue;
			results[index] = error_of(netlink, message);
			left--;
		}
	}
	return r == -EAGAIN ? 0 : r;
}

int netlink_transact(struct netlink *netlink, struct netlink_request *request)
{
	_cleanup_free_ int *results = calloc(request->count ? request->count : 1, sizeof(*results));
	if (!results)
		return -ENOMEM;
	int r = netlink_transact_each(netlink, request, results);
	for (unsigned i = 0; r == 0 && i < request->count; i++)
		r = results[i];
	return r;
}

int netlink_transact_batch(struct netlink *netlink, struct netlink_request *request)
{
	struct answers answers;
	uint32_t first = request->error == 0 ? number(netlink, request, 0) : 0;
	int error = 0;
	int r = send_all(netlink, request);
	while (r == 0) {
		const struct nlmsghdr *message;
		r = receive(netlink, &answers, MSG_DONTWAIT);
		while (r == 0 && (message = next(&answers))) {
			if (message->nlmsg_type != NLMSG_ERROR || message->nlmsg_seq - first >= request->count)
				continue;
			int own = error_of(netlink, message);
			if (error == 0 && own < 0) {
				error = own;
				netlink->failed = message->nlmsg_seq - first;
			}
		}
	}
	return r == -EAGAIN ? error : r;
}

/* Whether it was the last one: `error` is what it says then. */
static bool is_end(struct netlink *netlink, const struct nlmsghdr *message, int *error)
{
	if (message->nlmsg_type == NLMSG_ERROR) {
		*error = error_of(netlink, message);
		return true;
	}
	if (message->nlmsg_type != NLMSG_DONE)
		return false;
	if (message->nlmsg_len >= NLMSG_LENGTH(sizeof(int)))
		memcpy(error, NLMSG_DATA(message), sizeof(*error));
	return true;
}

static int ask(struct netlink *netlink, struct netlink_request *request, uint16_t flags, netlink_answer_fn *fn,
	void *user)
{
	struct answers answers;
	uint32_t sequence = request->error == 0 ? number(netlink, request, flags) : 0;
	bool interrupted = false, ended = false;
	int result = 0, error = 0;
	int r = send_all(netlink, request);
	while (r == 0 && !ended) {
		const struct nlmsghdr *message;
		r = receive(netlink, &answers, 0);
		while (r == 0 && !ended && (message = next(&answers))) {
			if (message->nlmsg_seq != sequence)
				continue;
			interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR);
			ended = is_end(netlink, message, &error);
			if (!ended && result == 0)
				result = fn(message, user);
		}
	}
	if (r < 0 || error < 0)
		return r < 0 ? r : error;
	return result != 0 || !interrupted ? result : -EINTR;
}

int netlink_dump(struct netlink *netlink, struct netlink_request *request, netlink_answer_fn *fn, void *user)
{
	return ask(netlink, request, NLM_F_DUMP, fn, user);
}

int netlink_get(struct netlink *netlink, struct netlink_request *request, netlink_answer_fn *fn, void *user)
{
	return ask(netlink, request, NLM_F_ACK, fn, user);
}

int netlink_read(struct netlink *netlink, netlink_answer_fn *fn, void *user)
{
	struct answers answers;
	const struct nlmsghdr *message;
	int r = receive(netlink, &answers, MSG_DONTWAIT);
	while (r == 0 && (message = next(&answers)))
		r = fn(message, user);
	return r;
}

/* --- reading --- */

int netlink_attributes(const void *data, size_t len, const struct nlattr **table, size_t max)
{
	const char *at = data;
	memset(table, 0, (max + 1) * sizeof(*table));
	while (len >= NLA_HDRLEN) {
		const struct nlattr *attribute = (const void *)at;
		if (attribute->nla_len < NLA_HDRLEN || attribute->nla_len > len)
			return -EBADMSG;
		size_t type = attribute->nla_type & NLA_TYPE_MASK;
		if (type <= max)
			table[type] = attribute;
		size_t step = NLA_ALIGN(attribute->nla_len);
		if (step >= len)
			return 0;
		at += step;
		len -= step;
	}
	return len == 0 ? 0 : -EBADMSG;
}

int netlink_message_attributes(const struct nlmsghdr *message, size_t header_len, const struct nlattr **table,
	size_t max)
{
	size_t skip = NLMSG_SPACE(header_len);
	size_t len = message->nlmsg_len > skip ? message->nlmsg_len - skip : 0;
	return netlink_attributes((const char *)message + skip, len, table, max);
}

const void *netlink_data(const struct nlattr *attribute)
{
	return (const char *)attribute + NLA_HDRLEN;
}

size_t netlink_len(const struct nlattr *attribute)
{
	return attribute->nla_len - (size_t)NLA_HDRLEN;
}

uint32_t netlink_u32(const struct nlattr *attribute, uint32_t otherwise)
{
	uint32_t value = otherwise;
	if (attribute && netlink_len(attribute) >= sizeof(value))
		memcpy(&value, netlink_data(attribute), sizeof(value));
	return value;
}

const char *netlink_text(const struct nlattr *attribute)
{
	size_t len = attribute ? netlink_len(attribute) : 0;
	const char *text = len > 0 ? netlink_data(attribute) : NULL;
	return text && text[len - 1] == '\0' ? text : NULL;
}
