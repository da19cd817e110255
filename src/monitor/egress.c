#include "monitor/egress.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/in.h>
#include <linux/in6.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/strv.h"
#include "monitor/monitor.h"
#include "monitor/network_table.h"
#include "network/dns_tell.h"
#include "network/gate.h"

static void held_finish(struct held *held)
{
	json_finish(&launch_network_table, &held->network);
	egress_finish(&held->policy);
	free(held->opened);
	*held = (struct held){ 0 };
}

static struct gate gate_of(const struct held *held, const struct network_table *table)
{
	return (struct gate){
		.table = table->name,
		.owner = table->owner,
		.policy = &held->policy,
		.endpoints = held->network.endpoints,
		.endpoint_count = held->network.endpoint_count,
		.opened = held->opened,
		.opened_count = held->opened_count,
		.now_ms = clock_monotonic_ms(),
	};
}

static bool is_held(const struct held *held)
{
	return egress_is_set(&held->policy) && held->network.endpoint_count > 0;
}

/* --- what is to be held --- */

/* Policies are held on bridges: elsewhere packets go their way without us. */
static int check(const struct held *held, struct err **reterr)
{
	for (size_t i = 0; i < held->network.endpoint_count && egress_is_set(&held->policy); i++) {
		const struct lease_endpoint *endpoint = &held->network.endpoints[i];
		if (strcmp(endpoint->driver, "bridge") != 0)
			return err_set(reterr, ERR_CONFLICT, 0,
				"network %s: an egress policy can't be held on a network of driver %s",
				endpoint->network, endpoint->driver);
	}
	return 0;
}

