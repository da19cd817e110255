/*
 * Questions to the servers of the host, over UDP, and over TCP where an answer does not fit or can't be trusted.
 *
 * The first server that works is asked at once; if it says nothing within DNS_HEAD_START_MS, or fails, all others are asked
 * too, in parallel. A yes of anyone ends it. A no counts at once if it is of the first; that of a later one, which may know less, counts when
 * those before it have failed or DNS_PATIENCE_MS are over. What was lost is sent again. One that is silent
 * again and again, or can't be reached, is last for a while.
 *
 * Against forged answers: an id, a port and a spelling of the name (upper and lower case) of each question's own, all random;
 * a socket that takes datagrams of that server alone; and where the spelling comes back changed, TCP.
 */
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "network/dns_message.h"
#include "sys/loop.h"

#define DNS_PORT              53
#define DNS_SERVERS_MAX       3
#define DNS_EXCHANGES_MAX     256
#define DNS_HEAD_START_MS     100
#define DNS_PATIENCE_MS       1000
#define DNS_RESEND_MS         1000
#define DNS_GIVE_UP_MS        4500 /* before clients do */
#define DNS_SERVER_REST_MS    10000
#define DNS_SERVER_MISSES     3
#define DNS_STRAY_PACKETS_MAX 16 /* for one question; then TCP */

struct dns_forwarder;
struct dns_exchange;

struct dns_server_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t len;
};

/* "10.0.0.1", "fd00::1", "fe80::1%eth0", and with a port behind # (tests). -EINVAL */
int dns_server_address_parse(const char *text, struct dns_server_address *ret);

/* `answer`, borrowed, is NULL if no server had one. The exchange is freed afterwards. */
typedef void dns_exchange_fn(struct dns_exchange *exchange, const struct dns_answer *answer, void *user);

int dns_forwarder_new(struct loop *loop, const struct dns_server_address *servers, size_t count,
	struct dns_forwarder **ret);
/* With what is under way: nobody is told. */
void dns_forwarder_free(struct dns_forwarder *forwarder);
DEFINE_AUTOFREE(dns_forwarder, struct dns_forwarder *, dns_forwarder_free);

/* Under way. -EBUSY: too many are; -ENETUNREACH: no server could be asked. `fn` is not called before this returns. */
int dns_forward(struct dns_forwarder *forwarder, const struct dns_question *question, uint16_t flags, bool wants_dnssec,
	dns_exchange_fn *fn, void *user, struct dns_exchange **ret);

/* Whether this is, letter for letter, the name that was sent out: who asks us that has it from us. */
bool dns_exchange_sent(const struct dns_exchange *exchange, const struct dns_name *name);

size_t dns_forwarder_pending(const struct dns_forwarder *forwarder);
