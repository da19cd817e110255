#include "engine/networks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/container.h"
#include "engine/endpoints.h"
#include "engine/events.h"
#include "engine/network_check.h"
#include "engine/network_default.h"
#include "engine/network_make.h"
#include "engine/network_names.h"
#include "engine/network_sweep.h"
#include "engine/records.h"
#include "engine/times.h"
#include "spec/lease.h"
#include "sys/links.h"

#define RESOLV_MAX (64 * 1024)

struct networks {
	struct engine *engine;
	struct map *by_id; /* of struct network */
};

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

static void finish_family(struct network_family *family)
{
	struct network_family *next = family->next;
	free(family->reserved);
	*family = (struct network_family){ 0 };
	while ((family = next)) {
		next = family->next;
		free(family->reserved);
		free(family);
	}
}

static void network_free(void *data)
{
	struct network *network = data;
	if (!network)
		return;
	network_forget(network);
	finish_family(&network->ipv4);
	finish_family(&network->ipv6);
	json_finish(&network_info_table, &network->info);
	free(network);
}
DEFINE_AUTOFREE(network, struct network *, network_free);

/* --- facts --- */

bool network_is(const struct network *network, const char *driver)
{
	return strcmp(network->info.driver, driver) == 0;
}

const char *network_option(const struct network *network, const char *key)
{
	return network->info.options ? map_get(network->info.options, key) : NULL;
}

bool network_truth(const struct network *network, const char *key, bool otherwise)
{
	const char *text = network_option(network, key);
	bool value;
	return text && parse_bool(text, &value) == 0 ? value : otherwise;
}

void network_dummy_name(const struct network_info *info, char out[LEASE_INTERFACE_SIZE])
{
	snprintf(out, LEASE_INTERFACE_SIZE, "dm-%.12s", info->id);
}

const char *network_interface(const struct network *network)
{
	const char *name = network_option(network,
		network_is(network, "bridge") ? NETWORK_OPTION_BRIDGE_NAME : "parent");
	return name ? name : "";
}

/* --- what its row says, as numbers --- */

static int read_reserved(const struct network_ipam_pool *config, struct network_family *family)
{
	struct map_entry *entry;
	size_t count = config->aux_addresses ? map_count(config->aux_addresses) : 0;
	if (count == 0)
		return 0;
	family->reserved = calloc(count, sizeof(*family->reserved));
	if (!family->reserved)
		return -ENOMEM;
	map_foreach (entry, config->aux_addresses) {
		if (inet_parse(entry->value, &family->reserved[family->reserved_count]) == 0)
			family->reserved_count++;
	}
	return 0;
}

static int read_pool(const struct network_ipam_pool *config, const struct inet_subnet *subnet,
	struct network_family *family)
{
	family->on = true;
	family->pool.subnet = family->pool.range = *subnet;
	if (is_set(config->ip_range))
		inet_parse_subnet(config->ip_range, &family->pool.range);
	family->has_gateway = is_set(config->gateway) && inet_parse(config->gateway, &family->gateway) == 0;
	const char *way_out = config->aux_addresses
				      ? map_get(config->aux_addresses, NETWORK_WAY_OUT(subnet->address.is_v6))
				      : NULL;
	family->way_out = family->gateway;
	if (way_out && family->has_gateway)
		inet_parse(way_out, &family->way_out);
	return read_reserved(config, family);
}

static int read_families(struct network *network)
{
	const struct network_ipam *ipam = &network->info.ipam;
	struct inet_subnet subnet;
	int r = 0;
	for (size_t i = 0; r == 0 && i < ipam->config_count; i++) {
		if (!is_set(ipam->config[i].subnet) || inet_parse_subnet(ipam->config[i].subnet, &subnet) < 0)
			continue;
		struct network_family *family = subnet.address.is_v6 ? &network->ipv6 : &network->ipv4;
		while (family->next)
			family = family->next;
		if (family->on && !(family = family->next = calloc(1, sizeof(*family))))
			return -ENOMEM;
		r = read_pool(&ipam->config[i], &subnet, family);
	}
	return r;
}

