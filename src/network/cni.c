#include "network/cni.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "network/cni_document.h"
#include "network/cni_plugin.h"

#define FILE_MAX (8 * 1024 * 1024)
/* What can't be detached is kept, but no more of it than this. */
#define ATTACHMENTS_MAX (2 * LEASE_ENDPOINTS_MAX)

struct attachment {
	char *endpoint_id;
	char *network; /* name */
	char *interface;
	char *path;
	char *arguments;
	int64_t timeout_s;
	json_t *list;    /* of plugins, as it was then */
	json_t *runtime; /* runtimeConfig, by capability */
	json_t *result;  /* NULL: not all have said their word */
};
static const struct json_field attachment_fields[] = {
	JSON_FIELD(struct attachment, endpoint_id, "endpoint_id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct attachment, network, "network", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct attachment, interface, "interface", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct attachment, path, "path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct attachment, arguments, "arguments", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct attachment, timeout_s, "timeout_s", JSON_INT),
	JSON_FIELD(struct attachment, list, "list", JSON_RAW),
	JSON_FIELD(struct attachment, runtime, "runtime", JSON_RAW, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct attachment, result, "result", JSON_RAW, .flags = JSON_OMITEMPTY),
};
static const struct json_table attachment_table = JSON_TABLE(struct attachment, attachment_fields);

struct attachments {
	struct attachment *list;
	size_t count;
};
static const struct json_field attachments_fields[] = {
	JSON_FIELD_ARRAY(struct attachments, list, count, "attachments", JSON_OBJECTS, .table = &attachment_table),
};
static const struct json_table attachments_table = JSON_TABLE(struct attachments, attachments_fields);

/* --- the file --- */

