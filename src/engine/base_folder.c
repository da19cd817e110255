#include "engine/base_folder.h"

#include <errno.h>
#include <fcntl.h>

#include <sys/stat.h>

#include "base/cleanup.h"

static const struct base_entry {
	const char *path;
	mode_t mode;
	const char *link;
} base_entries[] = {
	{ "base", S_IFDIR | 0755, NULL },
	{ "base/.dockerenv", S_IFREG | 0755, NULL },
	{ "base/dev", S_IFDIR | 0755, NULL },
	{ "base/dev/console", S_IFREG | 0755, NULL },
	{ "base/dev/pts", S_IFDIR | 0755, NULL },
	{ "base/dev/shm", S_IFDIR | 0755, NULL },
	{ "base/etc", S_IFDIR | 0755, NULL },
	{ "base/etc/hostname", S_IFREG | 0755, NULL },
	{ "base/etc/hosts", S_IFREG | 0755, NULL },
	{ "base/etc/mtab", S_IFLNK, "/proc/mounts" },
	{ "base/etc/resolv.conf", S_IFREG | 0755, NULL },
	{ "base/proc", S_IFDIR | 0755, NULL },
	{ "base/sys", S_IFDIR | 0755, NULL },
};

static int make_entry(int data_fd, const struct base_entry *entry)
{
	int r = entry->link            ? symlinkat(entry->link, data_fd, entry->path)
		: S_ISDIR(entry->mode) ? mkdirat(data_fd, entry->path, 0755)
				       : mknodat(data_fd, entry->path, entry->mode, 0);

	return r < 0 && errno != EEXIST ? -errno : 0;
}

int base_folder_make(int data_fd, struct err **reterr)
{
	mode_t mask = umask(0);
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(base_entries); i++)
		r = make_entry(data_fd, &base_entries[i]);
	umask(mask);
	return r < 0 ? err_errno(reterr, r, "cannot make the folder below all layers") : 0;
}