const struct network_family *network_family_of(const struct network *network, const struct inet_address *address)
{
	const struct network_family *first = network_family(network, address->is_v6), *family = first;
	while (family && !(family->on && inet_subnet_has(&family->pool.subnet, address)))
		family = family->next;
	return family ? family : first;
}

const struct network_family *network_family_of_text(const struct network *network, bool is_v6, const char *address)
{
	struct inet_address parsed;
	return is_set(address) && inet_parse(address, &parsed) == 0 ? network_family_of(network, &parsed)
								    : network_family(network, is_v6);
}

/* --- subnets of the host --- */

struct gathering {
	struct inet_subnet *subnets;
	size_t count, room;
	int error;
};

static int gather(struct gathering *all, const struct inet_subnet *subnet)
{
	if (all->count == all->room) {
		size_t room = all->room ? all->room * 2 : 32;
		struct inet_subnet *grown = reallocarray(all->subnets, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		all->subnets = grown;
		all->room = room;
	}
	all->subnets[all->count++] = *subnet;
	return 0;
}

static int gather_route(const struct inet_subnet *to, const struct inet_address *gateway, int index, void *user)
{
	(void)gateway;
	(void)index;
	return gather(user, to);
}

static int gather_address(int index, const struct inet_subnet *address, void *user)
{
	(void)index;
	return gather(user, address);
}

/* A resolver that is reached by the default route is in no other. */
static int gather_resolvers(struct gathering *all)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RESOLV_MAX);
	_autoclose_ int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char *save = NULL, address_text[INET_TEXT_SIZE];
	if (fd < 0 || io_read_all(fd, &text) < 0 || !text.data)
		return 0;
	for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		struct inet_subnet host;
		if (sscanf(line, " nameserver %45s", address_text) != 1 || inet_parse(address_text, &host.address) < 0)
			continue;
		host.prefix = inet_bits(&host.address);
		int r = gather(all, &host);
		if (r < 0)
			return r;
	}
	return 0;
}

static int gather_family(const struct network_family *family, struct gathering *all)
{
	int r = 0;
	for (; r == 0 && family && family->on; family = family->next)
		r = gather(all, &family->pool.subnet);
	return r;
}

static int gather_networks(struct networks *networks, struct gathering *all)
{
	struct network *network;
	int r = 0;
	for (size_t cursor = 0; r == 0 && (network = networks_next(networks, &cursor));) {
		r = gather_family(&network->ipv4, all);
		if (r == 0)
			r = gather_family(&network->ipv6, all);
	}
	return r;
}

static int gather_host(struct gathering *all)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0)
		r = routes_each(&netlink, gather_route, all);
	if (r == 0)
		r = addresses_each(&netlink, gather_address, all);
	return r < 0 ? r : gather_resolvers(all);
}

static int choose_subnet(struct networks *networks, bool is_v6, struct inet_subnet *ret, struct err **reterr)
{
	struct gathering all = { 0 };
	int r = gather_networks(networks, &all);
	if (r == 0)
		r = gather_host(&all);
	if (r < 0) {
		free(all.subnets);
		return err_errno(reterr, r, "cannot look at the host's routes");
	}
	struct ipam_supply given[SETTINGS_POOLS_MAX];
	const struct ipam_supply local = ipam_local_supply(networks->engine->id);
	size_t count = settings_supplies(&networks->engine->settings, is_v6, given);
	if (count > 0)
		r = ipam_choose_subnet(given, count, all.subnets, all.count, ret);
	else if (is_v6)
		r = ipam_choose_subnet(&local, 1, all.subnets, all.count, ret);
	else
		r = ipam_choose_subnet(ipam_default_supplies, IPAM_DEFAULT_SUPPLIES, all.subnets, all.count, ret);
	free(all.subnets);
	return r < 0 ? err_set(reterr, ERR_INVALID, ENOSPC, "all predefined address pools have been fully subnetted")
		     : 0;
}

