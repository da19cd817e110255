#include "engine/network_sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "engine/network_make.h"
#include "engine/networks.h"
#include "sys/links.h"
#include "sys/loop.h"

#define SWEEP_FIRST_MS 100
#define SWEEP_LAST_MS  (64 * SWEEP_FIRST_MS)

struct network_sweep {
	struct engine *engine;
	struct loop_source *timer;
	int64_t pause_ms;
	bool failed; /* the helper: the table may not be as it should */
	bool asked;  /* the helper is at it */
};

static bool is_wanted(struct engine *engine, const char *interface)
{
	struct network *network;
	for (size_t cursor = 0; (network = networks_next(engine->networks, &cursor));) {
		if (strcmp(network_interface(network), interface) == 0)
			return true;
	}
	return false;
}

struct search {
	struct engine *engine;
	char owner[NETWORK_OWNER_SIZE];
	json_t *found;
};

static int look_at(const struct link_info *link, void *user)
{
	struct search *search = user;
	if (strcmp(link->alias, search->owner) == 0 && !is_wanted(search->engine, link->name))
		json_array_append_new(search->found, json_string(link->name));
	return 0;
}

/* NULL: they could not be looked for. */
static json_t *find_strays(struct engine *engine)
{
	_cleanup_(netlink_close) struct netlink netlink = NETLINK_NONE;
	_autojson_ json_t *found = json_array();
	struct search search = { .engine = engine, .found = found };
	network_owner(engine, search.owner);
	int r = netlink_open(&netlink, NETLINK_ROUTE);
	if (r == 0)
		r = links_each(&netlink, look_at, &search);
	return r < 0 ? NULL : TAKE(found);
}

static void set_timer(struct network_sweep *sweep)
{
	loop_timer_set(sweep->timer, clock_monotonic_ms() + sweep->pause_ms);
}

static void on_swept(void *user, const struct message *answer, const struct err *err)
{
	(void)answer;
	struct network_sweep *sweep = user;
	sweep->asked = false;
	sweep->failed = err;
	if (!err)
		return;
	log_warn("what is left of networks could not be removed: %s", err_message(err));
	sweep->pause_ms *= 2;
	if (sweep->pause_ms <= SWEEP_LAST_MS)
		set_timer(sweep);
}

static void on_time(struct loop_source *source, void *data)
{
	struct network_sweep *sweep = data;
	_autofree_(err) struct err *err = NULL;
	(void)source;
	if (sweep->asked)
		return;
	json_t *strays = find_strays(sweep->engine);
	if (strays && json_array_size(strays) == 0 && !sweep->failed) {
		json_decref(strays);
		return;
	}
	sweep->asked = true;
	if (network_put_rules(sweep->engine, strays, on_swept, sweep, &err) < 0)
		on_swept(sweep, NULL, err);
}

int network_sweep_new(struct engine *engine, struct network_sweep **ret, struct err **reterr)
{
	struct network_sweep *sweep = calloc(1, sizeof(*sweep));
	if (!sweep)
		return err_oom(reterr);
	*sweep = (struct network_sweep){ .engine = engine, .pause_ms = SWEEP_FIRST_MS };
	if (loop_add_timer(engine->loop, clock_monotonic_ms(), on_time, sweep, &sweep->timer) < 0) {
		free(sweep);
		return err_oom(reterr);
	}
	*ret = sweep;
	return 0;
}

void network_sweep_soon(struct network_sweep *sweep)
{
	sweep->failed = true;
	sweep->pause_ms = SWEEP_FIRST_MS;
	set_timer(sweep);
}

void network_sweep_free(struct network_sweep *sweep)
{
	if (!sweep)
		return;
	loop_source_free(sweep->timer);
	free(sweep);
}
