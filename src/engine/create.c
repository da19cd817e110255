#include "engine/create.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/strv.h"
#include "engine/egress.h"
#include "engine/endpoints.h"
#include "engine/events.h"
#include "engine/merge.h"
#include "engine/monitor_link.h"
#include "engine/mounts.h"
#include "engine/spare.h"
#include "engine/validate.h"
#include "engine/volumes.h"
#include "spec/defaults.h"
#include "spec/oci_image.h"
#include "spec/platform.h"

#define RUNTIME_DEFAULT "tare"
#define HOSTNAME_SIZE   65

/* --- completing the request --- */

static bool is_unset(const char *text)
{
	return !text || !text[0];
}

static int set_default(char **member, const char *value)
{
	if (!is_unset(*member))
		return 0;
	char *copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

static int copy_words(char ***member, const char *const *words)
{
	if (*member)
		return 0;
	*member = strv_copy((char *const *)words);
	return *member ? 0 : -ENOMEM;
}

/* What Docker's inspect shows where the request was silent. */
static int complete_host(struct host_config *host)
{
	int r = set_default(&host->log.type, "json-file");
	if (r == 0 && !host->log.config)
		r = (host->log.config = map_new(free)) ? 0 : -ENOMEM;
	if (r == 0)
		r = set_default(&host->restart_policy.name, "no");
	if (r == 0)
		r = set_default(&host->ipc_mode, "private");
	if (r == 0)
		r = set_default(&host->cgroupns_mode, "private");
	if (r == 0)
		r = set_default(&host->runtime, RUNTIME_DEFAULT);
	if (r == 0 && !host->privileged)
		r = copy_words(&host->masked_paths, default_masked_paths);
	if (r == 0 && !host->privileged)
		r = copy_words(&host->readonly_paths, default_readonly_paths);
	if (host->shm_size == 0)
		host->shm_size = DEFAULT_SHM_SIZE_BYTES;
	validate_complete_resources(&host->resources);
	return r;
}

static int complete_hostname(struct container_config *config, const struct host_config *host, const char *id)
{
	char name[HOSTNAME_SIZE] = "";
	if (strncmp(host->network_mode, "container:", 10) == 0)
		return 0;
	if (strcmp(host->network_mode, "host") == 0 || (host->uts_mode && strcmp(host->uts_mode, "host") == 0))
		gethostname(name, sizeof(name) - 1);
	else
		memcpy(name, id, CONTAINER_ID_SHORT);
	return set_default(&config->hostname, name);
}

/* --- the image --- */

static int check_platform(const struct store_image *image, const char *name, const char *platform, char ***warnings,
	struct err **reterr)
{
	const struct oci_image_config *config = image->config;
	_autofree_(err) struct err *other = NULL;
	struct platform wanted;
	if (!is_unset(platform)) {
		int r = platform_parse(platform, &wanted, reterr);
		return r < 0 ? r : platform_check(&wanted, config, name, reterr);
	}
	platform_of_host(&wanted);
	if (platform_check(&wanted, config, name, &other) == 0)
		return 0;
	if (strv_appendf(warnings,
		    "The requested image's platform (%s/%s) does not match the detected host platform (%s/%s) and no specific "
		    "platform was requested",
		    config->os ?: wanted.os, config->architecture ?: wanted.architecture, wanted.os,
		    wanted.architecture) < 0)
		return err_oom(reterr);
	return 0;
}

/* An image's relative working folder counts from the root. */
static int root_working_dir(struct container_config *config)
{
	char *rooted;
	if (is_unset(config->working_dir) || config->working_dir[0] == '/')
		return 0;
	if (asprintf(&rooted, "/%s", config->working_dir) < 0)
		return -ENOMEM;
	free(config->working_dir);
	config->working_dir = rooted;
	return 0;
}

static int take_image(struct engine *engine, const char *platform, struct container_record *record, char ***warnings,
	struct err **reterr)
{
	struct container_config *config = &record->config;
	_autofree_(store_image) struct store_image *image = NULL;
	if (is_unset(config->image)) {
		if (!config->cmd && !config->entrypoint)
			return err_set(reterr, ERR_INVALID, 0, "config cannot be empty in order to create a container");
		int r = merge_check_command(config, reterr);
		return r < 0 ? r : err_set(reterr, ERR_INVALID, 0, "no image specified");
	}
	int r = store_image_find_config(engine->store, config->image, &image, reterr);
	if (r == 0)
		r = check_platform(image, config->image, platform, warnings, reterr);
	if (r < 0)
		return r;
	bool has_working_dir = !is_unset(config->working_dir);
	record->image_id = strdup(image->id);
	r = record->image_id ? merge_image(config, &image->config->config) : -ENOMEM;
	if (r == 0 && !has_working_dir)
		r = root_working_dir(config);
	return r < 0 ? err_oom(reterr) : 0;
}

/* --- create --- */

static int choose_name(struct engine *engine, const char *name, char **ret, struct err **reterr)
{
	if (is_unset(name))
		return container_name_invent(engine->containers, ret, reterr);
	name += name[0] == '/';
	int r = container_name_check(name, reterr);
	if (r == 0)
		r = containers_check_name(engine->containers, name, reterr);
	if (r < 0)
		return r;
	*ret = strdup(name);
	return *ret ? 0 : err_oom(reterr);
}

/* A network's container may come later, as Docker has it: the start looks for it. */
static int check_joined(struct engine *engine, const char *mode, struct err **reterr)
{
	struct container *other;
	if (!mode || strncmp(mode, "container:", 10) != 0 || container_find(engine, mode + 10, &other, NULL) == 0)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "No such container: %s", mode + 10);
}