/* --- what a network still lacks --- */

static int add_pool(struct network_ipam *ipam, const struct inet_subnet *subnet)
{
	char text[INET_SUBNET_SIZE];
	struct network_ipam_pool *grown = reallocarray(ipam->config, ipam->config_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ipam->config = grown;
	ipam->config[ipam->config_count] = (struct network_ipam_pool){ 0 };
	inet_print_subnet(subnet, text);
	int r = set_text(&ipam->config[ipam->config_count].subnet, text);
	if (r == 0)
		ipam->config_count++;
	return r;
}

/* The first address that a container could have, if it has none of its own: of IPVLAN in layer 3 there is none. */
static int add_gateway(struct network_ipam_pool *config)
{
	struct ipam_pool pool;
	struct inet_address first;
	char text[INET_TEXT_SIZE];
	if (is_set(config->gateway) || inet_parse_subnet(config->subnet, &pool.subnet) < 0 ||
		inet_parse_subnet(is_set(config->ip_range) ? config->ip_range : config->subnet, &pool.range) < 0 ||
		ipam_choose_address(&pool, NULL, 0, &first) < 0)
		return 0;
	inet_print(&first, text);
	return set_text(&config->gateway, text);
}

static int settle_family(struct networks *networks, struct network_info *info, bool is_v6, struct err **reterr)
{
	struct inet_subnet subnet;
	if (!(is_v6 ? info->enable_ipv6 : info->enable_ipv4) || network_pool_of(&info->ipam, is_v6))
		return 0;
	int r = choose_subnet(networks, is_v6, &subnet, reterr);
	if (r < 0)
		return r;
	return add_pool(&info->ipam, &subnet) < 0 ? err_oom(reterr) : 0;
}

static int settle_gateways(struct network_info *info)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < info->ipam.config_count; i++)
		r = add_gateway(&info->ipam.config[i]);
	return r;
}

static int settle_info(struct networks *networks, struct network_info *info, struct err **reterr)
{
	if (strcmp(info->driver, NETWORK_CNI) == 0)
		return 0;
	int r = settle_family(networks, info, false, reterr);
	if (r == 0)
		r = settle_family(networks, info, true, reterr);
	if (r < 0)
		return r;
	return settle_gateways(info) < 0 ? err_oom(reterr) : 0;
}

int network_settle(struct network *network, struct err **reterr)
{
	struct engine *engine = network->engine;
	struct network_info info;
	bool lacks = (network->info.enable_ipv4 && !network->ipv4.on) ||
		     (network->info.enable_ipv6 && !network->ipv6.on);
	if (!network_is(network, "bridge") || !lacks)
		return 0;
	if (json_clone(&network_info_table, &network->info, &info) < 0)
		return err_oom(reterr);
	int r = settle_info(engine->networks, &info, reterr);
	if (r == 0)
		r = network_replace_info(network, &info, reterr);
	json_finish(&network_info_table, &info);
	return r;
}

int network_replace_info(struct network *network, struct network_info *info, struct err **reterr)
{
	int r = records_put_network(network->engine->records, info->id, info, reterr);
	if (r < 0)
		return r;
	const struct network_info before = network->info;
	network->info = *info;
	*info = before;
	finish_family(&network->ipv4);
	finish_family(&network->ipv6);
	return read_families(network) < 0 ? err_oom(reterr) : 0;
}

/* --- the registry --- */

