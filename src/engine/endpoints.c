#include "engine/endpoints.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/links.h"
#include "engine/records.h"
#include "network/cni.h"
#include "network/sysctls.h"

#define MODE_DEFAULT   "default"
#define OPTION_IFNAME  "com.docker.network.endpoint.ifname"
#define OPTION_SYSCTLS "com.docker.network.endpoint.sysctls"
#define OPTION_PREFIX  "com.docker.network.container_iface_prefix"
#define HOST_PREFIX    "ve"
#define NO_ADDRESS     "user specified IP address is supported on user defined networks only"
/* Names of interfaces that are tried: more than LEASE_ENDPOINTS_MAX. */
#define INTERFACES_MAX 1000

static bool is_set(const char *text)
{
	return text && text[0];
}

static int set_text(char **member, const char *value)
{
	char *copy = value ? strdup(value) : NULL;
	if (value && !copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static void settings_free(void *settings)
{
	json_free(&endpoint_settings_table, settings);
}

const char *endpoints_main_network(const char *mode)
{
	static const char *const none[] = { "", "none", "host" };
	for (size_t i = 0; i < ARRAY_SIZE(none); i++) {
		if (strcmp(mode ? mode : "", none[i]) == 0)
			return NULL;
	}
	return strncmp(mode, "container:", 10) == 0 ? NULL : mode;
}

bool endpoints_are_live(const struct container *container)
{
	return container->starting || container_is_running(container) || container_is_restarting(container);
}

static struct record_leg *leg_of(const struct container_record *record, const char *network_id)
{
	for (size_t i = 0; i < record->leg_count; i++) {
		if (strcmp(record->legs[i].network_id, network_id) == 0)
			return &record->legs[i];
	}
	return NULL;
}

const struct record_leg *endpoints_leg(const struct container *container, const struct network *network)
{
	return leg_of(&container->record, network->info.id);
}

const struct endpoint_settings *endpoints_asked(const struct container *container, const struct network *network)
{
	const struct map *asked = container->record.networking.endpoints;
	return asked ? map_get(asked, network->info.name) : NULL;
}

/* --- a new container's request --- */

static int check_address(const struct network *network, const char *text, bool is_v6, struct err **reterr)
{
	struct inet_address address;
	if (!is_set(text))
		return 0;
	if (inet_parse(text, &address) < 0 || address.is_v6 != is_v6)
		return err_set(reterr, ERR_INVALID, 0, "invalid %s address: %s", is_v6 ? "IPv6" : "IPv4", text);
	if (network_is(network, NETWORK_CNI)) /* as its plugins have it */
		return 0;
	const struct network_family *family = network_family_of(network, &address);
	if (!family->on || !inet_subnet_has(&family->pool.subnet, &address))
		return err_set(reterr, ERR_INVALID, 0, "no configured subnet contains IP address %s", text);
	return 0;
}

static int check_link_local(char *const *addresses, struct err **reterr)
{
	strv_foreach (text, addresses) {
		struct inet_address address;
		if (inet_parse(*text, &address) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid link-local IP address: %s", *text);
	}
	return 0;
}

typedef int sysctl_fn(const char *key, const char *value, void *user);

/* "net.ipv4.conf.IFNAME.log_martians=1,...": non-zero from `fn` is what is returned. A setting without a value has NULL. */
static int each_sysctl(const struct endpoint_settings *settings, sysctl_fn *fn, void *user)
{
	const char *text = settings->driver_opts ? map_get(settings->driver_opts, OPTION_SYSCTLS) : NULL;
	if (!is_set(text))
		return 0;
	_autofree_(strv) char **all = strv_split(text, ',');
	int r = all ? 0 : -ENOMEM;
	strv_foreach (setting, all) {
		char *equals = strchr(*setting, '=');
		if (equals)
			*equals = '\0';
		r = r ?: fn(*setting, equals ? equals + 1 : NULL, user);
	}
	return r;
}

static int check_sysctl(const char *key, const char *value, void *user)
{
	return value && sysctls_check_option(key) == 0
		       ? 0
		       : err_set(user, ERR_INVALID, 0,
				 "invalid sysctl \"%s\" of an interface: expected net.ipv4.conf.IFNAME.NAME=VALUE, or the same of ipv6, neigh or mpls",
				 key);
}

static int check_options(const struct endpoint_settings *settings, struct err **reterr)
{
	const char *ifname = settings->driver_opts ? map_get(settings->driver_opts, OPTION_IFNAME) : NULL;
	uint8_t mac[INET_MAC_BYTES];
	if (is_set(ifname) && !lease_is_interface(ifname))
		return err_set(reterr, ERR_INVALID, 0, "invalid interface name: \"%s\"", ifname);
	if (is_set(settings->mac_address) && inet_parse_mac(settings->mac_address, mac) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid MAC address: %s", settings->mac_address);
	int r = each_sysctl(settings, check_sysctl, reterr);
	return r == -ENOMEM ? err_oom(reterr) : r;
}

static int check_settings(struct network *network, const struct endpoint_settings *settings, struct err **reterr)
{
	const struct endpoint_ipam *ipam = settings->ipam;
	bool wants_address = ipam && (is_set(ipam->ipv4_address) || is_set(ipam->ipv6_address));
	bool is_default = network->predefined;
	if (wants_address && is_default)
		return err_set(reterr, ERR_INVALID, 0, NO_ADDRESS);
	if (strv_count(settings->aliases) > 0 && is_default)
		return err_set(reterr, ERR_INVALID, 0,
			"network-scoped alias is supported only for containers in user defined networks");
	int r = check_options(settings, reterr);
	if (r < 0 || !ipam)
		return r;
	r = check_address(network, ipam->ipv4_address, false, reterr);
	if (r == 0)
		r = check_address(network, ipam->ipv6_address, true, reterr);
	return r < 0 ? r : check_link_local(ipam->link_local_ips, reterr);
}

int endpoints_check(struct network *network, const struct endpoint_settings *settings, struct err **reterr)
{
	int r = check_settings(network, settings, reterr);
	return r < 0 ? err_wrap(reterr, r, "invalid config for network %s: invalid endpoint settings",
			       network->info.name)
		     : 0;
}

/* What the user can't set is what we decide. */
static void clear_decided(struct endpoint_settings *settings)
{
	char **const texts[] = { &settings->network_id, &settings->endpoint_id, &settings->gateway,
		&settings->ip_address, &settings->ipv6_gateway, &settings->global_ipv6_address };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		free(*texts[i]);
		*texts[i] = NULL;
	}
	strv_free(settings->dns_names);
	settings->dns_names = NULL;
	settings->ip_prefix_len = settings->global_ipv6_prefix_len = 0;
}

/* Moves the value over to the network's own name. */
static int take_entry(struct engine *engine, struct map *into, const char *key, struct endpoint_settings *settings,
	struct err **reterr)
{
	struct network *network;
	const char *name = key;
	clear_decided(settings);
	int r = networks_find(engine->networks, key, &network, NULL);
	if (r == 0 && (network_is(network, "host") || network_is(network, "null")))
		r = err_set(reterr, ERR_INVALID, 0,
			"container cannot be connected to multiple networks with one of the networks in %s mode", key);
	else if (r == 0 && (r = network_settle(network, reterr)) == 0) {
		name = network->info.name;
		r = endpoints_check(network, settings, reterr);
	} else if (r == -ENOENT)
		r = 0; /* it may come */
	if (r == 0 && map_set(into, name, settings) < 0)
		r = err_oom(reterr);
	if (r < 0)
		settings_free(settings);
	return r;
}

static struct endpoint_settings *take_settings(struct map *asked, const char *key)
{
	struct endpoint_settings *settings = asked ? map_take(asked, key) : NULL;
	return settings ? settings : calloc(1, sizeof(*settings));
}

/* The main network first; what comes with the container's own settings is its. */
static int complete_main(struct engine *engine, struct container_record *record, const char *main, struct map *into,
	struct err **reterr)
{
	struct map *asked = record->networking.endpoints;
	struct network *network = NULL;
	networks_find(engine->networks, main, &network, NULL);
	const char *key = asked && !map_has(asked, main) && network && map_has(asked, network->info.name)
				  ? network->info.name
				  : main;
	struct endpoint_settings *settings = take_settings(asked, key);
	if (!settings || (!is_set(settings->mac_address) && is_set(record->config.mac_address) &&
				 set_text(&settings->mac_address, record->config.mac_address) < 0)) {
		settings_free(settings);
		return err_oom(reterr);
	}
	return take_entry(engine, into, main, settings, reterr);
}

/* Who names no network is on the default bridge, and what was asked for of it is that one's. */
static int complete_mode(struct container_record *record)
{
	struct map *asked = record->networking.endpoints;
	char **mode = &record->host.network_mode;
	if (is_set(*mode) && strcmp(*mode, MODE_DEFAULT) != 0)
		return 0;
	struct endpoint_settings *settings = asked ? map_take(asked, MODE_DEFAULT) : NULL;
	int r = set_text(mode, NETWORK_BRIDGE);
	if (r == 0 && settings && !map_has(asked, NETWORK_BRIDGE) &&
		(r = map_set(asked, NETWORK_BRIDGE, settings)) == 0)
		return 0;
	settings_free(settings);
	return r;
}

/* There nobody gives addresses. */
static int check_without_network(const struct container_record *record, struct err **reterr)
{
	const struct map *asked = record->networking.endpoints;
	const struct endpoint_settings *settings = asked ? map_get(asked, record->host.network_mode) : NULL;
	const struct endpoint_ipam *ipam = settings ? settings->ipam : NULL;
	if (ipam && (is_set(ipam->ipv4_address) || is_set(ipam->ipv6_address)))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid config for network %s: invalid endpoint settings: " NO_ADDRESS,
			record->host.network_mode);
	return 0;
}

int endpoints_complete(struct engine *engine, struct container_record *record, struct err **reterr)
{
	if (complete_mode(record) < 0)
		return err_oom(reterr);
	const char *main = endpoints_main_network(record->host.network_mode);
	_autofree_(map) struct map *into = map_new(settings_free);
	struct map *asked = record->networking.endpoints;
	struct map_entry *entry;
	if (!into)
		return err_oom(reterr);
	int r = links_check(engine, record, reterr);
	if (r == 0)
		r = main ? complete_main(engine, record, main, into, reterr) : check_without_network(record, reterr);
	for (size_t cursor = 0; r == 0 && main && asked && (entry = map_next(asked, &cursor));) {
		_cleanup_free_ char *key = strdup(entry->key);
		struct endpoint_settings *settings = take_settings(asked, entry->key);
		r = key && settings ? take_entry(engine, into, key, settings, reterr) : err_oom(reterr);
	}
	if (r < 0)
		return r;
	json_finish(&networking_config_table, &record->networking);
	record->networking.endpoints = TAKE(into);
	return 0;
}

/* --- choosing --- */

struct taken {
	struct inet_address *addresses;
	size_t count;
};

static int add_taken(struct taken *taken, const struct inet_address *address)
{
	struct inet_address *grown = reallocarray(taken->addresses, taken->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	taken->addresses = grown;
	taken->addresses[taken->count++] = *address;
	return 0;
}

static int add_taken_text(struct taken *taken, const char *text)
{
	struct inet_address address;
	return is_set(text) && inet_parse(text, &address) == 0 ? add_taken(taken, &address) : 0;
}

/* `with_idle`: those of containers that do not run, too, for a choice that disturbs nobody. */
static int gather_taken(const struct network *network, bool is_v6, const struct container *except, bool with_idle,
	struct taken *taken)
{
	const struct network_family *family = network_family(network, is_v6);
	struct container *container;
	int r = 0;
	for (; r == 0 && family; family = family->next) {
		r = family->has_gateway ? add_taken(taken, &family->gateway) : 0;
		for (size_t i = 0; r == 0 && i < family->reserved_count; i++)
			r = add_taken(taken, &family->reserved[i]);
	}
	for (size_t cursor = 0; r == 0 && (container = containers_next(network->engine->containers, &cursor));) {
		const struct record_leg *leg = endpoints_leg(container, network);
		if (leg && container != except && (with_idle || endpoints_are_live(container)))
			r = add_taken_text(taken, is_v6 ? leg->ipv6 : leg->ipv4);
	}
	return r;
}

static bool is_taken(const struct taken *taken, const struct inet_address *address)
{
	for (size_t i = 0; i < taken->count; i++) {
		if (inet_equal(&taken->addresses[i], address))
			return true;
	}
	return false;
}

/* Of the first subnet that has one. */
static int choose_among(const struct network *network, bool is_v6, const struct taken *taken, struct inet_address *ret)
{
	int r = -ENOSPC;
	for (const struct network_family *family = network_family(network, is_v6); r == -ENOSPC && family;
		family = family->next)
		r = ipam_choose_address(&family->pool, taken->addresses, taken->count, ret);
	return r;
}

static int choose_free(const struct network *network, bool is_v6, const struct container *except,
	const struct taken *live, struct inet_address *ret, struct err **reterr)
{
	struct taken all = { 0 };
	int r = gather_taken(network, is_v6, except, true, &all);
	if (r == 0)
		r = choose_among(network, is_v6, &all, ret);
	free(all.addresses);
	if (r == -ENOSPC)
		r = choose_among(network, is_v6, live, ret);
	if (r == -ENOSPC)
		return err_set(reterr, ERR_UNAVAILABLE, ENOSPC,
			"no available %s addresses on this network's address pools: %s (%s)", is_v6 ? "IPv6" : "IPv4",
			network->info.name, network->info.id);
	return r < 0 ? err_oom(reterr) : 0;
}

/* A wish is kept or refused; what it had before is kept if it can be. */
static int choose_address(const struct network *network, bool is_v6, const struct container *except, const char *wish,
	char **member, bool *changed, struct err **reterr)
{
	const struct network_family *family = network_family(network, is_v6);
	struct taken live = { 0 };
	struct inet_address address;
	char text[INET_TEXT_SIZE];
	if (!family->on) {
		*changed = *changed || *member;
		return set_text(member, NULL);
	}
	int r = gather_taken(network, is_v6, except, false, &live) < 0 ? err_oom(reterr) : 0;
	const char *wanted = is_set(wish) ? wish : *member;
	bool usable = r == 0 && is_set(wanted) && inet_parse(wanted, &address) == 0 &&
		      ipam_is_host(&network_family_of(network, &address)->pool.subnet, &address) &&
		      !is_taken(&live, &address);
	if (r == 0 && !usable && is_set(wish))
		r = err_set(reterr, ERR_FORBIDDEN, EADDRINUSE, "Address already in use");
	if (r == 0 && !usable)
		r = choose_free(network, is_v6, except, &live, &address, reterr);
	free(live.addresses);
	if (r < 0)
		return r;
	inet_print(&address, text);
	if (*member && strcmp(*member, text) == 0)
		return 0;
	*changed = true;
	return set_text(member, text) < 0 ? err_oom(reterr) : 0;
}

static bool has_interface(const struct container_record *record, const char *name, const struct record_leg *except)
{
	for (size_t i = 0; i < record->leg_count; i++) {
		if (&record->legs[i] != except && strcmp(record->legs[i].interface, name) == 0)
			return true;
	}
	return false;
}

static int choose_interface(const struct container_record *record, const struct network *network,
	const struct endpoint_settings *asked, const struct record_leg *except, char **ret, struct err **reterr)
{
	const char *own = asked->driver_opts ? map_get(asked->driver_opts, OPTION_IFNAME) : NULL;
	const char *prefix = network_option(network, OPTION_PREFIX);
	char name[LEASE_INTERFACE_SIZE];
	if (is_set(own)) {
		if (has_interface(record, own, except))
			return err_set(reterr, ERR_CONFLICT, 0, "the interface name %s is used for two networks", own);
		return set_text(ret, own) < 0 ? err_oom(reterr) : 0;
	}
	for (int i = 0; i < INTERFACES_MAX; i++) {
		snprintf(name, sizeof(name), "%.10s%d", is_set(prefix) ? prefix : "eth", i);
		if (!has_interface(record, name, except))
			return set_text(ret, name) < 0 ? err_oom(reterr) : 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "the container is on too many networks");
}

static int add_leg(struct container_record *record, const struct network *network,
	const struct endpoint_settings *asked, struct record_leg **ret, struct err **reterr)
{
	char id[NETWORK_ID_SIZE];
	struct record_leg leg = { 0 };
	struct record_leg *grown = reallocarray(record->legs, record->leg_count + 1, sizeof(*grown));
	if (!grown)
		return err_oom(reterr);
	record->legs = grown;
	io_random_hex(id, (NETWORK_ID_SIZE - 1) / 2);
	int r = choose_interface(record, network, asked, NULL, &leg.interface, reterr);
	if (r == 0 && (set_text(&leg.network_id, network->info.id) < 0 || set_text(&leg.endpoint_id, id) < 0))
		r = err_oom(reterr);
	if (r < 0) {
		free(leg.interface);
		free(leg.network_id);
		return r;
	}
	record->legs[record->leg_count] = leg;
	*ret = &record->legs[record->leg_count++];
	return 0;
}

static void drop_leg(struct container_record *record, size_t i)
{
	struct record_leg *leg = &record->legs[i];
	char *const texts[] = { leg->network_id, leg->endpoint_id, leg->interface, leg->ipv4, leg->ipv6 };
	for (size_t text = 0; text < ARRAY_SIZE(texts); text++)
		free(texts[text]);
	memmove(leg, leg + 1, (record->leg_count - i - 1) * sizeof(*leg));
	record->leg_count--;
}

/* Legs on networks that are not asked for any more, or not there. */
static void drop_others(struct engine *engine, struct container_record *record, bool *changed)
{
	for (size_t i = record->leg_count; i-- > 0;) {
		struct network *network = networks_by_id(engine->networks, record->legs[i].network_id);
		if (network && record->networking.endpoints &&
			map_has(record->networking.endpoints, network->info.name))
			continue;
		drop_leg(record, i);
		*changed = true;
	}
}

static int choose_leg(struct network *network, struct container_record *record, const struct container *except,
	const struct endpoint_settings *asked, bool *changed, struct err **reterr)
{
	struct record_leg *leg = leg_of(record, network->info.id);
	const struct endpoint_ipam *ipam = asked->ipam;
	int r = network_settle(network, reterr);
	if (r == 0 && !leg) {
		r = add_leg(record, network, asked, &leg, reterr);
		*changed = true;
	}
	if (r == 0)
		r = choose_address(network, false, except, ipam ? ipam->ipv4_address : NULL, &leg->ipv4, changed,
			reterr);
	if (r == 0)
		r = choose_address(network, true, except, ipam ? ipam->ipv6_address : NULL, &leg->ipv6, changed,
			reterr);
	return r;
}

int endpoints_choose(struct engine *engine, struct container_record *record, const struct container *except,
	bool *ret_changed, struct err **reterr)
{
	struct map_entry *entry;
	struct network *network;
	*ret_changed = false;
	drop_others(engine, record, ret_changed);
	int r = 0;
	for (size_t cursor = 0;
		r == 0 && record->networking.endpoints && (entry = map_next(record->networking.endpoints, &cursor));) {
		r = networks_find(engine->networks, entry->key, &network, reterr);
		if (r == 0)
			r = choose_leg(network, record, except, entry->value, ret_changed, reterr);
	}
	return r < 0 ? err_wrap(reterr, r, "failed to set up container networking") : 0;
}

/* --- the lease --- */

void endpoints_mac(const struct container *container, const struct network *network, const struct record_leg *leg,
	char out[INET_MAC_SIZE])
{
	const struct endpoint_settings *asked = endpoints_asked(container, network);
	uint8_t mac[INET_MAC_BYTES];
	if (!asked || !is_set(asked->mac_address) || inet_parse_mac(asked->mac_address, mac) < 0)
		lease_derive_mac(leg->ipv4, leg->ipv6, mac);
	inet_print_mac(mac, out);
}

static int fill_address(const struct network *network, bool is_v6, const char *own, struct lease_address *lease)
{
	const struct network_family *family = network_family_of_text(network, is_v6, own);
	char gateway[INET_TEXT_SIZE];
	if (!is_set(own))
		return 0;
	lease->prefix = family->pool.subnet.prefix;
	int r = set_text(&lease->address, own);
	if (r < 0 || !family->has_gateway || network->info.internal)
		return r;
	inet_print(&family->way_out, gateway);
	return set_text(&lease->gateway, gateway);
}

int endpoints_names(const struct container *container, const struct endpoint_settings *asked, char ***ret)
{
	int r = strv_append(ret, container->name);
	strv_foreach (alias, asked->aliases) {
		if (r == 0 && !strv_has(*ret, *alias))
			r = strv_append(ret, *alias);
	}
	if (r == 0)
		r = strv_appendf(ret, "%.*s", CONTAINER_ID_SHORT, container->id);
	const char *hostname = container->record.config.hostname;
	if (r == 0 && is_set(hostname) && !strv_has(*ret, hostname))
		r = strv_append(ret, hostname);
	return r;
}

static int fill_link_local(const struct endpoint_settings *asked, char ***ret)
{
	int r = 0;
	strv_foreach (text, asked->ipam ? asked->ipam->link_local_ips : NULL) {
		if (r == 0)
			r = strv_appendf(ret, "%s/%d", *text, strchr(*text, ':') ? 64 : 16);
	}
	return r;
}

static int put_sysctl(const char *key, const char *value, void *into)
{
	char *copy = strdup(value ? value : "");
	int r = copy ? map_set(into, key, copy) : -ENOMEM;
	if (r < 0)
		free(copy);
	return r;
}

static int fill_sysctls(const struct endpoint_settings *asked, struct map **ret)
{
	if (!asked->driver_opts || !is_set(map_get(asked->driver_opts, OPTION_SYSCTLS)))
		return 0;
	*ret = map_new(free);
	return *ret ? each_sysctl(asked, put_sysctl, *ret) : -ENOMEM;
}

static int fill_numbers(const struct network *network, struct lease_endpoint *lease)
{
	const char *mtu = network_option(network, "com.docker.network.driver.mtu");
	uint64_t value = 0;
	if (mtu && parse_u64(mtu, UINT16_MAX, &value) == 0)
		lease->mtu = (int64_t)value;
	lease->internal = network->info.internal;
	lease->resolves = !network->predefined;
	lease->isolated = network_is(network, "bridge") &&
			  !network_truth(network, "com.docker.network.bridge.enable_icc", true);
	return 0;
}

static int fill_link(const struct container *container, const struct network *network, const struct record_leg *leg,
	struct lease_endpoint *lease)
{
	bool is_macvlan = network_is(network, "macvlan");
	const char *asked_mode = network_option(network, is_macvlan ? "macvlan_mode" : "ipvlan_mode");
	/* Docker's, which are not the kernel's. */
	const char *mode = is_set(asked_mode) ? asked_mode : is_macvlan ? "bridge" : "l2";
	char mac[INET_MAC_SIZE], host[LEASE_INTERFACE_SIZE];
	const struct endpoint_settings *asked = endpoints_asked(container, network);
	bool has_no_mac = network_is(network, "ipvlan") ||
			  (network_is(network, NETWORK_CNI) && !(asked && is_set(asked->mac_address)));
	endpoints_mac(container, network, leg, mac);
	snprintf(host, sizeof(host), HOST_PREFIX "%.7s", leg->endpoint_id);
	const struct {
		char **member;
		const char *value;
	} texts[] = { { &lease->network_id, network->info.id }, { &lease->network, network->info.name },
		{ &lease->endpoint_id, leg->endpoint_id }, { &lease->driver, network->info.driver },
		{ &lease->parent, network_interface(network) }, { &lease->interface, leg->interface },
		{ &lease->mac, has_no_mac ? NULL : mac },
		{ &lease->host_interface, network_is(network, "bridge") ? host : NULL },
		{ &lease->mode, is_macvlan || network_is(network, "ipvlan") ? mode : NULL },
		{ &lease->flag, network_is(network, "ipvlan") ? network_option(network, "ipvlan_flag") : NULL } };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
		r = set_text(texts[i].member, texts[i].value);
	return r;
}

static int fill_cni(const struct network *network, const struct endpoint_settings *asked, struct lease_cni *cni)
{
	const struct endpoint_ipam *ipam = asked->ipam;
	uint64_t timeout_s = NETWORK_CNI_TIMEOUT_S;
	const char *timeout = network_option(network, "timeout"), *path = network_option(network, "path");
	if (timeout)
		parse_u64(timeout, LEASE_CNI_TIMEOUT_MAX_S, &timeout_s);
	cni->timeout_s = (int64_t)timeout_s;
	int r = set_text(&cni->conf, network_option(network, "conf"));
	if (r == 0)
		r = set_text(&cni->path, is_set(path) ? path : NETWORK_CNI_PATH);
	if (r == 0 && ipam && is_set(ipam->ipv4_address))
		r = strv_append(&cni->ips, ipam->ipv4_address);
	if (r == 0 && ipam && is_set(ipam->ipv6_address))
		r = strv_append(&cni->ips, ipam->ipv6_address);
	return r;
}

static int fill_lease(const struct container *container, const struct network *network,
	const struct endpoint_settings *asked, struct lease_endpoint *lease)
{
	const struct record_leg *leg = endpoints_leg(container, network);
	int r = leg ? fill_link(container, network, leg, lease) : 0;
	if (r < 0 || !leg)
		return r;
	r = fill_address(network, false, leg->ipv4, &lease->ipv4);
	if (r == 0)
		r = fill_address(network, true, leg->ipv6, &lease->ipv6);
	if (r == 0)
		r = endpoints_names(container, asked, &lease->names);
	if (r == 0 && !network->predefined)
		r = links_aliases(container, asked->links, &lease->links);
	if (r == 0)
		r = fill_link_local(asked, &lease->link_local);
	if (r == 0)
		r = fill_sysctls(asked, &lease->sysctls);
	if (r == 0 && network_is(network, NETWORK_CNI))
		r = fill_cni(network, asked, &lease->cni);
	return r < 0 ? r : fill_numbers(network, lease);
}

/* Whether `a` is rather the way out than `b`: by priority, then those of both families, then by name. */
static bool goes_before(const struct container *container, const struct lease_endpoint *a,
	const struct lease_endpoint *b)
{
	const struct map *asked = container->record.networking.endpoints;
	const struct endpoint_settings *own = map_get(asked, a->network), *other = map_get(asked, b->network);
	if (own->gw_priority != other->gw_priority)
		return own->gw_priority > other->gw_priority;
	bool own_both = a->ipv4.gateway && a->ipv6.gateway, other_both = b->ipv4.gateway && b->ipv6.gateway;
	if (own_both != other_both)
		return own_both;
	return strcmp(a->network, b->network) < 0;
}

/* Without a gateway only IPVLAN's layer 3 leads anywhere. */
static bool leads_out(const struct lease_endpoint *lease, bool is_v6)
{
	const struct lease_address *address = is_v6 ? &lease->ipv6 : &lease->ipv4;
	bool on_link = strcmp(lease->driver, "ipvlan") == 0 && lease->mode && strncmp(lease->mode, "l3", 2) == 0;
	return address->address && !lease->internal && (address->gateway || on_link);
}

static void choose_default(const struct container *container, struct launch_network *network, bool is_v6)
{
	struct lease_endpoint *best = NULL;
	/* Plugins set what routes they like. */
	if (cni_wants(network->endpoints, network->endpoint_count))
		return;
	for (size_t i = 0; i < network->endpoint_count; i++) {
		struct lease_endpoint *lease = &network->endpoints[i];
		if (leads_out(lease, is_v6) && (!best || goes_before(container, lease, best)))
			best = lease;
	}
	if (best)
		(is_v6 ? &best->ipv6 : &best->ipv4)->is_default = true;
}

int endpoints_launch(const struct container *container, struct launch *launch, struct err **reterr)
{
	const struct map *asked = container->record.networking.endpoints;
	struct launch_network *into = &launch->network;
	struct map_entry *entry;
	struct network *network;
	size_t count = asked ? map_count(asked) : 0;
	if (count > LEASE_ENDPOINTS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "a container is on at most %d networks", LEASE_ENDPOINTS_MAX);
	into->endpoints = count ? calloc(count, sizeof(*into->endpoints)) : NULL;
	if (count && !into->endpoints)
		return err_oom(reterr);
	for (size_t cursor = 0; asked && (entry = map_next(asked, &cursor));) {
		int r = networks_find(container->engine->networks, entry->key, &network, reterr);
		if (r < 0)
			return r;
		if (!endpoints_leg(container, network))
			return err_set(reterr, ERR_CONFLICT, 0, "the container has no place on network %s yet",
				entry->key);
		if (fill_lease(container, network, entry->value, &into->endpoints[into->endpoint_count++]) < 0)
			return err_oom(reterr);
	}
	choose_default(container, into, false);
	choose_default(container, into, true);
	return 0;
}

/* --- names in /etc/hosts --- */

static int add_gateway_of(const struct network_family *family, const char *name, size_t len, char ***ret)
{
	char text[INET_TEXT_SIZE];
	if (!family->has_gateway)
		return 0;
	inet_print(&family->gateway, text);
	return strv_appendf(ret, "%.*s:%s", (int)len, name, text);
}

/* As the settings have it, else the default bridge's own addresses. */
static int add_gateway_host(const struct container *container, const char *name, size_t len, char ***ret)
{
	char *const *given = container->engine->settings.host_gateway_ips;
	struct network *bridge;
	int r = 0;
	strv_foreach (address, given) {
		if (r == 0)
			r = strv_appendf(ret, "%.*s:%s", (int)len, name, *address);
	}
	if (strv_count(given) > 0 || networks_find(container->engine->networks, NETWORK_BRIDGE, &bridge, NULL) < 0 ||
		network_settle(bridge, NULL) < 0)
		return r;
	r = add_gateway_of(&bridge->ipv4, name, len, ret);
	return r < 0 ? r : add_gateway_of(&bridge->ipv6, name, len, ret);
}

int endpoints_extra_hosts(const struct container *container, char ***ret)
{
	int r = 0;
	strv_foreach (line, container->record.host.extra_hosts) {
		const char *colon = strchr(*line, ':');
		if (r == 0 && colon && strcmp(colon + 1, "host-gateway") == 0)
			r = add_gateway_host(container, *line, (size_t)(colon - *line), ret);
		else if (r == 0)
			r = strv_append(ret, *line);
	}
	return r < 0 ? r : links_hosts(container, ret);
}

/* --- documents --- */

static int describe_family(const struct network *network, bool is_v6, const char *own, char **address, int64_t *prefix,
	char **gateway)
{
	const struct network_family *family = network_family_of_text(network, is_v6, own);
	char text[INET_TEXT_SIZE];
	if (!is_set(own))
		return 0;
	*prefix = family->pool.subnet.prefix;
	int r = set_text(address, own);
	if (r < 0 || !family->has_gateway || network->info.internal)
		return r;
	inet_print(&family->way_out, text);
	return set_text(gateway, text);
}

const struct run_place *endpoints_place(const struct container *container, const struct network *network)
{
	const struct runstate *state = &container->state;
	for (size_t i = 0; i < state->place_count; i++) {
		if (strcmp(state->places[i].network_id, network->info.id) == 0)
			return &state->places[i];
	}
	return NULL;
}

static int describe_place_family(const struct lease_address *own, char **address, int64_t *prefix, char **gateway)
{
	if (!is_set(own->address))
		return 0;
	*prefix = own->prefix;
	int r = set_text(address, own->address);
	return r < 0 ? r : set_text(gateway, own->gateway);
}

static int describe_place(const struct run_place *place, struct endpoint_settings *settings)
{
	int r = set_text(&settings->mac_address, place->mac);
	if (r == 0)
		r = describe_place_family(&place->ipv4, &settings->ip_address, &settings->ip_prefix_len,
			&settings->gateway);
	return r < 0 ? r
		     : describe_place_family(&place->ipv6, &settings->global_ipv6_address,
			       &settings->global_ipv6_prefix_len, &settings->ipv6_gateway);
}

static int describe_leg(const struct container *container, const struct network *network, const struct record_leg *leg,
	struct endpoint_settings *settings)
{
	char mac[INET_MAC_SIZE];
	endpoints_mac(container, network, leg, mac);
	const struct run_place *place = endpoints_place(container, network);
	int r = set_text(&settings->endpoint_id, leg->endpoint_id);
	if (r < 0 || network_is(network, NETWORK_CNI))
		return r < 0 || !place ? r : describe_place(place, settings);
	if (r == 0)
		r = set_text(&settings->mac_address, mac);
	if (r == 0)
		r = describe_family(network, false, leg->ipv4, &settings->ip_address, &settings->ip_prefix_len,
			&settings->gateway);
	if (r == 0)
		r = describe_family(network, true, leg->ipv6, &settings->global_ipv6_address,
			&settings->global_ipv6_prefix_len, &settings->ipv6_gateway);
	return r;
}

static int describe(const struct container *container, const char *name, struct endpoint_settings *settings)
{
	struct network *network;
	if (networks_find(container->engine->networks, name, &network, NULL) < 0)
		return 0;
	const struct record_leg *leg = endpoints_leg(container, network);
	int r = leg ? set_text(&settings->network_id, network->info.id) : 0;
	if (r == 0 && leg && endpoints_are_live(container))
		r = describe_leg(container, network, leg, settings);
	if (r == 0 && !network->predefined)
		r = endpoints_names(container, settings, &settings->dns_names);
	return r;
}

/* host and none are networks too, of which there is nothing to say. */
static int describe_plain(const struct container *container, struct map *into)
{
	const char *mode = container->record.host.network_mode;
	struct network *network;
	if (endpoints_main_network(mode) || !mode || strncmp(mode, "container:", 10) == 0)
		return 0;
	struct endpoint_settings *settings = calloc(1, sizeof(*settings));
	int r = settings ? 0 : -ENOMEM;
	if (r == 0 && networks_find(container->engine->networks, mode, &network, NULL) == 0)
		r = set_text(&settings->network_id, network->info.id);
	if (r == 0)
		r = map_set(into, mode, settings);
	if (r < 0)
		settings_free(settings);
	return r;
}

struct map *endpoints_describe(const struct container *container)
{
	const struct map *asked = container->record.networking.endpoints;
	_autofree_(map) struct map *into = map_new(settings_free);
	struct map_entry *entry;
	int r = into ? describe_plain(container, into) : -ENOMEM;
	for (size_t cursor = 0; r == 0 && asked && (entry = map_next(asked, &cursor));) {
		struct endpoint_settings *settings = calloc(1, sizeof(*settings));
		r = settings ? json_clone(&endpoint_settings_table, entry->value, settings) : -ENOMEM;
		if (r == 0)
			r = describe(container, entry->key, settings);
		if (r == 0)
			r = map_set(into, entry->key, settings);
		if (r < 0)
			settings_free(settings);
	}
	return r < 0 ? NULL : TAKE(into);
}
