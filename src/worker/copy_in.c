/*
 * Into a container: the one unpacker, whose child is shut into the container's root with its volumes. Where to is looked up here
 * first, for the answers that the client expects; the child finds it again by itself, in its root, and what a process of the
 * container does in between decides no more than where in that root the files land. Read-only places are read-only mounts.
 *
 * A compressed archive is kept in a file without a name until it is here, and inflated by another child; nothing that the
 * container has is ever run for that.
 */
#include "worker/copy_in.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/io.h"
#include "sys/inroot.h"
#include "worker/inflate.h"
#include "worker/stage.h"
#include "worker/unpack.h"
#include "worker/worker.h"

#define SPOOL_BYTES (256 * 1024)

static int fail_place(const struct handover_tree *tree, int error, struct err **reterr)
{
	if (error == -ENOENT)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT, "Could not find the file %s in container %s", tree->named,
			tree->container_named);
	if (error == -ENOTDIR)
		return err_set(reterr, ERR_INVALID, ENOTDIR, "extraction point is not a directory");
	return err_errno(reterr, error, "cannot open %s in container %s", tree->named, tree->container_named);
}

static bool same_mount(int one, int two)
{
	struct statx a = { 0 }, b = { 0 };

	return statx(one, "", AT_EMPTY_PATH, STATX_MNT_ID, &a) == 0 &&
	       statx(two, "", AT_EMPTY_PATH, STATX_MNT_ID, &b) == 0 && a.stx_mnt_id == b.stx_mnt_id;
}

/* The place's path in the root, without links; it must be a folder that can be written to. */
static int check_place(const struct stage *stage, const struct handover_tree *tree, char out[static PATH_MAX],
	struct err **reterr)
{
	_autoclose_ int fd = inroot_open(stage->root_fd, tree->path, O_PATH | O_DIRECTORY);
	struct statvfs filesystem;
	int r = fd < 0 ? fd : inroot_resolve(stage->root_fd, tree->path, out, PATH_MAX);

	if (r == 0 && fstatvfs(fd, &filesystem) < 0)
		r = -errno;
	if (r < 0)
		return fail_place(tree, r, reterr);
	if (!(filesystem.f_flag & ST_RDONLY))
		return 0;
	return err_set(reterr, ERR_FORBIDDEN, EROFS, "%s",
		same_mount(fd, stage->root_fd) ? "container rootfs is marked read-only"
					       : "mounted volume is marked read-only");
}

/* ---- the archive */

static int check(void *data, struct err **reterr)
{
	return stage_check(data, reterr);
}

static int spool(struct stage *stage, int fd, struct err **reterr)
{
	_cleanup_free_ char *data = malloc(SPOOL_BYTES);

	if (!data)
		return err_oom(reterr);
	for (;;) {
		ssize_t n = client_read(stage->task->client, data, SPOOL_BYTES, reterr);
		int r;

		if (n <= 0)
			return (int)n;
		r = io_write_full(fd, data, (size_t)n);
		if (r == 0)
			r = stage_check(stage, reterr);
		else
			err_errno(reterr, r, "cannot keep the upload");
		if (r < 0)
			return r;
	}
}

/* The compressed body as a file; -1 in *ret_fd for one that is not compressed. */
static int open_source(struct stage *stage, int *ret_fd, struct err **reterr)
{
	char magic[COMPRESSION_MAGIC_BYTES];
	_autoclose_ int fd = -1;
	ssize_t n = client_peek(stage->task->client, magic, sizeof(magic), reterr);
	int r;

	if (n < 0)
		return (int)n;
	*ret_fd = -1;
	if (compression_detect(magic, (size_t)n) == COMPRESSION_NONE)
		return 0;
	fd = openat(stage->rootfs.dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot keep the upload");
	r = spool(stage, fd, reterr);
	if (r < 0)
		return r;
	*ret_fd = io_reopen(fd, O_RDONLY);
	return *ret_fd < 0 ? err_errno(reterr, *ret_fd, "cannot read the upload back") : 0;
}

static int copy_in(struct stage *stage, const struct handover_tree *tree, struct err **reterr)
{
	char place[PATH_MAX];
	_autoclose_ int source_fd = -1;
	struct unpacked unpacked;
	int r = check_place(stage, tree, place, reterr);

	if (r == 0)
		r = open_source(stage, &source_fd, reterr);
	if (r < 0)
		return r;
	const struct unpack job = {
		.file_fd = source_fd,
		.client = stage->task->client,
		.folder_fd = stage->root_fd,
		.empty_fd = stage->empty_fd,
		.options = {
			.mode = EXTRACT_COPY,
			.entries_max = LIMIT_ENTRIES,
			.place = place + 1,
			.no_overwrite = tree->no_overwrite_dir_non_dir,
		},
		.whole = true,
		.hold_fd = stage->held_fd,
		.user = tree->copy_owner && tree->user && *tree->user ? tree->user : NULL,
		.check = check,
		.check_data = stage,
	};
	return unpack(&job, &unpacked, reterr);
}

int copy_in_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	struct stage stage = STAGE_INIT;
	int r = stage_open(&stage, task, handover->tree, true, reterr);

	if (r == 0)
		r = copy_in(&stage, handover->tree, reterr);
	stage_finish(&stage);
	if (r < 0)
		return r;
	client_answer_bytes(task->client, NULL, 0, 0);
	worker_tell_container("extract-to-dir", handover->container, NULL, NULL, NULL);
	return 0;
}
