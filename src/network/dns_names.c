#include "network/dns_names.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/cleanup.h"
#include "codec/hex.h"

#define NO_ADDRESS "-"

/* An open hash table of names, each with a host; a name that is there several times is in several slots. */
struct slot {
	const char *name; /* NULL: free */
	uint32_t host;
};

struct dns_names {
	char *text; /* all strings point into it */
	const char *network;
	struct dns_host *hosts;
	size_t host_count, host_cap;
	struct slot *slots;
	size_t slot_mask;
	size_t name_count;
};

/* ---- writing */

/* Lower-case and upper-case letters are one; white space ends a word. */
static bool is_askable(const char *name)
{
	struct dns_name wire;
	char text[DNS_TEXT_MAX];

	return *name && dns_name_from_text(name, &wire) == 0 && dns_name_to_text(&wire, text) == 0;
}

int dns_names_print_network(struct buf *out, const char *network)
{
	return is_askable(network) ? buf_printf(out, "network %s\n", network) : -EINVAL;
}

static const char *or_none(const char *address)
{
	return address && *address ? address : NO_ADDRESS;
}

int dns_names_print_endpoint(struct buf *out, const char *ipv4, const char *ipv6, char *const *names)
{
	struct in6_addr address;

	if ((ipv4 && *ipv4 && inet_pton(AF_INET, ipv4, &address) != 1) ||
		(ipv6 && *ipv6 && inet_pton(AF_INET6, ipv6, &address) != 1))
		return -EINVAL;
	int r = buf_printf(out, "%s %s", or_none(ipv4), or_none(ipv6));
	for (; r == 0 && names && *names; names++)
		if (is_askable(*names))
			r = buf_printf(out, " %s", *names);
	return r ?: buf_putc(out, '\n');
}

/* ---- the table */

static size_t hash_of(const char *name)
{
	uint64_t hash = 0xcbf29ce484222325ULL; /* FNV-1a: whoever can choose names here owns the container anyway */

	for (; *name; name++)
		hash = (hash ^ (uint8_t)*name) * 0x100000001b3ULL;
	return (size_t)(hash ^ hash >> 29);
}

static void put_slot(struct dns_names *names, const char *name, uint32_t host)
{
	size_t at = hash_of(name) & names->slot_mask;

	while (names->slots[at].name)
		at = (at + 1) & names->slot_mask;
	names->slots[at] = (struct slot){ name, host };
}

static int grow_slots(struct dns_names *names)
{
	size_t count = names->slots ? (names->slot_mask + 1) * 2 : 64;
	struct slot *old = names->slots, *slots = calloc(count, sizeof(*slots));
	size_t old_count = old ? names->slot_mask + 1 : 0;

	if (!slots)
		return -ENOMEM;
	names->slots = slots;
	names->slot_mask = count - 1;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].name)
			put_slot(names, old[i].name, old[i].host);
	free(old);
	return 0;
}

static int add_name(struct dns_names *names, const char *name)
{
	if (names->name_count == DNS_NAMES_NAMES_MAX)
		return 0;
	if (!names->slots || names->name_count * 2 > names->slot_mask) {
		int r = grow_slots(names);
		if (r < 0)
			return r;
	}
	put_slot(names, name, (uint32_t)(names->host_count - 1));
	names->name_count++;
	return 0;
}

const struct dns_host *dns_names_next(const struct dns_names *names, const char *name, size_t *cursor)
{
	if (!names->slots)
		return NULL;
	for (size_t at = (hash_of(name) + *cursor) & names->slot_mask;; at = (at + 1) & names->slot_mask) {
		const struct slot *slot = &names->slots[at];
		if (!slot->name)
			return NULL;
		(*cursor)++;
		if (strcmp(slot->name, name) == 0)
			return &names->hosts[slot->host];
	}
}

/* ---- reading */

static char *next_word(char **line)
{
	char *word = strsep(line, " ");

	while (word && !*word)
		word = strsep(line, " ");
	return word;
}

static bool read_address(int family, const char *word, void *ret, bool *ret_has)
{
	*ret_has = strcmp(word, NO_ADDRESS) != 0;
	return !*ret_has || inet_pton(family, word, ret) == 1;
}

