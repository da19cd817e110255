/*
 * From a tree to a tar stream: the one writer of what is in folders. The tree may be somebody else's and may change
 * while it is read (a container lives in it), so nothing is reached by a path: every name is looked up in the open folder it
 * was read from, never through a symlink, and what is no longer there is left out. For foreign trees it runs in a confined
 * child all the same (worker/confine.h).
 *
 * Folders come before what is in them, names in order of their bytes. Of a file with several names the first is the file and
 * the others are hard links to it. Sockets are left out. A file that shrinks meanwhile is filled up with zeros, and of one
 * that grows the first part is taken: the header has said how much comes.
 *
 * PACK_LAYER reads an overlay's upper folder and writes a layer as OCI has it: a device 0:0 becomes `.wh.NAME`, an opaque
 * folder gets `.wh..wh..opq`; names that only look like those are refused. To see which folders are opaque takes
 * CAP_SYS_ADMIN. The empty files that a start makes to mount something of ours on are left out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <sys/stat.h>

#include "base/buf.h"

#define PACK_MESSAGE_SIZE 512
#define PACK_DEPTH_MAX    2000 /* a path has no room for more */

enum pack_mode { PACK_TREE, PACK_LAYER };

struct pack;

/* Writes to `out_fd`, which is borrowed. NULL when out of memory. */
struct pack *pack_new(enum pack_mode mode, int out_fd);
void pack_free(struct pack *pack);
DEFINE_AUTOFREE(pack, struct pack *, pack_free);

/* What `name` in the folder is, with all below it; in the archive its path is `path` ("" and "/" too: then the names below
 * follow it at once). 0 also if there is nothing of that name. */
int pack_entry(struct pack *pack, int dir_fd, const char *name, const char *path);
/* The same for a folder that is open for reading. With `itself` false, what is below it alone. */
int pack_folder(struct pack *pack, int fd, const char *path, bool itself);
/* The end marker, and whatever has not been written yet. */
int pack_end(struct pack *pack);

/* A sentence about the last failure. */
const char *pack_message(const struct pack *pack);

/* ---- for others who walk such a tree */

/* The folder's names in order, each ended by a NUL; `fd` is open for reading. -EFBIG when there are too many. */
#define PACK_NAMES_BYTES (256 * 1024 * 1024)
int pack_names(int fd, struct buf *names);
/* In an upper folder: an empty place that a start made for one of its own mounts. `path` begins without a slash. */
bool pack_is_mount_stub(const char *path, const struct stat *st, int dir_fd, const char *name);
/* Of an upper folder: hides what the layers below have there. */
bool pack_is_opaque(int fd);
