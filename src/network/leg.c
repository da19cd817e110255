#include "network/leg.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/if_link.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "network/lacking.h"
#include "network/sysctls.h"
#include "sys/links.h"
#include "sys/namespaces.h"
#include "sys/spawn.h"

#define BRIDGE_PORTS_MAX    1023
#define PREDECESSOR_MS      3000
#define PREDECESSOR_STEP_MS 10
#define FORWARDING_MS       200
#define FORWARDING_STEP_MS  1

/* Both ends of the work: the host's namespace, which is ours, and the container's. */
struct site {
	struct netlink host;
	struct netlink inside;
	int netns_fd;
	char host_end[LEASE_INTERFACE_SIZE]; /* of the pair that was made last */
};
#define SITE_NONE                                               \
 {                                                              \
  .host = NETLINK_NONE, .inside = NETLINK_NONE, .netns_fd = -1, \
 }

static bool is_set(const char *text)
{
	return text && text[0];
}

static bool is_driver(const struct lease_endpoint *endpoint, const char *driver)
{
	return strcmp(endpoint->driver, driver) == 0;
}

static int site_open(struct site *site, int netns_fd, struct err **reterr)
{
	site->netns_fd = netns_fd;
	int r = netlink_open(&site->host, NETLINK_ROUTE);
	if (r == 0)
		r = netlink_open_in(&site->inside, NETLINK_ROUTE, netns_fd);
	return r < 0 ? err_errno(reterr, r, "cannot talk to the kernel about networks") : 0;
}

static void site_close(struct site *site)
{
	netlink_close(&site->host);
	netlink_close(&site->inside);
}

/* The kernel's own words come along, if it had any. */
static int failed(const struct netlink *netlink, int r, const struct lease_endpoint *endpoint, const char *what,
	struct err **reterr)
{
	if (netlink->complaint[0])
		return err_errno(reterr, r, "network %s: %s (%s)", endpoint->network, what, netlink->complaint);
	return err_errno(reterr, r, "network %s: %s", endpoint->network, what);
}

/* --- the links --- */

static unsigned mode_of(const struct lease_endpoint *endpoint)
{
	static const struct {
		const char *driver, *mode;
		unsigned value;
	} modes[] = {
		{ "macvlan", "private", MACVLAN_MODE_PRIVATE },
		{ "macvlan", "vepa", MACVLAN_MODE_VEPA },
		{ "macvlan", "bridge", MACVLAN_MODE_BRIDGE },
		{ "macvlan", "passthru", MACVLAN_MODE_PASSTHRU },
		{ "ipvlan", "l2", IPVLAN_MODE_L2 },
		{ "ipvlan", "l3", IPVLAN_MODE_L3 },
		{ "ipvlan", "l3s", IPVLAN_MODE_L3S },
	};
	for (size_t i = 0; is_set(endpoint->mode) && i < ARRAY_SIZE(modes); i++) {
		if (is_driver(endpoint, modes[i].driver) && strcmp(endpoint->mode, modes[i].mode) == 0)
			return modes[i].value + 1;
	}
	return LINK_MODE_DEFAULT;
}

static unsigned flags_of(const struct lease_endpoint *endpoint)
{
	if (!is_driver(endpoint, "ipvlan") || !is_set(endpoint->flag))
		return 0;
	return strcmp(endpoint->flag, "private") == 0 ? IPVLAN_F_PRIVATE
	       : strcmp(endpoint->flag, "vepa") == 0  ? IPVLAN_F_VEPA
						      : 0;
}

static int find_parent(struct site *site, const struct lease_endpoint *endpoint, struct link_info *ret,
	struct err **reterr)
{
	int r = link_find(&site->host, endpoint->parent, ret);
	if (r == -ENODEV)
		return err_set(reterr, ERR_NOT_FOUND, ENODEV, "network %s: the host has no interface %s",
			endpoint->network, endpoint->parent);
	return r < 0 ? failed(&site->host, r, endpoint, "cannot look for its interface", reterr) : 0;
}

