#include "monitor/network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/strv.h"
#include "monitor/egress.h"
#include "monitor/foreign.h"
#include "monitor/monitor.h"
#include "monitor/names_files.h"
#include "monitor/network_table.h"
#include "monitor/port_owner.h"
#include "monitor/state.h"
#include "network/leg.h"
#include "sys/conntrack.h"
#include "sys/namespaces.h"
#include "sys/spawn.h"

#define NO_NAMESPACE "cannot open the container's network namespace"

static int open_namespace(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	return namespace_open(path, CLONE_NEWNET);
}

/* Somewhere else than at home there is nothing that we may do. */
int network_check_home(int r)
{
	if (r == -ENOTRECOVERABLE) {
		log_error("lost in the container's network namespace");
		_exit(EXIT_FAILURE);
	}
	return r;
}

/* --- ports --- */

int network_table_open(struct monitor *monitor, struct network_table *table, struct err **reterr)
{
	table_name(monitor->options.exec_root, table->name);
	snprintf(table->owner, sizeof(table->owner), "%s", monitor->options.id);
	table->netlink = &monitor->netfilter;
	int r = monitor->netfilter.fd < 0 ? netlink_open(&monitor->netfilter, NETLINK_NETFILTER) : 0;
	return r < 0 ? err_errno(reterr, r, "cannot talk to the kernel about packet filters") : 0;
}

static int put(struct monitor *monitor, struct network_table *table, struct err **reterr)
{
	return table_container_add(table->netlink, table->name, table->owner, monitor->legs.endpoints,
		monitor->legs.endpoint_count, reterr);
}

/* We hold the host's ports: what else the table says of them is mostly what somebody left who could not clear up. */
static int put_in_spite(struct monitor *monitor, struct network_table *table, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;
	int r = put(monitor, table, &err);
	if (r != -EEXIST) {
		*reterr = TAKE(err);
		return r;
	}
	r = port_owner_clear(monitor, table->netlink, table->name, table->owner, true, &monitor->legs, reterr);
	return r < 0 ? r : put(monitor, table, reterr);
}

static int publish(struct monitor *monitor, struct err **reterr)
{
	struct network_table table;
	if (!table_container_needs(monitor->legs.endpoints, monitor->legs.endpoint_count))
		return 0;
	int r = network_table_open(monitor, &table, reterr);
	if (r < 0)
		return r;
	r = put_in_spite(monitor, &table, reterr);
	monitor->is_published = r == 0;
	return r;
}

static void forget_connections(const struct launch_network *network)
{
	struct netlink netlink;
	if (netlink_open(&netlink, NETLINK_NETFILTER) < 0)
		return;
	for (size_t i = 0; i < network->endpoint_count; i++) {
		const char *const own[] = { network->endpoints[i].ipv4.address, network->endpoints[i].ipv6.address };
		for (size_t k = 0; k < ARRAY_SIZE(own); k++) {
			struct inet_address address;
			if (own[k] && inet_parse(own[k], &address) == 0)
				conntrack_forget(&netlink, &address);
		}
	}
}

/* The kernel looks through all connections that it has for it, and the container's end does not wait for that. */
static void forget_aside(struct netlink *netlink, const struct launch_network *network)
{
	if (conntrack_is_empty(netlink) || spawn_aside(STDERR_FILENO) != 0)
		return;
	forget_connections(network);
	_exit(EXIT_SUCCESS);
}

static void unpublish(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;
	struct network_table table;
	if (!monitor->is_published)
		return;
	monitor->is_published = false;
	int r = network_table_open(monitor, &table, &err);
	if (r == 0) {
		r = table_container_remove(table.netlink, table.name, table.owner, monitor->legs.endpoints,
			monitor->legs.endpoint_count, &err);
		published_release(&monitor->published); /* else the child would have them too, for a moment */
		forget_aside(table.netlink, &monitor->legs);
	}
	if (r < 0)
		log_error("published ports are left behind: %s", err_message(err));
}

/* state.json says it when it is written next. */
static int tell_ports(struct monitor *monitor)
{
	struct lease_port *ports;
	size_t count;
	int r = published_list(monitor->legs.endpoints, monitor->legs.endpoint_count, &ports, &count);
	runstate_set_ports(&monitor->state, ports, count);
	return r;
}