static struct dns_host *add_host(struct dns_names *names)
{
	if (names->host_count == names->host_cap) {
		size_t cap = names->host_cap ? names->host_cap * 2 : 16;
		struct dns_host *grown = reallocarray(names->hosts, cap, sizeof(*grown));
		if (!grown)
			return NULL;
		names->hosts = grown;
		names->host_cap = cap;
	}
	names->hosts[names->host_count] = (struct dns_host){ 0 };
	return &names->hosts[names->host_count++];
}

static int read_endpoint(struct dns_names *names, const char *ipv4, char *line)
{
	struct dns_host read = { 0 };
	const char *ipv6 = next_word(&line);

	if (!ipv6 || !read_address(AF_INET, ipv4, &read.ipv4, &read.has_ipv4) ||
		!read_address(AF_INET6, ipv6, &read.ipv6, &read.has_ipv6) || names->host_count == DNS_NAMES_ENDPOINTS)
		return 0;
	struct dns_host *host = add_host(names);
	if (!host)
		return -ENOMEM;
	*host = read;
	for (char *name = next_word(&line); name; name = next_word(&line)) {
		for (char *c = name; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		host = &names->hosts[names->host_count - 1];
		host->name = host->name ?: name;
		int r = add_name(names, name);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_line(struct dns_names *names, char *line)
{
	char *first = next_word(&line);

	if (!first)
		return 0;
	if (strcmp(first, "network") != 0)
		return read_endpoint(names, first, line);
	char *network = next_word(&line);
	if (network) {
		for (char *c = network; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		names->network = network;
	}
	return 0;
}

int dns_names_new(struct buf *text, struct dns_names **ret)
{
	_autofree_(dns_names) struct dns_names *names = calloc(1, sizeof(*names));
	int r = 0;

	if (!names)
		return -ENOMEM;
	names->network = "";
	names->text = buf_take(text);
	if (!names->text)
		return -ENOMEM;
	for (char *rest = names->text, *line; r == 0 && (line = strsep(&rest, "\n"));)
		r = read_line(names, line);
	if (r == 0)
		*ret = TAKE(names);
	return r;
}

void dns_names_free(struct dns_names *names)
{
	if (!names)
		return;
	free(names->slots);
	free(names->hosts);
	free(names->text);
	free(names);
}

const char *dns_names_network(const struct dns_names *names)
{
	return names->network;
}

/* ---- reverse */

/* "4.3.2.1.in-addr.arpa" */
static bool read_reverse4(const char *name, struct in_addr *ret)
{
	unsigned byte[4];
	int end = 0;

	if (sscanf(name, "%3u.%3u.%3u.%3u.in-addr.arpa%n", &byte[0], &byte[1], &byte[2], &byte[3], &end) != 4 || !end ||
		name[end])
		return false;
	for (int i = 0; i < 4; i++) {
		if (byte[i] > 255)
			return false;
		((uint8_t *)ret)[3 - i] = (uint8_t)byte[i];
	}
	return true;
}

/* 32 nibbles, the last first. */
static bool read_reverse6(const char *name, struct in6_addr *ret)
{
	for (int i = 0; i < 32; i++) {
		int digit = hex_value(name[2 * i]);
		if (digit < 0 || name[2 * i + 1] != '.')
			return false;
		uint8_t *byte = &ret->s6_addr[15 - i / 2];
		*byte = (uint8_t)(i % 2 ? *byte | digit << 4 : digit);
	}
	return strcmp(name + 64, "ip6.arpa") == 0;
}

const struct dns_host *dns_names_reverse(const struct dns_names *names, const char *name)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;
	bool is4 = read_reverse4(name, &ipv4), is6 = !is4 && read_reverse6(name, &ipv6);

	for (size_t i = 0; (is4 || is6) && i < names->host_count; i++) {
		const struct dns_host *host = &names->hosts[i];
		if (!host->name)
			continue;
		if ((is4 && host->has_ipv4 && host->ipv4.s_addr == ipv4.s_addr) ||
			(is6 && host->has_ipv6 && memcmp(&host->ipv6, &ipv6, sizeof(ipv6)) == 0))
			return host;
	}
	return NULL;
}