/* On a parent the interface of before goes with its namespace, a moment after its container. Until then macvlan's passthru, which is
 * for one, is taken (EINVAL), and so are the Ethernet address and, with ipvlan, the addresses. */
static bool is_held_by_predecessor(const struct lease_endpoint *endpoint, int error, int64_t since_ms)
{
	bool is_held = !is_driver(endpoint, "bridge") &&
		       (error == -EADDRINUSE ||
			       (error == -EINVAL && is_set(endpoint->mode) && strcmp(endpoint->mode, "passthru") == 0));
	if (!is_held || clock_monotonic_ms() - since_ms > PREDECESSOR_MS)
		return false;
	poll(NULL, 0, PREDECESSOR_STEP_MS);
	return true;
}

static int make_link(struct site *site, const struct lease_endpoint *endpoint, const struct link_new *link,
	struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	int64_t start_ms = clock_monotonic_ms();
	int r;
	link_put_new(&request, link);
	do
		r = netlink_transact(&site->host, &request);
	while (is_held_by_predecessor(endpoint, r, start_ms));
	if (r == -EXFULL)
		return err_set(reterr, ERR_CONFLICT, EXFULL, "network %s is full: a bridge takes %d containers",
			endpoint->network, BRIDGE_PORTS_MAX);
	/* A parent that takes no ports is refused with the same number, and with other words. */
	if ((r != -EOPNOTSUPP || strcmp(site->host.complaint, "Unknown device type") == 0) &&
		lacking(r, link->kind, reterr))
		return err_wrap(reterr, r, "network %s", endpoint->network);
	return r < 0 ? failed(&site->host, r, endpoint, "cannot make the container's interface", reterr) : 0;
}

/* What the host remembers of who had these addresses before is of no use. */
static void put_forgotten(struct netlink_request *request, const struct lease_endpoint *endpoint, int bridge)
{
	const char *const own[] = { endpoint->ipv4.address, endpoint->ipv6.address };
	struct inet_address address;
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (is_set(own[i]) && inet_parse(own[i], &address) == 0)
			link_put_neighbour_delete(request, bridge, &address);
	}
}

/* Who connects to a port that the host publishes has a route by lo, and so segments as large as lo lets through. Where somebody has
 * allowed more than the usual there, it is not to be cut up on its way. A bridge that is the host's own is left as it is. */
static void put_segments(struct site *site, struct netlink_request *request, const struct link_info *bridge,
	const struct link_info *end)
{
	struct link_info lo;
	if (link_find(&site->host, "lo", &lo) < 0)
		return;
	if (lo.segment != end->segment)
		link_put_segment(request, end->index, lo.segment);
	if (lo.segment != bridge->segment && lease_is_owner(bridge->alias))
		link_put_segment(request, bridge->index, lo.segment);
}

/* The host's end: no addresses of the kernel's making, and up. The bridge is told where the container is, and not left to learn it: the
 * namespace of a container that had the same addresses may still be on its way out, and would go on getting what is sent to them. */
static int put_up_outside(struct site *site, const struct lease_endpoint *endpoint, const struct link_info *bridge,
	const uint8_t *mac, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int results[9];
	int r = link_find(&site->host, site->host_end, &info);
	if (r < 0)
		return failed(&site->host, r, endpoint, "the interface that was made is not there", reterr);
	put_forgotten(&request, endpoint, bridge->index); /* fails if there is nothing to forget */
	link_put_no_autoconf(&request, info.index);       /* fails where there is no IPv6 */
	put_segments(site, &request, bridge, &info);      /* slower without */
	unsigned first = request.count;
	link_put_up(&request, info.index, true);
	if (mac)
		link_put_port_mac(&request, info.index, mac);
	if (endpoint->isolated)
		link_put_isolated(&request, info.index, true);
	if (endpoint->port_count > 0)
		link_put_hairpin(&request, info.index, true);
	r = netlink_transact_each(&site->host, &request, results);
	for (unsigned i = first; r == 0 && i < request.count; i++)
		r = results[i];
	return r < 0 ? failed(&site->host, r, endpoint, "cannot put its interface up", reterr) : 0;
}