/* --- legs --- */

/* What the container has from now on. */
static int remember(struct monitor *monitor, const struct launch_network *network, struct err **reterr)
{
	struct launch_network copy;
	if (json_clone(&launch_network_table, network, &copy) < 0)
		return err_oom(reterr);
	json_finish(&launch_network_table, &monitor->legs);
	monitor->legs = copy;
	return 0;
}

void network_make_ahead(struct monitor *monitor)
{
	bool is_wanted = monitor->phase == PHASE_IDLE && !monitor->start && monitor->network_fd < 0;
	if (is_wanted && monitor->has_launch) {
		const struct oci_namespace *network = oci_spec_namespace(&monitor->launch.oci, "network");
		is_wanted = network && !network->path && !monitor->launch.join.network &&
			    !oci_spec_namespace(&monitor->launch.oci, "user") && !foreign_is_wanted(monitor);
	}
	int fd = is_wanted ? network_check_home(namespace_new_network()) : -1;
	if (fd >= 0)
		monitor->network_fd = fd;
}

int network_reserve(struct monitor *monitor, struct err **reterr)
{
	int r = remember(monitor, &monitor->launch.network, reterr);
	if (r == 0)
		r = published_reserve(&monitor->published, monitor->legs.endpoints, monitor->legs.endpoint_count, NULL,
			reterr);
	if (r < 0) {
		port_owner_tell(monitor, &monitor->published.refused, reterr);
		return err_wrap(reterr, r, "failed to set up container networking");
	}
	if (tell_ports(monitor) < 0)
		return err_oom(reterr);
	/* Written down before the table has them, for who has to clear up. */
	monitor->state.held = strv_count(monitor->legs.egress) > 0 && monitor->legs.endpoint_count > 0;
	if (monitor->state.port_count > 0 || monitor->state.held)
		state_save(monitor);
	return 0;
}

int network_make(pid_t pid, void *user, struct err **reterr)
{
	struct monitor *monitor = user;
	const struct launch_network *network = &monitor->legs;
	if (network->endpoint_count == 0)
		return 0;
	_autoclose_ int netns_fd = open_namespace(pid);
	if (netns_fd < 0)
		return err_errno(reterr, netns_fd, NO_NAMESPACE);
	egress_begin(monitor);
	int r = egress_hold(monitor, network, NULL, reterr);
	if (r == 0)
		r = network_check_home(legs_make(network->endpoints, network->endpoint_count, netns_fd, reterr));
	if (r == 0 && shape_is_wanted(network))
		r = shape_apply(&monitor->shape, network, reterr);
	if (r == 0)
		r = publish(monitor, reterr);
	if (r == 0)
		r = network_check_home(resolve_open(monitor, netns_fd, reterr));
	if (r == 0)
		spliced_update(monitor);
	return r < 0 ? err_wrap(reterr, r, "failed to set up container networking") : 0;
}

/* --- changes --- */

static int change_table(struct monitor *monitor, const struct launch_network *after, struct err **reterr)
{
	const struct launch_network *before = &monitor->legs;
	struct network_table table;
	bool needs = table_container_needs(after->endpoints, after->endpoint_count);
	if (!needs && !monitor->is_published)
		return 0;
	_autofree_(err) struct err *err = NULL;
	int r = network_table_open(monitor, &table, reterr);
	if (r < 0)
		return r;
	r = table_container_change(table.netlink, table.name, table.owner, before->endpoints, before->endpoint_count,
		after->endpoints, after->endpoint_count, &err);
	if (r == -EEXIST) {
		r = port_owner_clear(monitor, table.netlink, table.name, table.owner, false, after, reterr);
		if (r == 0)
			r = table_container_change(table.netlink, table.name, table.owner, before->endpoints,
				before->endpoint_count, after->endpoints, after->endpoint_count, reterr);
	} else {
		*reterr = TAKE(err);
	}
	if (r == 0)
		monitor->is_published = needs;
	return r;
}

