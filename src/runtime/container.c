/*
 * The creator's side. Order of a creation:
 *
 *	plan          checked and opened, nothing made
 *	on_groups     the caller has the folders on disk
 *	groups        made, or a scope of systemd's and the rest; limits written
 *	clone         the child goes its way (child.c); we answer: id maps, hooks
 *	READY
 *
 * A failure anywhere kills the child by its pidfd, reaps it and removes the groups. A crash leaves groups (the caller knows
 * them) and perhaps a child that ends by itself as its sync socket closes, unless another process is to start it.
 */
#include "runtime/container.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/birth.h"
#include "runtime/container_internal.h"
#include "runtime/hooks.h"
#include "runtime/id_maps.h"
#include "runtime/listener.h"
#include "runtime/net_devices.h"
#include "runtime/rdt.h"
#include "runtime/resources.h"
#include "runtime/resources_saved.h"
#include "runtime/scope.h"
#include "runtime/user_maps.h"
#include "spec/oci_check.h"
#include "sys/aside.h"
#include "sys/namespaces.h"
#include "sys/procfs.h"
#include "sys/selfexe.h"

#define DYING_MS      1000
#define LITTLE_MEMORY (8 << 20)

int container_process_prepare(int keep_below, char **argv, int *ret_view)
{
	int r = selfexe_protect(argv, ret_view);

	if (r < 0)
		return r;
	/* Marked rather than closed: what a caller wants handed on is told by number later. After the re-execution, which would
	 * close them. */
	if (close_range((unsigned)keep_below, ~0U, CLOSE_RANGE_CLOEXEC) < 0)
		return -errno;
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

void container_free(struct container *container)
{
	if (!container)
		return;
	birth_finish(&container->init, false);
	fd_close(&container->console_fd);
	cgroup_free(container->group);
	scope_free(container->scope);
	free(container->rdt_root);
	free(container->id);
	free(container->bundle_path);
	if (container->hooks_copied)
		json_finish(&oci_spec_table, &container->hooks_spec);
	free(container);
}

int container_pidfd(const struct container *container)
{
	return container->init.pidfd;
}

pid_t container_pid(const struct container *container)
{
	return container->init.pid;
}

int container_take_console(struct container *container)
{
	return TAKE_FD(container->console_fd);
}

char *const *container_groups(const struct container *container)
{
	return container->group ? cgroup_folders(container->group) : NULL;
}

static int container_new(const char *id, struct container **ret)
{
	struct container *container = calloc(1, sizeof(*container));

	if (!container)
		return -ENOMEM;
	container->init = (struct birth)BIRTH_INIT;
	container->console_fd = -1;
	container->id = strdup(id);
	if (!container->id) {
		container_free(container);
		return -ENOMEM;
	}
	*ret = container;
	return 0;
}

/* ---- groups ---- */

static int open_host(struct cgroup_host **ret, struct err **reterr)
{
	int r = cgroup_host_new(ret);

	if (r == -ENODEV)
		return err_set(reterr, ERR_UNSUPPORTED, ENODEV, "no cgroup hierarchy is mounted on this host");
	return r < 0 ? err_errno(reterr, r, "cannot look at the host's cgroups") : 0;
}

static int leave_out_forbidden(const struct cgroup_host *host, char ***folders)
{
	_autofree_(strv) char **allowed = NULL;

	strv_foreach (folder, *folders)
		if ((**folder != '/' || cgroup_host_may_make(host, *folder)) && strv_append(&allowed, *folder) < 0)
			return -ENOMEM;
	strv_free(*folders);
	*folders = TAKE(allowed);
	return 0;
}

static int plan_rdt(struct container *container, const struct oci_intel_rdt *rdt, char ***marks, struct err **reterr)
{
	int r = rdt_find_root(&container->rdt_root, reterr);

	return r < 0 ? r : rdt_plan(container->rdt_root, rdt, container->id, marks, reterr);
}

static int name_groups(const struct oci_spec *spec, const struct container_options *options,
	const struct cgroup_host *host, struct container *container, struct err **reterr)
{
	_autofree_(strv) char **folders = NULL;
	const char *path = spec->linux_config.cgroups_path;
	int r = 0;

	if (options->cgroup_manager == CONTAINER_SYSTEMD) {
		r = scope_new(path, options->id, options->needs_no_groups, host, &container->scope, &folders, reterr);
		if (r < 0)
			return r;
	}
	if (!path || !*path)
		path = options->id;
	if (options->cgroup_manager == CONTAINER_CGROUPFS)
		r = cgroup_host_folders(host, path, &folders);
	if (r == 0 && options->needs_no_groups)
		r = leave_out_forbidden(host, &folders);
	if (r == 0 && spec->linux_config.intel_rdt) {
		r = plan_rdt(container, spec->linux_config.intel_rdt, &folders, reterr);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = cgroup_new(host, folders, &container->group);
	if (r == -EINVAL)
		return err_set(reterr, ERR_INVALID, 0, "invalid cgroup path \"%.200s\"", path);
	return r < 0 ? err_errno(reterr, r, "cannot name the container's cgroups") : 0;
}

static int note_groups(struct container *container, const struct container_options *options, struct err **reterr)
{
	_autofree_(strv) char **lines = NULL;
	int r = options->on_groups ? cgroup_lines(container->group, &lines) : 0;

	if (r == 0 && options->on_groups)
		r = options->on_groups(lines, options->user_data);
	return r < 0 ? err_errno(reterr, r, "cannot note the container's cgroups") : 0;
}

/* The scope's first process is one more, until ours is there. */
static int limit_groups(struct container *container, const struct oci_resources *resources,
	const struct container_options *options, struct err **reterr)
{
	struct oci_resources with_one_more;
	bool has_none = options->cgroup_manager == CONTAINER_NO_CGROUPS;

	if (resources && options->on_warn)
		resources_warn(container->group, resources, options->on_warn, options->user_data);
	if (has_none && resources && resources->device_count && options->on_warn)
		options->on_warn("cgroups are disabled: linux.resources.devices is without effect", options->user_data);
	if (container->scope && resources && resources->pids.limit.value > 0) {
		with_one_more = *resources;
		with_one_more.pids.limit.value++;
		resources = &with_one_more;
	}
	int r = resources_apply(container->group, resources,
		options->needs_no_groups || has_none ? RESOURCES_BUT_DEVICES : RESOURCES_NEW, reterr);
	if (r < 0 && has_none)
		err_wrap(reterr, r, "cgroups are disabled");
	else if (r < 0 && options->needs_no_groups)
		err_wrap(reterr, r,
			"limits need the right to the container's cgroups, which an ordinary user has by delegation only");
	return r < 0 ? err_wrap(reterr, r, "error setting cgroup config for procHooks process") : 0;
}

static int end_scope_start(struct container *container, const struct oci_resources *resources, struct err **reterr)
{
	struct oci_resources pids = { .unified = NULL };

	if (!container->scope)
		return 0;
	if (resources)
		pids.pids = resources->pids;
	scope_free(TAKE(container->scope));
	return resources_apply(container->group, &pids, RESOURCES_CHANGED, reterr);
}

static bool shows_own_groups(const struct oci_spec *spec)
{
	const struct oci_namespace *own = oci_spec_namespace(spec, "cgroup");

	if (!own || (own->path && *own->path))
		return false;
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct oci_mount *mount = &spec->mounts[i];
		if (mount->type && (strcmp(mount->type, "cgroup") == 0 || strcmp(mount->type, "cgroup2") == 0) &&
			!strv_has(mount->options, "ro") && !strv_has(mount->options, "rro"))
			return true;
	}
	return false;
}

/* What the specification calls cgroup ownership: root of a user namespace, a systemd there say, can use what it may write to. */
static int give_groups(struct container *container, const struct oci_spec *spec, struct err **reterr)
{
	const struct oci_linux *config = &spec->linux_config;
	int64_t owner = id_map_host(config->uid_mappings, config->uid_mapping_count, 0);

	if (!oci_spec_namespace(spec, "user") || !config->uid_mapping_count || owner < 0 || !shows_own_groups(spec))
		return 0;
	int r = cgroup_give(container->group, (uid_t)owner);
	return r < 0 ? err_errno(reterr, r, "cannot give the container's root its cgroup") : 0;
}

static int make_groups(struct container *container, const struct oci_spec *spec,
	const struct container_options *options, struct err **reterr)
{
	const char *failed = "";
	int r = note_groups(container, options, reterr);

	if (r == 0 && container->scope)
		r = scope_start(container->scope, container->group, spec->linux_config.resources, spec->annotations,
			reterr);
	if (r < 0)
		return r;
	container->groups_made = container->scope;
	r = cgroup_make(container->group, &failed);
	if (r == -EBUSY && cgroup_is_frozen(container->group) == 1)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "container's cgroup unexpectedly frozen: %s", failed);
	if (r == -EBUSY)
		return err_set(reterr, ERR_CONFLICT, EBUSY, "container's cgroup is not empty: %s is in use", failed);
	if (r < 0)
		return err_errno(reterr, r, "cannot make the cgroup %s", failed);
	container->groups_made = true;
	r = give_groups(container, spec, reterr);
	if (r < 0)
		return r;
	if (container->rdt_root) {
		r = rdt_make(container->rdt_root, spec->linux_config.intel_rdt, container->id, reterr);
		if (r < 0)
			return r;
	}
	return limit_groups(container, spec->linux_config.resources, options, reterr);
}

