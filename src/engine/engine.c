#include "engine/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/log.h"
#include "engine/base_folder.h"
#include "engine/connect.h"
#include "engine/container.h"
#include "engine/detach.h"
#include "engine/egress_watch.h"
#include "engine/events.h"
#include "engine/execs.h"
#include "engine/holder_link.h"
#include "engine/lifecycle.h"
#include "engine/monitor_link.h"
#include "engine/network_default.h"
#include "engine/network_names.h"
#include "engine/network_sweep.h"
#include "engine/networks.h"
#include "engine/records.h"
#include "engine/remove.h"
#include "engine/rules_watch.h"
#include "engine/spare.h"
#include "engine/volumes.h"
#include "engine/workers.h"
#include "store/identity.h"

#define ENGINE_ID_BYTES 16

/* --- folders and the lock --- */

/* The last engine has closed its sockets by then; what its database has yet to write is written on a slow disk too. */
#define LOCK_PATIENCE_MS 5000
#define LOCK_RETRY_US    5000

static int open_folder(const char *path, int *ret_fd, struct err **reterr)
{
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_errno(reterr, -errno, "cannot open %s", path) : 0;
}

static int make_folder(int parent_fd, const char *name, mode_t mode, int *ret_fd, struct err **reterr)
{
	if (mkdirat(parent_fd, name, mode) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the folder %s", name);
	*ret_fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return *ret_fd < 0 ? err_errno(reterr, -errno, "cannot open the folder %s", name) : 0;
}

static int lock_data_root(struct engine *engine, struct err **reterr)
{
	engine->lock_fd = openat(engine->data_fd, "engine.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (engine->lock_fd < 0)
		return err_errno(reterr, -errno, "cannot open %s/engine.lock", engine->data_root);
	/* After the death of a tared its engine is on its way out while the next one's comes: nothing of ours runs yet, so
	 * this may wait. */
	int64_t deadline_ms = clock_monotonic_ms() + LOCK_PATIENCE_MS;
	int r;
	while ((r = flock(engine->lock_fd, LOCK_EX | LOCK_NB)) < 0 && errno == EWOULDBLOCK &&
		clock_monotonic_ms() < deadline_ms)
		usleep(LOCK_RETRY_US);
	if (r == 0)
		return 0;
	if (errno == EWOULDBLOCK)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "the data root %s is in use by another engine",
			engine->data_root);
	return err_errno(reterr, -errno, "cannot lock %s", engine->data_root);
}

static int open_folders(struct engine *engine, struct err **reterr)
{
	int r = open_folder(engine->data_root, &engine->data_fd, reterr);
	if (r == 0)
		r = lock_data_root(engine, reterr);
	if (r == 0)
		r = open_folder(engine->exec_root, &engine->exec_fd, reterr);
	if (r == 0)
		r = make_folder(engine->data_fd, "containers", 0711, &engine->containers_fd, reterr);
	if (r == 0)
		r = make_folder(engine->data_fd, "volumes", 0701, &engine->volumes_fd, reterr);
	if (r == 0)
		r = base_folder_make(engine->data_fd, reterr);
	return r < 0 ? r : make_folder(engine->exec_fd, "containers", 0711, &engine->exec_containers_fd, reterr);
}

/* --- loading --- */

static void take_marks(struct container *container, const struct record_row *row)
{
	_autofree_(err) struct err *err = NULL;
	struct runstate state;
	container->acked_seq = row->acked_seq;
	container->was_started = row->marks.was_started;
	container->stopped_by_user = row->marks.stopped_by_user;
	container->removing = row->removing;
	if (!row->marks.state)
		return;
	if (runstate_parse(row->marks.state, strlen(row->marks.state), &state, &err) < 0)
		log_warn("container %s: its last state is not readable: %s", row->id, err_message(err));
	else
		container_set_state(container, &state);
}

/* One row that can't be read is named and left alone; the others are fine. */
static int load_container(const struct record_row *row, void *user, struct err **reterr)
{
	struct engine *engine = user;
	struct container_record record = { 0 };
	_autofree_(err) struct err *damage = NULL;
	if (json_parse(&container_record_table, row->document, strlen(row->document), &record, &damage) < 0) {
		log_error("container %s (%s) is left out, its record is damaged: %s", row->name, row->id,
			err_message(damage));
		return 0;
	}
	_autofree_(container) struct container *container = container_new(engine, row->id, row->name, &record);
	json_finish(&container_record_table, &record);
	if (!container)
		return err_oom(reterr);
	take_marks(container, row);
	if (containers_add(engine->containers, container, &damage) < 0)
		log_error("container %s (%s) is left out: %s", row->name, row->id, err_message(damage));
	return 0;
}

static int open_state(struct engine *engine, struct err **reterr)
{
	char fresh[2 * ENGINE_ID_BYTES + 1];
	int r = identity_expect(engine->data_fd, "engine", reterr);
	if (r == 0)
		r = records_open(engine->data_root, engine->exec_root, &engine->records, reterr);
	if (r < 0)
		return r;
	io_random_hex(fresh, ENGINE_ID_BYTES);
	r = records_identity(engine->records, fresh, &engine->id, reterr);
	if (r == 0)
		r = identity_check(engine->data_fd, "engine", engine->id, reterr);
	if (r == 0)
		r = store_open(engine->data_fd, STORE_ENGINE, &engine->store, reterr);
	if (r == 0)
		r = events_new(engine, &engine->events, reterr);
	if (r < 0)
		return r;
	engine->containers = containers_new();
	engine->execs = execs_new();
	if (!engine->containers || !engine->execs)
		return err_oom(reterr);
	r = records_each_container(engine->records, load_container, engine, reterr);
	if (r == 0)
		r = networks_new(engine, &engine->networks, reterr);
	return r < 0 ? r : volumes_new(engine, &engine->volumes, reterr);
}

/* Each container may vanish in the course of it. */
static void restore_containers(struct engine *engine)
{
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (container->removing)
			remove_container_resume(container);
	}
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (!container->removing)
			monitor_link_restore(container);
	}
	network_names_boot(engine);
	connect_boot(engine);
	detach_boot(engine);
	lifecycle_boot(engine);
}

