/* What is read out of a container's tree, and written into it: archives, export, changes, commit. Workers do it. */
#include <errno.h>
#include <string.h>

#include "api/hand_over.h"
#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"
#include "base/strv.h"
#include "engine/tree.h"

static struct container *find(struct request *request, const char *name)
{
	struct container *container = NULL;
	_autofree_(err) struct err *err = NULL;
	if (container_find(request->engine, name, &container, &err) == 0)
		return container;
	respond_error(request, err);
	return NULL;
}

static void hand_over(struct request *request, struct container *container, enum handover_kind kind,
	struct handover_tree *tree)
{
	struct handover handover = { .kind = (char *)handover_kind_name(kind), .tree = tree };
	hand_over_tree(request, container, &handover, false);
}

static void archive(struct request *request, enum handover_kind kind)
{
	_autofree_(err) struct err *err = NULL;
	const char *path = query_get(request->query, "path");
	struct container *container;
	if (!path || !*path) {
		err_set(&err, ERR_INVALID, 0, "bad parameter: path cannot be empty");
		respond_error(request, err);
		return;
	}
	container = find(request, request->params[0]);
	if (!container)
		return;
	_cleanup_free_ char *clean = tree_clean_path(path);
	struct handover_tree tree = {
		.path = clean,
		.named = (char *)path,
		.container_named = request->params[0],
		.no_overwrite_dir_non_dir = query_bool(request->query, "noOverwriteDirNonDir", false),
		.copy_owner = query_bool(request->query, "copyUIDGID", false),
	};
	if (clean) {
		hand_over(request, container, kind, &tree);
	} else {
		err_oom(&err);
		respond_error(request, err);
	}
}

static void get_archive(struct request *request)
{
	archive(request, request->is_head ? HANDOVER_ARCHIVE_STAT : HANDOVER_ARCHIVE_GET);
}

static void put_archive(struct request *request)
{
	archive(request, HANDOVER_ARCHIVE_PUT);
}

static void export(struct request *request)
{
	struct container *container = find(request, request->params[0]);
	struct handover_tree tree = { 0 };
	if (container)
		hand_over(request, container, HANDOVER_EXPORT, &tree);
}

static void changes(struct request *request)
{
	struct container *container = find(request, request->params[0]);
	struct handover_tree tree = { 0 };
	if (container)
		hand_over(request, container, HANDOVER_CHANGES, &tree);
}

static void hand_over_commit(struct request *request, struct container *container, json_t *config, char **changes)
{
	const struct query *query = request->query;
	struct handover_tree tree = { 0 };
	struct handover_commit parameters = {
		.repo = (char *)query_get(query, "repo"),
		.tag = (char *)query_get(query, "tag"),
		.comment = (char *)query_get(query, "comment"),
		.author = (char *)query_get(query, "author"),
		.changes = changes,
		.image = container->record.image_id,
		.config = config,
	};
	struct handover handover = {
		.kind = (char *)handover_kind_name(HANDOVER_COMMIT), .tree = &tree, .commit = &parameters
	};
	hand_over_tree(request, container, &handover, query_bool(query, "pause", true));
}

/* The body says what is to be other than in the container. */
static void commit(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(strv) char **changes = NULL;
	_autojson_ json_t *config = NULL;
	struct container_config body = { 0 };
	struct container *container = find(request, query_get(request->query, "container") ?: "");
	if (!container)
		return;
	int r = request_read_body(request, &container_config_table, true, &body, &err);
	if (r == 0 && param_list(request->query, "changes", &changes) < 0)
		r = err_oom(&err);
	if (r == 0)
		r = tree_commit_config(container, &body, &config, &err);
	json_finish(&container_config_table, &body);
	if (r < 0)
		respond_error(request, err);
	else
		hand_over_commit(request, container, config, changes);
}

static const struct route routes[] = {
	{ "GET", "/containers/{}/archive", 0, ROUTE_UNREAD, get_archive },
	{ "PUT", "/containers/{}/archive", 0, ROUTE_UNREAD, put_archive },
	{ "GET", "/containers/{}/export", 0, ROUTE_UNREAD, export },
	{ "GET", "/containers/{}/changes", 0, ROUTE_UNREAD, changes },
	{ "POST", "/commit", 0, 0, commit },
};
const struct route_table archive_routes = ROUTE_TABLE(routes);
