#include "worker/unpacker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/io.h"

#define PIPE_BYTES  (1024 * 1024)
#define ERROR_BYTES 2048

/* What the process leaves for its parent, in a file that its own children don't have. */
struct words {
	int result;
	enum err_kind kind;
	int errnum;
	char error[ERROR_BYTES];
	struct unpacked unpacked;
};

struct unpacker {
	int file_fd;
	int64_t size_bytes;
	int64_t fed;
	int input_fd; /* -1: closed */
	int leash_fd; /* the process polls the other end */
	int pid_fd;
	pid_t pid;
	int words_fd;
};

/* ---- the process */

/* Of all that the parent has open, its locks and sockets among it, these alone. */
static int keep_descriptors(int fds[], unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3 + (int)count);
		if (fds[i] < 0)
			return -errno;
	}
	for (unsigned i = 0; i < count; i++) {
		if (dup3(fds[i], 3 + (int)i, O_CLOEXEC) < 0)
			return -errno;
		fds[i] = 3 + (int)i;
	}
	return close_range(3 + count, ~0U, 0) < 0 ? -errno : 0;
}

/* Of a file that is whole; one that is not what it must be is not unpacked. */
static int unpack_whole(const struct unpacker_options *options, const struct unpack *how, struct unpacked *ret,
	struct err **reterr)
{
	char digest[STORE_DIGEST_SIZE] = "";
	int r = compression_of(how->file_fd) == COMPRESSION_NONE ? 0 : file_digest(how->file_fd, digest, NULL, reterr);

	if (r == 0 && (!options->digest || !*digest || strcmp(options->digest, digest) == 0))
		r = unpack(how, ret, reterr);
	memcpy(ret->file_digest, digest, sizeof(digest));
	return r;
}

static int run(const struct unpacker_options *options, int input_fd, int leash_fd, int words_fd)
{
	int fds[] = { options->whole ? options->file_fd : input_fd, leash_fd, options->folder_fd, options->empty_fd,
		words_fd };
	_autofree_(err) struct err *err = NULL;
	struct words words = { 0 };
	int r = keep_descriptors(fds, ARRAY_SIZE(fds));
	struct unpack how = {
		.file_fd = fds[0],
		.piped = !options->whole,
		.compression = options->compression,
		.in_bytes = options->size_bytes,
		.watch_fd = fds[1],
		.folder_fd = fds[2],
		.empty_fd = fds[3],
		.options = { .mode = EXTRACT_LAYER, .entries_max = LIMIT_ENTRIES },
	};

	if (r < 0)
		return r;
	words.result = options->whole ? unpack_whole(options, &how, &words.unpacked, &err)
				      : unpack(&how, &words.unpacked, &err);
	if (words.result == 0 && syncfs(fds[2]) < 0)
		words.result = err_errno(&err, -errno, "cannot write the layer");
	if (words.result < 0) {
		words.kind = err ? err->kind : ERR_INTERNAL;
		words.errnum = -words.result;
		snprintf(words.error, sizeof(words.error), "%s", err_message(err));
	}
	return io_write_full(fds[4], &words, sizeof(words));
}

/* ---- its parent */

static int make_pipe(int *ret_read_fd, int *ret_write_fd)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read_fd = fds[0];
	*ret_write_fd = fds[1];
	return 0;
}