/* Takes the contents of `info`. */
static int add(struct networks *networks, struct network_info *info, struct network **ret, struct err **reterr)
{
	_autofree_(network) struct network *network = calloc(1, sizeof(*network));
	if (!network)
		return err_oom(reterr);
	network->engine = networks->engine;
	network->info = *info;
	*info = (struct network_info){ 0 };
	const char *name = network->info.name;
	network->predefined = strcmp(name, "bridge") == 0 || strcmp(name, "host") == 0 || strcmp(name, "none") == 0;
	if (read_families(network) < 0 || map_set(networks->by_id, network->info.id, network) < 0)
		return err_oom(reterr);
	if (ret)
		*ret = network;
	network = NULL;
	return 0;
}

static int load_row(const char *id, const char *document, void *user, struct err **reterr)
{
	struct networks *networks = user;
	struct network_info info = { 0 };
	_autofree_(err) struct err *damage = NULL;
	if (json_parse(&network_info_table, document, strlen(document), &info, &damage) < 0) {
		log_error("network %s is left out, its record is damaged: %s", id, err_message(damage));
		return 0;
	}
	int r = add(networks, &info, NULL, reterr);
	json_finish(&network_info_table, &info);
	return r;
}

int network_info_set_option(struct network_info *info, const char *key, const char *value)
{
	if (!info->options && !(info->options = map_new(free)))
		return -ENOMEM;
	char *copy = strdup(value);
	if (!copy || map_set(info->options, key, copy) < 0) {
		free(copy);
		return -ENOMEM;
	}
	return 0;
}

static int fill_identity(struct network_info *info, const char *name, const char *driver)
{
	char id[NETWORK_ID_SIZE], created[CLOCK_RFC3339_MAX];
	io_random_hex(id, (NETWORK_ID_SIZE - 1) / 2);
	clock_format_rfc3339(clock_realtime_ns(), created);
	int r = set_text(&info->id, id);
	if (r == 0)
		r = set_text(&info->name, name);
	if (r == 0)
		r = set_text(&info->created, created);
	if (r == 0)
		r = set_text(&info->scope, "local");
	if (r == 0)
		r = set_text(&info->driver, driver);
	if (r == 0 && !info->ipam.driver)
		r = set_text(&info->ipam.driver, "default");
	return r;
}

static int make_predefined(struct networks *networks, const char *name, const char *driver, struct err **reterr)
{
	struct network_info info = { .enable_ipv4 = true };
	int r = fill_identity(&info, name, driver) < 0 ? err_oom(reterr) : 0;
	if (r == 0 && strcmp(name, NETWORK_BRIDGE) == 0)
		r = network_default_fill(networks->engine, &info, reterr);
	if (r == 0)
		r = records_put_network(networks->engine->records, info.id, &info, reterr);
	if (r == 0)
		r = add(networks, &info, NULL, reterr);
	json_finish(&network_info_table, &info);
	return r;
}

static struct network *by_name(struct networks *networks, const char *name)
{
	struct network *network;
	for (size_t cursor = 0; (network = networks_next(networks, &cursor));) {
		if (strcmp(network->info.name, name) == 0)
			return network;
	}
	return NULL;
}

int networks_new(struct engine *engine, struct networks **ret, struct err **reterr)
{
	static const char *const predefined[][2] = { { "bridge", "bridge" }, { "host", "host" }, { "none", "null" } };
	struct networks *networks = calloc(1, sizeof(*networks));
	if (!networks || !(networks->by_id = map_new(network_free))) {
		free(networks);
		return err_oom(reterr);
	}
	networks->engine = engine;
	int r = records_each_network(engine->records, load_row, networks, reterr);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(predefined); i++) {
		if (!by_name(networks, predefined[i][0]))
			r = make_predefined(networks, predefined[i][0], predefined[i][1], reterr);
	}
	if (r < 0) {
		networks_free(networks);
		return r;
	}
	*ret = networks;
	return 0;
}

void networks_free(struct networks *networks)
{
	if (!networks)
		return;
	map_free(networks->by_id);
	free(networks);
}

