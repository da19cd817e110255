/* What musl's has not, as glibc declares it. */
#pragma once
#include_next <stdio.h>

#define RENAME_NOREPLACE (1 << 0)
#define RENAME_EXCHANGE  (1 << 1)
#define RENAME_WHITEOUT  (1 << 2)

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
