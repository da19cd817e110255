/*
 * What the machine's administrator says of registries and networks: daemon.json, with Docker's keys, and options of tared's
 * (spec/engine_flags.h). It is read once, at the engine's start; a file that is not understood as a whole stops the start, since half of
 * it could mean plain HTTP where TLS was wanted, or a network where none was.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"
#include "network/ipam.h"
#include "spec/system_info.h"

#define SETTINGS_DEFAULT_FILE "/etc/tare/daemon.json"

#define SETTINGS_POOLS_MAX 64
#define SETTINGS_NO_BRIDGE "none"

#define SETTINGS_SYSTEMD_PARENT "system.slice"

struct settings {
	char **insecure; /* "host[:port]" or a CIDR */
	char **mirrors;  /* "http[s]://host[:port][/path]/" */
	char **exec_opts;
	bool systemd_cgroup; /* by exec_opts */

	/* The default bridge. */
	char *bridge; /* the host's own, or SETTINGS_NO_BRIDGE */
	char *default_gateway, *default_gateway_v6;
	char *ip;                         /* of published ports that name no address */
	char *bip, *bip6;                 /* its address with its prefix */
	char *fixed_cidr, *fixed_cidr_v6; /* the part of its subnet that containers get */
	bool ipv6;
	struct json_opt_bool icc, ip_masq; /* true unless set */
	int64_t mtu;                       /* 0: 1500 */

	struct json_opt_bool iptables, ip6tables, userland_proxy; /* read, and without effect */
	json_t *network_options;         /* "DRIVER": {"OPTION": "VALUE"}: of networks that are made */
	bool ports_obey_input;           /* of containers that are started from then on */
	struct json_opt_bool ip_forward; /* true unless set */
	int64_t loopback_segments;       /* 0: lo is left as it is */
	struct info_address_pool *pools; /* where networks without a subnet of their own get it */
	size_t pool_count;
	char **dns, **dns_options, **dns_search; /* of containers that have none of their own */
	char *host_gateway_ip;                   /* the older form; read into the list */
	char **host_gateway_ips;                 /* at most one of each family */
};

/* `file` NULL: the default one, which may be missing. `flags`: what was said on the command line, in the file's form; registries are
 * added to the file's, and all else may be said in one place only. */
int settings_load(const char *file, json_t *flags, struct settings *out, struct err **reterr);
void settings_finish(struct settings *settings);

/* NULL-terminated, in the order they are looked into. */
extern const char *const settings_certificate_folders[];

/* With systemd's groups, what containers are put into: "xxx.slice". */
int settings_check_slice(const char *parent, struct err **reterr);

/* The pools of a family; 0: none were given. At most SETTINGS_POOLS_MAX. */
size_t settings_supplies(const struct settings *settings, bool is_v6, struct ipam_supply out[SETTINGS_POOLS_MAX]);
static inline bool settings_truth(const struct json_opt_bool *value)
{
	return !value->set || value->value;
}

/* GET /info's RegistryConfig, a new reference; NULL when out of memory. */
json_t *settings_registry_config(const struct settings *settings);
