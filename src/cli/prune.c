/* container prune, image prune, network prune, volume prune, and system prune, which is all of them in turn: remove what nobody uses, after
 * asking. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/filters.h"
#include "cli/humanize.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"

struct prune_options {
	bool all;
	char **filters;
	bool force;
	bool volumes;
};

#define OPTION(...) OPTION_IN(struct prune_options, __VA_ARGS__)
#define COMMON                                                                                       \
 OPTION("filter", 0, OPTION_LIST, filters, "Remove only those that match (until=24h, label=key...)", \
	 .word = "filter"),                                                                          \
	 OPTION("force", 'f', OPTION_BOOL, force, "Don't ask")
static const struct option_spec container_specs[] = { COMMON };
static const struct option_table container_table = OPTION_TABLE(container_specs);

static const struct option_spec image_specs[] = {
	COMMON,
	OPTION("all", 'a', OPTION_BOOL, all, "Remove tagged images that no container uses, too"),
};
static const struct option_table image_table = OPTION_TABLE(image_specs);

static const struct option_spec volume_specs[] = {
	COMMON,
	OPTION("all", 'a', OPTION_BOOL, all, "Remove named volumes, too"),
};
static const struct option_table volume_table = OPTION_TABLE(volume_specs);

static const struct option_spec system_specs[] = {
	COMMON,
	OPTION("all", 'a', OPTION_BOOL, all, "Remove tagged images that no container uses, too"),
	OPTION("volumes", 0, OPTION_BOOL, volumes, "Remove anonymous volumes that no container uses, too"),
};
static const struct option_table system_table = OPTION_TABLE(system_specs);

/* One kind of things, and how its removal is told. */
struct prune {
	const char *warning;
	const char *path;
	const char *member; /* of the answer */
	const char *heading;
	const char *filter; /* one more, or NULL */
};

