#include "sys/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "sys/cgroup_internal.h"

#define HIERARCHIES_MARK "hierarchies:"

/* ---- files ---- */

int cgroup_file_open(const char *folder, const char *file, int flags)
{
	char path[CGROUP_PATH_MAX + NAME_MAX + 2];

	if (strchr(file, '/') || snprintf(path, sizeof(path), "%s/%s", folder, file) >= (int)sizeof(path))
		return -EINVAL;
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 ? -errno : fd;
}

int cgroup_file_write(const char *folder, const char *file, const char *text)
{
	_autoclose_ int fd = cgroup_file_open(folder, file, O_WRONLY);

	/* One write: a cgroup file takes each as a command. */
	if (fd < 0)
		return fd;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

int cgroup_file_read(const char *folder, const char *file, char *out, size_t size)
{
	_autoclose_ int fd = cgroup_file_open(folder, file, O_RDONLY);
	size_t used = 0;

	if (fd < 0)
		return fd;
	for (;;) {
		ssize_t count = read(fd, out + used, size - used);
		if (count < 0 && errno != EINTR)
			return -errno;
		if (count > 0)
			used += (size_t)count;
		if (used == size)
			return -EFBIG;
		if (count == 0)
			break;
	}
	out[used] = '\0';
	if (used > 0 && out[used - 1] == '\n')
		out[used - 1] = '\0';
	return 0;
}

int cgroup_file_read_key(const char *folder, const char *file, const char *key, uint64_t *ret)
{
	char text[4096], *save = NULL;
	int r = cgroup_file_read(folder, file, text, sizeof(text));
	size_t len = strlen(key);

	if (r < 0)
		return r;
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, key, len) == 0 && line[len] == ' ')
			return parse_u64(line + len + 1, UINT64_MAX, ret);
	return -ENODATA;
}

/* ---- the handle ---- */

bool cgroup_member_has(const struct cgroup_member *member, const char *controller)
{
	return strv_has(member->controllers, controller);
}

static const struct cgroup_ops *ops_of(const struct cgroup_member *member)
{
	return member->is_v2 ? &cgroup_v2_ops : &cgroup_v1_ops;
}

static bool is_below(const char *folder, const char *mount)
{
	size_t len = strlen(mount);

	return strncmp(folder, mount, len) == 0 && folder[len] == '/' && folder[len + 1];
}

/* The longest mount that is a prefix: v2 may lie below a v1 mount's parent. */
static const struct cgroup_hierarchy *hierarchy_of(const struct cgroup_host *host, const char *folder)
{
	const struct cgroup_hierarchy *best = NULL;

	for (size_t i = 0; i < host->count; i++) {
		const struct cgroup_hierarchy *item = &host->items[i];
		if (is_below(folder, item->mount) && (!best || strlen(item->mount) > strlen(best->mount)))
			best = item;
	}
	return best;
}

static int add_member(struct cgroup *group, const char *folder)
{
	struct cgroup_member *member = &group->items[group->count];

	if (group->count == CGROUP_HIERARCHIES || strlen(folder) >= CGROUP_PATH_MAX || strstr(folder, "/../"))
		return -EINVAL;
	group->count++;
	member->folder = strdup(folder);
	return member->folder ? strv_append(&group->folders, folder) : -ENOMEM;
}

static int set_hierarchy(struct cgroup_member *member, const struct cgroup_host *host)
{
	const struct cgroup_hierarchy *hierarchy = hierarchy_of(host, member->folder);

	if (!hierarchy)
		return -EINVAL;
	member->is_v2 = hierarchy->is_v2;
	member->is_alone = cgroup_host_is_unified(host);
	member->mount_len = strlen(hierarchy->mount);
	member->controllers = strv_copy(hierarchy->controllers);
	return hierarchy->controllers && !member->controllers ? -ENOMEM : 0;
}

/* The hierarchies' mark: for each member how much of its folder is the mount, its version ("2a": v2 without v1 beside it) and its controllers:
 * "hierarchies:21 1 memory;22 2 hugetlb misc". */
