/*
 * A monitor is known either as our child or, if a tared before us started it, by a connection to its monitor.sock on which
 * nothing is ever said: its hang-up is the monitor's death. It shows no status, but a monitor that ends in peace takes its
 * socket away.
 *
 * When one is gone without status 0, its folder is looked at (monitor_look):
 *
 *	we know another monitor of it             that one is looked after already: done
 *	somebody answers on monitor.sock          another monitor has the container: adopt that one
 *	monitor.lock is held                      one is about to listen, or does not accept: look again later
 *	neither state.json nor cgroup is there    nothing was begun, nothing is left: done
 *	neither monitor.sock nor cgroup is there  the last one ended in peace, and nothing is left: done
 *	else                                      start it again with --recover, which ends what is left of the container
 *
 * A monitor that keeps dying in recovery, RECOVERIES_MAX times in RECOVERY_WINDOW_MS, leaves us the minimum: hold the lock
 * so that no other starts, kill the groups that `cgroup` names until they are empty, remove them, say so.
 *
 * A crash of tared at any point: the next one looks at every folder again.
 */
#include "holder/monitors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strv.h"
#include "sys/channel.h"
#include "sys/remains.h"

#define RECOVERIES_MAX     3
#define RECOVERY_WINDOW_MS 10000

#define LOOK_AGAIN_MS       200
#define REMAINS_LOOK_MS     20
#define REMAINS_PATIENCE_MS 30000

struct monitor {
	struct list link;
	struct monitors *all;
	char *id;
	char **argv;
	int folder_fd;

	pid_t pid; /* while it is our child; then 0 */
	pid_t last_pid;
	int last_status;

	int connection_fd; /* to an adopted one */
	struct loop_source *connection;

	struct loop_source *timer; /* runs `on_timer` */
	void (*on_timer)(struct monitor *monitor);
	int64_t recovered_ms[RECOVERIES_MAX]; /* a ring */
	unsigned recoveries;

	int lock_fd; /* while we end the container ourselves */
	struct remains *remains;
	int64_t give_up_ms;
};

struct monitors {
	struct monitors_config config;
	struct list list;
};

static void monitor_look(struct monitor *monitor);

int monitors_new(const struct monitors_config *config, struct monitors **ret, struct err **reterr)
{
	struct monitors *monitors = calloc(1, sizeof *monitors);
	if (!monitors)
		return err_oom(reterr);
	monitors->config = *config;
	list_init(&monitors->list);
	*ret = monitors;
	return 0;
}

static void monitor_disconnect(struct monitor *monitor)
{
	loop_source_free(TAKE(monitor->connection));
	fd_close(&monitor->connection_fd);
}

static void monitor_free(struct monitor *monitor)
{
	if (!monitor)
		return;
	list_remove(&monitor->link);
	monitor_disconnect(monitor);
	loop_source_free(monitor->timer);
	remains_free(monitor->remains);
	fd_close(&monitor->lock_fd);
	fd_close(&monitor->folder_fd);
	strv_free(monitor->argv);
	free(monitor->id);
	free(monitor);
}
DEFINE_AUTOFREE(monitor, struct monitor *, monitor_free);

void monitors_free(struct monitors *monitors)
{
	if (!monitors)
		return;
	struct monitor *monitor, *following;
	list_foreach_safe (monitor, following, &monitors->list, link)
		monitor_free(monitor);
	free(monitors);
}

static void monitor_timer_fired(struct loop_source *source, void *data)
{
	(void)source;
	struct monitor *monitor = data;
	monitor->on_timer(monitor);
}

static void monitor_call_later(struct monitor *monitor, int64_t delay_ms, void (*fn)(struct monitor *monitor))
{
	monitor->on_timer = fn;
	loop_timer_set(monitor->timer, clock_monotonic_ms() + delay_ms);
}

static char **monitor_default_argv(const struct options *options, const char *id)
{
	const char *const words[] = { "tare-monitor", "--exec-root", options->exec_root, "--data-root",
		options->data_root, "--id", id };
	_autofree_(strv) char **argv = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strv_append(&argv, words[i]) < 0)
			return NULL;
	return TAKE(argv);
}