/* Anything but y or yes is a no. */
static bool confirm(const char *warning)
{
	char answer[16] = "";
	print_out(warning, strlen(warning), NULL);
	static const char question[] = "\nAre you sure you want to continue? [y/N] ";
	print_out(question, sizeof question - 1, NULL);
	if (!fgets(answer, sizeof answer, stdin))
		return false;
	return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static int print_item(const json_t *item, struct err **reterr)
{
	if (json_is_string(item))
		return print_line(reterr, "%s", json_string_value(item));
	const char *untagged = value_string(item, "Untagged");
	return *untagged ? print_line(reterr, "untagged: %s", untagged)
			 : print_line(reterr, "deleted: %s", value_string(item, "Deleted"));
}

static int print_items(const struct prune *prune, const json_t *answer, struct err **reterr)
{
	const json_t *items = value_at(answer, prune->member);
	size_t i;
	const json_t *item;
	int ret = json_array_size(items) ? print_line(reterr, "%s:", prune->heading) : 0;
	json_array_foreach (items, i, item) {
		if (ret == 0)
			ret = print_item(item, reterr);
	}
	return ret == 0 && json_array_size(items) ? print_line(reterr, "%s", "") : ret;
}

/* Removes one kind of things, prints which, and adds to *reclaimed what they took. */
static int prune_kind(const struct invocation *invocation, const struct prune *prune, double *reclaimed,
	struct err **reterr)
{
	const struct prune_options *options = invocation->options;
	_autofree_(strv) char **filters = strv_copy(options->filters);
	if (!filters || (prune->filter && strv_append(&filters, prune->filter) < 0))
		return err_oom(reterr);
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	if (buf_puts(&path, prune->path) < 0)
		return err_oom(reterr);
	int ret = filters_append(filters, &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "POST", path.data, NULL, &answer, reterr);
	if (ret < 0)
		return ret;
	if (json_array_size(value_at(answer, prune->member)))
		*reclaimed += (double)value_int(answer, "SpaceReclaimed");
	return print_items(prune, answer, reterr);
}

static int print_total(double reclaimed, struct err **reterr)
{
	char size[HUMAN_MAX];
	human_size(reclaimed, 4, size);
	return print_line(reterr, "Total reclaimed space: %s", size);
}

static int prune_things(const struct invocation *invocation, const struct prune *prune, struct err **reterr)
{
	const struct prune_options *options = invocation->options;
	double reclaimed = 0;
	if (!options->force && !confirm(prune->warning))
		return err_set(reterr, ERR_INVALID, 0, "%s has been cancelled", invocation->name);
	int ret = prune_kind(invocation, prune, &reclaimed, reterr);
	return ret < 0 ? ret : print_total(reclaimed, reterr);
}

static const struct prune containers = {
	.warning = "WARNING! This removes all stopped containers.",
	.path = "/containers/prune",
	.member = "ContainersDeleted",
	.heading = "Deleted Containers",
};

static struct prune images(const struct prune_options *options)
{
	return (struct prune){
		.warning = options->all ? "WARNING! This removes all images that no container uses."
					: "WARNING! This removes all images without a name that no container uses.",
		.path = "/images/prune",
		.member = "ImagesDeleted",
		.heading = "Deleted Images",
		.filter = options->all ? "dangling=false" : "dangling=true",
	};
}

/* `all` is the option of volume prune: that of system prune is about images. */
static struct prune volumes(bool all)
{
	return (struct prune){
		.warning = all ? "WARNING! This removes all volumes that no container uses."
			       : "WARNING! This removes all anonymous volumes that no container uses.",
		.path = "/volumes/prune",
		.member = "VolumesDeleted",
		.heading = "Deleted Volumes",
		.filter = all ? "all=true" : NULL,
	};
}

static const struct prune networks = {
	.warning = "WARNING! This removes all networks that no running container is on.",
	.path = "/networks/prune",
	.member = "NetworksDeleted",
	.heading = "Deleted Networks",
};

static int container_prune_run(const struct invocation *invocation, struct err **reterr)
{
	return prune_things(invocation, &containers, reterr);
}

static int image_prune_run(const struct invocation *invocation, struct err **reterr)
{
	const struct prune kind = images(invocation->options);
	return prune_things(invocation, &kind, reterr);
}

/* They take no space. */
static int network_prune_run(const struct invocation *invocation, struct err **reterr)
{
	const struct prune_options *options = invocation->options;
	double reclaimed = 0;
	if (!options->force && !confirm(networks.warning))
		return err_set(reterr, ERR_INVALID, 0, "%s has been cancelled", invocation->name);
	return prune_kind(invocation, &networks, &reclaimed, reterr);
}

static int volume_prune_run(const struct invocation *invocation, struct err **reterr)
{
	const struct prune_options *options = invocation->options;
	const struct prune kind = volumes(options->all);
	return prune_things(invocation, &kind, reterr);
}

static bool has_until(char *const *filters)
{
	strv_foreach (filter, filters) {
		if (strncmp(*filter, "until=", 6) == 0)
			return true;
	}
	return false;
}

/* Containers first: what they used is unused then. */
static int system_prune_run(const struct invocation *invocation, struct err **reterr)
{
	const struct prune_options *options = invocation->options;
	const struct prune image_kind = images(options), volume_kind = volumes(false);
	const struct prune *const kinds[] = { &containers, &networks, options->volumes ? &volume_kind : NULL,
		&image_kind };
	char warning[512];
	double reclaimed = 0;
	int ret = 0;
	if (options->volumes && has_until(options->filters))
		return err_set(reterr, ERR_INVALID, 0, "the \"until\" filter is not supported with \"--volumes\"");
	snprintf(warning, sizeof warning,
		"WARNING! This removes:\n  - all stopped containers\n  - all networks that no running container "
		"is on\n%s  - all images %s\n",
		options->volumes ? "  - all anonymous volumes that no container uses\n" : "",
		options->all ? "that no container uses" : "without a name that no container uses");
	if (!options->force && !confirm(warning))
		return err_set(reterr, ERR_INVALID, 0, "%s has been cancelled", invocation->name);
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i])
			ret = prune_kind(invocation, kinds[i], &reclaimed, reterr);
	}
	return ret < 0 ? ret : print_total(reclaimed, reterr);
}

const struct command container_prune_command = {
	.names = { "container prune" },
	.usage = "[OPTIONS]",
	.summary = "Remove all stopped containers",
	.options = { { &container_table } },
	.options_size = sizeof(struct prune_options),
	.flags = COMMAND_ENGINE,
	.run = container_prune_run,
};

const struct command image_prune_command = {
	.names = { "image prune" },
	.usage = "[OPTIONS]",
	.summary = "Remove images that nobody uses",
	.options = { { &image_table } },
	.options_size = sizeof(struct prune_options),
	.flags = COMMAND_ENGINE,
	.run = image_prune_run,
};

const struct command network_prune_command = {
	.names = { "network prune" },
	.usage = "[OPTIONS]",
	.summary = "Remove networks that no running container is on",
	.options = { { &container_table } },
	.options_size = sizeof(struct prune_options),
	.flags = COMMAND_ENGINE,
	.run = network_prune_run,
};

const struct command volume_prune_command = {
	.names = { "volume prune" },
	.usage = "[OPTIONS]",
	.summary = "Remove volumes that nobody uses",
	.options = { { &volume_table } },
	.options_size = sizeof(struct prune_options),
	.flags = COMMAND_ENGINE,
	.run = volume_prune_run,
};

const struct command system_prune_command = {
	.names = { "system prune" },
	.usage = "[OPTIONS]",
	.summary = "Remove stopped containers and images that nobody uses",
	.options = { { &system_table } },
	.options_size = sizeof(struct prune_options),
	.flags = COMMAND_ENGINE,
	.run = system_prune_run,
};