static int note_hierarchies(struct cgroup *group)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CGROUP_FILE_MAX);

	for (size_t i = 0; i < group->count; i++) {
		const struct cgroup_member *member = &group->items[i];
		_cleanup_free_ char *controllers = strv_join(member->controllers, " ");
		int r = controllers
				? buf_printf(&text, "%s%zu %s %s", i == 0 ? HIERARCHIES_MARK : ";", member->mount_len,
					  member->is_alone ? "2a"
					  : member->is_v2  ? "2"
							   : "1",
					  controllers)
				: -ENOMEM;
		if (r < 0)
			return r;
	}
	return group->count == 0 ? 0 : strv_append(&group->marks, text.data);
}

static int take_hierarchy(struct cgroup_member *member, char *const *words)
{
	uint64_t mount_len;

	if (strv_count(words) < 2 || parse_u64(words[0], CGROUP_PATH_MAX, &mount_len) < 0 ||
		mount_len >= strlen(member->folder) || member->folder[mount_len] != '/')
		return -EINVAL;
	member->mount_len = (size_t)mount_len;
	member->is_v2 = words[1][0] == '2';
	member->is_alone = member->is_v2 && words[1][1] == 'a';
	for (words += 2; *words; words++)
		if (**words && strv_append(&member->controllers, *words) < 0)
			return -ENOMEM;
	return 0;
}

static int take_hierarchies(struct cgroup *group, const char *mark)
{
	_autofree_(strv) char **parts = strv_split(mark + strlen(HIERARCHIES_MARK), ';');

	if (!parts)
		return -ENOMEM;
	if (strv_count(parts) != group->count)
		return -EINVAL;
	for (size_t i = 0; i < group->count; i++) {
		_autofree_(strv) char **words = strv_split(parts[i], ' ');
		int r = words ? take_hierarchy(&group->items[i], words) : -ENOMEM;
		if (r < 0)
			return r;
	}
	return 0;
}

static int add_mark(struct cgroup *group, const char *mark)
{
	return strv_count(group->marks) == CGROUP_MARKS_MAX || !strchr(mark, ':') ? -EINVAL
										  : strv_append(&group->marks, mark);
}

static const char *find_mark(const struct cgroup *group, const char *prefix)
{
	strv_foreach (mark, group->marks)
		if (strncmp(*mark, prefix, strlen(prefix)) == 0)
			return *mark;
	return NULL;
}

static int set_hierarchies(struct cgroup *group, const struct cgroup_host *host)
{
	const char *mark = find_mark(group, HIERARCHIES_MARK);
	int r = 0;

	if (mark)
		return take_hierarchies(group, mark);
	if (!host)
		return -ENODATA;
	for (size_t i = 0; i < group->count && r == 0; i++)
		r = set_hierarchy(&group->items[i], host);
	return r < 0 ? r : note_hierarchies(group);
}

int cgroup_new(const struct cgroup_host *host, char *const *folders, struct cgroup **ret)
{
	_autofree_(cgroup) struct cgroup *group = calloc(1, sizeof(*group));

	if (!group)
		return -ENOMEM;
	strv_foreach (folder, folders) {
		int r = **folder == '/' ? add_member(group, *folder) : add_mark(group, *folder);
		if (r < 0)
			return r;
	}
	int r = set_hierarchies(group, host);
	if (r < 0)
		return r;
	for (size_t i = 0; i < group->count; i++)
		group->items[i].is_unit = cgroup_unit(group);
	*ret = TAKE(group);
	return 0;
}

void cgroup_free(struct cgroup *group)
{
	if (!group)
		return;
	for (size_t i = 0; i < group->count; i++) {
		free(group->items[i].folder);
		strv_free(group->items[i].controllers);
	}
	strv_free(group->folders);
	strv_free(group->marks);
	free(group);
}

char *const *cgroup_folders(const struct cgroup *group)
{
	return group->folders;
}

