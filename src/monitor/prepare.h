/*
 * What has to be done and found out on the host before a container can be created: everything that launch.json leaves open
 * (spec/launch.h says what). Each step fills its part of `struct prepared`, from which the runtime's options are made; on
 * failure nothing is kept but files that the next start writes again.
 *
 * It is done in two halves, between which volumes are filled: prepare_begin, the `fillings` that it found (fill.h), prepare_end.
 */
#pragma once

#include "base/err.h"
#include "runtime/container.h"
#include "runtime/rootfs.h"

#define PREPARE_FILES_MAX 4 /* hostname, hosts, resolv.conf, shm */
#define PREPARE_JOINS_MAX 3

struct monitor;

struct filling {
	const char *destination; /* of launch.json */
	int image_fd;
	int volume_fd;
};

struct prepared {
	struct container_options options;
	int joined_dir_fd; /* of the container whose network, and so whose names files, it has; -1: none */
	struct rootfs rootfs;
	int init_fd;
	int seccomp_fd;
	int shm_fd; /* another container's /dev/shm, detached */
	struct container_file files[PREPARE_FILES_MAX];
	struct container_join joins[PREPARE_JOINS_MAX];
	struct filling *fillings;
	size_t filling_count;
	struct container_source *sources; /* subpaths of volumes; the descriptors are ours */
};

#define PREPARED_INIT                                   \
 ((struct prepared){ .options = CONTAINER_OPTIONS_INIT, \
	 .joined_dir_fd = -1,                           \
	 .rootfs = ROOTFS_INIT,                         \
	 .init_fd = -1,                                 \
	 .seccomp_fd = -1,                              \
	 .shm_fd = -1 })

/* Both finish `prepared` on failure. */
int prepare_begin(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_end(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
void prepared_finish(struct prepared *prepared);

/* The steps, in this order. Each changes monitor->launch.oci where its findings belong there. */
int prepare_root(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_files(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_sources(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_devices(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_joins(struct monitor *monitor, struct prepared *prepared, struct err **reterr);
int prepare_programs(struct monitor *monitor, struct prepared *prepared, struct err **reterr);

/* Whether oci.mounts has an entry with this destination. */
bool prepare_has_mount(const struct monitor *monitor, const char *destination);
