/*
 * Deleting a tree that somebody else made: any depth, any names, no path longer than one component, no symlink followed,
 * no mount crossed. What lies below a mount point stays, and so do the folders above it.
 *
 * Descriptors are bounded: a folder deeper than RMTREE_DEPTH is renamed up next to the tree's top and deleted from there.
 */
#pragma once

#define RMTREE_DEPTH 32

/* Deletes `name` below `top_fd`, which must be on the same mount. Returns 0, or the first -errno after deleting all else;
 * what is not there is deleted already. */
int rmtree(int top_fd, const char *name);

/* Deletes all that is in the folder, not itself. */
int rmtree_content(int top_fd);
