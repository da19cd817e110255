/*
 * One container's log files: "NAME" is written, "NAME.1" is the newest that was rotated away, "NAME.2" the one before.
 * One process writes and reads them. Knows sizes and names, not what a record looks like.
 *
 * A reader stands on a `struct logfile`, which stays readable while somebody stands on it or before it, also when the
 * rotation has unlinked it meanwhile: a follower that is briefly behind loses no record. What unlinked files may hold that
 * way is bounded by LOGSET_PINNED_FILES_MAX and _BYTES_MAX; a follower further behind goes on at the oldest file there is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/cleanup.h"

#define LOGSET_FILES_MAX        1000
#define LOGSET_PINNED_FILES_MAX 64
#define LOGSET_PINNED_BYTES_MAX (64LL * 1024 * 1024)

struct logset;
struct logfile;

/* How a file that was rotated away is made small, "NAME.2.gz", and read again. */
struct logset_packing {
	/* Begins; logset_packed is called when it is over. -EBUSY: another one is on its way. */
	int (*pack)(void *user, int in_fd, int out_fd);
	/* 0 when it is done. */
	int (*unpack)(void *user, int in_fd, int out_fd);
	void *user;
};

/* `max_bytes` -1: never rotated. `max_files` 1 to LOGSET_FILES_MAX, the written one included. `dirfd` is duplicated. */
int logset_new(int dirfd, const char *name, int64_t max_bytes, unsigned max_files, struct logset **ret);
void logset_free(struct logset *set);
DEFINE_AUTOFREE(logset, struct logset *, logset_free);

/* Before anything else is done with the set: rotated files are packed. */
void logset_set_packing(struct logset *set, const struct logset_packing *packing);
/* What `pack` began is over, for this set or for one before it. */
void logset_packed(struct logset *set, bool ok);

/*
 * For writing. `whole(fd, size)` tells how much of a file that a crash left behind is whole records; the rest is cut off.
 */
typedef off_t logset_whole_fn(int fd, off_t size);
int logset_open(struct logset *set, logset_whole_fn *whole);
void logset_close(struct logset *set);
bool logset_is_open(const struct logset *set);

/* All or nothing: what a full disk cut short is taken back. */
int logset_append(struct logset *set, const void *data, size_t len);
/* Bytes in the written file, and whether it must be rotated before the next record if `pending` more were in it. */
bool logset_wants_rotation(const struct logset *set, size_t pending);
int logset_rotate(struct logset *set);

/* Readers: between these two every file is kept as said above. The written file need not be open. */
int logset_read_begin(struct logset *set);
void logset_read_end(struct logset *set);
bool logset_has_readers(const struct logset *set);

/* The files in order, oldest first; NULL at the end. Borrowed: logfile_ref to stand on one over a return to the loop. */
struct logfile *logset_oldest(struct logset *set);
struct logfile *logset_newest(struct logset *set);
struct logfile *logset_next(struct logset *set, const struct logfile *file);
struct logfile *logset_before(struct logset *set, const struct logfile *file);
struct logfile *logfile_ref(struct logfile *file);
void logset_unref(struct logset *set, struct logfile *file);

/* A descriptor for pread, borrowed; -errno (-ENOENT: it went away before anybody read it). */
int logset_fd(struct logset *set, struct logfile *file);