struct network *networks_next(struct networks *networks, size_t *cursor)
{
	struct map_entry *entry = map_next(networks->by_id, cursor);
	return entry ? entry->value : NULL;
}

struct network *networks_by_id(struct networks *networks, const char *id)
{
	return map_get(networks->by_id, id);
}

int networks_find(struct networks *networks, const char *reference, struct network **ret, struct err **reterr)
{
	struct network *network, *found = networks_by_id(networks, reference);
	size_t len = strlen(reference), matches = 0;
	if (!found)
		found = by_name(networks, reference);
	for (size_t cursor = 0; !found && len > 0 && (network = networks_next(networks, &cursor));) {
		if (strncmp(network->info.id, reference, len) == 0 && matches++ == 0)
			*ret = network;
	}
	if (matches > 1)
		return err_set(reterr, ERR_INVALID, 0, "network %s is ambiguous (%zu matches found based on ID prefix)",
			reference, matches);
	if (!found && matches == 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "network %s not found", reference);
	if (found)
		*ret = found;
	return 0;
}

/* --- create, remove --- */

/* Those of parent interfaces are the user's own affair: there it is one wire. */
static bool overlaps(const struct network *other, const struct network_info *info, const struct inet_subnet *subnet)
{
	const struct network_family *family = network_family(other, subnet->address.is_v6);
	if (strcmp(other->info.id, info->id) == 0 || strcmp(other->info.driver, info->driver) != 0)
		return false;
	while (family && !(family->on && inet_subnet_overlaps(&family->pool.subnet, subnet)))
		family = family->next;
	return family;
}

int networks_check_overlap(struct networks *networks, const struct network_info *info, struct err **reterr)
{
	struct network *other;
	struct inet_subnet subnet;
	for (size_t i = 0; i < info->ipam.config_count; i++) {
		if (!is_set(info->ipam.config[i].subnet) || inet_parse_subnet(info->ipam.config[i].subnet, &subnet) < 0)
			continue;
		for (size_t cursor = 0; (other = networks_next(networks, &cursor));) {
			if (overlaps(other, info, &subnet))
				return err_set(reterr, ERR_FORBIDDEN, 0, NETWORK_OVERLAP_TEXT);
		}
	}
	return 0;
}

void network_pool_finish(struct network_ipam_pool *pool)
{
	free(pool->subnet);
	free(pool->ip_range);
	free(pool->gateway);
	map_free(pool->aux_addresses);
}

/* Pools that say nothing are no pools. */
static void drop_empty_pools(struct network_ipam *ipam)
{
	size_t kept = 0;
	for (size_t i = 0; i < ipam->config_count; i++) {
		struct network_ipam_pool *pool = &ipam->config[i];
		if (is_set(pool->subnet)) {
			ipam->config[kept++] = *pool;
			continue;
		}
		network_pool_finish(pool);
	}
	ipam->config_count = kept;
}

/* Moves what the request owns over. */
static int fill_created(struct network_create *create, struct network_info *info)
{
	if (create->ipam) {
		info->ipam = *create->ipam;
		*create->ipam = (struct network_ipam){ 0 };
		drop_empty_pools(&info->ipam);
	}
	info->options = TAKE(create->options);
	info->labels = TAKE(create->labels);
	info->internal = create->internal;
	info->attachable = create->attachable;
	info->enable_ipv4 = !create->enable_ipv4.set || create->enable_ipv4.value;
	info->enable_ipv6 = create->enable_ipv6.set && create->enable_ipv6.value;
	int r = fill_identity(info, create->name, create->driver);
	bool has_parent = strcmp(create->driver, "macvlan") == 0 || strcmp(create->driver, "ipvlan") == 0;
	if (r == 0 && has_parent && (!info->options || !is_set(map_get(info->options, "parent")))) {
		char parent[LEASE_INTERFACE_SIZE];
		network_dummy_name(info, parent);
		r = network_info_set_option(info, "parent", parent);
	}
	if (r == 0 && strcmp(create->driver, "bridge") == 0 &&
		(!info->options || !is_set(map_get(info->options, NETWORK_OPTION_BRIDGE_NAME)))) {
		char bridge[LEASE_INTERFACE_SIZE];
		snprintf(bridge, sizeof(bridge), "br-%.12s", info->id);
		r = network_info_set_option(info, NETWORK_OPTION_BRIDGE_NAME, bridge);
	}
	return r;
}

