/*
 * checkpoint and restore, by CRIU. What lies outside of the container is named to it in both directions: bind mounts, groups that are
 * bound, masked files, namespaces joined by path, pipes. A restored container's folder is made as by `create` (command_state.h);
 * its first process is our child. The root that CRIU mounts from must be a mount of its own: it is bound onto itself in a mount
 * namespace that ends with this process, so a kill leaves none behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_bundle.h"
#include "runtime/command_line.h"
#include "runtime/command_notify.h"
#include "runtime/command_state.h"
#include "runtime/command_wait.h"
#include "runtime/container_internal.h"
#include "runtime/criu.h"
#include "runtime/hooks.h"
#include "runtime/mount_options.h"
#include "sys/inroot.h"
#include "sys/mounts.h"

#define DESTROY_TIMEOUT_MS 10000
#define LOG_LEVEL          4
#define LOG_TAIL           (64 * 1024)
#define LOG_LINES          3
#define LOG_LINE_MAX       300
#define DESCRIPTORS_MAX    (3 * PATH_MAX)
#define CONFIG_ANNOTATION  "org.criu.config"
#define CONFIG_DEFAULT     "/etc/criu/runc.conf"

struct criu_values {
	const char *image_path, *work_path, *parent_path;
	const char *page_server, *cgroups_mode, *empty_ns, *lsm_profile, *lsm_mount_context;
	const char *bundle, *console_socket, *pid_file;
	struct json_opt_int status_fd;
	bool leave_running, tcp_established, tcp_skip_in_flight, ext_unix_sk, shell_job, lazy_pages, file_locks,
		pre_dump;
	bool auto_dedup, link_remap, detach, no_pivot, no_subreaper;
};

#define TEXT(member, name_, help_) \
 FLAG(struct criu_values, member, name_, 0, FLAG_STRING, .word = "value", .help = (help_))
#define SWITCH(member, name_, help_) FLAG(struct criu_values, member, name_, 0, FLAG_BOOL, .help = (help_))

#define COMMON_FLAGS                                                                          \
 TEXT(image_path, "image-path", "folder of the image files (default: checkpoint)"),           \
	 TEXT(work_path, "work-path", "folder for work files and logs"),                      \
	 SWITCH(tcp_established, "tcp-established", "allow open tcp connections"),            \
	 SWITCH(ext_unix_sk, "ext-unix-sk", "allow external unix sockets"),                   \
	 SWITCH(shell_job, "shell-job", "allow shell jobs"),                                  \
	 SWITCH(lazy_pages, "lazy-pages", "migrate memory pages when they are asked for"),    \
	 SWITCH(file_locks, "file-locks", "handle file locks"),                               \
	 TEXT(cgroups_mode, "manage-cgroups-mode", "soft (default), full, strict or ignore"), \
	 TEXT(empty_ns, "empty-ns", "a namespace not to be filled: network"),                 \
	 SWITCH(auto_dedup, "auto-dedup", "drop pages that a later image has")

static const struct flag checkpoint_flags[] = { COMMON_FLAGS,
	TEXT(parent_path, "parent-path", "image files of a pre-dump, relative to image-path"),
	SWITCH(leave_running, "leave-running", "leave the container running"),
	SWITCH(tcp_skip_in_flight, "tcp-skip-in-flight", "skip tcp connections that are being made"),
	SWITCH(link_remap, "link-remap", "allow to link unlinked files back"),
	FLAG(struct criu_values, status_fd, "status-fd", 0, FLAG_INT, .word = "value",
		.help = "a byte comes here when lazy pages are served"),
	TEXT(page_server, "page-server", "ADDRESS:PORT of the page server"),
	SWITCH(pre_dump, "pre-dump", "dump memory alone and leave the container running") };
static const struct verb_line checkpoint_line = { "checkpoint", "CONTAINER", "checkpoint a running container",
	checkpoint_flags, ARRAY_SIZE(checkpoint_flags), 1, 1 };

static const struct flag restore_flags[] = { COMMON_FLAGS,
	FLAG(struct criu_values, bundle, "bundle", 'b', FLAG_STRING, .word = "value", .help = "path to the bundle"),
	FLAG(struct criu_values, detach, "detach", 'd', FLAG_BOOL, .help = "do not wait for the container"),
	TEXT(console_socket, "console-socket", "unix socket that gets the terminal's master"),
	TEXT(pid_file, "pid-file", "write the pid here"),
	SWITCH(no_subreaper, "no-subreaper", "leave orphans to whoever reaps them outside"),
	SWITCH(no_pivot, "no-pivot", "accepted, without effect"),
	TEXT(lsm_profile, "lsm-profile", "a security profile in place of the one at the checkpoint"),
	TEXT(lsm_mount_context, "lsm-mount-context", "a label for mounts in place of the one at the checkpoint") };
static const struct verb_line restore_line = { "restore", "CONTAINER", "restore a container from a checkpoint",
	restore_flags, ARRAY_SIZE(restore_flags), 1, 1 };

struct job {
	struct command *command;
	struct criu_values values;
	const char *id;
	struct oci_spec spec;
	struct buf options;
	int put; /* the first failure of a criu_put */
	int images_fd, work_fd;
	int root_fd; /* what mounts' places are looked up in */
	/* Of restore. */
	struct container *container;
	int folder, bundle_fd, console_socket, console_fd;
	char *bundle, *root;
	pid_t pid;
};

