/*
 * One client: a sample is taken, written as a document beside the one before it, and forgotten but for its CPU times. A client
 * of a stream gets one at once and then one a second; who asks once gets one after a second, so that there is a difference to
 * show, or at once with one-shot. A container that does not run has a document without numbers. A reader that lets a queue
 * grow is dropped: what it would read is old by then.
 */
#include "monitor/stats.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/io.h"
#include "monitor/hostproc.h"
#include "monitor/monitor.h"
#include "runtime/usage.h"

#define PERIOD_MS     1000
#define STATS_MAX     (256 * 1024)
#define NET_LINE_SKIP 2 /* of headings in /proc/PID/net/dev */

struct stats {
	struct list link;
	struct monitor *monitor;
	struct session *session;
	struct client_body body;
	struct loop_source *timer;
	bool streams;
	json_t *before; /* cpu_stats of the last sample; NULL: there was none */
	int64_t before_ns;
};

/* --- the parts of a document --- */

static json_t *number(uint64_t value)
{
	return json_integer((json_int_t)(value > INT64_MAX ? INT64_MAX : value));
}

/* All time of all CPUs, in nanoseconds. */
static uint64_t system_cpu_ns(void)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1024 * 1024);
	unsigned long long ticks[8], sum = 0;
	if (io_read_file(AT_FDCWD, "/proc/stat", &text) < 0 || !text.data ||
		sscanf(text.data, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &ticks[0], &ticks[1], &ticks[2],
			&ticks[3], &ticks[4], &ticks[5], &ticks[6], &ticks[7]) != 8)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(ticks); i++)
		sum += ticks[i];
	return sum * (uint64_t)NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
}

static json_t *throttling(const struct container_usage *usage)
{
	return json_pack("{s:o, s:o, s:o}", "periods", number(usage->periods), "throttled_periods",
		number(usage->throttled_periods), "throttled_time", number(usage->throttled_ns));
}

static json_t *cpu_stats(const struct container_usage *usage, bool runs)
{
	json_t *own = json_pack("{s:o, s:o, s:o}", "total_usage", number(usage->cpu_total_ns), "usage_in_kernelmode",
		number(usage->cpu_kernel_ns), "usage_in_usermode", number(usage->cpu_user_ns));
	if (usage->per_cpu_count) {
		json_t *list = json_array();
		for (size_t i = 0; i < usage->per_cpu_count; i++)
			json_array_append_new(list, number(usage->per_cpu_ns[i]));
		message_add(own, "percpu_usage", list);
	}
	json_t *all = json_pack("{s:o, s:o}", "cpu_usage", own, "throttling_data", throttling(usage));
	if (runs) {
		message_add(all, "system_cpu_usage", number(system_cpu_ns()));
		message_add(all, "online_cpus", json_integer(sysconf(_SC_NPROCESSORS_ONLN)));
	}
	return all;
}

static json_t *memory_details(char *text)
{
	json_t *details = json_object();
	char *save = NULL;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *blank = strchr(line, ' ');
		if (!blank)
			continue;
		*blank = '\0';
		json_object_set_new(details, line, number(strtoull(blank + 1, NULL, 10)));
	}
	return details;
}

static json_t *memory_stats(struct container_usage *usage)
{
	struct sysinfo info = { 0 };
	json_t *all = json_object();
	if (!usage->has_memory)
		return all;
	sysinfo(&info);
	uint64_t host = (uint64_t)info.totalram * info.mem_unit;
	message_add(all, "usage", number(usage->memory));
	message_add(all, "limit", number(usage->memory_limit < host ? usage->memory_limit : host));
	if (usage->memory_peak)
		message_add(all, "max_usage", number(usage->memory_peak));
	if (usage->memory_failures)
		message_add(all, "failcnt", number(usage->memory_failures));
	if (usage->memory_stat)
		message_add(all, "stats", memory_details(usage->memory_stat));
	return all;
}

static json_t *pids_stats(const struct container_usage *usage)
{
	json_t *all = json_object();
	if (usage->has_pids)
		message_add(all, "current", number(usage->pids));
	if (usage->has_pids && usage->pids_limit)
		message_add(all, "limit", number(usage->pids_limit));
	return all;
}

static json_t *block_entries(const struct container_usage *usage, bool runs, bool is_bytes)
{
	json_t *list = runs ? json_array() : json_null();
	for (size_t i = 0; i < usage->block_count; i++) {
		const struct container_block_usage *block = &usage->blocks[i];
		if (block->is_bytes == is_bytes)
			json_array_append_new(list,
				json_pack("{s:o, s:o, s:s, s:o}", "major", number(block->major), "minor",
					number(block->minor), "op", block->op, "value", number(block->value)));
	}
	return list;
}

static json_t *block_stats(const struct container_usage *usage, bool runs)
{
	/* What schedulers of before counted: there, and empty. */
	static const char *const others[] = { "io_merged_recursive", "io_queue_recursive", "io_service_time_recursive",
		"io_time_recursive", "io_wait_time_recursive", "sectors_recursive" };
	json_t *all = json_object();
	message_add(all, "io_service_bytes_recursive", block_entries(usage, runs, true));
	message_add(all, "io_serviced_recursive", block_entries(usage, runs, false));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		message_add(all, others[i], runs && !usage->is_v2 ? json_array() : json_null());
	return all;
}

