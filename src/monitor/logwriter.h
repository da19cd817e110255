/*
 * A container's output on its way to the log files: cut into lines, encoded, written in large pieces. The stream's bytes
 * are kept exactly: an end without a newline is a record without one.
 */
#pragma once

#include "monitor/logformat.h"

struct logwriter;

/* Opens the files for writing; borrows `set` and `ops`. `attrs`: what each record says of the container, a JSON object of at
 * most LAUNCH_LOG_ATTRS_MAX, or NULL. */
int logwriter_new(struct logset *set, const struct log_ops *ops, const char *attrs, struct logwriter **ret);
/* What waits for its newline is written first. */
void logwriter_free(struct logwriter *writer);
DEFINE_AUTOFREE(logwriter, struct logwriter *, logwriter_free);

/*
 * Bytes that were read at once. Never fails: what can't be written (full disk) is dropped, and said once in our own log.
 * Everything but an unfinished line is in the file when it returns.
 */
void logwriter_put(struct logwriter *writer, enum log_stream stream, const char *data, size_t len, int64_t time_ns);

/* The stream has ended: its unfinished line is written as it is. */
void logwriter_end(struct logwriter *writer, enum log_stream stream, int64_t time_ns);
