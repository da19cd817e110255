/* events: a line of JSON for each OOM kill and, at an interval, for what the container uses; until its first process has ended. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/json.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/command_state.h"
#include "runtime/stats_json.h"

#define INTERVAL_DEFAULT "5s"
#define LOOK_NS          NS_PER_SEC
#define LOOK_STEP_NS     (20 * NS_PER_MS)

struct events_values {
	const char *interval;
	bool stats;
};

static const struct flag events_flags[] = {
	FLAG(struct events_values, interval, "interval", 0, FLAG_STRING, .word = "value",
		.help = "set the stats collection interval (default: " INTERVAL_DEFAULT ")"),
	FLAG(struct events_values, stats, "stats", 0, FLAG_BOOL, .help = "display the container's stats then exit"),
};
static const struct verb_line events_line = { "events", "CONTAINER",
	"display container events such as OOM notifications and usage statistics", events_flags,
	ARRAY_SIZE(events_flags), 1, 1 };

/* Takes `data`; NULL: an event without. */
static int print_event(const char *type, const char *id, json_t *data, struct err **reterr)
{
	_autojson_ json_t *event = json_pack("{s:s, s:s, s:o*}", "type", type, "id", id, "data", data);

	if (!event)
		return err_oom(reterr);
	if (json_dumpf(event, stdout, JSON_COMPACT) < 0 || putchar('\n') < 0 || fflush(stdout) != 0)
		return err_errno(reterr, -errno, "cannot write the event");
	return 0;
}

static int print_stats(const struct opened *opened, struct err **reterr)
{
	json_t *data = stats_json(opened->container);

	return data ? print_event("stats", opened->state.id, data, reterr) : err_oom(reterr);
}

struct follower {
	const struct opened *opened;
	int oom_fd;
	uint64_t kills_seen;
	int64_t next_ns;       /* statistics are due */
	int64_t look_until_ns; /* v1 tells of a kill before it counts it */
};

/* Every kill since the last look. */
static int print_kills(struct follower *self, struct err **reterr)
{
	uint64_t kills;
	int r = 0;

	if (container_oom_kills(self->opened->container, &kills) < 0)
		return 0;
	for (; r == 0 && self->kills_seen < kills; self->kills_seen++)
		r = print_event("oom", self->opened->state.id, NULL, reterr);
	return r;
}

/* What poll says, or 0 when something is due by the clock. */
static int wait_for_news(const struct follower *self, struct pollfd *fds, size_t count)
{
	int64_t now_ns = clock_monotonic_ns(), left_ns = self->next_ns - now_ns;

	if (self->look_until_ns > now_ns && left_ns > LOOK_STEP_NS)
		left_ns = LOOK_STEP_NS;
	if (left_ns < 0)
		left_ns = 0;
	const struct timespec left = { .tv_sec = left_ns / NS_PER_SEC, .tv_nsec = left_ns % NS_PER_SEC };
	int ready = ppoll(fds, count, &left, NULL);
	return ready < 0 ? -errno : ready;
}

static int follow(struct follower *self, int64_t interval_ns, struct err **reterr)
{
	struct pollfd fds[] = { { .fd = container_pidfd(self->opened->container), .events = POLLIN },
		{ .fd = self->oom_fd, .events = POLLIN } };
	int r = 0;

	container_oom_kills(self->opened->container, &self->kills_seen);
	self->next_ns = clock_monotonic_ns() + interval_ns;
	while (r == 0) {
		int ready = wait_for_news(self, fds, ARRAY_SIZE(fds));
		if (ready < 0 && ready != -EINTR)
			return err_errno(reterr, ready, "cannot wait for events");
		if (ready > 0 && fds[1].revents) {
			container_oom_drain(self->oom_fd);
			self->look_until_ns = clock_monotonic_ns() + LOOK_NS;
		}
		r = print_kills(self, reterr);
		if (ready > 0 && fds[0].revents)
			break;
		if (r == 0 && clock_monotonic_ns() >= self->next_ns) {
			r = print_stats(self->opened, reterr);
			self->next_ns += interval_ns;
		}
	}
	return r;
}

int command_events(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	struct events_values values = { .interval = INTERVAL_DEFAULT };
	int64_t interval_ns;
	int first;
	int r = verb_line_parse(&events_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	if (clock_parse_duration(values.interval, &interval_ns) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid value \"%s\" for flag -interval", values.interval);
	if (interval_ns <= 0)
		return err_set(reterr, ERR_INVALID, 0, "duration interval must be greater than 0");
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r < 0)
		return r;
	if (opened.status == STATE_STOPPED)
		return err_set(reterr, ERR_CONFLICT, 0, "container with id %s is not running", opened.state.id);
	if (values.stats)
		return print_stats(&opened, reterr);
	struct follower follower = { .opened = &opened, .oom_fd = container_oom_open(opened.container) };
	r = follow(&follower, interval_ns, reterr);
	fd_close(&follower.oom_fd);
	return r;
}
