#include "base/inet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/parse.h"

int inet_parse(const char *text, struct inet_address *ret)
{
	struct inet_address address = { .is_v6 = strchr(text, ':') != NULL };
	if (inet_pton(address.is_v6 ? AF_INET6 : AF_INET, text, address.bytes) != 1)
		return -EINVAL;
	*ret = address;
	return 0;
}

int inet_parse_subnet(const char *text, struct inet_subnet *ret)
{
	char address[INET_TEXT_SIZE];
	const char *slash = strchr(text, '/');
	struct inet_subnet subnet;
	uint64_t prefix;
	if (!slash || (size_t)(slash - text) >= sizeof(address))
		return -EINVAL;
	memcpy(address, text, (size_t)(slash - text));
	address[slash - text] = '\0';
	if (inet_parse(address, &subnet.address) < 0)
		return -EINVAL;
	if (parse_u64(slash + 1, inet_bits(&subnet.address), &prefix) < 0)
		return -EINVAL;
	subnet.prefix = (unsigned)prefix;
	*ret = subnet;
	return 0;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int inet_parse_mac(const char *text, uint8_t ret[INET_MAC_BYTES])
{
	static const uint8_t zeros[INET_MAC_BYTES];
	uint8_t mac[INET_MAC_BYTES];
	if (strlen(text) != INET_MAC_SIZE - 1)
		return -EINVAL;
	for (size_t i = 0; i < INET_MAC_BYTES; i++, text += 3) {
		int high = hex_digit(text[0]), low = hex_digit(text[1]);
		bool last = i == INET_MAC_BYTES - 1;
		if (high < 0 || low < 0 || (last ? text[2] != '\0' : text[2] != ':' && text[2] != '-'))
			return -EINVAL;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	if (mac[0] & 1 || memcmp(mac, zeros, sizeof(zeros)) == 0)
		return -EINVAL;
	memcpy(ret, mac, sizeof(mac));
	return 0;
}

void inet_print(const struct inet_address *address, char out[INET_TEXT_SIZE])
{
	if (!inet_ntop(address->is_v6 ? AF_INET6 : AF_INET, address->bytes, out, INET_TEXT_SIZE))
		out[0] = '\0'; /* cannot happen: family and room are right */
}

void inet_print_subnet(const struct inet_subnet *subnet, char out[INET_SUBNET_SIZE])
{
	char address[INET_TEXT_SIZE];
	inet_print(&subnet->address, address);
	snprintf(out, INET_SUBNET_SIZE, "%s/%u", address, subnet->prefix % 1000);
}

void inet_print_mac(const uint8_t mac[INET_MAC_BYTES], char out[INET_MAC_SIZE])
{
	snprintf(out, INET_MAC_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

size_t inet_bytes(const struct inet_address *address)
{
	return address->is_v6 ? 16 : 4;
}

unsigned inet_bits(const struct inet_address *address)
{
	return address->is_v6 ? 128 : 32;
}

bool inet_equal(const struct inet_address *a, const struct inet_address *b)
{
	return inet_compare(a, b) == 0;
}

int inet_compare(const struct inet_address *a, const struct inet_address *b)
{
	if (a->is_v6 != b->is_v6)
		return a->is_v6 ? 1 : -1;
	return memcmp(a->bytes, b->bytes, inet_bytes(a));
}

struct inet_address inet_add(const struct inet_address *address, uint64_t offset)
{
	struct inet_address sum = *address;
	uint64_t carry = 0;
	for (size_t i = inet_bytes(address); i-- > 0;) {
		uint64_t digit = sum.bytes[i] + (offset & 0xff) + carry;
		sum.bytes[i] = (uint8_t)digit;
		carry = digit >> 8;
		offset >>= 8;
	}
	return sum;
}

uint64_t inet_distance(const struct inet_address *from, const struct inet_address *to)
{
	size_t len = inet_bytes(from);
	uint8_t difference[16];
	int borrow = 0;
	for (size_t i = len; i-- > 0;) {
		int digit = to->bytes[i] - from->bytes[i] - borrow;
		borrow = digit < 0;
		difference[i] = (uint8_t)digit;
	}
	uint64_t distance = 0;
	for (size_t i = 0; i < len; i++) {
		if (distance >> 56)
			return UINT64_MAX;
		distance = distance << 8 | difference[i];
	}
	return distance;
}

/* Bits below the prefix all zero, or all one. */
static struct inet_address fill_host_bits(const struct inet_subnet *subnet, bool ones)
{
	struct inet_address address = subnet->address;
	for (size_t i = 0; i < inet_bytes(&address); i++) {
		unsigned bits = subnet->prefix > i * 8 ? subnet->prefix - (unsigned)i * 8 : 0;
		uint8_t host = (uint8_t)(bits >= 8 ? 0 : 0xff >> bits);
		address.bytes[i] = (uint8_t)(ones ? address.bytes[i] | host : address.bytes[i] & ~host);
	}
	return address;
}

struct inet_address inet_subnet_base(const struct inet_subnet *subnet)
{
	return fill_host_bits(subnet, false);
}

struct inet_address inet_subnet_last(const struct inet_subnet *subnet)
{
	return fill_host_bits(subnet, true);
}

bool inet_subnet_has(const struct inet_subnet *subnet, const struct inet_address *address)
{
	struct inet_subnet other = { .address = *address, .prefix = subnet->prefix };
	struct inet_address own = inet_subnet_base(subnet), its = inet_subnet_base(&other);
	return inet_equal(&own, &its);
}

bool inet_subnet_overlaps(const struct inet_subnet *a, const struct inet_subnet *b)
{
	return a->prefix < b->prefix ? inet_subnet_has(a, &b->address) : inet_subnet_has(b, &a->address);
}
