/*
 * Each round asks for one sample of each container and compares it with the round before: the engine need not hold a stream
 * for each of many containers, and nothing is shown that is older than a round.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/humanize.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

#define ROUND_S 1
/* Home, and what is below the list cleared. */
#define SCREEN_TOP  "\033[H"
#define SCREEN_REST "\033[J"
#define CELL_MAX    (2 * HUMAN_MAX + 8)

struct stats_options {
	bool all;
	const char *format;
	bool no_stream;
	bool no_trunc;
};

#define OPTION(...) OPTION_IN(struct stats_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("all", 'a', OPTION_BOOL, all, "Show those that don't run, too"),
	OPTION("format", 0, OPTION_STRING, format, "Print as \"json\", by a template, or as \"table TEMPLATE\""),
	OPTION("no-stream", 0, OPTION_BOOL, no_stream, "Print once and end"),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
};
static const struct option_table table = OPTION_TABLE(specs);

static const struct listing_column columns[] = {
	{ "BlockIO", "BLOCK I/O" },
	{ "CPUPerc", "CPU %" },
	{ "Container", "CONTAINER" },
	{ "ID", "CONTAINER ID" },
	{ "MemPerc", "MEM %" },
	{ "MemUsage", "MEM USAGE / LIMIT" },
	{ "Name", "NAME" },
	{ "NetIO", "NET I/O" },
	{ "PIDs", "PIDS" },
};
static const struct listing_kind kind = {
	.table =
		"{{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}",
	.quiet = "{{.ID}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns),
};

/* --- numbers --- */

static double cpu_percent(const json_t *now, const json_t *before)
{
	double used = (double)(value_int(now, "cpu_stats.cpu_usage.total_usage") -
			       value_int(before, "cpu_stats.cpu_usage.total_usage"));
	double system = (double)(value_int(now, "cpu_stats.system_cpu_usage") -
				 value_int(before, "cpu_stats.system_cpu_usage"));
	if (!value_at(before, "cpu_stats.system_cpu_usage") || used <= 0 || system <= 0)
		return 0;
	return used / system * (double)value_int(now, "cpu_stats.online_cpus") * 100;
}

/* Without the page cache that can go any time. */
static double memory_used(const json_t *now)
{
	int64_t usage = value_int(now, "memory_stats.usage");
	int64_t cache = value_at(now, "memory_stats.stats.total_inactive_file")
				? value_int(now, "memory_stats.stats.total_inactive_file")
				: value_int(now, "memory_stats.stats.inactive_file");
	return (double)(cache < usage ? usage - cache : usage);
}

static void network_sums(const json_t *now, double sums[2])
{
	const char *name;
	json_t *interface;
	sums[0] = sums[1] = 0;
	json_object_foreach (value_at(now, "networks"), name, interface) {
		sums[0] += (double)value_int(interface, "rx_bytes");
		sums[1] += (double)value_int(interface, "tx_bytes");
	}
}

static void block_sums(const json_t *now, double sums[2])
{
	size_t i;
	const json_t *entry;
	sums[0] = sums[1] = 0;
	json_array_foreach (value_at(now, "blkio_stats.io_service_bytes_recursive"), i, entry) {
		const char *op = value_string(entry, "op");
		if (*op == 'r' || *op == 'R')
			sums[0] += (double)value_int(entry, "value");
		else if (*op == 'w' || *op == 'W')
			sums[1] += (double)value_int(entry, "value");
	}
}

/* --- a row --- */

static void put_pair(struct object *row, const char *key, const double sums[2])
{
	char in[HUMAN_MAX], out[HUMAN_MAX], cell[CELL_MAX];
	human_size(sums[0], 3, in);
	human_size(sums[1], 3, out);
	snprintf(cell, sizeof cell, "%s / %s", in, out);
	object_put_string(row, key, cell);
}

static void put_percent(struct object *row, const char *key, double percent)
{
	char cell[CELL_MAX];
	snprintf(cell, sizeof cell, "%.2f%%", percent);
	object_put_string(row, key, cell);
}

static void put_memory(struct object *row, const json_t *now)
{
	char used[HUMAN_MAX], limit[HUMAN_MAX], cell[CELL_MAX];
	double bytes = memory_used(now), most = (double)value_int(now, "memory_stats.limit");
	human_size_binary(bytes, used);
	human_size_binary(most, limit);
	snprintf(cell, sizeof cell, "%s / %s", used, limit);
	object_put_string(row, "MemUsage", cell);
	put_percent(row, "MemPerc", most > 0 ? bytes / most * 100 : 0);
}

