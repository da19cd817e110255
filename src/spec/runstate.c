#include "spec/runstate.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "spec/oci_check.h"

#define RUNSTATE_VERSION 1

static const struct json_field run_event_fields[] = {
	JSON_FIELD(struct run_event, seq, "seq", JSON_INT, .flags = JSON_REQUIRED),
	JSON_FIELD(struct run_event, type, "type", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct run_event, time_ns, "time", JSON_INT),
	JSON_FIELD(struct run_event, attributes, "attributes", JSON_STRMAP, .flags = JSON_OMITEMPTY),
};
const struct json_table run_event_table = JSON_TABLE(struct run_event, run_event_fields);

static const struct json_field run_place_fields[] = {
	JSON_FIELD(struct run_place, network_id, "network_id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct run_place, mac, "mac", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct run_place, ipv4, "ipv4", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct run_place, ipv6, "ipv6", JSON_OBJECT_FIELD, .table = &lease_address_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table run_place_table = JSON_TABLE(struct run_place, run_place_fields);

static const struct json_field runstate_fields[] = {
	JSON_FIELD(struct runstate, version, "v", JSON_INT),
	JSON_FIELD(struct runstate, status, "status", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct runstate, pid, "pid", JSON_INT),
	JSON_FIELD(struct runstate, init_start_time, "init_start_time", JSON_UINT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct runstate, exit_code, "exit_code", JSON_INT),
	JSON_FIELD(struct runstate, oom_killed, "oom_killed", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct runstate, error, "error", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct runstate, started_at_ns, "started_at", JSON_INT),
	JSON_FIELD(struct runstate, finished_at_ns, "finished_at", JSON_INT),
	JSON_FIELD(struct runstate, restart_count, "restart_count", JSON_INT),
	JSON_FIELD(struct runstate, stop_requested, "stop_requested", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct runstate, health, "health", JSON_OBJECT_PTR, .table = &health_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct runstate, held, "held", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct runstate, ports, port_count, "ports", JSON_OBJECTS, .table = &lease_port_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct runstate, places, place_count, "places", JSON_OBJECTS, .table = &run_place_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct runstate, last_seq, "last_seq", JSON_INT),
	JSON_FIELD_ARRAY(struct runstate, events, event_count, "events", JSON_OBJECTS, .table = &run_event_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table runstate_table = JSON_TABLE(struct runstate, runstate_fields);

static const char *const statuses[] = { "created", "running", "paused", "restarting", "exited", "dead" };

static bool is_status(const char *word)
{
	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++)
		if (strcmp(word, statuses[i]) == 0)
			return true;
	return false;
}

int runstate_init(struct runstate *state)
{
	*state = (struct runstate){
		.version = RUNSTATE_VERSION,
		.started_at_ns = CLOCK_NEVER,
		.finished_at_ns = CLOCK_NEVER,
	};
	return runstate_set_status(state, "created");
}

int runstate_parse(const char *text, size_t len, struct runstate *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	if (len > RUNSTATE_MAX)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "run state is larger than %d bytes", RUNSTATE_MAX);
	int r = json_parse(&runstate_table, text, len, out, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid run state");
	if (is_status(out->status))
		return 0;
	r = err_set(reterr, ERR_INVALID, 0, "invalid run state: status: unknown word \"%s\"",
		oci_printable(out->status));
	runstate_finish(out);
	return r;
}

int runstate_print(const struct runstate *state, struct buf *out)
{
	return json_print(&runstate_table, state, out);
}

void runstate_finish(struct runstate *state)
{
	json_finish(&runstate_table, state);
}

bool runstate_is_running(const struct runstate *state)
{
	return strcmp(state->status, "running") == 0 || strcmp(state->status, "paused") == 0;
}

int runstate_set_status(struct runstate *state, const char *status)
{
	assert(is_status(status));
	char *copy = strdup(status);
	if (!copy)
		return -ENOMEM;
	free(state->status);
	state->status = copy;
	return 0;
}

void runstate_set_ports(struct runstate *state, struct lease_port *ports, size_t count)
{
	for (size_t i = 0; i < state->port_count; i++)
		json_finish(&lease_port_table, &state->ports[i]);
	free(state->ports);
	state->ports = ports;
	state->port_count = count;
}

void runstate_set_places(struct runstate *state, struct run_place *places, size_t count)
{
	for (size_t i = 0; i < state->place_count; i++)
		json_finish(&run_place_table, &state->places[i]);
	free(state->places);
	state->places = places;
	state->place_count = count;
}

static void drop_oldest(struct runstate *state, size_t count)
{
	for (size_t i = 0; i < count; i++)
		json_finish(&run_event_table, &state->events[i]);
	state->event_count -= count;
	memmove(state->events, state->events + count, state->event_count * sizeof *state->events);
}

void runstate_acknowledge(struct runstate *state, int64_t seq)
{
	size_t count = 0;
	while (count < state->event_count && state->events[count].seq <= seq)
		count++;
	if (count)
		drop_oldest(state, count);
}

int runstate_add_event(struct runstate *state, const char *type, int64_t time_ns, struct map *attributes,
	const struct run_event **ret)
{
	_autofree_(map) struct map *owned = attributes;
	_cleanup_free_ char *copy = strdup(type);
	struct run_event *grown = copy ? reallocarray(state->events, state->event_count + 1, sizeof *state->events)
				       : NULL;
	if (!grown)
		return -ENOMEM;
	state->events = grown;
	if (state->event_count >= RUNSTATE_EVENTS_MAX)
		drop_oldest(state, state->event_count - RUNSTATE_EVENTS_MAX + 1);

	struct run_event *event = &state->events[state->event_count++];
	*event = (struct run_event){
		.seq = ++state->last_seq,
		.type = TAKE(copy),
		.time_ns = time_ns,
		.attributes = TAKE(owned),
	};
	if (ret)
		*ret = event;
	return 0;
}
