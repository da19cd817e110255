#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

#include "../unit.h"
#include "network/dns_names.h"

static struct dns_names *names_of(const char *text)
{
	struct buf buf = BUF_INIT(DNS_NAMES_BYTES_MAX);
	struct dns_names *names = NULL;

	assert_int_equal(buf_puts(&buf, text), 0);
	assert_int_equal(dns_names_new(&buf, &names), 0);
	buf_finish(&buf);
	return names;
}

/* The addresses of a name, in text, in any order. */
static size_t count(const struct dns_names *names, const char *name)
{
	size_t cursor = 0, n = 0;

	while (dns_names_next(names, name, &cursor))
		n++;
	return n;
}

static void what_is_printed_is_read(void **state)
{
	(void)state;
	struct buf out = BUF_INIT(4096);
	const char *const web[] = { "Web", "0123456789ab", "front end", "www.example.com", NULL };
	const char *const db[] = { "db", NULL };
	struct dns_names *names = NULL;

	assert_int_equal(dns_names_print_network(&out, "mynet"), 0);
	assert_int_equal(dns_names_print_endpoint(&out, "172.18.0.2", "", (char *const *)web), 0);
	assert_int_equal(dns_names_print_endpoint(&out, NULL, "fd00::3", (char *const *)db), 0);
	assert_int_equal(dns_names_print_endpoint(&out, "172.18.0", NULL, (char *const *)db), -EINVAL);
	assert_int_equal(dns_names_print_network(&out, "my net"), -EINVAL);
	assert_string_equal(out.data, "network mynet\n172.18.0.2 - Web 0123456789ab www.example.com\n- fd00::3 db\n");
	assert_int_equal(dns_names_new(&out, &names), 0);
	assert_string_equal(dns_names_network(names), "mynet");
	size_t cursor = 0;
	const struct dns_host *host = dns_names_next(names, "web", &cursor);
	assert_non_null(host);
	assert_true(host->has_ipv4 && !host->has_ipv6);
	assert_int_equal(host->ipv4.s_addr, inet_addr("172.18.0.2"));
	assert_null(dns_names_next(names, "web", &cursor));
	assert_int_equal(count(names, "www.example.com"), 1);
	assert_int_equal(count(names, "0123456789ab"), 1);
	assert_int_equal(count(names, "front"), 0);
	dns_names_free(names);
	buf_finish(&out);
}

static void addresses_lead_back(void **state)
{
	(void)state;
	struct dns_names *names = names_of("network n\n10.1.2.3 fd00::12 a b\n10.1.2.4 - c\n");
	static const char six[] = "2.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";

	assert_string_equal(dns_names_reverse(names, "3.2.1.10.in-addr.arpa")->name, "a");
	assert_string_equal(dns_names_reverse(names, "4.2.1.10.in-addr.arpa")->name, "c");
	assert_string_equal(dns_names_reverse(names, six)->name, "a");
	assert_null(dns_names_reverse(names, six + 2));
	assert_null(dns_names_reverse(names, "5.2.1.10.in-addr.arpa"));
	assert_null(dns_names_reverse(names, "3.2.1.10.in-addr.arpa.x"));
	assert_null(dns_names_reverse(names, "3.2.1.266.in-addr.arpa"));
	assert_null(dns_names_reverse(names, "a"));
	dns_names_free(names);
}

static void nonsense_is_skipped(void **state)
{
	(void)state;
	struct dns_names *names =
		names_of("\n\nnetwork\n1.2.3 - x\n1.2.3.4\n1.2.3.4 5.6.7.8 y\nzz\n1.2.3.4 - ok\n- -\n- - lost\n");

	assert_int_equal(count(names, "x") + count(names, "y"), 0);
	assert_int_equal(count(names, "ok"), 1);
	assert_int_equal(count(names, "lost"), 1); /* known, without an address: nobody else is asked for it */
	dns_names_free(names);
	names = names_of("network empty\n");
	assert_int_equal(count(names, "x"), 0);
	assert_null(dns_names_reverse(names, "4.3.2.1.in-addr.arpa"));
	dns_names_free(names);
}

static void many_names_and_many_of_one_name(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);
	struct dns_names *names = NULL;
	char name[32];

	for (int host = 0; host < 1000; host++) {
		assert_int_equal(buf_printf(&text, "10.0.%d.%d - c%d shared", host / 250, host % 250, host), 0);
		for (int alias = 0; host == 7 && alias < 300; alias++)
			assert_int_equal(buf_printf(&text, " alias-%d", alias), 0);
		assert_int_equal(buf_putc(&text, '\n'), 0);
	}
	assert_int_equal(dns_names_new(&text, &names), 0);
	assert_int_equal(count(names, "shared"), 1000);
	for (int alias = 0; alias < 300; alias++) {
		snprintf(name, sizeof(name), "alias-%d", alias);
		assert_int_equal(count(names, name), 1);
	}
	dns_names_free(names);
	buf_finish(&text);
}

static void lines_beyond_the_limit_do_not_count(void **state)
{
	(void)state;
	struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);
	struct dns_names *names = NULL;

	for (int i = 0; i < DNS_NAMES_ENDPOINTS + 1; i++)
		assert_int_equal(buf_puts(&text, i < DNS_NAMES_ENDPOINTS - 1 ? "1.1.1.1 - x\n" : "1.1.1.1 - last\n"),
			0);
	assert_int_equal(dns_names_new(&text, &names), 0);
	assert_int_equal(count(names, "last"), 1);
	dns_names_free(names);
	buf_finish(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_printed_is_read),
		cmocka_unit_test(addresses_lead_back),
		cmocka_unit_test(nonsense_is_skipped),
		cmocka_unit_test(many_names_and_many_of_one_name),
		cmocka_unit_test(lines_beyond_the_limit_do_not_count),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
