#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "base/clock.h"
#include "network/cni_document.h"
#include "network/cni_plugin.h"

/* --- lists --- */

static void assert_list(const char *text, const char *problem)
{
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	_autofree_(err) struct err *err = NULL;
	int r = cni_config_parse(text, strlen(text), &config, &err);
	if (!problem) {
		assert_int_equal(r, 0);
		return;
	}
	assert_true(r < 0);
	if (!strstr(err_message(err), problem))
		fail_msg("%s: %s", text, err_message(err));
}

static void lists_are_taken_or_refused(void **state)
{
	(void)state;
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"bridge\"}]}", NULL);
	assert_list("{\"cniVersion\":\"0.3.0\",\"name\":\"a\",\"type\":\"bridge\"}", NULL);
	assert_list("{\"cniVersion\":\"0.2.0\",\"name\":\"a\",\"type\":\"bridge\"}", "not supported");
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"a b\",\"type\":\"bridge\"}", "no name");
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"..\",\"type\":\"bridge\"}", "no name");
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"type\":\"\"}", "no plugin's name");
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[7]}", "no plugin's name");
	assert_list("{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[{\"type\":\"/bin/sh\"}]}",
		"no plugin's name");
	assert_list("[]", "");
	assert_list("", "");
}

static void as_many_plugins_as_there_may_be(void **state)
{
	(void)state;
	for (int count = CNI_PLUGINS_MAX - 1; count <= CNI_PLUGINS_MAX + 1; count++) {
		_cleanup_(buf_finish) struct buf text = BUF_INIT(65536);
		buf_puts(&text, "{\"cniVersion\":\"1.0.0\",\"name\":\"a\",\"plugins\":[");
		for (int i = 0; i < count; i++)
			buf_printf(&text, "%s{\"type\":\"p%d\"}", i ? "," : "", i);
		buf_puts(&text, "]}");
		assert_list(text.data, count > CNI_PLUGINS_MAX ? "1 to 32 plugins" : NULL);
	}
}

/* --- results --- */

static void take(const char *text, struct lease_endpoint *endpoint)
{
	_autojson_ json_t *result = NULL;
	assert_int_equal(cni_result_parse(text, strlen(text), &result, NULL), 0);
	assert_int_equal(cni_result_take(result, "eth0", endpoint), 0);
}

static void the_first_address_of_each_family_in_the_container(void **state)
{
	(void)state;
	struct lease_endpoint endpoint = { 0 };
	take("{\"interfaces\":[{\"name\":\"br\",\"mac\":\"02:00:00:00:00:01\"},"
	     "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:02\",\"sandbox\":\"/x\"},{\"name\":\"eth9\",\"sandbox\":\"/x\"}],"
	     "\"ips\":[{\"interface\":0,\"address\":\"10.0.0.1/24\"},{\"interface\":2,\"address\":\"10.0.0.9/24\"},"
	     "{\"interface\":1,\"address\":\"10.0.0.2/24\",\"gateway\":\"10.0.0.1\"},"
	     "{\"interface\":1,\"address\":\"10.0.0.3/24\"},{\"interface\":1,\"address\":\"fd00::2/64\",\"gateway\":\"10.0.0.1\"}]}",
		&endpoint);
	assert_string_equal(endpoint.ipv4.address, "10.0.0.2");
	assert_string_equal(endpoint.ipv4.gateway, "10.0.0.1");
	assert_int_equal(endpoint.ipv4.prefix, 24);
	assert_string_equal(endpoint.ipv6.address, "fd00::2");
	assert_null(endpoint.ipv6.gateway); /* one of the other family is none */
	assert_string_equal(endpoint.mac, "02:00:00:00:00:02");
	take("{\"ips\":[{\"address\":\"10.0.0.7/8\"}]}", &endpoint);
	assert_string_equal(endpoint.ipv4.address, "10.0.0.7");
	assert_null(endpoint.ipv4.gateway);
	assert_null(endpoint.ipv6.address);
	json_finish(&lease_endpoint_table, &endpoint);
}

