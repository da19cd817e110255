#include "network/ipam.h"

#include <errno.h>
#include <stdlib.h>

#define LOCAL_SEED_DIGITS 10
/* How many subnets of one supply are tried: more than any host has. */
#define SUBNETS_MAX 65536

const struct ipam_supply ipam_default_supplies[IPAM_DEFAULT_SUPPLIES] = {
	{ .base = { .address = { .bytes = { 172, 17, 0, 0 } }, .prefix = 12 }, .size = 16 },
	{ .base = { .address = { .bytes = { 192, 168, 0, 0 } }, .prefix = 16 }, .size = 20 },
};

static uint8_t digit_value(char c)
{
	return (uint8_t)(c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0);
}

struct ipam_supply ipam_local_supply(const char *seed)
{
	struct ipam_supply supply = { .base = { .address = { .is_v6 = true, .bytes = { 0xfd } }, .prefix = 48 },
		.size = 64 };
	for (size_t i = 0; i < LOCAL_SEED_DIGITS && seed[i]; i++)
		supply.base.address.bytes[1 + i / 2] |= (uint8_t)(digit_value(seed[i]) << (i % 2 ? 0 : 4));
	return supply;
}

static bool overlaps_any(const struct inet_subnet *subnet, const struct inet_subnet *used, size_t used_count)
{
	for (size_t i = 0; i < used_count; i++) {
		/* A default route is no subnet. */
		if (used[i].prefix > 0 && inet_subnet_overlaps(subnet, &used[i]))
			return true;
	}
	return false;
}

/* The next subnet of the same size: it begins behind the last address of this one. */
static struct inet_subnet next_subnet(const struct inet_subnet *subnet)
{
	struct inet_address last = inet_subnet_last(subnet);
	return (struct inet_subnet){ .address = inet_add(&last, 1), .prefix = subnet->prefix };
}

static int choose_from(const struct ipam_supply *supply, const struct inet_subnet *used, size_t used_count,
	struct inet_subnet *ret)
{
	/* The base's own address is the first, whatever lies before it in its prefix. */
	struct inet_subnet candidate = { .address = supply->base.address, .prefix = supply->size };
	for (size_t i = 0; i < SUBNETS_MAX && inet_subnet_has(&supply->base, &candidate.address); i++) {
		if (!overlaps_any(&candidate, used, used_count)) {
			*ret = candidate;
			return 0;
		}
		candidate = next_subnet(&candidate);
	}
	return -ENOSPC;
}

int ipam_choose_subnet(const struct ipam_supply *supplies, size_t supply_count, const struct inet_subnet *used,
	size_t used_count, struct inet_subnet *ret)
{
	for (size_t i = 0; i < supply_count; i++) {
		if (choose_from(&supplies[i], used, used_count, ret) == 0)
			return 0;
	}
	return -ENOSPC;
}

bool ipam_is_host(const struct inet_subnet *subnet, const struct inet_address *address)
{
	struct inet_address base = inet_subnet_base(subnet), last = inet_subnet_last(subnet);
	if (!inet_subnet_has(subnet, address))
		return false;
	if (subnet->prefix + 1 >= inet_bits(&subnet->address))
		return true;
	return !inet_equal(address, &base) && (address->is_v6 || !inet_equal(address, &last));
}

static int compare(const void *a, const void *b)
{
	return inet_compare(a, b);
}

int ipam_choose_address(const struct ipam_pool *pool, struct inet_address *taken, size_t taken_count,
	struct inet_address *ret)
{
	struct inet_address candidate = inet_subnet_base(&pool->range), last = inet_subnet_last(&pool->range);
	if (taken_count > 0)
		qsort(taken, taken_count, sizeof(*taken), compare);
	for (size_t i = 0;;) {
		while (i < taken_count && inet_compare(&taken[i], &candidate) < 0)
			i++;
		bool is_taken = i < taken_count && inet_equal(&taken[i], &candidate);
		if (!is_taken && ipam_is_host(&pool->subnet, &candidate)) {
			*ret = candidate;
			return 0;
		}
		if (inet_equal(&candidate, &last))
			return -ENOSPC;
		candidate = inet_add(&candidate, 1);
	}
}
