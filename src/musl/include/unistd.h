/* What musl's has not, as glibc declares it. */
#pragma once
#include_next <unistd.h>

int close_range(unsigned first, unsigned last, int flags);
int execveat(int dir_fd, const char *path, char *const argv[], char *const envp[], int flags);
