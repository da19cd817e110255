#include "engine/egress_watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/container.h"
#include "engine/events.h"
#include "network/gate.h"
#include "network/table.h"
#include "sys/loop.h"
#include "sys/nflog.h"

#define TOLD_MAX 256
#define TOLD_MS  60000

struct told {
	char id[CONTAINER_ID_SIZE]; /* an address is another's in a moment */
	struct nflog_packet packet;
	int64_t at_ms;
};

struct egress_watch {
	struct engine *engine;
	struct netlink netlink;
	struct loop_source *source;
	struct told told[TOLD_MAX]; /* a ring */
	size_t next;
};

static bool has_address(const struct container *container, const char *address)
{
	for (size_t i = 0; i < container->record.leg_count; i++) {
		const struct record_leg *leg = &container->record.legs[i];
		if ((leg->ipv4 && strcmp(leg->ipv4, address) == 0) || (leg->ipv6 && strcmp(leg->ipv6, address) == 0))
			return true;
	}
	return false;
}

static struct container *find(struct engine *engine, const struct inet_address *source)
{
	struct container *container;
	char address[INET_TEXT_SIZE];
	inet_print(source, address);
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (container_is_running(container) && container->record.host.egress && has_address(container, address))
			return container;
	}
	return NULL;
}

/* Notes it if it was not. */
static bool was_told(struct egress_watch *watch, const char *id, const struct nflog_packet *packet)
{
	int64_t now_ms = clock_monotonic_ms();
	for (size_t i = 0; i < TOLD_MAX; i++) {
		const struct told *told = &watch->told[i];
		if (told->at_ms > 0 && now_ms - told->at_ms < TOLD_MS && told->packet.protocol == packet->protocol &&
			told->packet.port == packet->port && strcmp(told->id, id) == 0 &&
			inet_equal(&told->packet.destination, &packet->destination))
			return true;
	}
	struct told *told = &watch->told[watch->next++ % TOLD_MAX];
	*told = (struct told){ .packet = *packet, .at_ms = now_ms };
	snprintf(told->id, sizeof(told->id), "%s", id);
	return false;
}

static void on_packet(const struct nflog_packet *packet, const char *prefix, void *user)
{
	struct egress_watch *watch = user;
	char address[INET_TEXT_SIZE], protocol[4], port[6];
	static const char *const keys[] = { "address", "protocol", "port" };
	const char *const values[] = { address, protocol, port };
	bool is_refused = strcmp(prefix, GATE_LOG_REFUSED) == 0;
	struct container *container = is_refused || strcmp(prefix, GATE_LOG_NOTED) == 0
					      ? find(watch->engine, &packet->source)
					      : NULL;
	if (!container || was_told(watch, container->id, packet))
		return;
	inet_print(&packet->destination, address);
	snprintf(protocol, sizeof(protocol), "%u", packet->protocol);
	snprintf(port, sizeof(port), "%u", packet->port);
	events_tell_container_about(container, is_refused ? "egress-denied" : "egress-noted", keys, values, 3);
}

static void on_readable(struct loop_source *source, uint32_t events, void *data)
{
	struct egress_watch *watch = data;
	(void)events;
	if (nflog_read(&watch->netlink, on_packet, watch) < 0)
		loop_fd_set_events(source, 0);
}

int egress_watch_new(struct engine *engine, struct egress_watch **ret, struct err **reterr)
{
	char table[TABLE_NAME_SIZE];
	struct egress_watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return err_oom(reterr);
	watch->engine = engine;
	watch->netlink = (struct netlink)NETLINK_NONE;
	table_name(engine->exec_root, table);
	int r = nflog_open(&watch->netlink, gate_log_group(table));
	if (r < 0)
		log_warn("no events of what egress policies refuse: %s", strerror(-r));
	else if (loop_add_fd(engine->loop, watch->netlink.fd, EPOLLIN, on_readable, watch, &watch->source) < 0) {
		egress_watch_free(watch);
		return err_oom(reterr);
	}
	*ret = watch;
	return 0;
}

void egress_watch_free(struct egress_watch *watch)
{
	if (!watch)
		return;
	loop_source_free(watch->source);
	netlink_close(&watch->netlink);
	free(watch);
}
