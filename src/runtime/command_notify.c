#include "runtime/command_notify.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/strv.h"
#include "runtime/container_internal.h"

#define MESSAGE_MAX 4096
#define BARRIER_MS  30000

bool notify_is_wanted(void)
{
	const char *host = getenv("NOTIFY_SOCKET");

	return host && *host;
}

void notify_close(struct notify *notify)
{
	fd_close(&notify->fd);
}

/* ---- before the container ---- */

static int add_mount(struct oci_spec *spec, const char *source)
{
	static const char *const options[] = { "bind", "nosuid", "noexec", "nodev", "ro" };
	struct oci_mount *grown = reallocarray(spec->mounts, spec->mount_count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	spec->mounts = grown;
	struct oci_mount *mount = &grown[spec->mount_count++];
	*mount = (struct oci_mount){
		.destination = strdup(NOTIFY_INSIDE), .type = strdup("bind"), .source = strdup(source)
	};
	int r = mount->destination && mount->type && mount->source ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(options); i++)
		r = strv_append(&mount->options, options[i]);
	return r;
}

int notify_prepare(struct oci_spec *spec, int folder, const char *root, const char *id, struct err **reterr)
{
	char here[PATH_MAX];
	_cleanup_free_ char *source = NULL;

	if (!notify_is_wanted() || !spec->process)
		return 0;
	if ((mkdirat(folder, NOTIFY_FOLDER, 0755) < 0 && errno != EEXIST) ||
		fchmodat(folder, NOTIFY_FOLDER, 0755, 0) < 0 || !getcwd(here, sizeof(here)))
		return err_errno(reterr, -errno, "cannot make the folder of the notify socket");
	bool is_absolute = root[0] == '/';
	if (asprintf(&source, "%s%s%s/%s/" NOTIFY_FOLDER, is_absolute ? "" : here, is_absolute ? "" : "/", root, id) <
		0)
		return err_oom(reterr);
	return add_mount(spec, source) < 0 ||
			       strv_env_set(&spec->process->env, "NOTIFY_SOCKET=" NOTIFY_INSIDE "/" NOTIFY_SOCKET) < 0
		       ? err_oom(reterr)
		       : 0;
}

int notify_listen(int folder, struct notify *notify, struct err **reterr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_autoclose_ int place = notify_is_wanted()
					? openat(folder, NOTIFY_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
					: -1;

	if (place < 0)
		return 0;
	_autoclose_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" NOTIFY_SOCKET, place);
	if (fd < 0 || (unlinkat(place, NOTIFY_SOCKET, 0) < 0 && errno != ENOENT) ||
		bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		fchmodat(place, NOTIFY_SOCKET, 0777, 0) < 0)
		return err_errno(reterr, -errno, "cannot make the notify socket");
	notify->fd = TAKE_FD(fd);
	notify->host = getenv("NOTIFY_SOCKET");
	return 0;
}

/* ---- what is said ---- */

static int connect_host(const char *path, int *ret)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	_autoclose_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || len >= sizeof(address.sun_path))
		return fd < 0 ? -errno : -ENAMETOOLONG;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	if (connect(fd, (struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return -errno;
	*ret = TAKE_FD(fd);
	return 0;
}

/* Who it was that said so is looked up by the other side when it reads: we stay until it has, which is when it closes the pipe. */
static void wait_until_read(int host)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return;
	bool is_sent = descriptor_send(host, "BARRIER=1", ends[1]) == 0;
	close(ends[1]);
	struct pollfd closed = { .fd = ends[0], .events = POLLIN };
	if (is_sent)
		poll(&closed, 1, BARRIER_MS);
	close(ends[0]);
}

static void pass_on(const struct notify *notify, const char *ready, pid_t pid)
{
	char text[MESSAGE_MAX + 64];
	_autoclose_ int host = -1;
	int len = snprintf(text, sizeof(text), "MAINPID=%d\n%.*s\n", pid, (int)strcspn(ready, "\n"), ready);

	if (connect_host(notify->host, &host) == 0 && send(host, text, (size_t)len, MSG_NOSIGNAL) == len)
		wait_until_read(host);
}

void notify_serve(struct notify *notify, pid_t pid)
{
	char text[MESSAGE_MAX];
	ssize_t len = recv(notify->fd, text, sizeof(text) - 1, MSG_TRUNC | MSG_DONTWAIT);

	if (len < 0 || (size_t)len >= sizeof(text))
		return;
	text[len] = '\0';
	for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, "READY=", 6) == 0) {
			pass_on(notify, line, pid);
			notify_close(notify);
			return;
		}
}

void notify_wait(struct notify *notify, pid_t pid, int pidfd)
{
	while (notify->fd >= 0) {
		struct pollfd fds[] = { { .fd = notify->fd, .events = POLLIN }, { .fd = pidfd, .events = POLLIN } };
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return;
		if (fds[0].revents)
			notify_serve(notify, pid);
		else if (fds[1].revents)
			return;
	}
}