static void job_finish(struct job *self)
{
	oci_spec_finish(&self->spec);
	buf_finish(&self->options);
	int *fds[] = { &self->images_fd, &self->work_fd, &self->root_fd, &self->folder, &self->bundle_fd,
		&self->console_socket, &self->console_fd };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		fd_close(fds[i]);
	container_free(self->container);
	free(self->bundle);
	free(self->root);
}

#define JOB_INIT(command_)                                                                                     \
 {                                                                                                             \
  .command = (command_), .options = BUF_INIT(CRIU_OPTIONS_MAX), .images_fd = -1, .work_fd = -1, .root_fd = -1, \
  .folder = -1, .bundle_fd = -1, .console_socket = -1, .console_fd = -1,                                       \
 }

/* ---- options of both ---- */

static void put_int(struct job *self, enum criu_option field, uint64_t value)
{
	self->put = self->put ?: criu_put_int(&self->options, field, value);
}

static void put_text(struct job *self, enum criu_option field, const char *text)
{
	self->put = self->put ?: criu_put_text(&self->options, field, text);
}

static void put_pair(struct job *self, enum criu_option field, const char *first, const char *second)
{
	self->put = self->put ?: criu_put_pair(&self->options, field, first, second);
}

static int open_folder(const char *path, bool make, int *ret_fd, struct err **reterr)
{
	if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the folder %s", path);
	*ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_errno(reterr, -errno, "cannot open the folder %s", path) : 0;
}

static int open_folders(struct job *self, bool make, struct err **reterr)
{
	const struct criu_values *values = &self->values;
	int r = open_folder(values->image_path, make, &self->images_fd, reterr);

	return r < 0 || !values->work_path ? r : open_folder(values->work_path, true, &self->work_fd, reterr);
}

static int parse_mode(const char *text, uint64_t *ret)
{
	static const struct {
		const char *name;
		uint64_t mode;
	} modes[] = { { "ignore", 0 }, { "soft", 3 }, { "full", 4 }, { "strict", 5 } };

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (strcmp(text ?: "soft", modes[i].name) == 0) {
			*ret = modes[i].mode;
			return 0;
		}
	return -EINVAL;
}

static void put_config_file(struct job *self)
{
	const char *file = self->spec.annotations ? map_get(self->spec.annotations, CONFIG_ANNOTATION) : NULL;

	if (!file && access(CONFIG_DEFAULT, F_OK) == 0)
		file = CONFIG_DEFAULT;
	if (file && *file)
		put_text(self, CRIU_CONFIG_FILE, file);
}

static int put_common(struct job *self, const char *log, struct err **reterr)
{
	const struct criu_values *values = &self->values;
	uint64_t mode;

	if (parse_mode(values->cgroups_mode, &mode) < 0)
		return err_set(reterr, ERR_INVALID, 0, "Invalid manage-cgroups-mode value");
	if (values->empty_ns && strcmp(values->empty_ns, "network") != 0)
		return err_set(reterr, ERR_INVALID, 0, "namespace %s is not supported", values->empty_ns);
	put_int(self, CRIU_IMAGES_DIR_FD, (uint64_t)self->images_fd);
	if (self->work_fd >= 0)
		put_int(self, CRIU_WORK_DIR_FD, (uint64_t)self->work_fd);
	put_int(self, CRIU_LOG_LEVEL, LOG_LEVEL);
	put_text(self, CRIU_LOG_FILE, log);
	/* An older one would be quoted, and CRIU follows links. */
	unlinkat(self->work_fd >= 0 ? self->work_fd : self->images_fd, log, 0);
	put_int(self, CRIU_MANAGE_CGROUPS, true);
	put_int(self, CRIU_MANAGE_CGROUPS_MODE, mode);
	put_int(self, CRIU_NOTIFY_SCRIPTS, true);
	put_int(self, CRIU_ORPHAN_PTS_MASTER, true);
	const struct {
		enum criu_option field;
		bool value;
	} switches[] = { { CRIU_TCP_ESTABLISHED, values->tcp_established }, { CRIU_EXT_UNIX_SK, values->ext_unix_sk },
		{ CRIU_SHELL_JOB, values->shell_job }, { CRIU_LAZY_PAGES, values->lazy_pages },
		{ CRIU_FILE_LOCKS, values->file_locks }, { CRIU_AUTO_DEDUP, values->auto_dedup },
		{ CRIU_LEAVE_RUNNING, values->leave_running }, { CRIU_LINK_REMAP, values->link_remap },
		{ CRIU_TCP_SKIP_IN_FLIGHT, values->tcp_skip_in_flight } };
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (switches[i].value)
			put_int(self, switches[i].field, true);
	if (values->empty_ns)
		put_int(self, CRIU_EMPTY_NS, CLONE_NEWNET);
	put_config_file(self);
	return 0;
}

