/*
 * The connection: EXTERNAL without a name in it, so that the peer takes who we are from the socket, whatever user namespace we are
 * in; then Hello, where it is a bus. The end of a job is told by a signal, which a bus sends to those alone who asked for it before.
 */
#include "runtime/systemd.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "codec/percent.h"

#define CALL_MS    30000
#define LINE_MAX   512
#define READ_BYTES 65536

#define MANAGER_NAME      "org.freedesktop.systemd1"
#define MANAGER_PATH      "/org/freedesktop/systemd1"
#define MANAGER_INTERFACE "org.freedesktop.systemd1.Manager"

struct systemd {
	int fd;
	bool is_bus;
	uint32_t serial;
	struct buf in;
	size_t taken; /* of `in`, by the message that was given out last */
	char error_name[DBUS_SIGNATURE_MAX + 1];
};

void systemd_close(struct systemd *self)
{
	if (!self)
		return;
	fd_close(&self->fd);
	buf_finish(&self->in);
	free(self);
}

/* ---- bytes ---- */

static int send_all(struct systemd *self, const void *data, size_t len)
{
	size_t at = 0;

	while (at < len) {
		ssize_t sent = send(self->fd, (const char *)data + at, len - at, MSG_NOSIGNAL);
		if (sent < 0 && errno != EINTR)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		at += sent > 0 ? (size_t)sent : 0;
	}
	return 0;
}

static int read_more(struct systemd *self, int64_t deadline)
{
	struct pollfd ready = { .fd = self->fd, .events = POLLIN };
	int64_t left = deadline - clock_monotonic_ms();

	if (left <= 0 || poll(&ready, 1, (int)left) == 0)
		return -ETIMEDOUT;
	ssize_t count = buf_read(&self->in, self->fd, READ_BYTES);
	if (count < 0)
		return count == -EINTR || count == -EAGAIN ? 0 : (int)count;
	return count == 0 ? -ECONNRESET : 0;
}

static int receive(struct systemd *self, int64_t deadline, struct dbus_message *ret)
{
	size_t size;
	int r = 0;

	buf_consume(&self->in, self->taken);
	self->taken = 0;
	for (;;) {
		const uint8_t *data = (const uint8_t *)self->in.data;
		if (self->in.len >= DBUS_FIXED_BYTES) {
			r = dbus_message_size(data, &size);
			if (r < 0)
				return r;
			if (self->in.len >= size) {
				self->taken = size;
				return dbus_message_parse(data, size, ret);
			}
		}
		r = read_more(self, deadline);
		if (r < 0)
			return r;
	}
}

/* ---- connecting ---- */

static int expect_line(struct systemd *self, const char *word, int64_t deadline)
{
	char *end;

	while (!self->in.data || !(end = strstr(self->in.data, "\r\n"))) {
		if (self->in.len > LINE_MAX)
			return -EBADMSG;
		int r = read_more(self, deadline);
		if (r < 0)
			return r;
	}
	bool is_it = strncmp(self->in.data, word, strlen(word)) == 0;
	buf_consume(&self->in, (size_t)(end + 2 - self->in.data));
	return is_it ? 0 : -EACCES;
}

/* All at once, and nothing more before the answer: a call that the manager reads together with BEGIN it does not look at until there
 * is more to read. */
static int authenticate(struct systemd *self)
{
	static const char hello[] = "\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
	int64_t deadline = clock_monotonic_ms() + CALL_MS;
	int r = send_all(self, hello, sizeof(hello) - 1);

	if (r == 0)
		r = expect_line(self, "DATA", deadline);
	return r < 0 ? r : expect_line(self, "OK ", deadline);
}