static int start(struct engine *engine, int holder_fd, struct err **reterr)
{
	_autoclose_ int fd = holder_fd;
	int r = open_folders(engine, reterr);
	if (r == 0)
		r = open_state(engine, reterr);
	if (r == 0)
		r = holder_link_new(engine, TAKE_FD(fd), &engine->holder, reterr);
	if (r == 0)
		r = workers_new(engine, &engine->workers, reterr);
	if (r < 0)
		return r;
	restore_containers(engine);
	r = network_default_configure(engine, reterr);
	if (r == 0)
		r = remove_sweep(engine, reterr);
	if (r == 0)
		r = volumes_sweep(engine->volumes, reterr);
	if (r < 0)
		return r;
	workers_empty_trash(engine->workers);
	return 0;
}

int engine_new(struct loop *loop, const struct engine_options *options, struct engine **ret, struct err **reterr)
{
	_autoclose_ int holder_fd = options->holder_fd;
	_autofree_(engine) struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		return err_oom(reterr);
	engine->loop = loop;
	list_init(&engine->removed);
	engine->data_fd = engine->exec_fd = engine->lock_fd = -1;
	engine->containers_fd = engine->volumes_fd = engine->exec_containers_fd = -1;
	engine->data_root = strdup(options->data_root);
	engine->exec_root = strdup(options->exec_root);
	engine->cgroup_parent = options->cgroup_parent ? strdup(options->cgroup_parent) : NULL;
	if (!engine->data_root || !engine->exec_root || (options->cgroup_parent && !engine->cgroup_parent))
		return err_oom(reterr);
	int r = settings_load(options->config_file, options->settings, &engine->settings, reterr);
	if (r == 0 && engine->settings.systemd_cgroup && engine->cgroup_parent)
		r = settings_check_slice(engine->cgroup_parent, reterr);
	if (r == 0)
		r = start(engine, TAKE_FD(holder_fd), reterr);
	if (r < 0)
		return r;
	r = rules_watch_new(engine, &engine->rules_watch, reterr);
	if (r == 0)
		r = egress_watch_new(engine, &engine->egress_watch, reterr);
	if (r == 0)
		r = network_sweep_new(engine, &engine->network_sweep, reterr);
	if (r < 0)
		return r;
	log_info("ready: %zu containers", containers_count(engine->containers));
	*ret = TAKE(engine);
	return 0;
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	monitor_links_end(engine);
	spare_drop(engine);
	containers_free(engine->containers);
	execs_free(engine->execs);
	volumes_free(engine->volumes);
	networks_free(engine->networks);
	workers_free(engine->workers);
	egress_watch_free(engine->egress_watch);
	rules_watch_free(engine->rules_watch); /* which may have asked one */
	network_sweep_free(engine->network_sweep);
	holder_link_free(engine->holder);
	events_free(engine->events);
	store_free(engine->store);
	records_free(engine->records);
	int *const fds[] = { &engine->exec_containers_fd, &engine->volumes_fd, &engine->containers_fd, &engine->lock_fd,
		&engine->exec_fd, &engine->data_fd };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(fds[i]);
	free(engine->data_root);
	free(engine->exec_root);
	free(engine->cgroup_parent);
	free(engine->id);
	settings_finish(&engine->settings);
	free(engine);
}
