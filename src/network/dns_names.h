/*
 * The names of one network: a small file that the engine replaces by rename whenever a container starts, ends, is renamed,
 * connected or disconnected, and that resolvers look at again with each query. Text, so that it can be read by people:
 *
 *	network NAME
 *	IPV4 IPV6 NAME NAME...     one line per endpoint, "-" for no address; the first name is what its addresses lead back to
 *
 * A name that several endpoints have leads to all of them. NAME.NETWORK is the same as NAME.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <netinet/in.h>

#include "base/buf.h"
#include "network/dns_message.h"

#define DNS_NAMES_FILE      "names"
#define DNS_NAMES_BYTES_MAX (8 * 1024 * 1024)
#define DNS_NAMES_ENDPOINTS 16384 /* lines that count; the rest are not looked at */
#define DNS_NAMES_NAMES_MAX 262144

/* ---- for who writes the file: -EINVAL for what would not be read back */

int dns_names_print_network(struct buf *out, const char *network);
/* Addresses may be NULL or "". Names that no query can ask for are left out. */
int dns_names_print_endpoint(struct buf *out, const char *ipv4, const char *ipv6, char *const *names);

/* ---- for who reads it */

struct dns_host {
	bool has_ipv4, has_ipv6;
	struct in_addr ipv4;
	struct in6_addr ipv6;
	const char *name; /* the first */
};

struct dns_names;

/* Parses; a line that is none is skipped. Takes the text. -ENOMEM. */
int dns_names_new(struct buf *text, struct dns_names **ret);
void dns_names_free(struct dns_names *names);
DEFINE_AUTOFREE(dns_names, struct dns_names *, dns_names_free);

const char *dns_names_network(const struct dns_names *names);

/* Hosts of that name (lower case, no final dot) one after the other: *cursor begins at 0; NULL at the end. */
const struct dns_host *dns_names_next(const struct dns_names *names, const char *name, size_t *cursor);
/* The host that has the address whose reverse name (in-addr.arpa, ip6.arpa) this is, or NULL. */
const struct dns_host *dns_names_reverse(const struct dns_names *names, const char *name);