/* `path` with a NUL first is a name in the abstract namespace. */
static int connect_to(const char *path, size_t len, int *ret)
{
	const struct timeval timeout = { .tv_sec = CALL_MS / 1000 };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (len >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, len);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
		connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_path(struct systemd *self, const char *path, size_t len, bool is_bus)
{
	int r = connect_to(path, len, &self->fd);

	self->is_bus = is_bus;
	buf_reset(&self->in);
	if (r == 0)
		r = authenticate(self);
	if (r < 0)
		fd_close(&self->fd);
	return r;
}

/* One of "unix:path=/run/user/1000/bus,guid=0;unix:abstract=...", the first that is a socket of here. */
static int open_address(struct systemd *self, const char *address)
{
	_autofree_(strv) char **entries = strv_split(address, ';');

	if (!entries)
		return -ENOMEM;
	strv_foreach (entry, entries) {
		if (strncmp(*entry, "unix:", 5) != 0)
			continue;
		for (const char *pair = *entry + 5; *pair; pair += strcspn(pair, ","), pair += *pair == ',') {
			bool is_path = strncmp(pair, "path=", 5) == 0, is_abstract = strncmp(pair, "abstract=", 9) == 0;
			const char *value = pair + (is_path ? 5 : 9);
			_cleanup_free_ char *decoded = NULL, *name = NULL;
			if (!is_path && !is_abstract)
				continue;
			int r = percent_decode(value, strcspn(value, ","), false, &decoded);
			if (r == 0 && asprintf(&name, "@%s", decoded) < 0)
				r = -ENOMEM;
			if (r < 0)
				return r;
			name[0] = '\0';
			return is_path ? open_path(self, decoded, strlen(decoded), true)
				       : open_path(self, name, 1 + strlen(decoded), true);
		}
	}
	return -ENOENT;
}

static int open_below(struct systemd *self, const char *folder, const char *name, bool is_bus)
{
	_cleanup_free_ char *path = NULL;

	if (!folder || !*folder)
		return -ENOENT;
	if (asprintf(&path, "%s/%s", folder, name) < 0)
		return -ENOMEM;
	return open_path(self, path, strlen(path), is_bus);
}

static int connect_user(struct systemd *self)
{
	const char *address = getenv("DBUS_SESSION_BUS_ADDRESS"), *folder = getenv("XDG_RUNTIME_DIR");
	int r = address && *address ? open_address(self, address) : -ENOENT;

	if (r < 0)
		r = open_below(self, folder, "bus", true);
	return r < 0 ? open_below(self, folder, "systemd/private", false) : r;
}

static int connect_system(struct systemd *self)
{
	int r = open_below(self, "/run/dbus", "system_bus_socket", true);

	return r < 0 ? open_below(self, "/run/systemd", "private", false) : r;
}

/* ---- calls ---- */

static int fail(int r, const char *what, struct err **reterr)
{
	return err_errno(reterr, r, "systemd does not answer %s", what);
}

static int refused(struct systemd *self, const char *what, const struct dbus_message *message, struct err **reterr)
{
	struct dbus_reader reader;
	const char *text = NULL;

	snprintf(self->error_name, sizeof(self->error_name), "%s", message->error_name);
	dbus_reader_init(&reader, message);
	if (message->signature[0] == 's')
		text = dbus_get_string(&reader);
	bool is_forbidden = strstr(message->error_name, "AccessDenied") ||
			    strstr(message->error_name, "AuthorizationRequired");
	return err_set(reterr, is_forbidden ? ERR_FORBIDDEN : ERR_INVALID, 0, "systemd refuses %s: %s", what,
		text && *text ? text : message->error_name);
}

static int call(struct systemd *self, const struct dbus_call *call, const struct dbus_body *body,
	struct dbus_message *ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(DBUS_MESSAGE_MAX);
	int64_t deadline = clock_monotonic_ms() + CALL_MS;
	uint32_t serial = ++self->serial;

	self->error_name[0] = '\0';
	int r = dbus_call_print(call, serial, body, &out);
	if (r == 0)
		r = send_all(self, out.data, out.len);
	while (r == 0) {
		r = receive(self, deadline, ret);
		if (r == 0 && (ret->type == DBUS_RETURN || ret->type == DBUS_ERROR) && ret->reply_serial == serial)
			return ret->type == DBUS_ERROR ? refused(self, call->member, ret, reterr) : 0;
	}
	return fail(r, call->member, reterr);
}

static int bus_call(struct systemd *self, const char *member, const char *argument, struct err **reterr)
{
	static const char name[] = "org.freedesktop.DBus", path[] = "/org/freedesktop/DBus";
	const struct dbus_call request = { name, path, name, member, argument ? "s" : NULL };
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	struct dbus_message reply;

	if (argument)
		dbus_put_string(&body, argument);
	return call(self, &request, &body, &reply, reterr);
}

static int join_bus(struct systemd *self, struct err **reterr)
{
	int r = bus_call(self, "Hello", NULL, reterr);

	if (r == 0)
		r = bus_call(self, "AddMatch",
			"type='signal',sender='" MANAGER_NAME "',path='" MANAGER_PATH "',interface='" MANAGER_INTERFACE
			"',member='JobRemoved'",
			reterr);
	return r < 0 ? r : systemd_call(self, "Subscribe", NULL, NULL, false, NULL, reterr);
}

int systemd_open(bool is_user, struct systemd **ret, struct err **reterr)
{
	_autofree_(systemd) struct systemd *self = calloc(1, sizeof(*self));
	struct stat st;

	if (!self)
		return err_oom(reterr);
	self->fd = -1;
	self->in = (struct buf)BUF_INIT(DBUS_MESSAGE_MAX + READ_BYTES);
	if (lstat("/run/systemd/system", &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"systemd not running on this host, cannot use systemd cgroups manager");
	int r = is_user ? connect_user(self) : connect_system(self);
	if (r < 0)
		return err_errno(reterr, r,
			is_user ? "cannot reach the user's systemd (by DBUS_SESSION_BUS_ADDRESS or in XDG_RUNTIME_DIR)"
				: "cannot reach systemd by /run/dbus/system_bus_socket or /run/systemd/private");
	if (self->is_bus)
		r = join_bus(self, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(self);
	return 0;
}

int systemd_control_group(struct systemd *self, char **ret, struct err **reterr)
{
	const struct dbus_call request = { self->is_bus ? MANAGER_NAME : NULL, MANAGER_PATH,
		"org.freedesktop.DBus.Properties", "Get", "ss" };
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	struct dbus_message reply;
	struct dbus_reader reader;

	dbus_put_string(&body, MANAGER_INTERFACE);
	dbus_put_string(&body, "ControlGroup");
	int r = call(self, &request, &body, &reply, reterr);
	if (r < 0)
		return r;
	dbus_reader_init(&reader, &reply);
	const char *type = strcmp(reply.signature, "v") == 0 ? dbus_get_signature(&reader) : NULL;
	const char *text = type && strcmp(type, "s") == 0 ? dbus_get_string(&reader) : NULL;
	if (!text)
		return fail(-EBADMSG, "Get", reterr);
	*ret = strdup(text);
	return *ret ? 0 : err_oom(reterr);
}

/* JobRemoved: number, object, unit, result. */
static int wait_job(struct systemd *self, const char *job, struct err **reterr)
{
	int64_t deadline = clock_monotonic_ms() + CALL_MS;

	for (;;) {
		struct dbus_message message;
		struct dbus_reader reader;
		int r = receive(self, deadline, &message);
		if (r < 0)
			return fail(r, "with the end of the job", reterr);
		if (message.type != DBUS_SIGNAL || strcmp(message.member, "JobRemoved") != 0 ||
			strcmp(message.signature, "uoss") != 0)
			continue;
		dbus_reader_init(&reader, &message);
		dbus_get_u32(&reader);
		const char *object = dbus_get_string(&reader), *unit = dbus_get_string(&reader),
			   *result = dbus_get_string(&reader);
		if (!result || strcmp(object, job) != 0)
			continue;
		return strcmp(result, "done") == 0
			       ? 0
			       : err_set(reterr, ERR_INTERNAL, 0, "systemd's job for %s ended as \"%s\"", unit, result);
	}
}

int systemd_call(struct systemd *self, const char *member, const char *signature, const struct dbus_body *body,
	bool waits, const char **ret_name, struct err **reterr)
{
	const struct dbus_call request = { self->is_bus ? MANAGER_NAME : NULL, MANAGER_PATH, MANAGER_INTERFACE, member,
		signature };
	struct dbus_message reply;
	struct dbus_reader reader;
	int r = call(self, &request, body, &reply, reterr);

	if (ret_name)
		*ret_name = self->error_name;
	if (r < 0 || !waits)
		return r;
	dbus_reader_init(&reader, &reply);
	const char *object = strcmp(reply.signature, "o") == 0 ? dbus_get_string(&reader) : NULL;
	_cleanup_free_ char *job = object ? strdup(object) : NULL; /* the next message takes its place */
	if (!job)
		return object ? err_oom(reterr) : fail(-EBADMSG, member, reterr);
	return wait_job(self, job, reterr);
}