static int open_join_fds(struct plan *plan, struct cgroup *group, pid_t beside, struct err **reterr)
{
	int count = cgroup_open_for_join(group, beside, plan->join_fds, &plan->cgroup_fd);

	if (count < 0)
		return err_errno(reterr, count, "cannot open the container's cgroups");
	plan->join_fd_count = (size_t)count;
	return 0;
}

static int open_rdt(struct plan *plan, const char *root, const struct oci_intel_rdt *rdt, const char *id,
	struct err **reterr)
{
	int count = rdt_open_tasks(root, rdt, id, plan->join_fds + plan->join_fd_count, reterr);

	if (count < 0)
		return count;
	plan->join_fd_count += (size_t)count;
	return 0;
}

/* ---- the conversation with the child ---- */

/* Who has gone already has said why, which is heard next. */
static int say(int sync, enum report_type type, struct err **reterr)
{
	const struct report report = { .type = type };
	int r = report_send(sync, &report, -1);

	return r < 0 && r != -EPIPE ? err_errno(reterr, r, "lost the container's first process") : 0;
}

/* While it is on its way: one that has ended by now has said why, and that is what is heard next. */
static int say_ahead(int sync, enum report_type type, struct err **reterr)
{
	const struct report report = { .type = type };
	int r = report_send(sync, &report, -1);

	return r < 0 && r != -EPIPE ? err_errno(reterr, r, "lost the container's first process") : 0;
}

static char *state_text(const struct container *container, const char *status)
{
	return hooks_state_json(container->id, status, container->init.pid, container->bundle_path,
		container->hooks_spec.annotations);
}

static int write_state_file(const struct container *container, const char *status, struct err **reterr)
{
	if (container->init.state_fd < 0)
		return 0;
	_cleanup_free_ char *text = state_text(container, status);
	if (!text)
		return err_oom(reterr);
	size_t len = strlen(text);
	if (ftruncate(container->init.state_fd, 0) < 0 ||
		pwrite(container->init.state_fd, text, len, 0) != (ssize_t)len)
		return err_errno(reterr, errno ? -errno : -EIO, "cannot write the hooks' state");
	return 0;
}

