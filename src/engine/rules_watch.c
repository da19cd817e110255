#include "engine/rules_watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/container.h"
#include "engine/monitor_link.h"
#include "engine/network_make.h"
#include "network/table.h"
#include "sys/loop.h"
#include "sys/nftables.h"

#define OWN_PREFIX "tare-" /* of our programs' names */

struct rules_watch {
	struct engine *engine;
	struct netlink netlink;
	struct loop_source *source;
	char table[TABLE_NAME_SIZE];
	bool deleted;   /* something of the table, by the transaction that is being told */
	bool lost;      /* it was a stranger's */
	bool restoring; /* the helper is at it */
};

static void on_monitor(void *user, const struct message *answer, const struct err *err)
{
	(void)user, (void)answer;
	if (err)
		log_error("published ports could not be put back: %s", err_message(err));
}

/* Of its own in the table; or of CNI plugins, which look after them. */
static bool has_rules(const struct container *container)
{
	return container->state.port_count > 0 || container->state.held || container->state.place_count > 0;
}

static void ask_monitors(struct engine *engine)
{
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		_autofree_(err) struct err *err = NULL;
		if (container_is_running(container) && has_rules(container) && monitor_link_is_up(container) &&
			monitor_request(container, message_new("network-restore", 0), MONITOR_ANSWER_MS, on_monitor,
				NULL, &err) < 0)
			on_monitor(NULL, NULL, err);
	}
}

static void restore(struct rules_watch *watch);

static void on_restored(void *user, const struct message *answer, const struct err *err)
{
	(void)answer;
	struct rules_watch *watch = user;
	watch->restoring = false;
	if (err) {
		log_error("the rules of the networks could not be put back: %s", err_message(err));
		return;
	}
	ask_monitors(watch->engine);
	if (watch->lost)
		restore(watch);
}

static void restore(struct rules_watch *watch)
{
	_autofree_(err) struct err *err = NULL;
	if (watch->restoring)
		return;
	watch->lost = false;
	watch->restoring = true;
	if (network_put_rules(watch->engine, NULL, on_restored, watch, &err) < 0)
		on_restored(watch, NULL, err);
}

static bool is_deletion(uint16_t type)
{
	const uint16_t types[] = { NFT_MSG_DELTABLE, NFT_MSG_DELCHAIN, NFT_MSG_DELRULE, NFT_MSG_DELSET,
		NFT_MSG_DELSETELEM };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (type == types[i])
			return true;
	}
	return false;
}

/* The bridge's table of that name holds addresses to ports (network/gate.h). */
static bool is_ours(uint8_t family)
{
	return family == NFPROTO_INET || family == NFPROTO_BRIDGE;
}

static void on_change(const struct nft_change *change, void *user)
{
	struct rules_watch *watch = user;
	if (change->missed) {
		watch->lost = true;
	} else if (change->type == NFT_MSG_NEWGEN) {
		bool is_own = change->process && strncmp(change->process, OWN_PREFIX, strlen(OWN_PREFIX)) == 0;
		watch->lost = watch->lost || (watch->deleted && !is_own);
		watch->deleted = false;
	} else if (is_deletion(change->type) && is_ours(change->family) && change->table &&
		   strcmp(change->table, watch->table) == 0) {
		watch->deleted = true;
	}
}

static void on_readable(struct loop_source *source, uint32_t events, void *data)
{
	struct rules_watch *watch = data;
	(void)source, (void)events;
	if (nft_watch_read(&watch->netlink, on_change, watch) < 0)
		watch->lost = true;
	if (!watch->lost)
		return;
	log_warn("somebody has taken rules out of the table %s: they are put back", watch->table);
	restore(watch);
}

static bool anything_runs(struct engine *engine)
{
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (container_is_running(container) && container->record.leg_count > 0)
			return true;
	}
	return false;
}

int rules_watch_new(struct engine *engine, struct rules_watch **ret, struct err **reterr)
{
	struct rules_watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return err_oom(reterr);
	*watch = (struct rules_watch){ .engine = engine, .netlink = NETLINK_NONE };
	table_name(engine->exec_root, watch->table);
	if (nft_watch_open(&watch->netlink) == 0 &&
		loop_add_fd(engine->loop, watch->netlink.fd, EPOLLIN, on_readable, watch, &watch->source) < 0) {
		rules_watch_free(watch);
		return err_oom(reterr);
	}
	if (anything_runs(engine))
		restore(watch);
	*ret = watch;
	return 0;
}

void rules_watch_free(struct rules_watch *watch)
{
	if (!watch)
		return;
	loop_source_free(watch->source);
	netlink_close(&watch->netlink);
	free(watch);
}
