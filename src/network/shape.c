#include "network/shape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "sys/links.h"
#include "sys/shaping.h"
#include "sys/spawn.h"

/* In the place of the first letters of a pair's end. */
#define DETOUR_PREFIX "vi"

bool shape_is_wanted(const struct launch_network *network)
{
	return network->bandwidth_in > 0 || network->bandwidth_out > 0;
}

static uint64_t bytes_of(int64_t bits)
{
	return (uint64_t)bits / 8;
}

static void name_detour(const char *link, char out[IF_NAMESIZE])
{
	snprintf(out, IF_NAMESIZE, DETOUR_PREFIX "%.13s", link + strlen(DETOUR_PREFIX));
}

/* --- which interfaces --- */

struct end {
	int index;
	unsigned mtu;
	char name[IF_NAMESIZE];
};

struct ends {
	const struct launch_network *network;
	bool detours; /* looked for in place of the pairs' ends */
	struct end *items;
	size_t count;
};

static bool is_of(const struct lease_endpoint *endpoint, const char *name, bool is_detour)
{
	char wanted[IF_NAMESIZE];
	if (!endpoint->host_interface || !endpoint->host_interface[0])
		return false;
	snprintf(wanted, sizeof(wanted), "%s", endpoint->host_interface);
	if (is_detour)
		name_detour(endpoint->host_interface, wanted);
	size_t len = strlen(wanted);
	return strncmp(name, wanted, len) == 0 && strlen(name) == len + LEASE_HOST_INTERFACE_DIGITS;
}

static int take_link(const struct link_info *link, void *user)
{
	struct ends *ends = user;
	bool is_own = false;
	if (strcmp(link->kind, ends->detours ? "ifb" : "veth") != 0)
		return 0;
	for (size_t i = 0; i < ends->network->endpoint_count && !is_own; i++)
		is_own = is_of(&ends->network->endpoints[i], link->name, ends->detours);
	for (size_t i = 0; i < ends->count; i++)
		is_own = is_own && ends->items[i].index != link->index;
	if (!is_own)
		return 0;
	struct end *grown = reallocarray(ends->items, ends->count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	ends->items = grown;
	struct end *end = &ends->items[ends->count++];
	*end = (struct end){ .index = link->index, .mtu = link->mtu };
	snprintf(end->name, sizeof(end->name), "%s", link->name);
	return 0;
}

/* --- messages --- */

static int failed(const struct netlink *netlink, int r, const char *what, struct err **reterr)
{
	if (r == -ENOENT || r == -EOPNOTSUPP)
		return err_set(reterr, ERR_UNSUPPORTED, -r,
			"cannot limit the bandwidth: the kernel lacks %s (sch_tbf, ifb, cls_u32, act_mirred): %s", what,
			netlink->complaint[0] ? netlink->complaint : strerror(-r));
	return err_errno(reterr, r, "cannot limit the bandwidth: %s", what);
}

static int set_rate(struct netlink *netlink, int index, int64_t bits, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	if (bits > 0)
		shaping_put_rate(&request, index, bytes_of(bits));
	else
		shaping_put_no_rate(&request, index);
	int r = netlink_transact(netlink, &request);
	if ((bits == 0 && (r == -ENOENT || r == -EINVAL)) || r == -ENODEV) /* there was none; or it has just gone */
		r = 0;
	return r < 0 ? failed(netlink, r, "the bucket", reterr) : 0;
}

/* An end that somebody has dealt with already is of the run before, and on its way out. */
#define LEAVING 1

static int make_detour(struct netlink *netlink, const struct end *end, const char *name, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request make = NETLINK_REQUEST, join = NETLINK_REQUEST;
	struct link_info made;
	link_put_new(&make,
		&(struct link_new){ .kind = "ifb", .name = name, .netns_fd = -1, .mtu = end->mtu, .up = true });
	int r = netlink_transact(netlink, &make);
	if (r == 0)
		r = link_find(netlink, name, &made);
	if (r < 0)
		return failed(netlink, r, "the interface for what is sent", reterr);
	shaping_put_detour(&join, end->index, made.index);
	r = netlink_transact(netlink, &join);
	if (r == -EEXIST || r == -ENODEV)
		return LEAVING;
	return r < 0 ? failed(netlink, r, "the way to it", reterr) : 0;
}

static void delete_link(struct netlink *netlink, const char *name)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info link;
	if (link_find(netlink, name, &link) < 0)
		return;
	link_put_delete(&request, link.index);
	(void)netlink_transact(netlink, &request); /* which may be gone already */
}

