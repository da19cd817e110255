/*
 * What an entry of a foreign archive, or of a tree that becomes one, may be. Each is far above what real ones hold and far
 * below what hurts; tests stand at each limit, below it and above it.
 */
#pragma once

#define LIMIT_PATH_BYTES      4095 /* of an entry's cleaned path */
#define LIMIT_COMPONENT_BYTES 255
#define LIMIT_LINK_BYTES      4095 /* of a symlink's target */
#define LIMIT_ENTRIES         5000000
#define LIMIT_XATTR_BYTES     (64 * 1024)
#define LIMIT_XATTRS_BYTES    (1024 * 1024) /* of one entry, names included */
#define LIMIT_SPARSE_ENTRIES  1000000
#define LIMIT_OPAQUE_BYTES    (8 * 1024 * 1024) /* paths of a layer's opaque folders, in all */
