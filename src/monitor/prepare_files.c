/* The container's names files (names_files.h): written, or another container's where the network is. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "monitor/monitor.h"
#include "monitor/names_files.h"
#include "monitor/prepare.h"

static void add_file(struct prepared *prepared, const struct names_file *file, int folder_fd)
{
	prepared->files[prepared->options.file_count++] = (struct container_file){
		.source = file->name,
		.source_fd = folder_fd,
		.target = file->target,
	};
}

/* With another container's network come its files, but for those that it has none of itself. */
static int share_files(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	_cleanup_free_ char *folder = NULL;
	if (asprintf(&folder, "../%s", monitor->launch.join.network) < 0)
		return err_oom(reterr);
	int fd = openat(prepared->rootfs.dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open the folder of container %s",
			monitor->launch.join.network);
	prepared->joined_dir_fd = fd;
	for (size_t i = 0; i < NAMES_FILES; i++) {
		const struct names_file *file = &names_files[i];
		if (!prepare_has_mount(monitor, file->target) && faccessat(fd, file->name, F_OK, 0) == 0)
			add_file(prepared, file, fd);
	}
	return 0;
}

int prepare_files(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch *launch = &monitor->launch;
	int ret = names_files_check(launch, reterr);

	if (ret < 0)
		return ret;
	if (launch->join.network)
		return share_files(monitor, prepared, reterr);
	for (size_t i = 0; i < NAMES_FILES; i++) {
		const struct names_file *file = &names_files[i];
		if (prepare_has_mount(monitor, file->target))
			continue;
		ret = names_file_write(prepared->rootfs.dir_fd, file, launch);
		if (ret < 0)
			return err_errno(reterr, ret, "cannot write the container's %s", file->target);
		add_file(prepared, file, prepared->rootfs.dir_fd);
	}
	return 0;
}