static int run_create_hooks(const struct container *container, const struct oci_hooks *hooks, struct err **reterr)
{
	const char *folder = container->bundle_path;
	/* The older of the two was promised a container that is created. */
	_cleanup_free_ char *created = state_text(container, "created");
	_cleanup_free_ char *creating = state_text(container, "creating");

	if (!created || !creating)
		return err_oom(reterr);
	int r = hooks_run(hooks->prestart, hooks->prestart_count, "prestart", created, folder, reterr);
	return r < 0 ? r
		     : hooks_run(hooks->create_runtime, hooks->create_runtime_count, "createRuntime", creating, folder,
			       reterr);
}

int descriptor_send(int socket, const char *name, int fd)
{
	struct iovec iov = { .iov_base = (void *)name, .iov_len = strlen(name) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
			      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int console_deliver(int console_socket, int master, int *keep, struct err **reterr)
{
	if (console_socket < 0) {
		fd_close(keep);
		*keep = master;
		return 0;
	}
	int r = descriptor_send(console_socket, "/dev/pts/ptmx", master);
	fd_close(&master);
	return r < 0 ? err_errno(reterr, r, "cannot send the terminal to the console socket") : 0;
}

struct conversation {
	int sync;
	int console_socket;
	int *console_fd;
	container_warn_fn *on_warn;
	void *user_data;
	pid_t pid;
	int pidfd;
	const struct container_listener *listener;
	const struct plan *plan; /* for REPORT_OWNERS; NULL: none are expected */
	const struct oci_spec *spec;
};

static int hear_owners(const struct conversation *talk, const struct report *report, int tree, struct err **reterr)
{
	if (!talk->plan)
		return err_set(reterr, ERR_INTERNAL, EPROTO, "the new process sent an unexpected message");
	int r = plan_map_owners(talk->plan, (size_t)report->errnum, tree, talk->spec, reterr);
	return r < 0 ? r : say(talk->sync, REPORT_GO, reterr);
}

static int hear_listener(const struct conversation *talk, const struct report *report, struct err **reterr)
{
	int r = listener_hand_over(talk->listener, talk->pid, talk->pidfd, report->errnum, reterr);

	return r < 0 ? r : say(talk->sync, REPORT_GO, reterr);
}

/* Handles what may come at any time. Returns 1 with a message of another kind in `report`, 0 at end of file, -errno. */
static int hear(const struct conversation *talk, struct report *report, struct err **reterr)
{
	for (;;) {
		int fd = -1;
		int r = report_receive(talk->sync, report, &fd);
		if (r < 0)
			return err_errno(reterr, r, "lost the container's first process");
		if (r == 1 && report->type == REPORT_CONSOLE && fd >= 0) {
			r = console_deliver(talk->console_socket, fd, talk->console_fd, reterr);
			if (r < 0)
				return r;
			continue;
		}
		if (r == 1 && report->type == REPORT_OWNERS) {
			r = hear_owners(talk, report, fd, reterr);
			fd_close(&fd);
			if (r < 0)
				return r;
			continue;
		}
		fd_close(&fd);
		if (r == 1 && report->type == REPORT_LISTENER) {
			r = hear_listener(talk, report, reterr);
			if (r < 0)
				return r;
			continue;
		}
		if (r == 1 && report->type == REPORT_WARN) {
			if (talk->on_warn)
				talk->on_warn(report->detail, talk->user_data);
			continue;
		}
		if (r == 1 && report->type == REPORT_FAILED)
			return report_to_err(report, reterr);
		return r;
	}
}

/* How a first process ended that said nothing: by a signal, most often for want of memory. */
static int died_silently(const struct container *container, struct err **reterr)
{
	uint64_t kills = 0;

	if (container->group && cgroup_oom_kills(container->group, &kills) == 0 && kills > 0)
		return err_set(reterr, ERR_INVALID, ENOMEM, "container init was OOM-killed (memory limit too low?)");
	return err_set(reterr, ERR_INTERNAL, ECHILD, "the container's first process ended unexpectedly");
}

static int answer_until_ready(struct container *container, const struct plan *plan, const struct oci_spec *spec,
	const struct container_options *options, struct err **reterr)
{
	const struct conversation talk = { .sync = container->init.sync,
		.console_socket = options->stdio.console_socket,
		.console_fd = &container->console_fd,
		.on_warn = options->on_warn,
		.user_data = options->user_data,
		.plan = plan,
		.spec = spec };
	struct report report;
	int r;

	while ((r = hear(&talk, &report, reterr)) == 1 && report.type == REPORT_HOOKS) {
		r = run_create_hooks(container, &spec->hooks, reterr);
		if (r == 0)
			r = say(container->init.sync, REPORT_GO, reterr);
		if (r < 0)
			return r;
	}
	if (r == 1 && report.type == REPORT_READY)
		return write_state_file(container, "created", reterr);
	return r < 0 ? r : died_silently(container, reterr);
}

/* Of one that ended meanwhile there are no namespaces: what it says itself is the better reason. It loses them a moment before its
 * end can be seen. */
static int give_namespaces(struct container *container, const struct plan *plan, const struct oci_spec *spec,
	const struct container_options *options, struct err **reterr)
{
	struct pollfd ended = { .fd = container->init.pidfd, .events = POLLIN };
	_autofree_(err) struct err *err = NULL;
	int r = options->on_namespaces(container->init.pid, options->user_data, &err);

	if (r == 0)
		return 0;
	if (poll(&ended, 1, r == -ENOENT || r == -ESRCH ? DYING_MS : 0) > 0)
		return answer_until_ready(container, plan, spec, options, reterr);
	if (reterr)
		*reterr = TAKE(err);
	return r;
}

/* A start that may not fit in its memory is to be ended for that by the kernel, which says so; who shares our memory is not. */
static bool has_little_memory(const struct oci_spec *spec)
{
	const struct oci_resources *resources = spec->linux_config.resources;

	return resources && resources->memory.limit.value > 0 && resources->memory.limit.value < LITTLE_MEMORY;
}

static int bring_up(struct container *container, struct plan *plan, const struct oci_spec *spec,
	const struct container_options *options, struct err **reterr)
{
	bool own_user = plan->new_namespaces & CLONE_NEWUSER;

	plan->is_let_go = options->starts_at_once && !options->on_namespaces && !spec->linux_config.net_devices &&
			  !container->scope &&
			  !has_little_memory(spec); /* a scope's limit of processes comes at its start's end */
	int r = birth_give(plan, &container->init, reterr);

	if (r == 0)
		r = write_state_file(container, "creating", reterr);
	if (r == 0 && own_user)
		r = user_maps_write(container->init.pid, &spec->linux_config, reterr);
	if (r == 0 && (own_user || plan->wants_hook_stop))
		r = say_ahead(container->init.sync, REPORT_GO, reterr);
	if (r == 0 && options->on_namespaces)
		r = give_namespaces(container, plan, spec, options, reterr);
	if (r == 0)
		r = net_devices_move(spec, container->init.pid, reterr);
	/* Hooks are a conversation; without them the child reads what we said in order, and is not woken in between. */
	if (r == 0 && options->starts_at_once && !plan->wants_hook_stop && !plan->asks_for_owners) {
		r = container->init.start_is_said ? 0 : say_ahead(container->init.sync, REPORT_START, reterr);
		container->start_is_said = true;
	}
	if (r == 0 && options->on_born)
		options->on_born(container->init.pid, options->user_data);
	return r < 0 ? r : answer_until_ready(container, plan, spec, options, reterr);
}

/* ---- create, start ---- */

/* Annotations, the hooks that run later and who listens to the filter, as a copy of the document with nothing else in it. */
static bool has_hooks(const struct oci_hooks *hooks)
{
	return hooks->prestart_count || hooks->create_runtime_count || hooks->create_container_count ||
	       hooks->start_container_count || hooks->poststart_count || hooks->poststop_count;
}

/* For the moments when nobody has the document any more. */
static int keep_hooks(struct container *container, const struct oci_spec *spec)
{
	const struct oci_seccomp *seccomp = spec->linux_config.seccomp;
	struct oci_seccomp listener = { .default_action = (char *)"" };

	if (!has_hooks(&spec->hooks) && !(seccomp && seccomp->listener_path))
		return 0;
	if (seccomp) {
		listener.listener_path = seccomp->listener_path;
		listener.listener_metadata = seccomp->listener_metadata;
	}
	const struct oci_spec part = { .version = spec->version,
		.hooks = { .poststart = spec->hooks.poststart, .poststart_count = spec->hooks.poststart_count },
		.annotations = spec->annotations,
		.linux_config = { .seccomp = seccomp ? &listener : NULL } };
	int r = json_clone(&oci_spec_table, &part, &container->hooks_spec);

	container->hooks_copied = r == 0;
	return r;
}

static int prepare_container(const struct oci_spec *spec, const struct container_options *options,
	const struct cgroup_host *host, struct container **ret, struct plan **ret_plan, struct err **reterr)
{
	_autofree_(container) struct container *container = NULL;

	int r = container_new(options->id, &container);
	if (r == 0)
		r = keep_hooks(container, spec);
	if (r < 0)
		return err_oom(reterr);
	if (options->bundle_path && !(container->bundle_path = strdup(options->bundle_path)))
		return err_oom(reterr);
	r = name_groups(spec, options, host, container, reterr);
	if (r == 0 && spec->linux_config.resources)
		r = resources_check(spec->linux_config.resources, reterr);
	if (r == 0)
		r = plan_container(spec, options, container->group, host, ret_plan, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(container);
	return 0;
}

/* A new network namespace is most of what a birth takes: it is made while the groups are. Not where a user namespace is to own it,
 * nor by who is in one himself: he could not come back. */
static struct aside *begin_network(const struct oci_spec *spec, const struct container_options *options)
{
	bool wants_new = false;

	if (options->network_fd >= 0 || options->join_count || options->needs_no_groups)
		return NULL;
	for (size_t i = 0; i < spec->linux_config.namespace_count; i++) {
		const struct oci_namespace *namespace = &spec->linux_config.namespaces[i];
		uint64_t flag = namespace->type ? namespace_flag(namespace->type) : 0;
		if (flag == CLONE_NEWUSER)
			return NULL;
		wants_new = wants_new || (flag == CLONE_NEWNET && !(namespace->path && *namespace->path));
	}
	return wants_new ? aside_begin(namespace_new_network_aside, (void *)(uintptr_t)sched_getcpu()) : NULL;
}

/* If it failed, the birth makes one, or says why not. */
static int finish_network(struct aside **aside, struct plan *plan)
{
	int fd = (int)aside_finish(TAKE(*aside));

	plan_use_network(plan, fd);
	return fd;
}

static int stop_unit(const struct container *container, struct err **reterr)
{
	return cgroup_unit(container->group) ? scope_stop(container->group, reterr) : 0;
}

static void undo_groups(struct container *container)
{
	scope_free(TAKE(container->scope));
	if (!container->groups_made)
		return;
	cgroup_kill(container->group);
	cgroup_remove(container->group, 2000);
	rdt_remove(cgroup_marks(container->group));
	stop_unit(container, NULL);
}

static int create(const struct oci_spec *spec, const struct container_options *options, const struct cgroup_host *host,
	struct aside **network, struct container **ret, struct err **reterr)
{
	_autofree_(container) struct container *container = NULL;
	_autofree_(plan) struct plan *plan = NULL;
	_autoclose_ int network_fd = -1;
	int r = prepare_container(spec, options, host, &container, &plan, reterr);

	if (r < 0)
		return r;
	assert(container && plan);
	container->on_warn = options->on_warn;
	container->user_data = options->user_data;
	r = make_groups(container, spec, options, reterr);
	if (r == 0)
		r = open_join_fds(plan, container->group, 0, reterr);
	if (r == 0 && container->rdt_root)
		r = open_rdt(plan, container->rdt_root, spec->linux_config.intel_rdt, container->id, reterr);
	if (r == 0 && *network)
		network_fd = finish_network(network, plan);
	if (r == 0)
		r = bring_up(container, plan, spec, options, reterr);
	if (r == 0)
		r = end_scope_start(container, spec->linux_config.resources, reterr);
	if (r == -EACCES && container->scope && options->needs_no_groups)
		err_wrap(reterr, r,
			"into a scope of his own an ordinary user gets from within his manager's groups alone (systemd-run --user "
			"--scope)");
	if (r < 0) {
		birth_finish(&container->init, true);
		undo_groups(container);
		return r;
	}
	*ret = TAKE(container);
	return 0;
}

int container_create(const struct oci_spec *spec, const struct container_options *options, struct container **ret,
	struct err **reterr)
{
	struct aside *network = begin_network(spec, options);
	_autofree_(cgroup_host) struct cgroup_host *own_host = NULL; /* the plan borrows from it */
	int r = options->cgroup_host ? 0 : open_host(&own_host, reterr);

	if (r == 0)
		r = create(spec, options, options->cgroup_host ?: own_host, &network, ret, reterr);
	int unused = (int)aside_finish(network);
	fd_close(&unused);
	return r;
}

int container_make_groups(const struct oci_spec *spec, const struct container_options *options, struct container **ret,
	struct err **reterr)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	_autofree_(container) struct container *container = NULL;
	int r = open_host(&host, reterr);

	if (r == 0 && container_new(options->id, &container) < 0)
		r = err_oom(reterr);
	if (r == 0)
		r = name_groups(spec, options, host, container, reterr);
	if (r == 0 && spec->linux_config.resources)
		r = resources_check(spec->linux_config.resources, reterr);
	if (r < 0)
		return r;
	r = make_groups(container, spec, options, reterr);
	if (r < 0) {
		undo_groups(container);
		return r;
	}
	*ret = TAKE(container);
	return 0;
}

int container_take_in(struct container *container, const struct oci_spec *spec, pid_t pid, struct err **reterr)
{
	int r = cgroup_attach(container->group, pid), fds[2];

	if (r < 0)
		return err_errno(reterr, r, "cannot move process %d into the container's cgroups", pid);
	if (!container->rdt_root)
		return 0;
	int count = rdt_open_tasks(container->rdt_root, spec->linux_config.intel_rdt, container->id, fds, reterr);
	for (int i = 0; i < count; i++) {
		if (dprintf(fds[i], "%d", pid) < 0)
			r = -errno;
		fd_close(&fds[i]);
	}
	return count < 0 ? count
	       : r < 0   ? err_errno(reterr, r, "cannot move process %d into the container's RDT group", pid)
			 : 0;
}

int container_groups_done(struct container *container, const struct oci_spec *spec, struct err **reterr)
{
	return end_scope_start(container, spec->linux_config.resources, reterr);
}

/* End of file is execve's doing, or a death: the process tells which by being alive, or by what it ended with. */
static int hear_start(const struct conversation *talk, bool is_said, struct err **reterr)
{
	struct report report;
	int r = is_said ? 0 : say(talk->sync, REPORT_START, reterr);

	if (r == 0)
		r = hear(talk, &report, reterr);
	if (r == 1)
		return err_set(reterr, ERR_INTERNAL, EPROTO,
			"the container's first process sent an unexpected message");
	return r;
}

static int run_poststart(const struct container *container, struct err **reterr)
{
	const struct oci_hooks *hooks = &container->hooks_spec.hooks;

	if (!hooks->poststart_count)
		return 0;
	_cleanup_free_ char *state = state_text(container, "running");
	if (!state)
		return err_oom(reterr);
	return hooks_run(hooks->poststart, hooks->poststart_count, "poststart", state, container->bundle_path, reterr);
}

int container_start(struct container *container, struct err **reterr)
{
	const struct oci_seccomp *seccomp = container->hooks_spec.linux_config.seccomp;
	_cleanup_free_ char *state = seccomp ? state_text(container, "created") : NULL;
	const struct container_listener listener = { .path = seccomp ? seccomp->listener_path : NULL,
		.metadata = seccomp ? seccomp->listener_metadata : NULL,
		.state = state };
	struct conversation talk = { .pid = container->init.pid,
		.pidfd = container->init.pidfd,
		.listener = &listener,
		.sync = container->init.sync,
		.console_socket = -1,
		.console_fd = &container->console_fd,
		.on_warn = container->on_warn,
		.user_data = container->user_data };

	if (container->init.sync < 0)
		return err_set(reterr, ERR_CONFLICT, 0, "the container was started already");
	int r = write_state_file(container, "created", reterr);
	if (r == 0)
		r = hear_start(&talk, container->start_is_said, reterr);
	fd_close(&container->init.sync);
	fd_close(&container->init.state_fd);
	return r < 0 ? r : run_poststart(container, reterr);
}

int container_start_remote(int fd, const struct container *container, const struct container_listener *listener,
	struct err **reterr)
{
	int console = -1;
	const struct conversation talk = { .sync = fd,
		.console_socket = -1,
		.console_fd = &console,
		.pid = container->init.pid,
		.pidfd = container->init.pidfd,
		.listener = listener };
	int r = io_set_nonblock(fd, false);

	r = r < 0 ? err_errno(reterr, r, "cannot use the start socket") : hear_start(&talk, false, reterr);
	fd_close(&fd);
	fd_close(&console);
	return r;
}

int container_adopt(const char *id, char *const *folders, pid_t pid, int pidfd, struct container **ret,
	struct err **reterr)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	_autofree_(container) struct container *container = NULL;

	if (container_new(id, &container) < 0)
		return err_oom(reterr);
	int r = cgroup_new(NULL, folders, &container->group);
	if (r == -ENODATA) { /* written down by somebody else, or by one of us before */
		r = open_host(&host, reterr);
		if (r < 0)
			return r;
		r = cgroup_new(host, folders, &container->group);
	}
	if (r < 0)
		return err_errno(reterr, r, "the cgroups of container %s are not this host's", id);
	container->groups_made = true;
	container->init.pid = pid;
	container->init.pidfd = pidfd;
	*ret = TAKE(container);
	return 0;
}

/* ---- exec ---- */

static bool is_alive(int pidfd)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };

	return pidfd >= 0 && poll(&ended, 1, 0) == 0;
}

