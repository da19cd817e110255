/*
 * Addresses and subnets as text and as numbers: what the kernel and the user mean by "172.17.0.2", "fd00::/64" and
 * "02:42:ac:11:00:02". IPv4 and IPv6 are one type here, so that what counts addresses is written once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INET_TEXT_SIZE   46 /* an address with its NUL */
#define INET_SUBNET_SIZE 50 /* with "/128" */
#define INET_MAC_SIZE    18 /* text with its NUL */
#define INET_MAC_BYTES   6

struct inet_address {
	bool is_v6;
	uint8_t bytes[16]; /* in the net's order; IPv4 has 4 of them, the rest is 0 */
};

struct inet_subnet {
	struct inet_address address; /* may have bits below the prefix: see inet_subnet_base */
	unsigned prefix;
};

/* Return 0 or -EINVAL. No zone, no leading zeros, nothing but the address. */
int inet_parse(const char *text, struct inet_address *ret);
int inet_parse_subnet(const char *text, struct inet_subnet *ret);
/* Six bytes with colons (or hyphens) between; not a group's address, not all zeros. */
int inet_parse_mac(const char *text, uint8_t ret[INET_MAC_BYTES]);

void inet_print(const struct inet_address *address, char out[INET_TEXT_SIZE]);
void inet_print_subnet(const struct inet_subnet *subnet, char out[INET_SUBNET_SIZE]);
void inet_print_mac(const uint8_t mac[INET_MAC_BYTES], char out[INET_MAC_SIZE]);

/* 4 or 16; 32 or 128. */
size_t inet_bytes(const struct inet_address *address);
unsigned inet_bits(const struct inet_address *address);

bool inet_equal(const struct inet_address *a, const struct inet_address *b);
/* IPv4 before IPv6. */
int inet_compare(const struct inet_address *a, const struct inet_address *b);
/* `address` plus `offset`; wraps round at the family's end. */
struct inet_address inet_add(const struct inet_address *address, uint64_t offset);
/* How far `to` lies above `from`, which must not be greater and of the same family; UINT64_MAX for more than that. */
uint64_t inet_distance(const struct inet_address *from, const struct inet_address *to);

/* The first address of it, and the last. */
struct inet_address inet_subnet_base(const struct inet_subnet *subnet);
struct inet_address inet_subnet_last(const struct inet_subnet *subnet);
bool inet_subnet_has(const struct inet_subnet *subnet, const struct inet_address *address);
bool inet_subnet_overlaps(const struct inet_subnet *a, const struct inet_subnet *b);
