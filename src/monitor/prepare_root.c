/*
 * The container's root: its layers, and the folders "upper" and "work" in its own folder, whose lock is held as long as the
 * root is mounted (runtime/rootfs.h).
 */
#include "monitor/monitor.h"
#include "monitor/prepare.h"

int prepare_root(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch_rootfs *launch = &monitor->launch.rootfs;
	struct container_rootfs *out = &prepared->options.rootfs;
	struct rootfs *rootfs = &prepared->rootfs;
	int ret = rootfs_open_folder(rootfs, launch->container_dir, true, reterr);

	if (ret == 0)
		ret = rootfs_lock(rootfs, true, reterr);
	if (ret < 0)
		return ret;
	if (launch->path) {
		*out = (struct container_rootfs){
			.kind = CONTAINER_ROOTFS_PATH, .path = launch->path, .layers_fd = -1, .upper_fd = -1
		};
		return 0;
	}
	ret = rootfs_open_layers(rootfs, monitor->options.data_root, launch->lowers, reterr);
	if (ret == 0)
		ret = rootfs_make_upper(rootfs, reterr);
	if (ret < 0)
		return ret;
	*out = (struct container_rootfs){
		.kind = CONTAINER_ROOTFS_OVERLAY,
		.layers_fd = rootfs->layers_fd,
		.lowers = (const char *const *)rootfs->lowers,
		.upper_fd = rootfs->dir_fd,
		.is_volatile = launch->is_volatile,
	};
	return 0;
}