/* Made for it, and nobody's before: not to be compared with. */
static bool is_its_own(const struct oci_linux *config, uint64_t flag)
{
	for (size_t i = 0; config && i < config->namespace_count; i++)
		if (namespace_flag(config->namespaces[i].type) == flag)
			return !config->namespaces[i].path || !*config->namespaces[i].path;
	return false;
}

/* Joining a user namespace that one is in already is an error: only those that differ are joined. */
static int differing_namespaces(int proc, pid_t pid, const struct oci_linux *config, uint64_t *ret)
{
	static const uint64_t flags[] = { CLONE_NEWUSER, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET, CLONE_NEWIPC,
		CLONE_NEWUTS, CLONE_NEWCGROUP, CLONE_NEWTIME };
	char own[64], other[64];
	struct stat own_st, other_st;

	*ret = 0;
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (flags[i] != CLONE_NEWUSER && is_its_own(config, flags[i])) {
			*ret |= flags[i];
			continue;
		}
		snprintf(own, sizeof(own), "%d/ns/%s", getpid(), namespace_file(flags[i]));
		snprintf(other, sizeof(other), "%d/ns/%s", pid, namespace_file(flags[i]));
		if (fstatat(proc, own, &own_st, 0) < 0)
			continue; /* not of this kernel */
		if (fstatat(proc, other, &other_st, 0) < 0)
			return -errno;
		if (own_st.st_ino != other_st.st_ino || own_st.st_dev != other_st.st_dev)
			*ret |= flags[i];
	}
	return 0;
}

