#include "worker/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "base/clock.h"
#include "base/io.h"
#include "codec/sha256.h"
#include "codec/utf8.h"
#include "runtime/identity.h"
#include "sys/inroot.h"
#include "worker/confine.h"
#include "worker/inflate.h"

#define BUFFER_BYTES       (256 * 1024)
#define PIPE_BYTES         (1024 * 1024)
#define END_MARKER_BYTES   1024
#define CLIENT_CHECK_MS    200
#define CLIENT_CHECK_BYTES (4 * 1024 * 1024)
#define OPAQUE_XATTR       "trusted.overlay.opaque"

/* Exit statuses of the inflating child. */
enum {
	INFLATE_OK = 0,
	INFLATE_DAMAGED = 10,
	INFLATE_CUT = 11,
	INFLATE_MEMORY = 12,
	INFLATE_PIPE = 13,
	INFLATE_OTHER = 14
};

struct run {
	const struct unpack *unpack;
	struct sha256 *hash;
	char *buffer;
	enum compression compression;
	int source_fd; /* what the pump reads: the file, the inflater's pipe, or -1 for the client */
	bool from_pipe;
	bool direct;      /* the extracting child reads the file, this process too: nothing goes between */
	int64_t position; /* how far the child was when last looked at */
	int sink_fd;      /* into the extracting child; -1 once that has closed its end */
	int report_fd;    /* memory shared with the extracting child's last words */
	pid_t inflate_pid;
	pid_t extract_pid;
	int64_t in_bytes; /* size of the compressed file, for the ratio */
	int64_t out_bytes;
	int64_t next_check_bytes;
	unsigned char tail[END_MARKER_BYTES]; /* the stream's last bytes */
};

/* ---- children */

struct inflate_job {
	enum compression compression;
};

static int inflate_main(void *data)
{
	const struct inflate_job *job = data;

	switch (inflate_stream(job->compression, 0, 1)) {
	case 0: return INFLATE_OK;
	case -EBADMSG: return INFLATE_DAMAGED;
	case -ENODATA: return INFLATE_CUT;
	case -ENOMEM: return INFLATE_MEMORY;
	case -EPIPE: return INFLATE_PIPE;
	default: return INFLATE_OTHER;
	}
}

/* By the tree's own accounts. */
static int find_owner(int root_fd, const char *user, struct extract_options *options, struct extract_report *report)
{
	struct identity *identity = calloc(1, sizeof(*identity));
	char why[IDENTITY_WHY_MAX] = "out of memory";
	int r = identity ? identity_resolve(root_fd, user, NULL, identity, why) : -ENOMEM;

	memset(report, 0, sizeof(*report));
	report->error = r;
	snprintf(report->message, sizeof(report->message), "%s", why);
	if (r == 0) {
		options->owner = EXTRACT_OWNER_GIVEN;
		options->uid = identity->uid;
		options->gid = identity->gid;
	}
	free(identity);
	return r;
}

/* Descriptor 0 is the tar, 1 the report. */
static int extract_main(void *data)
{
	const struct unpack *unpack = data;
	struct extract_options options = unpack->options;
	_cleanup_(buf_finish) struct buf opaque = BUF_INIT(LIMIT_OPAQUE_BYTES);
	struct extract_report report;
	int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root_fd < 0)
		return EXIT_FAILURE;
	if (unpack->user && find_owner(root_fd, unpack->user, &options, &report) < 0)
		return io_write_full(1, &report, sizeof(report)) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
	(void)extract(0, root_fd, &options, &report, &opaque);
	if (io_write_full(1, &report, sizeof(report)) < 0)
		return EXIT_FAILURE;
	if (report.error == 0 && opaque.len > 0 && io_write_full(1, opaque.data, opaque.len) < 0)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

static int make_pipe(int ret[2])
{
	if (pipe2(ret, O_CLOEXEC) < 0)
		return -errno;
	/* Larger if the user's share of pipe memory allows. */
	(void)fcntl(ret[1], F_SETPIPE_SZ, PIPE_BYTES);
	return 0;
}

