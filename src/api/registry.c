/*
 * What is said to registries: pull, push, login, search, and a look at a manifest. The engine reads and checks the request
 * and hands the client over to tare-transfer, with what the administrator says of registries; credentials go by unread.
 */
#include "api/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/hand_over.h"
#include "api/params.h"
#include "api/routes.h"
#include "base/strv.h"
#include "codec/reference.h"
#include "engine/core.h"

#define SEARCH_LIMIT_MAX 100

static void hand_over(struct request *request, enum handover_kind kind, struct handover *handover)
{
	const struct settings *settings = &request->engine->settings;
	struct handover_registry registry = {
		.auth = (char *)request_header(request, "X-Registry-Auth"),
		.insecure = settings->insecure,
		.mirrors = settings->mirrors,
		.certificate_folders = (char **)settings_certificate_folders,
	};
	handover->kind = (char *)handover_kind_name(kind);
	handover->registry = &registry;
	hand_over_to_worker(request, handover);
}

static int parse(const char *text, struct reference *out, struct err **reterr)
{
	const char *problem = NULL;
	int r = reference_parse(text, out, &problem);
	if (r == -ENOMEM)
		return err_oom(reterr);
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "%s", problem ? problem : "invalid reference format") : 0;
}

/* The parameter `tag` may be a digest too, and goes before the name's own. */
static int name_with_tag(const char *image, const char *tag, struct reference *out, struct err **reterr)
{
	_cleanup_free_ char *text = NULL;
	struct reference name;
	size_t len = strlen(image);
	/* "pull --all-tags" of old clients leaves the colon there. */
	if (asprintf(&text, "%.*s", (int)(len && image[len - 1] == ':' ? len - 1 : len), image) < 0) {
		text = NULL;
		return err_oom(reterr);
	}
	int r = parse(text, &name, reterr);
	if (r < 0 || !tag || !*tag) {
		*out = r < 0 ? (struct reference){ 0 } : name;
		return r;
	}
	_cleanup_free_ char *full = NULL;
	r = asprintf(&full, "%s%c%s", name.repository, strchr(tag, ':') ? '@' : ':', tag);
	reference_finish(&name);
	if (r < 0) {
		full = NULL;
		return err_oom(reterr);
	}
	return parse(full, out, reterr);
}

void registry_pull(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_cleanup_(reference_finish) struct reference name = { 0 };
	_cleanup_free_ char *text = NULL;
	int r = name_with_tag(query_get(request->query, "fromImage"), query_get(request->query, "tag"), &name, &err);
	if (r == 0 && asprintf(&text, "%s%s%s%s%s", reference_familiar(name.repository), name.tag ? ":" : "",
			      name.tag ?: "", name.digest ? "@" : "", name.digest ?: "") < 0) {
		text = NULL;
		r = err_oom(&err);
	}
	if (r < 0) {
		respond_error(request, err);
		return;
	}
	const char *platform = query_get(request->query, "platform");
	struct handover_pull parameters = {
		.reference = text,
		.all_tags = !name.tag && !name.digest,
		.platform = platform && *platform ? (char *)platform : NULL,
	};
	struct handover handover = { .pull = &parameters };
	hand_over(request, HANDOVER_PULL, &handover);
}

static void push(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_cleanup_(reference_finish) struct reference name = { 0 };
	const char *tag = query_get(request->query, "tag");
	const char *platform = query_get(request->query, "platform");
	int r = name_with_tag(request->params[0], tag, &name, &err);
	if (r == 0 && name.digest)
		r = err_set(&err, ERR_INVALID, 0, "cannot push a digest reference");
	if (r < 0) {
		respond_error(request, err);
		return;
	}
	struct handover_push parameters = {
		.repository = (char *)reference_familiar(name.repository),
		.tag = name.tag,
		.platform = platform && *platform ? (char *)platform : NULL,
	};
	struct handover handover = { .push = &parameters };
	hand_over(request, HANDOVER_PUSH, &handover);
}

