#include "monitor/prepare.h"

#include <fcntl.h>
#include <stdlib.h>
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
	for (size_t i = 0; i < prepared->filling_count; i++) {
		fd_close(&prepared->fillings[i].image_fd);
		fd_close(&prepared->fillings[i].volume_fd);
	}
	for (size_t i = 0; i < prepared->options.source_count; i++)
		fd_close(&prepared->sources[i].fd);
	free(prepared->sources);
	prepared->sources = NULL;
	prepared->options.source_count = 0;
	free(prepared->fillings);
	prepared->fillings = NULL;
	prepared->filling_count = 0;
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
	options->writable_cgroups = launch->writable_cgroups;
	options->cgroup_manager = launch->systemd_cgroup ? CONTAINER_SYSTEMD : CONTAINER_CGROUPFS;
	options->files = prepared->files;
	options->joins = prepared->joins;
	options->sources = prepared->sources;
}

typedef int prepare_step(struct monitor *monitor, struct prepared *prepared, struct err **reterr);

static int run_steps(prepare_step *const *steps, size_t count, struct monitor *monitor, struct prepared *prepared,
	struct err **reterr)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = steps[i](monitor, prepared, reterr);
	if (ret < 0)
		prepared_finish(prepared);
	return ret;
}

int prepare_begin(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	static prepare_step *const steps[] = { prepare_root, prepare_files, prepare_sources };

	return run_steps(steps, ARRAY_SIZE(steps), monitor, prepared, reterr);
}

int prepare_end(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	static prepare_step *const steps[] = { prepare_devices, prepare_joins, prepare_programs };
	int ret = run_steps(steps, ARRAY_SIZE(steps), monitor, prepared, reterr);

	if (ret == 0)
		fill_options(monitor, prepared);
	return ret;
}
