/*
 * Who has no right to mounts can't make trees before there is a user namespace. What an ordinary user binds, the root among it,
 * is looked at here, and made a tree of by the child, in its own copy of the host's tree, before it touches the container's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/strv.h"
#include "runtime/plan.h"
#include "sys/procfs.h"

static int absolute(struct plan *plan, const char *path, const struct container_options *options, const char **ret)
{
	const char *bundle = options->bundle_path ? options->bundle_path : "";

	*ret = path;
	if (path[0] == '/')
		return 0;
	int r = strv_appendf(&plan->strings, "%s/%s", bundle, path);
	if (r == 0)
		*ret = plan->strings[strv_count(plan->strings) - 1];
	return r;
}

bool plan_is_of_sys(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 &&
	       (fs.f_type == SYSFS_MAGIC || fs.f_type == CGROUP_SUPER_MAGIC || fs.f_type == CGROUP2_SUPER_MAGIC);
}

int plan_late_tree(struct plan *plan, const char *path, const struct container_options *options, int *slot,
	mode_t *ret_mode, struct plan_late **ret, struct err **reterr)
{
	struct plan_late *grown = reallocarray(plan->late, plan->late_count + 1, sizeof(*grown));
	struct stat st;

	if (!grown)
		return err_oom(reterr);
	plan->late = grown;
	struct plan_late *late = &grown[plan->late_count];
	*late = (struct plan_late){ .slot = slot, .is_recursive = true };
	if (absolute(plan, path, options, &late->path) < 0)
		return err_oom(reterr);
	_autoclose_ int fd = open(late->path, O_PATH | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_errno(reterr, -errno, "cannot look at %s", path);
	late->device = st.st_rdev;
	late->is_proc_root = procfs_is_root(fd);
	late->is_of_sys = plan_is_of_sys(fd);
	*ret_mode = st.st_mode;
	*ret = late;
	plan->late_count++;
	return 0;
}