char *const *cgroup_marks(const struct cgroup *group)
{
	return group->marks;
}

const char *cgroup_unit(const struct cgroup *group)
{
	return find_mark(group, CGROUP_UNIT_PREFIX);
}

int cgroup_lines(const struct cgroup *group, char ***ret)
{
	_autofree_(strv) char **lines = strv_copy(group->folders);

	if (!lines || strv_extend(&lines, group->marks) < 0)
		return -ENOMEM;
	*ret = TAKE(lines);
	return 0;
}

static struct cgroup_member *member_of(const struct cgroup *group, const char *controller)
{
	for (size_t i = 0; i < group->count; i++) {
		struct cgroup_member *member = (struct cgroup_member *)&group->items[i];
		if (*controller ? cgroup_member_has(member, controller) : member->is_v2)
			return member;
	}
	return NULL;
}

const char *cgroup_folder_of(const struct cgroup *group, const char *controller)
{
	const struct cgroup_member *member = member_of(group, controller);

	return member ? member->folder : NULL;
}

bool cgroup_is_v2(const struct cgroup *group, const char *controller)
{
	const struct cgroup_member *member = member_of(group, controller);

	return member && member->is_v2;
}

bool cgroup_is_handed(const struct cgroup *group, const char *controller)
{
	const struct cgroup_member *member = member_of(group, controller);

	return member && member->is_v2 && cgroup_v2_has(member->folder, controller);
}

/* ---- making and removing ---- */

static bool has_members(const char *folder)
{
	char text[64];
	int r = cgroup_file_read(folder, "cgroup.procs", text, sizeof(text));

	return r == -EFBIG || (r == 0 && text[0]);
}

/* Somebody else's group, or the rest of a crash: an empty one may be taken over. */
static int check_reusable(struct cgroup_member *member)
{
	if (has_members(member->folder))
		return -EBUSY;
	if ((member->is_v2 || cgroup_member_has(member, "freezer")) && ops_of(member)->is_frozen(member) == 1)
		return -EBUSY;
	return 0;
}

static int make_level(struct cgroup_member *member, const char *parent, const char *folder, bool is_last)
{
	bool is_new = mkdir(folder, 0755) == 0;

	if (!is_new && errno != EEXIST)
		return -errno;
	if (!is_new && is_last && !member->is_unit) {
		int r = check_reusable(member);
		if (r < 0)
			return r;
	}
	if (is_last)
		member->is_made = true;
	return ops_of(member)->prepare(member, parent, folder, is_new);
}

/* Below a parent that is there and usable, as it is from the second container on. -ENOENT: it is not. */
static int make_last_level(struct cgroup_member *member)
{
	char parent[CGROUP_PATH_MAX];

	if (member->is_v2) /* each level hands its controllers on */
		return -ENOENT;
	snprintf(parent, sizeof(parent), "%.*s", (int)(strrchr(member->folder, '/') - member->folder), member->folder);
	return make_level(member, parent, member->folder, true);
}

typedef int level_fn(struct cgroup_member *member, const char *parent, const char *folder, bool is_last);

/* Calls `level` for each folder from below the mount to the member's own, until one fails. */
static int each_level(struct cgroup_member *member, level_fn *level)
{
	char parent[CGROUP_PATH_MAX], folder[CGROUP_PATH_MAX];
	size_t at = member->mount_len;
	unsigned depth = 0;

	while (member->folder[at]) {
		at += strspn(member->folder + at, "/");
		size_t end = at + strcspn(member->folder + at, "/");
		if (++depth > CGROUP_DEPTH_MAX)
			return -ENAMETOOLONG;
		snprintf(parent, sizeof(parent), "%.*s", (int)(at - 1), member->folder);
		snprintf(folder, sizeof(folder), "%.*s", (int)end, member->folder);
		int r = level(member, parent, folder, member->folder[end] == '\0');
		if (r < 0)
			return r;
		at = end;
	}
	return 0;
}

