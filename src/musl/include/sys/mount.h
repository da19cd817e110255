/* What musl's has not, as glibc declares it. */
#pragma once
#include <linux/mount.h>
#include_next <sys/mount.h>

int fsopen(const char *type, unsigned flags);
int fsconfig(int fs, unsigned command, const char *key, const void *value, int aux);
int fsmount(int fs, unsigned flags, unsigned attributes);
int open_tree(int dir_fd, const char *path, unsigned flags);
int move_mount(int from_fd, const char *from, int to_fd, const char *to, unsigned flags);
int mount_setattr(int dir_fd, const char *path, unsigned flags, struct mount_attr *attributes, size_t size);
