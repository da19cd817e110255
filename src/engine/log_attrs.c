#include "engine/log_attrs.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "codec/json.h"
#include "codec/template.h"
#include "engine/pattern.h"
#include "spec/launch.h"

#define TAG_MAX        LAUNCH_LOG_ATTRS_MAX
#define IMAGE_ID_SHORT 12       /* of the ID with its "sha256:", as Docker cuts it */
#define ENGINE_NAME    "docker" /* what a tag that says {{.DaemonName}} is made for */

static const char *option(const struct map *options, const char *key)
{
	const char *value = options ? map_get(options, key) : NULL;
	return value ? value : "";
}

/* --- which --- */

struct choice {
	char **names;
	regex_t regex;
	bool has_regex;
};

static void choice_finish(struct choice *choice)
{
	strv_free(choice->names);
	if (choice->has_regex)
		regfree(&choice->regex);
}

static int choice_init(struct choice *choice, const struct map *options, const char *names_key, const char *regex_key,
	struct err **reterr)
{
	const char *pattern = option(options, regex_key);
	*choice = (struct choice){ .names = strv_split(option(options, names_key), ',') };
	if (!choice->names)
		return err_oom(reterr);
	int r = pattern[0] ? pattern_compile(pattern, &choice->regex, reterr) : 0;
	choice->has_regex = r == 0 && pattern[0];
	return r;
}

static bool choice_has(const struct choice *choice, const char *name)
{
	return (name[0] && strv_has(choice->names, name)) ||
	       (choice->has_regex && pattern_matches(&choice->regex, name));
}

static int set_string(json_t *attrs, const char *key, const char *value)
{
	return json_object_set_new(attrs, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

static int add_labels(const struct map *labels, const struct choice *choice, json_t *attrs)
{
	struct map_entry *entry;
	int r = 0;
	for (size_t cursor = 0; r == 0 && labels && (entry = map_next(labels, &cursor));) {
		if (choice_has(choice, entry->key))
			r = set_string(attrs, entry->key, entry->value);
	}
	return r;
}

static int add_variables(char *const *env, const struct choice *choice, json_t *attrs)
{
	int r = 0;
	strv_foreach (assignment, env) {
		_cleanup_free_ char *name = strndup(*assignment, strcspn(*assignment, "="));
		if (!name)
			return -ENOMEM;
		if (r == 0 && (*assignment)[strlen(name)] == '=' && choice_has(choice, name))
			r = set_string(attrs, name, *assignment + strlen(name) + 1);
	}
	return r;
}

/* --- the tag --- */

static json_t *joined(char *const *first, char *const *second)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TAG_MAX);
	char *const *const lists[] = { first, second };
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		strv_foreach (word, lists[i]) {
			if (buf_printf(&text, "%s%s", text.len ? " " : "", *word) < 0)
				return json_string("");
		}
	}
	return json_string(text.data ? text.data : "");
}

static json_t *strings(const struct map *map)
{
	json_t *object = json_object();
	struct map_entry *entry;
	for (size_t cursor = 0; map && (entry = map_next(map, &cursor));)
		set_string(object, entry->key, entry->value);
	return object;
}

/* Docker's names for what a template may say; NULL when out of memory. */
static json_t *describe(const struct container *container)
{
	const struct container_config *config = &container->record.config;
	const char *image = container->record.image_id ? container->record.image_id : "";
	_autojson_ json_t *data = json_pack("{s:s%, s:s, s:s, s:s, s:s%, s:s, s:s}", "ID", container->id,
		(size_t)CONTAINER_ID_SHORT, "FullID", container->id, "ContainerID", container->id, "Name",
		container->name, "ImageID", image, strnlen(image, IMAGE_ID_SHORT), "ImageFullID", image,
		"ContainerImageID", image);
	_cleanup_free_ char *rooted = NULL;
	if (!data || asprintf(&rooted, "/%s", container->name) < 0) {
		rooted = NULL;
		return NULL;
	}
	const char *image_name = config->image ? config->image : "";
	int failed = json_object_set_new(data, "ContainerName", json_string(rooted)) |
		     json_object_set_new(data, "ImageName", json_string(image_name)) |
		     json_object_set_new(data, "ContainerImageName", json_string(image_name)) |
		     json_object_set_new(data, "ContainerLabels", strings(config->labels)) |
		     json_object_set_new(data, "Command", joined(config->entrypoint, config->cmd)) |
		     json_object_set_new(data, "DaemonName", json_string(ENGINE_NAME));
	return failed ? NULL : json_incref(data);
}