static int make_member(struct cgroup_member *member)
{
	int r = make_last_level(member);

	return r == -ENOENT ? each_level(member, make_level) : r;
}

int cgroup_make(struct cgroup *group, const char **ret_folder)
{
	for (size_t i = 0; i < group->count; i++) {
		int r = make_member(&group->items[i]);
		if (r == 0)
			continue;
		*ret_folder = group->items[i].folder;
		for (size_t k = 0; k <= i; k++)
			if (group->items[k].is_made)
				rmdir(group->items[k].folder);
		return r;
	}
	return 0;
}

/* Deepest first. What a container made below its group is its own business to nest, ours to bound. */
static int remove_tree(int parent_fd, const char *name, unsigned depth)
{
	if (unlinkat(parent_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY && errno != ENOTEMPTY)
		return -errno;
	if (depth == CGROUP_DEPTH_MAX)
		return -ELOOP;

	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		int r = -errno;
		fd_close(&fd);
		return r;
	}
	int r = 0;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = remove_tree(fd, entry->d_name, depth + 1);
	if (r == 0 && unlinkat(parent_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	closedir(dir);
	return r;
}

/* A member that was killed leaves its group a little later: rmdir says EBUSY until then. */
int cgroup_remove(struct cgroup *group, int timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;
	int result = 0;

	for (size_t i = group->count; i-- > 0;) {
		int r, pause_ms = 1;
		while ((r = remove_tree(AT_FDCWD, group->items[i].folder, 0)) == -EBUSY &&
			clock_monotonic_ms() < deadline) {
			poll(NULL, 0, pause_ms);
			pause_ms = pause_ms < 20 ? pause_ms * 2 : 20;
		}
		if (r < 0)
			result = r;
	}
	return result;
}

/* ---- members ---- */

int cgroup_join(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (write(fds[i], "0", 1) < 0)
			return -errno;
	return 0;
}

int cgroup_attach(struct cgroup *group, pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < group->count; i++) {
		int r = cgroup_file_write(group->items[i].folder, "cgroup.procs", text);
		if (r < 0)
			return r;
	}
	return 0;
}

static int hand_on_level(struct cgroup_member *member, const char *parent, const char *folder, bool is_last)
{
	(void)member;
	(void)folder;
	(void)is_last;
	cgroup_v2_hand_on(parent);
	return 0;
}

int cgroup_write(struct cgroup *group, const char *controller, const char *file, const char *text)
{
	struct cgroup_member *member = member_of(group, controller);
	int r = member ? cgroup_file_write(member->folder, file, text) : -ENODEV;

	/* A hybrid host's v2 gets its controllers when they are needed. */
	if (r == -ENOENT && member->is_v2 && !member->is_alone && each_level(member, hand_on_level) == 0)
		r = cgroup_file_write(member->folder, file, text);
	return r;
}

int cgroup_open(struct cgroup *group, const char *controller, const char *file, int flags)
{
	const char *folder = cgroup_folder_of(group, controller);

	return folder ? cgroup_file_open(folder, file, flags) : -ENODEV;
}

int cgroup_read(struct cgroup *group, const char *controller, const char *file, char *out, size_t size)
{
	const char *folder = cgroup_folder_of(group, controller);

	return folder ? cgroup_file_read(folder, file, out, size) : -ENODEV;
}

int cgroup_read_u64(struct cgroup *group, const char *controller, const char *file, uint64_t *ret)
{
	char text[64];
	int r = cgroup_read(group, controller, file, text, sizeof(text));

	return r < 0 ? r : parse_u64(text, UINT64_MAX, ret);
}

struct pid_list {
	pid_t *items;
	size_t count;
};

static int add_pids(struct pid_list *list, int folder_fd)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT((size_t)CGROUP_PIDS_MAX * 8);
	_autoclose_ int fd = openat(folder_fd, "cgroup.procs", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *save = NULL;

	if (fd < 0)
		return -errno;
	int r = io_read_all(fd, &text);
	for (char *line = r == 0 && text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		uint64_t pid;
		if (parse_u64(line, INT32_MAX, &pid) < 0 || pid == 0)
			continue;
		pid_t *grown = reallocarray(list->items, list->count + 1, sizeof(pid_t));
		if (!grown)
			return -ENOMEM;
		list->items = grown;
		list->items[list->count++] = (pid_t)pid;
	}
	/* A threaded v2 group has no procs file to read; its members are in the domain above. */
	return r == -EOPNOTSUPP ? 0 : r;
}

static int collect_pids(struct pid_list *list, int parent_fd, const char *name, unsigned depth)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = fd < 0 ? -errno : add_pids(list, fd);
	DIR *dir = r < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		fd_close(&fd);
		return r == -ENOENT || r == -ENODEV ? 0 : r < 0 ? r : -ENOMEM;
	}
	for (struct dirent *entry; r == 0 && depth < CGROUP_DEPTH_MAX && (entry = readdir(dir));)
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = collect_pids(list, fd, entry->d_name, depth + 1);
	closedir(dir);
	return r;
}

