#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "network/resolv_conf.h"

static struct resolv_conf parse(const char *text)
{
	struct resolv_conf conf;
	assert_int_equal(resolv_conf_parse(text, strlen(text), &conf), 0);
	return conf;
}

static void expect(struct resolv_conf *conf, const char *text)
{
	struct buf out = BUF_INIT(4096);
	assert_int_equal(resolv_conf_print(conf, &out), 0);
	assert_string_equal(out.data ?: "", text);
	buf_finish(&out);
	resolv_conf_finish(conf);
}

static const char hosts[] = "# made by hand\n"
			    "nameserver 127.0.0.1\n"
			    "nameserver\t10.0.0.1  # the first\n"
			    "nameserver fd00::1\n"
			    "nameserver fe80::1%eth0\n"
			    "nameserver nonsense\n"
			    "nameserver 10.0.0.2%eth0\n"
			    "domain old.example\n"
			    "search a.example b.example\n"
			    "options edns0 ; later\n"
			    "options timeout:1\n"
			    "sortlist 130.155.160.0\n"
			    "search";

static void what_is_understood_is_kept(void **state)
{
	(void)state;
	struct resolv_conf conf = parse("\n;x\nnameserver 10.0.0.1\nsearch a b\noptions rotate\n");
	expect(&conf, "nameserver 10.0.0.1\nsearch a b\noptions rotate\n");
	conf = parse("");
	expect(&conf, "");
	conf = parse("domain d.example");
	expect(&conf, "search d.example\n");
}

static void the_default_bridge_has_what_it_can_reach(void **state)
{
	(void)state;
	struct resolv_conf conf = parse(hosts);
	assert_int_equal(resolv_conf_for_bridge(&conf, false), 0);
	expect(&conf, "nameserver 10.0.0.1\noptions edns0 timeout:1\n"); /* the last search had no words */
	conf = parse(hosts);
	assert_int_equal(resolv_conf_for_bridge(&conf, true), 0);
	assert_int_equal(strv_count(conf.servers), 3);
	resolv_conf_finish(&conf);
	conf = parse("nameserver 127.0.0.53\nnameserver ::1\n");
	assert_int_equal(resolv_conf_for_bridge(&conf, true), 0);
	expect(&conf, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
}

static void a_resolver_takes_the_servers_place(void **state)
{
	(void)state;
	struct resolv_conf conf = parse("nameserver 10.0.0.1\nsearch a\noptions edns0\n");
	assert_false(resolv_conf_has_ndots(&conf));
	assert_int_equal(resolv_conf_for_resolver(&conf), 0);
	expect(&conf, "nameserver 127.0.0.11\nsearch a\noptions edns0 ndots:0\n");
	conf = parse("options ndots:2\n");
	assert_true(resolv_conf_has_ndots(&conf));
	assert_int_equal(resolv_conf_for_resolver(&conf), 0);
	expect(&conf, "nameserver 127.0.0.11\noptions ndots:2\n");
}

static void the_users_lists_come_first(void **state)
{
	(void)state;
	char *servers[] = { (char *)"9.9.9.9", NULL }, *search[] = { (char *)"x.example", NULL },
	     *none[] = { (char *)".", NULL };
	char *options[] = { (char *)"rotate", NULL };
	struct resolv_conf conf = parse("nameserver 10.0.0.1\nsearch a\noptions edns0\n");

	assert_int_equal(resolv_conf_override(&conf, servers, search, options), 0);
	expect(&conf, "nameserver 9.9.9.9\nsearch x.example\noptions rotate\n");
	conf = parse("nameserver 10.0.0.1\nsearch a\noptions edns0\n");
	assert_int_equal(resolv_conf_override(&conf, NULL, none, NULL), 0);
	expect(&conf, "nameserver 10.0.0.1\noptions edns0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_understood_is_kept),
		cmocka_unit_test(the_default_bridge_has_what_it_can_reach),
		cmocka_unit_test(a_resolver_takes_the_servers_place),
		cmocka_unit_test(the_users_lists_come_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
