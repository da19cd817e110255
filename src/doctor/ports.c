/* The published ports of containers that run: from where each is reached, and why not from elsewhere. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "base/io.h"
#include "doctor/report.h"
#include "network/published.h"
#include "spec/launch.h"
#include "spec/runstate.h"
#include "sys/links.h"
#include "sys/namespaces.h"
#include "sys/port_holder.h"

#define SECTION   "ports"
#define OWNER_LEN 12 /* of an ID, as the table has it */
#define WHY_MAX   256
#define YES       "yes"

struct container {
	struct examination *examination;
	const char *id;
	struct launch launch;
	struct runstate state;
	int netns_fd;
};

struct way {
	const struct lease_endpoint *endpoint; /* NULL: it has none with a way out */
	const struct lease_port *port;
	struct inet_address host;
	bool is_spliced;
	char why_none[WHY_MAX]; /* nobody gets there, since; "" */
	char remedy[WHY_MAX];
};

static bool is_set(const char *text)
{
	return text && text[0];
}

/* --- what is in the way --- */

struct own_address {
	const struct inet_address *wanted;
	bool is_there;
};

static int look_for_address(int index, const struct inet_subnet *address, void *user)
{
	struct own_address *own = user;
	(void)index;
	own->is_there |= inet_equal(&address->address, own->wanted);
	return 0;
}

static bool is_any(const struct inet_address *address)
{
	return inet_equal(address, &(struct inet_address){ .is_v6 = address->is_v6 });
}

static bool is_loopback(const struct inet_address *address)
{
	const struct inet_address v6 = { .is_v6 = true, .bytes = { [15] = 1 } };
	return address->is_v6 ? inet_equal(address, &v6) : address->bytes[0] == 127;
}

static void check_host_address(const struct container *container, struct way *way)
{
	struct own_address own = { .wanted = &way->host };
	if (is_any(&way->host) || is_loopback(&way->host) ||
		addresses_each(&container->examination->route, look_for_address, &own) < 0 || own.is_there)
		return;
	snprintf(way->why_none, sizeof(way->why_none), "the host has no address %s any more", way->port->host_ip);
	snprintf(way->remedy, sizeof(way->remedy),
		"tare update --publish-rm and --publish-add, or give the host that address");
}

/* Whether the table leads there. */
static void check_table(const struct container *container, struct way *way)
{
	struct examination *examination = container->examination;
	const struct lease_endpoint only = {
		.driver = (char *)"bridge", .ports = (struct lease_port *)way->port, .port_count = 1
	};
	const struct lease_address *own = way->endpoint ? way->host.is_v6 ? &way->endpoint->ipv6 : &way->endpoint->ipv4
							: NULL;
	char owner[TABLE_OWNER_SIZE] = "";
	if (!examination->rules || way->is_spliced || !own || !is_set(own->address) ||
		(way->host.is_v6 && is_loopback(&way->host)))
		return;
	int r = table_port_owner(&examination->netfilter, examination->table, &only, 1, NULL, owner);
	if (r == 0 && strncmp(owner, container->id, OWNER_LEN) == 0)
		return;
	snprintf(way->why_none, sizeof(way->why_none),
		r == 0 ? "the table %s leads to another container" : "it is not in the table %s", examination->table);
	snprintf(way->remedy, sizeof(way->remedy), "tare restart %s", container->launch.name);
}

static int protocol_of(const struct lease_port *port)
{
	return strcmp(port->proto, "udp") == 0    ? IPPROTO_UDP
	       : strcmp(port->proto, "sctp") == 0 ? IPPROTO_SCTP
						  : IPPROTO_TCP;
}

