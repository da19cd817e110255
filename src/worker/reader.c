#include "worker/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>

#include "archive/pack.h"
#include "base/io.h"
#include "codec/utf8.h"

#define BUFFER_BYTES  (256 * 1024)
#define PIPE_BYTES    (1024 * 1024)
#define CHECK_MS      200
#define CHECK_BYTES   (4 * 1024 * 1024)
#define SPARE_FILES   64
#define MESSAGE_BYTES 1024
#define REPORT_FD     2

/* What a child says last; the trusted side takes no more than a sentence and a kind from it. */
struct report {
	uint32_t kind;
	int32_t error;
	char message[MESSAGE_BYTES];
};

int reader_fail(enum err_kind kind, int error, const char *format, ...)
{
	struct report report = { .kind = kind, .error = error };
	va_list args;

	va_start(args, format);
	vsnprintf(report.message, sizeof(report.message), format, args);
	va_end(args);
	(void)io_write_full(REPORT_FD, &report, sizeof(report));
	return EXIT_FAILURE;
}

/* ---- the trusted side */

struct run {
	const struct reader *reader;
	pid_t pid;
	int out_fd;
	int report_fd;
	char *buffer;
};

static int start(struct run *run, struct err **reterr)
{
	const struct reader *reader = run->reader;
	struct confine confine = {
		.root_fd = reader->root_fd,
		.reads = true,
		.whole = true,
		.files_max = PACK_DEPTH_MAX + SPARE_FILES,
		.hold_fd = reader->stage ? reader->stage->held_fd : -1,
		.caps = reader->caps,
		.run = reader->run,
		.data = reader->data,
	};
	int ends[2] = { -1, -1 };

	run->buffer = malloc(BUFFER_BYTES);
	run->report_fd = memfd_create("report", MFD_CLOEXEC);
	if (!run->buffer)
		return err_oom(reterr);
	if (run->report_fd < 0 || pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(reterr, -errno, "cannot make a pipe");
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	confine.fds[0] = -1;
	confine.fds[1] = ends[1];
	confine.fds[2] = run->report_fd;
	run->pid = confine_start(&confine);
	fd_close(&ends[1]);
	run->out_fd = ends[0];
	return run->pid < 0 ? err_errno(reterr, run->pid, "cannot start reading") : 0;
}

static int check(const struct run *run, struct err **reterr)
{
	if (run->reader->stage)
		return stage_check(run->reader->stage, reterr);
	if (client_is_gone(run->reader->task->client))
		return err_set(reterr, ERR_INTERNAL, ECANCELED, "the client went away");
	return 0;
}

static int wait_for_bytes(const struct run *run, struct err **reterr)
{
	for (;;) {
		struct pollfd pollfd = { .fd = run->out_fd, .events = POLLIN };
		int r = poll(&pollfd, 1, CHECK_MS);

		if (r > 0)
			return 0;
		if (r < 0 && errno != EINTR)
			return err_errno(reterr, -errno, "cannot wait");
		r = check(run, reterr);
		if (r < 0)
			return r;
	}
}

static int pump(struct run *run, struct err **reterr)
{
	const struct reader *reader = run->reader;
	size_t unchecked = 0;

	for (;;) {
		ssize_t n;
		int r = wait_for_bytes(run, reterr);

		if (r < 0)
			return r;
		n = read(run->out_fd, run->buffer, BUFFER_BYTES);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? err_errno(reterr, -errno, "cannot read what a child says") : 0;
		r = reader->sink(run->buffer, (size_t)n, reader->user, reterr);
		unchecked += (size_t)n;
		if (r == 0 && unchecked >= CHECK_BYTES) {
			unchecked = 0;
			r = check(run, reterr);
		}
		if (r < 0)
			return r;
	}
}

static int outcome(struct run *run, struct err **reterr)
{
	struct report report;
	_cleanup_free_ char *message = NULL;
	int status = confine_wait(run->pid);

	run->pid = 0;
	if (status == EXIT_SUCCESS)
		return 0;
	if (status == CONFINE_FAILED_STATUS)
		return err_set(reterr, ERR_INTERNAL, EPERM, "the reading process could not be confined");
	if (status != EXIT_FAILURE || pread(run->report_fd, &report, sizeof(report), 0) != sizeof(report) ||
		report.kind >= ERR_KIND_COUNT || report.error <= 0 || report.error > 4095)
		return err_set(reterr, ERR_INTERNAL, EIO, "the reading process failed (%d)", status);
	report.message[MESSAGE_BYTES - 1] = '\0';
	for (char *c = report.message; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	message = utf8_repair(report.message);
	return message ? err_set(reterr, (enum err_kind)report.kind, report.error, "%s", message) : err_oom(reterr);
}

int reader_run(const struct reader *reader, struct err **reterr)
{
	struct run run = { .reader = reader, .out_fd = -1, .report_fd = -1 };
	int r = start(&run, reterr);

	if (r == 0)
		r = pump(&run, reterr);
	if (r == 0)
		r = outcome(&run, reterr);
	if (run.pid > 0)
		confine_kill(run.pid);
	fd_close(&run.out_fd);
	fd_close(&run.report_fd);
	free(run.buffer);
	return r;
}