/* Each of them would set it up as its own. */
static int check_bridge(struct networks *networks, const struct network_info *info, struct err **reterr)
{
	const char *own = strcmp(info->driver, "bridge") == 0 ? map_get(info->options, NETWORK_OPTION_BRIDGE_NAME)
							      : NULL;
	const struct network *other;
	for (size_t cursor = 0; own && (other = networks_next(networks, &cursor));) {
		if (network_is(other, "bridge") && strcmp(network_interface(other), own) == 0)
			return err_set(reterr, ERR_FORBIDDEN, 0,
				"cannot create network %s (%s): conflicts with network %s (%s): networks have same bridge name",
				info->id, own, other->info.id, own);
	}
	return 0;
}

static int create_checked(struct networks *networks, struct network_create *create, struct network_info *info,
	struct network **ret, struct err **reterr)
{
	if (fill_created(create, info) < 0)
		return err_oom(reterr);
	int r = check_bridge(networks, info, reterr);
	if (r == 0)
		r = networks_check_overlap(networks, info, reterr);
	if (r == 0)
		r = settle_info(networks, info, reterr);
	if (r == 0)
		r = records_put_network(networks->engine->records, info->id, info, reterr);
	if (r < 0)
		return r;
	_cleanup_free_ char *id = strdup(info->id);
	r = id ? add(networks, info, ret, reterr) : err_oom(reterr);
	if (r < 0 && id)
		records_remove_network(networks->engine->records, id, NULL);
	return r;
}

/* Those of the settings that it has not itself. */
static int add_default_options(const struct networks *networks, struct network_create *create)
{
	const char *key;
	json_t *value, *options = json_object_get(networks->engine->settings.network_options, create->driver);
	json_object_foreach (options, key, value) {
		if (!create->options && !(create->options = map_new(free)))
			return -ENOMEM;
		char *copy = map_has(create->options, key) ? NULL : strdup(json_string_value(value));
		if (!map_has(create->options, key) && (!copy || map_set(create->options, key, copy) < 0)) {
			free(copy);
			return -ENOMEM;
		}
	}
	return 0;
}

int networks_create(struct networks *networks, struct network_create *create, struct network **ret, struct err **reterr)
{
	struct network_info info = { 0 };
	if (!is_set(create->driver) && set_text(&create->driver, "bridge") < 0)
		return err_oom(reterr);
	int r = add_default_options(networks, create) < 0 ? err_oom(reterr) : network_check_create(create, reterr);
	if (r == 0 && strcmp(create->driver, NETWORK_CNI) == 0)
		r = network_check_cni(create, reterr);
	if (r < 0)
		return r;
	if (by_name(networks, create->name))
		return err_set(reterr, ERR_CONFLICT, 0, "network with name %s already exists", create->name);
	r = create_checked(networks, create, &info, ret, reterr);
	json_finish(&network_info_table, &info);
	return r;
}

int network_check_unused(struct network *network, struct err **reterr)
{
	if (network->predefined)
		return err_set(reterr, ERR_FORBIDDEN, 0, "%s is a pre-defined network and cannot be removed",
			network->info.name);
	_cleanup_(buf_finish) struct buf users = BUF_INIT(64 * 1024);
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(network->engine->containers, &cursor));) {
		const struct record_leg *leg = endpoints_leg(container, network);
		if (leg && endpoints_are_live(container))
			buf_printf(&users, "%sname:\"%s\" id:\"%.12s\"", users.len ? ", " : "", container->name,
				leg->endpoint_id);
	}
	if (users.len == 0)
		return 0;
	return err_set(reterr, ERR_FORBIDDEN, 0, "error while removing network: network %s has active endpoints (%s)",
		network->info.name, users.data);
}

