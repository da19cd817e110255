#include "engine/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <arpa/inet.h>

#include "base/io.h"
#include "base/strv.h"
#include "engine/settings_networks.h"

#define SETTINGS_FILE_MAX (1024 * 1024)

const char *const settings_certificate_folders[] = { "/etc/tare/certs.d", "/etc/docker/certs.d", NULL };

/* Those that are insecure whatever is said. */
static const char *const loopback_nets[] = { "::1/128", "127.0.0.0/8" };

static const struct json_field pool_fields[] = {
	JSON_FIELD(struct info_address_pool, base, "base", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct info_address_pool, size, "size", JSON_INT, .flags = JSON_REQUIRED),
};
static const struct json_table pool_table = JSON_TABLE(struct info_address_pool, pool_fields);

static const struct json_field settings_fields[] = {
	JSON_FIELD(struct settings, insecure, "insecure-registries", JSON_STRV),
	JSON_FIELD(struct settings, mirrors, "registry-mirrors", JSON_STRV),
	JSON_FIELD(struct settings, exec_opts, "exec-opts", JSON_STRV),
	JSON_FIELD(struct settings, bridge, "bridge", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, default_gateway, "default-gateway", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, default_gateway_v6, "default-gateway-v6", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, ip, "ip", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, iptables, "iptables", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, ip6tables, "ip6tables", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, userland_proxy, "userland-proxy", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, network_options, "default-network-opts", JSON_RAW),
	JSON_FIELD(struct settings, bip, "bip", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, bip6, "bip6", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, fixed_cidr, "fixed-cidr", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, fixed_cidr_v6, "fixed-cidr-v6", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, ipv6, "ipv6", JSON_BOOL_FIELD),
	JSON_FIELD(struct settings, icc, "icc", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, ip_masq, "ip-masq", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, mtu, "mtu", JSON_INT),
	JSON_FIELD(struct settings, ports_obey_input, "ports-obey-input", JSON_BOOL_FIELD),
	JSON_FIELD(struct settings, ip_forward, "ip-forward", JSON_OPT_BOOL),
	JSON_FIELD(struct settings, loopback_segments, "loopback-segments", JSON_INT),
	JSON_FIELD_ARRAY(struct settings, pools, pool_count, "default-address-pools", JSON_OBJECTS,
		.table = &pool_table),
	JSON_FIELD(struct settings, dns, "dns", JSON_STRV),
	JSON_FIELD(struct settings, dns_options, "dns-opts", JSON_STRV),
	JSON_FIELD(struct settings, dns_search, "dns-search", JSON_STRV),
	JSON_FIELD(struct settings, host_gateway_ip, "host-gateway-ip", JSON_STRING_FIELD),
	JSON_FIELD(struct settings, host_gateway_ips, "host-gateway-ips", JSON_STRV),
};
static const struct json_table settings_table = JSON_TABLE(struct settings, settings_fields);

/* --- daemon.json --- */

static bool is_known(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(settings_fields); i++) {
		if (strcmp(settings_fields[i].key, key) == 0)
			return true;
	}
	return false;
}

static int check_keys(json_t *document, struct err **reterr)
{
	const char *key;
	json_t *value;
	if (!json_is_object(document))
		return err_set(reterr, ERR_INVALID, 0, "expected an object");
	json_object_foreach (document, key, value) {
		if (!is_known(key))
			return err_set(reterr, ERR_INVALID, 0,
				"the following directives don't match any configuration option: %s", key);
	}
	return 0;
}

/* `*ret` stays NULL where there is nothing. */
static int parse_file(const struct buf *text, json_t **ret, struct err **reterr)
{
	if (strspn(text->data ? text->data : "", " \t\r\n") == text->len)
		return 0;
	int r = json_load(text->data, text->len, ret, reterr);
	return r < 0 ? r : check_keys(*ret, reterr);
}

static int read_file(const char *path, bool may_be_missing, json_t **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SETTINGS_FILE_MAX);
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT && may_be_missing)
		return 0;
	int r = fd < 0 ? -errno : io_read_all(fd, &text);
	if (r < 0)
		return err_set(reterr, ERR_INVALID, -r, "cannot read the configuration file %s: %s", path,
			strerror(-r));
	return parse_file(&text, ret, reterr);
}

/* --- what is in it --- */

static bool is_host_text(const char *text)
{
	size_t len = strcspn(text, "/");
	return len > 0 && strcspn(text, " \t\r\n@?#") == strlen(text) && text[0] != '-' && text[0] != ':';
}

/* A prefix length's digits, at most `max`. */
static bool is_prefix_length(const char *text, int max)
{
	int value = 0;
	size_t len = strspn(text, "0123456789");
	if (len == 0 || len > 3 || text[len])
		return false;
	for (; *text; text++)
		value = 10 * value + (*text - '0');
	return value <= max;
}

static bool is_cidr(const char *text)
{
	char address[INET6_ADDRSTRLEN], binary[sizeof(struct in6_addr)];
	size_t len = strcspn(text, "/");
	if (!text[len] || len >= sizeof(address))
		return false;
	memcpy(address, text, len);
	address[len] = '\0';
	if (inet_pton(AF_INET, address, binary) == 1)
		return is_prefix_length(text + len + 1, 32);
	return inet_pton(AF_INET6, address, binary) == 1 && is_prefix_length(text + len + 1, 128);
}

static int check_insecure(const char *text, struct err **reterr)
{
	if (strstr(text, "://"))
		return err_set(reterr, ERR_INVALID, 0, "insecure registry %s should not contain '://'", text);
	if (!is_cidr(text) && (strchr(text, '/') || !is_host_text(text)))
		return err_set(reterr, ERR_INVALID, 0,
			"insecure registry %s is not valid: expected HOST, HOST:PORT or a CIDR", text);
	return 0;
}

