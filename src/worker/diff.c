/*
 * The child has the container's upper folder and the layers below it side by side, and walks through the first, with the same
 * folder of the second open beside it. The root itself is not mounted: a container that runs is not asked, one that does not
 * is not held.
 *
 *	upper               lower            said
 *	whiteout            something        D
 *	something           nothing          A, and everything below
 *	something else      something        C if type, owner, mode, content's size or time differ
 *	folder, not opaque  folder           C if owner or mode differ, or if anything below is said
 *	folder, opaque      folder           the same, and D for what is only in the lower one
 *
 * What a start made to mount its own files on is none of the container's doing and is not said.
 */
#include "worker/diff.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/stat.h>

#include "archive/entry.h"
#include "archive/limits.h"
#include "archive/pack.h"
#include "base/io.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "worker/reader.h"

#define TEXT_BYTES   (64 * 1024)
#define ANSWER_BYTES (512 * 1024 * 1024)

enum kind { CHANGED = 0, ADDED = 1, DELETED = 2 }; /* Docker's numbers */

/* ---- in the child: a byte for the kind, the path, a NUL */

struct walk {
	struct buf out;
	char path[LIMIT_PATH_BYTES + 1];
	size_t path_len;
	unsigned depth;
};

static int say(struct walk *walk, enum kind kind)
{
	int r = buf_putc(&walk->out, (char)('0' + kind));
	return r < 0 ? r : buf_append(&walk->out, walk->path, walk->path_len + 1);
}

static int path_push(struct walk *walk, const char *name, size_t *ret_old)
{
	size_t len = strlen(name);

	*ret_old = walk->path_len;
	if (walk->path_len + 1 + len > LIMIT_PATH_BYTES)
		return -ENAMETOOLONG;
	walk->path[walk->path_len++] = '/';
	memcpy(walk->path + walk->path_len, name, len + 1);
	walk->path_len += len;
	return 0;
}

static void path_pop(struct walk *walk, size_t old)
{
	walk->path_len = old;
	walk->path[old] = '\0';
}

/* What is said below a folder that was not said itself makes it changed, and it comes first. */
static int say_before(struct walk *walk, size_t mark, enum kind kind)
{
	_cleanup_(buf_finish) struct buf tail = BUF_INIT(ANSWER_BYTES);
	int r = buf_append(&tail, walk->out.data + mark, walk->out.len - mark);

	if (r < 0)
		return r;
	walk->out.len = mark;
	r = buf_putc(&walk->out, (char)('0' + kind));
	if (r == 0)
		r = buf_append(&walk->out, walk->path, walk->path_len + 1);
	return r < 0 ? r : buf_append(&walk->out, tail.data, tail.len);
}