/* ---- mounts from outside ---- */

static bool is_bind(const struct oci_mount *mount)
{
	if (mount->type && strcmp(mount->type, "bind") == 0)
		return true;
	return mount->options && (strv_has(mount->options, "bind") || strv_has(mount->options, "rbind"));
}

static bool has_namespace(const struct oci_spec *spec, const char *type)
{
	for (size_t i = 0; i < spec->linux_config.namespace_count; i++)
		if (strcmp(spec->linux_config.namespaces[i].type, type) == 0)
			return true;
	return false;
}

/* Where a destination leads, told from the root; as it is written, if that is nowhere yet. */
static void resolve_place(const struct job *self, const char *destination, char out[static PATH_MAX])
{
	char link[64], top[PATH_MAX], place[PATH_MAX];
	_autoclose_ int fd = inroot_open(self->root_fd, destination, O_PATH);

	snprintf(out, PATH_MAX, "%s", destination);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", self->root_fd);
	ssize_t top_len = readlink(link, top, sizeof(top));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	ssize_t len = fd < 0 ? -1 : readlink(link, place, sizeof(place) - 1);
	if (top_len < 0 || len < 0)
		return;
	if (top_len == 1)
		top_len = 0; /* "/" */
	if (len <= top_len || memcmp(place, top, (size_t)top_len) != 0)
		return;
	place[len] = '\0';
	snprintf(out, PATH_MAX, "%s", place + top_len);
}

/* On v1 without a namespace of its own the container has the groups' folders bound, each below the name of its hierarchy. */
static void put_group_mounts(struct job *self, const char *destination, char *const *folders, bool restores)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	char place[PATH_MAX];

	if (cgroup_host_new(&host) < 0 || cgroup_host_is_unified(host))
		return;
	for (size_t i = 0; i < cgroup_host_count(host); i++) {
		const char *top = cgroup_host_get(host, i)->mount, *name = strrchr(top, '/');
		snprintf(place, sizeof(place), "%s%s", destination, name ? name : "");
		strv_foreach (folder, folders)
			if (strncmp(*folder, top, strlen(top)) == 0 && (*folder)[strlen(top)] == '/')
				put_pair(self, CRIU_EXT_MNT, place, restores ? *folder : place);
	}
}

/* In a user namespace they are bound: see plan_devices.c. */
static void put_devices(struct job *self)
{
	const char *path;

	if (!has_namespace(&self->spec, "user"))
		return;
	for (size_t i = 0; (path = plan_default_device(i)); i++)
		put_pair(self, CRIU_EXT_MNT, path, path);
	for (size_t i = 0; i < self->spec.linux_config.device_count; i++)
		put_pair(self, CRIU_EXT_MNT, self->spec.linux_config.devices[i].path,
			self->spec.linux_config.devices[i].path);
}

static void put_mounts(struct job *self, char *const *folders, bool restores)
{
	char place[PATH_MAX], source[PATH_MAX];

	for (size_t i = 0; i < self->spec.mount_count; i++) {
		const struct oci_mount *mount = &self->spec.mounts[i];
		if (is_bind(mount)) {
			resolve_place(self, mount->destination, place);
			bool relative = mount->source && mount->source[0] != '/';
			snprintf(source, sizeof(source), "%s%s%s", relative && self->bundle ? self->bundle : "",
				relative ? "/" : "", mount->source ?: "");
			put_pair(self, CRIU_EXT_MNT, place, restores ? source : place);
		} else if (mount->type && strcmp(mount->type, "cgroup") == 0 && !has_namespace(&self->spec, "cgroup")) {
			put_group_mounts(self, mount->destination, folders, restores);
		}
	}
	put_devices(self);
}

/* ---- checkpoint ---- */

/* Files are covered by the host's null device, which is outside; folders by something of the container's own. */
static void put_masks(struct job *self)
{
	strv_foreach (path, self->spec.linux_config.masked_paths) {
		struct stat st;
		_autoclose_ int fd = inroot_open(self->root_fd, *path, O_PATH);
		if (fd >= 0 && fstat(fd, &st) == 0 && !S_ISDIR(st.st_mode))
			put_pair(self, CRIU_EXT_MNT, *path, "/dev/null");
	}
}

