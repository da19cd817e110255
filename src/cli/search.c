#include <stdio.h>
#include <string.h>

#include "cli/client.h"
#include "cli/credentials.h"
#include "cli/filters.h"
#include "cli/listing.h"
#include "cli/object.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"
#include "codec/reference.h"

#define LIMIT_DEFAULT    25
#define DESCRIPTION_SIZE 45 /* characters, unless all is wanted */
#define DESCRIPTION_MAX  (64 * 1024)

struct search_options {
	char **filters;
	const char *format;
	int64_t limit;
	bool no_trunc;
};

#define OPTION(...) OPTION_IN(struct search_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("filter", 'f', OPTION_LIST, filters, "Show only those that match (is-official=true, stars=3)",
		.word = "filter"),
	OPTION("format", 0, OPTION_STRING, format, "Print by a template, or as \"table TEMPLATE\""),
	OPTION("limit", 0, OPTION_INT, limit, "Show so many at most"),
	OPTION("no-trunc", 0, OPTION_BOOL, no_trunc, "Don't shorten what is shown"),
};
static const struct option_table table = OPTION_TABLE(specs);

static const struct listing_column columns[] = {
	{ "Description", "DESCRIPTION" },
	{ "IsOfficial", "OFFICIAL" },
	{ "Name", "NAME" },
	{ "StarCount", "STARS" },
};
static const struct listing_kind kind = { .table = "{{.Name}}\\t{{.Description}}\\t{{.StarCount}}\\t{{.IsOfficial}}",
	.columns = columns,
	.column_count = ARRAY_SIZE(columns) };

/* One line of it. */
static int shorten(const char *description, bool all, struct buf *out)
{
	size_t characters = 0;
	int r = 0;

	for (const char *c = description; r == 0 && *c; c++) {
		bool begins = ((unsigned char)*c & 0xc0) != 0x80;
		if (begins && ++characters == DESCRIPTION_SIZE && !all && strlen(c) > 1)
			return buf_puts(out, "…");
		r = buf_putc(out, *c == '\n' || *c == '\r' ? ' ' : *c);
	}
	return r;
}

static int add_result(struct listing *listing, const json_t *result, bool all, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf description = BUF_INIT(DESCRIPTION_MAX);
	char stars[24];

	if (shorten(value_string(result, "description"), all, &description) < 0)
		return err_oom(reterr);
	snprintf(stars, sizeof(stars), "%lld", (long long)value_int(result, "star_count"));
	_cleanup_(object_finish) struct object row;
	object_init(&row);
	object_put_string(&row, "Description", description.data ?: "");
	object_put_string(&row, "IsOfficial", json_is_true(value_at(result, "is_official")) ? "[OK]" : "");
	object_put_string(&row, "Name", value_string(result, "name"));
	object_put_string(&row, "StarCount", stars);
	_autojson_ json_t *json = NULL;
	int r = object_take(&row, &json, reterr);
	return r < 0 ? r : listing_add(listing, json, NULL, reterr);
}

/* The registry that the term begins with, "host:5000/words". */
static int term_auth(const char *term, struct buf *auth, struct err **reterr)
{
	size_t len = strcspn(term, "/");
	char host[REFERENCE_NAME_MAX + 1];

	if (!term[len] || len >= sizeof(host))
		return credentials_header(REFERENCE_HUB, auth, reterr);
	snprintf(host, sizeof(host), "%.*s", (int)len, term);
	bool named = strpbrk(host, ".:") || strcmp(host, "localhost") == 0;
	return credentials_header(named ? host : REFERENCE_HUB, auth, reterr);
}

static int fetch(const struct invocation *invocation, const struct search_options *options, json_t **ret,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX), auth = BUF_INIT(CREDENTIALS_HEADER_MAX);
	_autofree_(response) struct response *response = NULL;
	char limit[24];
	int r = buf_puts(&path, "/images/search");

	snprintf(limit, sizeof(limit), "%lld", (long long)options->limit);
	if (r == 0)
		r = query_append(&path, "term", invocation->args[0]);
	if (r == 0 && options->limit)
		r = query_append(&path, "limit", limit);
	if (r < 0)
		return err_errno(reterr, r, "cannot make the request");
	r = filters_append(options->filters, &path, reterr);
	if (r == 0)
		r = term_auth(invocation->args[0], &auth, reterr);
	if (r < 0)
		return r;
	const struct request request = { .method = "GET", .path = path.data, .registry_auth = auth.data };
	r = client_request(invocation->client, &request, &response, reterr);
	return r < 0 ? r : response_json(response, ret, reterr);
}

static int search_run(const struct invocation *invocation, struct err **reterr)
{
	const struct search_options *options = invocation->options;
	_cleanup_(listing_finish) struct listing listing;
	_autojson_ json_t *results = NULL;
	int r = listing_init(&listing, &kind, options->format, false, reterr);
	size_t i;
	const json_t *result;

	if (r == 0)
		r = fetch(invocation, options, &results, reterr);
	json_array_foreach (results, i, result)
		if (r == 0)
			r = add_result(&listing, result, options->no_trunc, reterr);
	return r < 0 ? r : listing_print(&listing, reterr);
}

const struct command search_command = {
	.names = { "search" },
	.usage = "[OPTIONS] TERM",
	.summary = "Look for images on Docker Hub",
	.description = "A term that begins with a registry's host is looked for there, if that registry can search.",
	.min_args = 1,
	.max_args = 1,
	.options = { { &table } },
	.options_size = sizeof(struct search_options),
	.flags = COMMAND_ENGINE,
	.run = search_run,
};
