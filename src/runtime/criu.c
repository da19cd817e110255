#include "runtime/criu.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "runtime/lookup.h"
#include "sys/spawn.h"

#define MESSAGE_MAX    (64 * 1024)
#define END_TIMEOUT_MS 10000
#define DEFAULT_PATH   "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

/* ---- writing ---- */

static int put_varint(struct buf *out, uint64_t value)
{
	int r = 0;

	for (; r == 0 && value >= 0x80; value >>= 7)
		r = buf_putc(out, (char)(value | 0x80));
	return r < 0 ? r : buf_putc(out, (char)value);
}

static int put_number(struct buf *out, unsigned field, uint64_t value)
{
	int r = put_varint(out, field << 3 | WIRE_VARINT);

	return r < 0 ? r : put_varint(out, value);
}

static int put_bytes(struct buf *out, unsigned field, const char *data, size_t len)
{
	int r = put_varint(out, field << 3 | WIRE_BYTES);

	if (r == 0)
		r = put_varint(out, len);
	return r < 0 ? r : buf_append(out, data, len);
}

int criu_put_int(struct buf *options, enum criu_option field, uint64_t value)
{
	return put_number(options, field, value);
}

int criu_put_text(struct buf *options, enum criu_option field, const char *text)
{
	return text ? put_bytes(options, field, text, strlen(text)) : 0;
}

int criu_put_pair(struct buf *options, enum criu_option field, const char *first, const char *second)
{
	_cleanup_(buf_finish) struct buf both = BUF_INIT(CRIU_OPTIONS_MAX);
	int r = put_bytes(&both, 1, first, strlen(first));

	if (r == 0)
		r = put_bytes(&both, 2, second, strlen(second));
	return r < 0 ? r : put_bytes(options, field, both.data, both.len);
}

int criu_put_numbered(struct buf *options, enum criu_option field, const char *first, uint64_t second)
{
	_cleanup_(buf_finish) struct buf both = BUF_INIT(CRIU_OPTIONS_MAX);
	int r = put_bytes(&both, 1, first, strlen(first));

	if (r == 0)
		r = put_number(&both, 2, second);
	return r < 0 ? r : put_bytes(options, field, both.data, both.len);
}

/* ---- reading ---- */

struct field {
	uint64_t number;
	uint64_t value; /* of a varint */
	const unsigned char *data;
	size_t len;
};

