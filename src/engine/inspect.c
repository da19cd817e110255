#include "engine/inspect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "codec/reference.h"
#include "engine/endpoints.h"
#include "engine/execs.h"
#include "engine/pattern.h"
#include "engine/ports.h"
#include "engine/security.h"
#include "engine/times.h"
#include "engine/volumes.h"

#define STATUS_MAX       96
#define SANDBOX_KEY_SIZE 40

/* Everything here is written at once: pointers are borrowed, and casts take away a const that the writer keeps. */

static bool is_state(const struct container *container, const char *status)
{
	return strcmp(container_status(container), status) == 0;
}

static bool has_run(const struct container *container)
{
	return container->state.started_at_ns != CLOCK_NEVER;
}

static const char *time_text(int64_t ns, char out[static CLOCK_RFC3339_MAX])
{
	clock_format_rfc3339(ns, out);
	return out;
}

/* --- paths --- */

struct paths {
	char *folder; /* data-root/containers/ID/ and each name in it */
	char *log;
	char *hostname;
	char *hosts;
	char *resolv_conf;
	char *upper;
};

static char *path_of(const struct container *container, const char *name, const char *suffix)
{
	char *path;
	if (asprintf(&path, "%s/containers/%s/%s%s", container->engine->data_root, container->id, name, suffix) < 0)
		return NULL;
	return path;
}

static int paths_init(struct paths *paths, const struct container *container)
{
	const char *driver = container->record.host.log.type;
	bool has_log = driver && strcmp(driver, "none") != 0;
	*paths = (struct paths){
		.folder = path_of(container, "", ""),
		.log = has_log ? path_of(container, container->id, "-json.log") : strdup(""),
		.hostname = path_of(container, "hostname", ""),
		.hosts = path_of(container, "hosts", ""),
		.resolv_conf = path_of(container, "resolv.conf", ""),
		.upper = path_of(container, "upper", ""),
	};
	return paths->folder && paths->log && paths->hostname && paths->hosts && paths->resolv_conf && paths->upper
		       ? 0
		       : -ENOMEM;
}

static void paths_finish(struct paths *paths)
{
	free(paths->folder);
	free(paths->log);
	free(paths->hostname);
	free(paths->hosts);
	free(paths->resolv_conf);
	free(paths->upper);
}

/* --- inspect --- */

/* Docker's Path and Args: entrypoint and command as one vector. */
static int command_vector(const struct container_config *config, char ***ret)
{
	int r = strv_extend(ret, config->entrypoint);
	return r < 0 ? r : strv_extend(ret, config->cmd);
}

static void fill_state(const struct container *container, struct container_state *state, char *started, char *finished)
{
	const struct runstate *run = &container->state;
	bool restarting = container_is_restarting(container);
	*state = (struct container_state){
		.status = (char *)container_status(container),
		.running = container_is_running(container) || restarting,
		.paused = container_is_paused(container),
		.restarting = restarting,
		.oom_killed = run->oom_killed,
		.dead = is_state(container, "dead"),
		.pid = container_is_running(container) ? run->pid : 0,
		.exit_code = container_is_running(container) ? 0 : run->exit_code,
		.error = run->error ? run->error : (char *)"",
		.started_at = (char *)time_text(run->started_at_ns, started),
		.finished_at = (char *)time_text(run->finished_at_ns, finished),
		.health = run->health,
	};
}

/* The members of before there were several networks: the default bridge's. */
static void fill_network(struct container_network_settings *settings, struct map *networks, json_t *ports)
{
	const struct endpoint_settings *endpoint = map_get(networks, NETWORK_BRIDGE);
	*settings = (struct container_network_settings){
		.bridge = (char *)"",
		.sandbox_id = (char *)"",
		.sandbox_key = (char *)"",
		.ports = ports,
		.networks = networks,
	};
	if (!endpoint)
		return;
	settings->endpoint_id = endpoint->endpoint_id;
	settings->gateway = endpoint->gateway;
	settings->ip_address = endpoint->ip_address;
	settings->ip_prefix_len = endpoint->ip_prefix_len;
	settings->ipv6_gateway = endpoint->ipv6_gateway;
	settings->global_ipv6_address = endpoint->global_ipv6_address;
	settings->global_ipv6_prefix_len = endpoint->global_ipv6_prefix_len;
	settings->mac_address = endpoint->mac_address;
}

