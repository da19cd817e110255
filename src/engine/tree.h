/*
 * Jobs on a container's tree: archives in and out, export, changes, commit. A worker does them. What it needs of a container
 * that runs is asked of its monitor first and goes along as descriptors.
 */
#pragma once

#include "engine/container.h"
#include "engine/workers.h"

/*
 * As workers_handover, for a handover whose `tree` (and `commit`) has the parameters of the request; the rest of `tree` is
 * filled in here. `pause`: the container stands still until the worker is done. Success here means that `on_answer` will be
 * called. All is borrowed until then.
 */
struct tree_job {
	struct handover *handover;
	int fd;
	const void *surplus;
	size_t surplus_len;
	bool pause;
	worker_answer_fn *on_answer;
	void *user;
};
int tree_handover(struct container *container, const struct tree_job *job, struct err **reterr);

/* The config of an image made of the container: `body`, which is changed, and where that is silent the container's. A document
 * that reads as struct oci_image_run, a new reference. */
int tree_commit_config(const struct container *container, struct container_config *body, json_t **ret,
	struct err **reterr);

/* "/a/./b/../c/" to "/a/c/": lexically, but what is said at the end ("/", "/.") stays. NULL when out of memory. */
char *tree_clean_path(const char *path);