static void forget_name(struct shape *shape, const char *name)
{
	char **names = shape->detours;
	for (size_t i = 0; names && names[i]; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		char *own = names[i]; /* which may be `name` */
		for (; names[i]; i++)
			names[i] = names[i + 1];
		free(own);
		return;
	}
}

static void remove_detour(struct shape *shape, struct netlink *netlink, const struct end *end, const char *name)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	shaping_put_no_detour(&request, end->index);
	(void)netlink_transact(netlink, &request);
	delete_link(netlink, name);
	forget_name(shape, name);
}

/* The name is noted before the interface is there: nothing can be left that nobody knows of. */
static int shape_sent(struct shape *shape, struct netlink *netlink, const struct end *end, int64_t bits,
	struct err **reterr)
{
	char name[IF_NAMESIZE];
	struct link_info detour;
	name_detour(end->name, name);
	bool is_there = strv_has(shape->detours, name);
	if (bits == 0) {
		if (is_there)
			remove_detour(shape, netlink, end, name);
		return 0;
	}
	if (!is_there) {
		if (strv_append(&shape->detours, name) < 0)
			return err_oom(reterr);
		int r = make_detour(netlink, end, name, reterr);
		if (r != 0) {
			delete_link(netlink, name);
			forget_name(shape, name);
			return r == LEAVING ? 0 : r;
		}
	}
	int r = link_find(netlink, name, &detour);
	return r < 0 ? failed(netlink, r, "the interface for what is sent", reterr)
		     : set_rate(netlink, detour.index, bits, reterr);
}

/* --- the whole --- */

static int check(const struct launch_network *network, struct err **reterr)
{
	for (size_t i = 0; i < network->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &network->endpoints[i];
		if (strcmp(endpoint->driver, "bridge") != 0)
			return err_set(reterr, ERR_CONFLICT, 0,
				"network %s: the bandwidth can't be limited on a network of driver %s",
				endpoint->network, endpoint->driver);
	}
	return 0;
}

/* Of pairs that are no more. */
static void drop_others(struct shape *shape, struct netlink *netlink, const struct ends *ends)
{
	for (size_t i = strv_count(shape->detours); i-- > 0;) {
		bool is_used = false;
		for (size_t k = 0; k < ends->count && !is_used; k++) {
			char name[IF_NAMESIZE];
			name_detour(ends->items[k].name, name);
			is_used = strcmp(name, shape->detours[i]) == 0;
		}
		if (!is_used) {
			delete_link(netlink, shape->detours[i]);
			forget_name(shape, shape->detours[i]);
		}
	}
}

static int apply(struct shape *shape, struct netlink *netlink, const struct launch_network *network,
	struct err **reterr)
{
	struct ends ends = { .network = network };
	int r = links_each(netlink, take_link, &ends);
	if (r < 0)
		err_errno(reterr, r, "cannot look for the container's interfaces");
	for (size_t i = 0; r == 0 && i < ends.count; i++) {
		r = set_rate(netlink, ends.items[i].index, network->bandwidth_in, reterr);
		if (r == 0)
			r = shape_sent(shape, netlink, &ends.items[i], network->bandwidth_out, reterr);
	}
	if (r == 0)
		drop_others(shape, netlink, &ends);
	free(ends.items);
	return r;
}

int shape_apply(struct shape *shape, const struct launch_network *network, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	int r = shape_is_wanted(network) ? check(network, reterr) : 0;
	if (r == 0 && (r = netlink_open(&netlink, NETLINK_ROUTE)) < 0)
		err_errno(reterr, r, "cannot talk to the kernel about networks");
	return r < 0 ? r : apply(shape, &netlink, network, reterr);
}

void shape_end(struct shape *shape)
{
	struct netlink netlink;
	pid_t pid = strv_count(shape->detours) > 0 ? spawn_aside(STDERR_FILENO) : -1;
	if (pid <= 0 && netlink_open(&netlink, NETLINK_ROUTE) == 0) {
		strv_foreach (name, shape->detours)
			delete_link(&netlink, *name);
		netlink_close(&netlink);
	}
	if (pid == 0)
		_exit(EXIT_SUCCESS);
	strv_free(shape->detours);
	shape->detours = NULL;
}

void shape_clear(const struct launch_network *network)
{
	struct netlink netlink;
	struct ends ends = { .network = network, .detours = true };
	if (network->bandwidth_out == 0 || netlink_open(&netlink, NETLINK_ROUTE) < 0)
		return;
	(void)links_each(&netlink, take_link, &ends);
	for (size_t i = 0; i < ends.count; i++)
		delete_link(&netlink, ends.items[i].name);
	free(ends.items);
	netlink_close(&netlink);
}