/* "a/../.." leads out. */
static bool is_below(const char *path)
{
	for (const char *at = path; *at; at += strcspn(at, "/"), at += *at == '/')
		if (strncmp(at, "..", 2) == 0 && (at[2] == '/' || !at[2]))
			return false;
	return true;
}

static int extend_folder(char **folder, const char *path, bool may_miss, struct err **reterr)
{
	char *longer;

	path += strspn(path, "/");
	if (!*path)
		return 0;
	if (asprintf(&longer, "%s/%s", *folder, path) < 0)
		return err_oom(reterr);
	bool is_missing = access(longer, F_OK) < 0;
	if (is_missing && may_miss) {
		free(longer);
		return 0;
	}
	free(*folder);
	*folder = longer;
	if (is_missing)
		return err_set(reterr, ERR_INVALID, ENOENT,
			"error adding pid %d to cgroups: open %s/cgroup.procs: no such file or directory", getpid(),
			longer);
	return 0;
}

/* One --cgroup: a path for all hierarchies, or for those of the named controllers. */
static int extend_folders(struct cgroup *group, const char *wish, char **folders, struct err **reterr)
{
	char *const *plain = cgroup_folders(group);
	const char *colon = strchr(wish, ':'), *path = colon ? colon + 1 : wish;
	char name[64];
	int r = 0;

	if (!is_below(path))
		return err_set(reterr, ERR_INVALID, 0, "bad sub cgroup path: %s is not a sub cgroup path", path);
	const char *v2 = cgroup_folder_of(group, "");
	for (size_t i = 0; !colon && r == 0 && folders[i]; i++) {
		/* Beside v1, who makes groups need not know of v2. */
		bool is_beside = v2 && strcmp(folders[i], v2) == 0 && plain[1];
		r = extend_folder(&folders[i], path, is_beside, reterr);
	}
	for (const char *at = wish; colon && r == 0 && at < colon; at += strcspn(at, ",:") + 1) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, ",:"), at);
		const char *folder = cgroup_folder_of(group, name);
		size_t i = 0;
		while (folder && plain[i] && strcmp(plain[i], folder) != 0)
			i++;
		if (!folder || !plain[i])
			return err_set(reterr, ERR_INVALID, 0, "unknown controller %s in --cgroup %s", name, wish);
		if (strcmp(folders[i], plain[i]) == 0) /* two controllers may be in one hierarchy */
			r = extend_folder(&folders[i], path, false, reterr);
	}
	return r;
}

