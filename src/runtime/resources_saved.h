/*
 * What a container's limits were before they are changed, as the kernel's files have them, so that a change that fails half
 * way is taken back whole. Shared by container.c alone.
 */
#pragma once

#include "sys/cgroup.h"

#define RESOURCES_SAVED_MAX      24
#define RESOURCES_SAVED_TEXT_MAX 512

struct resources_saved {
	struct {
		const char *controller;
		const char *file;
		char text[RESOURCES_SAVED_TEXT_MAX];
	} limits[RESOURCES_SAVED_MAX];
	size_t count;
};

/* Files that are not there, or hold more than a limit, are left out. */
void resources_save(struct cgroup *group, struct resources_saved *ret);
/* Writes what differs by now. Best effort: -errno of what stays changed. */
int resources_restore(struct cgroup *group, const struct resources_saved *saved);