static int add_tag(const struct container *container, const char *text, json_t *attrs, struct err **reterr)
{
	_autofree_(template) struct template *template = NULL;
	_cleanup_(buf_finish) struct buf tag = BUF_INIT(TAG_MAX);
	_autojson_ json_t *data = describe(container);
	const struct template_input input = { .data = data };
	if (!data)
		return err_oom(reterr);
	int r = template_parse(text, &template, reterr);
	if (r == 0)
		r = template_run(template, &input, &tag, reterr);
	if (r < 0)
		return r;
	return tag.len && set_string(attrs, "tag", tag.data) < 0 ? err_oom(reterr) : 0;
}

/* --- all of it --- */

static int collect(const struct container *container, char *const *env, json_t *attrs, struct err **reterr)
{
	const struct map *options = container->record.host.log.config;
	_cleanup_(choice_finish) struct choice labels = { 0 }, variables = { 0 };
	int r = choice_init(&labels, options, "labels", "labels-regex", reterr);
	if (r == 0)
		r = choice_init(&variables, options, "env", "env-regex", reterr);
	if (r < 0)
		return r;
	if (add_labels(container->record.config.labels, &labels, attrs) < 0 ||
		add_variables(env, &variables, attrs) < 0)
		return err_oom(reterr);
	const char *tag = option(options, "tag");
	return tag[0] ? add_tag(container, tag, attrs, reterr) : 0;
}

/* By name, as Docker's: whoever reads a log shows them as they stand there. */
static int print_sorted(json_t *attrs, struct buf *out)
{
	_autojson_ json_t *sorted = json_object();
	_autofree_(strv) char **names = NULL;
	const char *key;
	json_t *value;
	json_object_foreach (attrs, key, value) {
		if (strv_append(&names, key) < 0)
			return -ENOMEM;
	}
	strv_sort(names);
	strv_foreach (name, names) {
		if (json_object_set(sorted, *name, json_object_get(attrs, *name)) < 0)
			return -ENOMEM;
	}
	return json_print_value(sorted, out);
}

bool log_attrs_has(const struct log_config *log)
{
	return !log->type || !log->type[0] || strcmp(log->type, "json-file") == 0;
}

int log_attrs_make(const struct container *container, char *const *env, char **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(LAUNCH_LOG_ATTRS_MAX);
	const struct log_config *log = &container->record.host.log;
	*ret = NULL;
	if (!log->config || map_count(log->config) == 0 || !log_attrs_has(log))
		return 0;
	_autojson_ json_t *attrs = json_object();
	int r = attrs ? collect(container, env, attrs, reterr) : err_oom(reterr);
	if (r < 0)
		return err_wrap(reterr, r, "failed to initialize logging driver");
	if (json_object_size(attrs) == 0)
		return 0;
	r = print_sorted(attrs, &text);
	if (r == -EFBIG)
		return err_set(reterr, ERR_INVALID, 0,
			"failed to initialize logging driver: labels, variables and tag are longer than %d bytes",
			LAUNCH_LOG_ATTRS_MAX);
	*ret = r == 0 ? buf_take(&text) : NULL;
	return *ret ? 0 : err_oom(reterr);
}

int log_attrs_check(const struct log_config *log, struct err **reterr)
{
	const struct map *options = log->config;
	_cleanup_(choice_finish) struct choice labels = { 0 }, variables = { 0 };
	_autofree_(template) struct template *template = NULL;
	if (!log_attrs_has(log))
		return 0;
	int r = choice_init(&labels, options, "labels", "labels-regex", reterr);
	if (r == 0)
		r = choice_init(&variables, options, "env", "env-regex", reterr);
	const char *tag = option(options, "tag");
	if (r == 0 && tag[0])
		r = template_parse(tag, &template, reterr);
	return r < 0 ? err_wrap(reterr, r, "failed to initialize logging driver") : 0;
}
