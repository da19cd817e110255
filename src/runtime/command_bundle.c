#include "runtime/command_bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_state.h"
#include "runtime/container_internal.h"
#include "runtime/hooks.h"
#include "runtime/seccomp_cache.h"
#include "runtime/seccomp_file.h"
#include "spec/oci_validate.h"

#define PRESERVE_MAX 1024

int bundle_open(const char *bundle, int *ret_fd, char **ret_path, struct err **reterr)
{
	_autoclose_ int fd = open(bundle && *bundle ? bundle : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open the bundle %s", bundle ? bundle : ".");
	char *path = realpath(bundle && *bundle ? bundle : ".", NULL);
	if (!path)
		return err_errno(reterr, -errno, "cannot open the bundle %s", bundle ? bundle : ".");
	*ret_fd = TAKE_FD(fd);
	*ret_path = path;
	return 0;
}

int bundle_read_config(int folder, const char *name, struct oci_spec *out, struct buf *text, struct err **reterr)
{
	_autoclose_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT, "JSON specification file %s not found", name);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open %s", name);
	int r = io_read_all(fd, text);
	if (r < 0)
		return err_errno(reterr, r, "cannot read %s", name);
	r = oci_spec_parse(text->data ? text->data : "", text->len, out, reterr);
	if (r < 0)
		return r;
	r = oci_spec_validate(out, reterr);
	if (r < 0)
		oci_spec_finish(out);
	return r;
}

int bundle_read_spec(int folder, struct oci_spec *out, struct buf *text, struct err **reterr)
{
	return bundle_read_config(folder, "config.json", out, text, reterr);
}

/* Compiled filters are kept beside the containers, where no container's name can be. */
static int open_cache(const char *root)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/:seccomp", root) >= (int)sizeof(path))
		return -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -1;
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

int bundle_seccomp(const char *root, const struct oci_spec *spec, int *ret_fd, struct err **reterr)
{
	const char *word = spec->annotations ? map_get(spec->annotations, BUNDLE_SECCOMP_ANNOTATION) : NULL;
	const struct oci_capabilities *capabilities = spec->process ? spec->process->capabilities : NULL;
	bool is_default = word && strcmp(word, "default") == 0;

	*ret_fd = -1;
	if (!spec->linux_config.seccomp && !is_default)
		return 0;
	_autojson_ json_t *profile = spec->linux_config.seccomp
					     ? json_write(&oci_seccomp_table, spec->linux_config.seccomp)
					     : NULL;
	_autoclose_ int cache = open_cache(root);
	const struct seccomp_request request = { .profile = profile,
		.capabilities = !profile && capabilities ? capabilities->bounding : NULL };
	if (!profile && spec->linux_config.seccomp)
		return err_oom(reterr);
	return seccomp_cache_open(cache, "/proc/self/exe", &request, ret_fd, reterr);
}

void command_debug_filter(const struct command *command, int fd)
{
	struct seccomp_file_header header;
	char text[64];

	if (!command->debug || fd < 0 || pread(fd, &header, sizeof(header), 0) != sizeof(header))
		return;
	snprintf(text, sizeof(text), "seccomp filter flags: %u", header.filter_flags);
	command_debug(command, text);
}

int command_listener(const struct oci_spec *spec, const struct saved_state *state, const char *status,
	struct container_listener *ret, char **ret_state, struct err **reterr)
{
	const struct oci_seccomp *seccomp = spec->linux_config.seccomp;

	if (!seccomp || !seccomp->listener_path)
		return 0;
	*ret_state = hooks_state_json(state->id, status, state->pid, state->bundle, state->annotations);
	if (!*ret_state)
		return err_oom(reterr);
	*ret = (struct container_listener){
		.path = seccomp->listener_path, .metadata = seccomp->listener_metadata, .state = *ret_state
	};
	return 0;
}

int command_write_pid_file(const char *path, pid_t pid, struct err **reterr)
{
	char text[16], folder[PATH_MAX];

	if (!path)
		return 0;
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	snprintf(folder, sizeof(folder), "%.*s", slash ? (int)(slash - path + 1) : 1, slash ? path : ".");
	_autoclose_ int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int len = snprintf(text, sizeof(text), "%d", pid);
	int r = fd < 0 ? -errno : io_replace_file(fd, name, text, (size_t)len, false);
	return r < 0 ? err_errno(reterr, r, "cannot write the pid file %s", path) : 0;
}

static int connect_socket(const char *path, const char *what, int *ret_fd, struct err **reterr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(reterr, ERR_INVALID, ENAMETOOLONG, "the path of the %s socket is too long", what);
	strcpy(address.sun_path, path);
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(reterr, -errno, "cannot connect to the %s socket %s", what, path);
	*ret_fd = TAKE_FD(fd);
	return 0;
}

int command_connect_console(const char *path, int *ret_fd, struct err **reterr)
{
	return connect_socket(path, "console", ret_fd, reterr);
}

int command_send_pidfd(const char *path, int pidfd, struct err **reterr)
{
	_autoclose_ int fd = -1;

	if (!path || !*path)
		return 0;
	int r = connect_socket(path, "pidfd", &fd, reterr);
	if (r < 0)
		return r;
	r = descriptor_send(fd, "pidfd", pidfd);
	return r < 0 ? err_errno(reterr, r, "cannot send the pidfd to %s", path) : 0;
}

static unsigned listen_count(void)
{
	const char *text = getenv("LISTEN_FDS");
	uint64_t fds;

	return text && parse_u64(text, PRESERVE_MAX, &fds) == 0 ? (unsigned)fds : 0;
}

int command_keep_fds(const struct command *command, int64_t wish, bool listens, unsigned *ret, struct err **reterr)
{
	if (wish < 0 || wish > PRESERVE_MAX)
		return err_set(reterr, ERR_INVALID, 0, "preserve-fds must be between 0 and %d", PRESERVE_MAX);
	*ret = (unsigned)wish + (listens ? listen_count() : 0);
	for (int fd = 3; fd < 3 + (int)*ret; fd++)
		if (fd != command->view_fd && fcntl(fd, F_SETFD, 0) < 0 && errno != EBADF)
			return err_errno(reterr, -errno, "cannot keep descriptor %d", fd);
	return 0;
}

int command_listen_env(struct oci_process *process, struct err **reterr)
{
	static const char *const passed[] = { "LISTEN_FDS", "LISTEN_FDNAMES" };

	if (!listen_count())
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++) {
		_cleanup_free_ char *entry = NULL;
		const char *value = getenv(passed[i]);
		if (!value)
			continue;
		if (asprintf(&entry, "%s=%s", passed[i], value) < 0) {
			entry = NULL;
			return err_oom(reterr);
		}
		if (strv_env_set(&process->env, entry) < 0)
			return err_oom(reterr);
	}
	return strv_env_set(&process->env, "LISTEN_PID=1") < 0 ? err_oom(reterr) : 0;
}
