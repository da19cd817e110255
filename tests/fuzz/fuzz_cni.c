/* What plugins print (results, errors), and lists of plugins: taken or refused, and nothing but addresses gets into a lease. */
#include <string.h>

#include "network/cni_document.h"

#include "fuzz.h"

static void check_address(const struct lease_address *own, bool is_v6)
{
	struct inet_address address;
	if (!own->address)
		return;
	fuzz_check(inet_parse(own->address, &address) == 0 && address.is_v6 == is_v6);
	fuzz_check(own->prefix >= 0 && own->prefix <= (is_v6 ? 128 : 32));
	fuzz_check(!own->gateway || (inet_parse(own->gateway, &address) == 0 && address.is_v6 == is_v6));
}

static void take_result(const char *text, size_t size)
{
	_autojson_ json_t *result = NULL;
	_autofree_(err) struct err *err = NULL;
	struct lease_endpoint endpoint = { 0 };
	uint8_t mac[INET_MAC_BYTES];
	if (cni_result_parse(text, size, &result, &err) < 0) {
		fuzz_check(err && !result);
		return;
	}
	fuzz_check(cni_result_take(result, "eth0", &endpoint) == 0);
	check_address(&endpoint.ipv4, false);
	check_address(&endpoint.ipv6, true);
	fuzz_check(!endpoint.mac || inet_parse_mac(endpoint.mac, mac) == 0);
	json_finish(&lease_endpoint_table, &endpoint);
}

static void take_list(const char *text, size_t size)
{
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	_autofree_(err) struct err *err = NULL;
	if (cni_config_parse(text, size, &config, &err) < 0) {
		fuzz_check(err);
		return;
	}
	fuzz_check(config.plugin_count > 0 && config.plugin_count <= CNI_PLUGINS_MAX);
	for (size_t i = 0; i < config.plugin_count; i++)
		fuzz_check(!strchr(cni_plugin_type(config.plugins[i]), '/'));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	char words[512];
	take_result(text, strlen(text));
	take_list(text, strlen(text));
	cni_error_print((const char *)data, size, words, sizeof(words));
	fuzz_check(strlen(words) < sizeof(words) && !strchr(words, '\n'));
	return 0;
}
