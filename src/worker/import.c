#include "worker/import.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/strv.h"
#include "spec/oci_image.h"
#include "spec/platform.h"
#include "store/image_add.h"
#include "store/names.h"
#include "worker/change.h"
#include "worker/layers.h"

/* ---- the layer */

static int import_layer(struct task *task, char ret_diff_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	_autoclose_ int fd = -1, link_fd = -1;
	int r = task_spool(task, &fd, &link_fd, reterr);

	if (r >= 0 && lseek(fd, 0, SEEK_END) == 0)
		r = err_set(reterr, ERR_INVALID, ENODATA, "the archive is empty");
	return r < 0 ? r : layer_add(task, fd, link_fd, ret_diff_id, reterr);
}

/* ---- the config */

static char *copy_or_fail(const char *text, bool *failed)
{
	char *copy = strdup(text);

	*failed |= !copy;
	return copy;
}

/* Docker's: one history entry, with the message as its comment. */
static int config_fill(struct oci_image_config *config, const char *message, const struct platform *platform,
	struct err **reterr)
{
	char now[CLOCK_RFC3339_MAX];
	bool failed = false;

	clock_format_rfc3339(clock_realtime_ns(), now);
	config->created = copy_or_fail(now, &failed);
	config->architecture = copy_or_fail(platform->architecture, &failed);
	config->os = copy_or_fail(platform->os, &failed);
	if (*platform->variant)
		config->variant = copy_or_fail(platform->variant, &failed);
	config->rootfs.type = copy_or_fail("layers", &failed);
	config->comment = copy_or_fail(message, &failed);
	config->history = calloc(1, sizeof(*config->history));
	if (config->history) {
		config->history_count = 1;
		config->history->created = copy_or_fail(now, &failed);
		config->history->comment = copy_or_fail(message, &failed);
	}
	return failed || !config->history ? err_oom(reterr) : 0;
}

static int config_prepare(struct oci_image_config *config, const struct handover_import *import, struct err **reterr)
{
	struct platform platform;
	int r = platform_parse(import->platform, &platform, reterr);

	if (r >= 0)
		r = config_fill(config, import->message ? import->message : "", &platform, reterr);
	strv_foreach (change, import->changes) {
		if (r < 0)
			break;
		r = change_apply(*change, &config->config, reterr);
	}
	return r;
}

/* "repo[:tag]" of the parameters, checked before anything is read; NULL without a repository. */
static int image_name(const struct handover_import *import, char ***ret, struct err **reterr)
{
	struct reference reference;
	int r;

	if (!import->repo || !*import->repo)
		return 0;
	if (strv_appendf(ret, "%s%s%s", import->repo, import->tag && *import->tag ? ":" : "",
		    import->tag ? import->tag : "") < 0)
		return err_oom(reterr);
	r = name_parse_tag(**ret, &reference, reterr);
	if (r >= 0)
		reference_finish(&reference);
	return r;
}

static int import_image(struct task *task, struct oci_image_config *config, char *const *names, const char *diff_id,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct image_added added;
	int r;

	if (strv_append(&config->rootfs.diff_ids, diff_id) < 0 ||
		json_print(&oci_image_config_table, config, &text) < 0)
		return err_oom(reterr);
	r = store_image_add(task->job, text.data, text.len, names, &added, reterr);
	if (r < 0)
		return r;
	client_tell(task->client, json_pack("{s:s}", "status", added.id));
	task->event("import", added.id, names ? *names : "", task->event_data);
	image_added_finish(&added);
	return 0;
}

/* Whatever is wrong with the archive: Docker's status for it is 500. */
static int import_content(struct task *task, struct oci_image_config *config, char *const *names, struct err **reterr)
{
	char diff_id[STORE_DIGEST_SIZE];
	int r = import_layer(task, diff_id, reterr);

	if (r >= 0)
		r = import_image(task, config, names, diff_id, reterr);
	if (r < 0 && *reterr && (*reterr)->kind != ERR_INTERNAL)
		(*reterr)->kind = ERR_INTERNAL;
	return r;
}

int import_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	const struct handover_import *import = handover->import;
	struct oci_image_config config = { 0 };
	_autofree_(strv) char **names = NULL;
	int r;

	r = image_name(import, &names, reterr);
	if (r >= 0)
		r = config_prepare(&config, import, reterr);
	if (r >= 0)
		r = import_content(task, &config, names, reterr);
	json_finish(&oci_image_config_table, &config);
	return r;
}