static bool hands_on(const struct cgroup_member *member)
{
	char controllers[1024];

	return cgroup_file_read(member->folder, "cgroup.subtree_control", controllers, sizeof(controllers)) == 0 &&
	       controllers[0];
}

/* The folder in this tree that `pid` is in. What is below may change under us: -ENOENT then. */
static int open_folder_of_pid(int parent_fd, const char *name, pid_t pid, unsigned depth)
{
	_autoclose_ int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct pid_list list = { NULL, 0 };
	int r = fd < 0 ? -errno : add_pids(&list, fd);

	if (r == 0)
		r = -ENOENT;
	for (size_t i = 0; i < list.count && r == -ENOENT; i++)
		if (list.items[i] == pid)
			r = TAKE_FD(fd);
	free(list.items);
	int copy = r == -ENOENT && fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	for (struct dirent *entry; dir && r == -ENOENT && depth < CGROUP_DEPTH_MAX && (entry = readdir(dir));)
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			r = open_folder_of_pid(fd, entry->d_name, pid, depth + 1);
	if (dir)
		closedir(dir);
	else
		fd_close(&copy);
	return r;
}

static int open_v2_for_join(const struct cgroup_member *member, pid_t beside)
{
	if (beside && hands_on(member))
		return open_folder_of_pid(AT_FDCWD, member->folder, beside, 0);
	int fd = open(member->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_open_for_join(struct cgroup *group, pid_t beside, int fds[CGROUP_HIERARCHIES], int *ret_v2)
{
	int count = 0, v2 = -1, r = 0;

	for (size_t i = 0; i < group->count && r >= 0; i++) {
		struct cgroup_member *member = &group->items[i];
		if (member->is_v2) {
			r = v2 = open_v2_for_join(member, beside);
		} else {
			r = cgroup_file_open(member->folder, "tasks", O_WRONLY);
			if (r >= 0)
				fds[count++] = r;
		}
	}
	if (r >= 0) {
		*ret_v2 = v2;
		return count;
	}
	while (count > 0)
		fd_close(&fds[--count]);
	fd_close(&v2);
	return r;
}

/* The hierarchy that a container is least able to leave: v2, else the one that can freeze, else pids, else any. */
static struct cgroup_member *main_member(struct cgroup *group)
{
	static const char *const preferred[] = { "", "freezer", "pids", "devices" };

	for (size_t i = 0; i < ARRAY_SIZE(preferred); i++) {
		struct cgroup_member *member = member_of(group, preferred[i]);
		if (member)
			return member;
	}
	return group->count ? &group->items[0] : NULL;
}

int cgroup_pids(struct cgroup *group, pid_t **ret, size_t *ret_count)
{
	struct cgroup_member *member = main_member(group);
	struct pid_list list = { NULL, 0 };
	int r = member ? collect_pids(&list, AT_FDCWD, member->folder, 0) : 0;

	if (r < 0) {
		free(list.items);
		return r;
	}
	*ret = list.items;
	*ret_count = list.count;
	return 0;
}

bool cgroup_is_empty(struct cgroup *group)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count = 0;

	return cgroup_pids(group, &pids, &count) == 0 && count == 0;
}

/* ---- freezing and killing ---- */

static struct cgroup_member *freezer(struct cgroup *group)
{
	struct cgroup_member *member = member_of(group, "freezer");

	return member ? member : member_of(group, "");
}

int cgroup_freeze(struct cgroup *group, bool frozen)
{
	struct cgroup_member *member = freezer(group);

	return member ? ops_of(member)->freeze(member, frozen) : -ENODEV;
}

int cgroup_is_frozen(struct cgroup *group)
{
	struct cgroup_member *member = freezer(group);

	return member ? ops_of(member)->is_frozen(member) : -ENODEV;
}

int cgroup_signal(struct cgroup *group, int signo)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count = 0;
	int r = cgroup_pids(group, &pids, &count);

	/* A pid read here may be reused before kill: only by another member while the group is frozen, else a race that the
	 * callers of a plain signal accept and cgroup_kill avoids. */
	for (size_t i = 0; i < count; i++)
		if (kill(pids[i], signo) < 0 && errno != ESRCH && r == 0)
			r = -errno;
	return r;
}

