#include "engine/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/endpoints.h"
#include "engine/launch.h"
#include "engine/monitor_link.h"
#include "engine/network_make.h"
#include "engine/network_names.h"
#include "engine/records.h"

/* The members of the operation's document. */
#define NETWORK  "network"  /* ID */
#define SETTINGS "settings" /* what is asked for */
#define BEFORE   "before"   /* the places as they were, once the record is changed */

#define MARK_FILE "network-change"
#define FAILED    "failed to set up container networking"

/* --- the mark of a change under way --- */

static void mark_path(const struct container *container, char out[CONTAINER_ID_SIZE + sizeof(MARK_FILE) + 1])
{
	snprintf(out, CONTAINER_ID_SIZE + sizeof(MARK_FILE) + 1, "%s/" MARK_FILE, container->id);
}

static int set_mark(const struct container *container, struct err **reterr)
{
	char path[CONTAINER_ID_SIZE + sizeof(MARK_FILE) + 1];
	mark_path(container, path);
	_autoclose_ int fd = openat(container->engine->exec_containers_fd, path,
		O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? err_errno(reterr, -errno, "cannot mark the change of the container's networks") : 0;
}

static void clear_mark(const struct container *container)
{
	char path[CONTAINER_ID_SIZE + sizeof(MARK_FILE) + 1];
	mark_path(container, path);
	unlinkat(container->engine->exec_containers_fd, path, 0);
}

static bool has_mark(const struct container *container)
{
	char path[CONTAINER_ID_SIZE + sizeof(MARK_FILE) + 1];
	mark_path(container, path);
	return faccessat(container->engine->exec_containers_fd, path, F_OK, 0) == 0;
}

/* --- the record: what it says of networks, out and in --- */

static json_t *places_of(const struct container *container)
{
	struct container_record part = { .host.network_mode = container->record.host.network_mode,
		.networking = container->record.networking,
		.legs = container->record.legs,
		.leg_count = container->record.leg_count };
	return json_write(&container_record_table, &part);
}

static int put_places(struct container *container, json_t *document, struct err **reterr)
{
	struct container_record part = { 0 }, *record = &container->record;
	int r = json_read(&container_record_table, document, &part, reterr);
	if (r < 0)
		return r;
	char *mode = record->host.network_mode;
	const struct networking_config networking = record->networking;
	struct record_leg *legs = record->legs;
	size_t leg_count = record->leg_count;
	record->host.network_mode = part.host.network_mode;
	record->networking = part.networking;
	record->legs = part.legs;
	record->leg_count = part.leg_count;
	part.host.network_mode = mode;
	part.networking = networking;
	part.legs = legs;
	part.leg_count = leg_count;
	json_finish(&container_record_table, &part);
	return 0;
}

static int write_record(struct container *container, struct err **reterr)
{
	return records_update_container(container->engine->records, container->id, &container->record, reterr);
}

/* --- starts --- */

int connect_choose(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	bool changed;
	container->starting = true;
	int r = endpoints_choose(container->engine, &container->record, container, &changed, reterr);
	if (r == 0 && changed)
		r = write_record(container, reterr);
	return r < 0 ? r : STEP_NEXT;
}

static void on_made(void *user, const struct err *err);

/* 1: one is being made. */
static int make_next(struct operation *operation, struct err **reterr)
{
	const struct container_record *record = &operation->container->record;
	for (size_t i = 0; i < record->leg_count; i++) {
		struct network *network = networks_by_id(operation->container->engine->networks,
			record->legs[i].network_id);
		int r = network ? network_make(network, on_made, operation, reterr) : 0;
		if (r != 0)
			return r < 0 ? err_wrap(reterr, r, FAILED) : r;
	}
	return 0;
}

static void on_made(void *user, const struct err *err)
{
	struct operation *operation = user;
	_autofree_(err) struct err *failure = NULL;
	int r = err ? err_set(&failure, err->kind, err->errnum, FAILED ": %s", err_message(err))
		    : make_next(operation, &failure);
	if (r <= 0)
		operation_resume(operation, failure);
}

/* Before its program runs, which may ask for itself. */
int connect_publish_names(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	network_names_changed(operation->container);
	return STEP_NEXT;
}

int connect_make_networks(struct operation *operation, struct err **reterr)
{
	int r = make_next(operation, reterr);
	return r == 0 ? STEP_NEXT : r > 0 ? STEP_WAIT : r;
}

void connect_tell(const struct container *container, const char *action)
{
	for (size_t i = 0; i < container->record.leg_count; i++) {
		const struct network *network = networks_by_id(container->engine->networks,
			container->record.legs[i].network_id);
		if (network)
			network_tell(network, action, container);
	}
}

void connect_started(const struct container *container)
{
	connect_tell(container, "connect");
	if (container->state.place_count > 0) /* not known before */
		network_names_changed(container);
}

/* --- checks --- */

static int check_mode(const struct container *container, const struct network *network, struct err **reterr)
{
	const char *mode = container->record.host.network_mode;
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	if (network_is(network, "host") || strcmp(mode, "host") == 0)
		return err_set(reterr, ERR_INVALID, 0,
			"container cannot be disconnected from host network or connected to host network");
	if (strncmp(mode, "container:", 10) == 0)
		return err_set(reterr, ERR_INVALID, 0,
			"container sharing network namespace with another container or host cannot be connected to any other "
			"network");
	if (network_is(network, "null") || !endpoints_main_network(mode))
		return err_set(reterr, ERR_INVALID, 0,
			"container cannot be connected to multiple networks with one of the networks in private (none) mode");
	return 0;
}

/* It may have gone while the operation waited for its turn. */
static int find_network(const struct operation *operation, struct network **ret, struct err **reterr)
{
	const char *id = json_string_value(json_object_get(operation->args.document, NETWORK));
	*ret = id ? networks_by_id(operation->container->engine->networks, id) : NULL;
	return *ret ? 0 : err_set(reterr, ERR_NOT_FOUND, 0, "network %s not found", id ? id : "");
}

/* --- the change of the record --- */

static int remember_before(struct operation *operation, struct err **reterr)
{
	json_t *before = places_of(operation->container);
	if (!before || json_object_set_new(operation->args.document, BEFORE, before) < 0)
		return err_oom(reterr);
	return 0;
}

static void settings_free(void *settings)
{
	json_free(&endpoint_settings_table, settings);
}

/* Memory alone. */
static int add_place(struct operation *operation, struct network *network, struct err **reterr)
{
	struct container_record *record = &operation->container->record;
	const json_t *asked = json_object_get(operation->args.document, SETTINGS);
	struct endpoint_settings *settings = calloc(1, sizeof(*settings));
	if (!settings)
		return err_oom(reterr);
	int r = asked ? json_read(&endpoint_settings_table, (json_t *)asked, settings, reterr) : 0;
	if (r < 0) {
		free(settings);
		return r;
	}
	if (!record->networking.endpoints)
		record->networking.endpoints = map_new(settings_free);
	if (!record->networking.endpoints || map_set(record->networking.endpoints, network->info.name, settings) < 0) {
		settings_free(settings);
		return err_oom(reterr);
	}
	return endpoints_check(network, settings, reterr);
}

/* Of one that does not run, an address is only a wish: the start chooses anew. */
static int choose(struct container *container, struct err **reterr)
{
	bool changed, is_live = endpoints_are_live(container);
	int r = endpoints_choose(container->engine, &container->record, container, &changed, is_live ? reterr : NULL);
	return is_live ? r : 0;
}

static void take_back(struct operation *operation)
{
	struct container *container = operation->container;
	_autofree_(err) struct err *err = NULL;
	json_t *before = json_object_get(operation->args.document, BEFORE);
	if (!before || container->gone)
		return;
	int r = put_places(container, before, &err);
	if (r == 0)
		r = write_record(container, &err);
	if (r == 0 && monitor_link_is_up(container))
		r = launch_write(container, &err);
	if (r < 0)
		log_error("container %s keeps networks that it could not get: %s", container->id, err_message(err));
	clear_mark(container);
}

static int save(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	int r = choose(container, reterr);
	if (r == 0 && endpoints_are_live(container))
		r = set_mark(container, reterr);
	return r < 0 ? r : write_record(container, reterr);
}

static int add_to_record(struct operation *operation, struct err **reterr)
{
	struct network *network;
	int r = find_network(operation, &network, reterr);
	if (r == 0)
		r = check_mode(operation->container, network, reterr);
	if (r == 0 && endpoints_asked(operation->container, network))
		r = err_set(reterr, ERR_FORBIDDEN, 0, "endpoint with name %s already exists in network %s",
			operation->container->name, network->info.name);
	if (r == 0)
		r = remember_before(operation, reterr);
	if (r == 0)
		r = add_place(operation, network, reterr);
	if (r == 0)
		r = save(operation, reterr);
	return r < 0 ? r : STEP_NEXT;
}

/* From now on it is like one that has left the default bridge, so others can be joined. */
static int leave_none(struct container *container, struct err **reterr)
{
	char *mode = strdup(NETWORK_BRIDGE);
	if (!mode)
		return err_oom(reterr);
	free(container->record.host.network_mode);
	container->record.host.network_mode = mode;
	return 0;
}

static int take_from_record(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	struct network *network;
	int r = find_network(operation, &network, reterr);
	bool is_none = r == 0 && network_is(network, "null") && !container->removing &&
		       strcmp(container->record.host.network_mode, network->info.name) == 0;
	if (r == 0 && !is_none)
		r = check_mode(container, network, reterr);
	if (r == 0 && !is_none && !endpoints_asked(container, network))
		r = err_set(reterr, ERR_FORBIDDEN, 0, "container %s is not connected to network %s", container->id,
			network->info.name);
	if (r == 0)
		r = remember_before(operation, reterr);
	if (r == 0 && is_none)
		r = leave_none(container, reterr);
	if (r < 0)
		return r;
	/* The map may be one that was read, which frees no more than the struct. */
	if (!is_none)
		settings_free(map_take(container->record.networking.endpoints, network->info.name));
	r = save(operation, reterr);
	return r < 0 ? r : STEP_NEXT;
}

/* --- the monitor --- */

static int apply(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	if (!endpoints_are_live(container))
		return STEP_NEXT;
	int r = launch_write(container, reterr);
	return r < 0 ? r : operation_ask(operation, message_new("network", 0), MONITOR_ANSWER_MS, reterr);
}

static int finish(struct operation *operation, const char *action)
{
	struct network *network;
	clear_mark(operation->container);
	if (find_network(operation, &network, NULL) < 0)
		return STEP_NEXT;
	network_names_write(network);
	network_tell(network, action, operation->container);
	return STEP_NEXT;
}

static int tell_connect(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	return finish(operation, "connect");
}

static int tell_disconnect(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	return finish(operation, "disconnect");
}

static int clear(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	clear_mark(operation->container);
	return STEP_NEXT;
}

#define STEPS(steps_) .steps = (steps_), .step_count = ARRAY_SIZE(steps_)

static int make_if_live(struct operation *operation, struct err **reterr)
{
	return endpoints_are_live(operation->container) ? connect_make_networks(operation, reterr) : STEP_NEXT;
}

static const struct step connect_steps[] = { { add_to_record, .undo = take_back }, { make_if_live }, { apply },
	{ tell_connect } };
static const struct verb connect_verb = { "connect", STEPS(connect_steps), .queued = true };

static const struct step disconnect_steps[] = { { take_from_record, .undo = take_back }, { apply },
	{ tell_disconnect } };
static const struct verb disconnect_verb = { "disconnect", STEPS(disconnect_steps), .queued = true };

static const struct step again_steps[] = { { make_if_live }, { apply }, { clear } };
static const struct verb again_verb = { "network", STEPS(again_steps), .queued = true };

static void begin(struct container *container, const struct verb *verb, struct network *network,
	const struct endpoint_settings *settings, engine_done_fn *done, void *user)
{
	struct operation_args args = { .document = json_pack("{s:s}", NETWORK, network->info.id) };
	if (args.document && settings)
		json_object_set_new(args.document, SETTINGS, json_write(&endpoint_settings_table, settings));
	operation_begin(container, verb, &args, done, user);
}

void connect_container(struct container *container, struct network *network, const struct endpoint_settings *settings,
	engine_done_fn *done, void *user)
{
	begin(container, &connect_verb, network, settings, done, user);
}

void disconnect_container(struct container *container, struct network *network, engine_done_fn *done, void *user)
{
	begin(container, &disconnect_verb, network, NULL, done, user);
}

static void on_again(void *user, json_t *result, const struct err *err)
{
	struct container *container = user;
	(void)result;
	if (err)
		log_error("container %s has not got the networks it should have: %s", container->id, err_message(err));
	container_unref(container);
}

void connect_boot(struct engine *engine)
{
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (!has_mark(container) || container->removing)
			continue;
		operation_begin(container, &again_verb, NULL, on_again, container_ref(container));
	}
}