static int open_folder(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool exists_below(int lower_fd, const char *name, struct stat *ret)
{
	return lower_fd >= 0 && fstatat(lower_fd, name, ret, AT_SYMLINK_NOFOLLOW) == 0 &&
	       !entry_is_hidden_whiteout(ret->st_mode, ret->st_rdev);
}

static bool differs(const struct stat *upper, const struct stat *lower)
{
	if (upper->st_mode != lower->st_mode || upper->st_uid != lower->st_uid || upper->st_gid != lower->st_gid ||
		upper->st_rdev != lower->st_rdev)
		return true;
	if (S_ISDIR(upper->st_mode))
		return false;
	return upper->st_size != lower->st_size || upper->st_mtim.tv_sec != lower->st_mtim.tv_sec ||
	       upper->st_mtim.tv_nsec != lower->st_mtim.tv_nsec;
}

static int walk_folder(struct walk *walk, int upper_fd, int lower_fd);

static int walk_child(struct walk *walk, int upper_fd, int lower_fd, const char *name)
{
	_autoclose_ int upper_child = -1, lower_child = -1;
	struct stat upper, lower;
	bool is_below = exists_below(lower_fd, name, &lower);
	size_t mark = walk->out.len;
	int r = 0;

	if (fstatat(upper_fd, name, &upper, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (entry_is_hidden_whiteout(upper.st_mode, upper.st_rdev))
		return is_below ? say(walk, DELETED) : 0;
	if (!is_below && pack_is_mount_stub(walk->path + 1, &upper, upper_fd, name))
		return 0;
	if (!is_below || differs(&upper, &lower))
		r = say(walk, is_below ? CHANGED : ADDED);
	if (r < 0 || !S_ISDIR(upper.st_mode))
		return r;
	upper_child = open_folder(upper_fd, name);
	if (upper_child < 0)
		return upper_child == -ENOENT || upper_child == -ENOTDIR || upper_child == -ELOOP ? 0 : upper_child;
	if (is_below && S_ISDIR(lower.st_mode))
		lower_child = open_folder(lower_fd, name);
	bool said = walk->out.len > mark;
	r = walk_folder(walk, upper_child, lower_child);
	return r == 0 && !said && walk->out.len > mark ? say_before(walk, mark, CHANGED) : r;
}

/* An opaque folder: what is only below is gone. */
static int say_hidden(struct walk *walk, int upper_fd, int lower_fd)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(PACK_NAMES_BYTES);
	int r = pack_names(lower_fd, &names);

	for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		const char *name = names.data + at;
		struct stat st;
		size_t old;

		if (!exists_below(lower_fd, name, &st) || fstatat(upper_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		r = path_push(walk, name, &old);
		if (r == 0)
			r = say(walk, DELETED);
		path_pop(walk, old);
	}
	return r;
}

static int walk_folder(struct walk *walk, int upper_fd, int lower_fd)
{
	_cleanup_(buf_finish) struct buf names = BUF_INIT(PACK_NAMES_BYTES);
	bool opaque = pack_is_opaque(upper_fd);
	int r = pack_names(upper_fd, &names);

	if (r == 0 && opaque && lower_fd >= 0)
		r = say_hidden(walk, upper_fd, lower_fd);
	if (++walk->depth > PACK_DEPTH_MAX)
		return -ELOOP;
	for (size_t at = 0; r == 0 && at < names.len; at += strlen(names.data + at) + 1) {
		size_t old;

		r = path_push(walk, names.data + at, &old);
		if (r == 0)
			r = walk_child(walk, upper_fd, lower_fd, names.data + at);
		path_pop(walk, old);
	}
	walk->depth--;
	return r;
}

static int diff_main(void *data)
{
	struct walk walk = { .out = BUF_INIT(ANSWER_BYTES) };
	_autoclose_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), upper_fd = -1, lower_fd = -1;
	int r;

	(void)data;
	upper_fd = open_folder(root_fd, "upper");
	lower_fd = open_folder(root_fd, "lower");
	r = upper_fd < 0 ? upper_fd : lower_fd < 0 ? lower_fd : walk_folder(&walk, upper_fd, lower_fd);
	if (r == 0)
		r = io_write_full(STDOUT_FILENO, walk.out.data, walk.out.len);
	buf_finish(&walk.out);
	return r < 0 ? reader_fail(ERR_INTERNAL, -r, "cannot look at %.512s: %s", walk.path, strerror(-r))
		     : EXIT_SUCCESS;
}

/* ---- the answer */

static int collect(const void *data, size_t len, void *user, struct err **reterr)
{
	int r = buf_append(user, data, len);

	return r == -EFBIG ? err_set(reterr, ERR_TOO_LARGE, EFBIG, "the container has too many changes")
	       : r < 0     ? err_oom(reterr)
			   : 0;
}

static int send_one(struct client *client, const char *record, const char *before, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEXT_BYTES);
	_cleanup_free_ char *path = utf8_repair(record + 1);
	_autojson_ json_t *change = path ? json_pack("{s:s, s:i}", "Path", path, "Kind", record[0] - '0') : NULL;
	int r = buf_puts(&text, before);

	if (!change || r < 0 || json_print_value(change, &text) < 0)
		return err_oom(reterr);
	r = client_write(client, text.data, text.len);
	return r < 0 ? err_errno(reterr, r, "cannot send the changes") : 0;
}

static int answer(struct client *client, const struct buf *records, struct err **reterr)
{
	static const struct client_header type = { "Content-Type", "application/json" };
	size_t at = 0;
	int r = 0;

	client_answer_bytes(client, &type, 1, -1);
	while (r == 0 && at < records->len) {
		r = send_one(client, records->data + at, at == 0 ? "[" : ",", reterr);
		at += strlen(records->data + at) + 1;
	}
	if (r == 0 && client_write(client, records->len ? "]\n" : "null\n", records->len ? 2 : 5) < 0)
		r = err_errno(reterr, -EPIPE, "cannot send the changes");
	return r;
}

int diff_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf records = BUF_INIT(ANSWER_BYTES);
	struct stage stage = STAGE_INIT;
	struct reader reader = {
		.task = task,
		.stage = &stage,
		.caps = READER_UPPER_CAPS,
		.run = diff_main,
		.sink = collect,
		.user = &records,
	};
	int r = stage_open_layers(&stage, task, handover->tree, reterr);

	reader.root_fd = stage.top_fd;
	if (r == 0)
		r = reader_run(&reader, reterr);
	stage_finish(&stage);
	return r < 0 ? r : answer(task->client, &records, reterr);
}