static bool take_varint(const unsigned char **at, const unsigned char *end, uint64_t *ret)
{
	*ret = 0;
	for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
		unsigned char byte = *(*at)++;
		*ret |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* 1, 0 at the end, -EBADMSG. */
static int take_field(const unsigned char **at, const unsigned char *end, struct field *out)
{
	uint64_t tag, len;

	*out = (struct field){ 0 };
	if (*at == end)
		return 0;
	if (!take_varint(at, end, &tag))
		return -EBADMSG;
	out->number = tag >> 3;
	switch (tag & 7) {
	case WIRE_VARINT: return take_varint(at, end, &out->value) ? 1 : -EBADMSG;
	case WIRE_64: len = 8; break;
	case WIRE_32: len = 4; break;
	case WIRE_BYTES:
		if (!take_varint(at, end, &len))
			return -EBADMSG;
		break;
	default: return -EBADMSG;
	}
	if (len > (uint64_t)(end - *at))
		return -EBADMSG;
	out->data = *at;
	out->len = len;
	*at += len;
	return 1;
}

static int parse_notify(const struct field *outer, struct criu_message *out)
{
	const unsigned char *at = outer->data;
	struct field field;
	int r;

	while ((r = take_field(&at, outer->data + outer->len, &field)) == 1) {
		if (field.number == 1 && field.len < sizeof(out->script)) {
			memset(out->script, 0, sizeof(out->script));
			memcpy(out->script, field.data, field.len);
		}
		if (field.number == 2)
			out->pid = field.value;
	}
	return r;
}

int criu_parse(const void *data, size_t len, struct criu_message *out)
{
	const unsigned char *at = data, *end = at + len;
	struct field field;
	int r;

	*out = (struct criu_message){ .fd = -1 };
	while ((r = take_field(&at, end, &field)) == 1) {
		if (field.number == 1)
			out->type = field.value;
		else if (field.number == 2)
			out->success = field.value;
		else if (field.number == 7)
			out->error = field.value;
		else if (field.number == 5 && field.data && parse_notify(&field, out) < 0)
			return -EBADMSG;
	}
	return r;
}

/* ---- the child ---- */

int criu_start(struct criu *self, const int *fds, size_t fd_count, struct err **reterr)
{
	char *argv[] = { (char *)"criu", (char *)"swrk", (char *)"3", NULL };
	const char *path_list = getenv("PATH");
	char program[PATH_MAX], why[LOOKUP_WHY_MAX];
	int pair[2], all[SPAWN_FDS_MAX];

	*self = (struct criu){ .pid = -1, .pidfd = -1, .socket = -1 };
	if (lookup_command("criu", path_list ? path_list : DEFAULT_PATH, program, why) < 0)
		return err_set(reterr, ERR_UNSUPPORTED, ENOENT, "criu is needed for this: %s", why);
	if (fd_count >= SPAWN_FDS_MAX)
		return err_set(reterr, ERR_INVALID, E2BIG, "too many descriptors for criu");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(reterr, -errno, "cannot make a socket for criu");
	all[0] = pair[1];
	for (size_t i = 0; i < fd_count; i++)
		all[i + 1] = fds[i];
	const struct spawn spawn = { .program_fd = -1,
		.path = program,
		.argv = argv,
		.env = environ,
		.stdio = SPAWN_STDIO_INHERIT,
		.fds = all,
		.fd_count = fd_count + 1 };
	int r = spawn_program(&spawn, &self->pid, &self->pidfd);
	fd_close(&pair[1]);
	self->socket = pair[0];
	if (r < 0)
		fd_close(&self->socket);
	return r < 0 ? err_errno(reterr, r, "cannot run %s", program) : 0;
}

static int send_request(const struct criu *self, enum criu_type type, const struct buf *options, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf message = BUF_INIT(CRIU_OPTIONS_MAX + 64);
	int r = put_number(&message, 1, type);

	if (r == 0)
		r = options ? put_bytes(&message, 2, options->data, options->len) : put_number(&message, 3, true);
	if (r == 0 && send(self->socket, message.data, message.len, MSG_NOSIGNAL) < 0)
		r = -errno;
	return r < 0 ? err_errno(reterr, r, "cannot speak to criu") : 0;
}

/* 1, or 0 at end of file. */
static int receive(const struct criu *self, struct criu_message *out, struct err **reterr)
{
	_cleanup_free_ char *data = malloc(MESSAGE_MAX);
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = MESSAGE_MAX };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t len;

	if (!data)
		return err_oom(reterr);
	do {
		len = recvmsg(self->socket, &message, MSG_CMSG_CLOEXEC);
	} while (len < 0 && errno == EINTR);
	if (len <= 0)
		return len < 0 ? err_errno(reterr, -errno, "cannot hear criu") : 0;
	int fd = -1;
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
		header->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	int r = message.msg_flags & MSG_TRUNC ? -EBADMSG : criu_parse(data, (size_t)len, out);
	out->fd = fd;
	return r < 0 ? err_errno(reterr, r, "criu sent what is no message") : 1;
}

static int converse(struct criu *self, enum criu_type type, criu_notify_fn *notify, void *user, struct err **reterr)
{
	for (;;) {
		struct criu_message message = { .fd = -1 };
		int r = receive(self, &message, reterr);
		if (r == 0)
			r = err_set(reterr, ERR_INTERNAL, EPIPE, "criu ended without an answer");
		else if (r == 1 && !message.success)
			r = err_set(reterr, ERR_INTERNAL, (int)message.error, "criu failed: type %s errno %d",
				type == CRIU_RESTORE    ? "RESTORE"
				: type == CRIU_PRE_DUMP ? "PRE_DUMP"
							: "DUMP",
				(int)message.error);
		else if (r == 1 && message.type == CRIU_NOTIFY)
			r = notify(&message, user, reterr);
		else if (r == 1)
			return 0;
		fd_close(&message.fd);
		if (r == 0 || r == 1)
			r = send_request(self, CRIU_NOTIFY, NULL, reterr);
		if (r < 0)
			return r;
	}
}

int criu_run(struct criu *self, enum criu_type type, const struct buf *options, criu_notify_fn *notify, void *user,
	struct err **reterr)
{
	int r = send_request(self, type, options, reterr);

	if (r == 0)
		r = converse(self, type, notify, user, reterr);
	shutdown(self->socket, SHUT_WR);
	return r;
}

void criu_finish(struct criu *self)
{
	struct pollfd ended = { .fd = self->pidfd, .events = POLLIN };

	fd_close(&self->socket);
	if (self->pid > 0) {
		if (poll(&ended, 1, END_TIMEOUT_MS) != 1)
			syscall(SYS_pidfd_send_signal, self->pidfd, SIGKILL, NULL, 0);
		waitpid(self->pid, NULL, 0);
	}
	fd_close(&self->pidfd);
	self->pid = -1;
}
