/*
 * inspect: what the engine knows of a thing, as it says it or by a template. Without a type a name is looked for among
 * containers, then images, networks and volumes.
 */
#include <string.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/platform.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/template.h"

#define EXIT_BAD_TEMPLATE 64
#define INDENT            4

struct inspect_options {
	const char *format;
	bool size;
	const char *type;
	const char *platform;
	bool verbose;
};

#define OPTION(...)   OPTION_IN(struct inspect_options, __VA_ARGS__)
#define FORMAT_OPTION OPTION("format", 'f', OPTION_STRING, format, "Print as \"json\" on one line, or by a template")
static const struct option_spec inspect_specs[] = {
	FORMAT_OPTION,
	OPTION("size", 's', OPTION_BOOL, size, "Tell how much a container takes on disk"),
	OPTION("type", 0, OPTION_STRING, type, "Look only among these: container, image, network, volume"),
};
static const struct option_table inspect_table = OPTION_TABLE(inspect_specs);

static const struct option_spec container_specs[] = {
	FORMAT_OPTION,
	OPTION("size", 's', OPTION_BOOL, size, "Tell how much it takes on disk"),
};
static const struct option_table container_table = OPTION_TABLE(container_specs);

static const struct option_spec image_specs[] = {
	FORMAT_OPTION,
	OPTION("platform", 0, OPTION_STRING, platform, "Show this variant of the image (os[/arch[/variant]])"),
};
static const struct option_table image_table = OPTION_TABLE(image_specs);

static const struct option_spec volume_specs[] = { FORMAT_OPTION };
static const struct option_table volume_table = OPTION_TABLE(volume_specs);

static const struct option_spec network_specs[] = {
	FORMAT_OPTION,
	OPTION("verbose", 'v', OPTION_BOOL, verbose, "Show more of networks of swarms"),
};
static const struct option_table network_table = OPTION_TABLE(network_specs);

static const struct inspect_type {
	const char *name;
	const char *before;
	const char *after;
} types[] = {
	{ "container", "/containers/", "/json" },
	{ "image", "/images/", "/json" },
	{ "network", "/networks/", "" },
	{ "volume", "/volumes/", "" },
};

static const struct inspect_type *find_type(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	}
	return NULL;
}

static int fetch_as(const struct invocation *invocation, const struct inspect_type *type, const char *name,
	json_t **ret, struct err **reterr)
{
	const struct inspect_options *options = invocation->options;
	bool is_container = strcmp(type->name, "container") == 0;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int r = client_path(&path, type->before, name, type->after);
	if (r == 0 && options->size && is_container)
		r = buf_puts(&path, "?size=1");
	if (r < 0)
		return err_errno(reterr, r, "cannot make the request");
	if (options->platform)
		r = platform_append(options->platform, "platform", &path, reterr);
	if (r == 0)
		r = client_call(invocation->client, "GET", path.data, NULL, ret, reterr);
	if (r == 0 && options->size && !is_container)
		print_error("WARNING: --size ignored for %s", type->name);
	return r;
}

/* Errors that say no more than that it is not of this type. */
static bool is_elsewhere(const struct err *err)
{
	return err && (err->kind == ERR_NOT_FOUND || err->kind == ERR_UNSUPPORTED ||
			      strstr(err->message, "invalid reference format"));
}

static int fetch(const struct invocation *invocation, const struct inspect_type *only, const char *name, json_t **ret,
	struct err **reterr)
{
	if (only)
		return fetch_as(invocation, only, name, ret, reterr);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		struct err *err = NULL;
		int r = fetch_as(invocation, &types[i], name, ret, &err);
		if (r >= 0 || !is_elsewhere(err)) {
			*reterr = err;
			return r;
		}
		err_free(err);
	}
	return err_set(reterr, ERR_NOT_FOUND, 0, "error: no such object: %s", name);
}

/* All that was found, as one list. */
static int print_list(const json_t *found, bool compact, struct err **reterr)
{
	size_t flags = compact ? JSON_COMPACT : json_array_size(found) ? JSON_INDENT(INDENT) : 0;
	_cleanup_free_ char *text = json_dumps(found, flags);
	return text ? print_line(reterr, "%s", text) : err_oom(reterr);
}

