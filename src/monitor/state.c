/*
 * state.json is replaced as a whole by rename, on tmpfs and without a sync: a power cut ends the container too. A kill
 * between the rename and the event's message is harmless, since the engine says at its next hello what it has seen.
 */
#include "monitor/state.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/map.h"
#include "monitor/control.h"
#include "monitor/monitor.h"

static const char state_file[] = "state.json";

int state_load(struct monitor *monitor, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	int ret = io_read_file(monitor->run_fd, state_file, &text);
	if (ret == -ENOENT)
		return runstate_init(&monitor->state) < 0 ? err_oom(reterr) : 0;
	if (ret < 0)
		return err_errno(reterr, ret, "cannot read the container's %s", state_file);
	return runstate_parse(text.data ?: "", text.len, &monitor->state, reterr);
}

void state_save(struct monitor *monitor)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	int ret = runstate_print(&monitor->state, &text);
	if (ret == 0)
		ret = io_replace_file(monitor->run_fd, state_file, text.data, text.len, false);
	if (ret < 0)
		log_error("cannot write %s: %s", state_file, strerrordesc_np(-ret));
}

static struct map *attributes_collect(va_list pairs)
{
	_autofree_(map) struct map *attributes = map_new(free);
	const char *key;

	while (attributes && (key = va_arg(pairs, const char *)) != NULL) {
		char *value = strdup(va_arg(pairs, const char *));
		if (!value || map_set(attributes, key, value) < 0) {
			free(value);
			return NULL;
		}
	}
	return TAKE(attributes);
}

void state_event(struct monitor *monitor, const char *type, ...)
{
	va_list pairs;
	const struct run_event *event = NULL;

	va_start(pairs, type);
	struct map *attributes = attributes_collect(pairs);
	va_end(pairs);
	if (!attributes || runstate_add_event(&monitor->state, type, clock_realtime_ns(), attributes, &event) < 0)
		log_error("out of memory: the event %s is lost", type);
	state_save(monitor);
	if (event)
		control_send_event(monitor->control, event);
}

void state_set_status(struct monitor *monitor, const char *status)
{
	if (runstate_set_status(&monitor->state, status) < 0)
		log_error("out of memory: the container's status stays %s instead of %s", monitor->state.status,
			status);
}
