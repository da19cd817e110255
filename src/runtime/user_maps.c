#include "runtime/user_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/wait.h>

#include "base/io.h"
#include "base/strv.h"
#include "runtime/id_maps.h"
#include "runtime/lookup.h"
#include "spec/oci_check.h"
#include "sys/procfs.h"
#include "sys/spawn.h"

#define COMPLAINT_MAX    512
#define DEFAULT_PATH     "/usr/sbin:/usr/bin:/sbin:/bin"
#define SETGROUPS_DENIED "deny"

struct user_map {
	const char *file; /* of /proc/PID */
	const char *tool;
	const struct oci_id_mapping *items;
	size_t count;
};

static int write_map(int proc, pid_t pid, const struct user_map *map, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(ID_MAP_TEXT_MAX);
	int r = id_map_text(map->items, map->count, &text, reterr);

	if (r < 0)
		return r;
	r = procfs_write_pid(proc, pid, map->file, text.data);
	return r < 0 ? err_errno(reterr, r, "cannot write the %s of the user namespace", map->file) : 0;
}

static int tool_args(const struct user_map *map, pid_t pid, char ***ret)
{
	_autofree_(strv) char **args = NULL;
	int r = strv_append(&args, map->tool);

	if (r == 0)
		r = strv_appendf(&args, "%d", pid);
	for (size_t i = 0; i < map->count && r == 0; i++) {
		const long long ids[] = { map->items[i].container_id, map->items[i].host_id, map->items[i].size };
		for (size_t k = 0; k < ARRAY_SIZE(ids) && r == 0; k++)
			r = strv_appendf(&args, "%lld", ids[k]);
	}
	if (r == 0)
		*ret = TAKE(args);
	return r;
}

/* It says by itself what it does not allow; that is the reason that is passed on. */
static int run_tool(const struct user_map *map, pid_t pid, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf complaint = BUF_INIT(COMPLAINT_MAX);
	_autofree_(strv) char **args = NULL;
	char path[PATH_MAX], why[LOOKUP_WHY_MAX];
	int pipe_fds[2], status = -1;
	pid_t child;

	if (lookup_command(map->tool, getenv("PATH") ?: DEFAULT_PATH, path, why) < 0)
		return err_set(reterr, ERR_UNSUPPORTED, ENOENT,
			"the %s of the user namespace has ids that are not your own, and %s is not installed",
			map->file, map->tool);
	if (tool_args(map, pid, &args) < 0)
		return err_oom(reterr);
	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_errno(reterr, -errno, "cannot make a pipe");
	const struct spawn spawn = {
		.program_fd = -1, .path = path, .argv = args, .env = environ, .stdio = { -1, -1, pipe_fds[1] }
	};
	int r = spawn_program(&spawn, &child, NULL);
	fd_close(&pipe_fds[1]);
	if (r == 0) {
		io_read_all(pipe_fds[0], &complaint);
		waitpid(child, &status, 0);
	}
	fd_close(&pipe_fds[0]);
	if (r < 0)
		return err_errno(reterr, r, "cannot run %s", path);
	if (status == 0)
		return 0;
	if (complaint.data)
		complaint.data[strcspn(complaint.data, "\n")] = '\0';
	return err_set(reterr, ERR_FORBIDDEN, EPERM, "cannot write the %s of the user namespace: %s", map->file,
		complaint.data ? complaint.data : "newuidmap failed");
}

static bool is_only(const struct user_map *map, uid_t id)
{
	return map->count == 1 && map->items[0].size == 1 && map->items[0].host_id == (int64_t)id;
}

/* A group that somebody is in may be what keeps him out: who maps his own alone gives up the right to leave groups. */
static int write_own(int proc, pid_t pid, const struct user_map *map, bool is_groups, struct err **reterr)
{
	int r = is_groups ? procfs_write_pid(proc, pid, "setgroups", SETGROUPS_DENIED) : 0;

	return r < 0 ? err_errno(reterr, r, "cannot give up setgroups") : write_map(proc, pid, map, reterr);
}

int user_maps_write(pid_t pid, const struct oci_linux *config, struct err **reterr)
{
	/* Without any, everybody stays who he is. */
	static const struct oci_id_mapping all = { .size = OCI_ID_MAX + 1 };
	struct user_map maps[] = {
		{ "uid_map", "newuidmap", config->uid_mappings, config->uid_mapping_count },
		{ "gid_map", "newgidmap", config->gid_mappings, config->gid_mapping_count },
	};
	bool has_right = geteuid() == 0;
	_autoclose_ int proc = has_right ? procfs_open(1) : procfs_open_host();
	int r = 0;

	if (proc < 0)
		return err_errno(reterr, proc, "cannot open a procfs");
	for (size_t i = 0; i < ARRAY_SIZE(maps) && r == 0; i++) {
		bool is_groups = i == 1;
		if (!maps[i].count) {
			maps[i].items = &all;
			maps[i].count = 1;
		}
		if (has_right)
			r = write_map(proc, pid, &maps[i], reterr);
		else if (is_only(&maps[i], is_groups ? getegid() : geteuid()))
			r = write_own(proc, pid, &maps[i], is_groups, reterr);
		else
			r = run_tool(&maps[i], pid, reterr);
	}
	return r;
}