/* `argv` NULL: the usual one. */
static int monitor_new(struct monitors *monitors, const char *id, char *const *argv, struct monitor **ret)
{
	_autofree_(monitor) struct monitor *monitor = calloc(1, sizeof *monitor);
	if (!monitor)
		return -ENOMEM;
	list_init(&monitor->link);
	monitor->all = monitors;
	monitor->folder_fd = monitor->connection_fd = monitor->lock_fd = -1;
	monitor->id = strdup(id);
	monitor->argv = argv ? strv_copy(argv) : monitor_default_argv(monitors->config.options, id);
	if (!monitor->id || !monitor->argv)
		return -ENOMEM;
	int r = loop_add_timer(monitors->config.loop, LOOP_NEVER, monitor_timer_fired, monitor, &monitor->timer);
	if (r < 0)
		return r;
	list_append(&monitors->list, &monitor->link);
	*ret = TAKE(monitor);
	return 0;
}

/* Its end, as far as we are concerned. */
static void monitor_done(struct monitor *monitor)
{
	const struct monitors_config *config = &monitor->all->config;
	if (monitor->last_pid > 0)
		config->on_ended(monitor->id, monitor->last_pid, monitor->last_status, config->user);
	monitor_free(monitor);
}

/* Connection to an adopted one */

static void monitor_on_connection(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct monitor *monitor = data;
	char ignored[16];
	ssize_t n = recv(monitor->connection_fd, ignored, sizeof ignored, MSG_DONTWAIT);
	if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET)))
		return; /* after a reset the next look finds the end */
	monitor_disconnect(monitor);
	log_debug("the monitor of %s hung up", monitor->id);
	monitor_look(monitor);
}

static int monitor_connect(struct monitor *monitor)
{
	int r = channel_connect(monitor->folder_fd, "monitor.sock", &monitor->connection_fd);
	if (r < 0)
		return r;
	r = loop_add_fd(monitor->all->config.loop, monitor->connection_fd, EPOLLIN | EPOLLRDHUP, monitor_on_connection,
		monitor, &monitor->connection);
	if (r < 0)
		monitor_disconnect(monitor);
	return r;
}

/* Recovery */