static void check_program(const struct container *container, struct way *way)
{
	const struct lease_endpoint *endpoint = way->endpoint;
	const char *own = way->host.is_v6 && endpoint && is_set(endpoint->ipv6.address) ? endpoint->ipv6.address
			  : endpoint                                                    ? endpoint->ipv4.address
											: NULL;
	struct inet_address address;
	if (container->netns_fd < 0 || !is_set(own) || inet_parse(own, &address) < 0)
		return;
	int r = port_is_served(container->netns_fd, protocol_of(way->port), &address,
		(uint16_t)way->port->container_port);
	if (r == -ENOENT)
		snprintf(way->why_none, sizeof(way->why_none), "nothing in the container listens on port %lld",
			(long long)way->port->container_port);
	else if (r == -EADDRNOTAVAIL)
		snprintf(way->why_none, sizeof(way->why_none),
			"the program in the container listens on port %lld of its own loopback or another address, not on %s",
			(long long)way->port->container_port, own);
	else if (r == -ENOTRECOVERABLE)
		abort(); /* lost in the container's namespace */
	if (way->why_none[0])
		snprintf(way->remedy, sizeof(way->remedy), "have the program listen on %s",
			address.is_v6 ? "::" : "0.0.0.0");
}

/* --- from where --- */

/* A foreign rule in the way is named there; here it is said that there is one. */
static bool is_let_in(const struct container *container, const struct way *way)
{
	const struct lease_endpoint *endpoint = way->endpoint;
	struct inet_address to;
	uint8_t protocol = (uint8_t)protocol_of(way->port);
	if (way->is_spliced)
		return rules_let_in(container->examination, NULL, &way->host, protocol, (uint16_t)way->port->host_port);
	const char *own = endpoint ? way->host.is_v6 ? endpoint->ipv6.address : endpoint->ipv4.address : NULL;
	return !is_set(own) || inet_parse(own, &to) < 0 ||
	       rules_let_in(container->examination, endpoint->parent, &to, protocol,
		       (uint16_t)way->port->container_port);
}

static void from_outside(const struct container *container, const struct way *way, char *out)
{
	const struct examination *examination = container->examination;
	bool forwards = way->host.is_v6 ? examination->forwards_v6 : examination->forwards_v4;
	if (is_loopback(&way->host))
		snprintf(out, WHY_MAX, "no: published on %s, which is for the host alone", way->port->host_ip);
	else if (!way->is_spliced && !forwards)
		snprintf(out, WHY_MAX, "no: the host forwards no packets");
	else if (!is_let_in(container, way))
		snprintf(out, WHY_MAX, "no: a foreign rule drops it");
	else
		snprintf(out, WHY_MAX, way->is_spliced ? YES ", with the network's gateway as the client" : YES);
}

static json_t *describe(const struct container *container, const struct way *way)
{
	char outside[WHY_MAX], host[WHY_MAX], others[WHY_MAX], none[WHY_MAX + 8];
	from_outside(container, way, outside);
	snprintf(host, sizeof(host), YES);
	snprintf(others, sizeof(others),
		is_loopback(&way->host) ? "no: published on %s, which is for the host alone" : YES, way->port->host_ip);
	snprintf(none, sizeof(none), "no: %s", way->why_none);
	bool is_none = way->why_none[0];
	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s}", "Container", container->launch.name, "HostIp",
		way->port->host_ip, "HostPort", (json_int_t)way->port->host_port, "ContainerPort",
		(json_int_t)way->port->container_port, "Count", (json_int_t)way->port->count, "Protocol",
		way->port->proto, "Outside", is_none ? none : outside, "Host", is_none ? none : host, "OtherNetworks",
		is_none ? none : others);
}

/* Of the host's address's family, or what is spliced to. */
static const struct lease_endpoint *endpoint_of(const struct container *container, bool is_v6)
{
	const struct launch_network *network = &container->launch.network;
	const struct lease_endpoint *found = NULL;
	for (size_t i = 0; i < network->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &network->endpoints[i];
		if (is_v6 ? endpoint->ipv6.is_default : endpoint->ipv4.is_default)
			return endpoint;
		if (is_v6 ? endpoint->ipv4.is_default : endpoint->ipv6.is_default)
			found = endpoint;
	}
	return found;
}

