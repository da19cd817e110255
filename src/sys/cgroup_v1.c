#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "base/clock.h"
#include "base/io.h"
#include "sys/cgroup_internal.h"

#define FREEZE_TIMEOUT_MS 2000

static int v1_is_frozen(struct cgroup_member *member)
{
	char state[32];
	int r = cgroup_file_read(member->folder, "freezer.state", state, sizeof(state));

	return r < 0 ? r : strcmp(state, "FROZEN") == 0;
}

/* FREEZING goes on while a member forks; asking again catches those, and thawing lets the kernel start over. */
static int v1_freeze(struct cgroup_member *member, bool frozen)
{
	int64_t deadline = clock_monotonic_ms() + FREEZE_TIMEOUT_MS;
	int r = cgroup_file_write(member->folder, "freezer.state", frozen ? "FROZEN" : "THAWED");

	for (unsigned round = 1; frozen && r == 0; round++) {
		int state = v1_is_frozen(member);
		if (state != 0)
			return state < 0 ? state : 0;
		if (clock_monotonic_ms() >= deadline) {
			cgroup_file_write(member->folder, "freezer.state", "THAWED");
			return -EBUSY;
		}
		poll(NULL, 0, round < 10 ? 1 : 10);
		if (round % 25 == 0)
			cgroup_file_write(member->folder, "freezer.state", "THAWED");
		r = cgroup_file_write(member->folder, "freezer.state", "FROZEN");
	}
	return r;
}

/* An eventfd told by the kernel at each OOM in the group, and when the group goes away. */
static int v1_oom_open(struct cgroup_member *member)
{
	_autoclose_ int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_autoclose_ int control = cgroup_file_open(member->folder, "memory.oom_control", O_RDONLY);
	char text[64];

	if (event < 0)
		return -errno;
	if (control < 0)
		return control;
	snprintf(text, sizeof(text), "%d %d", event, control);
	int r = cgroup_file_write(member->folder, "cgroup.event_control", text);
	return r < 0 ? r : TAKE_FD(event);
}

static int v1_oom_kills(struct cgroup_member *member, uint64_t *ret)
{
	return cgroup_file_read_key(member->folder, "memory.oom_control", "oom_kill", ret);
}

/* A new cpuset is empty (or has what its parent has), and nothing can join an empty one. */
static int v1_prepare(struct cgroup_member *member, const char *parent, const char *folder, bool is_new)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };
	char value[4096] = "";

	if (!cgroup_member_has(member, "cpuset"))
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		int r = is_new ? 0 : cgroup_file_read(folder, files[i], value, sizeof(value));
		if (r == 0 && (is_new || value[0] == '\0')) {
			r = cgroup_file_read(parent, files[i], value, sizeof(value));
			if (r == 0 && value[0] == '\0')
				r = -ENOENT; /* it has to be made usable first */
			if (r == 0)
				r = cgroup_file_write(folder, files[i], value);
		}
		if (r < 0)
			return r;
	}
	return 0;
}

const struct cgroup_ops cgroup_v1_ops = {
	.freeze = v1_freeze,
	.is_frozen = v1_is_frozen,
	.oom_open = v1_oom_open,
	.oom_kills = v1_oom_kills,
	.prepare = v1_prepare,
};
