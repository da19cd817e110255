#include "network/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/io.h"

#define PATH_SIZE 256

static int open_file(const char *path, int flags)
{
	char full[PATH_SIZE];
	int len = snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
	if (len < 0 || (size_t)len >= sizeof(full))
		return -ENAMETOOLONG;
	int fd = open(full, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int sysctls_set_all(const char *path, const char *value)
{
	_autoclose_ int fd = open_file(path, O_WRONLY);
	return fd < 0 ? fd : io_write_full(fd, value, strlen(value));
}

static int interface_path(char out[PATH_SIZE], const char *family, const char *interface, const char *name)
{
	int len = snprintf(out, PATH_SIZE, "%s/conf/%s/%s", family, interface, name);
	return len < 0 || len >= PATH_SIZE ? -ENAMETOOLONG : 0;
}

int sysctls_set(const char *family, const char *interface, const char *name, const char *value)
{
	char path[PATH_SIZE];
	int r = interface_path(path, family, interface, name);
	return r < 0 ? r : sysctls_set_all(path, value);
}

int sysctls_get(const char *family, const char *interface, const char *name)
{
	char path[PATH_SIZE], text[16] = "";
	int r = interface_path(path, family, interface, name);
	_autoclose_ int fd = r < 0 ? r : open_file(path, O_RDONLY);
	if (fd < 0)
		return fd;
	ssize_t len = read(fd, text, sizeof(text) - 1);
	return len < 0 ? -errno : atoi(text);
}

int sysctls_set_option(const char *key, const char *interface, const char *value)
{
	static const char *const kinds[] = { "ipv4.conf", "ipv6.conf", "ipv4.neigh", "ipv6.neigh", "mpls.conf" };
	static const char word[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	char path[PATH_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char head[64];
		int len = snprintf(head, sizeof(head), "net.%s.IFNAME.", kinds[i]);
		if (strncmp(key, head, (size_t)len) != 0 || !key[len] || key[len + strspn(key + len, word)])
			continue;
		const char *dot = strchr(kinds[i], '.');
		len = snprintf(path, sizeof(path), "%.*s/%s/%s/%s", (int)(dot - kinds[i]), kinds[i], dot + 1, interface,
			key + len);
		return len < 0 || (size_t)len >= sizeof(path) ? -ENAMETOOLONG : sysctls_set_all(path, value);
	}
	return -EINVAL;
}
