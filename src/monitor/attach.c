/*
 * An attach is connected from the moment it was accepted, also while nothing runs: whatever the container says from its
 * first byte on goes to it. With `logs`, what was said before is sent first, and the container's output waits meanwhile,
 * so that nothing is missing between the two and nothing comes twice.
 */
#include "monitor/attach.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/logreader.h"
#include "monitor/logs.h"
#include "monitor/monitor.h"
#include "monitor/state.h"
#include "monitor/streams.h"

struct attach {
	struct list link;
	struct monitor *monitor;
	struct streams streams;
	struct streams_options options;
	struct logreader *replay; /* what is still to be sent of the log */
	bool stream;              /* go on with what comes after the log ... */
	bool run_ended;           /* ... unless there is nothing to come any more */
};

static struct attach *of_streams(struct streams *streams)
{
	return container_of(streams, struct attach, streams);
}

static void attach_free(struct attach *attach)
{
	list_remove(&attach->link);
	logreader_free(attach->replay);
	free(attach);
}

static void on_gone(struct streams *streams)
{
	struct attach *attach = of_streams(streams);
	struct monitor *monitor = attach->monitor;
	streams_finish(streams);
	attach_free(attach);
	monitor_client_end(monitor);
}

static void on_detach(struct streams *streams)
{
	state_event(of_streams(streams)->monitor, "detach", NULL);
}

static void begin_streaming(struct attach *attach)
{
	logreader_free(attach->replay);
	attach->replay = NULL;
	attach->streams.on_drained = NULL;
	if (attach->stream && !attach->run_ended)
		streams_release(&attach->streams);
	else
		streams_end(&attach->streams);
}

/* As much of the log as the client takes now. */
static void replay(struct attach *attach)
{
	struct log_record record;
	int ret = LOGREADER_RECORD;

	while (session_is_ready(attach->streams.session)) {
		ret = logreader_next(attach->replay, &record);
		if (ret != LOGREADER_RECORD) {
			begin_streaming(attach);
			return;
		}
		streams_send(&attach->streams, record.stream, record.data, record.len);
	}
}

static void on_drained(struct streams *streams)
{
	replay(of_streams(streams));
}

static int check_state(const struct monitor *monitor, struct err **reterr)
{
	const char *status = monitor->state.status;
	if (strcmp(status, "paused") == 0)
		return err_set(reterr, ERR_CONFLICT, 0, "container %s is paused, unpause the container before attach",
			monitor->options.id);
	if (strcmp(status, "restarting") == 0)
		return err_set(reterr, ERR_CONFLICT, 0,
			"container %s is restarting, wait until the container is running", monitor->options.id);
	return 0;
}

static int open_replay(struct attach *attach, const struct handover_attach *wish, struct err **reterr)
{
	const struct logreader_options options = {
		.tail = -1,
		.since_ns = INT64_MIN,
		.until_ns = INT64_MAX,
		.want_stdout = wish->stdout_wanted,
		.want_stderr = wish->stderr_wanted,
	};
	return wish->logs ? logs_open_reader(attach->monitor, &options, &attach->replay, reterr) : 0;
}

static struct streams_options options_from(const struct monitor *monitor, const struct handover_attach *wish,
	struct detach *detach)
{
	bool tty = monitor_has_terminal(monitor);
	return (struct streams_options){
		.want_stdin = wish->stream && wish->stdin_wanted && monitor->launch.open_stdin,
		.want_stdout = wish->stream && wish->stdout_wanted,
		.want_stderr = wish->stream && wish->stderr_wanted,
		.multiplexed = !tty,
		.closes_stdin = monitor->launch.stdin_once && !tty,
		.detach = tty && detach->count ? detach : NULL,
	};
}

/* Everything that can go wrong, up to the moment the client is ours. */
static int attach_prepare(struct attach *attach, const struct client *client, struct detach *detach,
	struct err **reterr)
{
	const struct handover_attach *wish = client->handover->attach;
	const char *keys = wish->detach_keys;
	int ret = check_state(attach->monitor, reterr);

	if (ret == 0)
		ret = monitor_need_launch(attach->monitor, reterr);
	if (ret == 0 && !(keys && !*keys) && detach_init(detach, keys) < 0)
		ret = err_set(reterr, ERR_INVALID, 0, "Invalid detach keys (%s) provided", keys);
	if (ret == 0)
		ret = open_replay(attach, wish, reterr);
	if (ret == 0)
		ret = client_accept(attach->monitor, client, &streams_session_ops, &attach->streams,
			&attach->streams.session, reterr);
	return ret;
}

int attach_handover(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	struct attach *attach = calloc(1, sizeof *attach);
	struct detach detach = { .count = 0 };
	if (!attach)
		return err_oom(reterr);
	list_init(&attach->link);
	attach->monitor = monitor;
	attach->stream = client->handover->attach->stream;
	int ret = attach_prepare(attach, client, &detach, reterr);
	if (ret < 0) {
		attach_free(attach);
		return ret;
	}
	list_append(&monitor->attaches, &attach->link);
	attach->streams.on_gone = on_gone;
	attach->streams.on_detach = on_detach;
	attach->streams.on_drained = attach->replay ? on_drained : NULL;
	attach->streams.held = true;

	struct streams_options options = options_from(monitor, client->handover->attach, &detach);
	client_answer_stream(client, attach->streams.session, options.multiplexed);
	streams_begin(&attach->streams, &monitor->stdio, &options);
	state_event(monitor, "attach", NULL);
	if (attach->replay)
		replay(attach);
	else
		begin_streaming(attach);
	return 0;
}

void attach_end_all(struct monitor *monitor)
{
	struct attach *attach;
	list_foreach (attach, &monitor->attaches, link) {
		attach->run_ended = true;
		if (!attach->replay)
			streams_end(&attach->streams);
	}
}