/* -EWOULDBLOCK: a monitor holds it; -ENOENT: none ever did. */
static int monitor_try_lock(const struct monitor *monitor, int open_flags, int *ret_fd)
{
	_autoclose_ int fd = openat(monitor->folder_fd, "monitor.lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW | open_flags,
		0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static void monitor_end_tick(struct monitor *monitor)
{
	int r = remains_kill(monitor->remains);
	if (r == -EAGAIN && clock_monotonic_ms() < monitor->give_up_ms) {
		monitor_call_later(monitor, REMAINS_LOOK_MS, monitor_end_tick);
		return;
	}
	if (r < 0)
		log_error("container %s: its processes can't be ended: %s", monitor->id, strerror(-r));
	else
		log_error("container %s: its monitor can't recover, so its processes were ended", monitor->id);
	monitor_done(monitor);
}

static void monitor_end_by_force(struct monitor *monitor)
{
	int r = monitor_try_lock(monitor, O_CREAT, &monitor->lock_fd);
	if (r == -EWOULDBLOCK) {
		monitor_call_later(monitor, LOOK_AGAIN_MS, monitor_look);
		return;
	}
	if (r == 0)
		r = remains_read(monitor->folder_fd, &monitor->remains);
	if (r < 0) {
		log_error("container %s: its groups are not known: %s", monitor->id, strerror(-r));
		monitor_done(monitor);
		return;
	}
	monitor->give_up_ms = clock_monotonic_ms() + REMAINS_PATIENCE_MS;
	monitor_end_tick(monitor);
}

static bool monitor_recovers_too_often(struct monitor *monitor)
{
	int64_t now_ms = clock_monotonic_ms();
	int64_t *slot = &monitor->recovered_ms[monitor->recoveries % RECOVERIES_MAX];
	if (monitor->recoveries >= RECOVERIES_MAX && now_ms - *slot < RECOVERY_WINDOW_MS)
		return true;
	*slot = now_ms;
	monitor->recoveries++;
	return false;
}

static void monitor_recover(struct monitor *monitor)
{
	if (monitor_recovers_too_often(monitor)) {
		monitor_end_by_force(monitor);
		return;
	}
	int r = 0;
	if (!strv_has(monitor->argv, "--recover"))
		r = strv_append(&monitor->argv, "--recover");
	if (r == 0)
		r = programs_spawn(monitor->all->config.programs, HOLDER_MONITOR, monitor->argv, NULL, 0,
			&monitor->pid);
	if (r < 0) {
		log_error("container %s: cannot run a monitor to recover it: %s", monitor->id, strerror(-r));
		monitor_call_later(monitor, LOOK_AGAIN_MS, monitor_look);
		return;
	}
	monitor->last_pid = monitor->pid;
	log_warn("container %s: its monitor is gone, process %d recovers it", monitor->id, monitor->pid);
}

static bool has_file(int folder_fd, const char *name)
{
	struct stat st;
	return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static int monitor_open_folder(struct monitor *monitor)
{
	fd_close(&monitor->folder_fd); /* it may have been removed and made again */
	monitor->folder_fd = openat(monitor->all->config.containers_fd, monitor->id,
		O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	return monitor->folder_fd < 0 ? -errno : 0;
}

static bool monitor_has_twin(const struct monitor *monitor)
{
	const struct monitor *other;
	list_foreach (other, &monitor->all->list, link)
		if (other != monitor && strcmp(other->id, monitor->id) == 0)
			return true;
	return false;
}

static void monitor_look(struct monitor *monitor)
{
	if (monitor_has_twin(monitor)) {
		monitor_done(monitor);
		return;
	}
	int r = monitor_open_folder(monitor);
	if (r < 0) {
		if (r != -ENOENT)
			log_error("container %s: cannot open its folder: %s", monitor->id, strerror(-r));
		monitor_done(monitor);
		return;
	}
	r = monitor_connect(monitor);
	if (r == 0)
		return;
	_autoclose_ int lock_fd = -1;
	if (r == -EAGAIN || monitor_try_lock(monitor, 0, &lock_fd) == -EWOULDBLOCK)
		monitor_call_later(monitor, LOOK_AGAIN_MS, monitor_look);
	else if ((r == -ENOENT || !has_file(monitor->folder_fd, "state.json")) &&
		 !has_file(monitor->folder_fd, "cgroup"))
		monitor_done(monitor);
	else {
		fd_close(&lock_fd); /* the monitor takes it itself */
		monitor_recover(monitor);
	}
}

/* From outside */

int monitors_start(struct monitors *monitors, const char *id, char *const *argv, const int *fds, size_t fd_count,
	pid_t *ret_pid)
{
	struct monitor *monitor;
	if (id[0] == '.') /* would be another folder */
		return -EINVAL;
	int r = monitor_new(monitors, id, argv, &monitor);
	if (r < 0)
		return r;
	r = programs_spawn(monitors->config.programs, HOLDER_MONITOR, argv, fds, fd_count, &monitor->pid);
	if (r < 0) {
		monitor_free(monitor);
		return r;
	}
	*ret_pid = monitor->last_pid = monitor->pid;
	return 0;
}

static struct monitor *monitor_of_pid(const struct monitors *monitors, pid_t pid)
{
	struct monitor *monitor;
	list_foreach (monitor, &monitors->list, link)
		if (monitor->pid == pid)
			return monitor;
	return NULL;
}

bool monitors_reaped(struct monitors *monitors, pid_t pid, int status)
{
	struct monitor *monitor = monitor_of_pid(monitors, pid);
	if (!monitor)
		return false;
	monitor->pid = 0;
	monitor->last_status = status;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		monitor_done(monitor);
	else
		monitor_look(monitor);
	return true;
}

int monitors_adopt(struct monitors *monitors, struct err **reterr)
{
	int fd = openat(monitors->config.containers_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *folder = fd < 0 ? NULL : fdopendir(fd);
	if (!folder) {
		int r = -errno;
		fd_close(&fd);
		return err_errno(reterr, r, "cannot read %s/containers", monitors->config.options->exec_root);
	}
	int r = 0;
	for (struct dirent *entry; r == 0 && (entry = readdir(folder));) {
		struct monitor *monitor;
		if (entry->d_name[0] == '.')
			continue;
		r = monitor_new(monitors, entry->d_name, NULL, &monitor);
		if (r == 0)
			monitor_look(monitor);
	}
	closedir(folder);
	return r < 0 ? err_oom(reterr) : 0;
}