static int add_row(struct listing *listing, const struct stats_options *options, const char *asked, const json_t *now,
	const json_t *before, struct err **reterr)
{
	char id[VALUE_SHORT_ID_MAX], pids[24];
	double sums[2];
	const char *name = value_string(now, "name");
	value_short_id(value_string(now, "id"), id);
	snprintf(pids, sizeof pids, "%lld", (long long)value_int(now, "pids_stats.current"));

	_cleanup_(object_finish) struct object row;
	object_init(&row);
	block_sums(now, sums);
	put_pair(&row, "BlockIO", sums);
	put_percent(&row, "CPUPerc", cpu_percent(now, before));
	object_put_string(&row, "Container", asked);
	object_put_string(&row, "ID", options->no_trunc ? value_string(now, "id") : id);
	put_memory(&row, now);
	object_put_string(&row, "Name", name + (*name == '/'));
	network_sums(now, sums);
	put_pair(&row, "NetIO", sums);
	object_put_string(&row, "PIDs", pids);
	_autojson_ json_t *json = NULL;
	int ret = object_take(&row, &json, reterr);
	return ret < 0 ? ret : listing_add(listing, json, NULL, reterr);
}

/* --- rounds --- */

static int ask(const struct invocation *invocation, const char *name, json_t **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int r = client_path(&path, "/containers/", name, "/stats?stream=0&one-shot=1");
	return r < 0 ? err_errno(reterr, r, "cannot make the request")
		     : client_call(invocation->client, "GET", path.data, NULL, ret, reterr);
}

/* What was asked for, or what there is: an array of names. */
static int find_names(const struct invocation *invocation, json_t **ret, struct err **reterr)
{
	const struct stats_options *options = invocation->options;
	_autojson_ json_t *names = json_array(), *listed = NULL;
	for (size_t i = 0; i < invocation->arg_count; i++)
		json_array_append_new(names, json_string(invocation->args[i]));
	if (!invocation->arg_count) {
		int r = client_call(invocation->client, "GET",
			options->all ? "/containers/json?all=1" : "/containers/json", NULL, &listed, reterr);
		if (r < 0)
			return r;
	}
	size_t i;
	const json_t *container;
	json_array_foreach (listed, i, container) {
		char id[VALUE_SHORT_ID_MAX];
		value_short_id(value_string(container, "Id"), id);
		json_array_append_new(names, json_string(id));
	}
	*ret = TAKE(names);
	return *ret ? 0 : err_oom(reterr);
}

/* Fills `listing`, and replaces the documents of the round before. One that has gone meanwhile is only missing, unless it was
 * asked for by name. */
static int play_round(const struct invocation *invocation, json_t *documents, struct listing *listing,
	struct err **reterr)
{
	_autojson_ json_t *names = NULL;
	int ret = find_names(invocation, &names, reterr);
	size_t i;
	const json_t *name;
	json_array_foreach (names, i, name) {
		_autojson_ json_t *now = NULL;
		const char *text = json_string_value(name);
		if (ret == 0)
			ret = ask(invocation, text, &now, reterr);
		if (ret == -ENOENT && !invocation->arg_count) {
			err_free(TAKE(*reterr));
			ret = 0;
			continue;
		}
		if (ret == 0)
			ret = add_row(listing, invocation->options, text, now, json_object_get(documents, text),
				reterr);
		if (ret == 0 && json_object_set(documents, text, now) < 0)
			ret = err_oom(reterr);
	}
	return ret;
}

static int show_round(const struct invocation *invocation, json_t *documents, bool shown, struct err **reterr)
{
	const struct stats_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	bool on_screen = shown && !options->no_stream && isatty(STDOUT_FILENO);
	int ret = listing_init(&listing, &kind, options->format, false, reterr);
	if (ret == 0)
		ret = play_round(invocation, documents, &listing, reterr);
	if (ret == 0 && on_screen)
		ret = print_out(SCREEN_TOP, strlen(SCREEN_TOP), reterr);
	if (ret == 0 && on_screen)
		ret = print_out(SCREEN_REST, strlen(SCREEN_REST), reterr);
	return ret == 0 && shown ? listing_print(&listing, reterr) : ret;
}

static int stats_run(const struct invocation *invocation, struct err **reterr)
{
	const struct stats_options *options = invocation->options;
	_autojson_ json_t *documents = json_object();
	int ret = documents ? show_round(invocation, documents, false, reterr) : err_oom(reterr);
	do {
		const struct timespec pause = { .tv_sec = ROUND_S };
		if (ret == 0)
			nanosleep(&pause, NULL);
		if (ret == 0)
			ret = show_round(invocation, documents, true, reterr);
	} while (ret == 0 && !options->no_stream);
	return ret;
}

const struct command stats_command = {
	.names = { "container stats", "stats" },
	.usage = "[OPTIONS] [CONTAINER...]",
	.summary = "Show what containers use, live",
	.options = { { &table } },
	.options_size = sizeof(struct stats_options),
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = stats_run,
};
