#include "worker/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codec/json.h"
#include "registry/registry.h"

#define ANSWER_BYTES  (4 * 1024 * 1024)
#define LIMIT_DEFAULT 25
#define HUB_INDEX     "index.docker.io"
#define HUB_OWN       "library/"

struct result {
	char *name;
	char *description;
	int64_t star_count;
	bool is_official;
	bool is_automated;
};
static const struct json_field result_fields[] = {
	JSON_FIELD(struct result, star_count, "star_count", JSON_INT),
	JSON_FIELD(struct result, is_official, "is_official", JSON_BOOL_FIELD),
	JSON_FIELD(struct result, name, "name", JSON_STRING_FIELD),
	JSON_FIELD(struct result, is_automated, "is_automated", JSON_BOOL_FIELD),
	JSON_FIELD(struct result, description, "description", JSON_STRING_FIELD),
};
static const struct json_table result_table = JSON_TABLE(struct result, result_fields);

struct answer {
	struct result *results;
	size_t count;
};
static const struct json_field answer_fields[] = {
	JSON_FIELD_ARRAY(struct answer, results, count, "results", JSON_OBJECTS, .table = &result_table),
};
static const struct json_table answer_table = JSON_TABLE(struct answer, answer_fields);

/* "host:5000/words" is for that registry, all else for Docker Hub, whose own images may be asked for in full. */
static int split_term(const char *term, char **ret_repository, const char **ret_words)
{
	size_t len = strcspn(term, "/");
	char host[REFERENCE_NAME_MAX + 1];
	bool named = false;

	snprintf(host, sizeof(host), "%.*s", (int)(len < sizeof(host) ? len : 0), term);
	if (term[len] && len < sizeof(host))
		named = strpbrk(host, ".:") || strcasecmp(host, "localhost") == 0;
	*ret_words = named ? term + len + 1 : term;
	if (!named && strncmp(term, HUB_OWN, strlen(HUB_OWN)) == 0)
		*ret_words = term + strlen(HUB_OWN);
	if (asprintf(ret_repository, "%s/", named && strcmp(host, REFERENCE_HUB) != 0 ? host : HUB_INDEX) < 0) {
		*ret_repository = NULL;
		return -ENOMEM;
	}
	return 0;
}

static bool is_wanted(const struct handover_search *wish, const struct result *result)
{
	return (!wish->is_official.set || wish->is_official.value == result->is_official) &&
	       (!wish->stars.set || result->star_count >= wish->stars.value);
}

static int tell(struct task *task, const struct handover_search *wish, const struct answer *answer, size_t limit,
	struct err **reterr)
{
	_autojson_ json_t *list = json_array();

	for (size_t i = 0; i < answer->count && json_array_size(list) < limit; i++)
		if (is_wanted(wish, &answer->results[i]) &&
			json_array_append_new(list, json_write(&result_table, &answer->results[i])) < 0)
			return err_oom(reterr);
	client_tell(task->client, TAKE(list));
	return 0;
}

int search_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	const struct handover_search *wish = handover->search;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(ANSWER_BYTES);
	_autofree_(registry) struct registry *registry = NULL;
	_cleanup_free_ char *repository = NULL;
	struct reference reference = { NULL };
	struct answer answer = { NULL };
	int64_t limit = wish->limit > 0 ? wish->limit : LIMIT_DEFAULT;
	const char *words;

	if (split_term(wish->term, &repository, &words) < 0)
		return err_oom(reterr);
	reference.repository = repository;
	struct registry_options options = {
		.reference = &reference,
		.settings = handover->registry,
		.cancelled = task_is_cancelled,
		.cancelled_user = task,
	};
	int r = registry_open(&options, &registry, reterr);
	if (r == 0)
		r = registry_search(registry, words, limit, &text, reterr);
	if (r < 0)
		return r;
	r = json_parse(&answer_table, text.data ?: "", text.len, &answer, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "%s: the answer to a search is none", registry_host(registry));
	r = tell(task, wish, &answer, (size_t)limit, reterr);
	json_finish(&answer_table, &answer);
	return r;
}