/* A frozen v1 task dies only once thawed, so: freeze (nothing can fork away), signal all, thaw. */
static int kill_frozen(struct cgroup *group)
{
	int frozen = cgroup_freeze(group, true);
	int r = cgroup_signal(group, SIGKILL);

	if (frozen != -ENODEV)
		cgroup_freeze(group, false);
	return r;
}

static int give_file(const char *folder, const char *file, uid_t owner)
{
	_autoclose_ int fd = cgroup_file_open(folder, file, O_PATH);

	if (fd < 0)
		return fd;
	return fchownat(fd, "", owner, (gid_t)-1, AT_EMPTY_PATH) < 0 ? -errno : 0;
}

int cgroup_give(struct cgroup *group, uid_t owner)
{
	char names[1024], *save = NULL;
	const char *folder = cgroup_folder_of(group, "");

	if (!folder)
		return 0;
	if (cgroup_file_read("/sys/kernel/cgroup", "delegate", names, sizeof(names)) < 0)
		strcpy(names, "cgroup.procs\ncgroup.threads\ncgroup.subtree_control"); /* before 4.15 */
	int r = give_file(folder, ".", owner);
	for (char *name = strtok_r(names, "\n", &save); r == 0 && name; name = strtok_r(NULL, "\n", &save)) {
		r = give_file(folder, name, owner);
		r = r == -ENOENT ? 0 : r; /* of a controller that the group has not */
	}
	return r;
}

int cgroup_kill(struct cgroup *group)
{
	struct cgroup_member *v2 = member_of(group, "");
	int r = v2 ? cgroup_file_write(v2->folder, "cgroup.kill", "1") : -ENODEV;

	if (r == 0) {
		/* On hybrid hosts the v1 freezer would keep them from dying. */
		if (member_of(group, "freezer") && cgroup_is_frozen(group) != 0)
			cgroup_freeze(group, false);
		return 0;
	}
	/* Anything that joined late is met in the next round. */
	for (int round = 0; round < 16 && !cgroup_is_empty(group); round++) {
		r = kill_frozen(group);
		if (r == -ENOENT)
			return 0;
		poll(NULL, 0, 1);
	}
	return r == -ENODEV || r == -ENOENT ? 0 : r;
}

int cgroup_oom_open(struct cgroup *group)
{
	struct cgroup_member *member = member_of(group, "memory");

	return member ? ops_of(member)->oom_open(member) : -ENODEV;
}

int cgroup_oom_kills(struct cgroup *group, uint64_t *ret)
{
	struct cgroup_member *member = member_of(group, "memory");

	return member ? ops_of(member)->oom_kills(member, ret) : -ENODEV;
}
