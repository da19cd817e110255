#include "network/sysctls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

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

/* "net.KIND.IFNAME.NAME": its parts, or -EINVAL. */
static int read_option(const char *key, const char **ret_kind, const char **ret_name)
{
	static const char *const kinds[] = { "ipv4.conf", "ipv6.conf", "ipv4.neigh", "ipv6.neigh", "mpls.conf" };
	static const char word[] = "abcdefghijklmnopqrstuvwxyz0123456789_";
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		char head[64];
		size_t len = (size_t)snprintf(head, sizeof(head), "net.%s.ifname.", kinds[i]);
		if (strncasecmp(key, head, len) != 0 || !key[len] || key[len + strspn(key + len, word)])
			continue;
		*ret_kind = kinds[i];
		*ret_name = key + len;
		return 0;
	}
	return -EINVAL;
}

int sysctls_check_option(const char *key)
{
	const char *kind, *name;
	return read_option(key, &kind, &name);
}

int sysctls_set_option(const char *key, const char *interface, const char *value)
{
	const char *kind, *name;
	char path[PATH_SIZE];
	int r = read_option(key, &kind, &name);
	if (r < 0)
		return r;
	int family_len = (int)strcspn(kind, ".");
	int len = snprintf(path, sizeof(path), "%.*s/%s/%s/%s", family_len, kind, kind + family_len + 1, interface,
		name);
	return len < 0 || (size_t)len >= sizeof(path) ? -ENAMETOOLONG : sysctls_set_all(path, value);
}
