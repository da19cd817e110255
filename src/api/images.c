/* /images. Archives go to a worker, to which the client is handed over. */
#include "engine/images.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/hand_over.h"
#include "api/params.h"
#include "api/registry.h"
#include "api/request.h"
#include "api/routes.h"
#include "base/strv.h"
#include "codec/reference.h"

static void list(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, images_list_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	const struct images_wish wish = {
		.filters = filters,
		.all = query_bool(request->query, "all", false),
		.shared_size = query_bool(request->query, "shared-size", false),
		.api_minor = request->api_minor,
	};
	int r = images_list(request->engine, &wish, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void inspect(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = images_inspect(request->engine, request->params[0], query_get(request->query, "platform"),
		request->api_minor, &document, &err);
	respond_result(request, r, 200, document, err);
}

static void history(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = images_history(request->engine, request->params[0], query_get(request->query, "platform"), &document,
		&err);
	respond_result(request, r, 200, document, err);
}

static void tag(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const struct query *query = request->query;
	if (images_tag(request->engine, request->params[0], query_get(query, "repo") ?: "", query_get(query, "tag"),
		    &err) < 0)
		respond_error(request, err);
	else
		respond_empty(request, 201);
}

static void remove_one(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	json_t *document = NULL;
	int r = images_remove(request->engine, request->params[0], query_bool(request->query, "force", false),
		!query_bool(request->query, "noprune", false), &document, &err);
	respond_result(request, r, 200, document, err);
}

static void prune(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, images_prune_filters);
	json_t *document = NULL;
	if (!filters)
		return;
	int r = images_prune(request->engine, filters, &document, &err);
	respond_result(request, r, 200, document, err);
}

/* --- handed over --- */

static void load(struct request *request)
{
	struct handover_load parameters = {
		.quiet = query_bool(request->query, "quiet", false),
		.platform = (char *)query_get(request->query, "platform"),
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_LOAD), .load = &parameters };
	hand_over_to_worker(request, &handover);
}

/* What the archive is to be called must be right before gigabytes are sent. */
static int check_name(const char *repository, const char *tag_name, struct err **reterr)
{
	_cleanup_free_ char *text = NULL;
	struct reference reference = { 0 };
	const char *problem;
	if (!repository || !*repository)
		return 0;
	if (asprintf(&text, tag_name && *tag_name ? "%s:%s" : "%s", repository, tag_name) < 0) {
		text = NULL;
		return err_oom(reterr);
	}
	int r = reference_parse(text, &reference, &problem);
	reference_finish(&reference);
	if (r == -ENOMEM)
		return err_oom(reterr);
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "%s", problem) : 0;
}

static void import(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(strv) char **changes = NULL;
	const struct query *query = request->query;
	struct handover_import parameters = {
		.repo = (char *)query_get(query, "repo"),
		.tag = (char *)query_get(query, "tag"),
		.message = (char *)query_get(query, "message"),
		.platform = (char *)query_get(query, "platform"),
	};
	int r = check_name(parameters.repo, parameters.tag, &err);
	if (r == 0 && param_list(query, "changes", &changes) < 0)
		r = err_oom(&err);
	if (r < 0) {
		respond_error(request, err);
		return;
	}
	parameters.changes = changes;
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_IMPORT), .import = &parameters };
	hand_over_to_worker(request, &handover);
}

static void create(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	const char *source = query_get(request->query, "fromSrc");
	const char *image = query_get(request->query, "fromImage");
	if (image && *image) {
		registry_pull(request);
	} else if (!source || strcmp(source, "-") == 0) {
		import(request);
	} else {
		err_set(&err, ERR_UNSUPPORTED, 0,
			"importing from a URL is not supported: download it and use \"import -\"");
		respond_error(request, err);
	}
}

static void hand_over_save(struct request *request, char **names)
{
	const char *platform = query_get(request->query, "platform");
	struct handover_save parameters = {
		.names = names,
		.platform = platform && *platform ? (char *)platform : NULL,
	};
	struct handover handover = { .kind = (char *)handover_kind_name(HANDOVER_SAVE), .save = &parameters };
	hand_over_to_worker(request, &handover);
}

static void save_one(struct request *request)
{
	char *names[] = { request->params[0], NULL };
	hand_over_save(request, names);
}

static void save(struct request *request)
{
	_autofree_(strv) char **names = NULL;
	_autofree_(err) struct err *err = NULL;
	size_t cursor = 0;
	const char *name;
	int r = 0;
	while (r == 0 && (name = query_next(request->query, "names", &cursor)))
		r = strv_append(&names, name);
	if (r < 0)
		err_oom(&err);
	else if (!names)
		r = err_set(&err, ERR_INVALID, 0, "no image was named: the parameter names is missing");
	if (r < 0)
		respond_error(request, err);
	else
		hand_over_save(request, names);
}

static const struct route routes[] = {
	{ "GET", "/images/json", 0, 0, list },
	{ "GET", "/images/get", 0, 0, save },
	{ "POST", "/images/load", 0, ROUTE_UNREAD, load },
	{ "POST", "/images/create", 0, ROUTE_UNREAD, create },
	{ "POST", "/images/prune", 25, 0, prune },
	{ "GET", "/images/{*}/json", 0, 0, inspect },
	{ "GET", "/images/{*}/history", 0, 0, history },
	{ "GET", "/images/{*}/get", 0, 0, save_one },
	{ "POST", "/images/{*}/tag", 0, 0, tag },
	{ "DELETE", "/images/{*}", 0, 0, remove_one },
};
const struct route_table image_routes = ROUTE_TABLE(routes);
