/*
 * Copies a folder's content into an empty one on the same machine: what a new volume gets of the image. The source is an
 * image's and not trusted: nothing in it is followed, names are used relative to open folders only.
 */
#pragma once

/* Deeper folders are an error (-ELOOP). */
#define TREECOPY_DEPTH_MAX 256

/*
 * `from` and `to` are open folders; `to` becomes like `from` in owner and mode too. Regular files, folders, symbolic links,
 * FIFOs and devices, with owners, modes, times and extended attributes; hard links become files of their own, sockets are
 * left out. 0 or -errno.
 */
int treecopy(int from, int to);
