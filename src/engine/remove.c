#include "engine/remove.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/detach.h"
#include "engine/events.h"
#include "engine/execs.h"
#include "engine/launch.h"
#include "engine/monitor_link.h"
#include "engine/operation.h"
#include "engine/spare.h"
#include "engine/times.h"
#include "engine/volumes.h"
#include "engine/workers.h"
#include "store/trash.h"
#include "sys/remains.h"

/* For what is left of a container to end, its monitor's recovery included. */
#define KILL_PATIENCE_MS 10000
/* For a removal that nobody asked for to succeed. */
#define UNATTENDED_PATIENCE_MS 600000

static bool is_alive(const struct container *container)
{
	return container_is_running(container) || container_is_restarting(container);
}

/* --- folders --- */

/* A monitor that just starts in it may put its lock or socket there while it is being emptied. */
#define REMOVE_TRIES 8

static int empty_flat_folder(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *folder = fdopendir(fd);
	if (!folder) {
		int r = -errno;
		close(fd);
		return r;
	}
	const struct dirent *entry;
	while ((entry = readdir(folder))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(fd, entry->d_name, 0);
	}
	closedir(folder);
	return 0;
}

/* A flat folder of ours: no tree, no foreign name. */
static int remove_flat_folder(int parent_fd, const char *name)
{
	int r = -ENOTEMPTY;
	for (int i = 0; r < 0 && r != -ENOENT && i < REMOVE_TRIES; i++) {
		r = empty_flat_folder(parent_fd, name);
		if (r == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0)
			r = -errno;
	}
	return r == -ENOENT ? 0 : r;
}

void remove_run_folder(struct engine *engine, const char *id)
{
	int r = remove_flat_folder(engine->exec_containers_fd, id);
	if (r < 0)
		log_warn("cannot remove the run folder of container %s: %s", id, strerror(-r));
}

/* --- steps --- */

static int check_remove(struct operation *operation, struct err **reterr)
{
	const struct container *container = operation->container;
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	if (operation->args.unattended) /* it may have been started again meanwhile */
		return is_alive(container) ? STEP_END : STEP_NEXT;
	if (operation->args.force || !is_alive(container))
		return STEP_NEXT;
	if (container_is_paused(container))
		return err_set(reterr, ERR_CONFLICT, 0,
			"cannot remove container \"%s\": container is paused and must be unpaused first",
			container->name);
	return err_set(reterr, ERR_CONFLICT, 0,
		"cannot remove container \"%s\": container is %s: stop the container before removing or force remove",
		container->name, container_is_restarting(container) ? "restarting" : "running");
}

static json_t *kill_message(void)
{
	json_t *body = message_new("stop", 0);

	message_add(body, "signal", json_integer(SIGKILL));
	return message_add(body, "timeout_s", json_integer(-1)) < 0 ? NULL : body;
}

/*
 * Whatever becomes of the request, that nothing lives is what counts: the container may end by itself, its monitor may be lost
 * on the way, and come back by recovery.
 */
static int kill_if_alive(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	if (!is_alive(container))
		return STEP_NEXT;
	if (!monitor_link_is_up(container) && operation_try_again(operation, KILL_PATIENCE_MS) == STEP_WAIT)
		return STEP_WAIT;
	return operation_ask(operation, kill_message(), MONITOR_ANSWER_MS, reterr);
}

/*
 * A step's outcome, of which `err` is taken. A client that waits for --rm hears nothing until it is done: what fails for a moment
 * (the disk is full) is tried again.
 */
static int insist(struct operation *operation, int outcome, struct err **err, struct err **reterr)
{
	if (outcome >= 0)
		return outcome;
	if (operation->args.unattended && operation_try_again(operation, UNATTENDED_PATIENCE_MS) == STEP_WAIT)
		return STEP_WAIT;
	if (reterr)
		*reterr = TAKE(*err);
	return outcome;
}

static int mark_removing(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	_autofree_(err) struct err *err = NULL;
	int r = records_mark_removing(container->engine->records, container->id, container->record.host.auto_remove,
		&err);
	container->removing = r >= 0;
	return insist(operation, r < 0 ? r : STEP_NEXT, &err, reterr);
}

/*
 * A monitor that died while it started its container has left groups, and perhaps processes in them, of which its run folder
 * alone tells: it must not go before they do. Recovery does the same; whoever comes first.
 */