/* Everything up to the first side effect. */
static int prepare(struct engine *engine, const char *id, const char *platform, struct container_create *create,
	struct container_record *record, char ***warnings, struct err **reterr)
{
	record->created_ns = clock_realtime_ns();
	record->config = create->config;
	create->config = (struct container_config){ 0 };
	if (create->host) {
		record->host = *create->host;
		*create->host = (struct host_config){ 0 };
	}
	if (create->networking) {
		record->networking = *create->networking;
		*create->networking = (struct networking_config){ 0 };
	}
	int r = egress_complete(record, reterr);
	if (r == 0)
		r = take_image(engine, platform, record, warnings, reterr);
	if (r == 0)
		r = validate_config(&record->config, reterr);
	if (r == 0)
		r = validate_host(&record->host, &record->config, warnings, reterr);
	if (r == 0 && engine->settings.systemd_cgroup && record->host.resources.cgroup_parent &&
		*record->host.resources.cgroup_parent)
		r = settings_check_slice(record->host.resources.cgroup_parent, reterr);
	if (r == 0)
		r = check_joined(engine, record->host.pid_mode, reterr);
	if (r == 0)
		r = check_joined(engine, record->host.ipc_mode, reterr);
	if (r == 0)
		r = merge_check_command(&record->config, reterr);
	if (r < 0)
		return r;
	r = endpoints_complete(engine, record, reterr);
	if (r < 0)
		return r;
	r = complete_host(&record->host);
	if (r == 0)
		r = complete_hostname(&record->config, &record->host, id);
	return r < 0 ? err_oom(reterr) : 0;
}

/* Volumes, lease, row, memory; the volumes in *made are the caller's to undo, the rest is undone here. */
static int commit(struct engine *engine, const char *id, const char *name, struct container_record *record,
	char ***made, struct container **ret, struct err **reterr)
{
	bool changed;
	int r = mounts_resolve(engine, id, record, made, reterr);
	if (r < 0)
		return r;
	/* What can't be had now may be had at the start, which says so if not. */
	endpoints_choose(engine, record, NULL, &changed, NULL);
	r = store_lease_create(engine->store, id, record->image_id, !record->host.auto_remove, reterr);
	if (r < 0)
		return r;
	bool auto_remove = record->host.auto_remove;
	_autofree_(container) struct container *container = NULL;
	r = records_add_container(engine->records, id, name, record, reterr);
	if (r < 0)
		goto release;
	container = container_new(engine, id, name, record);
	r = container ? containers_add(engine->containers, container, reterr) : err_oom(reterr);
	if (r < 0) {
		records_remove_container(engine->records, id, auto_remove, NULL);
		goto release;
	}
	*ret = container;
	return 0;
release:
	store_lease_release(engine->store, id, NULL);
	return r;
}

int create_container(struct engine *engine, const char *name, const char *platform, struct container_create *create,
	struct container **ret, char ***ret_warnings, struct err **reterr)
{
	struct container_record record = { 0 };
	_autofree_(strv) char **warnings = NULL, **made = NULL;
	_cleanup_free_ char *chosen = NULL;
	char id[CONTAINER_ID_SIZE];
	spare_next_id(engine, id);
	int r = choose_name(engine, name, &chosen, reterr);
	if (r == 0)
		r = prepare(engine, id, platform, create, &record, &warnings, reterr);
	if (r == 0)
		r = commit(engine, id, chosen, &record, &made, ret, reterr);
	if (r < 0) {
		strv_foreach (volume, made)
			volumes_remove(engine->volumes, *volume, true, NULL);
	}
	json_finish(&container_record_table, &record);
	if (r < 0)
		return r;
	monitor_link_anticipate(*ret);
	events_tell_container(*ret, "create");
	*ret_warnings = TAKE(warnings);
	return 0;
}