/* Sockets, legs, rules, in the order in which they can be refused. */
static int change_all(struct monitor *monitor, struct launch_network *after, int netns_fd, struct err **reterr)
{
	const struct launch_network *before = &monitor->legs;
	struct published published;
	published_keep(after->endpoints, after->endpoint_count, before->endpoints, before->endpoint_count);
	int r = published_reserve(&published, after->endpoints, after->endpoint_count, &monitor->published, reterr);
	if (r < 0) {
		port_owner_tell(monitor, &published.refused, reterr);
		return r;
	}
	/* A new leg is held before it is there, an old one until it is gone. */
	r = egress_hold(monitor, after, before, reterr);
	if (r == 0 && !strv_equal(after->egress, before->egress))
		r = egress_cut(monitor, reterr);
	if (r == 0)
		r = network_check_home(legs_change(before->endpoints, before->endpoint_count, after->endpoints,
			after->endpoint_count, netns_fd, reterr));
	bool is_shaped = shape_is_wanted(before) || shape_is_wanted(after);
	if (r == 0 && is_shaped)
		r = shape_apply(&monitor->shape, after, reterr);
	if (r == 0)
		r = change_table(monitor, after, reterr);
	if (r == 0)
		r = egress_hold(monitor, after, NULL, reterr);
	if (r < 0) {
		egress_hold(monitor, before, NULL, NULL);
		if (is_shaped)
			shape_apply(&monitor->shape, before, NULL);
		published_return(&published, &monitor->published);
		return r;
	}
	spliced_withdraw(monitor, &monitor->published);
	published_release(&monitor->published);
	monitor->published = published;
	spliced_update(monitor);
	return 0;
}

int network_change(struct monitor *monitor, struct err **reterr)
{
	struct launch_network after;
	int r = monitor_load_launch(monitor, reterr);
	if (r < 0 || monitor->phase != PHASE_RUNNING)
		return r;
	_autoclose_ int netns_fd = open_namespace((pid_t)monitor->state.pid);
	if (netns_fd == -ENOENT || netns_fd == -ESRCH)
		return 0; /* it has ended, as we are about to hear */
	if (netns_fd < 0)
		return err_errno(reterr, netns_fd, NO_NAMESPACE);
	if (json_clone(&launch_network_table, &monitor->launch.network, &after) < 0)
		return err_oom(reterr);
	r = foreign_keep(monitor, &after, reterr);
	if (r == 0)
		r = change_all(monitor, &after, netns_fd, reterr);
	if (r < 0) {
		json_finish(&launch_network_table, &after);
		return r;
	}
	names_files_change(&monitor->launch, &monitor->legs);
	json_finish(&launch_network_table, &monitor->legs);
	monitor->legs = after;
	tell_ports(monitor);
	state_save(monitor);
	r = network_check_home(resolve_open(monitor, netns_fd, reterr));
	resolve_renew(monitor);
	return r;
}

int network_restore(struct monitor *monitor, struct err **reterr)
{
	int r = egress_restore(monitor, reterr);
	foreign_check(monitor);
	return r == 0 && monitor->is_published ? publish(monitor, reterr) : r;
}

void network_clear_leftovers(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;
	struct network_table table;
	egress_clear_leftovers(monitor);
	if (strv_count(monitor->shape.detours) == 0 && monitor_need_launch(monitor, NULL) == 0)
		shape_clear(&monitor->launch.network);
	foreign_clear_leftovers(monitor);
	if (monitor->state.port_count == 0 || monitor->is_published)
		return;
	int r = network_table_open(monitor, &table, &err);
	if (r == 0)
		r = table_owner_remove(table.netlink, table.name, table.owner, &err);
	if (r < 0)
		log_error("published ports are left behind: %s", err_message(err));
	runstate_set_ports(&monitor->state, NULL, 0);
}

void network_forget(struct monitor *monitor)
{
	resolve_close(monitor);
	spliced_close(monitor);
	unpublish(monitor);
	shape_end(&monitor->shape);
	egress_end(monitor);
	foreign_end(monitor);
	published_release(&monitor->published);
	runstate_set_ports(&monitor->state, NULL, 0);
	json_finish(&launch_network_table, &monitor->legs);
}
