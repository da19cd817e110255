#include "network/cni_document.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"

#define QUOTE_MAX 200

static const char *const versions[] = { "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0" };

static bool is_set(const char *text)
{
	return text && text[0];
}

static int set_text(char **member, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static bool is_known_version(const char *version)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		if (strcmp(versions[i], version) == 0)
			return true;
	}
	return false;
}

/* --- lists --- */

/* Names of files and of networks: what the specification allows. */
static bool is_name(const char *text)
{
	static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	return is_set(text) && text[0] != '.' && text[0] != '-' && text[strspn(text, word)] == '\0' &&
	       strlen(text) < 256;
}

const char *cni_plugin_type(const json_t *plugin)
{
	return json_string_value(json_object_get(plugin, "type"));
}

bool cni_plugin_can(const json_t *plugin, const char *word)
{
	return json_is_true(json_object_get(json_object_get(plugin, "capabilities"), word));
}

struct cni_list {
	char *version;
	char *name;
	bool disable_check;
	json_t *plugins;
};
static const struct json_field list_fields[] = {
	JSON_FIELD(struct cni_list, version, "cniVersion", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct cni_list, name, "name", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct cni_list, disable_check, "disableCheck", JSON_BOOL_FIELD),
	JSON_FIELD(struct cni_list, plugins, "plugins", JSON_RAW),
};
static const struct json_table list_table = JSON_TABLE(struct cni_list, list_fields);

static int check_list(const struct cni_list *list, struct err **reterr)
{
	if (!is_known_version(list->version))
		return err_set(reterr, ERR_INVALID, 0, "cniVersion \"%.32s\" is not supported: 0.3.0 to 1.1.0 are",
			list->version);
	if (!is_name(list->name))
		return err_set(reterr, ERR_INVALID, 0, "\"%.64s\" is no name for a CNI network", list->name);
	size_t count = json_array_size(list->plugins);
	if (count == 0 || count > CNI_PLUGINS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "expected a list of 1 to %d plugins", CNI_PLUGINS_MAX);
	for (size_t i = 0; i < count; i++) {
		const char *type = cni_plugin_type(json_array_get(list->plugins, i));
		if (!is_name(type))
			return err_set(reterr, ERR_INVALID, 0, "plugins[%zu].type: \"%.64s\" is no plugin's name", i,
				type ? type : "");
	}
	return 0;
}

/* A plugin alone is a list of one. */
static json_t *as_list(json_t *document)
{
	if (!json_is_object(document) || json_object_get(document, "plugins") || !cni_plugin_type(document))
		return json_incref(document);
	return json_pack("{s:O?, s:O?, s:[O]}", "cniVersion", json_object_get(document, "cniVersion"), "name",
		json_object_get(document, "name"), "plugins", document);
}

int cni_config_read(json_t *document, struct cni_config *out, struct err **reterr)
{
	struct cni_list list = { 0 };
	_autojson_ json_t *whole = as_list(document);
	int r = whole ? json_read(&list_table, whole, &list, reterr) : err_oom(reterr);
	if (r < 0)
		return r;
	r = check_list(&list, reterr);
	size_t count = json_array_size(list.plugins);
	*out = (struct cni_config){ .disable_check = list.disable_check };
	out->plugins = r == 0 ? calloc(count, sizeof(json_t *)) : NULL;
	if (r == 0 && !out->plugins)
		r = err_oom(reterr);
	for (size_t i = 0; r == 0 && i < count; i++)
		out->plugins[out->plugin_count++] = json_array_get(list.plugins, i);
	if (r == 0) {
		out->version = TAKE(list.version);
		out->name = TAKE(list.name);
		out->document = TAKE(whole);
	}
	json_finish(&list_table, &list);
	return r;
}

int cni_config_parse(const char *text, size_t len, struct cni_config *out, struct err **reterr)
{
	_autojson_ json_t *document = NULL;
	*out = (struct cni_config){ 0 };
	int r = json_load(text, len, &document, reterr);
	return r < 0 ? r : cni_config_read(document, out, reterr);
}

void cni_config_finish(struct cni_config *config)
{
	free(config->version);
	free(config->name);
	free(config->plugins);
	json_decref(config->document);
	*config = (struct cni_config){ 0 };
}

/* --- results --- */

struct cni_interface {
	char *name;
	char *mac;
	char *sandbox;
};
static const struct json_field interface_fields[] = {
	JSON_FIELD(struct cni_interface, name, "name", JSON_STRING_FIELD),
	JSON_FIELD(struct cni_interface, mac, "mac", JSON_STRING_FIELD),
	JSON_FIELD(struct cni_interface, sandbox, "sandbox", JSON_STRING_FIELD),
};
static const struct json_table interface_table = JSON_TABLE(struct cni_interface, interface_fields);

struct cni_address {
	char *address;
	char *gateway;
	struct json_opt_int interface;
};
static const struct json_field address_fields[] = {
	JSON_FIELD(struct cni_address, address, "address", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct cni_address, gateway, "gateway", JSON_STRING_FIELD),
	JSON_FIELD(struct cni_address, interface, "interface", JSON_OPT_INT),
};
static const struct json_table address_table = JSON_TABLE(struct cni_address, address_fields);

struct cni_result {
	char *version;
	struct cni_interface *interfaces;
	size_t interface_count;
	struct cni_address *addresses;
	size_t address_count;
};
static const struct json_field result_fields[] = {
	JSON_FIELD(struct cni_result, version, "cniVersion", JSON_STRING_FIELD),
	JSON_FIELD_ARRAY(struct cni_result, interfaces, interface_count, "interfaces", JSON_OBJECTS,
		.table = &interface_table),
	JSON_FIELD_ARRAY(struct cni_result, addresses, address_count, "ips", JSON_OBJECTS, .table = &address_table),
};
static const struct json_table result_table = JSON_TABLE(struct cni_result, result_fields);