static int open_subgroups(struct container *container, char *const *wishes, struct plan *plan, struct err **reterr)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	_autofree_(cgroup) struct cgroup *group = NULL;
	_autofree_(strv) char **folders = strv_copy(cgroup_folders(container->group));
	int r = folders ? open_host(&host, reterr) : err_oom(reterr);

	for (; r == 0 && *wishes; wishes++)
		r = extend_folders(container->group, *wishes, folders, reterr);
	if (r < 0)
		return r;
	r = cgroup_new(host, folders, &group);
	return r < 0 ? err_errno(reterr, r, "cannot name the process's cgroups")
		     : open_join_fds(plan, group, 0, reterr);
}

/* Without a mount namespace of the container's own, joining leads to somebody else's root. */
static int open_root(const struct container *container, int proc, const struct oci_linux *config, struct plan *plan,
	struct err **reterr)
{
	char path[32];

	if (!config || is_its_own(config, CLONE_NEWNS))
		return 0;
	snprintf(path, sizeof(path), "%d/root", container->init.pid);
	plan->root_fd = openat(proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return plan->root_fd < 0 ? err_errno(reterr, -errno, "cannot get at the container's root") : 0;
}

static int plan_joins(struct container *container, int proc, const struct container_exec_options *options,
	struct plan *plan, struct err **reterr)
{
	uint64_t flags;
	int r = proc < 0 ? proc : differing_namespaces(proc, container->init.pid, options->config, &flags);

