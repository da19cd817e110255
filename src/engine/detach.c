#include "engine/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/endpoints.h"
#include "engine/workers.h"
#include "network/cni.h"
#include "store/trash.h"

/* Plugins have their own limits, which are shorter (LEASE_CNI_TIMEOUT_MAX_S) unless there are many. */
#define DETACH_ANSWER_MS (2 * LEASE_CNI_TIMEOUT_MAX_S * 1000)

bool detach_is_due(int containers_fd, const char *id)
{
	char path[CONTAINER_ID_SIZE + sizeof(CNI_FILE) + 1];
	snprintf(path, sizeof(path), "%s/" CNI_FILE, id);
	return faccessat(containers_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool has_left(const struct container *container)
{
	return detach_is_due(container->engine->containers_fd, container->id);
}

static int ask(struct engine *engine, const char *id, worker_answer_fn *done, void *user, struct err **reterr)
{
	json_t *body = message_new("job", WORKER_REQUEST_ID), *list = json_array();
	json_array_append_new(list, json_string(id));
	message_add(body, "kind", json_string("network"));
	message_add(body, "detach", list);
	return workers_ask(engine->workers, HOLDER_NETWORK, body, DETACH_ANSWER_MS, done, user, reterr);
}

static void on_detached(void *user, const struct message *answer, const struct err *err)
{
	struct operation *operation = user;
	(void)answer;
	if (err && (operation->args.force || operation->args.unattended)) {
		log_error("container %s is not detached from its networks: %s", operation->container->id,
			err_message(err));
		err = NULL;
	}
	operation_resume(operation, err);
}

int detach_left(struct operation *operation, struct err **reterr)
{
	struct container *container = operation->container;
	if (!has_left(container))
		return STEP_NEXT;
	int r = ask(container->engine, container->id, on_detached, operation, reterr);
	return r < 0 ? r : STEP_WAIT;
}

static void log_failure(struct operation *operation, const struct err *err)
{
	if (err)
		log_error("container %s is not detached from the networks it had: %s", operation->container->id,
			err_message(err));
}

/* A start that comes meanwhile waits for it. */
void detach_boot(struct engine *engine)
{
	static const struct step steps[] = { { detach_left } };
	static const struct verb verb = {
		.name = "detach", .steps = steps, .step_count = ARRAY_SIZE(steps), .queued = true, .ended = log_failure
	};
	struct container *container;
	for (size_t cursor = 0; (container = containers_next(engine->containers, &cursor));) {
		if (!container->removing && !endpoints_are_live(container) && has_left(container))
			operation_begin(container, &verb, NULL, NULL, NULL);
	}
}

/* --- orphans --- */

struct orphan {
	struct engine *engine;
	char id[CONTAINER_ID_SIZE];
};

static void on_orphan(void *user, const struct message *answer, const struct err *err)
{
	struct orphan *orphan = user;
	_autofree_(err) struct err *own = NULL;
	(void)answer;
	if (!err && store_trash(orphan->engine->store, orphan->engine->containers_fd, orphan->id, &own) == 0)
		workers_empty_trash(orphan->engine->workers);
	else
		log_error("containers/%s is left as it is: %s", orphan->id, err_message(err ? err : own));
	free(orphan);
}

void detach_orphan(struct engine *engine, const char *id)
{
	_autofree_(err) struct err *err = NULL;
	struct orphan *orphan = malloc(sizeof(*orphan));
	int r = orphan ? 0 : err_oom(&err);
	if (r == 0) {
		orphan->engine = engine;
		snprintf(orphan->id, sizeof(orphan->id), "%s", id);
		r = ask(engine, id, on_orphan, orphan, &err);
	}
	if (r < 0) {
		log_error("containers/%s is left as it is: %s", id, err_message(err));
		free(orphan);
	}
}
