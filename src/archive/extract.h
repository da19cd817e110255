/*
 * From a tar stream to files below a folder: the part of unpacking that reads what an image's author wrote. It runs in a
 * confined child (confine.h) whose root is that folder; libarchive reads the stream, and every path goes through
 * sys/inroot.h, so the confinement is the second wall and not the first.
 *
 * Layers (EXTRACT_LAYER) keep owner, mode, times, links, devices and allowed attributes, and their whiteouts become
 * overlay's: `.wh.NAME` a character device 0:0, an opaque folder a mark which only the parent may set (trusted.* needs
 * CAP_SYS_ADMIN): its paths are reported. Whiteouts speak of lower layers only: what the same layer holds stays, in whatever
 * order they come, and a folder that is both hidden and made anew is opaque.
 *
 * What is copied into a tree that exists (EXTRACT_COPY) is as a layer's, but that no name is a whiteout, and that folders which
 * are there stay, the one it is copied to as it is.
 *
 * Plain archives (EXTRACT_FILES) become files and folders of ours, with links inside the root and nothing else.
 *
 * The order for each file: made exclusively, written, owner, mode (chown clears set-user-ID bits), attributes, time. Times
 * of folders come last of all, since every file made in one changes it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/limits.h"
#include "base/buf.h"

enum extract_mode { EXTRACT_LAYER, EXTRACT_COPY, EXTRACT_FILES };

enum extract_owner {
	EXTRACT_OWNER_KEEP,  /* the archive's */
	EXTRACT_OWNER_GIVEN, /* uid, gid below */
	EXTRACT_OWNER_OURS,  /* who we are; and what we may not set is left out */
};

#define EXTRACT_MESSAGE_SIZE 1024

/* What a child tells its parent; the parent believes none of it further than it can check. */
struct extract_report {
	int32_t error; /* 0 or -errno; the message says more */
	int32_t opaque_root;
	int64_t size_bytes; /* contents of regular files */
	int64_t entries;
	char message[EXTRACT_MESSAGE_SIZE];
	uint32_t opaque_bytes; /* NUL-terminated paths in `opaque`, one after the other */
};

struct extract_options {
	enum extract_mode mode;
	int64_t entries_max;
	/* COPY alone: */
	const char *place; /* where to, below the root: cleaned, without a slash at either end; NULL or "": the root */
	bool renames;      /* `place` is what the archive's top becomes, and not where it is put */
	bool has_top;      /* with it: the top is the first component of every path; else it is the archive's root */
	bool no_overwrite; /* no folder by something else, nor the other way round */
	enum extract_owner owner;
	uid_t uid;
	gid_t gid;
};

/* Reads tar from `in_fd` to its end. Fills *report whatever happens, and appends to `opaque`. Returns report->error. */
int extract(int in_fd, int root_fd, const struct extract_options *options, struct extract_report *report,
	struct buf *opaque);