static const struct {
	const char *type, *file, *key;
} outside_namespaces[] = { { "network", "net", "extRootNetNS" }, { "pid", "pid", "extRootPidNS" } };

static void put_outside_namespaces(struct job *self)
{
	char text[128];
	struct stat st;

	for (size_t i = 0; i < self->spec.linux_config.namespace_count; i++) {
		const struct oci_namespace *one = &self->spec.linux_config.namespaces[i];
		for (size_t k = 0; k < ARRAY_SIZE(outside_namespaces); k++) {
			if (!one->path || !*one->path || strcmp(one->type, outside_namespaces[k].type) != 0 ||
				stat(one->path, &st) < 0)
				continue;
			snprintf(text, sizeof(text), "%s[%llu]:%s", outside_namespaces[k].file,
				(unsigned long long)st.st_ino, outside_namespaces[k].key);
			put_text(self, CRIU_EXTERNAL, text);
		}
	}
}

/* What the first process has as its standard descriptors, for the restore: its pipes are then ours. */
static int write_descriptors(const struct job *self, pid_t pid, struct err **reterr)
{
	_autojson_ json_t *list = json_array();
	char path[64], target[PATH_MAX];

	for (int fd = 0; list && fd < 3; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		ssize_t len = readlink(path, target, sizeof(target) - 1);
		target[len < 0 ? 0 : len] = '\0';
		json_array_append_new(list, json_string(target));
	}
	_cleanup_free_ char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
	if (!text)
		return err_oom(reterr);
	int r = io_replace_file(self->images_fd, "descriptors.json", text, strlen(text), false);
	return r < 0 ? err_errno(reterr, r, "cannot write descriptors.json") : 0;
}

static int put_page_server(struct job *self, struct err **reterr)
{
	const char *text = self->values.page_server, *colon = text ? strrchr(text, ':') : NULL;
	char address[256];
	uint64_t port;

	if (!text)
		return 0;
	if (!colon || (size_t)(colon - text) >= sizeof(address) || parse_u64(colon + 1, 65535, &port) < 0)
		return err_set(reterr, ERR_INVALID, 0, "Use --page-server ADDRESS:PORT to specify page server");
	snprintf(address, sizeof(address), "%.*s", (int)(colon - text), text);
	self->put = self->put ?: criu_put_numbered(&self->options, CRIU_PAGE_SERVER, address, port);
	return 0;
}

static int put_parent(struct job *self, struct err **reterr)
{
	const char *path = self->values.parent_path;
	struct stat st;

	if (!path)
		return 0;
	if (path[0] == '/')
		return err_set(reterr, ERR_INVALID, 0, "invalid --parent-path: it must be relative to --image-path");
	if (fstatat(self->images_fd, path, &st, 0) < 0 || !S_ISDIR(st.st_mode))
		return err_set(reterr, ERR_INVALID, 0, "invalid --parent-path: no folder %s", path);
	put_text(self, CRIU_PARENT_IMG, path);
	put_int(self, CRIU_TRACK_MEM, true);
	return 0;
}

static int put_dump(struct job *self, const struct opened *opened, struct err **reterr)
{
	char *const *folders = container_groups(opened->container);
	const char *freezer = cgroup_folder_of(opened->container->group, "freezer");
	int r = put_common(self, "dump.log", reterr);

	put_int(self, CRIU_PID, (uint64_t)opened->state.pid);
	put_text(self, CRIU_ROOT, opened->state.rootfs);
	put_text(self, CRIU_FREEZE_CGROUP, freezer ? freezer : cgroup_folder_of(opened->container->group, ""));
	put_outside_namespaces(self);
	if (r == 0)
		r = put_page_server(self, reterr);
	if (r == 0)
		r = put_parent(self, reterr);
	if (r < 0 || self->values.pre_dump)
		return r;
	put_mounts(self, folders, false);
	if (faccessat(opened->folder, NOTIFY_FOLDER, F_OK, 0) == 0)
		put_pair(self, CRIU_EXT_MNT, NOTIFY_INSIDE, NOTIFY_INSIDE);
	put_masks(self);
	return write_descriptors(self, (pid_t)opened->state.pid, reterr);
}

static int hear_dump(struct criu_message *message, void *user, struct err **reterr)
{
	const struct job *self = user;
	const struct json_opt_int *status = &self->values.status_fd;

	(void)reterr;
	if (strcmp(message->script, "status-ready") == 0 && status->set && write((int)status->value, "", 1) == 1)
		close((int)status->value);
	return 0;
}

