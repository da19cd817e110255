/*
 * Compressing a stream: gzip by ISA-L, at the level where it is several times as fast as a disk. The same input always gives
 * the same output, so what was cut off in the middle can be made again. It runs in a confined child, as inflating does.
 */
#pragma once

/* Reads `in_fd` to its end and writes it compressed to `out_fd`. 0 or -errno. */
int deflate_stream(int in_fd, int out_fd);