int networks_remove(struct network *network, struct err **reterr)
{
	struct engine *engine = network->engine;
	int r = records_remove_network(engine->records, network->info.id, reterr);
	if (r < 0)
		return r;
	network_tell(network, "destroy", NULL);
	network_unmake(network);
	network_names_remove(network);
	map_remove(engine->networks->by_id, network->info.id);
	return 0;
}

void networks_hide(struct network *network)
{
	map_remove(network->engine->networks->by_id, network->info.id);
}

void networks_drop(struct network *network)
{
	struct networks *networks = network->engine->networks;
	_autofree_(err) struct err *err = NULL;
	if (records_remove_network(network->engine->records, network->info.id, &err) < 0)
		log_error("a network that could not be made stays: %s", err_message(err));
	network_sweep_soon(networks->engine->network_sweep);
	map_remove(networks->by_id, network->info.id);
}

static int add_attribute(struct map *attributes, const char *key, const char *value)
{
	char *copy = strdup(value);
	int r = copy ? map_set(attributes, key, copy) : -ENOMEM;
	if (r < 0)
		free(copy);
	return r;
}

void network_tell(const struct network *network, const char *action, const struct container *container)
{
	struct map *attributes = map_new(free);
	if (attributes) {
		add_attribute(attributes, "name", network->info.name);
		add_attribute(attributes, "type", network->info.driver);
		if (container)
			add_attribute(attributes, "container", container->id);
	}
	events_tell(network->engine, "network", action, network->info.id, attributes);
}

/* --- documents --- */

static void print_own(const struct network *network, const char *text, char out[INET_SUBNET_SIZE])
{
	struct inet_subnet own;
	out[0] = '\0';
	if (!is_set(text) || inet_parse(text, &own.address) < 0)
		return;
	own.prefix = network_family_of(network, &own.address)->pool.subnet.prefix;
	inet_print_subnet(&own, out);
}

static void print_place(const struct lease_address *own, char out[INET_SUBNET_SIZE])
{
	out[0] = '\0';
	if (is_set(own->address))
		snprintf(out, INET_SUBNET_SIZE, "%s/%d", own->address, (int)own->prefix);
}

static json_t *place_document(const struct container *container, const struct record_leg *leg,
	const struct run_place *place)
{
	static const struct run_place nowhere;
	char ipv4[INET_SUBNET_SIZE], ipv6[INET_SUBNET_SIZE];
	if (!place)
		place = &nowhere;
	print_place(&place->ipv4, ipv4);
	print_place(&place->ipv6, ipv6);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", container->name, "EndpointID", leg->endpoint_id,
		"MacAddress", place->mac ? place->mac : "", "IPv4Address", ipv4, "IPv6Address", ipv6);
}

static json_t *endpoint_document(const struct network *network, const struct container *container,
	const struct record_leg *leg)
{
	char ipv4[INET_SUBNET_SIZE], ipv6[INET_SUBNET_SIZE], mac[INET_MAC_SIZE];
	const struct run_place *place = endpoints_place(container, network);
	if (network_is(network, NETWORK_CNI))
		return place_document(container, leg, place);
	print_own(network, leg->ipv4, ipv4);
	print_own(network, leg->ipv6, ipv6);
	endpoints_mac(container, network, leg, mac);
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "Name", container->name, "EndpointID", leg->endpoint_id,
		"MacAddress", mac, "IPv4Address", ipv4, "IPv6Address", ipv6);
}

