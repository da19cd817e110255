/*
 * Finding the hierarchies. mountinfo gives where each is mounted and which part of it (its "root": not "/" inside a
 * container), /proc/self/cgroup gives our own group; the difference of the two is our group relative to the mount. Each
 * controller may have its own: on some hosts the memory controller alone puts us in a group.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "sys/cgroup_internal.h"

#define MOUNTINFO_MAX (4 * 1024 * 1024)

static void hierarchy_finish(struct cgroup_hierarchy *hierarchy)
{
	free(hierarchy->mount);
	free(hierarchy->name);
	free(hierarchy->own);
	strv_free(hierarchy->controllers);
}

void cgroup_host_free(struct cgroup_host *host)
{
	if (!host)
		return;
	for (size_t i = 0; i < host->count; i++) {
		hierarchy_finish(&host->items[i]);
		free(host->roots[i]);
	}
	free(host);
}

size_t cgroup_host_count(const struct cgroup_host *host)
{
	return host->count;
}

const struct cgroup_hierarchy *cgroup_host_get(const struct cgroup_host *host, size_t index)
{
	return &host->items[index];
}

bool cgroup_host_is_unified(const struct cgroup_host *host)
{
	return host->count == 1 && host->items[0].is_v2;
}

static int read_text(const char *path, struct buf *buf)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : io_read_all(fd, buf);
}

/* Options of a v1 superblock that are not its controllers. */
static bool is_plain_option(const char *option)
{
	static const char *const plain[] = { "rw", "ro", "xattr", "noprefix", "clone_children", "cpuset_v2_mode",
		"favordynmods", "nofavordynmods", "none" };

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (strcmp(option, plain[i]) == 0)
			return true;
	return strncmp(option, "release_agent=", 14) == 0;
}

static int set_v1_controllers(struct cgroup_hierarchy *hierarchy, const char *super_options)
{
	_autofree_(strv) char **options = strv_split(super_options, ',');

	if (!options)
		return -ENOMEM;
	strv_foreach (option, options)
		if (!is_plain_option(*option) && strv_append(&hierarchy->controllers, *option) < 0)
			return -ENOMEM;
	hierarchy->name = strv_join(hierarchy->controllers, ",");
	return hierarchy->name ? 0 : -ENOMEM;
}

static int set_v2_controllers(struct cgroup_hierarchy *hierarchy, const char *super_options)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CGROUP_FILE_MAX);
	_autofree_(strv) char **options = strv_split(super_options, ',');
	char path[CGROUP_PATH_MAX];

	if (!options)
		return -ENOMEM;
	hierarchy->is_v2 = true;
	hierarchy->is_delegating = strv_has(options, "nsdelegate");
	hierarchy->name = strdup("");
	if (!hierarchy->name)
		return -ENOMEM;
	if (snprintf(path, sizeof(path), "%s/cgroup.controllers", hierarchy->mount) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	int r = read_text(path, &text);
	if (r < 0)
		return r;
	char *save = NULL;
	for (char *word = text.data ? strtok_r(text.data, " \n", &save) : NULL; word;
		word = strtok_r(NULL, " \n", &save))
		if (strv_append(&hierarchy->controllers, word) < 0)
			return -ENOMEM;
	return 0;
}

