#include "engine/spare.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/holder_link.h"
#include "engine/launch.h"
#include "engine/monitor_link.h"
#include "engine/remove.h"

/* Who starts containers one after another takes less between two. */
#define SPARE_MS 1000
/* A short command has ended by then. */
#define SPARE_PAUSE_MS 3

struct spare {
	char id[CONTAINER_ID_SIZE];
	int fd; /* -1: not spawned yet */
	struct loop_source *timer;
};

static void spare_free(struct spare *spare)
{
	if (!spare)
		return;
	loop_source_free(spare->timer);
	fd_close(&spare->fd);
	free(spare);
}
DEFINE_AUTOFREE(spare, struct spare *, spare_free);

static void new_id(char id[static CONTAINER_ID_SIZE])
{
	io_random_hex(id, (CONTAINER_ID_SIZE - 1) / 2);
}

static void on_time(struct loop_source *source, void *data)
{
	struct engine *engine = data;
	(void)source;
	if (engine->spare->fd < 0)
		spare_make(engine);
	else
		spare_drop(engine);
}

void spare_make_soon(struct engine *engine)
{
	_autofree_(spare) struct spare *spare = engine->spare ? NULL : calloc(1, sizeof(*spare));
	if (!spare)
		return;
	spare->fd = -1;
	new_id(spare->id);
	if (loop_add_timer(engine->loop, clock_monotonic_ms() + SPARE_PAUSE_MS, on_time, engine, &spare->timer) == 0)
		engine->spare = TAKE(spare);
}

/* It makes what every start needs, whatever the container. */
static int spawn(struct engine *engine, struct spare *spare, struct err **reterr)
{
	_autoclose_ int folder = launch_run_folder(engine, spare->id, reterr);
	int r = folder < 0 ? folder : holder_link_spawn_monitor(engine, spare->id, &spare->fd, reterr);
	if (r < 0)
		return r;
	r = monitor_link_tell(spare->fd, message_new("prepare", MESSAGE_NO_ID));
	return r < 0 ? err_errno(reterr, r, "cannot talk to it") : 0;
}

void spare_make(struct engine *engine)
{
	_autofree_(err) struct err *err = NULL;
	struct spare *spare = engine->spare;
	if (!spare || spare->fd >= 0)
		return;
	loop_timer_set(spare->timer, clock_monotonic_ms() + SPARE_MS);
	if (spawn(engine, spare, &err) < 0) {
		log_debug("there is no monitor in reserve: %s", err_message(err));
		spare_drop(engine);
	}
}

void spare_next_id(const struct engine *engine, char id[static CONTAINER_ID_SIZE])
{
	if (engine->spare && engine->spare->fd >= 0)
		memcpy(id, engine->spare->id, CONTAINER_ID_SIZE);
	else
		new_id(id);
}

int spare_take(struct engine *engine, const char *id)
{
	struct spare *spare = engine->spare;
	if (!spare || spare->fd < 0 || strcmp(spare->id, id) != 0)
		return -1;
	int fd = TAKE_FD(spare->fd);
	spare_free(TAKE(engine->spare));
	return fd;
}

void spare_drop(struct engine *engine)
{
	_autofree_(spare) struct spare *spare = TAKE(engine->spare);
	if (spare)
		remove_run_folder(engine, spare->id);
}
