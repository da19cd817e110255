/*
 * How the second run knows that it is the second: its executable lies on a read-only mount that is nowhere in the mount
 * table, or on a sealed memfd; both are facts about /proc/self/exe that a caller can't fake by an environment variable.
 */
#include "sys/selfexe.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/cleanup.h"
#include "sys/mounts.h"
#include "sys/sealed.h"

int selfexe_readonly_view(int fd)
{
	const struct mount_attrs readonly = { .set = MOUNT_ATTR_RDONLY };
	_autoclose_ int view = mount_clone(fd, "", false);

	if (view < 0)
		return view;
	int r = mount_change(view, &readonly);
	return r < 0 ? r : TAKE_FD(view);
}

/* A mount that is in no mount table has no path: getting one gives "/" alone, for the root of a detached file mount. */
static bool runs_protected(int exe)
{
	struct statvfs fs;
	char path[64];

	int seals = fcntl(exe, F_GET_SEALS);
	if (seals >= 0 && seals & F_SEAL_WRITE && seals & F_SEAL_SEAL)
		return true;
	if (fstatvfs(exe, &fs) < 0 || !(fs.f_flag & ST_RDONLY))
		return false;
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));
	return len == 1 && path[0] == '/';
}

static bool is_view(int fd, int exe)
{
	struct statx one, other;

	return statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &one) == 0 &&
	       statx(exe, "", AT_EMPTY_PATH, STATX_MNT_ID, &other) == 0 && one.stx_mnt_id == other.stx_mnt_id;
}

/* Where something else is there already, the view goes with the execution. */
static void hand_on(int view)
{
	int fd = fcntl(view, F_DUPFD, SELFEXE_VIEW_FD);

	if (fd >= 0 && fd != SELFEXE_VIEW_FD)
		close(fd);
}

int selfexe_protect(char **argv, int *ret_view)
{
	_autoclose_ int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	*ret_view = -1;
	if (exe < 0)
		return -errno;
	if (runs_protected(exe)) {
		*ret_view = is_view(SELFEXE_VIEW_FD, exe) ? SELFEXE_VIEW_FD : -1;
		return 0;
	}
	_autoclose_ int view = selfexe_readonly_view(exe);
	if (view < 0) {
		int r = sealed_copy(exe, "tare", &view);
		if (r < 0)
			return r;
	}
	hand_on(view);
	execveat(view, "", argv, environ, AT_EMPTY_PATH);
	return -errno;
}
