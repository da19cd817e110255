#include "engine/merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"

static int fill_string(char **own, const char *image)
{
	if ((*own && (*own)[0]) || !image || !image[0])
		return 0;
	char *copy = strdup(image);
	if (!copy)
		return -ENOMEM;
	free(*own);
	*own = copy;
	return 0;
}

static int fill_strv(char ***own, char *const *image)
{
	char **copy = strv_copy(image);
	if (!copy)
		return -ENOMEM;
	strv_free(*own);
	*own = copy;
	return 0;
}

static int unite(char ***own, char *const *image)
{
	strv_foreach (item, image) {
		if (!strv_has(*own, *item) && strv_append(own, *item) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* The request's variables come first, then the image's that it does not have; in the request a name alone takes a variable out.
 * An image's entry without "=" says nothing. */
static int merge_env(struct container_config *config, char *const *image)
{
	_autofree_(strv) char **env = strv_copy(config->env);
	int r = env || strv_count(config->env) == 0 ? 0 : -ENOMEM;
	strv_foreach (entry, image) {
		const char *equals = strchr(*entry, '=');
		if (!equals || equals == *entry)
			continue;
		size_t len = (size_t)(equals - *entry);
		bool overridden = false;
		strv_foreach (own, config->env)
			overridden = overridden ||
				     (strncmp(*own, *entry, len) == 0 && ((*own)[len] == '=' || (*own)[len] == '\0'));
		if (!overridden && r == 0)
			r = strv_append(&env, *entry);
	}
	if (r < 0)
		return r;
	strv_free(config->env);
	config->env = TAKE(env);
	return 0;
}

static int merge_labels(struct container_config *config, const struct map *image)
{
	struct map_entry *entry;
	if (!config->labels && !(config->labels = map_new(free)))
		return -ENOMEM;
	for (size_t cursor = 0; image && (entry = map_next(image, &cursor));) {
		if (map_has(config->labels, entry->key))
			continue;
		char *value = strdup(entry->value);
		if (!value || map_set(config->labels, entry->key, value) < 0) {
			free(value);
			return -ENOMEM;
		}
	}
	return 0;
}

static int merge_command(struct container_config *config, const struct oci_image_run *image)
{
	int r = 0;
	if (strv_count(config->entrypoint) > 0)
		return config->entrypoint[1] == NULL && config->entrypoint[0][0] == '\0'
			       ? fill_strv(&config->entrypoint, NULL)
			       : 0;
	if (strv_count(config->cmd) == 0 && strv_count(image->cmd) > 0) {
		r = fill_strv(&config->cmd, image->cmd);
		config->args_escaped = image->args_escaped;
	}
	if (r == 0 && !config->entrypoint && strv_count(image->entrypoint) > 0)
		r = fill_strv(&config->entrypoint, image->entrypoint);
	return r;
}

static int merge_health(struct container_config *config, const struct healthcheck *image)
{
	struct healthcheck *own = config->healthcheck;
	if (!image)
		return 0;
	if (!own) {
		config->healthcheck = own = calloc(1, sizeof(*own));
		if (!own)
			return -ENOMEM;
	}
	int r = strv_count(own->test) == 0 && image->test ? fill_strv(&own->test, image->test) : 0;
	own->interval_ns = own->interval_ns ? own->interval_ns : image->interval_ns;
	own->timeout_ns = own->timeout_ns ? own->timeout_ns : image->timeout_ns;
	own->start_period_ns = own->start_period_ns ? own->start_period_ns : image->start_period_ns;
	own->start_interval_ns = own->start_interval_ns ? own->start_interval_ns : image->start_interval_ns;
	own->retries = own->retries ? own->retries : image->retries;
	return r;
}

int merge_image(struct container_config *config, const struct oci_image_run *image)
{
	int r = fill_string(&config->user, image->user);
	if (r == 0)
		r = unite(&config->exposed_ports, image->exposed_ports);
	if (r == 0)
		r = merge_env(config, image->env);
	if (r == 0)
		r = merge_labels(config, image->labels);
	if (r == 0)
		r = merge_command(config, image);
	if (r == 0)
		r = merge_health(config, image->healthcheck);
	if (r == 0)
		r = fill_string(&config->working_dir, image->working_dir);
	if (r == 0)
		r = unite(&config->volumes, image->volumes);
	if (r == 0)
		r = fill_string(&config->stop_signal, image->stop_signal);
	if (r == 0 && strv_count(config->shell) == 0 && strv_count(image->shell) > 0)
		r = fill_strv(&config->shell, image->shell);
	return r;
}

int merge_check_command(const struct container_config *config, struct err **reterr)
{
	bool has_entrypoint = strv_count(config->entrypoint) > 0 && config->entrypoint[0][0];
	bool has_command = strv_count(config->cmd) > 0 && (config->cmd[0][0] || config->cmd[1]);
	if (has_entrypoint || has_command)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "no command specified");
}
