#include "runtime/command_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/command_notify.h"
#include "sys/channel.h"
#include "sys/procfs.h"

#define GROUPS_FILE_MAX (32 * 1024)
#ifndef PID_FS_MAGIC
# define PID_FS_MAGIC 0x50494446
#endif

static const struct json_field saved_state_fields[] = {
	JSON_FIELD(struct saved_state, id, "id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct saved_state, pid, "pid", JSON_INT),
	JSON_FIELD(struct saved_state, mark, "mark", JSON_INT),
	JSON_FIELD(struct saved_state, bundle, "bundle", JSON_STRING_FIELD),
	JSON_FIELD(struct saved_state, rootfs, "rootfs", JSON_STRING_FIELD),
	JSON_FIELD(struct saved_state, created, "created", JSON_STRING_FIELD),
	JSON_FIELD(struct saved_state, annotations, "annotations", JSON_STRMAP, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct saved_state, no_new_keyring, "noNewKeyring", JSON_BOOL_FIELD),
};
const struct json_table saved_state_table = JSON_TABLE(struct saved_state, saved_state_fields);

int state_check_id(const char *id, struct err **reterr)
{
	size_t len = strlen(id);
	size_t good = strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.");

	if (len == 0)
		return err_set(reterr, ERR_INVALID, 0, "container id cannot be empty");
	if (len != good)
		return err_set(reterr, ERR_INVALID, 0, "invalid container ID format: %.100s has an invalid character",
			id);
	if (len > STATE_ID_MAX || id[0] == '.')
		return err_set(reterr, ERR_INVALID, 0, "invalid container ID format: %.100s", id);
	return 0;
}

static int make_parents(const char *root)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s", root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		if (slash)
			*slash = '\0';
		if (mkdir(path, slash ? 0711 : 0700) < 0 && errno != EEXIST)
			return -errno;
		if (!slash)
			return 0;
		*slash = '/';
	}
}

int state_root_open(const char *root)
{
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int state_folder_make(const char *root, const char *id, int *ret_fd, struct err **reterr)
{
	int r = make_parents(root);
	_autoclose_ int root_fd = r < 0 ? r : state_root_open(root);

	if (root_fd < 0)
		return err_errno(reterr, root_fd, "cannot open the state folder %s", root);
	if (mkdirat(root_fd, id, 0700) < 0) {
		if (errno == EEXIST)
			return err_set(reterr, ERR_CONFLICT, EEXIST, "container with given ID already exists");
		return err_errno(reterr, -errno, "cannot make the state folder of container %s", id);
	}
	int fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open the state folder of container %s", id);
	*ret_fd = fd;
	return 0;
}

int state_folder_open(const char *root, const char *id, int *ret_fd, struct err **reterr)
{
	int r = state_check_id(id, reterr);
	_autoclose_ int root_fd = r < 0 ? r : state_root_open(root);

	if (r < 0)
		return r;
	int fd = root_fd < 0 ? root_fd : openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT, "container does not exist");
	*ret_fd = fd;
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int state_names(const char *root, bool must_exist, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	DIR *dir = opendir(root);
	int r = dir || (errno == ENOENT && !must_exist)
			? 0
			: err_errno(reterr, -errno, "cannot list the containers in %s", root);

	for (struct dirent *entry; r == 0 && dir && (entry = readdir(dir));)
		if (state_check_id(entry->d_name, NULL) == 0 && strv_append(&names, entry->d_name) < 0)
			r = err_oom(reterr);
	if (dir)
		closedir(dir);
	if (names)
		qsort(names, strv_count(names), sizeof(*names), compare_names);
	*ret = TAKE(names);
	return r;
}

/* Files only, but for one folder: nothing of ours is deeper. state.json last but one: while it is there, delete finds the container. */
void state_folder_remove(const char *root, const char *id)
{
	_autoclose_ int root_fd = state_root_open(root);
	int fd = root_fd < 0 ? -1 : openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fd_close(&fd);
		return;
	}
	for (struct dirent *entry; (entry = readdir(dir));)
		if (entry->d_type != DT_DIR && strcmp(entry->d_name, "state.json") != 0) {
			unlinkat(fd, entry->d_name, 0);
		} else if (strcmp(entry->d_name, NOTIFY_FOLDER) == 0) {
			unlinkat(fd, NOTIFY_FOLDER "/" NOTIFY_SOCKET, 0);
			unlinkat(fd, NOTIFY_FOLDER, AT_REMOVEDIR);
		}
	unlinkat(fd, "state.json", 0);
	closedir(dir);
	unlinkat(root_fd, id, AT_REMOVEDIR);
}

int state_write(int folder, const struct saved_state *state, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = json_print(&saved_state_table, state, &text);

	if (r == 0)
		r = io_replace_file(folder, "state.json", text.data, text.len, false);
	return r < 0 ? err_errno(reterr, r, "cannot write the state of container %s", state->id) : 0;
}

