#include "engine/tree.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "engine/core.h"
#include "engine/launch.h"
#include "engine/merge.h"
#include "engine/monitor_link.h"
#include "engine/mounts.h"

/* Between the monitor's answer and the worker's. */
struct pending_job {
	struct container *container; /* a reference */
	struct tree_job job;
	json_t *handover; /* the request's parameters, kept as a document */
};

char *tree_clean_path(const char *path)
{
	size_t len = strlen(path);
	const char *end = len > 1 && strcmp(path + len - 2, "/.") == 0 ? "/."
			  : len > 0 && path[len - 1] == '/'            ? "/"
								       : "";
	_cleanup_free_ char *clean = mounts_clean_path(path);
	char *out;

	if (strcmp(path, ".") == 0)
		end = "/.";
	if (!clean)
		return NULL;
	if (strcmp(clean, "/") == 0)
		return strdup(strcmp(end, "/.") == 0 ? "/." : "/");
	return asprintf(&out, "%s%s", clean, end) < 0 ? NULL : out;
}

int tree_commit_config(const struct container *container, struct container_config *body, json_t **ret,
	struct err **reterr)
{
	_autojson_ json_t *own = json_write(&container_config_table, &container->record.config);
	struct oci_image_run run = { 0 };
	int r = own ? json_read(&oci_image_run_table, own, &run, reterr) : err_oom(reterr);

	if (r < 0)
		return r;
	r = merge_image(body, &run);
	json_finish(&oci_image_run_table, &run);
	*ret = r < 0 ? NULL : json_write(&container_config_table, body);
	return *ret ? 0 : err_oom(reterr);
}

/* ---- what the worker is told */

static int add_mounts(const struct container *container, struct handover_tree *tree)
{
	const struct container_record *record = &container->record;
	const struct mount_point **sorted = mounts_sorted(record);
	int r = 0;

	if (!sorted)
		return -ENOMEM;
	tree->mounts = calloc(record->mount_count + 1, sizeof(*tree->mounts));
	if (!tree->mounts)
		r = -ENOMEM;
	for (size_t i = 0; r == 0 && i < record->mount_count; i++) {
		const struct mount_point *from = sorted[i];
		struct handover_mount *mount = &tree->mounts[tree->mount_count];

		const char *source = mounts_host_source(container, from);
		const char *subpath = mounts_subpath(record, from->destination);

		if (!source)
			continue;
		mount->destination = mounts_clean_path(from->destination);
		mount->source = strdup(source);
		if (subpath && !(mount->subpath = strdup(subpath)))
			r = -ENOMEM;
		mount->recursive = true;
		mount->read_only = !from->rw;
		tree->mount_count++;
		if (!mount->destination || !mount->source)
			r = -ENOMEM;
	}
	free(sorted);
	return r;
}

static int fill_tree(struct container *container, struct handover_tree *tree, struct err **reterr)
{
	struct engine *engine = container->engine;
	int r = launch_make_data_folder(container, reterr);

	if (r < 0)
		return r;
	tree->read_only = container->record.host.readonly_rootfs;
	tree->is_volatile = container->record.host.auto_remove;
	if (asprintf(&tree->folder, "%s/containers/%s", engine->data_root, container->id) < 0) {
		tree->folder = NULL;
		return err_oom(reterr);
	}
	if (container->record.config.user && !(tree->user = strdup(container->record.config.user)))
		return err_oom(reterr);
	r = add_mounts(container, tree);
	return r < 0 ? err_oom(reterr) : store_lease_paths(engine->store, container->id, &tree->lowers, reterr);
}

static void forget_tree(struct handover_tree *tree)
{
	for (size_t i = 0; i < tree->mount_count; i++) {
		free(tree->mounts[i].destination);
		free(tree->mounts[i].source);
		free(tree->mounts[i].subpath);
	}
	free(tree->mounts);
	free(tree->folder);
	free(tree->user);
	strv_free(tree->lowers);
}

static int to_worker(struct container *container, const struct tree_job *job, const struct workers_loan *loan,
	struct err **reterr)
{
	struct handover_tree tree = *job->handover->tree;
	struct handover handover = *job->handover;
	int r = fill_tree(container, &tree, reterr);

	handover.tree = &tree;
	handover.container = container->id;
	handover.container_name = container->name;
	if (r == 0)
		r = workers_handover(container->engine->workers, &handover, job->fd, job->surplus, job->surplus_len,
			loan, job->on_answer, job->user, reterr);
	forget_tree(&tree);
	return r;
}

/* ---- what the monitor lends */

static void pending_free(struct pending_job *pending)
{
	container_unref(pending->container);
	json_decref(pending->handover);
	free(pending);
}

static void go_on(struct pending_job *pending, const struct workers_loan *loan)
{
	_autofree_(err) struct err *err = NULL;
	struct handover handover = { 0 };
	int r = json_read(&handover_table, pending->handover, &handover, &err);

	if (r == 0) {
		pending->job.handover = &handover;
		r = to_worker(pending->container, &pending->job, loan, &err);
		handover_finish(&handover);
	}
	if (r < 0)
		pending->job.on_answer(pending->job.user, NULL, err);
	pending_free(pending);
}

/* It may have ended since, or be of a build that lends nothing. */
static void on_lent(void *user, const struct message *answer, const struct err *err)
{
	struct pending_job *pending = user;
	const struct workers_loan loan = { .fds = answer ? answer->fds : NULL,
		.count = answer && answer->fd_count <= WORKERS_LOAN_MAX ? answer->fd_count : 0 };

	if (!err && loan.count > 0) {
		go_on(pending, &loan);
	} else if (!container_is_running(pending->container)) {
		go_on(pending, NULL);
	} else {
		_autofree_(err) struct err *failure = NULL;
		if (!err)
			err_set(&failure, ERR_INTERNAL, 0, "the container's monitor lent nothing");
		pending->job.on_answer(pending->job.user, NULL, err ? err : failure);
		pending_free(pending);
	}
}

static int ask(struct container *container, const struct tree_job *job, const char *op, struct err **reterr)
{
	struct pending_job *pending = calloc(1, sizeof(*pending));
	json_t *document = json_write(&handover_table, job->handover);

	if (!pending || !document) {
		free(pending);
		json_decref(document);
		return err_oom(reterr);
	}
	pending->container = container_ref(container);
	pending->job = *job;
	pending->handover = document;
	int r = monitor_request(container, message_new(op, 0), MONITOR_ANSWER_MS, on_lent, pending, reterr);
	if (r < 0)
		pending_free(pending);
	return r;
}

static bool needs_root(enum handover_kind kind)
{
	return kind != HANDOVER_CHANGES && kind != HANDOVER_COMMIT;
}

int tree_handover(struct container *container, const struct tree_job *job, struct err **reterr)
{
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	bool running = container_is_running(container);
	if (running && needs_root(handover_kind(job->handover)))
		return ask(container, job, "lend-root", reterr);
	if (running && job->pause && !container_is_paused(container))
		return ask(container, job, "lend-pause", reterr);
	return to_worker(container, job, NULL, reterr);
}