/* The kernel writes space, tab, newline and backslash as \ooo. */
static void unescape_octal(char *text)
{
	char *out = text;

	for (const char *in = text; *in; in++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] && in[3]) {
			*out++ = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

static int find(const struct cgroup_host *host, const struct cgroup_hierarchy *new)
{
	for (size_t i = 0; i < host->count; i++)
		if (host->items[i].is_v2 == new->is_v2 && strcmp(host->items[i].name, new->name) == 0)
			return (int)i;
	return -1;
}

static int add_hierarchy(struct cgroup_host *host, const char *root, const char *mount, bool is_v2,
	const char *super_options)
{
	struct cgroup_hierarchy new = { .mount = strdup(mount) };
	char *root_copy = strdup(root);
	int r = new.mount &&root_copy ? 0 : -ENOMEM;

	if (r == 0)
		r = is_v2 ? set_v2_controllers(&new, super_options) : set_v1_controllers(&new, super_options);
	/* Mounted twice it counts once: the first that can be entered. CRIU, for one, mounts all of them once more for itself alone. */
	int known = r < 0 ? -1 : find(host, &new);
	if (known >= 0 && access(host->items[known].mount, X_OK) < 0) {
		hierarchy_finish(&host->items[known]);
		free(host->roots[known]);
		host->items[known] = new;
		host->roots[known] = root_copy;
		return 0;
	}
	if (r < 0 || known >= 0 || host->count == CGROUP_HIERARCHIES) {
		hierarchy_finish(&new);
		free(root_copy);
		return r == -ENOENT || r == -EACCES ? 0 : r; /* covered by another mount, or out of reach */
	}
	host->roots[host->count] = root_copy;
	host->items[host->count++] = new;
	return 0;
}

/* "36 35 0:31 /root /mount/point rw,... optional - cgroup cgroup rw,memory" */
static int parse_mount_line(struct cgroup_host *host, char *line)
{
	char *fields[6], *save = NULL;
	char *tail = strstr(line, " - ");

	if (!tail)
		return 0;
	*tail = '\0';
	tail += 3;
	bool is_v2 = strncmp(tail, "cgroup2 ", 8) == 0;
	if (!is_v2 && strncmp(tail, "cgroup ", 7) != 0)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (!fields[i])
			return 0;
	}
	const char *super_options = strrchr(tail, ' ');
	unescape_octal(fields[3]);
	unescape_octal(fields[4]);
	return add_hierarchy(host, fields[3], fields[4], is_v2, super_options ? super_options + 1 : "");
}

/* Does /proc/self/cgroup's second field ("cpu,cpuacct", "name=systemd", "") speak of this hierarchy? */
static bool names_hierarchy(const char *field, const struct cgroup_hierarchy *hierarchy)
{
	if (*field == '\0')
		return hierarchy->is_v2;
	size_t len = strcspn(field, ",");
	strv_foreach (controller, hierarchy->controllers)
		if (!hierarchy->is_v2 && strlen(*controller) == len && strncmp(*controller, field, len) == 0)
			return true;
	return false;
}

/* `group` as seen from the hierarchy's root, made relative to what is mounted. */
static char *relative_to_mount(const char *group, const char *root)
{
	size_t len = strcmp(root, "/") == 0 ? 0 : strlen(root);

	if (strncmp(group, root, len) != 0 || (group[len] != '/' && group[len] != '\0'))
		return strdup("/");
	return strdup(group[len] ? group + len : "/");
}

/* "4:memory:/group" */
static int parse_own_line(struct cgroup_host *host, char *line)
{
	char *controllers = strchr(line, ':');
	char *group = controllers ? strchr(controllers + 1, ':') : NULL;

	if (!group)
		return 0;
	controllers++;
	*group++ = '\0';
	for (size_t i = 0; i < host->count; i++) {
		struct cgroup_hierarchy *hierarchy = &host->items[i];
		if (hierarchy->own || !names_hierarchy(controllers, hierarchy))
			continue;
		hierarchy->own = relative_to_mount(group, host->roots[i]);
		if (!hierarchy->own)
			return -ENOMEM;
	}
	return 0;
}

static int parse_lines(struct cgroup_host *host, const char *path, int (*parse)(struct cgroup_host *, char *))
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(MOUNTINFO_MAX);
	char *save = NULL;
	int r = read_text(path, &text);

	if (r < 0)
		return r;
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line && r == 0;
		line = strtok_r(NULL, "\n", &save))
		r = parse(host, line);
	return r;
}

int cgroup_host_new(struct cgroup_host **ret)
{
	_autofree_(cgroup_host) struct cgroup_host *host = calloc(1, sizeof(*host));

	if (!host)
		return -ENOMEM;
	int r = parse_lines(host, "/proc/self/mountinfo", parse_mount_line);
	if (r == 0)
		r = parse_lines(host, "/proc/self/cgroup", parse_own_line);
	for (size_t i = 0; i < host->count && r == 0; i++)
		if (!host->items[i].own && !(host->items[i].own = strdup("/")))
			r = -ENOMEM;
	if (r == 0 && host->count == 0)
		r = -ENODEV;
	if (r < 0)
		return r;
	*ret = TAKE(host);
	return 0;
}