static int clear_groups(struct operation *operation, struct err **reterr)
{
	const struct container *container = operation->container;
	_autofree_(remains) struct remains *remains = NULL;
	_autoclose_ int fd = openat(container->engine->exec_containers_fd, container->id,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return STEP_NEXT;
	int r = fd < 0 ? -errno : remains_read(fd, &remains);
	if (r == 0)
		r = remains_kill(remains);
	if (r == -EAGAIN && operation_try_again(operation, KILL_PATIENCE_MS) == STEP_WAIT)
		return STEP_WAIT;
	_autofree_(err) struct err *err = NULL;
	if (r < 0)
		err_errno(&err, r, "cannot end what is left of container %s", container->id);
	return insist(operation, r < 0 ? r : STEP_NEXT, &err, reterr);
}

/* It may be tried again. */
static void unmark_removing(struct operation *operation)
{
	operation->container->removing = false;
}

static void on_monitor_ended(void *operation)
{
	operation_resume(operation, NULL);
}

/*
 * The event is told before the row goes, and marked as told with it; then, when the name is free, the monitor hears, because
 * it answers clients that wait for that. What is left is ours alone, and where nobody waits for it, it waits: the monitor has been
 * woken on our processor, and its client would get its answer only when we sleep.
 */
static int destroy(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	struct engine *engine = container->engine;
	const struct operation_args *args = &operation->args;
	int r = store_trash(engine->store, engine->containers_fd, container->id, reterr);
	if (r == 0)
		r = volumes_release(engine->volumes, container, args->remove_volumes, reterr);
	if (r < 0)
		return r;
	events_tell_destroy(container);
	r = records_remove_container(engine->records, container->id, container->record.host.auto_remove, reterr);
	if (r < 0)
		return r;
	execs_forget(engine->execs, container->id);
	containers_remove(engine->containers, container);
	bool waits = monitor_link_removed(container, args->unattended ? on_monitor_ended : NULL, operation);
	return waits ? STEP_WAIT : STEP_NEXT;
}

static int destroy_step(struct operation *operation, struct err **reterr)
{
	_autofree_(err) struct err *err = NULL;
	return insist(operation, destroy(operation, &err), &err, reterr);
}

static int clear_run_folder(struct operation *operation, struct err **reterr)
{
	(void)reterr;
	remove_run_folder(operation->container->engine, operation->container->id);
	return STEP_NEXT;
}

/* Last, since nobody waits for it; a lease that is nobody's is released by the next start-up. */
static int release_lease(struct operation *operation, struct err **reterr)
{
	const struct container *container = operation->container;
	_autofree_(err) struct err *err = NULL;
	int r = store_lease_release(container->engine->store, container->id, &err);
	workers_empty_trash(container->engine->workers);
	spare_make(container->engine);
	return insist(operation, r < 0 ? r : STEP_NEXT, &err, reterr);
}

static void log_unattended(struct operation *operation, const struct err *err)
{
	if (err && operation->args.unattended)
		log_error("cannot remove container %s: %s", operation->container->id, err_message(err));
}

static const struct step remove_steps[] = { { check_remove }, { kill_if_alive, .insists_ms = KILL_PATIENCE_MS },
	{ mark_removing, .undo = unmark_removing }, { clear_groups }, { detach_left }, { destroy_step },
	{ clear_run_folder }, { release_lease } };
static const struct verb remove_verb = {
	.name = "remove",
	.steps = remove_steps,
	.step_count = ARRAY_SIZE(remove_steps),
	.queued = true,
	.ended = log_unattended,
};

static int cancel_start(struct operation *operation, struct err **reterr)
{
	return operation_ask(operation, kill_message(), MONITOR_ANSWER_MS, reterr);
}

/* A restart or a start that is under way would make the removal wait: the kill goes ahead of the queue. */
static void kill_ahead(struct container *container)
{
	static const struct step kill_steps[] = { { kill_if_alive, .insists_ms = KILL_PATIENCE_MS } };
	static const struct verb kill_verb = { "kill for removal", .steps = kill_steps, .step_count = 1 };
	static const struct step cancel_steps[] = { { cancel_start } };
	static const struct verb cancel_verb = { "cancel for removal", .steps = cancel_steps, .step_count = 1 };

	if (list_is_empty(&container->operations))
		return;
	if (is_alive(container))
		operation_begin(container, &kill_verb, NULL, NULL, NULL);
	else if (monitor_link_is_up(container))
		operation_begin(container, &cancel_verb, NULL, NULL, NULL);
}

void remove_container(struct container *container, bool force, bool volumes, engine_done_fn *done, void *user)
{
	const struct operation_args args = { .force = force, .remove_volumes = volumes };
	/* A removal that is under way is no reason to wait: Docker says so at once. */
	if (container->removing) {
		_autofree_(err) struct err *err = NULL;
		err_set(&err, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
		done(user, NULL, err);
		return;
	}
	if (force)
		kill_ahead(container);
	operation_begin(container, &remove_verb, &args, done, user);
}

void remove_container_unattended(struct container *container)
{
	const struct operation_args args = { .unattended = true, .remove_volumes = true };
	operation_begin(container, &remove_verb, &args, NULL, NULL);
}

static void resume_ended(struct operation *operation, const struct err *err)
{
	if (!err)
		return;
	log_error("cannot go on with the removal of container %s: %s", operation->container->id, err_message(err));
	operation->container->removing = false;
}

void remove_container_resume(struct container *container)
{
	static const struct step steps[] = { { clear_groups }, { detach_left }, { destroy_step }, { release_lease } };
	static const struct verb verb = {
		.name = "go on with a removal",
		.steps = steps,
		.step_count = ARRAY_SIZE(steps),
		.queued = true,
		.ended = resume_ended,
	};
	const struct operation_args args = { .remove_volumes = container->record.host.auto_remove };
	operation_begin(container, &verb, &args, NULL, NULL);
}

/* --- prune --- */

const char *const remove_prune_filters[] = { "label", "label!", "until", NULL };

struct pruning {
	json_t *deleted;
	const struct sizes *sizes;
	int64_t reclaimed;
	const char *id;
	struct err *err;
};

static void on_pruned(void *user, json_t *result, const struct err *err)
{
	struct pruning *pruning = user;
	(void)result;
	if (err) {
		log_warn("container %s was not pruned: %s", pruning->id, err_message(err));
		return;
	}
	int64_t bytes = sizes_of_container(pruning->sizes, pruning->id);
	pruning->reclaimed += bytes > 0 ? bytes : 0;
	json_array_append_new(pruning->deleted, json_string(pruning->id));
}

int remove_prune(struct engine *engine, const struct filters *filters, const struct sizes *sizes, json_t **ret,
	struct err **reterr)
{
	int64_t until;
	int r = times_until(filters, &until, reterr);
	if (r < 0)
		return r;
	containers_sync(engine);
	struct pruning pruning = { .deleted = json_array(), .sizes = sizes };
	struct container *container;
	size_t cursor = 0;
	while ((container = containers_next(engine->containers, &cursor))) {
		const struct map *labels = container->record.config.labels;
		if (is_alive(container) || container->removing || !list_is_empty(&container->operations) ||
			container->record.created_ns > until || !filters_match_labels(filters, "label", labels) ||
			!filters_refuse_labels(filters, "label!", labels))
			continue;
		/* With nothing to wait for, it is over when this returns. */
		container_ref(container);
		pruning.id = container->id;
		remove_container(container, false, false, on_pruned, &pruning);
		container_unref(container);
	}
	events_tell_prune(engine, "container", (uint64_t)pruning.reclaimed);
	*ret = json_pack("{s:o, s:I}", "ContainersDeleted", pruning.deleted, "SpaceReclaimed",
		(json_int_t)pruning.reclaimed);
	return *ret ? 0 : err_oom(reterr);
}

/* --- sweep --- */

/* What of data without a row may go: that of containers which were to vanish anyway. The rest may be all that is left after
 * a database was lost. */
static bool may_sweep(struct engine *engine, int parent_fd, const char *id)
{
	if (parent_fd == engine->exec_containers_fd)
		return true;
	_autoclose_ int fd = openat(parent_fd, id, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool marked = fd >= 0 && faccessat(fd, LAUNCH_AUTO_REMOVE_FILE, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
	if (!marked)
		log_warn("containers/%s belongs to no container that is known: left as it is", id);
	return marked;
}

static int sweep_folder(struct engine *engine, int fd, struct err **reterr)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = copy < 0 ? NULL : fdopendir(copy);
	if (!folder) {
		int r = -errno;
		if (copy >= 0)
			close(copy);
		return err_errno(reterr, r, "cannot list the containers' folders");
	}
	_autofree_(strv) char **orphans = NULL;
	const struct dirent *entry;
	int r = 0;
	while (r == 0 && (entry = readdir(folder))) {
		if (is_hex(entry->d_name, CONTAINER_ID_SIZE - 1) &&
			!containers_by_id(engine->containers, entry->d_name))
			r = strv_append(&orphans, entry->d_name);
	}
	closedir(folder);
	if (r < 0)
		return err_oom(reterr);
	strv_foreach (id, orphans) {
		if (!may_sweep(engine, fd, *id))
			continue;
		log_info("removing what is left of container %s", *id);
		if (fd == engine->exec_containers_fd) {
			monitor_link_orphan(engine, *id);
			remove_run_folder(engine, *id);
		} else if (detach_is_due(fd, *id)) {
			detach_orphan(engine, *id);
		} else if ((r = store_trash(engine->store, fd, *id, reterr)) < 0) {
			return r;
		}
	}
	return 0;
}

int remove_sweep(struct engine *engine, struct err **reterr)
{
	int r = sweep_folder(engine, engine->containers_fd, reterr);
	if (r == 0)
		r = sweep_folder(engine, engine->exec_containers_fd, reterr);
	if (r < 0)
		return r;
	_autofree_(strv) char **leases = NULL;
	r = store_lease_list(engine->store, &leases, reterr);
	if (r < 0)
		return r;
	strv_foreach (id, leases) {
		if (!containers_by_id(engine->containers, *id))
			r = store_lease_release(engine->store, *id, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}
