/* What musl's has not, as glibc declares it. */
#pragma once
#include <linux/stat.h>
#include_next <sys/stat.h>

int statx(int dir_fd, const char *path, int flags, unsigned mask, struct statx *out);