/* What the container has written, and that with its image's layers; false if it was not counted. */
static bool sizes_for(const struct container *container, const struct sizes *sizes, int64_t *ret_rw, int64_t *ret_root)
{
	*ret_rw = sizes_of_container(sizes, container->id);
	if (*ret_rw < 0 || store_lease_size(container->engine->store, container->id, ret_root, NULL) < 0)
		return false;
	*ret_root += *ret_rw;
	return true;
}

static int write_inspect(struct container *container, const struct sizes *sizes, const struct paths *paths,
	char *const *command, char **execs, struct map *networks, json_t **ret)
{
	char created[CLOCK_RFC3339_MAX], started[CLOCK_RFC3339_MAX], finished[CLOCK_RFC3339_MAX];
	_cleanup_free_ char *name = NULL;
	_autojson_ json_t *ports = ports_describe(container);
	struct container_state state;
	struct container_network_settings settings;
	if (!ports || asprintf(&name, "/%s", container->name) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	fill_state(container, &state, started, finished);
	fill_network(&settings, networks, ports);
	char sandbox_key[SANDBOX_KEY_SIZE];
	if (state.pid > 0) { /* as long as it runs, its network namespace has no other name */
		snprintf(sandbox_key, sizeof(sandbox_key), "/proc/%lld/ns/net", (long long)state.pid);
		settings.sandbox_key = sandbox_key;
	}
	_autofree_(map) struct map *driver_data = map_new(NULL);
	if (!driver_data || map_set(driver_data, "UpperDir", paths->upper) < 0)
		return -ENOMEM;
	struct container_record *record = &container->record;
	struct json_opt_int rw = { 0 }, root = { 0 };
	rw.set = root.set = sizes_for(container, sizes, &rw.value, &root.value);
	const struct container_inspect inspect = {
		.size_rw = rw,
		.size_root_fs = root,
		.id = container->id,
		.created = (char *)time_text(record->created_ns, created),
		.path = command && command[0] ? command[0] : (char *)"",
		.args = command && command[0] ? (char **)command + 1 : NULL,
		.state = &state,
		.image = record->image_id,
		.resolv_conf_path = has_run(container) ? paths->resolv_conf : (char *)"",
		.hostname_path = has_run(container) ? paths->hostname : (char *)"",
		.hosts_path = has_run(container) ? paths->hosts : (char *)"",
		.log_path = has_run(container) ? paths->log : (char *)"",
		.name = name,
		.restart_count = container->state.restart_count,
		.driver = (char *)"overlay2",
		.platform = (char *)"linux",
		.mount_label = (char *)"",
		.process_label = (char *)"",
		.apparmor_profile = (char *)security_apparmor(record->host.security_opt),
		.exec_ids = execs,
		.host = &record->host,
		.graph_driver = { .data = driver_data, .name = (char *)"overlay2" },
		.mounts = record->mounts,
		.mount_count = record->mount_count,
		.config = &record->config,
		.network_settings = &settings,
	};
	*ret = json_write(&container_inspect_table, &inspect);
	return *ret ? 0 : -ENOMEM;
}

int inspect_container(struct container *container, const struct sizes *sizes, json_t **ret, struct err **reterr)
{
	struct paths paths;
	_autofree_(strv) char **command = NULL, **execs = NULL;
	_autofree_(map) struct map *networks = endpoints_describe(container);
	int r = paths_init(&paths, container);
	if (r == 0)
		r = command_vector(&container->record.config, &command);
	if (r == 0)
		r = execs_of(container->engine->execs, container->id, &execs);
	if (r == 0 && !networks)
		r = -ENOMEM;
	if (r == 0)
		r = write_inspect(container, sizes, &paths, command, execs, networks, ret);
	paths_finish(&paths);
	return r < 0 ? err_errno(reterr, r, "cannot describe container %s", container->id) : 0;
}

/* --- the list --- */

/* "Up 3 minutes (healthy)", "Exited (0) 2 hours ago", "Created". */
static void status_text(const struct container *container, char out[static STATUS_MAX])
{
	const struct runstate *run = &container->state;
	char since[TIMES_HUMAN_MAX];
	int64_t from = container_is_running(container) ? run->started_at_ns : run->finished_at_ns;
	int64_t elapsed = from == CLOCK_NEVER ? 0 : clock_realtime_ns() - from;
	times_human(elapsed < 0 ? 0 : elapsed, since);
	if (container->removing)
		snprintf(out, STATUS_MAX, "Removal In Progress");
	else if (container_is_restarting(container))
		snprintf(out, STATUS_MAX, "Restarting (%lld) %s ago", (long long)run->exit_code, since);
	else if (container_is_paused(container))
		snprintf(out, STATUS_MAX, "Up %s (Paused)", since);
	else if (container_is_running(container) && run->health && strcmp(run->health->status, "none") != 0)
		snprintf(out, STATUS_MAX, "Up %s (%s%s)", since,
			strcmp(run->health->status, "starting") == 0 ? "health: " : "", run->health->status);
	else if (container_is_running(container))
		snprintf(out, STATUS_MAX, "Up %s", since);
	else if (!has_run(container))
		snprintf(out, STATUS_MAX, "Created");
	else
		snprintf(out, STATUS_MAX, "Exited (%lld) %s ago", (long long)run->exit_code, since);
}

/* Docker's COMMAND: the vector with blanks between, quoted where a word has one. */
static char *command_text(const struct container_config *config)
{
	_autofree_(strv) char **command = NULL;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CONTAINER_CREATE_MAX * 2);
	if (command_vector(config, &command) < 0)
		return NULL;
	int r = 0;
	strv_foreach (word, command) {
		const char *quote = strpbrk(*word, " \t\n") ? "'" : "";
		if (r == 0)
			r = buf_printf(&text, "%s%s%s%s", word == command ? "" : " ", quote, *word, quote);
	}
	return r < 0 ? NULL : buf_take(&text);
}

