#include "engine/network_make.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <net/if.h>

#include "base/log.h"
#include "base/parse.h"
#include "engine/network_sweep.h"
#include "engine/workers.h"
#include "spec/lease.h"

#define HELPER_ANSWER_MS 30000

struct waiter {
	struct list link;
	network_made_fn *done;
	void *user;
};

struct network_job {
	struct network *network; /* NULL: it has gone meanwhile */
	struct list waiters;
};

static bool has_bridge(const struct network *network)
{
	return network_is(network, "bridge");
}

static bool has_link(const struct network *network)
{
	return has_bridge(network) || network_is(network, "macvlan") || network_is(network, "ipvlan");
}

/* Of a parent that is not the host's: who names none has a dummy of that name. NULL: a bridge. */
static const char *kind_of(const struct network *network)
{
	char dummy[LEASE_INTERFACE_SIZE];
	network_dummy_name(&network->info, dummy);
	if (has_bridge(network))
		return NULL;
	return strcmp(network_interface(network), dummy) == 0 ? LEASE_PARENT_DUMMY : LEASE_PARENT_VLAN;
}

/* A part of an interface may be under several networks. */
static bool is_shared(const struct network *network)
{
	const struct network *other;
	for (size_t cursor = 0; (other = networks_next(network->engine->networks, &cursor));) {
		if (other != network && has_link(other) &&
			strcmp(network_interface(other), network_interface(network)) == 0)
			return true;
	}
	return false;
}

/* --- the job --- */

static void set_address(const struct network_family *family, struct lease_address *lease, char text[INET_TEXT_SIZE])
{
	if (!family->on || !family->has_gateway)
		return;
	inet_print(&family->gateway, text);
	lease->address = text;
	lease->prefix = family->pool.subnet.prefix;
}

/* The default bridge may be one that the host has. */
static bool is_host_s(const struct network *network)
{
	const char *named = network->engine->settings.bridge;
	return network->predefined && named && strcmp(network_interface(network), named) == 0;
}

static json_t *bridge_document(const struct network *network)
{
	char ipv4[INET_TEXT_SIZE], ipv6[INET_TEXT_SIZE];
	const char *mtu = network_option(network, "com.docker.network.driver.mtu");
	uint64_t mtu_value = 0;
	if (mtu && parse_u64(mtu, UINT16_MAX, &mtu_value) < 0)
		mtu_value = 0;
	struct lease_bridge bridge = { .network_id = network->info.id,
		.network = network->info.name,
		.kind = (char *)kind_of(network),
		.bridge = (char *)network_interface(network),
		.mtu = (int64_t)mtu_value,
		.internal = network->info.internal,
		.isolated = !network_truth(network, "com.docker.network.bridge.enable_icc", true),
		.masquerade = network_truth(network, "com.docker.network.bridge.enable_ip_masquerade", true),
		.foreign = is_host_s(network),
		.no_forward = !settings_truth(&network->engine->settings.ip_forward) };
	set_address(&network->ipv4, &bridge.ipv4, ipv4);
	set_address(&network->ipv6, &bridge.ipv6, ipv6);
	return json_write(&lease_bridge_table, &bridge);
}

void network_owner(const struct engine *engine, char owner[static NETWORK_OWNER_SIZE])
{
	lease_owner(engine->exec_root, owner);
}

static json_t *job_message(const struct engine *engine, json_t *make, json_t *remove)
{
	char owner[NETWORK_OWNER_SIZE];
	json_t *body = message_new("job", WORKER_REQUEST_ID);
	network_owner(engine, owner);
	message_add(body, "kind", json_string("network"));
	message_add(body, "owner", json_string(owner));
	if (make)
		message_add(body, "make", make);
	if (remove)
		message_add(body, "remove", remove);
	return body;
}

static json_t *list_of(json_t *item)
{
	json_t *list = json_array();
	json_array_append_new(list, item);
	return list;
}

/* --- waiting --- */