/* The end of what CRIU wrote. The folder may be another's, and hold anything by that name. */
static size_t read_log_tail(const struct job *self, const char *name, char *out, size_t size)
{
	int dir = self->work_fd >= 0 ? self->work_fd : self->images_fd;
	_autoclose_ int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	ssize_t len = pread(fd, out, size, st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
	return len < 0 ? 0 : (size_t)len;
}

/* A line from "Error" on, what can't be printed left out. */
static void put_log_line(struct buf *out, const char *line, size_t len)
{
	buf_puts(out, ": ");
	for (size_t i = 0; i < len && i < LOG_LINE_MAX; i++)
		if ((unsigned char)line[i] >= ' ' && line[i] != 0x7f)
			buf_putc(out, line[i]);
}

/* ": Error (...): ...", the last of them. False: there is no such log, a configuration file may name another. */
static bool put_log_errors(const struct job *self, const char *name, struct buf *out)
{
	_cleanup_free_ char *text = malloc(LOG_TAIL);
	struct {
		const char *at;
		size_t len;
	} last[LOG_LINES];
	size_t count = 0, len = text ? read_log_tail(self, name, text, LOG_TAIL) : 0;

	for (const char *line = text, *end = text + len; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line)) ?: end;
		const char *error = memmem(line, (size_t)(stop - line), "Error", 5);
		if (error) {
			last[count % LOG_LINES].at = error;
			last[count++ % LOG_LINES].len = (size_t)(stop - error);
		}
		line = stop + 1;
	}
	for (size_t i = count > LOG_LINES ? count - LOG_LINES : 0; i < count; i++)
		put_log_line(out, last[i % LOG_LINES].at, last[i % LOG_LINES].len);
	return len > 0;
}

static int explain(const struct job *self, int ret, const char *log, const struct err *why, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf lines = BUF_INIT(LOG_LINES * (LOG_LINE_MAX + 4));

	if (!put_log_errors(self, log, &lines))
		return err_set(reterr, why ? why->kind : ERR_INTERNAL, -ret, "%s", err_message(why));
	return err_set(reterr, why ? why->kind : ERR_INTERNAL, -ret, "%s%s (the log is %s/%s)", err_message(why),
		lines.data ?: "", self->values.work_path ?: self->values.image_path, log);
}

static int run_criu(struct job *self, enum criu_type type, const int *fds, size_t fd_count, criu_notify_fn *notify,
	struct err **reterr)
{
	_autofree_(err) struct err *why = NULL;
	struct criu criu;
	int r = self->put < 0 ? err_errno(reterr, self->put, "cannot write the request to criu")
			      : criu_start(&criu, fds, fd_count, reterr);

	if (r < 0)
		return r;
	if (self->container)
		r = container_take_in(self->container, &self->spec, criu.pid, &why);
	if (r == 0)
		r = criu_run(&criu, type, &self->options, notify, self, &why);
	criu_finish(&criu);
	return r < 0 ? explain(self, r, type == CRIU_RESTORE ? "restore.log" : "dump.log", why, reterr) : 0;
}

static int dump(struct job *self, struct opened *opened, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	char path[64];

	if (opened->status != STATE_RUNNING && opened->status != STATE_PAUSED)
		return err_set(reterr, ERR_CONFLICT, 0, "Container cannot be checkpointed in %s state",
			state_status_name(opened->status));
	int r = bundle_read_spec(opened->folder, &self->spec, &text, reterr);
	if (r == 0)
		r = open_folders(self, true, reterr);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%lld/root", (long long)opened->state.pid);
	self->root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (self->root_fd < 0)
		return err_errno(reterr, -errno, "cannot look at the container's root");
	r = put_dump(self, opened, reterr);
	return r < 0 ? r
		     : run_criu(self, self->values.pre_dump ? CRIU_PRE_DUMP : CRIU_DUMP, NULL, 0, hear_dump, reterr);
}

int command_checkpoint(struct command *command, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	_cleanup_(job_finish) struct job self = JOB_INIT(command);
	int first;

	self.values.image_path = "checkpoint";
	int r = verb_line_parse(&checkpoint_line, command->argc, command->argv, &self.values, &first, reterr);
	if (r < 0 || first < 0)
		return r;
	r = state_open(command->root, command->argv[first], &opened, reterr);
	if (r == 0)
		r = dump(&self, &opened, reterr);
	if (r < 0 || self.values.leave_running || self.values.pre_dump)
		return r;
	return command_destroy(command, &opened, reterr);
}

/* ---- restore ---- */