/* A line for each, as far as the template holds. Returns whether it held for all. */
static bool print_by_template(const json_t *found, const struct template *template)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(PRINT_MAX);
	bool good = true;
	size_t i;
	json_t *item;
	_autofree_(strv) char **problems = NULL;
	json_array_foreach (found, i, item) {
		_autofree_(err) struct err *err = NULL;
		_cleanup_(buf_finish) struct buf line = BUF_INIT(PRINT_MAX);
		const struct template_input input = { .data = item };
		if (template_run(template, &input, &line, &err) < 0) {
			good = strv_append(&problems, err_message(err)) < 0;
			continue;
		}
		good &= (line.len ? buf_append(&out, line.data, line.len) : 0) == 0 && buf_putc(&out, '\n') == 0;
	}
	if (!out.len)
		good &= buf_putc(&out, '\n') == 0;
	good &= print_out(out.data, out.len, NULL) == 0;
	strv_foreach (problem, problems)
		print_error("%s", *problem);
	return good && !problems;
}

static int print_found(const json_t *found, const char *format, const struct template *template, struct err **reterr)
{
	if (template)
		return print_by_template(found, template) ? 0 : 1;
	return print_list(found, format && *format, reterr);
}

static int inspect_as(const struct invocation *invocation, const struct inspect_type *only, struct err **reterr)
{
	const struct inspect_options *options = invocation->options;
	const char *format = options->format;
	_autofree_(template) struct template *template = NULL;
	if (format && *format && strcmp(format, "json") != 0 && template_parse(format, &template, reterr) < 0) {
		print_error("%s", err_message(*reterr));
		return EXIT_BAD_TEMPLATE;
	}

	_autojson_ json_t *found = json_array();
	_autofree_(strv) char **problems = NULL;
	for (size_t i = 0; i < invocation->arg_count; i++) {
		_autofree_(err) struct err *err = NULL;
		json_t *answer = NULL;
		int r = fetch(invocation, only, invocation->args[i], &answer, &err);
		if (r < 0 ? strv_append(&problems, err_message(err)) < 0 : json_array_append_new(found, answer) < 0)
			return err_oom(reterr);
	}
	int ret = print_found(found, format, template, reterr);
	strv_foreach (problem, problems)
		print_error("%s", *problem);
	return ret == 0 && problems ? 1 : ret;
}

static int inspect_run(const struct invocation *invocation, struct err **reterr)
{
	const struct inspect_options *options = invocation->options;
	const struct inspect_type *only = options->type ? find_type(options->type) : NULL;
	if (options->type && !only)
		return err_set(reterr, ERR_INVALID, 0,
			"unknown type: \"%s\": must be one of \"container\", \"image\", \"network\", \"volume\"",
			options->type);
	return inspect_as(invocation, only, reterr);
}

static int container_inspect_run(const struct invocation *invocation, struct err **reterr)
{
	return inspect_as(invocation, find_type("container"), reterr);
}

static int image_inspect_run(const struct invocation *invocation, struct err **reterr)
{
	return inspect_as(invocation, find_type("image"), reterr);
}

static int network_inspect_run(const struct invocation *invocation, struct err **reterr)
{
	return inspect_as(invocation, find_type("network"), reterr);
}

static int volume_inspect_run(const struct invocation *invocation, struct err **reterr)
{
	return inspect_as(invocation, find_type("volume"), reterr);
}

const struct command inspect_command = {
	.names = { "inspect" },
	.usage = "[OPTIONS] NAME|ID [NAME|ID...]",
	.summary = "Print all that is known of containers, images, networks or volumes",
	.options = { { &inspect_table } },
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = inspect_run,
};

const struct command container_inspect_command = {
	.names = { "container inspect" },
	.usage = "[OPTIONS] CONTAINER [CONTAINER...]",
	.summary = "Print all that is known of containers",
	.options = { { &container_table } },
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = container_inspect_run,
};

const struct command image_inspect_command = {
	.names = { "image inspect" },
	.usage = "[OPTIONS] IMAGE [IMAGE...]",
	.summary = "Print all that is known of images",
	.options = { { &image_table } },
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = image_inspect_run,
};

const struct command network_inspect_command = {
	.names = { "network inspect" },
	.usage = "[OPTIONS] NETWORK [NETWORK...]",
	.summary = "Print all that is known of networks",
	.options = { { &network_table } },
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_NETWORKS,
	.flags = COMMAND_ENGINE,
	.run = network_inspect_run,
};

const struct command volume_inspect_command = {
	.names = { "volume inspect" },
	.usage = "[OPTIONS] VOLUME [VOLUME...]",
	.summary = "Print all that is known of volumes",
	.options = { { &volume_table } },
	.options_size = sizeof(struct inspect_options),
	.min_args = 1,
	.max_args = COMMAND_ARGS_ANY,
	.arguments = ARGUMENTS_VOLUMES,
	.flags = COMMAND_ENGINE,
	.run = volume_inspect_run,
};
