/*
 * Devices of the host, whose numbers are looked up at the start: one device, a folder of them, or with --privileged all of
 * /dev. Each becomes a device and a rule of the OCI document. And block devices that have limits of their own.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "monitor/monitor.h"
#include "monitor/prepare.h"

#define DEVICES_MAX       4096
#define DEVICES_DEPTH_MAX 8

/* A place to put what is found. */
struct device_walk {
	struct oci_linux *linux_config;
	const char *access; /* NULL: no rule of its own */
};

static int append_device(struct oci_linux *config, const struct oci_device *device)
{
	if (config->device_count >= DEVICES_MAX)
		return -E2BIG;
	struct oci_device *grown = reallocarray(config->devices, config->device_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	config->devices = grown;
	config->devices[config->device_count++] = *device;
	return 0;
}

static int append_rule(struct oci_linux *config, const char *type, int64_t major, int64_t minor, const char *access)
{
	if (!config->resources)
		config->resources = calloc(1, sizeof *config->resources);
	if (!config->resources)
		return -ENOMEM;
	struct oci_resources *resources = config->resources;
	struct oci_device_rule *grown = reallocarray(resources->devices, resources->device_count + 1,
		sizeof *resources->devices);
	if (!grown)
		return -ENOMEM;
	resources->devices = grown;
	grown[resources->device_count] = (struct oci_device_rule){
		.allow = true,
		.type = strdup(type),
		.major = { true, major },
		.minor = { true, minor },
		.access = strdup(access),
	};
	struct oci_device_rule *rule = &grown[resources->device_count++];
	return rule->type && rule->access ? 0 : -ENOMEM;
}

static bool is_listed(const struct oci_linux *config, const char *path)
{
	for (size_t i = 0; i < config->device_count; i++)
		if (config->devices[i].path && strcmp(config->devices[i].path, path) == 0)
			return true;
	return false;
}

static int add_node(const struct device_walk *walk, const struct stat *st, const char *path)
{
	const char *type = S_ISCHR(st->st_mode) ? "c" : "b";
	struct oci_device device = {
		.type = strdup(type),
		.path = strdup(path),
		.major = major(st->st_rdev),
		.minor = minor(st->st_rdev),
		.file_mode = { true, st->st_mode & 07777 },
		.uid = { true, st->st_uid },
		.gid = { true, st->st_gid },
	};
	int ret = device.type && device.path ? 0 : -ENOMEM;
	if (ret == 0 && !is_listed(walk->linux_config, path))
		ret = append_device(walk->linux_config, &device);
	else {
		free(device.type);
		free(device.path);
		return ret;
	}
	if (ret == 0 && walk->access)
		ret = append_rule(walk->linux_config, type, device.major, device.minor, walk->access);
	return ret;
}

/* What a container has of its own, and what is no device. */
static bool is_left_out(const char *name)
{
	static const char *const names[] = { ".", "..", "pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts",
		".udev" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

static int add_folder(const struct device_walk *walk, int folder_fd, const char *path, unsigned depth);

static int add_entry(const struct device_walk *walk, int folder_fd, const char *name, const char *path, unsigned depth)
{
	char inner[PATH_MAX];
	struct stat st;
	int n = snprintf(inner, sizeof inner, "%s/%s", path, name);

	if (n < 0 || (size_t)n >= sizeof inner || fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0; /* gone again */
	if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		return add_node(walk, &st, inner);
	if (!S_ISDIR(st.st_mode) || depth == DEVICES_DEPTH_MAX)
		return 0;
	int fd = openat(folder_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : add_folder(walk, fd, inner, depth + 1);
}

/* Takes `folder_fd`. */
static int add_folder(const struct device_walk *walk, int folder_fd, const char *path, unsigned depth)
{
	DIR *list = fdopendir(folder_fd);
	const struct dirent *entry;
	int ret = 0;

	if (!list) {
		ret = -errno;
		fd_close(&folder_fd);
		return ret;
	}
	while (ret == 0 && (entry = readdir(list)) != NULL)
		if (!is_left_out(entry->d_name))
			ret = add_entry(walk, dirfd(list), entry->d_name, path, depth);
	closedir(list);
	return ret;
}

static int add_asked(struct oci_linux *config, const struct launch_device *wish, struct err **reterr)
{
	const struct device_walk walk = { config, wish->permissions };
	struct stat st;
	int ret = stat(wish->host_path, &st) < 0 ? -errno : 0;

	if (ret < 0)
		return err_errno(reterr, ret, "error gathering device information while adding custom device \"%s\"",
			wish->host_path);
	if (S_ISDIR(st.st_mode)) {
		int fd = open(wish->host_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ret = fd < 0 ? -errno : add_folder(&walk, fd, wish->container_path, 0);
	} else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
		ret = add_node(&walk, &st, wish->container_path);
	else
		return err_set(reterr, ERR_INVALID, 0,
			"error gathering device information while adding custom device \"%s\": not a device node",
			wish->host_path);
	return ret < 0 ? err_errno(reterr, ret, "cannot add the device %s", wish->host_path) : 0;
}

static int add_weight(struct oci_block_io *io, dev_t device, int64_t weight)
{
	struct oci_block_weight *grown = reallocarray(io->weight_device, io->weight_device_count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	io->weight_device = grown;
	grown[io->weight_device_count++] = (struct oci_block_weight){
		.major = major(device), .minor = minor(device), .weight = { true, weight }
	};
	return 0;
}

static int add_rate(struct oci_block_throttle **list, size_t *count, dev_t device, int64_t rate)
{
	struct oci_block_throttle *grown = reallocarray(*list, *count + 1, sizeof *grown);
	if (!grown)
		return -ENOMEM;
	*list = grown;
	grown[(*count)++] = (struct oci_block_throttle){
		.major = major(device), .minor = minor(device), .rate = (uint64_t)rate
	};
	return 0;
}

static int add_limit(struct oci_block_io *io, const struct launch_block *block, dev_t device)
{
	const struct {
		const char *limit;
		struct oci_block_throttle **list;
		size_t *count;
	} rates[] = {
		{ "read_bps", &io->throttle_read_bps, &io->throttle_read_bps_count },
		{ "write_bps", &io->throttle_write_bps, &io->throttle_write_bps_count },
		{ "read_iops", &io->throttle_read_iops, &io->throttle_read_iops_count },
		{ "write_iops", &io->throttle_write_iops, &io->throttle_write_iops_count },
	};
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++)
		if (strcmp(block->limit, rates[i].limit) == 0)
			return add_rate(rates[i].list, rates[i].count, device, block->value);
	return add_weight(io, device, block->value);
}

static int add_block(struct oci_linux *config, const struct launch_block *block, struct err **reterr)
{
	struct stat st;
	if (stat(block->path, &st) < 0)
		return err_errno(reterr, -errno, "stat %s", block->path);
	if (!S_ISBLK(st.st_mode))
		return err_set(reterr, ERR_INVALID, ENOTBLK, "%s is no block device: it has no rates and no weight",
			block->path);
	if (!config->resources)
		config->resources = calloc(1, sizeof *config->resources);
	if (!config->resources || add_limit(&config->resources->block_io, block, st.st_rdev) < 0)
		return err_oom(reterr);
	return 0;
}

int prepare_devices(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	(void)prepared;
	struct launch *launch = &monitor->launch;
	struct oci_linux *config = &launch->oci.linux_config;

	for (size_t i = 0; i < launch->device_count; i++) {
		int ret = add_asked(config, &launch->devices[i], reterr);
		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < launch->block_count; i++) {
		int ret = add_block(config, &launch->blocks[i], reterr);
		if (ret < 0)
			return ret;
	}
	if (!launch->privileged)
		return 0;
	const struct device_walk walk = { config, NULL };
	int fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int ret = fd < 0 ? -errno : add_folder(&walk, fd, "/dev", 0);
	if (ret == 0)
		ret = append_rule(config, "a", -1, -1, "rwm");
	return ret < 0 ? err_errno(reterr, ret, "cannot list the host's devices") : 0;
}
