/*
 * What the resolver tells its monitor, and waits for, before the container hears an answer about a name that its egress policy has:
 * the addresses behind it, which the monitor opens (network/gate.h). Over the leash, a socket pair of SOCK_SEQPACKET; both are the same
 * file at the same version, so a message is a struct. The resolver reads what servers say, so the monitor believes none of it beyond
 * that: a name of the policy leads somewhere.
 *
 * Nobody waits for ever: an answer that is not confirmed in DNS_TELL_PATIENCE_S is SERVFAIL to the container.
 */
#pragma once

#include "base/inet.h"
#include "network/dns_message.h"

#define DNS_TELL_ADDRESSES_MAX 256
#define DNS_TELL_PATIENCE_S    2

struct dns_told {
	uint32_t sequence;
	uint32_t ttl_s;
	uint32_t count;
	char name[DNS_TEXT_MAX]; /* in lower case */
	struct inet_address addresses[DNS_TELL_ADDRESSES_MAX];
};

/* The resolver's end. */
struct dns_tell {
	int fd;
	uint32_t sequence;
	char *const *names; /* as in a policy; borrowed */
};

/* Before the resolver shuts itself in. */
int dns_tell_init(struct dns_tell *tell, int fd, char *const *names);
/* Tells what the answer says of the question's addresses, if a name of the policy asks for them. True: the container may hear it. */
bool dns_tell(struct dns_tell *tell, const struct dns_question *question, const struct dns_answer *answer,
	uint32_t age_s);
/* What comes unasked: an answer that was too late. False: the monitor is gone. */
bool dns_tell_drain(const struct dns_tell *tell);

/* The monitor's end. -EAGAIN: nothing; -EBADMSG: not one that a resolver sends. */
int dns_told_receive(int fd, struct dns_told *ret);
void dns_told_confirm(int fd, const struct dns_told *told, bool is_open);