static int make_veth(struct site *site, const struct lease_endpoint *endpoint, const uint8_t *mac, struct err **reterr)
{
	char digits[LEASE_HOST_INTERFACE_DIGITS + 1];
	const struct link_peer peer = { .name = endpoint->interface, .netns_fd = site->netns_fd, .mac = mac };
	struct link_info bridge;
	int r = find_parent(site, endpoint, &bridge, reterr);
	if (r < 0)
		return r;
	io_random_hex(digits, LEASE_HOST_INTERFACE_DIGITS / 2);
	snprintf(site->host_end, sizeof(site->host_end), "%s%s", endpoint->host_interface, digits);
	const struct link_new link = { .kind = "veth",
		.name = site->host_end,
		.netns_fd = -1,
		.master = bridge.index,
		.mtu = (unsigned)endpoint->mtu,
		.peer = &peer };
	r = make_link(site, endpoint, &link, reterr);
	return r < 0 ? r : put_up_outside(site, endpoint, &bridge, mac, reterr);
}

static int make_vlan(struct site *site, const struct lease_endpoint *endpoint, const uint8_t *mac, struct err **reterr)
{
	struct link_info parent;
	int r = find_parent(site, endpoint, &parent, reterr);
	if (r < 0)
		return r;
	const struct link_new link = { .kind = endpoint->driver,
		.name = endpoint->interface,
		.netns_fd = site->netns_fd,
		.parent = parent.index,
		.mode = mode_of(endpoint),
		.flags = flags_of(endpoint),
		.mtu = (unsigned)endpoint->mtu,
		.mac = is_driver(endpoint, "ipvlan") ? NULL : mac };
	return make_link(site, endpoint, &link, reterr);
}

/* --- inside --- */

