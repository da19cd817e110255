/*
 * A confined child reads the container's upper folder and writes the layer's tar; it becomes a file of the job without a name,
 * and from there a layer as any that is imported. The parent's layers are shared. The image is seen when all is there.
 *
 * Nothing of the container is mounted. While a container that runs is read, it is kept paused by the descriptor that came
 * along, unless the client did not want that; the descriptor is closed as soon as the tar is written.
 */
#include "worker/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>

#include "archive/pack.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "runtime/rootfs.h"
#include "spec/oci_image.h"
#include "store/image_add.h"
#include "store/names.h"
#include "worker/change.h"
#include "worker/layers.h"
#include "worker/reader.h"
#include "worker/worker.h"

/* ---- the layer */

static int pack_main(void *data)
{
	_autofree_(pack) struct pack *pack = pack_new(PACK_LAYER, STDOUT_FILENO);
	_autoclose_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)data;
	if (!pack || fd < 0)
		return reader_fail(ERR_INTERNAL, ENOMEM, "cannot open the container's changes");
	r = pack_folder(pack, fd, "", false);
	if (r == 0)
		r = pack_end(pack);
	return r < 0 ? reader_fail(ERR_INTERNAL, -r, "%s", pack_message(pack)) : EXIT_SUCCESS;
}

static int keep(const void *data, size_t len, void *user, struct err **reterr)
{
	int r = io_write_full(*(int *)user, data, len);

	if (r == -ENOSPC || r == -EDQUOT)
		return err_set(reterr, ERR_INTERNAL, ENOSPC, "no space left on device");
	return r < 0 ? err_errno(reterr, r, "cannot keep the layer") : 0;
}

