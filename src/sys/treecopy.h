/*
 * Copies a folder's content into another on the same machine: what a new volume gets of the image, and a tmpfs with
 * tmpcopyup. The source is an
 * image's and not trusted, nor is the target, which other containers may have in use: nothing in them is followed, names are used
 * relative to open folders only. What is in the target already is kept, and a file appears when it is whole: a copy that was
 * killed is gone on with by the next one.
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
