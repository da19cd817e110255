#include "engine/sizes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "engine/volumes.h"
#include "engine/workers.h"

#define COUNT_MS (600 * 1000)
/* Of names in one message, well below CHANNEL_MESSAGE_MAX. */
#define BATCH_BYTES (64 * 1024)
#define FOLDER_MAX  (VOLUME_NAME_MAX + 32)

struct sizes {
	struct engine *engine;
	char **folders; /* below the data root */
	size_t asked;   /* of them, up to here */
	struct map *bytes;
	sizes_done_fn *done;
	void *user;
};

static void container_folder(const char *id, char out[static FOLDER_MAX])
{
	snprintf(out, FOLDER_MAX, "containers/%s/upper", id);
}

static void volume_folder(const char *name, char out[static FOLDER_MAX])
{
	snprintf(out, FOLDER_MAX, "volumes/%s/_data", name);
}

static void sizes_free(struct sizes *sizes)
{
	if (!sizes)
		return;
	strv_free(sizes->folders);
	map_free(sizes->bytes);
	free(sizes);
}

static int64_t size_of(const struct sizes *sizes, const char *folder)
{
	const int64_t *bytes = sizes ? map_get(sizes->bytes, folder) : NULL;
	return bytes ? *bytes : -1;
}

int64_t sizes_of_container(const struct sizes *sizes, const char *id)
{
	char folder[FOLDER_MAX];
	container_folder(id, folder);
	return size_of(sizes, folder);
}

int64_t sizes_of_volume(const struct sizes *sizes, const char *name)
{
	char folder[FOLDER_MAX];
	volume_folder(name, folder);
	return size_of(sizes, folder);
}

static int add_folders(struct sizes *sizes, const struct sizes_wish *wish)
{
	const struct container *container;
	const char *name;
	char folder[FOLDER_MAX];
	size_t cursor = 0, volume_cursor = 0;
	int r = 0;
	while (r == 0 && (container = containers_next(sizes->engine->containers, &cursor))) {
		container_folder(container->id, folder);
		if (wish->containers || container == wish->container)
			r = strv_append(&sizes->folders, folder);
	}
	while (r == 0 && wish->volumes && (name = volumes_next(sizes->engine->volumes, &volume_cursor))) {
		volume_folder(name, folder);
		r = strv_append(&sizes->folders, folder);
	}
	return r;
}

/* A message with as many names as there is room for, from *at on. */
static json_t *next_request(const struct sizes *sizes, size_t *at)
{
	json_t *names = json_array(), *body = message_new("job", WORKER_REQUEST_ID);
	size_t bytes = 0;
	for (; sizes->folders && sizes->folders[*at] && bytes < BATCH_BYTES; (*at)++) {
		bytes += strlen(sizes->folders[*at]);
		json_array_append_new(names, json_string(sizes->folders[*at]));
	}
	message_add(body, "kind", json_string("measure"));
	message_add(body, "folders", names);
	return body;
}

static void on_answer(void *user, const struct message *answer, const struct err *err);

static int ask(struct sizes *sizes, struct err **reterr)
{
	size_t end = sizes->asked;
	json_t *body = next_request(sizes, &end);
	int r = workers_ask(sizes->engine->workers, HOLDER_WORKER, body, COUNT_MS, on_answer, sizes, reterr);
	return r;
}

/* The answer has a number for each name of the request. */
static int take(struct sizes *sizes, const struct message *answer, struct err **reterr)
{
	size_t i;
	json_t *value;
	json_array_foreach (json_object_get(answer->body, "sizes"), i, value) {
		int64_t *bytes = malloc(sizeof(*bytes));
		if (!bytes || !sizes->folders[sizes->asked] ||
			map_set(sizes->bytes, sizes->folders[sizes->asked], bytes) < 0) {
			free(bytes);
			return err_oom(reterr);
		}
		*bytes = json_integer_value(value);
		sizes->asked++;
	}
	return 0;
}

static void on_answer(void *user, const struct message *answer, const struct err *failure)
{
	struct sizes *sizes = user;
	_autofree_(err) struct err *err = NULL;
	size_t before = sizes->asked;
	int r = failure ? -1 : take(sizes, answer, &err);
	bool more = r == 0 && sizes->folders[sizes->asked];
	if (more && sizes->asked == before)
		r = err_set(&err, ERR_INTERNAL, 0, "the worker counted nothing");
	else if (more && (r = ask(sizes, &err)) == 0)
		return;
	sizes->done(sizes->user, r < 0 ? NULL : sizes, failure ? failure : err);
	sizes_free(sizes);
}

int sizes_count(struct engine *engine, const struct sizes_wish *wish, sizes_done_fn *done, void *user,
	struct err **reterr)
{
	struct sizes *sizes = calloc(1, sizeof(*sizes));
	if (!sizes)
		return err_oom(reterr);
	*sizes = (struct sizes){ .engine = engine, .bytes = map_new(free), .done = done, .user = user };
	int r = sizes->bytes && add_folders(sizes, wish) == 0 ? 0 : err_oom(reterr);
	if (r == 0 && !sizes->folders)
		done(user, sizes, NULL);
	else if (r == 0 && (r = ask(sizes, reterr)) == 0)
		return 0;
	sizes_free(sizes);
	return r;
}
