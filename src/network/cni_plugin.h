/*
 * One call of one CNI plugin: a program with its orders in the environment, its configuration on standard input, and a document on
 * standard output. It is foreign: it has so long, says so much, and then it is killed, with all that it has started.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct cni_call {
	const char *command; /* ADD, CHECK, DEL */
	const char *container_id;
	const char *netns; /* a path, or "" */
	const char *interface;
	const char *arguments; /* CNI_ARGS, or "" */
	const char *path;      /* folders with plugins, colons between */
	int64_t deadline_ms;   /* of the monotonic clock */
	int cancel_fd;         /* readable: it is to end now; -1 */
};

/* `output` has a ceiling, which is what the plugin may say. ERR_CONFLICT with ECANCELED: it was asked to end. */
int cni_plugin_run(const struct cni_call *call, const char *type, const struct buf *config, struct buf *output,
	struct err **reterr);
