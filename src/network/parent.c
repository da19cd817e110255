#include "network/parent.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "sys/links.h"

#define VLAN_MAX 4094

int parent_parse_vlan(const char *name, size_t *ret_len, unsigned *ret_number)
{
	const char *dot = strrchr(name, '.');
	uint64_t number;
	if (!dot || dot == name || parse_u64(dot + 1, VLAN_MAX, &number) < 0 || number == 0)
		return -EINVAL;
	*ret_len = (size_t)(dot - name);
	*ret_number = (unsigned)number;
	return 0;
}

static int failed(const struct netlink *netlink, int r, const struct lease_bridge *parent, const char *what,
	struct err **reterr)
{
	return err_errno(reterr, r, "network %s: %s %s%s%s", parent->network, what, parent->bridge,
		netlink->complaint[0] ? ": " : "", netlink->complaint);
}

static int describe(struct netlink *netlink, const struct lease_bridge *parent, struct link_new *link,
	struct err **reterr)
{
	char name[LEASE_INTERFACE_SIZE] = "";
	struct link_info info;
	size_t len;
	*link = (struct link_new){ .kind = parent->kind, .name = parent->bridge, .netns_fd = -1, .up = true };
	if (strcmp(parent->kind, LEASE_PARENT_VLAN) != 0)
		return 0;
	if (parent_parse_vlan(parent->bridge, &len, &link->vlan) < 0 || len >= sizeof(name))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid subinterface vlan name %s, example formatting is eth0.10", parent->bridge);
	memcpy(name, parent->bridge, len);
	int r = link_find(netlink, name, &info);
	if (r == -ENODEV)
		return err_set(reterr, ERR_NOT_FOUND, ENODEV, "network %s: the host has no interface %s for %s",
			parent->network, name, parent->bridge);
	if (r < 0)
		return failed(netlink, r, parent, "cannot look for the interface of", reterr);
	link->parent = info.index;
	return 0;
}

static int make(struct netlink *netlink, const struct link_new *link, const char *owner)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	link_put_new(&request, link);
	link_put_alias(&request, link->name, owner);
	return netlink_transact(netlink, &request);
}

static int put_up(struct netlink *netlink, const char *name)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int r = link_find(netlink, name, &info);
	if (r < 0)
		return r;
	link_put_up(&request, info.index, true);
	return netlink_transact(netlink, &request);
}

/* For a kernel without dummies: a pair whose far end nobody has. It goes with the near one. */
static int make_pair(struct netlink *netlink, struct link_new *link, const char *owner)
{
	char name[LEASE_INTERFACE_SIZE];
	const struct link_peer peer = { .name = name, .netns_fd = -1 };
	snprintf(name, sizeof(name), "dp%s", link->name + 2);
	link->kind = "veth";
	link->peer = &peer;
	int r = make(netlink, link, owner);
	link->peer = NULL;
	return r < 0 ? r : put_up(netlink, name);
}

int parent_make(const struct lease_bridge *parent, const char *owner, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	struct link_info info;
	struct link_new link;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0 && link_find(&netlink, parent->bridge, &info) == 0)
		return 0;
	if (r < 0)
		return err_errno(reterr, r, "cannot talk to the kernel about networks");
	r = describe(&netlink, parent, &link, reterr);
	if (r < 0)
		return r;
	r = make(&netlink, &link, owner);
	if (r == -EOPNOTSUPP && strcmp(link.kind, LEASE_PARENT_DUMMY) == 0)
		r = make_pair(&netlink, &link, owner);
	if (r < 0)
		return failed(&netlink, r, parent, "cannot make the interface", reterr);
	r = put_up(&netlink, parent->bridge);
	return r < 0 ? failed(&netlink, r, parent, "cannot put up the interface", reterr) : 0;
}

int parent_remove(const char *name, const char *owner, struct err **reterr)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct link_info info;
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r < 0)
		return err_errno(reterr, r, "cannot talk to the kernel about networks");
	if (link_find(&netlink, name, &info) < 0 || strcmp(info.alias, owner) != 0)
		return 0;
	link_put_delete(&request, info.index);
	r = netlink_transact(&netlink, &request);
	return r < 0 && r != -ENODEV ? err_errno(reterr, r, "cannot remove the interface %s", name) : 0;
}
