/*
 * The policy for names and attributes in an archive, without any side effect: what an entry's path means, whether it is a
 * whiteout, which extended attributes may stay. extract.c acts on the answers.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <sys/types.h>

#include "archive/limits.h"

/*
 * Cleans a path as if the archive's root were "/": repeated slashes and "." go, ".." takes back one component. "" is the
 * root itself. -EXDEV if it climbs out, -ENAMETOOLONG, -EINVAL if it is empty.
 */
int entry_clean_path(const char *raw, char out[static LIMIT_PATH_BYTES + 1]);

enum entry_mark {
	ENTRY_PLAIN,
	ENTRY_WHITEOUT, /* `.wh.NAME`: hides NAME of the layers below */
	ENTRY_OPAQUE,   /* `.wh..wh..opq`: hides all that the layers below have in this folder */
	ENTRY_IGNORED,  /* other `.wh..wh.` names: aufs's housekeeping */
	ENTRY_REFUSED,  /* a whiteout of nothing, "." or "..", or used as a folder */
};

/* What a cleaned path's whiteout prefixes say. For ENTRY_WHITEOUT *ret_hidden is NAME, within `path`. */
enum entry_mark entry_mark(const char *path, const char **ret_hidden);

/*
 * Whether a layer may set this attribute. What steers overlay, security modules or the kernel itself stays out; a file's
 * capabilities and ACLs and users' own attributes stay in.
 */
bool entry_xattr_is_allowed(const char *name);

/* IDs from 0 to 2^32 - 2: -1 means "leave as it is" to the kernel. */
bool entry_id_is_valid(int64_t id);

/* Times before 1970 and after 2446 are what filesystems can't keep. */
int64_t entry_clamp_mtime(int64_t seconds);

/* Overlay takes a character device 0:0 for a whiteout: only .wh. names may make one. */
bool entry_is_hidden_whiteout(mode_t type, dev_t device);
