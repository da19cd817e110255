/*
 * What /sys/fs/cgroup shows: v2 itself where it is alone, else a folder for each hierarchy, v2's too if it has controllers.
 * With a cgroup namespace each is mounted anew and shows the container's group as its root; without one the group's folder is
 * bound, or the host's other groups would be seen.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>

#include "runtime/child.h"
#include "sys/inroot.h"

static int view_mount(struct child *child, const struct plan_cgroup_view *view, uint64_t attrs)
{
	const char *type = view->is_v2 ? "cgroup2" : "cgroup";
	const struct mount_attrs change = { .set = attrs };
	int fd = -EPERM;

	if (view->is_writable)
		attrs &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	if (child->plan->new_cgroup_namespace)
		fd = mount_new(type, type, view->options, view->option_count, attrs, NULL);
	if (fd >= 0)
		return fd;
	/* No namespace, or a user namespace that may not mount this hierarchy. */
	fd = view->folder ? mount_clone(AT_FDCWD, view->folder, false) : -ENOENT;
	int r = fd < 0 ? fd : mount_change(fd, &change);
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "cgroup %s", view->is_v2 ? "(v2)" : view->name);
	return fd;
}

static void mount_v2(struct child *child, const struct plan_mount *mount, int target)
{
	for (size_t i = 0; i < child->plan->cgroup_view_count; i++) {
		const struct plan_cgroup_view *view = &child->plan->cgroup_views[i];
		if (!view->is_v2)
			continue;
		int fd = view_mount(child, view, mount->attrs.set);
		child_attach(child, fd, target, STAGE_MOUNT, mount->destination);
		fd_close(&fd);
		return;
	}
	child_fail(child, STAGE_MOUNT, ENODEV, "\"cgroup2\" to rootfs at \"%s\"", mount->destination);
}

static void make_places(struct child *child, const struct plan_cgroup_view *view, int tmpfs)
{
	if (mkdirat(tmpfs, view->name, 0755) < 0)
		child_fail(child, STAGE_MOUNT, errno, "cgroup %s", view->name);
	for (char *const *alias = view->aliases; alias && *alias; alias++)
		if (symlinkat(view->name, tmpfs, *alias) < 0 && errno != EEXIST)
			child_fail(child, STAGE_MOUNT, errno, "cgroup %s", *alias);
}

static void mount_view_below(struct child *child, const struct plan_cgroup_view *view, int tmpfs, uint64_t attrs)
{
	int target = inroot_plain_dir(tmpfs, view->name);

	if (target < 0)
		child_fail(child, STAGE_MOUNT, target, "cgroup %s", view->name);
	int fd = view_mount(child, view, attrs);
	child_attach(child, fd, target, STAGE_MOUNT, view->name);
	fd_close(&fd);
	fd_close(&target);
}

/* Folders and links first, so that it is as it stays when it is attached. */
static void mount_all(struct child *child, const struct plan_mount *mount, int target)
{
	static const struct mount_option options[] = { { "mode", "755" } };
	const struct mount_attrs readonly = { .set = mount->attrs.set & MOUNT_ATTR_RDONLY };
	uint64_t attrs = mount->attrs.set & ~(uint64_t)MOUNT_ATTR_RDONLY;
	int tmpfs = mount_new("tmpfs", "tmpfs", options, 1, attrs, NULL);

	if (tmpfs < 0)
		child_fail(child, STAGE_MOUNT, tmpfs, "\"tmpfs\" to rootfs at \"%s\"", mount->destination);
	for (size_t i = 0; i < child->plan->cgroup_view_count; i++)
		if (child->plan->cgroup_views[i].name)
			make_places(child, &child->plan->cgroup_views[i], tmpfs);
	int r = mount_change(tmpfs, &readonly);
	if (r < 0)
		child_fail(child, STAGE_MOUNT, r, "\"tmpfs\" to rootfs at \"%s\"", mount->destination);
	child_attach(child, tmpfs, target, STAGE_MOUNT, mount->destination);
	for (size_t i = 0; i < child->plan->cgroup_view_count; i++)
		if (child->plan->cgroup_views[i].name)
			mount_view_below(child, &child->plan->cgroup_views[i], tmpfs, mount->attrs.set);
	fd_close(&tmpfs);
}

void child_cgroup_mount(struct child *child, const struct plan_mount *mount, int target)
{
	if (child->plan->cgroup_v2_only || strcmp(mount->type, "cgroup2") == 0)
		mount_v2(child, mount, target);
	else
		mount_all(child, mount, target);
}