static int check_result(const struct cni_result *result, struct err **reterr)
{
	struct inet_subnet subnet;
	struct inet_address gateway;
	if (result->address_count > CNI_ADDRESSES_MAX || result->interface_count > CNI_ADDRESSES_MAX)
		return err_set(reterr, ERR_INVALID, 0, "it names more than %d addresses or interfaces",
			CNI_ADDRESSES_MAX);
	for (size_t i = 0; i < result->address_count; i++) {
		const struct cni_address *address = &result->addresses[i];
		if (inet_parse_subnet(address->address, &subnet) < 0)
			return err_set(reterr, ERR_INVALID, 0,
				"ips[%zu].address: \"%.64s\" is no address with its prefix", i, address->address);
		if (is_set(address->gateway) && inet_parse(address->gateway, &gateway) < 0)
			return err_set(reterr, ERR_INVALID, 0, "ips[%zu].gateway: \"%.64s\" is no address", i,
				address->gateway);
	}
	return 0;
}

int cni_result_parse(const char *text, size_t len, json_t **ret, struct err **reterr)
{
	_autojson_ json_t *document = NULL;
	struct cni_result result = { 0 };
	int r = json_load(text, len, &document, reterr);
	if (r == 0)
		r = json_read(&result_table, document, &result, reterr);
	if (r < 0)
		return r;
	r = check_result(&result, reterr);
	json_finish(&result_table, &result);
	if (r == 0)
		*ret = TAKE(document);
	return r;
}

/* NULL: it is none of the container's. An address that belongs to no interface is the container's. */
static const struct cni_interface *interface_of(const struct cni_result *result, const struct cni_address *address,
	bool *ret_inside)
{
	int64_t i = address->interface.value;
	*ret_inside = true;
	if (!address->interface.set || i < 0 || (uint64_t)i >= result->interface_count)
		return NULL;
	*ret_inside = is_set(result->interfaces[i].sandbox);
	return &result->interfaces[i];
}

static int take_address(const struct cni_address *address, struct lease_endpoint *endpoint)
{
	struct inet_subnet subnet;
	struct inet_address gateway;
	char text[INET_TEXT_SIZE];
	int r = inet_parse_subnet(address->address, &subnet);
	struct lease_address *lease = subnet.address.is_v6 ? &endpoint->ipv6 : &endpoint->ipv4;
	if (r < 0 || lease->address)
		return 0;
	inet_print(&subnet.address, text);
	lease->prefix = subnet.prefix;
	r = set_text(&lease->address, text);
	if (r < 0 || !is_set(address->gateway) || inet_parse(address->gateway, &gateway) < 0 ||
		gateway.is_v6 != subnet.address.is_v6)
		return r;
	inet_print(&gateway, text);
	return set_text(&lease->gateway, text);
}

static int take_mac(const struct cni_result *result, const char *interface, struct lease_endpoint *endpoint)
{
	uint8_t mac[INET_MAC_BYTES];
	char text[INET_MAC_SIZE];
	for (size_t i = 0; i < result->interface_count; i++) {
		const struct cni_interface *own = &result->interfaces[i];
		if (!is_set(own->sandbox) || !own->name || strcmp(own->name, interface) != 0 || !is_set(own->mac) ||
			inet_parse_mac(own->mac, mac) < 0)
			continue;
		inet_print_mac(mac, text);
		return set_text(&endpoint->mac, text);
	}
	return 0;
}

static void clear(struct lease_address *lease)
{
	free(lease->address);
	free(lease->gateway);
	*lease = (struct lease_address){ 0 };
}

int cni_result_take(const json_t *document, const char *interface, struct lease_endpoint *endpoint)
{
	struct cni_result result = { 0 };
	clear(&endpoint->ipv4);
	clear(&endpoint->ipv6);
	if (json_read(&result_table, (json_t *)document, &result, NULL) < 0)
		return 0;
	int r = take_mac(&result, interface, endpoint);
	for (size_t i = 0; r == 0 && i < result.address_count; i++) {
		bool is_inside;
		const struct cni_interface *own = interface_of(&result, &result.addresses[i], &is_inside);
		if (is_inside && (!own || !own->name || strcmp(own->name, interface) == 0))
			r = take_address(&result.addresses[i], endpoint);
	}
	json_finish(&result_table, &result);
	return r;
}

/* --- errors --- */

struct cni_error {
	int64_t code;
	char *message;
	char *details;
};
static const struct json_field error_fields[] = {
	JSON_FIELD(struct cni_error, code, "code", JSON_INT),
	JSON_FIELD(struct cni_error, message, "msg", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct cni_error, details, "details", JSON_STRING_FIELD),
};
static const struct json_table error_table = JSON_TABLE(struct cni_error, error_fields);

void cni_error_print(const char *text, size_t len, char *out, size_t size)
{
	struct cni_error error = { 0 };
	if (len > 0 && json_parse(&error_table, text, len, &error, NULL) == 0) {
		snprintf(out, size, "%.*s%s%.*s", QUOTE_MAX, error.message, is_set(error.details) ? ": " : "",
			QUOTE_MAX, error.details ? error.details : "");
		json_finish(&error_table, &error);
	} else
		snprintf(out, size, "%.*s", len > 0 && len < QUOTE_MAX ? (int)len : QUOTE_MAX,
			len > 0 ? text : "no word of why");
	for (char *c = out; *c; c++) {
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = ' ';
	}
}