	if (r < 0 || !is_alive(container->init.pidfd))
		return err_set(reterr, ERR_CONFLICT, ESRCH, "container %s is not running", container->id);
	plan->joins[0] = (struct plan_join){ .flag = flags, .fd = container->init.pidfd, .is_pidfd = true };
	plan->join_count = flags ? 1 : 0;
	plan->becomes_root = plan->process.in_user_namespace = flags & CLONE_NEWUSER;
	return options->subgroups ? open_subgroups(container, options->subgroups, plan, reterr)
				  : open_join_fds(plan, container->group, container->init.pid, reterr);
}

static int hear_exec(const struct container_exec_options *options, struct birth *birth, int *console_fd,
	struct err **reterr)
{
	const struct conversation talk = { .sync = birth->sync,
		.pid = birth->pid,
		.pidfd = birth->pidfd,
		.listener = options->listener,
		.console_socket = options->stdio.console_socket,
		.console_fd = console_fd,
		.on_warn = options->on_warn,
		.user_data = options->user_data };
	struct report report;
	int r = hear(&talk, &report, reterr);

	return r == 1 ? err_set(reterr, ERR_INTERNAL, EPROTO, "the new process sent an unexpected message") : r;
}

static int join_rdt(const struct container *container, const struct oci_linux *config, struct plan *plan,
	struct err **reterr)
{
	_cleanup_free_ char *root = NULL;
	int r = config && config->intel_rdt ? rdt_find_root(&root, reterr) : 0;

