#include "holder/listeners.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/syscall.h>

#include "base/io.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"

#define INHERITED_FIRST 3
#define SOCKET_MODE     0660
#define GROUP_FILE      "/etc/group"

#define PREDECESSOR_MS_FIRST     10
#define PREDECESSOR_MS_LAST      1280
#define PREDECESSOR_MS_LAST_DEAD 5120

/* Descriptors for us, as sd_listen_fds(3) tells: both variables, the first with our pid. */
static int inherited_count(uint64_t *ret, struct err **reterr)
{
	const char *pid_text = getenv("LISTEN_PID");
	const char *count_text = getenv("LISTEN_FDS");
	uint64_t pid;
	*ret = 0;
	if (!pid_text || !count_text || parse_u64(pid_text, INT32_MAX, &pid) < 0 || (pid_t)pid != getpid())
		return 0;
	if (parse_u64(count_text, LISTENERS_MAX, ret) < 0)
		return err_set(reterr, ERR_INVALID, 0, "LISTEN_FDS is \"%s\": at most %d sockets can be served",
			count_text, LISTENERS_MAX);
	return 0;
}

static int listener_inherit(struct listeners *listeners, int fd, struct err **reterr)
{
	if (!socket_is_unix_listener(fd))
		return err_set(reterr, ERR_INVALID, 0, "inherited descriptor %d is not a listening unix stream socket",
			fd);
	int r = io_set_nonblock(fd, true);
	if (r == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		r = -errno;
	if (r < 0)
		return err_errno(reterr, r, "cannot use inherited descriptor %d", fd);
	listeners->items[listeners->count++] = (struct listener){ .fd = fd };
	return 0;
}

static int standard_fds_open(struct err **reterr)
{
	int fd;
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open /dev/null");
	close(fd);
	return 0;
}

int listeners_inherit(struct listeners *listeners, struct err **reterr)
{
	uint64_t count;
	int r = inherited_count(&count, reterr);
	if (r < 0)
		return r;
	if (syscall(SYS_close_range, (unsigned)(INHERITED_FIRST + count), ~0U, 0) < 0)
		return err_errno(reterr, -errno, "cannot close inherited descriptors");
	for (int i = 0; r == 0 && i < (int)count; i++)
		r = listener_inherit(listeners, INHERITED_FIRST + i, reterr);
	return r < 0 ? r : standard_fds_open(reterr);
}

/*
 * From /etc/group itself: the C library's lookup would load modules into a static program. An unknown group leaves the
 * socket to root.
 */
static gid_t group_lookup(const char *name)
{
	uint64_t number;
	if (parse_u64(name, UINT32_MAX - 1, &number) == 0)
		return (gid_t)number;
	FILE *file = fopen(GROUP_FILE, "re");
	struct group *group = NULL;
	while (file && (group = fgetgrent(file)) && strcmp(group->gr_name, name) != 0)
		;
	gid_t gid = group ? group->gr_gid : 0;
	if (!group)
		log_warn("there is no group %s: only root can use the sockets (groupadd --system %s)", name, name);
	if (file)
		fclose(file);
	return gid;
}

static int explain_listen(int r, const char *path, struct err **reterr)
{
	switch (r) {
	case -EOWNERDEAD:
	case -EADDRINUSE: return err_set(reterr, ERR_CONFLICT, EADDRINUSE, "another program is serving %s", path);
	case -EEXIST:
		return err_set(reterr, ERR_CONFLICT, EEXIST,
			"%s exists and is not a socket: remove it or choose another path", path);
	case -EPERM:
		return err_set(reterr, ERR_FORBIDDEN, EPERM,
			"the folder of %s is open to others, who could put their own socket there", path);
	default: return err_errno(reterr, r, "cannot listen on %s", path);
	}
}

/*
 * A tared that was killed has left its engine moments to notice, in which the sockets are still answered: on a busy machine
 * some seconds. Each look is a connection to whoever serves, so there are few.
 */
static int listen_patiently(const char *path, gid_t gid, struct listener *listener)
{
	for (unsigned ms = PREDECESSOR_MS_FIRST;; ms *= 2) {
		int r = socket_listen_unix(path, gid, SOCKET_MODE, &listener->fd, &listener->file);
		unsigned last = r == -EADDRINUSE   ? PREDECESSOR_MS_LAST
				: r == -EOWNERDEAD ? PREDECESSOR_MS_LAST_DEAD
						   : 0;
		if (ms > last)
			return r;
		usleep(ms * 1000);
	}
}

static int listener_open(struct listeners *listeners, const char *path, gid_t gid, struct err **reterr)
{
	if (listeners->count == LISTENERS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "at most %d sockets can be served", LISTENERS_MAX);
	if (path[0] != '/')
		return err_set(reterr, ERR_INVALID, 0, "the path of unix://%s is not absolute", path);
	struct listener *listener = &listeners->items[listeners->count];
	char *copy = strdup(path);
	if (!copy)
		return err_oom(reterr);
	int r = listen_patiently(path, gid, listener);
	if (r < 0) {
		free(copy);
		return explain_listen(r, path, reterr);
	}
	listener->path = copy;
	listeners->count++;
	return io_set_nonblock(listener->fd, true);
}

static int listeners_open_default(struct listeners *listeners, const struct options *options, gid_t gid,
	struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/tare.sock", options->exec_root) < 0)
		return err_oom(reterr);
	return listener_open(listeners, path, gid, reterr);
}

int listeners_open(struct listeners *listeners, const struct options *options, struct err **reterr)
{
	size_t inherited = listeners->count;
	if (inherited > 0 && !options->hosts)
		return 0;
	gid_t gid = group_lookup(options->group);
	if (!options->hosts)
		return listeners_open_default(listeners, options, gid, reterr);

	strv_foreach (host, options->hosts) {
		int r = 0;
		if (strcmp(*host, "fd://") == 0 && inherited == 0)
			r = err_set(reterr, ERR_INVALID, 0, "-H fd:// was given, but no sockets were inherited");
		else if (strncmp(*host, "unix://", 7) == 0)
			r = listener_open(listeners, *host + 7, gid, reterr);
		else if (strcmp(*host, "fd://") != 0)
			r = err_set(reterr, ERR_INVALID, 0, "cannot listen on \"%s\": use unix://PATH or fd://", *host);
		if (r < 0)
			return r;
	}
	return 0;
}

void listeners_unlink(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		struct listener *listener = &listeners->items[i];
		int r = listener->path ? socket_unlink_unix(listener->path, &listener->file) : 0;
		if (r < 0)
			log_warn("cannot remove %s: %s", listener->path, strerror(-r));
	}
}

void listeners_finish(struct listeners *listeners)
{
	for (size_t i = 0; i < listeners->count; i++) {
		fd_close(&listeners->items[i].fd);
		free(listeners->items[i].path);
	}
	listeners->count = 0;
}