int cni_folder_open(const char *data_root, const char *id, bool waits)
{
	char path[PATH_MAX];
	if (snprintf(path, sizeof(path), "%s/containers/%s", data_root, id) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	_autoclose_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return -errno;
	while (flock(fd, waits ? LOCK_EX : LOCK_EX | LOCK_NB) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return TAKE_FD(fd);
}

bool cni_is_left(int folder_fd)
{
	return faccessat(folder_fd, CNI_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int load(int folder_fd, struct attachments *out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(FILE_MAX);
	*out = (struct attachments){ 0 };
	int r = io_read_file(folder_fd, CNI_FILE, &text);
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return err_errno(reterr, r, "cannot read " CNI_FILE);
	r = json_parse(&attachments_table, text.data, text.len, out, reterr);
	return r < 0 ? err_wrap(reterr, r, CNI_FILE) : 0;
}

static int save(int folder_fd, const struct attachments *attachments, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(FILE_MAX);
	int r;
	if (attachments->count == 0)
		r = unlinkat(folder_fd, CNI_FILE, 0) < 0 && errno != ENOENT ? -errno : 0;
	else if ((r = json_print(&attachments_table, attachments, &text)) == 0)
		r = io_replace_file(folder_fd, CNI_FILE, text.data, text.len, true);
	return r < 0 ? err_errno(reterr, r, "cannot write " CNI_FILE) : 0;
}

static void attachments_finish(struct attachments *attachments)
{
	json_finish(&attachments_table, attachments);
}

/* --- calls --- */

static const char *const versions_without_check[] = { "0.3.0", "0.3.1" };

static bool can_check(const struct cni_config *config)
{
	for (size_t i = 0; i < ARRAY_SIZE(versions_without_check); i++) {
		if (strcmp(config->version, versions_without_check[i]) == 0)
			return false;
	}
	return true;
}

/* What of `runtime` the plugin has said that it can use; NULL for nothing. */
static json_t *runtime_of(const json_t *plugin, json_t *runtime)
{
	_autojson_ json_t *own = json_object();
	const char *key;
	json_t *value;
	json_object_foreach (runtime, key, value) {
		if (cni_plugin_can(plugin, key))
			json_object_set(own, key, value);
	}
	return json_object_size(own) > 0 ? TAKE(own) : NULL;
}

/* The plugin's part of the list, with what the specification puts in. */
static int print_config(const struct cni_config *config, size_t i, const struct attachment *attachment,
	json_t *previous, struct buf *out)
{
	_autojson_ json_t *own = json_copy(config->plugins[i]);
	json_t *runtime = runtime_of(config->plugins[i], attachment->runtime);
	int r = own ? 0 : -ENOMEM;
	if (r == 0 && (json_object_set_new(own, "cniVersion", json_string(config->version)) < 0 ||
			      json_object_set_new(own, "name", json_string(config->name)) < 0))
		r = -ENOMEM;
	if (r == 0 && previous && json_object_set(own, "prevResult", previous) < 0)
		r = -ENOMEM;
	if (runtime && (r < 0 || json_object_set_new(own, "runtimeConfig", runtime) < 0))
		r = -ENOMEM;
	return r < 0 ? r : json_print_value(own, out);
}

static int call_plugin(const struct cni_site *site, const struct attachment *attachment,
	const struct cni_config *config, size_t i, const struct cni_call *call, json_t *previous, struct buf *output,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(FILE_MAX);
	struct cni_call whole = *call;
	whole.container_id = site->container_id;
	whole.netns = site->netns;
	whole.interface = attachment->interface;
	whole.arguments = attachment->arguments ? attachment->arguments : "";
	whole.path = attachment->path;
	int r = print_config(config, i, attachment, previous, &text);
	if (r < 0)
		return err_errno(reterr, r, "plugin %s: cannot write its configuration",
			cni_plugin_type(config->plugins[i]));
	return cni_plugin_run(&whole, cni_plugin_type(config->plugins[i]), &text, output, reterr);
}

static int64_t deadline_of(const struct attachment *attachment)
{
	return clock_monotonic_ms() + attachment->timeout_s * 1000;
}

static int add_one(const struct cni_site *site, const struct attachment *attachment, const struct cni_config *config,
	size_t i, int64_t deadline_ms, json_t **result, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
	const struct cni_call call = { .command = "ADD", .deadline_ms = deadline_ms, .cancel_fd = site->cancel_fd };
	json_t *said = NULL;
	int r = call_plugin(site, attachment, config, i, &call, *result, &output, reterr);
	if (r < 0)
		return r;
	r = cni_result_parse(output.data ? output.data : "", output.len, &said, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "plugin %s: its result is not understood",
			cni_plugin_type(config->plugins[i]));
	json_decref(*result);
	*result = said;
	return 0;
}

static int add(const struct cni_site *site, struct attachment *attachment, struct err **reterr)
{
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	_autojson_ json_t *result = NULL;
	int64_t deadline_ms = deadline_of(attachment);
	int r = cni_config_read(attachment->list, &config, reterr);
	for (size_t i = 0; r == 0 && i < config.plugin_count; i++)
		r = add_one(site, attachment, &config, i, deadline_ms, &result, reterr);
	if (r == 0)
		attachment->result = TAKE(result);
	return r;
}

static void keep_first(struct err **first, struct err *err)
{
	if (*first)
		err_free(err);
	else
		*first = err;
}

/* All of them, the last first, whatever one says. */
static int delete (const struct cni_site *site, const struct attachment *attachment, struct err **reterr)
{
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	_autofree_(err) struct err *first = NULL;
	int r = cni_config_read(attachment->list, &config, reterr);
	if (r < 0)
		return r;
	for (size_t i = config.plugin_count; i-- > 0;) {
		_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
		const struct cni_call call = {
			.command = "DEL", .deadline_ms = deadline_of(attachment), .cancel_fd = -1
		};
		struct err *err = NULL;
		int one = call_plugin(site, attachment, &config, i, &call,
			can_check(&config) ? attachment->result : NULL, &output, &err);
		if (one < 0) {
			r = one;
			keep_first(&first, err);
		}
	}
	if (r < 0 && reterr)
		*reterr = TAKE(first);
	return r;
}

static int check(const struct cni_site *site, const struct attachment *attachment, struct err **reterr)
{
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	int r = cni_config_read(attachment->list, &config, reterr);
	if (r < 0 || config.disable_check || !can_check(&config) || !attachment->result)
		return r;
	const struct cni_call call = { .command = "CHECK", .deadline_ms = deadline_of(attachment), .cancel_fd = -1 };
	for (size_t i = 0; r == 0 && i < config.plugin_count; i++) {
		_cleanup_(buf_finish) struct buf output = BUF_INIT(CNI_TEXT_MAX);
		r = call_plugin(site, attachment, &config, i, &call, attachment->result, &output, reterr);
	}
	return r;
}

/* --- what is asked for --- */

static int read_list(const char *path, json_t **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CNI_TEXT_MAX);
	_cleanup_(cni_config_finish) struct cni_config config = { 0 };
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int r = fd < 0 ? -errno : io_read_all(fd, &text);
	if (r < 0)
		return err_set(reterr, ERR_NOT_FOUND, -r, "cannot read %s: %s", path, strerrordesc_np(-r));
	r = cni_config_parse(text.data ? text.data : "", text.len, &config, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "%s", path);
	*ret = json_incref(config.document);
	return 0;
}

int cni_check_file(const char *path, struct err **reterr)
{
	_autojson_ json_t *list = NULL;
	return read_list(path, &list, reterr);
}

static bool is_list_file(const char *name)
{
	static const char *const ends[] = { ".conflist", ".conf", ".json" };
	size_t len = strlen(name);
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		size_t end = strlen(ends[i]);
		if (len > end && strcmp(name + len - end, ends[i]) == 0)
			return true;
	}
	return false;
}

static bool is_named(const char *path, const char *name)
{
	_autojson_ json_t *list = NULL;
	if (read_list(path, &list, NULL) < 0)
		return false;
	return strcmp(json_string_value(json_object_get(list, "name")), name) == 0;
}

/* The first in the order of their names, as others do. */
int cni_find_file(const char *name, char **ret, struct err **reterr)
{
	struct dirent **entries = NULL;
	int count = scandir(CNI_DEFAULT_DIR, &entries, NULL, alphasort);
	_cleanup_free_ char *path = NULL;
	for (int i = 0; i < count; i++) {
		if (!path && is_list_file(entries[i]->d_name) &&
			asprintf(&path, CNI_DEFAULT_DIR "/%s", entries[i]->d_name) >= 0 && !is_named(path, name)) {
			free(path);
			path = NULL;
		}
		free(entries[i]);
	}
	free(entries);
	if (!path)
		return err_set(reterr, ERR_NOT_FOUND, 0,
			"no CNI network is called %s in " CNI_DEFAULT_DIR ": name its file with the option conf", name);
	*ret = TAKE(path);
	return 0;
}

static json_t *port_mappings(const struct lease_endpoint *endpoint)
{
	json_t *list = json_array();
	for (size_t i = 0; i < endpoint->port_count; i++) {
		const struct lease_port *port = &endpoint->ports[i];
		for (int64_t k = 0; k < port->count; k++)
			json_array_append_new(list,
				json_pack("{s:I, s:I, s:s, s:s}", "hostPort", (json_int_t)(port->host_port + k),
					"containerPort", (json_int_t)(port->container_port + k), "protocol",
					port->proto, "hostIP", port->host_ip));
	}
	return list;
}

static json_t *strings(char *const *list)
{
	json_t *array = json_array();
	strv_foreach (item, list)
		json_array_append_new(array, json_string(*item));
	return array;
}

/* By the names that the conventions of CNI give to capabilities. */
static json_t *runtime_config(const struct lease_endpoint *endpoint, const char *network)
{
	json_t *runtime = json_object();
	if (endpoint->port_count > 0)
		json_object_set_new(runtime, "portMappings", port_mappings(endpoint));
	if (strv_count(endpoint->cni.ips) > 0)
		json_object_set_new(runtime, "ips", strings(endpoint->cni.ips));
	if (endpoint->mac && endpoint->mac[0])
		json_object_set_new(runtime, "mac", json_string(endpoint->mac));
	if (strv_count(endpoint->names) > 0)
		json_object_set_new(runtime, "aliases", json_pack("{s:o}", network, strings(endpoint->names)));
	return runtime;
}

/* What plugins that know no capability for it look for: addresses without prefixes. */
static int make_arguments(const struct lease_endpoint *endpoint, char **ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(4096);
	int r = buf_puts(&text, "IgnoreUnknown=1");
	strv_foreach (ip, endpoint->cni.ips) {
		if (r == 0)
			r = buf_printf(&text, "%s%.*s", ip == endpoint->cni.ips ? ";IP=" : ",", (int)strcspn(*ip, "/"),
				*ip);
	}
	*ret = r == 0 ? TAKE(text.data) : NULL;
	return r;
}

static int describe(const struct lease_endpoint *endpoint, struct attachment *out, struct err **reterr)
{
	int r = read_list(endpoint->cni.conf, &out->list, reterr);
	if (r < 0)
		return r;
	out->endpoint_id = strdup(endpoint->endpoint_id);
	out->network = strdup(endpoint->network);
	out->interface = strdup(endpoint->interface);
	out->path = strdup(endpoint->cni.path);
	out->timeout_s = endpoint->cni.timeout_s;
	out->runtime = runtime_config(endpoint, json_string_value(json_object_get(out->list, "name")));
	if (!out->endpoint_id || !out->network || !out->interface || !out->path || !out->runtime ||
		make_arguments(endpoint, &out->arguments) < 0)
		return err_oom(reterr);
	return 0;
}

/* --- the whole --- */

bool cni_wants(const struct lease_endpoint *endpoints, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (lease_is_cni(&endpoints[i]))
			return true;
	}
	return false;
}

static int detach_all(const struct cni_site *site, struct attachments *attachments, struct err **reterr)
{
	_autofree_(err) struct err *first = NULL;
	int r = 0;
	for (size_t i = attachments->count; i-- > 0;) {
		struct attachment *attachment = &attachments->list[i];
		struct err *err = NULL;
		int one = delete (site, attachment, &err);
		if (one < 0) {
			r = err_wrap(&err, one, "network %s", attachment->network);
			keep_first(&first, err);
			continue;
		}
		json_finish(&attachment_table, attachment);
		memmove(attachment, attachment + 1, (attachments->count - i - 1) * sizeof(*attachment));
		attachments->count--;
	}
	int saved = save(site->folder_fd, attachments, r < 0 ? NULL : reterr);
	if (r < 0 && reterr)
		*reterr = TAKE(first);
	return r < 0 ? r : saved;
}

int cni_detach(const struct cni_site *site, struct err **reterr)
{
	_cleanup_(attachments_finish) struct attachments attachments = { 0 };
	int r = load(site->folder_fd, &attachments, reterr);
	return r < 0 || attachments.count == 0 ? r : detach_all(site, &attachments, reterr);
}

int cni_check(const struct cni_site *site, struct err **reterr)
{
	_cleanup_(attachments_finish) struct attachments attachments = { 0 };
	int r = load(site->folder_fd, &attachments, reterr);
	for (size_t i = 0; r == 0 && i < attachments.count; i++) {
		r = check(site, &attachments.list[i], reterr);
		if (r < 0)
			r = err_wrap(reterr, r, "network %s", attachments.list[i].network);
	}
	return r;
}

static int attach_one(const struct cni_site *site, struct attachments *attachments,
	const struct lease_endpoint *endpoint, struct err **reterr)
{
	struct attachment *attachment = &attachments->list[attachments->count];
	int r = describe(endpoint, attachment, reterr);
	attachments->count++;
	if (r < 0) { /* no plugin has run for it */
		json_finish(&attachment_table, attachment);
		attachments->count--;
		return r;
	}
	r = save(site->folder_fd, attachments, reterr);
	if (r == 0)
		r = add(site, attachment, reterr);
	return r < 0 ? r : save(site->folder_fd, attachments, reterr);
}

/* Those of a run whose end nobody saw. */
static void detach_left(const struct cni_site *site)
{
	_autofree_(err) struct err *err = NULL;
	struct cni_site left = *site;
	left.netns = "";
	if (cni_detach(&left, &err) < 0)
		log_error("what an earlier run of the container had of CNI networks is left behind: %s",
			err_message(err));
}

static int make_room(struct attachments *attachments, size_t count, struct err **reterr)
{
	if (attachments->count + count > ATTACHMENTS_MAX)
		return err_set(reterr, ERR_CONFLICT, 0,
			"%zu attachments of earlier runs could not be detached: see the log for why",
			attachments->count);
	struct attachment *grown = reallocarray(attachments->list, attachments->count + count, sizeof(*grown));
	if (!grown)
		return err_oom(reterr);
	memset(grown + attachments->count, 0, count * sizeof(*grown));
	attachments->list = grown;
	return 0;
}

int cni_attach(const struct cni_site *site, const struct lease_endpoint *endpoints, size_t count, struct err **reterr)
{
	_cleanup_(attachments_finish) struct attachments attachments = { 0 };
	_autofree_(err) struct err *undone = NULL;
	detach_left(site);
	int r = load(site->folder_fd, &attachments, reterr);
	if (r == 0)
		r = make_room(&attachments, count, reterr);
	for (size_t i = 0; r == 0 && i < count; i++) {
		if (!lease_is_cni(&endpoints[i]))
			continue;
		r = attach_one(site, &attachments, &endpoints[i], reterr);
		if (r < 0)
			r = err_wrap(reterr, r, "network %s", endpoints[i].network);
	}
	if (r < 0 && detach_all(site, &attachments, &undone) < 0)
		log_error("what could not be attached could not be detached either: %s", err_message(undone));
	return r;
}

int cni_take(int folder_fd, struct lease_endpoint *endpoints, size_t count, struct err **reterr)
{
	_cleanup_(attachments_finish) struct attachments attachments = { 0 };
	int r = load(folder_fd, &attachments, reterr);
	for (size_t i = 0; r == 0 && i < attachments.count; i++) {
		const struct attachment *attachment = &attachments.list[i];
		for (size_t k = 0; r == 0 && k < count; k++) {
			if (strcmp(endpoints[k].endpoint_id, attachment->endpoint_id) == 0 && attachment->result)
				r = cni_result_take(attachment->result, attachment->interface, &endpoints[k]);
		}
		if (r < 0)
			r = err_oom(reterr);
	}
	return r;
}
