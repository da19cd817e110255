/*
 * Namespaces of other containers. Their init is named by their own state.json; a pid that another process has by now is
 * told from it by its start time, and the descriptor is taken before that is looked at.
 *
 * To share memory is to share the IPC namespace and /dev/shm. A mount can be copied only from inside its own mount
 * namespace: a child goes there and leaves the copy in our descriptor table, which it shares. That namespace belongs to the
 * other container, so what lies at its /dev/shm is taken only if it is a tmpfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "base/io.h"
#include "monitor/hostproc.h"
#include "monitor/monitor.h"
#include "monitor/prepare.h"
#include "spec/runstate.h"
#include "sys/mounts.h"
#include "sys/namespaces.h"

#define SHM_TARGET "/dev/shm"

static int read_state(const struct monitor *monitor, const char *id, struct runstate *ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/containers/%s", monitor->options.exec_root, id) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	_autoclose_ int folder = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = folder < 0 ? -errno : io_read_file(folder, "state.json", &text);
	if (r == -ENOENT)
		return err_set(reterr, ERR_CONFLICT, 0, "container %s is not running", id);
	if (r < 0)
		return err_errno(reterr, r, "cannot read the state of container %s", id);
	return runstate_parse(text.data ?: "", text.len, ret, reterr);
}

static int open_init(const struct runstate *state)
{
	uint64_t start_time = 0;
	if (!runstate_is_running(state) || state->pid <= 0)
		return -ESRCH;
	_autoclose_ int pidfd = (int)syscall(SYS_pidfd_open, (pid_t)state->pid, 0);
	if (pidfd < 0)
		return -errno;
	int ret = hostproc_start_time((pid_t)state->pid, &start_time);
	if (ret < 0 || start_time != state->init_start_time)
		return -ESRCH;
	return TAKE_FD(pidfd);
}

static int add_join(struct monitor *monitor, struct prepared *prepared, const char *id, unsigned long clone_flag,
	struct err **reterr)
{
	struct runstate state;
	if (!id || !*id)
		return 0;
	int ret = read_state(monitor, id, &state, reterr);
	if (ret < 0)
		return ret;
	int pidfd = open_init(&state);
	runstate_finish(&state);
	if (pidfd < 0)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot join the namespace of a non running container: %s", id);
	prepared->joins[prepared->options.join_count++] = (struct container_join){ clone_flag, pidfd };
	return 0;
}

static bool is_tmpfs(int fd)
{
	struct statfs st;
	return fstatfs(fd, &st) == 0 && st.f_type == TMPFS_MAGIC;
}

/* In the child, which shares our descriptors and nothing else. Returns an errno. */
static int clone_shm(int pidfd, int slot)
{
	if (setns(pidfd, CLONE_NEWNS) < 0)
		return errno;
	int fd = mount_clone(AT_FDCWD, SHM_TARGET, false);
	if (fd < 0)
		return -fd;
	int ret = !is_tmpfs(fd) ? EINVAL : dup3(fd, slot, O_CLOEXEC) < 0 ? errno : 0;
	close(fd);
	return ret;
}

/* Returns a detached mount, or -errno. */
static int take_shm(int pidfd)
{
	_autoclose_ int slot = open("/dev/null", O_PATH | O_CLOEXEC), child = -1;
	siginfo_t info = { 0 };

	if (slot < 0)
		return -errno;
	pid_t pid = process_clone(CLONE_FILES, -1, &child);
	if (pid == 0)
		_exit(clone_shm(pidfd, slot));
	if (pid < 0)
		return pid;
	while (waitid(P_PIDFD, (id_t)child, &info, WEXITED) < 0)
		if (errno != EINTR)
			return -errno;
	if (info.si_code != CLD_EXITED)
		return -EIO;
	return info.si_status ? -info.si_status : TAKE_FD(slot);
}

static int join_shm(struct monitor *monitor, struct prepared *prepared, int pidfd, struct err **reterr)
{
	if (prepare_has_mount(monitor, SHM_TARGET))
		return 0;
	prepared->shm_fd = take_shm(pidfd);
	if (prepared->shm_fd < 0)
		return err_errno(reterr, prepared->shm_fd, "cannot share " SHM_TARGET " of container %s",
			monitor->launch.join.ipc);
	prepared->files[prepared->options.file_count++] = (struct container_file){
		.source_fd = prepared->shm_fd,
		.target = SHM_TARGET,
	};
	return 0;
}

int prepare_joins(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch_join *join = &monitor->launch.join;
	int ret = add_join(monitor, prepared, join->network, CLONE_NEWNET, reterr);
	if (ret == 0)
		ret = add_join(monitor, prepared, join->ipc, CLONE_NEWIPC, reterr);
	if (ret == 0 && join->ipc && *join->ipc)
		ret = join_shm(monitor, prepared, prepared->joins[prepared->options.join_count - 1].pidfd, reterr);
	if (ret == 0)
		ret = add_join(monitor, prepared, join->pid, CLONE_NEWPID, reterr);
	return ret;
}