static void as_many_addresses_as_there_may_be(void **state)
{
	(void)state;
	for (int count = CNI_ADDRESSES_MAX - 1; count <= CNI_ADDRESSES_MAX + 1; count++) {
		_cleanup_(buf_finish) struct buf text = BUF_INIT(65536);
		_autojson_ json_t *result = NULL;
		buf_puts(&text, "{\"ips\":[");
		for (int i = 0; i < count; i++)
			buf_printf(&text, "%s{\"address\":\"10.0.0.%d/24\"}", i ? "," : "", i);
		buf_puts(&text, "]}");
		int r = cni_result_parse(text.data, text.len, &result, NULL);
		assert_int_equal(r<0, count> CNI_ADDRESSES_MAX);
	}
}

static void errors_are_one_line(void **state)
{
	(void)state;
	char out[64];
	static const char error[] = "{\"code\":7,\"msg\":\"a\\nb\",\"details\":\"c\"}";
	cni_error_print(error, strlen(error), out, sizeof(out));
	assert_string_equal(out, "a b: c");
	cni_error_print("oh\nno", 5, out, sizeof(out));
	assert_string_equal(out, "oh no");
	cni_error_print(NULL, 0, out, sizeof(out));
	assert_string_equal(out, "no word of why");
}

/* --- plugins at work --- */

static char folder[] = "/tmp/tare-cni-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[PATH_MAX];
	(void)state;
	snprintf(path, sizeof(path), "%s/plugin", folder);
	unlink(path);
	return rmdir(folder);
}

static int run_script(const char *script, int64_t ms, struct buf *output, struct err **reterr)
{
	char path[PATH_MAX];
	_cleanup_(buf_finish) struct buf config = BUF_INIT(1024);
	snprintf(path, sizeof(path), "%s/plugin", folder);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", script);
	fchmod(fileno(file), 0755);
	fclose(file);
	const struct cni_call call = { .command = "ADD",
		.container_id = "c",
		.netns = "",
		.interface = "eth0",
		.arguments = "",
		.path = folder,
		.deadline_ms = clock_monotonic_ms() + ms,
		.cancel_fd = -1 };
	buf_puts(&config, "{\"x\":1}");
	return cni_plugin_run(&call, "plugin", &config, output, reterr);
}

static void a_plugin_has_its_orders_and_nothing_else(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
	setenv("TARE_SECRET", "x", 1);
	assert_int_equal(
		run_script(
			"cat; echo; echo $CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME [$CNI_NETNS] [$TARE_SECRET]; ls /proc/self/fd | wc -l",
			30000, &output, NULL),
		0);
	/* 0, 1, 2 and what ls itself opens */
	assert_string_equal(output.data, "{\"x\":1}\nADD c eth0 [] []\n4\n");
}

static void a_plugin_says_as_much_as_it_may(void **state)
{
	(void)state;
	for (int more = -1; more <= 1; more++) {
		_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
		char script[128];
		snprintf(script, sizeof(script), "head -c %d /dev/zero | tr '\\0' x", CNI_TEXT_MAX + more);
		int r = run_script(script, 30000, &output, NULL);
		assert_int_equal(r, more > 0 ? -EFBIG : 0);
	}
}

static void a_plugin_ends_in_time(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
	_autofree_(err) struct err *err = NULL;
	int64_t start_ms = clock_monotonic_ms();
	assert_int_equal(run_script("sleep 1000", 100, &output, &err), -ETIMEDOUT);
	assert_true(clock_monotonic_ms() - start_ms < 30000);
	assert_string_equal(err_message(err), "plugin plugin did not end in time (ADD)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_are_taken_or_refused),
		cmocka_unit_test(as_many_plugins_as_there_may_be),
		cmocka_unit_test(the_first_address_of_each_family_in_the_container),
		cmocka_unit_test(as_many_addresses_as_there_may_be),
		cmocka_unit_test(errors_are_one_line),
		cmocka_unit_test(a_plugin_has_its_orders_and_nothing_else),
		cmocka_unit_test(a_plugin_says_as_much_as_it_may),
		cmocka_unit_test(a_plugin_ends_in_time),
	};
	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
