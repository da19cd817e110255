#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "base/inet.h"

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

static void assert_address(struct inet_address got, const char *want)
{
	char text[INET_TEXT_SIZE];
	inet_print(&got, text);
	assert_string_equal(text, want);
}

static void text_is_taken_or_refused_whole(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "256.1.1.1", "01.2.3.4",
		"fe80::1%lo", "::g", "1.2.3.4/24", "a" };
	struct inet_address out;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(inet_parse(wrong[i], &out), -EINVAL);
	assert_address(address("172.17.0.2"), "172.17.0.2");
	assert_address(address("FD00:0:0::1"), "fd00::1");

	static const char *const wrong_subnets[] = { "1.2.3.4", "1.2.3.4/", "1.2.3.4/33", "::/129", "/8", "1.2.3.4/+8",
		"1.2.3.4/8/8", "1234567890123456789012345678901234567890123456789/1" };
	struct inet_subnet net;
	char text[INET_SUBNET_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(wrong_subnets); i++)
		assert_int_equal(inet_parse_subnet(wrong_subnets[i], &net), -EINVAL);
	net = subnet("fd00:1::5/64");
	inet_print_subnet(&net, text);
	assert_string_equal(text, "fd00:1::5/64");
}

static void a_mac_is_one_station_s(void **state)
{
	(void)state;
	static const char *const wrong[] = { "", "02:42:ac:11:00", "02:42:ac:11:00:02:03", "02:42:ac:11:00:0g",
		"01:42:ac:11:00:02", "00:00:00:00:00:00", "0242ac110002aaaaa" };
	uint8_t mac[INET_MAC_BYTES];
	char text[INET_MAC_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(inet_parse_mac(wrong[i], mac), -EINVAL);
	assert_int_equal(inet_parse_mac("02-42-AC-11-00-02", mac), 0);
	inet_print_mac(mac, text);
	assert_string_equal(text, "02:42:ac:11:00:02");
}

static void addresses_are_counted(void **state)
{
	(void)state;
	struct inet_address low = address("10.0.0.254"), high = address("10.0.1.1");
	assert_address(inet_add(&low, 3), "10.0.1.1");
	assert_int_equal(inet_distance(&low, &high), 3);
	low = address("fd00::ffff:ffff:ffff:ffff");
	high = address("fd00:0:0:1::");
	assert_address(inet_add(&low, 1), "fd00:0:0:1::");
	assert_int_equal(inet_distance(&low, &high), 1);
	low = address("::");
	assert_true(inet_distance(&low, &high) == UINT64_MAX);
	low = address("255.255.255.255");
	assert_address(inet_add(&low, 1), "0.0.0.0");
	high = address("::");
	assert_true(inet_compare(&low, &high) < 0);
}

static void subnets_have_ends_and_overlap(void **state)
{
	(void)state;
	struct inet_subnet net = subnet("172.17.200.7/20");
	assert_address(inet_subnet_base(&net), "172.17.192.0");
	assert_address(inet_subnet_last(&net), "172.17.207.255");
	struct inet_address in = address("172.17.207.1"), out = address("172.17.208.0"), six = address("::");
	assert_true(inet_subnet_has(&net, &in));
	assert_false(inet_subnet_has(&net, &out));
	assert_false(inet_subnet_has(&net, &six));
	struct inet_subnet all = subnet("0.0.0.0/0"), inner = subnet("172.17.200.0/24"),
			   other = subnet("172.18.0.0/16");
	assert_true(inet_subnet_overlaps(&all, &net) && inet_subnet_overlaps(&net, &all));
	assert_true(inet_subnet_overlaps(&net, &inner) && inet_subnet_overlaps(&inner, &net));
	assert_false(inet_subnet_overlaps(&net, &other));
	struct inet_subnet all6 = subnet("::/0");
	assert_false(inet_subnet_overlaps(&all, &all6));
	assert_address(inet_subnet_last(&all6), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_taken_or_refused_whole),
		cmocka_unit_test(a_mac_is_one_station_s),
		cmocka_unit_test(addresses_are_counted),
		cmocka_unit_test(subnets_have_ends_and_overlap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
