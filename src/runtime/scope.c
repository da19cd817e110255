#include "runtime/scope.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/strv.h"
#include "runtime/scope_properties.h"
#include "runtime/systemd.h"
#include "sys/spawn.h"

#define UNIT_NAME_MAX 255
#define SLICE_SUFFIX  ".slice"
#define MARK_SYSTEM   CGROUP_UNIT_PREFIX ":"
#define MARK_USER     CGROUP_UNIT_PREFIX "-user:"

struct scope {
	struct systemd *manager;
	char *mark;
	char *slice;
	char *unit;
	char *id;
	pid_t placeholder; /* 0: none */
};

static void end_placeholder(struct scope *scope)
{
	if (scope->placeholder <= 0)
		return;
	kill(scope->placeholder, SIGKILL);
	while (waitpid(scope->placeholder, NULL, 0) < 0 && errno == EINTR)
		;
	scope->placeholder = 0;
}

void scope_free(struct scope *scope)
{
	if (!scope)
		return;
	end_placeholder(scope);
	systemd_close(scope->manager);
	free(scope->mark);
	free(scope->slice);
	free(scope->unit);
	free(scope->id);
	free(scope);
}

/* ---- names ---- */

int scope_slice_path(const char *slice, char **ret)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CGROUP_PATH_MAX);
	size_t len = strlen(slice), stem = len - strlen(SLICE_SUFFIX);
	int r = buf_puts(&path, "");

	if (len <= strlen(SLICE_SUFFIX) || len > UNIT_NAME_MAX || strcmp(slice + stem, SLICE_SUFFIX) != 0 ||
		strchr(slice, '/'))
		return -EINVAL;
	bool is_root = strcmp(slice, "-" SLICE_SUFFIX) == 0;
	for (size_t at = 0; r == 0 && at < stem && !is_root; at++) {
		if (slice[at] != '-')
			continue;
		if (at == 0 || at + 1 == stem || slice[at + 1] == '-')
			return -EINVAL;
		r = buf_printf(&path, "/%.*s" SLICE_SUFFIX, (int)at, slice);
	}
	if (r == 0 && !is_root)
		r = buf_printf(&path, "/%s", slice);
	if (r < 0)
		return r == -EFBIG ? -EINVAL : r;
	*ret = buf_take(&path);
	return *ret ? 0 : -ENOMEM;
}

int scope_names(const char *cgroups_path, const char *id, bool is_user, char **ret_slice, char **ret_unit,
	struct err **reterr)
{
	const char *usual = is_user ? "user.slice" : "system.slice";
	_autofree_(strv) char **parts = strv_split(cgroups_path && *cgroups_path ? cgroups_path : "::", ':');
	_cleanup_free_ char *slice = NULL, *unit = NULL;

