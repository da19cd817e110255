#include "store/trash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "store/handle.h"

#define TRASH_RANDOM_BYTES 12

int store_trash(struct store *store, int dirfd, const char *name, struct err **reterr)
{
	char target[2 * TRASH_RANDOM_BYTES + 1];

	io_random_hex(target, TRASH_RANDOM_BYTES);
	if (renameat2(dirfd, name, store->trash_fd, target, RENAME_NOREPLACE) < 0 && errno != ENOENT)
		return err_errno(reterr, -errno, "cannot move %s to the trash", name);
	return 0;
}

int store_trash_folder(const struct store *store)
{
	return store->trash_fd;
}

bool store_has_trash(const struct store *store)
{
	int fd = openat(store->trash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool found = false;
	DIR *dir;

	if (fd < 0)
		return false;
	dir = fdopendir(fd);
	if (!dir) {
		fd_close(&fd);
		return false;
	}
	for (struct dirent *entry; !found && (entry = readdir(dir));)
		found = strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return found;
}