/* Before the interface is up: afterwards the kernel would have given it an address already. */
static int set_sysctls(void *user)
{
	const struct lease_endpoint *endpoint = user;
	struct map_entry *entry;
	bool has_v6 = is_set(endpoint->ipv6.address);
	int r = sysctls_set("ipv6", endpoint->interface, has_v6 ? "accept_ra" : "disable_ipv6", has_v6 ? "0" : "1");
	if (r < 0 && (r != -ENOENT || has_v6))
		return r;
	if (!endpoint->sysctls)
		return 0;
	map_foreach (entry, endpoint->sysctls) {
		r = sysctls_set_option(entry->key, endpoint->interface, entry->value);
		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_own(const struct lease_address *lease, struct inet_subnet *ret)
{
	ret->prefix = (unsigned)lease->prefix;
	return inet_parse(lease->address, &ret->address);
}

typedef void put_address_fn(struct netlink_request *request, int index, const struct inet_subnet *address);

static void put_addresses(struct netlink_request *request, const struct lease_endpoint *endpoint, int index,
	put_address_fn *put)
{
	struct inet_subnet subnet;
	if (is_set(endpoint->ipv4.address) && parse_own(&endpoint->ipv4, &subnet) == 0)
		put(request, index, &subnet);
	if (is_set(endpoint->ipv6.address) && parse_own(&endpoint->ipv6, &subnet) == 0)
		put(request, index, &subnet);
	strv_foreach (text, endpoint->link_local) {
		if (inet_parse_subnet(*text, &subnet) == 0)
			put(request, index, &subnet);
	}
}

static void put_default(struct netlink_request *request, const struct lease_endpoint *endpoint,
	const struct lease_address *lease, int index)
{
	struct inet_address gateway;
	struct inet_subnet own;
	if (!lease->is_default || !is_set(lease->address) || parse_own(lease, &own) < 0)
		return;
	struct inet_subnet all = { .address = { .is_v6 = own.address.is_v6 } };
	/* Of ipvlan's layer 3 everything is on the link. */
	bool on_link = is_driver(endpoint, "ipvlan") && is_set(endpoint->mode) && strncmp(endpoint->mode, "l3", 2) == 0;
	if (on_link) {
		link_put_route(request, index, &all, NULL, 0);
		return;
	}
	if (!is_set(lease->gateway) || inet_parse(lease->gateway, &gateway) < 0)
		return;
	/* A gateway outside of the subnet is reached on the link. */
	const struct inet_subnet host = { .address = gateway, .prefix = inet_bits(&gateway) };
	if (!inet_subnet_has(&own, &gateway))
		link_put_route(request, index, &host, NULL, 0);
	link_put_route(request, index, &all, &gateway, 0);
}

/* What came of it is nobody's question: it is about to be said again. */
static void take_addresses_back(struct site *site, const struct lease_endpoint *endpoint, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	int results[16];
	put_addresses(&request, endpoint, index, link_put_address_delete);
	if (request.count <= ARRAY_SIZE(results))
		(void)netlink_transact_each(&site->inside, &request, results);
}

static int configure(struct site *site, const struct lease_endpoint *endpoint, bool with_defaults, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	int64_t start_ms = clock_monotonic_ms();
	struct link_info info;
	int r = namespace_visit_network(site->netns_fd, set_sysctls, (void *)endpoint);
	if (r < 0)
		return err_errno(reterr, r, "network %s: cannot set the interface's sysctls", endpoint->network);
	r = link_find(&site->inside, endpoint->interface, &info);
	if (r < 0)
		return failed(&site->inside, r, endpoint, "the container's interface is not there", reterr);
	link_put_up(&request, info.index, true);
	put_addresses(&request, endpoint, info.index, link_put_address);
	if (with_defaults) {
		put_default(&request, endpoint, &endpoint->ipv4, info.index);
		put_default(&request, endpoint, &endpoint->ipv6, info.index);
	}
	r = netlink_transact(&site->inside, &request);
	while (is_held_by_predecessor(endpoint, r, start_ms)) {
		take_addresses_back(site, endpoint, info.index);
		r = netlink_transact(&site->inside, &request);
	}
	return r < 0 ? failed(&site->inside, r, endpoint, "cannot set the container's addresses and routes", reterr)
		     : 0;
}

/* --- whom others take for somebody else --- */

/* The bridge does not take anything from a new port until it has heard that there is somebody, a moment after both ends are up. */
static void wait_until_forwarding(struct site *site)
{
	int64_t start_ms = clock_monotonic_ms();
	struct link_info info;
	while (link_find(&site->host, site->host_end, &info) == 0 && !(info.flags & IFF_RUNNING) &&
		clock_monotonic_ms() - start_ms < FORWARDING_MS)
		poll(NULL, 0, FORWARDING_STEP_MS);
}

struct announcing {
	const struct lease_endpoint *endpoint;
	const uint8_t *mac;
	struct netlink *inside;
};

/* The kernel tells of its addresses (gratuitous ARP, and the same of IPv6) when an interface's Ethernet address is set. */
static int announce_inside(void *user)
{
	static const char *const settings[][2] = { { "ipv4", "arp_notify" }, { "ipv6", "ndisc_notify" } };
	const struct announcing *announcing = user;
	const char *interface = announcing->endpoint->interface;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int before[ARRAY_SIZE(settings)];
	int r = link_find(announcing->inside, interface, &info);
	if (r < 0)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		before[i] = sysctls_get(settings[i][0], interface, settings[i][1]);
		if (before[i] == 0)
			sysctls_set(settings[i][0], interface, settings[i][1], "1");
	}
	link_put_mac(&request, info.index, announcing->mac);
	r = netlink_transact(announcing->inside, &request);
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		if (before[i] == 0)
			sysctls_set(settings[i][0], interface, settings[i][1], "0");
	}
	return r;
}

/* Others on the network may remember another Ethernet address for its IP address, and for seconds believe nobody but its owner.
 * Without one of its own it has that of whoever had the IP address before. Nothing fails for lack of it. */