static int start_inflate(struct run *run, struct err **reterr)
{
	struct inflate_job job = { .compression = run->compression };
	struct confine confine = {
		.root_fd = run->unpack->empty_fd,
		.fds = { run->unpack->file_fd, -1, -1 },
		.run = inflate_main,
		.data = &job,
	};
	int pipe_fds[2] = { -1, -1 };
	int r = make_pipe(pipe_fds);

	if (r < 0)
		return err_errno(reterr, r, "cannot make a pipe");
	confine.fds[1] = pipe_fds[1];
	run->inflate_pid = confine_start(&confine);
	fd_close(&pipe_fds[1]);
	run->source_fd = pipe_fds[0];
	run->from_pipe = true;
	return run->inflate_pid < 0 ? err_errno(reterr, run->inflate_pid, "cannot start inflating") : 0;
}

static int start_extract(struct run *run, struct err **reterr)
{
	struct confine confine = {
		.root_fd = run->unpack->folder_fd,
		.writable = true,
		.caps = CONFINE_UNPACK_CAPS,
		.fds = { -1, -1, -1 },
		.run = extract_main,
		.data = (void *)run->unpack,
		.whole = run->unpack->whole,
		.hold_fd = run->unpack->hold_fd,
	};
	int pipe_fds[2] = { -1, -1 };
	int r;

	run->report_fd = memfd_create("report", MFD_CLOEXEC);
	if (run->report_fd < 0)
		return err_errno(reterr, -errno, "cannot make a report");
	r = run->direct ? 0 : make_pipe(pipe_fds);
	if (r < 0)
		return err_errno(reterr, r, "cannot make a pipe");
	confine.fds[0] = run->direct ? run->unpack->file_fd : pipe_fds[0];
	confine.fds[1] = run->report_fd;
	run->extract_pid = confine_start(&confine);
	fd_close(&pipe_fds[0]);
	run->sink_fd = pipe_fds[1];
	return run->extract_pid < 0 ? err_errno(reterr, run->extract_pid, "cannot start unpacking") : 0;
}

static void run_finish(struct run *run)
{
	if (run->inflate_pid > 0)
		confine_kill(run->inflate_pid);
	if (run->extract_pid > 0)
		confine_kill(run->extract_pid);
	if (run->source_fd != run->unpack->file_fd)
		fd_close(&run->source_fd);
	fd_close(&run->sink_fd);
	fd_close(&run->report_fd);
	sha256_free(run->hash);
	free(run->buffer);
}

/* ---- the pump */

static bool is_unwanted(const struct unpack *unpack)
{
	struct pollfd pollfd = { .fd = unpack->watch_fd };

	if (unpack->client)
		return client_is_gone(unpack->client);
	return poll(&pollfd, 1, 0) > 0;
}

static int check_wanted(const struct unpack *unpack, struct err **reterr)
{
	if (is_unwanted(unpack))
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	return unpack->check ? unpack->check(unpack->check_data, reterr) : 0;
}

static int check_client(struct run *run, struct err **reterr)
{
	if (run->out_bytes < run->next_check_bytes)
		return 0;
	run->next_check_bytes = run->out_bytes + CLIENT_CHECK_BYTES;
	if (run->unpack->progress)
		run->unpack->progress(run->out_bytes, run->unpack->progress_data);
	return check_wanted(run->unpack, reterr);
}

/* How long a silence may last. What comes by a pipe is waited for by whoever fills that. */
static int64_t stall_deadline(const struct run *run, short events)
{
	if (run->unpack->piped && events == POLLIN)
		return INT64_MAX;
	return clock_monotonic_ms() + LIMIT_STALL_MS;
}

/* A child that reads the file itself is not silent as long as it gets on: the position is one for both. */
static bool has_moved(struct run *run)
{
	int64_t position = run->direct ? lseek(run->unpack->file_fd, 0, SEEK_CUR) : 0;
	bool moved = position != run->position;

	run->position = position;
	return moved;
}