int state_read(int folder, struct saved_state *out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = io_read_file(folder, "state.json", &text);

	if (r == -ENOENT)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT, "container does not exist");
	if (r < 0)
		return err_errno(reterr, r, "cannot read the container's state");
	return json_parse(&saved_state_table, text.data, text.len, out, reterr);
}

int state_write_groups(int folder, char *const *groups)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(GROUPS_FILE_MAX);

	strv_foreach (group, groups) {
		int r = buf_printf(&text, "%s\n", *group);
		if (r < 0)
			return r;
	}
	return io_replace_file(folder, "cgroup", text.data, text.len, false);
}

int state_read_groups(int folder, char ***ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(GROUPS_FILE_MAX);
	_autofree_(strv) char **groups = NULL;
	char *save = NULL;
	int r = io_read_file(folder, "cgroup", &text);

	for (char *line = r == 0 && text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save))
		if (strv_append(&groups, line) < 0)
			return -ENOMEM;
	if (r < 0 && r != -ENOENT)
		return r;
	*ret = TAKE(groups);
	return 0;
}

static int64_t start_time(pid_t pid)
{
	_autoclose_ int proc = procfs_open_host();
	char path[32], text[1024];
	int64_t value = -EINVAL;

	if (proc < 0)
		return proc;
	snprintf(path, sizeof(path), "%d/stat", pid);
	ssize_t len = procfs_read(proc, path, text, sizeof(text));
	if (len < 0)
		return len;
	/* The name is in parentheses and may hold any; what follows the last one is plain: state is field 3, this is 22. */
	char *field = strrchr(text, ')');
	for (int i = 2; field && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field) {
		field[1 + strcspn(field + 1, " ")] = '\0';
		if (parse_i64(field + 1, 0, INT64_MAX, &value) < 0)
			return -EINVAL;
	}
	return value;
}

int64_t process_mark(pid_t pid, int pidfd)
{
	_autoclose_ int own = pidfd < 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
	struct statfs fs;
	struct stat st;

	pidfd = pidfd < 0 ? own : pidfd;
	if (pidfd >= 0 && fstatfs(pidfd, &fs) == 0 && fs.f_type == PID_FS_MAGIC && fstat(pidfd, &st) == 0)
		return (int64_t)st.st_ino;
	return start_time(pid);
}

/* Init's pidfd, if that pid is still the process that the state speaks of and has not ended. */
static int open_init(const struct saved_state *state)
{
	_autoclose_ int pidfd = state->pid > 0 ? (int)syscall(SYS_pidfd_open, (pid_t)state->pid, 0) : -1;
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0 || process_mark((pid_t)state->pid, pidfd) != state->mark || poll(&ended, 1, 0) != 0)
		return -1;
	return TAKE_FD(pidfd);
}

/* Before `start` init listens; afterwards execve has closed the socket. */
static bool waits_for_start(int folder)
{
	_autoclose_ int fd = -1;

	return faccessat(folder, STATE_START_SOCKET, F_OK, 0) == 0 &&
	       channel_connect(folder, STATE_START_SOCKET, &fd) == 0;
}

static enum state_status find_status(const struct opened *opened)
{
	if (container_pidfd(opened->container) < 0)
		return STATE_STOPPED;
	if (waits_for_start(opened->folder))
		return STATE_CREATED;
	return container_is_paused(opened->container) ? STATE_PAUSED : STATE_RUNNING;
}

int state_open(const char *root, const char *id, struct opened *ret, struct err **reterr)
{
	_autofree_(strv) char **groups = NULL;
	struct opened opened = { .folder = -1 };
	int pidfd = -1;
	int r = state_folder_open(root, id, &opened.folder, reterr);

	if (r == 0)
		r = state_read(opened.folder, &opened.state, reterr);
	if (r == 0) {
		r = state_read_groups(opened.folder, &groups);
		if (r < 0)
			r = err_errno(reterr, r, "cannot read the groups of container %s", id);
	}
	if (r == 0) {
		pidfd = open_init(&opened.state);
		r = container_adopt(id, groups, (pid_t)opened.state.pid, pidfd, &opened.container, reterr);
		if (r < 0)
			fd_close(&pidfd);
	}
	if (r < 0) {
		state_close(&opened);
		return r;
	}
	opened.status = find_status(&opened);
	*ret = opened;
	return 0;
}

void state_close(struct opened *opened)
{
	fd_close(&opened->folder);
	json_finish(&saved_state_table, &opened->state);
	container_free(opened->container);
	opened->container = NULL;
}

const char *state_status_name(enum state_status status)
{
	static const char *const names[] = { "creating", "created", "running", "paused", "stopped" };

	return names[status];
}