static int open_upper(struct task *task, const struct handover_tree *tree, struct err **reterr)
{
	_cleanup_(rootfs_finish) struct rootfs rootfs = ROOTFS_INIT;
	int r = rootfs_open_folder(&rootfs, tree->folder, false, reterr);
	int fd;

	if (r == 0)
		r = rootfs_open_layers(&rootfs, task->data_root, tree->lowers, reterr);
	if (r == 0)
		r = rootfs_make_upper(&rootfs, reterr);
	if (r < 0)
		return r;
	fd = openat(rootfs.dir_fd, "upper", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(reterr, -errno, "cannot open the container's changes") : fd;
}

static int read_upper(struct task *task, const struct handover_tree *tree, int out_fd, struct err **reterr)
{
	_autoclose_ int upper_fd = open_upper(task, tree, reterr);
	const struct reader reader = {
		.task = task,
		.root_fd = upper_fd,
		.caps = READER_UPPER_CAPS,
		.run = pack_main,
		.sink = keep,
		.user = &out_fd,
	};

	return upper_fd < 0 ? upper_fd : reader_run(&reader, reterr);
}

static int make_layer(struct task *task, const struct handover_tree *tree, char ret_diff_id[static STORE_DIGEST_SIZE],
	struct err **reterr)
{
	_autoclose_ int link_fd = openat(job_folder(task->job), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), fd = -1;
	int r = link_fd < 0 ? err_errno(reterr, -errno, "cannot keep the layer")
			    : read_upper(task, tree, link_fd, reterr);

	task_give_back(task);
	if (r < 0)
		return r;
	fd = io_reopen(link_fd, O_RDONLY);
	if (fd < 0)
		return err_errno(reterr, fd, "cannot read the layer back");
	return layer_add(task, fd, link_fd, ret_diff_id, reterr);
}

/* Those of the container's image are held by the job from here on. */
static int hold_layers(struct task *task, const struct store_image *parent, struct err **reterr)
{
	for (size_t i = 0; i < parent->layer_count; i++) {
		enum layer_claim claim;
		int r = layer_claim_waiting(task, parent->diff_ids[i], &claim, reterr);

		if (r == 0 && claim != LAYER_READY)
			r = err_set(reterr, ERR_INTERNAL, EIO, "layer %s of the container's image is missing",
				parent->diff_ids[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the config */

static int set_text(char **member, const char *value)
{
	char *copy = strdup(value ? value : "");

	if (!copy)
		return -ENOMEM;
	free(*member);
	*member = copy;
	return 0;
}

/* As Docker: what made it is the container's command. */
static int add_history(struct oci_image_config *config, const struct handover_commit *commit, char *const *command,
	const char *now)
{
	struct oci_image_history *history = reallocarray(config->history, config->history_count + 1, sizeof(*history));
	_cleanup_free_ char *made_by = command ? strv_join(command, " ") : strdup("");
	int r = history && made_by ? 0 : -ENOMEM;

	if (history)
		config->history = history;
	if (r < 0)
		return r;
	history += config->history_count++;
	*history = (struct oci_image_history){ 0 };
	r = set_text(&history->created, now);
	if (r == 0)
		r = set_text(&history->created_by, made_by);
	if (r == 0 && commit->author && *commit->author)
		r = set_text(&history->author, commit->author);
	if (r == 0 && commit->comment && *commit->comment)
		r = set_text(&history->comment, commit->comment);
	return r;
}

static bool has_instruction(char *const *changes, const char *word)
{
	strv_foreach (change, changes) {
		const char *start = *change + strspn(*change, " \t");

		if (strncasecmp(start, word, strlen(word)) == 0)
			return true;
	}
	return false;
}

static int fill(struct oci_image_config *config, const struct handover_commit *commit, struct err **reterr)
{
	_autofree_(strv) char **command = NULL;
	char now[CLOCK_RFC3339_MAX];
	int r;

	clock_format_rfc3339(clock_realtime_ns(), now);
	json_finish(&oci_image_run_table, &config->config);
	r = json_read(&oci_image_run_table, commit->config, &config->config, reterr);
	if (r < 0)
		return r;
	command = strv_copy(config->config.cmd);
	/* A new entry point has nothing to do with the old command. */
	if (has_instruction(commit->changes, "ENTRYPOINT") && !has_instruction(commit->changes, "CMD")) {
		strv_free(config->config.cmd);
		config->config.cmd = NULL;
	}
	strv_foreach (change, commit->changes)
		r = r < 0 ? r : change_apply(*change, &config->config, reterr);
	if (r < 0)
		return r;
	r = command ? set_text(&config->created, now) : -ENOMEM;
	if (r == 0)
		r = set_text(&config->author, commit->author);
	if (r == 0)
		r = set_text(&config->comment, commit->comment);
	if (r == 0)
		r = add_history(config, commit, command, now);
	return r < 0 ? err_oom(reterr) : 0;
}

/* ---- the image */

static int image_name(const struct handover_commit *commit, char ***ret, struct err **reterr)
{
	struct reference reference;
	int r;

	if (!commit->repo || !*commit->repo)
		return 0;
	if (strv_appendf(ret, "%s%s%s", commit->repo, commit->tag && *commit->tag ? ":" : "",
		    commit->tag ? commit->tag : "") < 0)
		return err_oom(reterr);
	r = name_parse_tag(**ret, &reference, reterr);
	if (r >= 0)
		reference_finish(&reference);
	return r;
}

static int add_image(struct task *task, const struct handover *handover, struct oci_image_config *config,
	char *const *names, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct image_added added;
	int r = json_print(&oci_image_config_table, config, &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot write the image's config");
	r = store_image_add(task->job, text.data, text.len, names, &added, reterr);
	if (r >= 0)
		r = store_image_set_parent(task->job, added.id, handover->commit->image, reterr);
	if (r < 0)
		return r;
	worker_tell_container("commit", handover->container, added.id, names ? *names : "",
		handover->commit->comment ? handover->commit->comment : "");
	if (names)
		task->event("tag", added.id, *names, task->event_data);
	client_answer(task->client, 201, json_pack("{s:s}", "Id", added.id));
	image_added_finish(&added);
	return 0;
}

static int commit(struct task *task, const struct handover *handover, struct oci_image_config *config,
	struct err **reterr)
{
	const struct handover_commit *wish = handover->commit;
	_autofree_(store_image) struct store_image *parent = NULL;
	_autofree_(strv) char **names = NULL;
	char diff_id[STORE_DIGEST_SIZE];
	int r = image_name(wish, &names, reterr);

	if (r == 0)
		r = store_image_find(job_store(task->job), wish->image, &parent, reterr);
	if (r == 0)
		r = oci_image_config_parse(parent->config_text, parent->config_len, config, reterr);
	if (r == 0)
		r = fill(config, wish, reterr);
	if (r == 0)
		r = hold_layers(task, parent, reterr);
	if (r == 0)
		r = make_layer(task, handover->tree, diff_id, reterr);
	if (r == 0 && strv_append(&config->rootfs.diff_ids, diff_id) < 0)
		r = err_oom(reterr);
	return r < 0 ? r : add_image(task, handover, config, names, reterr);
}

int commit_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	struct oci_image_config config = { 0 };
	int r = commit(task, handover, &config, reterr);

	oci_image_config_finish(&config);
	return r;
}