static void announce(struct site *site, const struct lease_endpoint *endpoint, const uint8_t *mac)
{
	uint8_t usual[INET_MAC_BYTES];
	struct announcing announcing = { endpoint, mac, &site->inside };
	lease_derive_mac(endpoint->ipv4.address, endpoint->ipv6.address, usual);
	if (!is_driver(endpoint, "bridge") || !mac || memcmp(mac, usual, sizeof(usual)) == 0)
		return;
	wait_until_forwarding(site);
	namespace_visit_network(site->netns_fd, announce_inside, &announcing);
}

static int make_leg(struct site *site, const struct lease_endpoint *endpoint, bool with_defaults, struct err **reterr)
{
	uint8_t mac[INET_MAC_BYTES];
	const uint8_t *own_mac = is_set(endpoint->mac) && inet_parse_mac(endpoint->mac, mac) == 0 ? mac : NULL;
	int r = is_driver(endpoint, "bridge") ? make_veth(site, endpoint, own_mac, reterr)
					      : make_vlan(site, endpoint, own_mac, reterr);
	if (r == 0)
		r = configure(site, endpoint, with_defaults, reterr);
	if (r == 0)
		announce(site, endpoint, own_mac);
	return r;
}

int legs_make(const struct lease_endpoint *endpoints, size_t count, int netns_fd, struct err **reterr)
{
	_cleanup_(site_close) struct site site = SITE_NONE;
	int r = site_open(&site, netns_fd, reterr);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (!lease_is_cni(&endpoints[i]))
			r = make_leg(&site, &endpoints[i], true, reterr);
	}
	return r;
}

/* --- changes --- */

const struct lease_endpoint *legs_find(const struct lease_endpoint *endpoints, size_t count, const char *endpoint_id)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(endpoints[i].endpoint_id, endpoint_id) == 0)
			return &endpoints[i];
	}
	return NULL;
}

static int delete_link(struct netlink *inside, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	link_put_delete(&request, index);
	return netlink_transact(inside, &request);
}

