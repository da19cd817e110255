/*
 * Reads a container's log from its files, oldest first, over rotations. A reader that has come to the end can go on later:
 * that is how a log is followed.
 */
#pragma once

#include "monitor/logformat.h"

struct logreader;

struct logreader_options {
	int64_t tail;               /* records from the end; -1: all */
	int64_t since_ns, until_ns; /* INT64_MIN, INT64_MAX: no bound */
	bool want_stdout, want_stderr;
	bool follow; /* else it ends where the log ended when the reader was made */
};

/* Borrows `set` and `ops`. A log that does not exist is an empty one. */
int logreader_new(struct logset *set, const struct log_ops *ops, const struct logreader_options *options,
	struct logreader **ret);
void logreader_free(struct logreader *reader);
DEFINE_AUTOFREE(logreader, struct logreader *, logreader_free);

enum logreader_result {
	LOGREADER_RECORD,
	LOGREADER_WAIT, /* all that is written was read; a follower comes back */
	LOGREADER_END,  /* there will be no more */
};

/* The record's data is valid until the next call. Returns a result or -errno. */
int logreader_next(struct logreader *reader, struct log_record *ret);