/* "  eth0: bytes packets errs drop fifo frame compressed multicast bytes packets errs drop ..." */
static json_t *interface(const char *counters)
{
	unsigned long long in[4], out[4];
	if (sscanf(counters, "%llu %llu %llu %llu %*u %*u %*u %*u %llu %llu %llu %llu", &in[0], &in[1], &in[2], &in[3],
		    &out[0], &out[1], &out[2], &out[3]) != 8)
		return NULL;
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "rx_bytes", number(in[0]), "rx_packets",
		number(in[1]), "rx_errors", number(in[2]), "rx_dropped", number(in[3]), "tx_bytes", number(out[0]),
		"tx_packets", number(out[1]), "tx_errors", number(out[2]), "tx_dropped", number(out[3]));
}

/* Of the container's own network, but for the loopback. NULL: it has none. */
static json_t *networks(const struct monitor *monitor)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(HOSTPROC_FILE_MAX);
	_autojson_ json_t *all = json_object();
	char *save = NULL;
	int skip = NET_LINE_SKIP;
	if (strcmp(monitor->launch.network.mode, "host") == 0 ||
		hostproc_read((pid_t)monitor->state.pid, "net/dev", &text) < 0 || !text.data)
		return NULL;
	for (char *line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *name = line + strspn(line, " "), *colon = strchr(name, ':');
		if (skip-- > 0 || !colon)
			continue;
		*colon = '\0';
		if (strcmp(name, "lo") != 0)
			message_add(all, name, interface(colon + 1));
	}
	return json_object_size(all) ? TAKE(all) : NULL;
}

static int add_time(json_t *document, const char *key, int64_t ns)
{
	char text[CLOCK_RFC3339_MAX];
	clock_format_rfc3339(ns, text);
	return message_add(document, key, json_string(text));
}

/* Takes this sample's CPU times for the next one. */
static json_t *make_document(struct stats *stats, const char *name)
{
	struct monitor *monitor = stats->monitor;
	struct container_usage usage = { 0 }, none = { 0 };
	bool runs = monitor->phase == PHASE_RUNNING && monitor->container &&
		    container_usage_read(monitor->container, &usage) == 0;
	json_t *cpu = cpu_stats(&usage, runs), *net = runs ? networks(monitor) : NULL;
	int64_t now_ns = runs ? clock_realtime_ns() : CLOCK_NEVER;
	json_t *document = json_pack("{s:s, s:s+, s:i, s:{}, s:O, s:o, s:o, s:o, s:o}", "id", monitor->options.id,
		"name", "/", name, "num_procs", 0, "storage_stats", "cpu_stats", cpu, "precpu_stats",
		stats->before ? json_incref(stats->before) : cpu_stats(&none, false), "memory_stats",
		memory_stats(&usage), "pids_stats", pids_stats(&usage), "blkio_stats", block_stats(&usage, runs));
	add_time(document, "read", now_ns);
	add_time(document, "preread", stats->before_ns);
	if (net)
		message_add(document, "networks", net);
	json_decref(stats->before);
	stats->before = runs ? cpu : NULL;
	stats->before_ns = now_ns;
	if (!runs)
		json_decref(cpu);
	container_usage_finish(&usage);
	return document;
}

/* --- the client --- */

static void send_document(struct stats *stats)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(STATS_MAX);
	_autojson_ json_t *document = make_document(stats, stats->monitor->launch.name);
	if (!session_is_ready(stats->session)) {
		session_drop(stats->session);
		return;
	}
	if (!document || json_print_value(document, &text) < 0 || buf_putc(&text, '\n') < 0)
		session_drop(stats->session);
	else
		client_send_body(stats->session, &stats->body, text.data, text.len);
}

static void on_time(struct loop_source *source, void *data)
{
	struct stats *stats = data;
	send_document(stats);
	if (stats->streams)
		loop_timer_set(source, clock_monotonic_ms() + PERIOD_MS);
	else
		client_end_body(stats->session, &stats->body);
}

static void on_gone(struct session *session, void *user)
{
	struct stats *stats = user;
	struct monitor *monitor = stats->monitor;
	session_free(session);
	list_remove(&stats->link);
	loop_source_free(stats->timer);
	json_decref(stats->before);
	free(stats);
	monitor_client_end(monitor);
}

static const struct session_ops session_ops = { .gone = on_gone };

/* The first document of a stream; of one that is to come, the times that it will be compared with. */
static void begin(struct stats *stats, const struct handover_stats *wish)
{
	bool at_once = stats->streams || wish->one_shot || stats->monitor->phase != PHASE_RUNNING;
	if (stats->streams)
		send_document(stats);
	else if (!at_once)
		json_decref(make_document(stats, stats->monitor->launch.name));
	loop_timer_set(stats->timer, clock_monotonic_ms() + (at_once && !stats->streams ? 0 : PERIOD_MS));
}

int stats_handover(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	const struct handover_stats *wish = client->handover->stats;
	struct stats *stats = calloc(1, sizeof *stats);
	if (!stats)
		return err_oom(reterr);
	*stats = (struct stats){ .monitor = monitor, .streams = wish->stream, .before_ns = CLOCK_NEVER };
	int ret = monitor_need_launch(monitor, reterr);
	if (ret == 0 && loop_add_timer(monitor->loop, LOOP_NEVER, on_time, stats, &stats->timer) < 0)
		ret = err_oom(reterr);
	if (ret == 0)
		ret = client_accept(monitor, client, &session_ops, stats, &stats->session, reterr);
	if (ret < 0) {
		loop_source_free(stats->timer);
		free(stats);
		return ret;
	}
	list_append(&monitor->stats, &stats->link);
	client_answer_body(client, stats->session, "application/json", &stats->body);
	begin(stats, wish);
	return 0;
}

void stats_end_all(struct monitor *monitor)
{
	struct stats *stats;
	list_foreach (stats, &monitor->stats, link) {
		loop_timer_set(stats->timer, LOOP_NEVER);
		client_end_body(stats->session, &stats->body);
	}
}
