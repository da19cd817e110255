#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "network/ipam.h"

static struct inet_address address(const char *text)
{
	struct inet_address address;
	assert_int_equal(inet_parse(text, &address), 0);
	return address;
}

static struct inet_subnet subnet(const char *text)
{
	struct inet_subnet subnet;
	assert_int_equal(inet_parse_subnet(text, &subnet), 0);
	return subnet;
}

static void assert_subnet(const struct inet_subnet *got, const char *want)
{
	char text[INET_SUBNET_SIZE];
	inet_print_subnet(got, text);
	assert_string_equal(text, want);
}

static void choose(struct inet_subnet *used, size_t count, const char *want)
{
	struct inet_subnet got;
	int r = ipam_choose_subnet(ipam_default_supplies, IPAM_DEFAULT_SUPPLIES, used, count, &got);
	assert_int_equal(r, want ? 0 : -ENOSPC);
	if (want)
		assert_subnet(&got, want);
}

static void subnets_come_in_order_and_overlap_nothing(void **state)
{
	(void)state;
	choose(NULL, 0, "172.17.0.0/16");
	struct inet_subnet some[] = { subnet("0.0.0.0/0"), subnet("172.17.3.0/24"), subnet("172.18.0.0/15"),
		subnet("172.20.0.1/32") };
	choose(some, 1, "172.17.0.0/16");
	choose(some, 4, "172.21.0.0/16");
	struct inet_subnet most[] = { subnet("172.16.0.0/12") };
	choose(most, 1, "192.168.0.0/20");
	struct inet_subnet all[] = { subnet("172.16.0.0/12"), subnet("192.168.0.0/16") };
	choose(all, 2, NULL);
	struct inet_subnet inner[] = { subnet("172.16.0.0/12"), subnet("192.168.15.9/32"), subnet("192.168.16.0/20") };
	choose(inner, 3, "192.168.32.0/20");
}

static void a_seed_gives_local_subnets(void **state)
{
	(void)state;
	const struct ipam_supply supply = ipam_local_supply("0123456789abcdef");
	struct inet_subnet got, used[] = { subnet("fd01:2345:6789::/64") };
	assert_int_equal(ipam_choose_subnet(&supply, 1, NULL, 0, &got), 0);
	assert_subnet(&got, "fd01:2345:6789::/64");
	assert_int_equal(ipam_choose_subnet(&supply, 1, used, 1, &got), 0);
	assert_subnet(&got, "fd01:2345:6789:1::/64");
}

static void pick(const char *range, struct inet_address *taken, size_t count, const char *want)
{
	struct ipam_pool pool = { .subnet = subnet("10.0.0.0/24"), .range = subnet(range) };
	struct inet_address got;
	char text[INET_TEXT_SIZE];
	int r = ipam_choose_address(&pool, taken, count, &got);
	assert_int_equal(r, want ? 0 : -ENOSPC);
	if (!want)
		return;
	inet_print(&got, text);
	assert_string_equal(text, want);
}

static void the_lowest_free_address_is_taken(void **state)
{
	(void)state;
	pick("10.0.0.0/24", NULL, 0, "10.0.0.1");
	struct inet_address taken[] = { address("10.0.0.4"), address("10.0.0.1"), address("10.0.0.2"),
		address("10.0.0.1"), address("9.9.9.9") };
	pick("10.0.0.0/24", taken, ARRAY_SIZE(taken), "10.0.0.3");
	pick("10.0.0.128/25", taken, ARRAY_SIZE(taken), "10.0.0.128");
	pick("10.0.0.4/32", taken, ARRAY_SIZE(taken), NULL);
	pick("10.0.0.5/32", taken, ARRAY_SIZE(taken), "10.0.0.5");
}

static void a_full_range_says_so(void **state)
{
	(void)state;
	struct inet_address taken[256];
	for (unsigned i = 0; i < 256; i++)
		taken[i] = (struct inet_address){ .bytes = { 10, 0, 0, (uint8_t)(255 - i) } };
	pick("10.0.0.0/24", taken, 256, NULL);
	/* Its last address is broadcast, not a host's. */
	struct inet_address most[254];
	for (unsigned i = 0; i < 254; i++)
		most[i] = (struct inet_address){ .bytes = { 10, 0, 0, (uint8_t)(1 + i) } };
	pick("10.0.0.0/24", most, 254, NULL);
	pick("10.0.0.0/24", most, 253, "10.0.0.254");
}

static void ends_of_small_subnets_are_hosts(void **state)
{
	(void)state;
	struct inet_subnet pair = subnet("10.0.0.0/31"), four = subnet("10.0.0.0/30"), six = subnet("fd00::/64");
	struct inet_address first = address("10.0.0.0"), last = address("10.0.0.3"), any = address("fd00::"),
			    top = address("fd00::ffff:ffff:ffff:ffff");
	assert_true(ipam_is_host(&pair, &first));
	assert_false(ipam_is_host(&four, &first));
	assert_false(ipam_is_host(&four, &last));
	assert_false(ipam_is_host(&six, &any));
	assert_true(ipam_is_host(&six, &top));
	assert_false(ipam_is_host(&pair, &any));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(subnets_come_in_order_and_overlap_nothing),
		cmocka_unit_test(a_seed_gives_local_subnets),
		cmocka_unit_test(the_lowest_free_address_is_taken),
		cmocka_unit_test(a_full_range_says_so),
		cmocka_unit_test(ends_of_small_subnets_are_hosts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