static bool is_good_path(const char *path)
{
	bool has_name = false;

	if (strlen(path) >= CGROUP_PATH_MAX / 2)
		return false;
	for (const char *c = path; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	for (const char *at = path; *at;) {
		size_t slashes = strspn(at, "/");
		size_t len = strcspn(at + slashes, "/");
		if (len > NAME_MAX || (len == 2 && strncmp(at + slashes, "..", 2) == 0) ||
			(len == 1 && at[slashes] == '.'))
			return false;
		has_name = has_name || len > 0;
		at += slashes + len;
	}
	return has_name;
}

/* How much of the path of our own group goes before a relative path: none of "/". */
static int relative_base_len(const struct cgroup_hierarchy *hierarchy)
{
	const char *own = hierarchy->own;

	if (hierarchy->is_v2)
		return (int)(strrchr(own, '/') - own);
	return strcmp(own, "/") == 0 ? 0 : (int)strlen(own);
}

int cgroup_host_folders(const struct cgroup_host *host, const char *path, char ***ret)
{
	_autofree_(strv) char **folders = NULL;

	if (!is_good_path(path))
		return -EINVAL;
	const char *below = path + strspn(path, "/");
	for (size_t i = 0; i < host->count; i++) {
		const struct cgroup_hierarchy *hierarchy = &host->items[i];
		int base_len = path[0] == '/' ? 0 : relative_base_len(hierarchy);
		int r = strv_appendf(&folders, "%s%.*s/%s", hierarchy->mount, base_len, hierarchy->own, below);
		if (r < 0)
			return r;
		char *folder = folders[strv_count(folders) - 1];
		for (size_t len = strlen(folder); len > 1 && folder[len - 1] == '/'; len--)
			folder[len - 1] = '\0';
		if (strlen(folder) >= CGROUP_PATH_MAX)
			return -EINVAL;
	}
	*ret = TAKE(folders);
	return 0;
}

int cgroup_host_folders_from_root(const struct cgroup_host *host, const char *path, char ***ret)
{
	_autofree_(strv) char **folders = NULL;

	if (!is_good_path(path))
		return -EINVAL;
	for (size_t i = 0; i < host->count; i++) {
		size_t root = strcmp(host->roots[i], "/") == 0 ? 0 : strlen(host->roots[i]);
		bool is_below_root = strncmp(path, host->roots[i], root) == 0 && path[root] == '/';
		int r = strv_appendf(&folders, "%s%s", host->items[i].mount, path + (is_below_root ? root : 0));
		if (r < 0)
			return r;
		if (strlen(folders[i]) >= CGROUP_PATH_MAX)
			return -EINVAL;
	}
	*ret = TAKE(folders);
	return 0;
}

static bool is_of(const struct cgroup_hierarchy *hierarchy, const char *folder)
{
	size_t len = strlen(hierarchy->mount);

	return strncmp(folder, hierarchy->mount, len) == 0 && folder[len] == '/';
}

/* Moving between two groups of v2 takes the right to the one that both are below, which is this one most often. */
bool cgroup_host_may_make(const struct cgroup_host *host, const char *folder)
{
	char above[CGROUP_PATH_MAX], procs[CGROUP_PATH_MAX + 16];
	bool is_v2 = false;

	snprintf(above, sizeof(above), "%s", folder);
	while (access(above, F_OK) < 0 && strrchr(above, '/') != above)
		*strrchr(above, '/') = '\0';
	for (size_t i = 0; i < host->count; i++)
		is_v2 = is_v2 || (host->items[i].is_v2 && is_of(&host->items[i], folder));
	snprintf(procs, sizeof(procs), "%s/%s", above, is_v2 ? "cgroup.procs" : "tasks");
	return faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0 &&
	       (!is_v2 || faccessat(AT_FDCWD, procs, W_OK, AT_EACCESS) == 0);
}