	if (!parts)
		return err_oom(reterr);
	if (strv_count(parts) != 3)
		return err_set(reterr, ERR_INVALID, 0,
			"expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got \"%.200s\" instead",
			cgroups_path);
	bool is_unnamed = !*parts[2] && !*parts[1];
	const char *name = *parts[2] ? parts[2] : id, *prefix = is_unnamed ? "tare" : parts[1];
	slice = strdup(*parts[0] ? parts[0] : usual);
	if (!slice || asprintf(&unit, "%s%s%s.scope", prefix, *prefix ? "-" : "", name) < 0)
		return err_oom(reterr);
	if (strlen(unit) > UNIT_NAME_MAX ||
		unit[strspn(unit, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.\\@-")])
		return err_set(reterr, ERR_INVALID, 0, "\"%.300s\" is not a name for a unit of systemd's", unit);
	*ret_slice = TAKE(slice);
	*ret_unit = TAKE(unit);
	return 0;
}

static int find_folders(struct scope *scope, const struct cgroup_host *host, char ***ret, struct err **reterr)
{
	_cleanup_free_ char *base = NULL, *slices = NULL, *path = NULL;
	int r = scope_slice_path(scope->slice, &slices);

	if (r < 0)
		return r == -ENOMEM ? err_oom(reterr)
				    : err_set(reterr, ERR_INVALID, 0, "invalid slice name: %s", scope->slice);
	r = systemd_control_group(scope->manager, &base, reterr);
	if (r < 0)
		return r;
	if (asprintf(&path, "%s%s/%s", strcmp(base, "/") == 0 ? "" : base, slices, scope->unit) < 0)
		return err_oom(reterr);
	r = cgroup_host_folders_from_root(host, path, ret);
	if (r == 0)
		r = strv_append(ret, scope->mark);
	return r < 0 ? err_errno(reterr, r, "invalid cgroup path \"%.200s\"", path) : 0;
}

int scope_new(const char *cgroups_path, const char *id, bool is_user, const struct cgroup_host *host,
	struct scope **ret, char ***ret_folders, struct err **reterr)
{
	_autofree_(scope) struct scope *scope = calloc(1, sizeof(*scope));

	if (!scope || !(scope->id = strdup(id)))
		return err_oom(reterr);
	int r = scope_names(cgroups_path, id, is_user, &scope->slice, &scope->unit, reterr);
	if (r < 0)
		return r;
	if (asprintf(&scope->mark, "%s%s", is_user ? MARK_USER : MARK_SYSTEM, scope->unit) < 0)
		return err_oom(reterr);
	r = systemd_open(is_user, &scope->manager, reterr);
	if (r == 0)
		r = find_folders(scope, host, ret_folders, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(scope);
	return 0;
}

/* ---- starting ---- */

/* Ends with us, too. It holds nothing open. */
static int begin_placeholder(struct scope *scope, struct err **reterr)
{
	pid_t parent = getpid();
	pid_t pid = spawn_aside(-1);

	if (pid == 0) {
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_SETMASK, &all, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	if (pid < 0)
		return err_errno(reterr, pid, "cannot make the scope's first process");
	scope->placeholder = pid;
	return 0;
}

static void put_scope(struct dbus_body *body, const struct scope *scope, bool is_v2)
{
	static const char *const counted[] = { "MemoryAccounting", "CPUAccounting", "TasksAccounting" };
	_cleanup_free_ char *description = NULL;

	if (asprintf(&description, "container %s", scope->id) >= 0)
		property_text(body, "Description", description);
	property_text(body, "Slice", scope->slice);
	property_text(body, "CollectMode", "inactive-or-failed");
	property_bool(body, "DefaultDependencies", false);
	property_bool(body, "Delegate", true);
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++)
		property_bool(body, counted[i], true);
	property_bool(body, is_v2 ? "IOAccounting" : "BlockIOAccounting", true);
	property_pid(body, scope->placeholder);
}

static int call_with_name(struct systemd *manager, const char *member, const char *unit, const char *mode, bool waits,
	const char **ret_name, struct err **reterr)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;

	dbus_put_string(&body, unit);
	if (mode)
		dbus_put_string(&body, mode);
	return systemd_call(manager, member, mode ? "ss" : "s", &body, waits, ret_name, reterr);
}

static int start_unit(struct scope *scope, const struct dbus_body *body, struct err **reterr)
{
	static const char member[] = "StartTransientUnit", signature[] = "ssa(sv)a(sa(sv))";
	_autofree_(err) struct err *first = NULL;
	const char *name;
	int r = systemd_call(scope->manager, member, signature, body, true, &name, &first);

	/* One that failed and is still remembered is in nobody's way. */
	if (r < 0 && strcmp(name, "org.freedesktop.systemd1.UnitExists") == 0 &&
		call_with_name(scope->manager, "ResetFailedUnit", scope->unit, NULL, false, NULL, NULL) == 0)
		return systemd_call(scope->manager, member, signature, body, true, NULL, reterr);
	if (r < 0 && reterr)
		*reterr = TAKE(first);
	return r;
}

static bool is_any_there(const struct cgroup *group)
{
	strv_foreach (folder, cgroup_folders(group))
		if (access(*folder, F_OK) == 0)
			return true;
	return false;
}

static bool is_users(const char *mark)
{
	return strncmp(mark, MARK_USER, strlen(MARK_USER)) == 0;
}

/* v2 alone: where it is beside v1, systemd keeps its limits in v1. */
static bool is_unified(const struct cgroup *group)
{
	return strv_count(cgroup_folders(group)) == 1 && cgroup_is_v2(group, "");
}

int scope_start(struct scope *scope, const struct cgroup *group, const struct oci_resources *resources,
	const struct map *annotations, struct err **reterr)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	bool is_v2 = is_unified(group);
	int r = begin_placeholder(scope, reterr);

	if (r < 0)
		return r;
	dbus_put_string(&body, scope->unit);
	dbus_put_string(&body, "replace");
	size_t properties = dbus_array_begin(&body, 8);
	put_scope(&body, scope, is_v2);
	scope_put_resources(&body, resources, is_v2, !is_users(scope->mark));
	r = scope_put_annotations(&body, annotations, reterr);
	dbus_array_end(&body, properties, 8);
	size_t others = dbus_array_begin(&body, 8);
	dbus_array_end(&body, others, 8);
	if (r == 0)
		r = start_unit(scope, &body, reterr);
	if (r == 0 && !is_any_there(group))
		r = err_set(reterr, ERR_UNSUPPORTED, 0, "systemd made %s where /sys/fs/cgroup does not show it: %s",
			scope->unit, cgroup_folders(group)[0]);
	if (r < 0) {
		end_placeholder(scope);
		return err_wrap(reterr, r, "unable to apply cgroup configuration: unable to start unit \"%s\"",
			scope->unit);
	}
	return 0;
}

/* ---- afterwards ---- */

static int open_unit(const struct cgroup *group, struct systemd **ret, const char **ret_unit, struct err **reterr)
{
	*ret_unit = strchr(cgroup_unit(group), ':') + 1;
	return systemd_open(is_users(cgroup_unit(group)), ret, reterr);
}

/* With any property systemd writes v1's device list, too: from nothing, and without what it has no words for. */
static void restore_devices(struct cgroup *group, char *list)
{
	_cleanup_free_ char *now = malloc(CGROUP_FILE_MAX);
	char *save = NULL;

	if (!now || cgroup_read(group, "devices", "devices.list", now, CGROUP_FILE_MAX) < 0 || strcmp(now, list) == 0)
		return;
	cgroup_write(group, "devices", "devices.deny", "a");
	for (char *line = strtok_r(list, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		cgroup_write(group, "devices", "devices.allow", line);
}

static int set_properties(struct systemd *manager, struct cgroup *group, const struct dbus_body *body,
	struct err **reterr)
{
	_cleanup_free_ char *list = malloc(CGROUP_FILE_MAX);
	bool has_list = list && cgroup_read(group, "devices", "devices.list", list, CGROUP_FILE_MAX) == 0;
	bool freezes = has_list && cgroup_is_frozen(group) == 0 && cgroup_freeze(group, true) == 0;
	int r = systemd_call(manager, "SetUnitProperties", "sba(sv)", body, false, NULL, reterr);

	if (has_list)
		restore_devices(group, list);
	if (freezes)
		cgroup_freeze(group, false);
	return r;
}

int scope_update(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	_autofree_(systemd) struct systemd *manager = NULL;
	const char *unit;
	int r = open_unit(group, &manager, &unit, reterr);

	if (r < 0)
		return r;
	dbus_put_string(&body, unit);
	dbus_put_u32(&body, true); /* for as long as it runs */
	size_t properties = dbus_array_begin(&body, 8);
	size_t before = body.bytes.len;
	scope_put_resources(&body, resources, is_unified(group), false);
	bool is_empty = body.bytes.len == before;
	dbus_array_end(&body, properties, 8);
	return is_empty ? 0 : set_properties(manager, group, &body, reterr);
}

/* Most often systemd has seen the end of the last process, and forgotten the unit. */
int scope_stop(const struct cgroup *group, struct err **reterr)
{
	_autofree_(systemd) struct systemd *manager = NULL;
	_autofree_(err) struct err *error = NULL;
	const char *unit, *name = "";
	int r = open_unit(group, &manager, &unit, reterr);

	if (r < 0)
		return r;
	r = call_with_name(manager, "StopUnit", unit, "replace", true, &name, &error);
	if (r == 0)
		call_with_name(manager, "ResetFailedUnit", unit, NULL, false, NULL, NULL);
	else if (strcmp(name, "org.freedesktop.systemd1.NoSuchUnit") == 0)
		r = 0;
	if (r < 0 && reterr)
		*reterr = TAKE(error);
	return r;
}