static int read_bundle(struct job *self, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	int r = bundle_open(self->values.bundle, &self->bundle_fd, &self->bundle, reterr);

	if (r == 0)
		r = bundle_read_spec(self->bundle_fd, &self->spec, &text, reterr);
	if (r == 0 && (!self->spec.process || !self->spec.root || !self->spec.root->path))
		r = err_set(reterr, ERR_INVALID, 0, "the spec has no process or no root");
	bool has_socket = self->values.console_socket && *self->values.console_socket;
	if (r == 0 && self->values.detach && self->spec.process->terminal && !has_socket)
		r = err_set(reterr, ERR_INVALID, 0,
			"cannot allocate tty if runc will detach without setting console socket");
	if (r == 0 && has_socket)
		r = command_connect_console(self->values.console_socket, &self->console_socket, reterr);
	if (r == 0)
		r = state_folder_make(self->command->root, self->id, &self->folder, reterr);
	if (r < 0)
		return r;
	r = io_replace_file(self->folder, "config.json", text.data, text.len, false);
	if (r < 0)
		return err_errno(reterr, r, "cannot keep config.json");
	return notify_prepare(&self->spec, self->folder, self->command->root, self->id, reterr);
}

static int note_groups(char *const *folders, void *user)
{
	const struct job *self = user;

	return state_write_groups(self->folder, folders);
}

static int make_groups(struct job *self, struct err **reterr)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	struct container_options options = CONTAINER_OPTIONS_INIT;
	const struct command *command = self->command;

	options.id = self->id;
	options.needs_no_groups = command->is_rootless;
	options.cgroup_manager = command->cgroups;
	options.on_groups = note_groups;
	options.user_data = self;
	int r = container_make_groups(&self->spec, &options, &self->container, reterr);
	if (r == 0 && (r = cgroup_host_new(&host)) < 0)
		r = err_errno(reterr, r, "cannot look at the host's cgroups");
	for (size_t i = 0; r == 0 && i < cgroup_host_count(host); i++) {
		const struct cgroup_hierarchy *one = cgroup_host_get(host, i);
		strv_foreach (folder, container_groups(self->container))
			if (strncmp(*folder, one->mount, strlen(one->mount)) == 0 &&
				(*folder)[strlen(one->mount)] == '/')
				put_pair(self, CRIU_CG_ROOT, one->name, *folder + strlen(one->mount));
	}
	return r;
}

/* From here on "/" is a copy of the host's tree that nobody else sees. First of all: CRIU mounts in folders that we open for it. */
static int leave_host_mounts(struct err **reterr)
{
	int r = unshare(CLONE_NEWNS) < 0 ? -errno : mount_set_propagation_all(MS_PRIVATE);

	return r < 0 ? err_errno(reterr, r, "cannot make a mount namespace") : 0;
}

