/*
 * The child finds the path in its root, says what is there, and then packs it; the parent makes the header of it and passes
 * the rest on. What is asked for is looked up once: the archive is of what was found, whatever has that name by then.
 */
#include "worker/copy_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/stat.h>

#include "archive/pack.h"
#include "base/clock.h"
#include "base/io.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/utf8.h"
#include "sys/inroot.h"
#include "worker/reader.h"
#include "worker/worker.h"

#define STAT_HEADER     "X-Docker-Container-Path-Stat"
#define STAT_JSON_BYTES (64 * 1024)

/* What a child says first. */
struct found {
	uint32_t mode;
	int64_t size;
	struct timespec mtime;
	char target[PATH_MAX]; /* of a link: where it leads to in the end */
};

struct wish {
	const struct handover_tree *tree;
	bool archive;
};

/* The last component: "." for "/a/.", "a" for "/a/" and "/a", "/" for "/". */
static void base_name(const char *path, char out[static NAME_MAX + 1])
{
	size_t len = strlen(path);
	const char *start;

	while (len > 1 && path[len - 1] == '/')
		len--;
	start = path + len;
	while (start > path && start[-1] != '/')
		start--;
	if (len == 1)
		start = path;
	snprintf(out, NAME_MAX + 1, "%.*s", (int)(path + len - start), start);
}

/* "/", "/." at the end: the folder that is meant, even through a link. */
static bool names_folder(const char *path)
{
	size_t len = strlen(path);

	return path[len - 1] == '/' || (len > 1 && strcmp(path + len - 2, "/.") == 0);
}

/* ---- in the child */

static int fail_lookup(const struct handover_tree *tree, int error)
{
	if (error == -ENOENT)
		return reader_fail(ERR_NOT_FOUND, ENOENT, "Could not find the file %.512s in container %.128s",
			tree->named, tree->container_named);
	return reader_fail(ERR_INVALID, -error, "lstat %.512s: %s", tree->path, strerror(-error));
}

/* The folder that holds it and its name there; for a folder, itself and ".". */
static int look_up(int root_fd, const char *path, int *ret_dir_fd, char name[static NAME_MAX + 1])
{
	char parent[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (names_folder(path)) {
		strcpy(name, ".");
		*ret_dir_fd = inroot_open(root_fd, path, O_PATH | O_DIRECTORY);
		return *ret_dir_fd < 0 ? *ret_dir_fd : 0;
	}
	if (strlen(path) >= sizeof(parent) || strlen(slash + 1) > NAME_MAX)
		return -ENAMETOOLONG;
	strcpy(name, slash + 1);
	snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
	*ret_dir_fd = inroot_open(root_fd, *parent ? parent : "/", O_PATH | O_DIRECTORY);
	return *ret_dir_fd < 0 ? *ret_dir_fd : 0;
}

static int say_found(int root_fd, const char *path, const struct stat *st)
{
	struct found found = { .mode = st->st_mode, .size = st->st_size, .mtime = st->st_mtim };

	if (S_ISLNK(st->st_mode) && inroot_resolve(root_fd, path, found.target, sizeof(found.target)) < 0)
		found.target[0] = '\0';
	return io_write_full(STDOUT_FILENO, &found, sizeof(found));
}

static int pack_failed(const struct pack *pack, int error)
{
	return reader_fail(error == -ENAMETOOLONG || error == -ELOOP ? ERR_INVALID : ERR_INTERNAL, -error, "%s",
		pack_message(pack));
}

static int pack_found(int dir_fd, const char *name, const char *base, const struct stat *st)
{
	_autofree_(pack) struct pack *pack = pack_new(PACK_TREE, STDOUT_FILENO);
	_autoclose_ int folder = -1;
	int r;

	if (!pack)
		return reader_fail(ERR_INTERNAL, ENOMEM, "out of memory");
	if (S_ISDIR(st->st_mode)) {
		folder = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder < 0)
			return reader_fail(ERR_INTERNAL, errno, "open %.200s: %s", base, strerror(errno));
		r = pack_folder(pack, folder, base, true);
	} else {
		r = pack_entry(pack, dir_fd, name, base);
	}
	if (r == 0)
		r = pack_end(pack);
	return r < 0 ? pack_failed(pack, r) : EXIT_SUCCESS;
}

static int read_main(void *data)
{
	const struct wish *wish = data;
	const char *path = wish->tree->path;
	char name[NAME_MAX + 1], base[NAME_MAX + 1];
	_autoclose_ int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), dir_fd = -1;
	struct stat st;
	int r = root_fd < 0 ? -errno : look_up(root_fd, path, &dir_fd, name);

	if (r == 0 && fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r < 0)
		return fail_lookup(wish->tree, r);
	if (say_found(root_fd, path, &st) < 0)
		return EXIT_FAILURE;
	base_name(path, base);
	return wish->archive ? pack_found(dir_fd, name, base, &st) : EXIT_SUCCESS;
}

static int export_main(void *data)
{
	_autofree_(pack) struct pack *pack = pack_new(PACK_TREE, STDOUT_FILENO);
	_autoclose_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r;

	(void)data;
	if (!pack || fd < 0)
		return reader_fail(ERR_INTERNAL, ENOMEM, "cannot open the container's root");
	r = pack_folder(pack, fd, "", false);
	if (r == 0)
		r = pack_end(pack);
	return r < 0 ? pack_failed(pack, r) : EXIT_SUCCESS;
}

/* ---- the header */