static void examine_port(const struct container *container, const struct lease_port *port)
{
	struct way way = { .port = port };
	struct examination *examination = container->examination;
	if (inet_parse(port->host_ip, &way.host) < 0)
		return;
	way.endpoint = endpoint_of(container, way.host.is_v6);
	const char *own = !way.endpoint    ? NULL
			  : way.host.is_v6 ? way.endpoint->ipv6.address
					   : way.endpoint->ipv4.address;
	way.is_spliced = way.endpoint && published_is_spliced(way.endpoint, port) &&
			 (port->through_input || !is_set(own));
	check_host_address(container, &way);
	if (!way.why_none[0])
		check_table(container, &way);
	if (!way.why_none[0])
		check_program(container, &way);
	json_array_append_new(json_object_get(examination->report, "Ports"), describe(container, &way));
	if (way.why_none[0])
		report_mend(examination, SECTION, way.remedy, "%s: nobody reaches %s port %lld/%s: %s",
			container->launch.name, port->host_ip, (long long)port->host_port, port->proto, way.why_none);
}

/* --- containers --- */

static int load(int folder_fd, struct container *container)
{
	_cleanup_(buf_finish) struct buf launch = BUF_INIT(LAUNCH_MAX);
	_cleanup_(buf_finish) struct buf state = BUF_INIT(RUNSTATE_MAX);
	int r = io_read_file(folder_fd, "launch.json", &launch);
	if (r == 0)
		r = io_read_file(folder_fd, "state.json", &state);
	if (r == 0)
		r = launch_parse(launch.data ?: "", launch.len, &container->launch, NULL);
	if (r < 0)
		return r;
	r = runstate_parse(state.data ?: "", state.len, &container->state, NULL);
	if (r < 0)
		launch_finish(&container->launch);
	return r;
}

static void examine_container(struct examination *examination, int folder_fd, const char *id)
{
	struct container container = { .examination = examination, .id = id, .netns_fd = -1 };
	char path[64];
	if (load(folder_fd, &container) < 0)
		return;
	if (runstate_is_running(&container.state) && container.state.port_count > 0) {
		snprintf(path, sizeof(path), "/proc/%lld/ns/net", (long long)container.state.pid);
		container.netns_fd = namespace_open(path, CLONE_NEWNET);
		for (size_t i = 0; i < container.state.port_count; i++)
			examine_port(&container, &container.state.ports[i]);
		fd_close(&container.netns_fd);
	}
	launch_finish(&container.launch);
	runstate_finish(&container.state);
}

/* --- segments --- */

struct narrow {
	const struct link_info *lo;
	struct link_info bridge; /* the first that lets through less */
};

static int take_narrow(const struct link_info *link, void *user)
{
	struct narrow *narrow = user;
	if (narrow->bridge.index == 0 && strcmp(link->kind, "bridge") == 0 && link->segment < narrow->lo->segment &&
		!lease_is_owner(link->alias))
		narrow->bridge = *link;
	return 0;
}

/* Ours are made like lo; what goes from lo to others' (docker0, cni0) is cut up where that lets through more than they do. */
static void examine_segments(struct examination *examination)
{
	struct link_info lo;
	struct narrow narrow = { .lo = &lo };
	if (link_find(&examination->route, "lo", &lo) < 0 || lo.segment <= LEASE_SEGMENT_USUAL)
		return;
	links_each(&examination->route, take_narrow, &narrow);
	if (narrow.bridge.index)
		report_note(examination, SECTION,
			"lo lets through segments of %u bytes and the bridge %s of %u: what this host sends to ports that are "
			"published behind it is cut up in software",
			lo.segment, narrow.bridge.name, narrow.bridge.segment);
}

void examine_ports(struct examination *examination)
{
	examine_segments(examination);
	_autoclose_ int root = open(examination->options->exec_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = root < 0 ? -1 : openat(root, "containers", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		_autoclose_ int folder = openat(dirfd(dir), entry->d_name,
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder >= 0)
			examine_container(examination, folder, entry->d_name);
	}
	closedir(dir);
	size_t count = json_array_size(json_object_get(examination->report, "Ports"));
	if (count > 0)
		report_ok(examination, SECTION, "%zu published port%s of containers that run", count,
			count == 1 ? "" : "s");
}
