/* The last step of both kinds of archive: the image is entered, its names are told. */
#pragma once

#include "spec/platform.h"
#include "worker/task.h"

struct load_archive {
	struct task *task;
	int fd; /* the unpacked archive */
	struct platform platform;
	bool platform_asked; /* by the user; else it is the machine's, and a single image of another one is taken too */
	unsigned loaded;
};

/* Names must be valid before anything is unpacked for them. */
int load_check_names(char *const *names, struct err **reterr);
/* Layers are in the store. */
int load_image(struct load_archive *archive, const char *config, size_t config_len, char *const *names,
	struct err **reterr);