	return root ? open_rdt(plan, root, config->intel_rdt, container->id, reterr) : r;
}

int container_exec(struct container *container, const struct oci_process *process,
	const struct container_exec_options *options, struct container_process *ret, struct err **reterr)
{
	_autofree_(plan) struct plan *plan = NULL;
	struct birth birth = BIRTH_INIT;
	_autoclose_ int console_fd = -1, proc = procfs_open_host();
	int r = plan_exec(process, options, &plan, reterr);

	if (r == 0 && !options->ignore_paused && cgroup_is_frozen(container->group) == 1)
		r = err_set(reterr, ERR_CONFLICT, 0, "cannot exec in a paused container");
	if (r == 0)
		r = plan_joins(container, proc, options, plan, reterr);
	if (r == 0)
		r = open_root(container, proc, options->config, plan, reterr);
	if (r == 0)
		r = join_rdt(container, options->config, plan, reterr);
	if (r == 0)
		r = birth_give(plan, &birth, reterr);
	fd_close(&proc); /* unmounting waits for RCU: while the new process is at work, it costs nothing */
	if (r == 0)
		r = hear_exec(options, &birth, &console_fd, reterr);
	if (r < 0) {
		birth_finish(&birth, true);
		return r;
	}
	*ret = (struct container_process){
		.pid = birth.pid, .pidfd = TAKE_FD(birth.pidfd), .console_fd = TAKE_FD(console_fd)
	};
	birth_finish(&birth, false);
	return 0;
}

/* ---- signals, state, limits ---- */

int container_kill(struct container *container, int signo, struct err **reterr)
{
	int r = -ESRCH;

	if (container->init.pidfd >= 0)
		r = syscall(SYS_pidfd_send_signal, container->init.pidfd, signo, NULL, 0) == 0 ? 0 : -errno;
	/* A security module may let nobody signal the container. The group's own kill does not ask it. */
	if ((r == -EACCES || r == -EPERM) && signo == SIGKILL && cgroup_kill(container->group) == 0)
		r = 0;
	if (r == -ESRCH)
		return err_set(reterr, ERR_CONFLICT, ESRCH, "container not running");
	return r < 0 ? err_errno(reterr, r, "cannot signal container %s", container->id) : 0;
}

int container_kill_all(struct container *container, struct err **reterr)
{
	int r = cgroup_kill(container->group);

	if (container->init.pidfd >= 0)
		syscall(SYS_pidfd_send_signal, container->init.pidfd, SIGKILL, NULL, 0);
	return r < 0 ? err_errno(reterr, r, "cannot kill the processes of container %s", container->id) : 0;
}

/* Who can't have groups has the pid namespace, if it is another than ours; what made one of its own inside is not seen. */
static int namespace_pids(const struct container *container, pid_t **ret, size_t *ret_count)
{
	_autoclose_ int proc = procfs_open_host();
	struct stat own, wanted, found;
	char path[64];
	DIR *dir = NULL;
	int copy = proc < 0 ? proc : openat(proc, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool is_own = false;

	if (copy < 0 || !(dir = fdopendir(copy))) {
		fd_close(&copy);
		return proc < 0 ? proc : -errno;
	}
	snprintf(path, sizeof(path), "%d/ns/pid", container->init.pid);
	int r = fstatat(proc, path, &wanted, 0) < 0 || fstatat(proc, "self/ns/pid", &own, 0) < 0 ? -errno : 0;
	is_own = r == 0 && own.st_ino == wanted.st_ino;
	for (struct dirent *entry; r == 0 && (entry = readdir(dir));) {
		uint64_t pid;
		if (parse_u64(entry->d_name, INT32_MAX, &pid) < 0)
			continue;
		snprintf(path, sizeof(path), "%d/ns/pid", (pid_t)pid);
		if (is_own ? (pid_t)pid != container->init.pid
			   : fstatat(proc, path, &found, 0) < 0 || found.st_ino != wanted.st_ino)
			continue;
		pid_t *grown = reallocarray(*ret, *ret_count + 1, sizeof(pid_t));
		if (!grown)
			r = -ENOMEM;
		else
			(*ret = grown)[(*ret_count)++] = (pid_t)pid;
	}
	closedir(dir);
	return r == -ENOENT ? 0 : r;
}

static bool has_groups(const struct container *container)
{
	return container->group && cgroup_folders(container->group);
}

int container_signal_all(struct container *container, int signo, struct err **reterr)
{
	_cleanup_free_ pid_t *pids = NULL;
	size_t count = 0;
	int r = has_groups(container) ? cgroup_signal(container->group, signo)
				      : container_pids(container, &pids, &count, NULL);

	for (size_t i = 0; i < count; i++)
		if (kill(pids[i], signo) < 0 && errno != ESRCH && r == 0)
			r = -errno;

	return r < 0 ? err_errno(reterr, r, "cannot signal the processes of container %s", container->id) : 0;
}

static int freeze(struct container *container, bool frozen, struct err **reterr)
{
	int r = cgroup_freeze(container->group, frozen);

	if (r == -ENODEV)
		return err_set(reterr, ERR_UNSUPPORTED, ENODEV,
			"this host has no freezer cgroup to pause containers with");
	return r < 0 ? err_errno(reterr, r, "cannot %s container %s", frozen ? "pause" : "resume", container->id) : 0;
}

int container_pause(struct container *container, struct err **reterr)
{
	return freeze(container, true, reterr);
}

int container_resume(struct container *container, struct err **reterr)
{
	return freeze(container, false, reterr);
}

bool container_is_paused(struct container *container)
{
	return cgroup_is_frozen(container->group) == 1;
}

int container_resources_set(struct container *container, const struct oci_resources *resources, struct err **reterr)
{
	struct resources_saved saved;
	resources_save(container->group, &saved);
	int r = resources_apply(container->group, resources, RESOURCES_CHANGED, reterr);
	/* systemd writes what it makes of them into the same files: ours are the exact ones. */
	if (r == 0 && cgroup_unit(container->group)) {
		r = scope_update(container->group, resources, reterr);
		if (r == 0)
			r = resources_apply(container->group, resources, RESOURCES_CHANGED, reterr);
	}
	if (r < 0)
		resources_restore(container->group, &saved);
	return r;
}

int container_pids(struct container *container, pid_t **ret, size_t *ret_count, struct err **reterr)
{
	*ret = NULL;
	*ret_count = 0;
	int r = has_groups(container)       ? cgroup_pids(container->group, ret, ret_count)
		: container->init.pidfd < 0 ? 0
					    : namespace_pids(container, ret, ret_count);

	if (r < 0)
		free(*ret);
	return r < 0 ? err_errno(reterr, r, "cannot list the processes of container %s", container->id) : 0;
}

int container_oom_open(struct container *container)
{
	return cgroup_oom_open(container->group);
}

void container_oom_drain(int fd)
{
	char scratch[4096];

	/* An eventfd gives its count, inotify a bunch of records: neither is looked at. */
	while (read(fd, scratch, sizeof(scratch)) == (ssize_t)sizeof(scratch))
		;
}

int container_oom_kills(struct container *container, uint64_t *ret)
{
	return cgroup_oom_kills(container->group, ret);
}

int container_destroy(struct container *container, int timeout_ms, struct err **reterr)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms;

	if (container->init.pidfd >= 0)
		syscall(SYS_pidfd_send_signal, container->init.pidfd, SIGKILL, NULL, 0);
	/* Most often init was alone or took all others along, and the groups are empty. */
	struct pollfd ended = { .fd = container->init.pidfd, .events = POLLIN };
	if (!has_groups(container) && container->init.pidfd >= 0 && poll(&ended, 1, timeout_ms) == 0)
		return err_set(reterr, ERR_UNAVAILABLE, EBUSY, "container %s does not die", container->id);
	int r = cgroup_remove(container->group, 0);
	if (r == -EBUSY) {
		cgroup_kill(container->group);
		int64_t left = deadline - clock_monotonic_ms();
		r = cgroup_remove(container->group, left > 0 ? (int)left : 0);
	}
	if (r == -EBUSY)
		return err_set(reterr, ERR_UNAVAILABLE, EBUSY,
			"container %s has a process that does not die (waiting for a device or a file server?)",
			container->id);
	if (r < 0)
		return err_errno(reterr, r, "cannot remove the cgroups of container %s", container->id);
	r = rdt_remove(cgroup_marks(container->group));
	return r < 0 ? err_errno(reterr, r, "cannot remove the Intel RDT groups of container %s", container->id)
		     : stop_unit(container, reterr);
}