static json_t *summary_of(const struct container *container, const struct sizes *sizes)
{
	int64_t rw, root;
	bool counted = sizes_for(container, sizes, &rw, &root);
	char status[STATUS_MAX];
	_cleanup_free_ char *name = NULL, *command = command_text(&container->record.config);
	_autofree_(map) struct map *networks = endpoints_describe(container);
	if (!command || !networks || asprintf(&name, "/%s", container->name) < 0)
		return NULL;
	status_text(container, status);
	char *names[] = { name, NULL };
	struct container_summary_networks settings = { .networks = networks };
	_cleanup_free_ struct port_summary *ports = NULL;
	size_t port_count;
	if (ports_summary(container, &ports, &port_count) < 0)
		return NULL;
	const struct container_record *record = &container->record;
	const struct container_summary summary = {
		.size_rw = counted ? rw : 0,
		.size_root_fs = counted ? root : 0,
		.id = (char *)container->id,
		.names = names,
		.image = record->config.image,
		.image_id = record->image_id,
		.command = command,
		.created = record->created_ns / NS_PER_SEC,
		.labels = record->config.labels,
		.state = (char *)container_status(container),
		.status = status,
		.ports = ports,
		.port_count = port_count,
		.host = { .network_mode = record->host.network_mode, .annotations = record->host.annotations },
		.network_settings = &settings,
		.mounts = record->mounts,
		.mount_count = record->mount_count,
	};
	return json_write(&container_summary_table, &summary);
}

const char *const inspect_list_filters[] = { "ancestor", "before", "exited", "expose", "health", "id", "is-task",
	"isolation", "label", "name", "network", "publish", "since", "status", "volume", NULL };

/* What the filters mean once names are looked up. */
struct selection {
	const struct inspect_list *wish;
	int64_t before_ns; /* created earlier than this */
	int64_t since_ns;  /* and later than this */
	char **ancestors;  /* IDs of images; with the filter but without any, nothing fits */
};

static int refuse_word(const char *key, const char *value, const char *const *words, size_t count, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1024);
	for (size_t i = 0; i < count; i++)
		buf_printf(&text, "%s%s", i ? ", " : "", words[i]);
	return err_set(reterr, ERR_INVALID, 0, "invalid filter '%s=%s': invalid value for %s (%s): must be one of %s",
		key, value, strcmp(key, "status") == 0 ? "state" : key, value, text.data ? text.data : "");
}