static int check_mirror(const char *text, struct err **reterr)
{
	size_t scheme = strncmp(text, "http://", 7) == 0 ? 7 : strncmp(text, "https://", 8) == 0 ? 8 : 0;
	if (scheme == 0 || !is_host_text(text + scheme))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid mirror: \"%s\": expected http:// or https://, a host, and no user, query or fragment",
			text);
	return 0;
}

/* Each once, a mirror with the slash at its end that Docker gives it. */
static int tidy(char ***list, bool mirrors, struct err **reterr)
{
	_autofree_(strv) char **tidied = NULL;
	strv_foreach (item, *list) {
		int r = mirrors ? check_mirror(*item, reterr) : check_insecure(*item, reterr);
		if (r < 0)
			return r;
		bool slash = mirrors && (*item)[strlen(*item) - 1] != '/';
		_autofree_(strv) char **one = NULL;
		if (strv_appendf(&one, "%s%s", *item, slash ? "/" : "") < 0)
			return err_oom(reterr);
		if (!strv_has(tidied, one[0]) && strv_append(&tidied, one[0]) < 0)
			return err_oom(reterr);
	}
	strv_free(*list);
	*list = TAKE(tidied);
	return 0;
}

static int check_exec_opts(struct settings *settings, struct err **reterr)
{
	static const char name[] = "native.cgroupdriver=";
	strv_foreach (option, settings->exec_opts) {
		if (strncmp(*option, name, strlen(name)) != 0)
			return err_set(reterr, ERR_INVALID, 0, "exec-opt %s is not known: there is %sDRIVER alone",
				*option, name);
		const char *driver = *option + strlen(name);
		settings->systemd_cgroup = strcmp(driver, "systemd") == 0;
		if (!settings->systemd_cgroup && strcmp(driver, "cgroupfs") != 0)
			return err_set(reterr, ERR_INVALID, 0, "native.cgroupdriver option %s not supported", driver);
	}
	return 0;
}

int settings_check_slice(const char *parent, struct err **reterr)
{
	static const char suffix[] = ".slice";
	size_t len = strlen(parent), end = len - strlen(suffix);
	if (len > strlen(suffix) && strcmp(parent + end, suffix) == 0 && !strpbrk(parent, "/:"))
		return 0;
	return err_set(reterr, ERR_INVALID, 0,
		"cgroup-parent for systemd cgroup should be a valid slice named as \"xxx.slice\"");
}

/* --- both together --- */

static bool is_of_registries(const char *key)
{
	return strcmp(key, "insecure-registries") == 0 || strcmp(key, "registry-mirrors") == 0;
}

static int add_flags(json_t *document, json_t *flags, struct err **reterr)
{
	const char *key;
	json_t *value;
	json_object_foreach (flags, key, value) {
		json_t *own = json_object_get(document, key);
		int r = 0;
		if (!own)
			r = json_object_set(document, key, value);
		else if (!is_of_registries(key))
			return err_set(reterr, ERR_INVALID, 0,
				"the following directives are specified both as a flag and in the configuration file: %s",
				key);
		else if (json_is_array(own))
			r = json_array_extend(own, value);
		if (r < 0)
			return err_oom(reterr);
	}
	return 0;
}

static int read_all(json_t *document, struct settings *out, struct err **reterr)
{
	int r = json_read(&settings_table, document, out, reterr);
	if (r == 0)
		r = tidy(&out->insecure, false, reterr);
	if (r == 0)
		r = tidy(&out->mirrors, true, reterr);
	if (r == 0)
		r = check_exec_opts(out, reterr);
	return r < 0 ? r : settings_check_networks(out, reterr);
}

int settings_load(const char *file, json_t *flags, struct settings *out, struct err **reterr)
{
	_autojson_ json_t *document = NULL;
	const char *path = file ? file : SETTINGS_DEFAULT_FILE;
	*out = (struct settings){ 0 };
	int r = read_file(path, !file, &document, reterr);
	bool has_file = document;
	if (r == 0 && !document && !(document = json_object()))
		return err_oom(reterr);
	if (r == 0)
		r = add_flags(document, flags, reterr);
	if (r == 0)
		r = read_all(document, out, reterr);
	if (r == 0)
		return 0;
	settings_finish(out);
	return has_file || file ? err_wrap(reterr, r, "unable to configure the engine with file %s", path) : r;
}

void settings_finish(struct settings *settings)
{
	json_finish(&settings_table, settings);
}

/* --- GET /info --- */

static json_t *strings(char *const *list)
{
	json_t *array = json_array();
	strv_foreach (item, list)
		json_array_append_new(array, json_string(*item));
	return array;
}

static json_t *index_config(const char *name, json_t *mirrors, bool secure)
{
	return json_pack("{s:s, s:o, s:b, s:b}", "Name", name, "Mirrors", mirrors, "Secure", secure, "Official",
		strcmp(name, "docker.io") == 0);
}

json_t *settings_registry_config(const struct settings *settings)
{
	json_t *nets = json_array(), *indexes = json_object();
	strv_foreach (item, settings->insecure) {
		if (is_cidr(*item))
			json_array_append_new(nets, json_string(*item));
		else
			json_object_set_new(indexes, *item, index_config(*item, json_array(), false));
	}
	for (size_t i = 0; i < ARRAY_SIZE(loopback_nets); i++)
		json_array_append_new(nets, json_string(loopback_nets[i]));
	json_object_set_new(indexes, "docker.io", index_config("docker.io", strings(settings->mirrors), true));
	return json_pack("{s:o, s:o, s:o}", "IndexConfigs", indexes, "InsecureRegistryCIDRs", nets, "Mirrors",
		strings(settings->mirrors));
}
