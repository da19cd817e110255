#include "library/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "spec/defaults.h"
#include "sys/channel.h"
#include "sys/spawn.h"

/* Longer than it gives a container's processes to die. */
#define END_TIMEOUT_MS 20000

/* A host may have closed its standard descriptors and say 0, 1, 2 all the same: they must not be ours then. */
static int keep_above_stdio(int *fd)
{
	if (*fd < 0 || *fd > STDERR_FILENO)
		return 0;
	int raised = fcntl(*fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (raised < 0)
		return -errno;
	close(*fd);
	*fd = raised;
	return 0;
}

static const char *runtime_path(const struct tare_options *options)
{
	const char *named = options && options->runtime ? options->runtime : secure_getenv("TARE_RUNTIME");

	return named && *named ? named : TARE_RUNTIME_PATH;
}

static int command_line(const struct tare_options *options, const char *id, char ***ret)
{
	_autofree_(strv) char **words = NULL;
	int r = strv_append(&words, "tare-runtime");

	if (r == 0 && options && options->root)
		r = strv_appendf(&words, "--root=%s", options->root);
	if (r == 0 && options && options->systemd_cgroup)
		r = strv_append(&words, "--systemd-cgroup");
	if (r == 0)
		r = strv_append(&words, "serve");
	if (r == 0 && options && options->outlives_host)
		r = strv_append(&words, "--keep");
	if (r == 0)
		r = strv_append(&words, "--");
	if (r == 0)
		r = strv_append(&words, id);
	*ret = TAKE(words);
	return r;
}

static int spawn_helper(struct helper *helper, const struct tare_options *options, char *const *words, int other_end,
	struct tare_error *error)
{
	_autoclose_ int host = (int)syscall(SYS_pidfd_open, getpid(), 0);
	const int fds[] = { other_end, host, helper->news };
	char *const env[] = { (char *)DEFAULT_PATH_ENV, NULL };
	const struct spawn spawn = { .program_fd = -1,
		.path = runtime_path(options),
		.argv = words,
		.env = env,
		.stdio = SPAWN_STDIO_NULL,
		.fds = fds,
		.fd_count = ARRAY_SIZE(fds),
		.is_orphan = true };
	pid_t pid;

	if (host < 0)
		return error_errno(error, -errno, "cannot make a pidfd");
	int r = spawn_program(&spawn, &pid, &helper->pidfd);
	if (r == 0) {
		keep_above_stdio(&helper->pidfd); /* a pidfd in the wrong place does no harm */
		return 0;
	}
	error_errno(error, r, "cannot start %s", spawn.path);
	if (error)
		error->code = TARE_HELPER_LOST;
	return -1;
}

int helper_start(struct helper *helper, const struct tare_options *options, const char *id, struct tare_error *error)
{
	_autofree_(strv) char **words = NULL;
	int pair[2];
	int r = command_line(options, id, &words);

	if (r == 0)
		r = channel_pair(pair);
	if (r < 0)
		return error_errno(error, r, "cannot make a connection to tare-runtime");
	*helper = (struct helper){ .channel = pair[0], .pidfd = -1, .news = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK) };
	r = helper->news < 0 ? -errno : keep_above_stdio(&helper->news);
	if (r == 0)
		r = keep_above_stdio(&helper->channel);
	r = r < 0 ? error_errno(error, r, "cannot make a connection to tare-runtime")
		  : spawn_helper(helper, options, words, pair[1], error);
	fd_close(&pair[1]);
	if (r == 0) {
		pthread_mutex_init(&helper->lock, NULL);
		return 0;
	}
	fd_close(&helper->channel);
	fd_close(&helper->news);
	return r;
}

void helper_finish(struct helper *helper)
{
	struct pollfd end = { .fd = helper->pidfd, .events = POLLIN };
	siginfo_t info;

	fd_close(&helper->channel);
	if (poll(&end, 1, END_TIMEOUT_MS) == 0)
		syscall(SYS_pidfd_send_signal, helper->pidfd, SIGKILL, NULL, 0);
	/* Who is a subreaper, or PID 1, has become its parent after all. */
	waitid(P_PIDFD, (id_t)helper->pidfd, &info, WEXITED);
	fd_close(&helper->pidfd);
	fd_close(&helper->news);
	free(helper->warnings);
	pthread_mutex_destroy(&helper->lock);
}

/* ---- calls ---- */