/* The root, bound onto itself. */
static int bind_root(struct job *self, struct err **reterr)
{
	const char *path = self->spec.root->path;
	char joined[PATH_MAX];

	if (snprintf(joined, sizeof(joined), "%s%s%s", path[0] == '/' ? "" : self->bundle, path[0] == '/' ? "" : "/",
		    path) >= (int)sizeof(joined))
		return err_set(reterr, ERR_INVALID, ENAMETOOLONG, "the path of the root is too long");
	self->root = realpath(joined, NULL);
	if (!self->root)
		return err_errno(reterr, -errno, "invalid rootfs %s", joined);
	int r = 0;
	_autoclose_ int target = open(self->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	self->root_fd = r < 0 || target < 0 ? -1 : mount_clone(target, "", true);
	if (r == 0)
		r = self->root_fd < 0 ? (target < 0 ? -errno : self->root_fd) : mount_attach(self->root_fd, target);
	return r < 0 ? err_errno(reterr, r, "cannot bind the root %s", self->root) : 0;
}

/* Places of mounts may lie in what is mounted before them: all is mounted once, by a process that ends with its namespace. */
static int make_places(const struct job *self)
{
	int r = unshare(CLONE_NEWNS) < 0 ? -errno : 0;
	/* Opened here: a descriptor from before is of another namespace's mounts. */
	_autoclose_ int root = open(self->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int bundle = open(self->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);

	for (size_t i = 0; r == 0 && i < self->spec.mount_count; i++) {
		const struct oci_mount *mount = &self->spec.mounts[i];
		int dir = mount->source && mount->source[0] == '/' ? AT_FDCWD : bundle;
		struct stat st = { .st_mode = S_IFDIR };
		int fd = is_bind(mount) ? mount_clone(dir, mount->source ?: "", false)
					: mount_new("tmpfs", "tmpfs", NULL, 0, 0, NULL);
		if (fd < 0 || fstat(fd, &st) < 0)
			return fd < 0 ? fd : -errno;
		int target = inroot_mount_target(root, mount->destination, S_ISDIR(st.st_mode));
		r = target < 0 ? target : mount_attach(fd, target);
		fd_close(&fd);
		fd_close(&target);
	}
	return r;
}

/*
 * What lies outside CRIU binds anew, and leaves it writable now and then: the root, and what is the second bind of one filesystem. What
 * the document restricts is restricted again, before anything of the container runs.
 */
static int restrict_mount(int root, const char *place, const struct mount_attrs *attrs)
{
	_autoclose_ int fd = inroot_open(root, place, O_PATH);
	int r = fd < 0 ? fd : mount_change(fd, attrs);

	return r == -ENOENT || r == -EINVAL ? 0 : r; /* it was away at the checkpoint */
}

static int restrict_bind(int root, const struct oci_mount *mount)
{
	_autofree_(strv) char **strings = NULL;
	struct mount_words words = { 0 };

	if (mount_words_parse(mount->options, &strings, &words, NULL) < 0)
		return -EINVAL;
	free(words.data);
	const struct mount_attrs one = { .set = words.attrs.set },
				 all = { .set = words.recursive_attrs.set, .recursive = true };
	int r = one.set ? restrict_mount(root, mount->destination, &one) : 0;
	return r == 0 && all.set ? restrict_mount(root, mount->destination, &all) : r;
}

static int restrict_mounts(const struct job *self)
{
	static const struct mount_attrs readonly = { .set = MOUNT_ATTR_RDONLY },
					masked = { .set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	_autoclose_ int pidfd = (int)syscall(SYS_pidfd_open, self->pid, 0);
	int r = pidfd < 0 || setns(pidfd, CLONE_NEWNS) < 0 ? -errno : 0;
	_autoclose_ int root = r < 0 ? -1 : open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (r == 0 && root < 0)
		r = -errno;
	for (size_t i = 0; r == 0 && i < self->spec.mount_count; i++)
		if (is_bind(&self->spec.mounts[i]))
			r = restrict_bind(root, &self->spec.mounts[i]);
	strv_foreach (path, self->spec.linux_config.masked_paths)
		r = r ?: restrict_mount(root, *path, &masked);
	return r == 0 && self->spec.root->readonly ? mount_change(root, &readonly) : r;
}

/* In a process of its own, which may go where it can't come back from. */
static int do_aside(const struct job *self, int (*deed)(const struct job *self), const char *what, struct err **reterr)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(-deed(self));
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return err_errno(reterr, -errno, "cannot %s", what);
	return status == 0 ? 0
			   : err_errno(reterr, WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD, "cannot %s", what);
}

/* CRIU has the descriptors as 4, 5, ... What it has no such word for at the checkpoint it restored into one of its own, were it not
 * told to join. */
static int put_joined_namespaces(struct job *self, int *fds, size_t *count, struct err **reterr)
{
	for (size_t i = 0; i < self->spec.linux_config.namespace_count; i++) {
		const struct oci_namespace *one = &self->spec.linux_config.namespaces[i];
		if (one->path && *one->path && (strcmp(one->type, "ipc") == 0 || strcmp(one->type, "uts") == 0))
			put_pair(self, CRIU_JOIN_NS, one->type, one->path);
		for (size_t k = 0; k < ARRAY_SIZE(outside_namespaces); k++) {
			if (!one->path || !*one->path || strcmp(one->type, outside_namespaces[k].type) != 0)
				continue;
			int fd = *count < ARRAY_SIZE(outside_namespaces) ? open(one->path, O_RDONLY | O_CLOEXEC) : -1;
			if (fd < 0)
				return err_errno(reterr, -errno, "cannot open the %s namespace %s", one->type,
					one->path);
			self->put = self->put
					    ?: criu_put_numbered(&self->options, CRIU_INHERIT_FD,
						       outside_namespaces[k].key, 4 + *count);
			fds[(*count)++] = fd;
		}
	}
	return 0;
}

/* What were pipes to the container are our standard descriptors now. */
static int put_pipes(struct job *self, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(DESCRIPTORS_MAX);
	_autojson_ json_t *list = NULL;
	int r = io_read_file(self->images_fd, "descriptors.json", &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot read descriptors.json of the checkpoint");
	r = json_load(text.data ? text.data : "", text.len, &list, reterr);
	for (size_t i = 0; r == 0 && i < json_array_size(list) && i < 3; i++) {
		const char *target = json_string_value(json_array_get(list, i));
		if (target && strstr(target, "pipe:"))
			self->put = self->put ?: criu_put_numbered(&self->options, CRIU_INHERIT_FD, target, i);
	}
	return r;
}

static int run_create_hooks(const struct job *self, pid_t pid, struct err **reterr)
{
	const struct oci_hooks *hooks = &self->spec.hooks;
	const struct map *annotations = self->spec.annotations;
	_cleanup_free_ char *created = hooks_state_json(self->id, "created", pid, self->bundle, annotations);
	_cleanup_free_ char *creating = hooks_state_json(self->id, "creating", pid, self->bundle, annotations);

	if (!created || !creating)
		return err_oom(reterr);
	int r = hooks_run(hooks->prestart, hooks->prestart_count, "prestart", created, self->bundle, reterr);
	return r < 0 ? r
		     : hooks_run(hooks->create_runtime, hooks->create_runtime_count, "createRuntime", creating,
			       self->bundle, reterr);
}

static int hear_restore(struct criu_message *message, void *user, struct err **reterr)
{
	struct job *self = user;

	if (strcmp(message->script, "setup-namespaces") == 0)
		return run_create_hooks(self, (pid_t)message->pid, reterr);
	if (strcmp(message->script, "post-restore") == 0) {
		self->pid = (pid_t)message->pid;
		return do_aside(self, restrict_mounts, "restrict the restored mounts", reterr);
	}
	if (strcmp(message->script, "orphan-pts-master") == 0 && message->fd >= 0)
		return console_deliver(self->console_socket, TAKE_FD(message->fd), &self->console_fd, reterr);
	return 0;
}

static int revive(struct job *self, struct err **reterr)
{
	int fds[ARRAY_SIZE(outside_namespaces)];
	size_t count = 0;
	int r = put_common(self, "restore.log", reterr);

	put_int(self, CRIU_EVASIVE_DEVICES, true);
	put_int(self, CRIU_RST_SIBLING, true);
	put_text(self, CRIU_ROOT, self->root);
	put_text(self, CRIU_LSM_PROFILE, self->values.lsm_profile);
	put_text(self, CRIU_LSM_MOUNT_CONTEXT, self->values.lsm_mount_context);
	put_mounts(self, container_groups(self->container), true);
	if (self->spec.linux_config.masked_paths)
		put_pair(self, CRIU_EXT_MNT, "/dev/null", "/dev/null");
	if (r == 0)
		r = put_pipes(self, reterr);
	if (r == 0)
		r = put_joined_namespaces(self, fds, &count, reterr);
	if (r == 0)
		r = run_criu(self, CRIU_RESTORE, fds, count, hear_restore, reterr);
	while (count > 0)
		fd_close(&fds[--count]);
	if (r == 0 && self->pid <= 0)
		r = err_set(reterr, ERR_INTERNAL, EPROTO, "criu named no restored process");
	return r;
}

static int save(const struct job *self, struct err **reterr)
{
	char created[CLOCK_RFC3339_MAX];
	struct saved_state state = { .id = (char *)self->id,
		.pid = self->pid,
		.mark = process_mark(self->pid, -1),
		.bundle = self->bundle,
		.created = created,
		.annotations = self->spec.annotations,
		.rootfs = self->spec.root->path };

	clock_format_rfc3339(clock_realtime_ns(), created);
	if (state.mark < 0)
		return err_errno(reterr, (int)state.mark, "cannot look at the restored process");
	int r = state_write(self->folder, &state, reterr);
	return r < 0 ? r : command_write_pid_file(self->values.pid_file, self->pid, reterr);
}

static int restore(struct job *self, struct err **reterr)
{
	int r = state_check_id(self->id, reterr);

	if (r == 0)
		r = leave_host_mounts(reterr);
	if (r == 0)
		r = open_folders(self, false, reterr);
	if (r == 0)
		r = read_bundle(self, reterr);
	if (r == 0)
		r = make_groups(self, reterr);
	if (r == 0)
		r = bind_root(self, reterr);
	if (r == 0)
		r = do_aside(self, make_places, "make the places of mounts", reterr);
	if (r == 0)
		r = revive(self, reterr);
	if (r == 0)
		r = container_groups_done(self->container, &self->spec, reterr);
	return r < 0 ? r : save(self, reterr);
}

/* The folder is ours if it was made by us. */
static void undo(struct job *self)
{
	if (self->container)
		container_destroy(self->container, DESTROY_TIMEOUT_MS, NULL);
	if (self->folder >= 0)
		state_folder_remove(self->command->root, self->id);
}

static int wait_and_delete(struct job *self, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	int r = state_open(self->command->root, self->id, &opened, reterr);

	if (r == 0)
		r = foreground_wait(self->pid, container_pidfd(opened.container), self->console_fd, NULL,
			&self->command->exit_code, reterr);
	return r < 0 ? r : command_destroy(self->command, &opened, reterr);
}

int command_restore(struct command *command, struct err **reterr)
{
	_cleanup_(job_finish) struct job self = JOB_INIT(command);
	int first;

	self.values.image_path = "checkpoint";
	int r = verb_line_parse(&restore_line, command->argc, command->argv, &self.values, &first, reterr);
	if (r < 0 || first < 0)
		return r;
	self.id = command->argv[first];
	if (!self.values.no_subreaper)
		prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0,
			0); /* CRIU has helpers, which it does not wait for if it fails */
	if (!self.values.detach)
		foreground_prepare();
	r = restore(&self, reterr);
	if (r < 0) {
		undo(&self);
		return err_wrap(reterr, r, "restore failed");
	}
	return self.values.detach ? 0 : wait_and_delete(&self, reterr);
}
