/*
 * What lies in /dev: the nodes that every container has, and the document's. mknod is not for user namespaces: their nodes are bound,
 * the host's own or one made on a filesystem that nobody else sees; who has no right to mounts leaves that to the child (plan_late.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/strv.h"
#include "runtime/id_maps.h"
#include "runtime/plan.h"

static const struct {
	const char *path;
	unsigned major;
	unsigned minor;
} default_devices[] = { { "/dev/null", 1, 3 }, { "/dev/zero", 1, 5 }, { "/dev/full", 1, 7 }, { "/dev/random", 1, 8 },
	{ "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 } };

const char *plan_default_device(size_t index)
{
	return index < ARRAY_SIZE(default_devices) ? default_devices[index].path : NULL;
}

static void add_device(struct plan *plan, struct plan_device device)
{
	device.tree_fd = -1;
	for (size_t i = 0; i < plan->device_count; i++)
		if (strcmp(plan->devices[i].path, device.path) == 0) {
			plan->devices[i] = device; /* the spec's wins over the default */
			return;
		}
	plan->devices[plan->device_count++] = device;
}

static int device_type(const char *type, mode_t *ret)
{
	if (strcmp(type, "c") == 0 || strcmp(type, "u") == 0)
		*ret = S_IFCHR;
	else if (strcmp(type, "b") == 0)
		*ret = S_IFBLK;
	else if (strcmp(type, "p") == 0)
		*ret = S_IFIFO;
	else
		return -EINVAL;
	return 0;
}

static int fill_device(struct plan *plan, const struct oci_device *spec, struct err **reterr)
{
	struct plan_device device = { .path = spec->path };
	mode_t type;

	if (!spec->path || spec->path[0] != '/' || strlen(spec->path) >= PATH_MAX)
		return err_set(reterr, ERR_INVALID, 0, "a device needs an absolute path");
	if (!spec->type || device_type(spec->type, &type) < 0)
		return err_set(reterr, ERR_INVALID, 0, "device %s: the type must be one of c, b, u, p", spec->path);
	if (type != S_IFIFO && (spec->major < 0 || spec->minor < 0 || spec->major > 4095 || spec->minor > 1048575))
		return err_set(reterr, ERR_INVALID, 0, "device %s: invalid device number", spec->path);
	size_t len = strlen(spec->path);
	if (spec->path[len - 1] == '/') {
		if (strv_append(&plan->strings, spec->path) < 0)
			return err_oom(reterr);
		char *path = plan->strings[strv_count(plan->strings) - 1];
		while (len > 1 && path[len - 1] == '/')
			path[--len] = '\0';
		device.path = path;
	}
	device.mode = type | (spec->file_mode.set ? (mode_t)(spec->file_mode.value & 07777) : 0666);
	device.device = type == S_IFIFO ? 0 : makedev((unsigned)spec->major, (unsigned)spec->minor);
	if (spec->uid.value < 0 || spec->uid.value > UINT32_MAX - 1 || spec->gid.value < 0 ||
		spec->gid.value > UINT32_MAX - 1)
		return err_set(reterr, ERR_INVALID, 0, "device %s: invalid owner", spec->path);
	device.uid = (uid_t)spec->uid.value;
	device.gid = (gid_t)spec->gid.value;
	add_device(plan, device);
	return 0;
}

/* A node is there to be opened, whatever the host's /dev allows. */
static const struct mount_attrs closed = { .set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };

/* One that the host has not got, or not so: a node of our own, on a filesystem that nobody else sees. */
static int make_outside(struct plan_device *device, size_t number, const struct oci_linux *config, int *folder)
{
	int64_t uid = id_map_host(config->uid_mappings, config->uid_mapping_count, device->uid);
	int64_t gid = id_map_host(config->gid_mappings, config->gid_mapping_count, device->gid);
	char name[32];

	if (*folder < 0)
		*folder = mount_new("tmpfs", "tmpfs", NULL, 0, closed.set, NULL);
	if (*folder < 0)
		return *folder;
	if (uid < 0 || gid < 0)
		return -EOVERFLOW;
	snprintf(name, sizeof(name), "%zu", number);
	if (mknodat(*folder, name, device->mode, device->device) < 0 ||
		fchownat(*folder, name, (uid_t)uid, (gid_t)gid, AT_SYMLINK_NOFOLLOW) < 0 ||
		fchmodat(*folder, name, device->mode & 07777, 0) < 0)
		return -errno;
	return mount_clone(*folder, name, false);
}

/* mknod is not for user namespaces: the host's own node is bound in its place. */
static int bind_devices(struct plan *plan, const struct oci_linux *config, struct err **reterr)
{
	_autoclose_ int folder = -1;

	for (size_t i = 0; i < plan->device_count; i++) {
		struct plan_device *device = &plan->devices[i];
		struct stat st;
		if (S_ISFIFO(device->mode))
			continue;
		device->tree_fd = mount_clone(AT_FDCWD, device->path, false);
		if (device->tree_fd >= 0 && fstat(device->tree_fd, &st) == 0 && st.st_rdev == device->device &&
			(st.st_mode & S_IFMT) == (device->mode & S_IFMT) && mount_change(device->tree_fd, &closed) == 0)
			continue;
		fd_close(&device->tree_fd);
		device->tree_fd = make_outside(device, i, config, &folder);
		if (device->tree_fd < 0)
			return err_errno(reterr, device->tree_fd,
				"cannot make the device %s for a user namespace, and the host has no such %s",
				device->path, device->path);
	}
	return 0;
}

static int bind_devices_late(struct plan *plan, const struct container_options *options, struct err **reterr)
{
	for (size_t i = 0; i < plan->device_count; i++) {
		struct plan_device *device = &plan->devices[i];
		struct plan_late *late;
		mode_t mode;
		if (S_ISFIFO(device->mode))
			continue;
		int r = plan_late_tree(plan, device->path, options, &device->tree_fd, &mode, &late, reterr);
		if (r < 0)
			return r;
		if ((mode & S_IFMT) != (device->mode & S_IFMT) || late->device != device->device)
			return err_set(reterr, ERR_FORBIDDEN, EPERM,
				"cannot make the device %s without the right to: the host has no such %s", device->path,
				device->path);
		late->is_recursive = false;
		late->attrs = closed;
	}
	return 0;
}

int plan_devices(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr)
{
	plan->devices = calloc(ARRAY_SIZE(default_devices) + spec->linux_config.device_count, sizeof(*plan->devices));
	if (!plan->devices)
		return err_oom(reterr);
	for (size_t i = 0; i < ARRAY_SIZE(default_devices); i++) {
		struct plan_device device = { .path = default_devices[i].path,
			.mode = S_IFCHR | 0666,
			.device = makedev(default_devices[i].major, default_devices[i].minor) };
		add_device(plan, device);
	}
	for (size_t i = 0; i < spec->linux_config.device_count; i++) {
		int r = fill_device(plan, &spec->linux_config.devices[i], reterr);
		if (r < 0)
			return r;
	}
	if (plan->has_no_right)
		return bind_devices_late(plan, options, reterr);
	/* Who has been put into a user namespace before has no mknod either. */
	return plan->becomes_root || options->needs_no_groups ? bind_devices(plan, &spec->linux_config, reterr) : 0;
}