static int write_request(const struct call *call, uint32_t mask, struct buf *out)
{
	const struct serve_request request = {
		.size = sizeof(request), .op = call->op, .fds = mask, .pid = (int32_t)call->pid
	};
	int r = buf_append(out, &request, sizeof(request));

	strv_foreach (word, call->words)
		if (r == 0)
			r = buf_append(out, *word, strlen(*word) + 1);
	return r;
}

static int send_request(const struct helper *helper, const struct call *call, int document, struct tare_error *error)
{
	_cleanup_(buf_finish) struct buf message = BUF_INIT(CHANNEL_MESSAGE_MAX - 1);
	uint32_t mask = 0;
	size_t count = 0;
	int fds[4];

	for (unsigned i = 0; i < ARRAY_SIZE(fds); i++) {
		int fd = i == 3 ? document : call->stdio ? call->stdio[i] : -1;
		if (fd < 0)
			continue;
		mask |= 1U << i;
		fds[count++] = fd;
	}
	int r = write_request(call, mask, &message);
	if (r == -EFBIG)
		return error_set(error, TARE_TOO_LARGE, E2BIG, "arguments and environment are over %d bytes",
			CHANNEL_MESSAGE_MAX);
	if (r == 0)
		r = message_send(helper->channel, message.data, message.len, fds, count);
	if (r == -EPIPE)
		return error_set(error, TARE_HELPER_LOST, EPIPE, "the container's tare-runtime has ended");
	return r < 0 ? error_errno(error, r, "cannot ask tare-runtime") : 0;
}

/* A line each; when memory is short, they are lost. */
static void keep_warnings(struct helper *helper, const char *text)
{
	char *both = NULL;

	if (!*text || asprintf(&both, "%s%s", helper->warnings ? helper->warnings : "", text) < 0)
		return;
	free(helper->warnings);
	helper->warnings = both;
}

static void take_descriptors(const struct serve_answer *answer, int *fds, struct reply *ret)
{
	size_t next = 0;

	if (answer->fds & SERVE_PIDFD)
		ret->pidfd = TAKE_FD(fds[next++]);
	if (answer->fds & SERVE_CONSOLE)
		ret->console = TAKE_FD(fds[next]);
	keep_above_stdio(&ret->pidfd);
	keep_above_stdio(&ret->console);
}

static int receive_answer(struct helper *helper, struct reply *ret, struct tare_error *error)
{
	char message[sizeof(struct serve_answer) + 2 * SERVE_TEXT_MAX + 256]; /* a newer one's may be larger */
	struct serve_answer answer = { 0 };
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	ssize_t len = message_receive(helper->channel, message, sizeof(message) - 2, fds, &fd_count);

	if (len <= 0)
		return error_set(error, TARE_HELPER_LOST, EPIPE,
			"the container's tare-runtime has ended (is it of this library's version?)");
	message[len] = message[len + 1] = '\0';
	memcpy(&answer, message, (size_t)len < sizeof(answer) ? (size_t)len : sizeof(answer));
	const char *text = message + (answer.size < (size_t)len ? answer.size : (size_t)len);
	keep_warnings(helper, text + strlen(text) + 1);
	if (answer.kind < 0 && ret) {
		*ret = (struct reply){ .answer = answer, .pidfd = -1, .console = -1 };
		take_descriptors(&answer, fds, ret);
	}
	for (size_t i = 0; i < fd_count; i++)
		fd_close(&fds[i]);
	return answer.kind < 0 ? 0 : error_kind(error, answer.kind, answer.errnum, text);
}

static int make_document(const struct call *call, int *ret)
{
	_autoclose_ int fd = call->document ? memfd_create("tare", MFD_CLOEXEC) : -1;
	int r = call->document ? fd < 0 ? -errno : io_write_full(fd, call->document, call->document_size) : 0;

	*ret = TAKE_FD(fd);
	return r;
}

int helper_call(struct helper *helper, const struct call *call, struct reply *ret, struct tare_error *error)
{
	_autoclose_ int document = -1;
	int r = make_document(call, &document);

	if (r < 0)
		return error_errno(error, r, "cannot hand over a document");
	pthread_mutex_lock(&helper->lock);
	r = send_request(helper, call, document, error);
	if (r == 0)
		r = receive_answer(helper, ret, error);
	pthread_mutex_unlock(&helper->lock);
	return r;
}
