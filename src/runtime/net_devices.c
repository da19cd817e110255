#include "runtime/net_devices.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "sys/links.h"
#include "sys/namespaces.h"

#define ADDRESSES_MAX 64

struct device {
	int index;
	struct inet_subnet addresses[ADDRESSES_MAX];
	size_t address_count;
};

struct site {
	struct netlink host, inside;
	int netns_fd;
};

static const char *name_inside(const struct map_entry *entry)
{
	const struct oci_net_device *device = entry->value;

	return device->name && *device->name ? device->name : entry->key;
}

static int open_namespace(const struct oci_spec *spec, pid_t pid, struct err **reterr)
{
	const struct oci_namespace *network = oci_spec_namespace(spec, "network");
	char of_pid[64];

	snprintf(of_pid, sizeof(of_pid), "/proc/%d/ns/net", pid);
	const char *path = network && network->path && *network->path ? network->path : of_pid;
	int fd = namespace_open(path, CLONE_NEWNET);
	return fd < 0 ? err_errno(reterr, fd, "cannot open the network namespace %s", path) : fd;
}

static int site_open(struct site *site, const struct oci_spec *spec, pid_t pid, struct err **reterr)
{
	site->netns_fd = open_namespace(spec, pid, reterr);
	if (site->netns_fd < 0)
		return site->netns_fd;
	int r = netlink_open(&site->host, NETLINK_ROUTE);
	if (r == 0)
		r = netlink_open_in(&site->inside, NETLINK_ROUTE, site->netns_fd);
	return r < 0 ? err_errno(reterr, r, "cannot talk to the kernel about network devices") : 0;
}

static void site_close(struct site *site)
{
	netlink_close(&site->host);
	netlink_close(&site->inside);
	fd_close(&site->netns_fd);
}

static int check(struct site *site, const struct map_entry *entry, struct err **reterr)
{
	struct link_info link;
	int r = link_find(&site->host, entry->key, &link);

	if (r < 0)
		return err_errno(reterr, r, "linux.netDevices: cannot find the network device %s", entry->key);
	return link_find(&site->inside, name_inside(entry), &link) == 0
		       ? err_set(reterr, ERR_CONFLICT, EEXIST,
				 "linux.netDevices: the container's network namespace has a device %s already",
				 name_inside(entry))
		       : 0;
}

static bool is_link_local(const struct inet_address *address)
{
	return address->is_v6 && address->bytes[0] == 0xfe && (address->bytes[1] & 0xc0) == 0x80;
}

static int note_address(int index, const struct inet_subnet *address, void *user)
{
	struct device *device = user;

	if (index != device->index || is_link_local(&address->address))
		return 0;
	if (device->address_count == ADDRESSES_MAX)
		return -E2BIG;
	device->addresses[device->address_count++] = *address;
	return 0;
}

static int equip(struct netlink *inside, const struct device *device, int index)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;

	for (size_t i = 0; i < device->address_count; i++)
		link_put_address(&request, index, &device->addresses[i]);
	link_put_up(&request, index, true);
	return netlink_transact(inside, &request);
}

static int move(struct site *site, const struct map_entry *entry, struct err **reterr)
{
	_cleanup_(netlink_request_finish) struct netlink_request request = NETLINK_REQUEST;
	struct device device = { 0 };
	struct link_info link;
	int r = link_find(&site->host, entry->key, &link);

	device.index = link.index;
	if (r == 0)
		r = addresses_each(&site->host, note_address, &device);
	if (r < 0)
		return err_errno(reterr, r, "linux.netDevices: cannot read what %s is", entry->key);
	link_put_move(&request, link.index, site->netns_fd, name_inside(entry));
	r = netlink_transact(&site->host, &request);
	if (r < 0)
		return err_errno(reterr, r, "linux.netDevices: cannot move %s into the container as %s", entry->key,
			name_inside(entry));
	r = link_find(&site->inside, name_inside(entry), &link);
	if (r == 0)
		r = equip(&site->inside, &device, link.index);
	return r < 0 ? err_errno(reterr, r, "linux.netDevices: cannot set up %s in the container", name_inside(entry))
		     : 0;
}

int net_devices_move(const struct oci_spec *spec, pid_t pid, struct err **reterr)
{
	const struct map *devices = spec->linux_config.net_devices;
	_cleanup_(site_close) struct site site = { NETLINK_NONE, NETLINK_NONE, -1 };
	struct map_entry *entry;

	if (!devices || map_count(devices) == 0)
		return 0;
	int r = site_open(&site, spec, pid, reterr);
	map_foreach (entry, devices)
		r = r < 0 ? r : check(&site, entry, reterr);
	map_foreach (entry, devices)
		r = r < 0 ? r : move(&site, entry, reterr);
	return r;
}
