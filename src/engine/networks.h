/*
 * Networks: rows of engine.db, and what was decided about each: its subnets and gateways. bridge, host and none are there from
 * the first start on and can't be removed. The default bridge gets its subnet when it is first asked for anything, so
 * that an engine which nobody asks for networks takes none of the host's.
 *
 * Which addresses are in use is nowhere written: it is what the records of containers say (engine/endpoints.h).
 *
 * The bridge itself is made by tare-network (engine/network_make.h), before the first container of this engine's life starts on it.
 */
#pragma once

#include "engine/core.h"
#include "engine/filters.h"
#include "network/ipam.h"
#include "spec/lease.h"
#include "spec/network_config.h"

#define NETWORK_ID_SIZE 65
#define NETWORK_BRIDGE  "bridge"

#define NETWORK_CNI           "cni"
#define NETWORK_CNI_TIMEOUT_S 60
#define NETWORK_CNI_PATH      "/opt/cni/bin:/usr/local/libexec/cni:/usr/libexec/cni:/usr/lib/cni"

#define NETWORK_OVERLAP_TEXT "invalid pool request: Pool overlaps with other one on this address space"

/* The auxiliary address that is the way out of a network's containers, by Docker's name for it. */
#define NETWORK_WAY_OUT(is_v6_) ((is_v6_) ? "DefaultGatewayIPv6" : "DefaultGatewayIPv4")

#define NETWORK_OPTION_HOST_IP     "com.docker.network.bridge.host_binding_ipv4"
#define NETWORK_OPTION_BRIDGE_NAME "com.docker.network.bridge.name"

/* Its subnet, or its first: networks of parent interfaces may have more. */
struct network_family {
	bool on;
	struct ipam_pool pool;
	bool has_gateway;
	struct inet_address gateway; /* the bridge's own address */
	struct inet_address
		way_out; /* containers' gateway: the same, or an auxiliary address that says so by its name */
	struct inet_address *reserved; /* auxiliary addresses */
	size_t reserved_count;
	struct network_family *next;
};

struct network {
	struct engine *engine;
	struct network_info info; /* as the row has it; its containers are worked out */
	bool predefined;
	struct network_family ipv4, ipv6;
	bool made;                  /* its bridge is there, as far as we know */
	struct network_job *making; /* the helper is at it */
};

struct networks;

int networks_new(struct engine *engine, struct networks **ret, struct err **reterr);
void networks_free(struct networks *networks);

/* By ID, name, or an ID's beginning; ERR_NOT_FOUND "network X not found". Borrows. */
int networks_find(struct networks *networks, const char *reference, struct network **ret, struct err **reterr);
struct network *networks_by_id(struct networks *networks, const char *id);
/* In order of creation; `*cursor` starts at 0. */
struct network *networks_next(struct networks *networks, size_t *cursor);

bool network_is(const struct network *network, const char *driver);
/* An option of it, or NULL; and one that is a truth. */
const char *network_option(const struct network *network, const char *key);
bool network_truth(const struct network *network, const char *key, bool otherwise);
/* Of the parent interface of one that names none. */
void network_dummy_name(const struct network_info *info, char out[LEASE_INTERFACE_SIZE]);
/* The interface that its containers are on: the bridge, or the parent. "" for what has none. */
const char *network_interface(const struct network *network);

static inline const struct network_family *network_family(const struct network *network, bool is_v6)
{
	return is_v6 ? &network->ipv6 : &network->ipv4;
}
/* The subnet that has the address; the first if none has. */
const struct network_family *network_family_of(const struct network *network, const struct inet_address *address);
const struct network_family *network_family_of_text(const struct network *network, bool is_v6, const char *address);

/* A container that lives is on it. */
bool network_is_used(const struct network *network);

/* --- rows --- */

/* -ENOMEM */
int network_info_set_option(struct network_info *info, const char *key, const char *value);
void network_pool_finish(struct network_ipam_pool *pool);
/* Of networks of the same driver, itself apart. */
int networks_check_overlap(struct networks *networks, const struct network_info *info, struct err **reterr);
/* Exchanges it with `info`, in the database too; nobody may be on it. */
int network_replace_info(struct network *network, struct network_info *info, struct err **reterr);

/* Whatever the network still has to get before it can be used or shown. */
int network_settle(struct network *network, struct err **reterr);

/* The row and the memory; `create` is taken apart. The bridge is not made yet. */
int networks_create(struct networks *networks, struct network_create *create, struct network **ret,
	struct err **reterr);
/* Whether it may be removed: ERR_FORBIDDEN for a predefined one, or one with running containers. */
int network_check_unused(struct network *network, struct err **reterr);
/* The row and the memory; tells the event. The bridge is removed behind it. */
int networks_remove(struct network *network, struct err **reterr);

/* Its row stays, and nobody finds it while this engine lives. */
void networks_hide(struct network *network);
/* One that could not be made: without an event. */
void networks_drop(struct network *network);

/* What is said about it. "connect" and "disconnect" with a container, else NULL. */
struct container;
void network_tell(const struct network *network, const char *action, const struct container *container);

/* --- documents, new references --- */

/* `with_containers`: as GET /networks/ID has it, for a list without. */
int network_document(struct network *network, bool with_containers, json_t **ret, struct err **reterr);
extern const char *const networks_list_filters[];
int networks_list(struct networks *networks, const struct filters *filters, json_t **ret, struct err **reterr);
extern const char *const networks_prune_filters[];
int networks_prune(struct networks *networks, const struct filters *filters, json_t **ret, struct err **reterr);
