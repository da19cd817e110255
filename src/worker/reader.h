/*
 * A confined child that reads a tree and says what it found on a pipe, seen from the trusted side: its bytes go to a sink,
 * the client and whoever wants to start the container are watched meanwhile, and a child that fails has left a sentence.
 */
#pragma once

#include "worker/confine.h"
#include "worker/stage.h"

/* Takes the next bytes. */
typedef int reader_sink_fn(const void *data, size_t len, void *user, struct err **reterr);

struct reader {
	struct task *task;
	struct stage *stage; /* NULL: the tree is none */
	int root_fd;         /* the child's root, to read */
	uint64_t caps;
	confine_fn *run; /* writes to descriptor 1 */
	void *data;
	reader_sink_fn *sink;
	void *user;
};

int reader_run(const struct reader *reader, struct err **reterr);

/* ---- in the child */

/* Leaves the sentence; returns the exit status for `run`. */
int reader_fail(enum err_kind kind, int error, const char *format, ...) printf_like(3, 4);

/* What reading a foreign tree takes: any folder may be looked into, any file be read. */
#define READER_CAPS (1ULL << CAP_DAC_READ_SEARCH)
/* Also which folders are opaque, which overlay keeps in a trusted attribute. No call that this capability opens is on the
 * list of those that the child may make. */
#define READER_UPPER_CAPS (READER_CAPS | 1ULL << CAP_SYS_ADMIN)
