/* A filter made shorter, with the same answers: what it costs to install is a part of each start (a quarter of a millisecond of libseccomp's). */
#pragma once

#include <stddef.h>

#include <linux/filter.h>

/*
 * Rewrites the program in place and returns its new length. One that is more than loads, comparisons and returns (it is not
 * libseccomp's), or would not become shorter, is left as it is. -ENOMEM.
 */
long seccomp_shrink(struct sock_filter *program, size_t count);