/* The body of POST /auth. */
static const struct json_field auth_fields[] = {
	JSON_FIELD(struct handover_auth, username, "username", JSON_STRING_FIELD),
	JSON_FIELD(struct handover_auth, password, "password", JSON_STRING_FIELD),
	JSON_FIELD(struct handover_auth, identity_token, "identitytoken", JSON_STRING_FIELD),
	JSON_FIELD(struct handover_auth, server_address, "serveraddress", JSON_STRING_FIELD),
};
static const struct json_table auth_table = JSON_TABLE(struct handover_auth, auth_fields);

static void auth(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	struct handover_auth parameters = { 0 };
	if (request_read_body(request, &auth_table, false, &parameters, &err) < 0) {
		respond_error(request, err);
		return;
	}
	struct handover handover = { .auth = &parameters };
	hand_over(request, HANDOVER_AUTH, &handover);
	json_finish(&auth_table, &parameters);
}

static const char *const search_filters[] = { "is-automated", "is-official", "stars", NULL };

/* All of the values have to hold: the largest number of stars counts. */
static int read_stars(const struct filters *filters, struct json_opt_int *ret, struct err **reterr)
{
	strv_foreach (value, filters_values(filters, "stars")) {
		size_t len = strspn(*value, "0123456789");
		if (len == 0 || len > 9 || (*value)[len])
			return err_set(reterr, ERR_INVALID, 0, "invalid filter 'stars=%s'", *value);
		int64_t number = 0;
		for (const char *digit = *value; *digit; digit++)
			number = 10 * number + (*digit - '0');
		ret->value = ret->set && ret->value > number ? ret->value : number;
		ret->set = true;
	}
	return 0;
}

static int read_search(const struct request *request, const struct filters *filters, struct handover_search *ret,
	bool *ret_automated, struct err **reterr)
{
	int r = param_int(request->query, "limit", 0, 0, SEARCH_LIMIT_MAX, &ret->limit, reterr);
	ret->term = (char *)query_get(request->query, "term");
	ret->is_official.set = filters_has(filters, "is-official");
	if (r == 0 && (!ret->term || !*ret->term))
		r = err_set(reterr, ERR_INVALID, 0, "a search needs a term");
	if (r == 0)
		r = filters_bool(filters, "is-official", false, &ret->is_official.value, reterr);
	if (r == 0)
		r = filters_bool(filters, "is-automated", false, ret_automated, reterr);
	return r < 0 ? r : read_stars(filters, &ret->stars, reterr);
}

static void search(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_autofree_(filters) struct filters *filters = param_filters(request, search_filters);
	struct handover_search parameters = { 0 };
	bool automated = false;
	if (!filters)
		return;
	if (read_search(request, filters, &parameters, &automated, &err) < 0) {
		respond_error(request, err);
		return;
	}
	if (automated) { /* No registry has had any for years. */
		respond_json(request, 200, json_array());
		return;
	}
	struct handover handover = { .search = &parameters };
	hand_over(request, HANDOVER_SEARCH, &handover);
}

static void distribution(struct request *request)
{
	_autofree_(err) struct err *err = NULL;
	_cleanup_(reference_finish) struct reference name = { 0 };
	if (parse(request->params[0], &name, &err) < 0) {
		respond_error(request, err);
		return;
	}
	struct handover_distribution parameters = { .reference = request->params[0] };
	struct handover handover = { .distribution = &parameters };
	hand_over(request, HANDOVER_DISTRIBUTION, &handover);
}

static const struct route routes[] = {
	{ "POST", "/auth", 0, 0, auth },
	{ "GET", "/images/search", 0, 0, search },
	{ "POST", "/images/{*}/push", 0, ROUTE_UNREAD, push },
	{ "GET", "/distribution/{*}/json", 30, 0, distribution },
};
const struct route_table registry_routes = ROUTE_TABLE(routes);