/* Go's os.FileMode, which is what Docker's clients read. */
static uint32_t go_mode(uint32_t mode)
{
	static const struct {
		uint32_t type;
		uint32_t bits;
	} types[] = { { S_IFDIR, 1U << 31 }, { S_IFLNK, 1U << 27 }, { S_IFBLK, 1U << 26 }, { S_IFIFO, 1U << 25 },
		{ S_IFSOCK, 1U << 24 }, { S_IFCHR, 1U << 26 | 1U << 21 } };
	uint32_t out = mode & 0777;

	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		if ((mode & S_IFMT) == types[i].type)
			out |= types[i].bits;
	out |= mode & S_ISUID ? 1U << 23 : 0;
	out |= mode & S_ISGID ? 1U << 22 : 0;
	return out | (mode & S_ISVTX ? 1U << 20 : 0);
}

static json_t *describe(const struct found *found, const char *path)
{
	char time[CLOCK_RFC3339_MAX], base[NAME_MAX + 1];
	_cleanup_free_ char *name = NULL, *target = NULL;

	base_name(path, base);
	name = utf8_repair(base);
	target = utf8_repair(found->target);
	if (!name || !target)
		return NULL;
	clock_format_rfc3339((int64_t)found->mtime.tv_sec * NS_PER_SEC + found->mtime.tv_nsec, time);
	return json_pack("{s:s, s:I, s:I, s:s, s:s}", "name", name, "size", (json_int_t)found->size, "mode",
		(json_int_t)go_mode(found->mode), "mtime", time, "linkTarget", target);
}

static int stat_header(const struct found *found, const char *path, struct buf *out)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(STAT_JSON_BYTES);
	_autojson_ json_t *document = describe(found, path);

	if (!document || json_print_value(document, &text) < 0)
		return -ENOMEM;
	return base64_encode(out, text.data, text.len, false);
}

/* ---- the answer */

struct answer {
	struct task *task;
	const char *path;
	bool archive;
	struct found found;
	size_t found_len; /* bytes of it that are here */
	bool begun;
};

static int begin_answer(struct answer *answer, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf header = BUF_INIT(2 * STAT_JSON_BYTES);
	const struct client_header headers[] = { { "Content-Type", "application/x-tar" }, { STAT_HEADER, NULL } };
	struct client_header filled[ARRAY_SIZE(headers)];

	answer->found.target[sizeof(answer->found.target) - 1] = '\0';
	if (stat_header(&answer->found, answer->path, &header) < 0)
		return err_oom(reterr);
	memcpy(filled, headers, sizeof(headers));
	filled[1].value = header.data;
	client_answer_bytes(answer->task->client, filled, ARRAY_SIZE(filled), answer->archive ? -1 : 0);
	answer->begun = true;
	return 0;
}

static int pass_on(struct answer *answer, const char *data, size_t len, struct err **reterr)
{
	int r = client_write(answer->task->client, data, len);

	return r < 0 ? err_errno(reterr, r, "cannot send the archive") : 0;
}

static int answer_sink(const void *data, size_t len, void *user, struct err **reterr)
{
	struct answer *answer = user;
	size_t room = sizeof(answer->found) - answer->found_len, piece = len < room ? len : room;
	int r = 0;

	memcpy((char *)&answer->found + answer->found_len, data, piece);
	answer->found_len += piece;
	if (answer->found_len == sizeof(answer->found) && !answer->begun)
		r = begin_answer(answer, reterr);
	return r < 0 || piece == len ? r : pass_on(answer, (const char *)data + piece, len - piece, reterr);
}

static int export_sink(const void *data, size_t len, void *user, struct err **reterr)
{
	static const struct client_header type = { "Content-Type", "application/octet-stream" };
	struct answer *answer = user;

	if (!answer->begun)
		client_answer_bytes(answer->task->client, &type, 1, -1);
	answer->begun = true;
	return pass_on(answer, data, len, reterr);
}

static int read_tree(struct task *task, const struct handover *handover, confine_fn *child, reader_sink_fn *sink,
	struct answer *answer, struct err **reterr)
{
	struct stage stage = STAGE_INIT;
	struct wish wish = { .tree = handover->tree, .archive = answer->archive };
	struct reader reader = {
		.task = task,
		.stage = &stage,
		.caps = READER_CAPS,
		.run = child,
		.data = &wish,
		.sink = sink,
		.user = answer,
	};
	int r = stage_open(&stage, task, handover->tree, sink == answer_sink, reterr);

	reader.root_fd = stage.root_fd;
	if (r == 0)
		r = reader_run(&reader, reterr);
	/* Of a container that was removed meanwhile, parts may be missing. */
	if (r == 0 && faccessat(AT_FDCWD, handover->tree->folder, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		r = err_set(reterr, ERR_NOT_FOUND, 0, "No such container: %s", handover->container);
	stage_finish(&stage);
	return r;
}

static int copy_run(struct task *task, const struct handover *handover, bool archive, struct err **reterr)
{
	struct answer answer = { .task = task, .path = handover->tree->path, .archive = archive };
	int r = read_tree(task, handover, read_main, answer_sink, &answer, reterr);

	if (r == 0 && !answer.begun)
		r = err_set(reterr, ERR_INTERNAL, EIO, "the reading process said nothing");
	return r;
}

int copy_stat_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	return copy_run(task, handover, false, reterr);
}

int copy_out_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	int r = copy_run(task, handover, true, reterr);

	if (r == 0)
		worker_tell_container("archive-path", handover->container, NULL, NULL, NULL);
	return r;
}

int export_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	struct answer answer = { .task = task };
	int r = read_tree(task, handover, export_main, export_sink, &answer, reterr);

	if (r == 0)
		worker_tell_container("export", handover->container, NULL, NULL, NULL);
	return r;
}
