#include "monitor/prepare.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "monitor/monitor.h"

bool prepare_has_mount(const struct monitor *monitor, const char *destination)
{
	const struct oci_spec *oci = &monitor->launch.oci;
	for (size_t i = 0; i < oci->mount_count; i++)
		if (oci->mounts[i].destination && strcmp(oci->mounts[i].destination, destination) == 0)
			return true;
	return false;
}

void prepared_finish(struct prepared *prepared)
{
	for (size_t i = 0; i < prepared->options.join_count; i++)
		fd_close(&prepared->joins[i].pidfd);
	prepared->options.join_count = 0;
	fd_close(&prepared->joined_dir_fd);
	rootfs_finish(&prepared->rootfs);
	fd_close(&prepared->init_fd);
	fd_close(&prepared->seccomp_fd);
	fd_close(&prepared->shm_fd);
}

static void fill_options(const struct monitor *monitor, struct prepared *prepared)
{
	const struct launch *launch = &monitor->launch;
	struct container_options *options = &prepared->options;

	options->id = monitor->options.id;
	options->bundle_path = launch->rootfs.container_dir;
	options->user = launch->user ?: "";
	options->group_add = launch->group_add;
	options->seccomp_fd = prepared->seccomp_fd;
	options->init_fd = prepared->init_fd;
	options->files = prepared->files;
	options->joins = prepared->joins;
}

int prepare(struct monitor *monitor, struct prepared *ret, struct err **reterr)
{
	static int (*const steps[])(struct monitor *, struct prepared *, struct err **) = {
		prepare_root,
		prepare_files,
		prepare_sources,
		prepare_devices,
		prepare_joins,
		prepare_programs,
	};

	*ret = (struct prepared){
		.options = CONTAINER_OPTIONS_INIT,
		.joined_dir_fd = -1,
		.rootfs = ROOTFS_INIT,
		.init_fd = -1,
		.seccomp_fd = -1,
		.shm_fd = -1,
	};
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int r = steps[i](monitor, ret, reterr);
		if (r < 0) {
			prepared_finish(ret);
			return r;
		}
	}
	fill_options(monitor, ret);
	return 0;
}