/* By a socket of its own: ours is ours to talk on. */
static _Noreturn void delete_and_end(int netns_fd, int index)
{
	struct netlink inside;
	int r = netlink_open_in(&inside, NETLINK_ROUTE, netns_fd);
	if (r == 0)
		r = delete_link(&inside, index);
	_exit(r < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

/* From here on it is nothing to the container: no address, no route, no traffic, and its name is free. */
static int put_aside(struct site *site, const struct lease_endpoint *endpoint, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	char name[LEASE_INTERFACE_SIZE];
	int results[16];
	snprintf(name, sizeof(name), "gone%d", index);
	put_addresses(&request, endpoint, index, link_put_address_delete);
	unsigned first = request.count;
	if (first + 2 > ARRAY_SIZE(results))
		return -E2BIG;
	link_put_up(&request, index, false);
	link_put_rename(&request, index, name);
	int r = netlink_transact_each(&site->inside, &request, results);
	return r < 0 ? r : results[first] < 0 ? results[first] : results[first + 1];
}

/* From inside: the far end goes with it. One that is gone already (its user has rights there) is fine. The kernel takes 10 to 80 ms
 * to delete an interface, most of it waiting for RCU, so it is put aside, and a child waits. What that one does not
 * come to, the namespace's end does. */
static int remove_leg(struct site *site, const struct lease_endpoint *endpoint, struct err **reterr)
{
	struct link_info info;
	int r = link_find(&site->inside, endpoint->interface, &info);
	if (r == 0) {
		pid_t pid = put_aside(site, endpoint, info.index) == 0 ? spawn_aside(site->netns_fd) : -1;
		if (pid == 0)
			delete_and_end(site->netns_fd, info.index);
		if (pid < 0)
			r = delete_link(&site->inside, info.index);
	}
	return r < 0 && r != -ENODEV
		       ? failed(&site->inside, r, endpoint, "cannot remove the container's interface", reterr)
		       : 0;
}

static const struct lease_endpoint *default_of(const struct lease_endpoint *endpoints, size_t count, bool is_v6)
{
	for (size_t i = 0; i < count; i++) {
		if (is_v6 ? endpoints[i].ipv6.is_default : endpoints[i].ipv4.is_default)
			return &endpoints[i];
	}
	return NULL;
}

/* The old one goes and the new one comes in one sending: the first may be gone with its interface. */
static int change_default(struct site *site, const struct lease_endpoint *before, const struct lease_endpoint *after,
	bool is_v6, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int results[3] = { 0 };
	if (before && after && strcmp(before->endpoint_id, after->endpoint_id) == 0)
		return 0;
	if (before)
		link_put_default_delete(&request, is_v6);
	unsigned first = request.count;
	int r = after ? link_find(&site->inside, after->interface, &info) : 0;
	if (r == 0 && after)
		put_default(&request, after, is_v6 ? &after->ipv6 : &after->ipv4, info.index);
	if (r == 0 && request.count > 0)
		r = netlink_transact_each(&site->inside, &request, results);
	for (unsigned i = first; r == 0 && i < request.count; i++)
		r = results[i];
	return r < 0 ? failed(&site->inside, r, after ? after : before, "cannot set the container's default route",
			       reterr)
		     : 0;
}

struct host_end {
	int index;
	const char *begin; /* of its name */
	bool is_there;
};

static int look_for_end(const struct link_info *link, void *user)
{
	struct host_end *end = user;
	if (link->index == end->index && strncmp(link->name, end->begin, strlen(end->begin)) == 0)
		end->is_there = true;
	return 0;
}

/* Of a leg that publishes from now on. What is inside is its user's to change: only our own end of it is touched. */
static int set_hairpin(struct site *site, const struct lease_endpoint *endpoint, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	if (link_find(&site->inside, endpoint->interface, &info) < 0)
		return 0;
	struct host_end end = { .index = info.parent, .begin = endpoint->host_interface };
	int r = links_each(&site->host, look_for_end, &end);
	if (r == 0 && end.is_there) {
		link_put_hairpin(&request, end.index, true);
		r = netlink_transact(&site->host, &request);
	}
	return r < 0 ? failed(&site->host, r, endpoint, "cannot have packets sent back", reterr) : 0;
}

static int change_leg(struct site *site, const struct lease_endpoint *before, const struct lease_endpoint *after,
	struct err **reterr)
{
	bool publishes = is_driver(after, "bridge") && before->port_count == 0 && after->port_count > 0;
	return publishes ? set_hairpin(site, after, reterr) : 0;
}

static void unmake(struct site *site, const struct lease_endpoint *before, size_t before_count,
	const struct lease_endpoint *after, size_t made)
{
	for (size_t i = 0; i < made; i++) {
		if (!legs_find(before, before_count, after[i].endpoint_id))
			remove_leg(site, &after[i], NULL);
	}
}

int legs_change(const struct lease_endpoint *before, size_t before_count, const struct lease_endpoint *after,
	size_t after_count, int netns_fd, struct err **reterr)
{
	_cleanup_(site_close) struct site site = SITE_NONE;
	int r = site_open(&site, netns_fd, reterr);
	for (size_t i = 0; r == 0 && i < after_count; i++) {
		const struct lease_endpoint *old = legs_find(before, before_count, after[i].endpoint_id);
		if (old) {
			r = change_leg(&site, old, &after[i], reterr);
		} else {
			r = make_leg(&site, &after[i], false, reterr);
		}
		if (r < 0)
			unmake(&site, before, before_count, after, i + 1);
	}
	for (int is_v6 = 0; r == 0 && is_v6 < 2; is_v6++)
		r = change_default(&site, default_of(before, before_count, is_v6),
			default_of(after, after_count, is_v6), is_v6, reterr);
	for (size_t i = 0; r == 0 && i < before_count; i++) {
		if (!legs_find(after, after_count, before[i].endpoint_id))
			r = remove_leg(&site, &before[i], reterr);
	}
	return r;
}