static int check_words(const struct filters *filters, struct err **reterr)
{
	static const char *const statuses[] = { "created", "running", "paused", "restarting", "removing", "exited",
		"dead" };
	static const char *const healths[] = { "none", "starting", "healthy", "unhealthy" };
	const struct {
		const char *key;
		const char *const *words;
		size_t count;
	} checks[] = { { "status", statuses, ARRAY_SIZE(statuses) }, { "health", healths, ARRAY_SIZE(healths) } };
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		strv_foreach (value, filters_values(filters, checks[i].key)) {
			bool known = false;
			for (size_t k = 0; k < checks[i].count; k++)
				known = known || strcmp(*value, checks[i].words[k]) == 0;
			if (!known)
				return refuse_word(checks[i].key, *value, checks[i].words, checks[i].count, reterr);
		}
	}
	return 0;
}

/* What can't be a filter's value, in Docker's words. */
static int check_values(const struct filters *filters, struct err **reterr)
{
	int64_t number;
	bool flag;
	strv_foreach (value, filters_values(filters, "exited"))
		if (parse_i64(*value, INT32_MIN, INT32_MAX, &number) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid filter 'exited=%s'", *value);
	strv_foreach (value, filters_values(filters, "is-task"))
		if (parse_bool(*value, &flag) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid filter 'is-task=%s'", *value);
	return 0;
}

static int look_up_times(struct engine *engine, const struct filters *filters, struct selection *selection,
	struct err **reterr)
{
	const struct {
		const char *key;
		int64_t *time_ns;
	} limits[] = { { "before", &selection->before_ns }, { "since", &selection->since_ns } };
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		strv_foreach (name, filters_values(filters, limits[i].key)) {
			struct container *container;
			int r = container_find(engine, *name, &container, reterr);
			if (r < 0)
				return r;
			*limits[i].time_ns = container->record.created_ns;
		}
	}
	return 0;
}

static int selection_init(struct engine *engine, const struct inspect_list *wish, struct selection *selection,
	struct err **reterr)
{
	*selection = (struct selection){ .wish = wish, .before_ns = INT64_MAX, .since_ns = INT64_MIN };
	int r = check_words(wish->filters, reterr);
	if (r == 0)
		r = check_values(wish->filters, reterr);
	if (r == 0)
		r = look_up_times(engine, wish->filters, selection, reterr);
	strv_foreach (name, filters_values(wish->filters, "ancestor")) {
		_autofree_(store_image) struct store_image *image = NULL;
		if (r == 0 && store_image_find(engine->store, *name, &image, NULL) == 0 &&
			strv_append(&selection->ancestors, image->id) < 0)
			r = err_oom(reterr);
	}
	return r;
}

/* The name matches with and without its slash. */
static bool match_name(const struct filters *filters, const char *name)
{
	if (!filters_has(filters, "name"))
		return true;
	_cleanup_free_ char *rooted = NULL;
	if (asprintf(&rooted, "/%s", name) < 0)
		rooted = NULL;
	bool matches = false;
	strv_foreach (wanted, filters_values(filters, "name")) {
		regex_t regex;
		if (matches)
			break;
		if (pattern_compile(*wanted, &regex, NULL) < 0) {
			matches = strstr(name, *wanted) != NULL;
			continue;
		}
		matches = pattern_matches(&regex, name) || (rooted && pattern_matches(&regex, rooted));
		regfree(&regex);
	}
	return matches;
}

static bool match_exited(const struct filters *filters, const struct container *container)
{
	char code[24];
	if (!filters_has(filters, "exited"))
		return true;
	snprintf(code, sizeof(code), "%lld", (long long)container->state.exit_code);
	return has_run(container) && !container_is_running(container) && filters_match(filters, "exited", code);
}

/* "80", "80/udp", "8000-8010/tcp": any port of it that the container exposes. */
static bool match_exposed(const struct filters *filters, const struct container_record *record)
{
	if (!filters_has(filters, "expose"))
		return true;
	strv_foreach (wanted, filters_values(filters, "expose")) {
		unsigned first = 0, last = 0, port = 0;
		const char *protocol = strchr(*wanted, '/');
		int found = sscanf(*wanted, "%u-%u", &first, &last);
		if (found < 2)
			last = first;
		strv_foreach (exposed, record->config.exposed_ports)
			if (found >= 1 && sscanf(*exposed, "%u", &port) == 1 && port >= first && port <= last &&
				strcmp(strchr(*exposed, '/') ?: "/tcp", protocol ?: "/tcp") == 0)
				return true;
	}
	return false;
}

/* By name or ID; modes that are no networks by their word. */
static bool match_network(const struct filters *filters, const struct container *container)
{
	const struct container_record *record = &container->record;
	const struct map *asked = record->networking.endpoints;
	struct map_entry *entry;
	if (filters_match(filters, "network", record->host.network_mode))
		return true;
	for (size_t cursor = 0; asked && (entry = map_next(asked, &cursor));) {
		if (filters_match(filters, "network", entry->key))
			return true;
	}
	for (size_t i = 0; i < record->leg_count; i++) {
		if (filters_match_prefix(filters, "network", record->legs[i].network_id))
			return true;
	}
	return false;
}

static bool match_published(const struct filters *filters, const struct container *container)
{
	bool matches = !filters_has(filters, "publish");
	strv_foreach (wanted, filters_values(filters, "publish"))
		matches = matches || ports_match(container, *wanted);
	return matches;
}

static bool match_volume(const struct filters *filters, const struct container *container)
{
	if (!filters_has(filters, "volume"))
		return true;
	for (size_t i = 0; i < container->record.mount_count; i++) {
		const struct mount_point *mount = &container->record.mounts[i];
		if (filters_match(filters, "volume", mount->destination) ||
			(mount->name && filters_match(filters, "volume", mount->name)) ||
			(mount->source && filters_match(filters, "volume", mount->source)))
			return true;
	}
	return false;
}

static bool is_selected(const struct selection *selection, const struct container *container)
{
	const struct filters *filters = selection->wish->filters;
	const struct container_record *record = &container->record;
	const char *health = container->state.health ? container->state.health->status : "none";
	bool shows_stopped = selection->wish->all || selection->wish->limit > 0 || filters_has(filters, "status") ||
			     filters_has(filters, "exited") || filters_has(filters, "before") ||
			     filters_has(filters, "since");
	if (!shows_stopped && !container_is_running(container) && !container_is_restarting(container))
		return false;
	if (filters_has(filters, "ancestor") && !strv_has(selection->ancestors, record->image_id))
		return false;
	if (filters_has(filters, "is-task") && !filters_match(filters, "is-task", "false"))
		return false;
	return record->created_ns < selection->before_ns && record->created_ns > selection->since_ns &&
	       filters_match(filters, "status", container_status(container)) &&
	       filters_match(filters, "health", health) && filters_match_prefix(filters, "id", container->id) &&
	       match_name(filters, container->name) && filters_match_labels(filters, "label", record->config.labels) &&
	       match_network(filters, container) && match_exposed(filters, record) &&
	       match_published(filters, container) && match_exited(filters, container) &&
	       match_volume(filters, container);
}

static int compare_created(const void *a, const void *b)
{
	const struct container *const *left = a, *const *right = b;
	int64_t times[2] = { (*left)->record.created_ns, (*right)->record.created_ns };
	return times[0] < times[1] ? -1 : times[0] > times[1];
}

int inspect_containers(struct engine *engine, const struct inspect_list *wish, json_t **ret, struct err **reterr)
{
	struct selection selection;
	_autojson_ json_t *list = json_array();
	containers_sync(engine);
	int r = selection_init(engine, wish, &selection, reterr);
	struct container *container, **all = calloc(containers_count(engine->containers) + 1, sizeof(*all));
	size_t count = 0, cursor = 0;
	if (r == 0 && (!all || !list))
		r = err_oom(reterr);
	while (r == 0 && (container = containers_next(engine->containers, &cursor)))
		all[count++] = container;
	if (all)
		qsort(all, count, sizeof(struct container *), compare_created);
	while (r == 0 && count-- > 0 && (wish->limit <= 0 || json_array_size(list) < (size_t)wish->limit)) {
		if (is_selected(&selection, all[count]) &&
			json_array_append_new(list, summary_of(all[count], wish->sizes)) < 0)
			r = err_oom(reterr);
	}
	free(all);
	strv_free(selection.ancestors);
	if (r == 0)
		*ret = TAKE(list);
	return r;
}

void inspect_count(struct engine *engine, struct inspect_counts *ret)
{
	struct container *container;
	size_t cursor = 0;
	*ret = (struct inspect_counts){ 0 };
	containers_sync(engine);
	while ((container = containers_next(engine->containers, &cursor))) {
		if (container_is_paused(container))
			ret->paused++;
		else if (container_is_running(container) || container_is_restarting(container))
			ret->running++;
		else
			ret->stopped++;
	}
}
