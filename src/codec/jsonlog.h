/*
 * One record of a json-file log, Docker's own form, a line each:
 *
 *	{"log":"text\n","stream":"stdout","time":"2026-11-23T20:15:00.123456789Z"}
 *	{"log":"text\n","stream":"stdout","attrs":{"tag":"x"},"time":"2026-11-23T20:15:00.123456789Z"}
 *
 * Byte for byte what Docker writes: the same characters are escaped, and bytes that are not UTF-8 become \ufffd.
 */
#pragma once

#include <stddef.h>

/* What `len` bytes of data may need at worst, around them included. */
#define JSONLOG_SIZE_MAX(len) (6 * (len) + 128)
#define JSONLOG_DEPTH_MAX     64

/* Writes the record and its newline; returns the size. `stream` and `time` are short and need no escapes. `attrs` is a JSON
 * object as it is to stand there, whose length comes on top of the above; NULL: none. */
size_t jsonlog_encode(char *out, const char *data, size_t len, const char *stream, const char *attrs, const char *time);

/* All borrowed from the line, which is changed. */
struct jsonlog_record {
	const char *data; /* may hold NULs; also ends in one */
	size_t len;
	const char *stream; /* "" if absent */
	const char *time;   /* likewise */
	char *attrs;        /* the value as it stands there, whatever it is; NULL if absent */
	size_t attrs_len;
};

/*
 * Reads one line of `len` bytes in place, with or without its newline. Members may stand in any order, and others are passed
 * over. Returns 0 or -EINVAL.
 */
int jsonlog_decode(char *line, size_t len, struct jsonlog_record *ret);

/* The next pair of a record's attributes, in place: start with *at = 0. Returns 1, 0 at the end, or -EINVAL: no object of
 * strings. */
int jsonlog_next_attr(struct jsonlog_record *record, size_t *at, const char **ret_key, const char **ret_value);
