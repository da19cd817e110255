/*
 * What a record of a log file looks like: one `struct log_ops` a driver. "json-file" is Docker's own form, a JSON object a
 * line; "local" is a binary form of ours, half the size. The driver "none" has no ops.
 */
#pragma once

#include <stdint.h>

#include "base/clock.h"
#include "codec/jsonlog.h"
#include "monitor/logset.h"
#include "spec/launch.h"

/* A longer line is cut into records; only the last of them ends in a newline. */
#define LOG_DATA_MAX (16 * 1024)
/* What a record may need besides: a container's attributes (launch.json), and what stands around them. */
#define LOG_ATTRS_ROOM (LAUNCH_LOG_ATTRS_MAX + 16)

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2 };

struct log_record {
	int64_t time_ns;
	enum log_stream stream;
	const char *data; /* a line with its newline, or a piece of a line; NULL: the record is damaged */
	size_t len;
	struct jsonlog_record line; /* for its attributes */
};

/* What many records have in common, in the form that each driver wants: the moment, and the container's attributes. */
struct log_stamp {
	int64_t time_ns;
	char text[CLOCK_RFC3339_MAX];
	const char *attrs; /* a JSON object, or NULL */
};
void log_stamp_set(struct log_stamp *stamp, int64_t time_ns);

struct log_ops {
	const char *driver;
	size_t record_max; /* bytes that `encode` may need */

	/* Writes one record of at most LOG_DATA_MAX bytes to `out`; returns its size. */
	size_t (*encode)(char *out, const struct log_stamp *stamp, enum log_stream stream, const char *data,
		size_t len);

	/* Reads the record at the start of `data`, which it may change. Returns its size; 0: there is more of it to come.
	 * A damaged one has a size too: the reader goes on behind it. */
	size_t (*decode)(char *data, size_t len, struct log_record *ret);

	/* Where the last *count records before `end` begin; takes the number found off *count. 0 or -errno. */
	int (*seek_back)(int fd, off_t end, uint64_t *count, off_t *ret_pos);

	logset_whole_fn *whole;
};

/* NULL for a driver that writes nothing, or is not known. */
const struct log_ops *log_ops_find(const char *driver);

extern const struct log_ops log_ops_json_file;
extern const struct log_ops log_ops_local;
