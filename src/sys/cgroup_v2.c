#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/inotify.h>

#include "base/clock.h"
#include "sys/cgroup_internal.h"

#define FREEZE_TIMEOUT_MS 2000

static int v2_is_frozen(struct cgroup_member *member)
{
	uint64_t frozen = 0;
	int r = cgroup_file_read_key(member->folder, "cgroup.events", "frozen", &frozen);

	return r < 0 ? r : frozen != 0;
}

static int v2_freeze(struct cgroup_member *member, bool frozen)
{
	int64_t deadline = clock_monotonic_ms() + FREEZE_TIMEOUT_MS;
	_autoclose_ int events = cgroup_file_open(member->folder, "cgroup.events", O_RDONLY);

	if (events < 0)
		return events;
	int r = cgroup_file_write(member->folder, "cgroup.freeze", frozen ? "1" : "0");
	while (r == 0) {
		int state = v2_is_frozen(member);
		int64_t left = deadline - clock_monotonic_ms();
		if (state < 0 || state == frozen)
			return state < 0 ? state : 0;
		if (left <= 0)
			return -EBUSY;
		struct pollfd wait = { .fd = events, .events = POLLPRI };
		poll(&wait, 1, left > 100 ? 100 : (int)left);
	}
	return r;
}

static int v2_oom_open(struct cgroup_member *member)
{
	_autoclose_ int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char path[CGROUP_PATH_MAX + 32];

	if (fd < 0)
		return -errno;
	snprintf(path, sizeof(path), "%s/memory.events", member->folder);
	if (inotify_add_watch(fd, path, IN_MODIFY) < 0)
		return -errno;
	return TAKE_FD(fd);
}

static int v2_oom_kills(struct cgroup_member *member, uint64_t *ret)
{
	return cgroup_file_read_key(member->folder, "memory.events", "oom_kill", ret);
}

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);

	for (const char *at = words; (at = strstr(at, word)); at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	return false;
}

bool cgroup_v2_has(const char *folder, const char *controller)
{
	char controllers[1024];

	return cgroup_file_read(folder, "cgroup.controllers", controllers, sizeof(controllers)) == 0 &&
	       has_word(controllers, controller);
}

/*
 * Below a group with processes only the root may hand on. The kernel refuses memory and io there, but cpu, cpuset and pids it
 * takes, and from then on that group is "threaded": no process could enter those below.
 */
static bool can_hand_on(const char *folder)
{
	char procs[64];
	int r = cgroup_file_read(folder, "cgroup.procs", procs, sizeof(procs));

	return (r == 0 && !procs[0]) || cgroup_file_read(folder, "cgroup.type", procs, sizeof(procs)) == -ENOENT;
}

/* Those alone that are not yet (each write waits for the kernel's lock over all groups), and one by one: what can't be handed
 * on is told when a limit needs it. */
void cgroup_v2_hand_on(const char *parent)
{
	char controllers[1024], enabled[1024], command[128], *save = NULL;

	if (cgroup_file_read(parent, "cgroup.controllers", controllers, sizeof(controllers)) < 0 ||
		cgroup_file_read(parent, "cgroup.subtree_control", enabled, sizeof(enabled)) < 0 ||
		!can_hand_on(parent))
		return;
	for (char *name = strtok_r(controllers, " ", &save); name; name = strtok_r(NULL, " ", &save)) {
		if (has_word(enabled, name))
			continue;
		snprintf(command, sizeof(command), "+%.100s", name);
		cgroup_file_write(parent, "cgroup.subtree_control", command);
	}
}

/* Beside v1 the few controllers of v2 stay where they are until a limit asks for one: see cgroup_write. */
static int v2_prepare(struct cgroup_member *member, const char *parent, const char *folder, bool is_new)
{
	(void)folder;
	(void)is_new;
	if (member->is_alone)
		cgroup_v2_hand_on(parent);
	return 0;
}

const struct cgroup_ops cgroup_v2_ops = {
	.freeze = v2_freeze,
	.is_frozen = v2_is_frozen,
	.oom_open = v2_oom_open,
	.oom_kills = v2_oom_kills,
	.prepare = v2_prepare,
};
