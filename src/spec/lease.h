/*
 * Leases: what the engine decided about networks, written down so that it can be made, and made again, without asking.
 *
 *	struct lease_endpoint  one container's place on one network: in launch.json (launch.network.endpoints, by order of
 *	                       interfaces), in the monitor's operations network-connect and network-disconnect. The monitor makes the
 *	                       container's leg from it (network/leg.h)
 *	struct lease_bridge    one network's bridge and rules: the engine's job for tare-network
 *
 * Addresses are text in the form that inet_print makes; an empty string (or an absent member) is none.
 */
#pragma once

#include "base/inet.h"
#include "codec/json.h"

#define LEASE_ENDPOINTS_MAX     256
#define LEASE_PORTS_MAX         65536
#define LEASE_CNI_TIMEOUT_MAX_S 600
/* Of an interface's name, with its NUL: IF_NAMESIZE. */
#define LEASE_INTERFACE_SIZE 16
/* Each start makes its own of host_interface: the one before may still be on its way out. */
#define LEASE_HOST_INTERFACE_DIGITS 6

/* Ports host_port to host_port + count - 1 of the host go to container_port to container_port + count - 1. Where the monitor is to
 * choose (network/published.h), count is 1. */
struct lease_port {
	char *proto;       /* tcp, udp, sctp */
	char *host_ip;     /* 0.0.0.0 or :: for all of a family */
	int64_t host_port; /* 0: any of the host's ephemeral ones */
	int64_t choices;   /* more than 1: any of as many from host_port on */
	int64_t container_port;
	int64_t count; /* at least 1 */
	bool through_input; /* never by the table: the host's own socket has it, and the host's rules for input (network/splice.h) */
};

struct lease_address {
	char *address; /* the container's own; absent: none of this family */
	int64_t prefix;
	char *gateway;   /* absent: no way out by this endpoint */
	bool is_default; /* the container's default route goes by that gateway */
};

/* How a network of driver cni is joined (network/cni.h). */
struct lease_cni {
	char *conf; /* absolute path of the administrator's list of plugins */
	char *path; /* folders with plugins, colons between */
	int64_t timeout_s;
	char **ips; /* that are wished for */
};

struct lease_endpoint {
	char *network_id; /* 64 hex digits */
	char *network;    /* name */
	char *endpoint_id;
	char *driver; /* bridge, macvlan, ipvlan, cni */
	char *parent; /* name of the bridge, or of the parent interface; "": cni */
	struct lease_cni cni;
	char *mode; /* of macvlan (bridge, private, vepa, passthru) and ipvlan (l2, l3, l3s); absent: the kernel's */
	char *flag; /* of ipvlan: bridge, private, vepa; absent: bridge */
	char *interface;      /* in the container: eth0 */
	char *host_interface; /* bridge: how the name of the veth's end at the host begins */
	char *mac;            /* absent: ipvlan has its parent's */
	struct lease_address ipv4;
	struct lease_address ipv6;
	char **link_local; /* further addresses, in the form of a subnet */
	int64_t mtu;       /* 0: the kernel's choice */
	bool internal;
	bool isolated;            /* icc=false: no talk with others of the network */
	bool resolves;            /* names of the network are answered by 127.0.0.11 (not on the default bridge) */
	char **names;             /* that others on the network know it by: its own, aliases, the short ID */
	char **links;             /* "alias=name": what it alone calls others on its networks */
	struct map *sysctls;      /* net.ipv4.conf.IFNAME.x, with IFNAME as it is */
	struct lease_port *ports; /* published on this endpoint: the one that has the gateway */
	size_t port_count;
};

/* A network's bridge with its rules; `bridge` "" or driver macvlan or ipvlan: nothing is to be made but rules. */
#define LEASE_PARENT_VLAN  "vlan"
#define LEASE_PARENT_DUMMY "dummy"

struct lease_bridge {
	char *network_id;
	char *network;
	char *kind;                /* absent: a bridge; of a parent interface that may have to be made: vlan, dummy */
	char *bridge;              /* interface */
	struct lease_address ipv4; /* of the bridge itself: the network's gateway; prefix is the subnet's */
	struct lease_address ipv6;
	int64_t mtu;
	bool internal;
	bool isolated;
	bool masquerade;
	bool no_forward; /* the host's forwarding is left as it is */
	bool foreign; /* the interface is the user's own (com.docker.network.bridge.name of one that was there): never deleted */
};

extern const struct json_table lease_address_table;
extern const struct json_table lease_port_table;
extern const struct json_table lease_endpoint_table;
extern const struct json_table lease_bridge_table;

/* What who makes legs and rules relies on: addresses, MACs, interface names, known words, ranges. `path` begins the
 * sentence. */
int lease_endpoint_validate(const struct lease_endpoint *endpoint, const char *path, struct err **reterr);
int lease_bridge_validate(const struct lease_bridge *bridge, const char *path, struct err **reterr);

bool lease_is_cni(const struct lease_endpoint *endpoint);

/* The Ethernet address of who asks for none: of its address, so that what others remember of who has that stays right. */
void lease_derive_mac(const char *ipv4, const char *ipv6, uint8_t ret[INET_MAC_BYTES]);

/* What interfaces of an engine's making have as their alias: whose they are. */
#define LEASE_OWNER_SIZE 256
void lease_owner(const char *exec_root, char out[static LEASE_OWNER_SIZE]);
/* Some engine's. */
bool lease_is_owner(const char *alias);

/* Bytes of a TCP stream that go through an interface in one piece: as the kernel has it, and the most that it takes. */
#define LEASE_SEGMENT_USUAL 65536
#define LEASE_SEGMENT_MAX   524280

/* An interface's name as the kernel takes it: 1 to 15 bytes, no slash, no space, not "." or "..", no control character, no
 * "%" (which it would count up) and no ":" (an alias). */
bool lease_is_interface(const char *name);
