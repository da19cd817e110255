#include "spec/lease.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "spec/oci_check.h"

#define OWNER "tare "

#define PORT_MAX 65535
#define MTU_MAX  65535

static const struct json_field lease_port_fields[] = {
	JSON_FIELD(struct lease_port, proto, "proto", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_port, host_ip, "host_ip", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_port, host_port, "host_port", JSON_INT),
	JSON_FIELD(struct lease_port, choices, "choices", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_port, container_port, "container_port", JSON_INT),
	JSON_FIELD(struct lease_port, count, "count", JSON_INT),
	JSON_FIELD(struct lease_port, through_input, "through_input", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table lease_port_table = JSON_TABLE(struct lease_port, lease_port_fields);

static const struct json_field lease_address_fields[] = {
	JSON_FIELD(struct lease_address, address, "address", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_address, prefix, "prefix", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_address, gateway, "gateway", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_address, is_default, "default", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table lease_address_table = JSON_TABLE(struct lease_address, lease_address_fields);

static const struct json_field lease_cni_fields[] = {
	JSON_FIELD(struct lease_cni, conf, "conf", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_cni, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_cni, timeout_s, "timeout_s", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_cni, ips, "ips", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table lease_cni_table = JSON_TABLE(struct lease_cni, lease_cni_fields);

static const struct json_field lease_endpoint_fields[] = {
	JSON_FIELD(struct lease_endpoint, network_id, "network_id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, network, "network", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, endpoint_id, "endpoint_id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, driver, "driver", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, parent, "parent", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, cni, "cni", JSON_OBJECT_FIELD, .table = &lease_cni_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, mode, "mode", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, flag, "flag", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, interface, "interface", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_endpoint, host_interface, "host_interface", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, mac, "mac", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, ipv4, "ipv4", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, ipv6, "ipv6", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, link_local, "link_local", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, mtu, "mtu", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, internal, "internal", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, isolated, "isolated", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, resolves, "resolves", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, names, "names", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, links, "links", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_endpoint, sysctls, "sysctls", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct lease_endpoint, ports, port_count, "ports", JSON_OBJECTS, .table = &lease_port_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table lease_endpoint_table = JSON_TABLE(struct lease_endpoint, lease_endpoint_fields);

static const struct json_field lease_bridge_fields[] = {
	JSON_FIELD(struct lease_bridge, network_id, "network_id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_bridge, network, "network", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_bridge, kind, "kind", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, bridge, "bridge", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct lease_bridge, ipv4, "ipv4", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, ipv6, "ipv6", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, mtu, "mtu", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, internal, "internal", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, isolated, "isolated", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, masquerade, "masquerade", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, no_forward, "no_forward", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct lease_bridge, foreign, "foreign", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table lease_bridge_table = JSON_TABLE(struct lease_bridge, lease_bridge_fields);

static int bad(struct err **reterr, const char *path, const char *member, const char *what, const char *value)
{
	return err_set(reterr, ERR_INVALID, 0, "%s.%s: %s \"%s\"", path, member, what,
		value ? oci_printable(value) : "");
}

static bool is_set(const char *text)
{
	return text && text[0];
}

void lease_owner(const char *exec_root, char out[static LEASE_OWNER_SIZE])
{
	snprintf(out, LEASE_OWNER_SIZE, OWNER "%.200s", exec_root);
}

bool lease_is_owner(const char *alias)
{
	return strncmp(alias, OWNER, strlen(OWNER)) == 0;
}

bool lease_is_interface(const char *name)
{
	size_t len = strlen(name);
	if (len == 0 || len >= LEASE_INTERFACE_SIZE || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (; *name; name++) {
		if (!isgraph((unsigned char)*name) || *name == '/' || *name == '%' || *name == ':')
			return false;
	}
	return true;
}

static bool is_of_family(const char *text, bool is_v6)
{
	struct inet_address address;
	return inet_parse(text, &address) == 0 && address.is_v6 == is_v6;
}

static int check_address(const struct lease_address *address, bool is_v6, const char *path, struct err **reterr)
{
	const char *family = is_v6 ? "ipv6" : "ipv4";
	if (is_set(address->address) && !is_of_family(address->address, is_v6))
		return bad(reterr, path, family, "not an address of this family:", address->address);
	if (address->prefix < 0 || address->prefix > (is_v6 ? 128 : 32))
		return bad(reterr, path, family, "the prefix is out of range for", address->address);
	if (is_set(address->gateway) && !is_of_family(address->gateway, is_v6))
		return bad(reterr, path, family, "not a gateway of this family:", address->gateway);
	return 0;
}

static int check_port(const struct lease_port *port, const char *path, struct err **reterr)
{
	struct inet_address address;
	if (!OCI_IS_ONE_OF(port->proto, "tcp", "udp", "sctp"))
		return bad(reterr, path, "ports", "unknown protocol", port->proto);
	if (inet_parse(port->host_ip, &address) < 0)
		return bad(reterr, path, "ports", "not an address:", port->host_ip);
	int64_t span = port->choices > 1 ? port->choices : port->count;
	bool chooses = port->host_port == 0 || port->choices > 1;
	if (port->count < 1 || port->count > PORT_MAX || (chooses && port->count > 1) || port->choices < 0 ||
		port->choices > PORT_MAX || (port->host_port == 0 && port->choices > 1) || port->host_port < 0 ||
		port->host_port > PORT_MAX + 1 - span || port->container_port < 1 ||
		port->container_port > PORT_MAX + 1 - port->count)
		return bad(reterr, path, "ports", "out of range at", port->host_ip);
	return 0;
}

static int check_ports(const struct lease_endpoint *endpoint, const char *path, struct err **reterr)
{
	if (endpoint->port_count > LEASE_PORTS_MAX)
		return bad(reterr, path, "ports", "too many for", endpoint->network);
	for (size_t i = 0; i < endpoint->port_count; i++) {
		int r = check_port(&endpoint->ports[i], path, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

void lease_derive_mac(const char *ipv4, const char *ipv6, uint8_t ret[INET_MAC_BYTES])
{
	struct inet_address address = { 0 };
	memcpy(ret, (const uint8_t[INET_MAC_BYTES]){ 0x02, 0x42 }, INET_MAC_BYTES);
	if (inet_parse(is_set(ipv4) ? ipv4 : is_set(ipv6) ? ipv6 : "0.0.0.0", &address) == 0)
		memcpy(ret + 2, address.bytes + inet_bytes(&address) - 4, 4);
}

bool lease_is_cni(const struct lease_endpoint *endpoint)
{
	return endpoint->driver && strcmp(endpoint->driver, "cni") == 0;
}

static int check_cni(const struct lease_cni *cni, const char *path, struct err **reterr)
{
	if (!is_set(cni->conf) || cni->conf[0] != '/')
		return bad(reterr, path, "cni", "not an absolute path:", cni->conf);
	if (!is_set(cni->path))
		return bad(reterr, path, "cni", "no folders with plugins for", cni->conf);
	if (cni->timeout_s < 1 || cni->timeout_s > LEASE_CNI_TIMEOUT_MAX_S)
		return bad(reterr, path, "cni", "the timeout is out of range for", cni->conf);
	return 0;
}

static int check_link(const struct lease_endpoint *endpoint, const char *path, struct err **reterr)
{
	uint8_t mac[INET_MAC_BYTES];
	bool is_bridge = strcmp(endpoint->driver, "bridge") == 0;
	if (!OCI_IS_ONE_OF(endpoint->driver, "bridge", "macvlan", "ipvlan", "cni"))
		return bad(reterr, path, "driver", "unknown driver", endpoint->driver);
	if (!lease_is_interface(endpoint->interface))
		return bad(reterr, path, "interface", "not an interface's name:", endpoint->interface);
	if (lease_is_cni(endpoint))
		return check_cni(&endpoint->cni, path, reterr);
	if (!lease_is_interface(endpoint->parent))
		return bad(reterr, path, "parent", "not an interface's name:", endpoint->parent);
	if (is_bridge != is_set(endpoint->host_interface) ||
		(is_bridge && (!lease_is_interface(endpoint->host_interface) ||
				      strlen(endpoint->host_interface) + LEASE_HOST_INTERFACE_DIGITS >=
					      LEASE_INTERFACE_SIZE)))
		return bad(reterr, path, "host_interface", "not an interface's name:", endpoint->host_interface);
	if (is_set(endpoint->mac) && inet_parse_mac(endpoint->mac, mac) < 0)
		return bad(reterr, path, "mac", "not a MAC address:", endpoint->mac);
	if (is_set(endpoint->mode) &&
		!OCI_IS_ONE_OF(endpoint->mode, "bridge", "private", "vepa", "passthru", "l2", "l3", "l3s"))
		return bad(reterr, path, "mode", "unknown mode", endpoint->mode);
	if (is_set(endpoint->flag) && !OCI_IS_ONE_OF(endpoint->flag, "bridge", "private", "vepa"))
		return bad(reterr, path, "flag", "unknown flag", endpoint->flag);
	return 0;
}

static int check_network(const char *id, int64_t mtu, const char *path, struct err **reterr)
{
	if (!is_hex(id, 64))
		return bad(reterr, path, "network_id", "not a network ID:", id);
	if (mtu < 0 || mtu > MTU_MAX)
		return bad(reterr, path, "mtu", "out of range for", id);
	return 0;
}

int lease_endpoint_validate(const struct lease_endpoint *endpoint, const char *path, struct err **reterr)
{
	int r = check_network(endpoint->network_id, endpoint->mtu, path, reterr);
	if (r == 0 && !is_hex(endpoint->endpoint_id, 64))
		r = bad(reterr, path, "endpoint_id", "not an endpoint ID:", endpoint->endpoint_id);
	if (r == 0)
		r = check_link(endpoint, path, reterr);
	if (r == 0)
		r = check_address(&endpoint->ipv4, false, path, reterr);
	if (r == 0)
		r = check_address(&endpoint->ipv6, true, path, reterr);
	strv_foreach (address, endpoint->link_local) {
		struct inet_subnet subnet;
		if (r == 0 && inet_parse_subnet(*address, &subnet) < 0)
			r = bad(reterr, path, "link_local", "not an address with its prefix:", *address);
	}
	return r < 0 ? r : check_ports(endpoint, path, reterr);
}

int lease_bridge_validate(const struct lease_bridge *bridge, const char *path, struct err **reterr)
{
	int r = check_network(bridge->network_id, bridge->mtu, path, reterr);
	if (r == 0 && is_set(bridge->kind) && !OCI_IS_ONE_OF(bridge->kind, LEASE_PARENT_VLAN, LEASE_PARENT_DUMMY))
		r = bad(reterr, path, "kind", "unknown kind", bridge->kind);
	if (r == 0 && bridge->bridge[0] && !lease_is_interface(bridge->bridge))
		r = bad(reterr, path, "bridge", "not an interface's name:", bridge->bridge);
	if (r == 0)
		r = check_address(&bridge->ipv4, false, path, reterr);
	return r < 0 ? r : check_address(&bridge->ipv6, true, path, reterr);
}