static int start(struct unpacker *unpacker, const struct unpacker_options *options, struct err **reterr)
{
	_autoclose_ int input_fd = -1, leash_fd = -1;
	pid_t self = getpid();
	int r = options->whole ? 0 : make_pipe(&input_fd, &unpacker->input_fd);

	if (r == 0)
		r = make_pipe(&leash_fd, &unpacker->leash_fd);
	if (r < 0)
		return err_errno(reterr, r, "cannot make a pipe");
	/* Larger if the user's share of pipe memory allows. */
	if (input_fd >= 0)
		(void)fcntl(input_fd, F_SETPIPE_SZ, PIPE_BYTES);
	unpacker->words_fd = memfd_create("outcome", MFD_CLOEXEC);
	if (unpacker->words_fd < 0)
		return err_errno(reterr, -errno, "cannot make a report");
	unpacker->pid = fork();
	if (unpacker->pid < 0)
		return err_errno(reterr, -errno, "cannot start unpacking");
	if (unpacker->pid == 0) {
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != self)
			_exit(EXIT_FAILURE);
		_exit(run(options, input_fd, leash_fd, unpacker->words_fd) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	unpacker->pid_fd = (int)syscall(SYS_pidfd_open, unpacker->pid, 0);
	return unpacker->pid_fd < 0 ? err_errno(reterr, -errno, "cannot watch a child") : 0;
}

int unpacker_start(const struct unpacker_options *options, struct unpacker **ret, struct err **reterr)
{
	_autofree_(unpacker) struct unpacker *unpacker = calloc(1, sizeof(*unpacker));

	if (!unpacker)
		return err_oom(reterr);
	unpacker->file_fd = options->file_fd;
	unpacker->size_bytes = options->size_bytes;
	unpacker->input_fd = unpacker->leash_fd = unpacker->words_fd = unpacker->pid_fd = -1;
	int r = start(unpacker, options, reterr);
	if (r == 0)
		*ret = TAKE(unpacker);
	return r;
}

static void reap(struct unpacker *unpacker)
{
	if (unpacker->pid <= 0)
		return;
	while (waitpid(unpacker->pid, NULL, 0) < 0 && errno == EINTR)
		;
	unpacker->pid = 0;
}

/* Let off its leash it ends its children, which is why it is not just killed. */
void unpacker_free(struct unpacker *unpacker)
{
	if (!unpacker)
		return;
	fd_close(&unpacker->leash_fd);
	fd_close(&unpacker->input_fd);
	reap(unpacker);
	fd_close(&unpacker->pid_fd);
	fd_close(&unpacker->words_fd);
	free(unpacker);
}

int unpacker_feed(struct unpacker *unpacker, int64_t available, struct err **reterr)
{
	while (unpacker->input_fd >= 0 && unpacker->fed < available) {
		ssize_t n = splice(unpacker->file_fd, &unpacker->fed, unpacker->input_fd, NULL,
			(size_t)(available - unpacker->fed), SPLICE_F_NONBLOCK);

		if (n > 0)
			continue;
		if (n == 0)
			return err_set(reterr, ERR_INTERNAL, EIO, "the file of a layer ended early");
		if (errno == EAGAIN)
			return 0;
		/* It has ended; why is for the outcome to say. */
		if (errno == EPIPE)
			fd_close(&unpacker->input_fd);
		else if (errno != EINTR)
			return err_errno(reterr, -errno, "cannot pass a layer on");
	}
	if (unpacker->fed == unpacker->size_bytes)
		fd_close(&unpacker->input_fd);
	return 0;
}

int64_t unpacker_fed(const struct unpacker *unpacker)
{
	return unpacker->fed;
}

int unpacker_input(const struct unpacker *unpacker)
{
	return unpacker->input_fd;
}

int unpacker_end(const struct unpacker *unpacker)
{
	return unpacker->pid_fd;
}

bool unpacker_has_ended(const struct unpacker *unpacker)
{
	struct pollfd pollfd = { .fd = unpacker->pid_fd, .events = POLLIN };

	return poll(&pollfd, 1, 0) > 0;
}

int unpacker_outcome(struct unpacker *unpacker, struct unpacked *ret, struct err **reterr)
{
	struct words words;

	reap(unpacker);
	if (pread(unpacker->words_fd, &words, sizeof(words), 0) != sizeof(words))
		return err_set(reterr, ERR_INTERNAL, EIO, "the unpacking process ended in the middle");
	if (words.result < 0)
		return err_set(reterr, words.kind, words.errnum, "%s", words.error);
	*ret = words.unpacked;
	return 0;
}