static json_t *containers_document(struct network *network)
{
	json_t *object = json_object();
	struct container *container;
	for (size_t cursor = 0; object && (container = containers_next(network->engine->containers, &cursor));) {
		const struct record_leg *leg = endpoints_leg(container, network);
		if (leg && endpoints_are_live(container))
			json_object_set_new(object, container->id, endpoint_document(network, container, leg));
	}
	return object;
}

int network_document(struct network *network, bool with_containers, json_t **ret, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;
	if (network_settle(network, &err) < 0)
		log_warn("network %s has no subnet: %s", network->info.name, err_message(err));
	json_t *document = json_write(&network_info_table, &network->info);
	if (document && with_containers)
		json_object_set_new(document, "Containers", containers_document(network));
	*ret = document;
	return document ? 0 : err_oom(reterr);
}

bool network_is_used(const struct network *network)
{
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(network->engine->containers, &cursor));) {
		if (endpoints_leg(container, network) && endpoints_are_live(container))
			return true;
	}
	return false;
}

const char *const networks_list_filters[] = { "dangling", "driver", "id", "label", "name", "scope", "type", NULL };

static int is_listed(const struct network *network, const struct filters *filters, struct err **reterr)
{
	const struct network_info *info = &network->info;
	bool dangling;
	int r = filters_bool(filters, "dangling", false, &dangling, reterr);
	if (r < 0)
		return r;
	if (filters_has(filters, "dangling") && dangling == (network->predefined || network_is_used(network)))
		return 0;
	return filters_match_part(filters, "name", info->name) && filters_match_prefix(filters, "id", info->id) &&
	       filters_match(filters, "driver", info->driver) && filters_match(filters, "scope", info->scope) &&
	       filters_match(filters, "type", network->predefined ? "builtin" : "custom") &&
	       filters_match_labels(filters, "label", info->labels);
}

static int check_type(const struct filters *filters, struct err **reterr)
{
	strv_foreach (type, filters_values(filters, "type")) {
		if (strcmp(*type, "builtin") != 0 && strcmp(*type, "custom") != 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid filter: 'type'='%s'", *type);
	}
	return 0;
}

int networks_list(struct networks *networks, const struct filters *filters, json_t **ret, struct err **reterr)
{
	_autojson_ json_t *list = json_array();
	struct network *network;
	int r = check_type(filters, reterr);
	for (size_t cursor = 0; r >= 0 && (network = networks_next(networks, &cursor));) {
		json_t *document = NULL;
		r = is_listed(network, filters, reterr);
		if (r > 0)
			r = network_document(network, false, &document, reterr);
		if (document)
			json_array_append_new(list, document);
	}
	if (r < 0)
		return r;
	*ret = TAKE(list);
	return *ret ? 0 : err_oom(reterr);
}

const char *const networks_prune_filters[] = { "label", "label!", "until", NULL };

static int is_pruned(const struct network *network, const struct filters *filters, int64_t until_ns)
{
	int64_t created_ns;
	if (network->predefined || network_is_used(network) ||
		!filters_match_labels(filters, "label", network->info.labels) ||
		!filters_refuse_labels(filters, "label!", network->info.labels))
		return 0;
	return clock_parse_rfc3339(network->info.created, &created_ns) < 0 || created_ns < until_ns;
}

int networks_prune(struct networks *networks, const struct filters *filters, json_t **ret, struct err **reterr)
{
	_autojson_ json_t *deleted = json_array();
	struct network *network;
	int64_t until_ns = INT64_MAX;
	int r = times_until(filters, &until_ns, reterr);
	for (size_t cursor = 0; r == 0 && (network = networks_next(networks, &cursor));) {
		if (!is_pruned(network, filters, until_ns))
			continue;
		json_array_append_new(deleted, json_string(network->info.name));
		r = networks_remove(network, reterr);
	}
	if (r < 0)
		return r;
	events_tell_prune(networks->engine, "network", 0);
	*ret = json_pack("{s:O}", "NetworksDeleted", deleted);
	return *ret ? 0 : err_oom(reterr);
}