/* -ENOMEM */
static int add_endpoints(struct launch_network *into, const struct launch_network *from)
{
	size_t count = into->endpoint_count + from->endpoint_count;
	struct lease_endpoint *grown = reallocarray(into->endpoints, count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	into->endpoints = grown;
	for (size_t i = 0; i < from->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &from->endpoints[i];
		bool is_there = false;
		for (size_t k = 0; k < into->endpoint_count && !is_there; k++)
			is_there = strcmp(grown[k].endpoint_id, endpoint->endpoint_id) == 0;
		if (is_there)
			continue;
		int r = json_clone(&lease_endpoint_table, endpoint, &grown[into->endpoint_count]);
		if (r < 0)
			return r;
		into->endpoint_count++;
	}
	return 0;
}

/* -ENOMEM. Addresses that names led to stay open, if the policy still has the rule. */
static int keep_opened(const struct held *before, struct held *after)
{
	if (!egress_has_names(&after->policy))
		return 0;
	after->opened = calloc(GATE_OPENED_MAX, sizeof(*after->opened));
	if (!after->opened)
		return -ENOMEM;
	for (size_t i = 0; i < before->opened_count; i++) {
		const struct egress_rule *rule = &before->policy.rules[before->opened[i].rule];
		for (size_t k = 0; k < after->policy.count; k++) {
			const struct egress_rule *other = &after->policy.rules[k];
			if (strcmp(rule->name, other->name) != 0 || rule->protocol != other->protocol ||
				rule->first_port != other->first_port || rule->last_port != other->last_port)
				continue;
			after->opened[after->opened_count] = before->opened[i];
			after->opened[after->opened_count++].rule = k;
			break;
		}
	}
	return 0;
}

static int prepare(const struct held *before, const struct launch_network *network, const struct launch_network *also,
	struct held *out, struct err **reterr)
{
	*out = (struct held){ 0 };
	int r = egress_parse(network->egress, &out->policy, reterr);
	if (r < 0 || !egress_is_set(&out->policy))
		return r;
	r = add_endpoints(&out->network, network);
	if (r == 0 && also)
		r = add_endpoints(&out->network, also);
	if (r == 0)
		r = keep_opened(before, out);
	return r < 0 ? err_oom(reterr) : check(out, reterr);
}

/* --- holding it --- */

static int change(struct monitor *monitor, const struct held *after, struct err **reterr)
{
	struct network_table table;
	int r = network_table_open(monitor, &table, reterr);
	if (r < 0)
		return r;
	const struct gate old = gate_of(&monitor->held, &table), new = gate_of(after, &table);
	r = gate_change(table.netlink, &old, &new, reterr);
	return r;
}

int egress_hold(struct monitor *monitor, const struct launch_network *network, const struct launch_network *also,
	struct err **reterr)
{
	struct held after;
	int r = prepare(&monitor->held, network, also, &after, reterr);
	if (r == 0 && (is_held(&monitor->held) || is_held(&after)))
		r = change(monitor, &after, reterr);
	if (r < 0) {
		held_finish(&after);
		return r;
	}
	held_finish(&monitor->held);
	monitor->held = after;
	monitor->state.held = is_held(&after);
	return 0;
}

typedef int gate_fn(struct netlink *netlink, const struct gate *gate, struct err **reterr);

/* Nothing without a policy. */
static int with_gate(struct monitor *monitor, gate_fn *fn, struct err **reterr)
{
	struct network_table table;
	if (!is_held(&monitor->held))
		return 0;
	int r = network_table_open(monitor, &table, reterr);
	if (r < 0)
		return r;
	const struct gate gate = gate_of(&monitor->held, &table);
	return fn(table.netlink, &gate, reterr);
}

int egress_cut(struct monitor *monitor, struct err **reterr)
{
	return with_gate(monitor, gate_cut, reterr);
}

/* --- names --- */

struct opening {
	struct held *held;
	struct gate gate;
	struct netlink *netlink;
	int64_t until_ms;
	bool is_told[GATE_OPENED_MAX]; /* by this answer: all of it is open when it is heard */
	bool is_new[GATE_OPENED_MAX];
};

/* Where it is noted already, or a free place, or that of the one that ends first: which is closed. */
static size_t find_place(const struct opening *opening, const struct inet_address *address, size_t rule)
{
	const struct held *held = opening->held;
	size_t first = held->opened_count;
	for (size_t i = 0; i < held->opened_count; i++) {
		if (held->opened[i].rule == rule && inet_equal(&held->opened[i].address, address))
			return i;
		if (!opening->is_told[i] &&
			(first == held->opened_count || held->opened[i].until_ms < held->opened[first].until_ms))
			first = i;
	}
	if (held->opened_count < GATE_OPENED_MAX)
		return held->opened_count;
	return first < held->opened_count ? first : 0; /* of an answer that alone has too many, any */
}

static int note(struct opening *opening, const struct inet_address *address, size_t rule)
{
	struct held *held = opening->held;
	size_t at = find_place(opening, address, rule);
	struct gate_opened *opened = &held->opened[at];
	bool is_free = at == held->opened_count;
	bool is_there = !is_free && opened->rule == rule && inet_equal(&opened->address, address);
	int r = is_free || is_there ? 0 : gate_close(opening->netlink, &opening->gate, &at, 1, NULL);
	opening->is_told[at] = true;
	if (r < 0 || (is_there && opened->until_ms >= opening->until_ms - GATE_OPENED_GRACE_MS))
		return r;
	*opened = (struct gate_opened){ *address, rule, opening->until_ms };
	held->opened_count += is_free;
	opening->gate.opened_count = held->opened_count;
	opening->is_new[at] = true;
	return 0;
}

static int open_noted(struct opening *opening)
{
	size_t which[GATE_OPENED_MAX], count = 0;
	for (size_t i = 0; i < opening->held->opened_count; i++) {
		if (opening->is_new[i])
			which[count++] = i;
	}
	return count ? gate_open(opening->netlink, &opening->gate, which, count, NULL) : 0;
}

/* What could not be opened is not noted either. */
static void forget_noted(struct opening *opening)
{
	for (size_t i = 0; i < opening->held->opened_count; i++) {
		if (opening->is_new[i])
			opening->held->opened[i].until_ms = 0;
	}
}

static int64_t life_ms(const struct dns_told *told)
{
	int64_t life = told->ttl_s * (int64_t)1000;
	if (life > GATE_OPENED_MOST_MS)
		life = GATE_OPENED_MOST_MS;
	return (life < GATE_OPENED_LEAST_MS ? GATE_OPENED_LEAST_MS : life) + GATE_OPENED_GRACE_MS;
}

static int note_all(struct opening *opening, const struct dns_told *told)
{
	const struct egress *policy = &opening->held->policy;
	int r = 0;
	for (size_t i = 0; i < policy->count; i++) {
		if (!policy->rules[i].name[0] || !egress_name_matches(policy->rules[i].name, told->name))
			continue;
		for (size_t k = 0; r == 0 && k < told->count; k++) {
			if (gate_may_open(&told->addresses[k]))
				r = note(opening, &told->addresses[k], i);
		}
	}
	return r;
}

int egress_open(struct monitor *monitor, const struct dns_told *told)
{
	struct network_table table;
	if (!is_held(&monitor->held) || !monitor->held.opened)
		return 0;
	int r = network_table_open(monitor, &table, NULL);
	if (r < 0)
		return r;
	struct opening opening = { &monitor->held, gate_of(&monitor->held, &table), table.netlink };
	opening.until_ms = opening.gate.now_ms + life_ms(told);
	r = note_all(&opening, told);
	if (r == 0)
		r = open_noted(&opening);
	if (r < 0)
		forget_noted(&opening);
	return r;
}

/* --- begin and end --- */

void egress_begin(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;
	struct held first;
	struct network_table table;
	int r = prepare(&monitor->held, &monitor->legs, NULL, &first, &err);
	if (r == 0 && is_held(&first) && (r = network_table_open(monitor, &table, &err)) == 0) {
		const struct gate gate = gate_of(&first, &table);
		gate_seen_forget(table.netlink, &gate);
	}
	held_finish(&first);
}

int egress_restore(struct monitor *monitor, struct err **reterr)
{
	return with_gate(monitor, gate_restore, reterr);
}

void egress_end(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;
	if (egress_hold(monitor, &(struct launch_network){ 0 }, NULL, &err) < 0)
		log_error("rules of the egress policy are left behind: %s", err_message(err));
}

void egress_clear_leftovers(struct monitor *monitor)
{
	_autofree_(err) struct err *err = NULL;
	struct network_table table;
	if (!monitor->state.held || is_held(&monitor->held))
		return;
	int r = network_table_open(monitor, &table, &err);
	if (r == 0)
		r = gate_owner_remove(table.netlink, table.name, table.owner, &err);
	if (r < 0)
		log_error("rules of the egress policy are left behind: %s", err_message(err));
	monitor->state.held = false;
}

/* --- what was seen --- */

static const char *protocol_name(const struct gate_seen *seen, char buffer[4])
{
	switch (seen->protocol) {
	case IPPROTO_TCP: return "tcp";
	case IPPROTO_UDP: return "udp";
	case IPPROTO_SCTP: return "sctp";
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: return "icmp";
	default: snprintf(buffer, 4, "%u", seen->protocol); return buffer;
	}
}

static int add_seen(const struct gate_seen *seen, void *user)
{
	char address[INET_TEXT_SIZE], number[4];
	if (json_array_size(user) == EGRESS_SHOWN_MAX)
		return 1;
	inet_print(&seen->address, address);
	return json_array_append_new(user,
		       json_pack("{s:s,s:s,s:i,s:I,s:b}", "Address", address, "Protocol", protocol_name(seen, number),
			       "Port", seen->port, "Packets", (json_int_t)seen->packets, "Denied", seen->refused)) < 0
		       ? -ENOMEM
		       : 0;
}

int egress_describe(struct monitor *monitor, json_t **ret, bool *ret_is_cut, struct err **reterr)
{
	_autojson_ json_t *list = json_array();
	struct network_table table;
	int r = list ? 0 : -ENOMEM;
	if (r == 0 && is_held(&monitor->held)) {
		r = network_table_open(monitor, &table, reterr);
		if (r < 0)
			return r;
		const struct gate gate = gate_of(&monitor->held, &table);
		r = gate_seen_each(table.netlink, &gate, add_seen, list);
	}
	if (r < 0)
		return err_errno(reterr, r, "cannot read what the egress policy has refused");
	*ret_is_cut = r > 0;
	*ret = TAKE(list);
	return 0;
}
