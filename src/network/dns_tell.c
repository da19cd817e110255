#include "network/dns_tell.h"

#include <errno.h>
#include <string.h>

#include <sys/socket.h>
#include <sys/time.h>

#include "base/strv.h"
#include "spec/egress.h"

struct confirmation {
	uint32_t sequence;
	uint32_t is_open;
};

int dns_tell_init(struct dns_tell *tell, int fd, char *const *names)
{
	const struct timeval patience = { .tv_sec = DNS_TELL_PATIENCE_S };
	*tell = (struct dns_tell){ .fd = fd, .names = names };
	if (names && (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ||
			     setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0))
		return -errno;
	return 0;
}

static bool is_of_policy(const struct dns_tell *tell, const char *name)
{
	strv_foreach (pattern, tell->names) {
		if (egress_name_matches(*pattern, name))
			return true;
	}
	return false;
}

/* One for an earlier message may come first. */
static bool is_confirmed(const struct dns_tell *tell)
{
	struct confirmation confirmation;
	for (;;) {
		ssize_t n = recv(tell->fd, &confirmation, sizeof(confirmation), 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n != sizeof(confirmation))
			return false;
		if (confirmation.sequence == tell->sequence)
			return confirmation.is_open;
	}
}

bool dns_tell(struct dns_tell *tell, const struct dns_question *question, const struct dns_answer *answer,
	uint32_t age_s)
{
	struct dns_told told = { .ttl_s = answer->ttl_s > age_s ? answer->ttl_s - age_s : 0 };
	if (!tell->names || dns_name_to_text(&question->name, told.name) < 0 || !is_of_policy(tell, told.name))
		return true;
	told.count = (uint32_t)dns_answer_addresses(answer, question, told.addresses, DNS_TELL_ADDRESSES_MAX);
	if (told.count == 0)
		return true;
	told.sequence = ++tell->sequence;
	return send(tell->fd, &told, sizeof(told), MSG_NOSIGNAL) == sizeof(told) && is_confirmed(tell);
}

bool dns_tell_drain(const struct dns_tell *tell)
{
	struct confirmation confirmation;
	ssize_t n = recv(tell->fd, &confirmation, sizeof(confirmation), MSG_DONTWAIT);
	return n > 0 || (n < 0 && errno == EAGAIN);
}

int dns_told_receive(int fd, struct dns_told *ret)
{
	ssize_t n = recv(fd, ret, sizeof(*ret), MSG_DONTWAIT | MSG_TRUNC);
	if (n < 0)
		return -errno;
	bool is_whole = n == sizeof(*ret) && ret->count <= DNS_TELL_ADDRESSES_MAX &&
			memchr(ret->name, '\0', sizeof(ret->name));
	for (size_t i = 0; is_whole && i < ret->count; i++) {
		uint8_t is_v6;
		memcpy(&is_v6, &ret->addresses[i].is_v6, sizeof(is_v6));
		is_whole = is_v6 <= 1;
	}
	return is_whole ? 0 : -EBADMSG;
}

void dns_told_confirm(int fd, const struct dns_told *told, bool is_open)
{
	const struct confirmation confirmation = { told->sequence, is_open };
	/* Who is gone, or does not read, gets none, and asks again. */
	(void)send(fd, &confirmation, sizeof(confirmation), MSG_DONTWAIT | MSG_NOSIGNAL);
}