static void answer_all(struct network_job *job, const struct err *err)
{
	struct waiter *waiter, *next;
	list_foreach_safe (waiter, next, &job->waiters, link) {
		list_remove(&waiter->link);
		waiter->done(waiter->user, err);
		free(waiter);
	}
}

static void on_made(void *user, const struct message *answer, const struct err *err)
{
	struct network_job *job = user;
	(void)answer;
	if (job->network) {
		job->network->making = NULL;
		job->network->made = !err;
	}
	answer_all(job, err);
	free(job);
}

static int add_waiter(struct network_job *job, network_made_fn *done, void *user)
{
	struct waiter *waiter = calloc(1, sizeof(*waiter));
	if (!waiter)
		return -ENOMEM;
	waiter->done = done;
	waiter->user = user;
	list_append(&job->waiters, &waiter->link);
	return 0;
}

static int begin(struct network *network, struct err **reterr)
{
	struct network_job *job = calloc(1, sizeof(*job));
	if (!job)
		return err_oom(reterr);
	list_init(&job->waiters);
	job->network = network;
	json_t *body = job_message(network->engine, list_of(bridge_document(network)), NULL);
	int64_t segments = network->engine->settings.loopback_segments;
	if (segments && has_bridge(network)) /* before its first container: links are made like lo */
		message_add(body, "segments", json_integer(segments));
	int r = workers_ask(network->engine->workers, HOLDER_NETWORK, body, HELPER_ANSWER_MS, on_made, job, reterr);
	if (r < 0)
		free(job);
	else
		network->making = job;
	return r;
}

/* Somebody may have removed it behind our back, and only looking tells. */
static bool is_there(const struct network *network)
{
	return !has_link(network) || (network->made && if_nametoindex(network_interface(network)) > 0);
}

int network_make(struct network *network, network_made_fn *done, void *user, struct err **reterr)
{
	int r = network_settle(network, reterr);
	if (r < 0 || is_there(network))
		return r;
	if (!network->making)
		r = begin(network, reterr);
	if (r < 0)
		return r;
	return add_waiter(network->making, done, user) < 0 ? err_oom(reterr) : 1;
}

void network_forget(struct network *network)
{
	if (!network->making)
		return;
	_autofree_(err) struct err *err = NULL;
	err_set(&err, ERR_NOT_FOUND, 0, "network %s not found", network->info.name);
	network->making->network = NULL;
	answer_all(network->making, err);
}

int network_put_rules(struct engine *engine, json_t *strays, worker_answer_fn *done, void *user, struct err **reterr)
{
	_autojson_ json_t *owned = strays;
	_autojson_ json_t *body = job_message(engine, NULL, NULL);
	json_t *rules = json_array();
	struct network *network;
	if (!body || !rules) {
		json_decref(rules);
		return err_oom(reterr);
	}
	for (size_t cursor = 0; (network = networks_next(engine->networks, &cursor));) {
		if (has_bridge(network) && (network->ipv4.has_gateway || network->ipv6.has_gateway))
			json_array_append_new(rules, bridge_document(network));
	}
	message_add(body, "rules", rules);
	if (owned)
		message_add(body, "strays", TAKE(owned));
	return workers_ask(engine->workers, HOLDER_NETWORK, TAKE(body), HELPER_ANSWER_MS, done, user, reterr);
}

static void on_removed(void *user, const struct message *answer, const struct err *err)
{
	struct engine *engine = user;
	(void)answer;
	if (!err)
		return;
	log_error("cannot remove a bridge: %s", err_message(err));
	network_sweep_soon(engine->network_sweep);
}

void network_unmake(const struct network *network)
{
	_autofree_(err) struct err *err = NULL;
	const char *name = network_interface(network);
	if (!has_link(network) || !name[0] || is_shared(network))
		return;
	if (workers_ask(network->engine->workers, HOLDER_NETWORK,
		    job_message(network->engine, NULL, list_of(bridge_document(network))), HELPER_ANSWER_MS, on_removed,
		    network->engine, &err) < 0)
		on_removed(network->engine, NULL, err);
}