/* Waits for a descriptor, the client's going away and too long a silence. */
static int wait_watching(struct run *run, int fd, short events, int64_t deadline, struct err **reterr)
{
	const struct unpack *unpack = run->unpack;

	for (;;) {
		struct pollfd pollfds[] = {
			{ .fd = fd, .events = events },
			{ .fd = unpack->client ? client_fd(unpack->client) : unpack->watch_fd },
		};
		int r = poll(pollfds, 2, CLIENT_CHECK_MS);

		if (r < 0 && errno != EINTR)
			return err_errno(reterr, -errno, "cannot wait");
		if (r <= 0 || pollfds[1].revents) {
			int wanted = check_wanted(unpack, reterr);

			if (wanted < 0)
				return wanted;
		}
		if (r > 0)
			return 0; /* an error or a hang-up shows in the call that follows */
		if (clock_monotonic_ms() > deadline && has_moved(run))
			deadline = clock_monotonic_ms() + LIMIT_STALL_MS;
		else if (clock_monotonic_ms() > deadline)
			return err_set(reterr, ERR_INTERNAL, ETIMEDOUT, "unpacking made no progress for %d seconds",
				LIMIT_STALL_MS / 1000);
	}
}

static int wait_sink(struct run *run, struct err **reterr)
{
	return wait_watching(run, run->sink_fd, POLLOUT, stall_deadline(run, POLLOUT), reterr);
}

static ssize_t pump_read(struct run *run, size_t size, struct err **reterr)
{
	ssize_t n;

	do
		n = read(run->source_fd, run->buffer, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? err_errno(reterr, -errno, "cannot read the archive") : n;
}

/* The extracting child reads to the end unless it fails: once it has closed its end there is nothing more to do. */
static int pump_write(struct run *run, const char *data, size_t len, struct err **reterr)
{
	while (len > 0 && run->sink_fd >= 0) {
		ssize_t n = write(run->sink_fd, data, len);

		if (n >= 0) {
			data += n;
			len -= (size_t)n;
		} else if (errno == EPIPE) {
			fd_close(&run->sink_fd);
		} else if (errno == EAGAIN) {
			int r = wait_sink(run, reterr);

			if (r < 0)
				return r;
		} else if (errno != EINTR) {
			return err_errno(reterr, -errno, "cannot pass the archive on");
		}
	}
	return 0;
}

/* Whether the extracting child takes what comes: one that fails closes its end of the pipe. */
static bool is_wanted(const struct run *run)
{
	return run->direct || run->sink_fd >= 0;
}

static int count(struct run *run, size_t len, struct err **reterr)
{
	run->out_bytes += (int64_t)len;
	if (run->out_bytes > LIMIT_STREAM_BYTES)
		return err_set(reterr, ERR_TOO_LARGE, 0, "the archive is larger than %lld bytes unpacked",
			(long long)LIMIT_STREAM_BYTES);
	if (run->inflate_pid > 0 && run->out_bytes > LIMIT_RATIO_SLACK && run->out_bytes / LIMIT_RATIO >= run->in_bytes)
		return err_set(reterr, ERR_TOO_LARGE, 0, "the archive unpacks to more than %d times its size",
			LIMIT_RATIO);
	return 0;
}

static void keep_tail(struct run *run, const char *data, size_t len)
{
	if (len >= END_MARKER_BYTES) {
		memcpy(run->tail, data + len - END_MARKER_BYTES, END_MARKER_BYTES);
		return;
	}
	memmove(run->tail, run->tail + len, END_MARKER_BYTES - len);
	memcpy(run->tail + END_MARKER_BYTES - len, data, len);
}

static int take(struct run *run, size_t len, struct err **reterr)
{
	if (run->hash)
		sha256_update(run->hash, run->buffer, len);
	keep_tail(run, run->buffer, len);
	return count(run, len, reterr);
}

/* From the client to the child, unseen but for the tail: where nothing is hashed. 0: the rest is to be copied. */
static ssize_t pump_move(struct run *run, struct err **reterr)
{
	for (;;) {
		ssize_t n = client_move(run->unpack->client, run->sink_fd, PIPE_BYTES, END_MARKER_BYTES, reterr);
		int r;

		if (n == -EPIPE) {
			fd_close(&run->sink_fd);
			return 0;
		}
		if (n != -EAGAIN) {
			r = n > 0 ? count(run, (size_t)n, reterr) : 0;
			return r < 0 ? r : n;
		}
		r = wait_sink(run, reterr);
		if (r < 0)
			return r;
	}
}

/* From a file or the client, by copying. Returns what came; 0 at the end. */
static ssize_t pump_copy(struct run *run, struct err **reterr)
{
	if (run->source_fd < 0 && !run->hash) {
		ssize_t moved = pump_move(run, reterr);
		if (moved != 0 || run->sink_fd < 0)
			return moved;
	}

	ssize_t n = run->source_fd < 0 ? client_read(run->unpack->client, run->buffer, BUFFER_BYTES, reterr)
				       : pump_read(run, BUFFER_BYTES, reterr);
	int r;

	if (n <= 0)
		return n;
	r = take(run, (size_t)n, reterr);
	if (r == 0)
		r = pump_write(run, run->buffer, (size_t)n, reterr);
	return r < 0 ? r : n;
}

/* From pipe to pipe: first into the child's, then out of ours what went there. */
static ssize_t pump_tee(struct run *run, struct err **reterr)
{
	for (;;) {
		int r = wait_watching(run, run->source_fd, POLLIN, stall_deadline(run, POLLIN), reterr);
		if (r < 0)
			return r;
		ssize_t n = tee(run->source_fd, run->sink_fd, BUFFER_BYTES, SPLICE_F_NONBLOCK);
		if (n == 0)
			return 0;
		if (n > 0) {
			n = pump_read(run, (size_t)n, reterr);
			r = n < 0 ? (int)n : take(run, (size_t)n, reterr);
			return r < 0 ? r : n;
		}
		if (errno == EPIPE) {
			fd_close(&run->sink_fd);
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return err_errno(reterr, -errno, "cannot pass the archive on");
		r = wait_sink(run, reterr);
		if (r < 0)
			return r;
	}
}

/* The child reads the same file, at its own pace; nobody writes it. */
static ssize_t pump_nothing(struct run *run, struct err **reterr)
{
	ssize_t n;

	do
		n = pread(run->source_fd, run->buffer, BUFFER_BYTES, run->out_bytes);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_errno(reterr, -errno, "cannot read the archive");
	int r = take(run, (size_t)n, reterr);
	return r < 0 ? r : n;
}

static int pump(struct run *run, struct err **reterr)
{
	for (;;) {
		int r = check_client(run, reterr);

		if (r < 0)
			return r;
		ssize_t n = run->direct      ? pump_nothing(run, reterr)
			    : run->from_pipe ? pump_tee(run, reterr)
					     : pump_copy(run, reterr);
		if (n <= 0 || !is_wanted(run))
			return n < 0 ? (int)n : 0;
	}
}

/* ---- the outcome */

/* Waits for a child's end, watching as ever. Returns its exit status. */
static int child_outcome(struct run *run, pid_t *pid, int *ret_status, struct err **reterr)
{
	_autoclose_ int pid_fd = (int)syscall(SYS_pidfd_open, *pid, 0);
	int r;

	if (pid_fd < 0)
		return err_errno(reterr, -errno, "cannot watch a child");
	r = wait_watching(run, pid_fd, POLLIN, clock_monotonic_ms() + LIMIT_STALL_MS, reterr);
	if (r < 0)
		return r;
	*ret_status = confine_wait(*pid);
	*pid = 0;
	return 0;
}

static int inflate_outcome(struct run *run, struct err **reterr)
{
	const char *name = compression_name(run->compression);
	int status, r;

	if (run->inflate_pid <= 0)
		return 0;
	r = child_outcome(run, &run->inflate_pid, &status, reterr);
	if (r < 0)
		return r;
	switch (status) {
	case INFLATE_OK: return 0;
	case INFLATE_DAMAGED: return err_set(reterr, ERR_INVALID, EBADMSG, "the archive's %s data is damaged", name);
	case INFLATE_CUT: return err_set(reterr, ERR_INVALID, ENODATA, "the archive's %s data is cut short", name);
	case INFLATE_MEMORY:
		return err_set(reterr, ERR_TOO_LARGE, ENOMEM, "the archive's %s data needs too much memory", name);
	case CONFINE_FAILED_STATUS:
		return err_set(reterr, ERR_INTERNAL, EPERM, "the inflating process could not be confined");
	default: return err_set(reterr, ERR_INTERNAL, EIO, "the inflating process failed (%d)", status);
	}
}

/* What comes from the child is text of the archive's author: no control characters go on, and no broken UTF-8. */
static char *make_printable(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return utf8_repair(text);
}

static int report_error(struct extract_report *report, struct err **reterr)
{
	int error = report->error < 0 && report->error > -4096 ? -report->error : EIO;
	_cleanup_free_ char *message = NULL;
	bool ours = error == ENOSPC || error == EDQUOT || error == EIO || error == ENOMEM || error == EROFS;

	report->message[EXTRACT_MESSAGE_SIZE - 1] = '\0';
	message = make_printable(report->message);
	if (!message)
		return err_oom(reterr);
	return err_set(reterr, ours ? ERR_INTERNAL : ERR_INVALID, error, "%s", message);
}

/* The child gives paths; they are resolved in its folder, and what is no folder there any more needs no mark. */
static int mark_opaque(struct run *run, const struct extract_report *report, struct err **reterr)
{
	size_t len = report->opaque_bytes;
	_cleanup_free_ char *paths = NULL;

	if (len == 0)
		return 0;
	if (len > LIMIT_OPAQUE_BYTES)
		return err_set(reterr, ERR_INVALID, 0, "the layer has too many opaque folders");
	paths = malloc(len + 1);
	if (!paths)
		return err_oom(reterr);
	if (pread(run->report_fd, paths, len, sizeof(*report)) != (ssize_t)len)
		return err_set(reterr, ERR_INTERNAL, EIO, "the unpacking process ended in the middle of its report");
	paths[len] = '\0';
	for (const char *path = paths; path < paths + len; path += strlen(path) + 1) {
		_autoclose_ int fd = inroot_open(run->unpack->folder_fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

		if (fd >= 0 && fsetxattr(fd, OPAQUE_XATTR, "y", 1, 0) < 0)
			return err_errno(reterr, -errno, "cannot mark an opaque folder");
	}
	return 0;
}

static int extract_outcome(struct run *run, struct unpacked *ret, struct err **reterr)
{
	struct extract_report report;
	int status, r;

	r = child_outcome(run, &run->extract_pid, &status, reterr);
	if (r < 0)
		return r;
	if (status == CONFINE_FAILED_STATUS)
		return err_set(reterr, ERR_INTERNAL, EPERM, "the unpacking process could not be confined");
	if (status != EXIT_SUCCESS || pread(run->report_fd, &report, sizeof(report), 0) != sizeof(report))
		return err_set(reterr, ERR_INTERNAL, EIO, "the unpacking process failed (%d)", status);
	if (report.error != 0)
		return report_error(&report, reterr);
	ret->size_bytes = report.size_bytes;
	ret->opaque_root = report.opaque_root != 0;
	return mark_opaque(run, &report, reterr);
}

static int check_end_marker(struct run *run, struct err **reterr)
{
	bool zeros = run->out_bytes >= END_MARKER_BYTES;

	for (size_t i = 0; zeros && i < END_MARKER_BYTES; i++)
		zeros = run->tail[i] == 0;
	return zeros ? 0 : err_set(reterr, ERR_INVALID, ENODATA, "the archive is cut short: its end marker is missing");
}

/*
 * A stream that ended early: the inflating child says why before the extracting one complains about what is missing. A
 * stream that nobody wanted to its end: the extracting child says why.
 */
static int outcome(struct run *run, struct unpacked *ret, struct err **reterr)
{
	bool complete = is_wanted(run);
	int r = 0;

	fd_close(&run->sink_fd);
	if (complete)
		r = inflate_outcome(run, reterr);
	if (r == 0)
		r = extract_outcome(run, ret, reterr);
	if (r < 0)
		return r;
	if (!complete)
		return err_set(reterr, ERR_INTERNAL, EIO, "the unpacking process ended early");
	if (run->unpack->needs_end_marker) {
		r = check_end_marker(run, reterr);
		if (r < 0)
			return r;
	}
	ret->stream_bytes = run->out_bytes;
	if (run->hash)
		sha256_digest(run->hash, ret->diff_id);
	return 0;
}

static int file_prepare(struct run *run, struct err **reterr)
{
	char magic[COMPRESSION_MAGIC_BYTES];
	struct stat st;
	ssize_t n;

	if (run->unpack->file_fd < 0)
		return 0;
	if (run->unpack->piped) {
		run->in_bytes = run->unpack->in_bytes;
		run->compression = run->unpack->compression;
		run->from_pipe = true;
		return run->compression == COMPRESSION_NONE ? 0 : start_inflate(run, reterr);
	}
	n = pread(run->unpack->file_fd, magic, sizeof(magic), 0);
	if (n < 0 || fstat(run->unpack->file_fd, &st) < 0 || lseek(run->unpack->file_fd, 0, SEEK_SET) < 0)
		return err_errno(reterr, -errno, "cannot read the archive");
	run->in_bytes = st.st_size;
	run->compression = compression_detect(magic, (size_t)n);
	run->direct = run->compression == COMPRESSION_NONE;
	return run->compression == COMPRESSION_NONE ? 0 : start_inflate(run, reterr);
}

static int prepare(struct run *run, struct err **reterr)
{
	int r;

	/* Before there is a child: it must not look for locales in the image. libarchive then takes names as they are. */
	setlocale(LC_CTYPE, "C.UTF-8");
	if (run->unpack->options.mode == EXTRACT_LAYER && !(run->hash = sha256_new()))
		return err_oom(reterr);
	run->buffer = malloc(BUFFER_BYTES);
	if (!run->buffer)
		return err_oom(reterr);
	r = file_prepare(run, reterr);
	if (r == 0)
		r = start_extract(run, reterr);
	if (r == 0 && run->sink_fd >= 0)
		r = io_set_nonblock(run->sink_fd, true);
	return r;
}

int unpack(const struct unpack *unpack, struct unpacked *ret, struct err **reterr)
{
	struct run run = { .unpack = unpack, .source_fd = unpack->file_fd, .sink_fd = -1, .report_fd = -1 };
	int r = prepare(&run, reterr);

	memset(ret, 0, sizeof(*ret));
	if (r == 0)
		r = pump(&run, reterr);
	if (r == 0)
		r = outcome(&run, ret, reterr);
	run_finish(&run);
	return r;
}

int file_digest(int fd, char ret[static STORE_DIGEST_SIZE], int64_t *ret_size, struct err **reterr)
{
	_autofree_(sha256) struct sha256 *hash = sha256_new();
	_cleanup_free_ char *buffer = malloc(BUFFER_BYTES);
	int64_t size = 0;
	ssize_t n;

	if (!hash || !buffer)
		return err_oom(reterr);
	while ((n = pread(fd, buffer, BUFFER_BYTES, size)) > 0) {
		sha256_update(hash, buffer, (size_t)n);
		size += n;
	}
	if (n < 0)
		return err_errno(reterr, -errno, "cannot read a file of the archive");
	sha256_digest(hash, ret);
	if (ret_size)
		*ret_size = size;
	return 0;
}
