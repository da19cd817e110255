/*
 * Order matters little here: nothing is made, only checked and opened, so a mistake in the spec costs no clean-up. The
 * refusals are those that must not be silent: what the document asks for and this runtime or kernel can't give.
 */
#include "runtime/plan.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/sched.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "runtime/mount_options.h"
#include "runtime/seccomp_file.h"
#include "sys/lsm.h"
#include "sys/namespaces.h"
#include "sys/rlimits.h"
#include "sys/selfexe.h"

#define OOM_TEXT_MAX 16

void plan_mount_finish(struct plan_mount *mount)
{
	fd_close(&mount->tree_fd);
	free(mount->options);
}

static void process_finish(struct plan_process *process)
{
	free(process->env); /* the strings are the spec's */
	free(process->identity);
	free(process->rlimits);
	free(process->tuning);
	free(process->filter);
	free(process->init_args); /* so are these */
	fd_close(&process->init_fd);
}

void plan_free(struct plan *plan)
{
	if (!plan)
		return;
	process_finish(&plan->process);
	for (size_t i = 0; i < plan->join_count; i++)
		if (!plan->joins[i].is_pidfd)
			fd_close(&plan->joins[i].fd);
	fd_close(&plan->root_fd);
	free(plan->root_path);
	for (size_t i = 0; i < plan->mount_count; i++)
		plan_mount_finish(&plan->mounts[i]);
	free(plan->mounts);
	for (size_t i = 0; i < plan->device_count; i++)
		fd_close(&plan->devices[i].tree_fd);
	free(plan->devices);
	free(plan->late);
	for (size_t i = 0; i < plan->cgroup_view_count; i++) {
		free(plan->cgroup_views[i].options);
		strv_free(plan->cgroup_views[i].aliases);
	}
	for (size_t i = 0; i < plan->join_fd_count; i++)
		fd_close(&plan->join_fds[i]);
	fd_close(&plan->cgroup_fd);
	fd_close(&plan->state_fd);
	strv_free(plan->strings);
	free(plan);
}

static struct plan *plan_new(void)
{
	struct plan *plan = calloc(1, sizeof(*plan));

	if (!plan)
		return NULL;
	plan->root_fd = plan->state_fd = plan->cgroup_fd = plan->start_listen_fd = plan->network_fd =
		plan->process.init_fd = -1;
	plan->process.identity = calloc(1, sizeof(*plan->process.identity));
	if (!plan->process.identity) {
		free(plan);
		return NULL;
	}
	return plan;
}

/* ---- the process ---- */

static int fill_caps(struct plan_process *process, const struct oci_capabilities *spec)
{
	struct {
		char *const *names;
		uint64_t *set;
	} sets[] = {
		{ spec->bounding, &process->caps.bounding },
		{ spec->effective, &process->caps.effective },
		{ spec->permitted, &process->caps.permitted },
		{ spec->inheritable, &process->caps.inheritable },
		{ spec->ambient, &process->caps.ambient },
	};

	/* An unknown name is one of a newer kernel; leaving it out only takes away. */
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++)
		strv_foreach (name, sets[i].names) {
			int cap = cap_from_name(*name);
			if (cap >= 0)
				*sets[i].set |= 1ULL << cap;
		}
	return 0;
}

/* Left out by the child. As runc, and with its words: no error. */
static void warn_of_ambient(const struct plan_process *process, container_warn_fn *on_warn, void *user_data)
{
	uint64_t lost = process->caps.ambient & ~(process->caps.permitted & process->caps.inheritable);
	char text[128];

	for (unsigned cap = 0; on_warn && lost >> cap; cap++) {
		if (!(lost >> cap & 1))
			continue;
		snprintf(text, sizeof(text),
			"can't raise ambient capability %s: it is not both permitted and inheritable", cap_name(cap));
		on_warn(text, user_data);
	}
}

static int fill_rlimits(struct plan_process *process, const struct oci_process *spec, struct err **reterr)
{
	process->rlimits = calloc(spec->rlimit_count + 1, sizeof(*process->rlimits));
	if (!process->rlimits)
		return err_oom(reterr);
	for (size_t i = 0; i < spec->rlimit_count; i++) {
		const struct oci_rlimit *limit = &spec->rlimits[i];
		int resource = limit->type ? rlimit_from_name(limit->type) : -1;
		if (resource < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid rlimit type: %s",
				limit->type ? limit->type : "");
		for (size_t k = 0; k < i; k++)
			if (process->rlimits[k].resource == resource)
				return err_set(reterr, ERR_INVALID, 0, "rlimit %s is given twice", limit->type);
		if (limit->soft > limit->hard)
			return err_set(reterr, ERR_INVALID, 0,
				"rlimit %s: the soft limit %llu is above the hard limit %llu", limit->type,
				(unsigned long long)limit->soft, (unsigned long long)limit->hard);
		process->rlimits[i].resource = resource;
		process->rlimits[i].soft = limit->soft;
		process->rlimits[i].hard = limit->hard;
		process->rlimits[i].name = limit->type;
		process->rlimit_count++;
	}
	return 0;
}

static int fill_user(struct plan_process *process, const struct oci_user *user, struct err **reterr)
{
	struct identity *identity = process->identity;

	if (user->uid < 0 || user->uid > UINT32_MAX - 1 || user->gid < 0 || user->gid > UINT32_MAX - 1)
		return err_set(reterr, ERR_INVALID, 0, "uids and gids must be in range 0-4294967294");
	if (user->additional_gid_count > IDENTITY_GROUPS_MAX)
		return err_set(reterr, ERR_INVALID, 0, "more additional groups than the kernel takes");
	identity->uid = (uid_t)user->uid;
	identity->gid = (gid_t)user->gid;
	for (size_t i = 0; i < user->additional_gid_count; i++) {
		int64_t gid = user->additional_gids[i];
		if (gid < 0 || gid > UINT32_MAX - 1)
			return err_set(reterr, ERR_INVALID, 0, "uids and gids must be in range 0-4294967294");
		identity->groups[identity->group_count++] = (gid_t)gid;
	}
	process->umask = user->umask.set ? (mode_t)(user->umask.value & 07777) : 0022;
	return 0;
}

/* The last of a name is what counts, and an empty HOME is none: a child that gets both may take either. */
static bool is_overridden(char *const *env, size_t at)
{
	size_t len = strcspn(env[at], "=") + 1;

	if (strcmp(env[at], "HOME=") == 0)
		return true;
	for (size_t i = at + 1; env[i]; i++)
		if (strncmp(env[i], env[at], len) == 0)
			return true;
	return false;
}

static int fill_env(struct plan_process *process, char *const *env, struct err **reterr)
{
	size_t count = strv_count(env);

	process->env = calloc(count + 3, sizeof(char *));
	if (!process->env)
		return err_oom(reterr);
	for (size_t i = 0; i < count; i++) {
		/* Without "=" it names nothing; it must not take a value from us (CVE-2026-57231). */
		if (env[i][0] == '=' || !strchr(env[i], '=') || is_overridden(env, i))
			continue;
		process->env[process->env_count++] = env[i];
	}
	process->path_list = strv_env_get(process->env, "PATH");
	process->needs_home = !strv_env_get(process->env, "HOME");
	return 0;
}

static int check_labels(const struct oci_process *spec, struct err **reterr)
{
	if (spec->apparmor_profile && *spec->apparmor_profile && !lsm_has_apparmor())
		return err_set(reterr, ERR_UNSUPPORTED, 0, "apparmor: config provided but apparmor not supported");
	if (spec->selinux_label && *spec->selinux_label && !lsm_has_selinux())
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"selinux label is specified in config, but selinux is disabled or not supported");
	return 0;
}

static int check_process(const struct oci_process *spec, struct err **reterr)
{
	if (!spec->args || !spec->args[0])
		return err_set(reterr, ERR_INVALID, 0, "process.args must have at least one element");
	if (!spec->cwd || spec->cwd[0] != '/')
		return err_set(reterr, ERR_INVALID, 0, "Cwd must be an absolute path");
	if (strlen(spec->cwd) >= PATH_MAX)
		return err_set(reterr, ERR_INVALID, ENAMETOOLONG, "Cwd is too long");
	return check_labels(spec, reterr);
}

/* What we have, our children are born with. Writing it takes a procfs of one's own, whose end waits for RCU. */
static bool is_own_oom_score(int64_t wanted)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OOM_TEXT_MAX);
	_autoclose_ int fd = open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC);
	int64_t value;

	if (fd < 0 || io_read_all(fd, &text) < 0 || !text.len)
		return false;
	text.data[strcspn(text.data, "\n")] = '\0';
	return parse_i64(text.data, -1000, 1000, &value) == 0 && value == wanted;
}

int plan_process_fill(struct plan_process *process, const struct oci_process *spec, struct err **reterr)
{
	int r = check_process(spec, reterr);

	if (r < 0)
		return r;
	process->terminal = spec->terminal;
	if (spec->console_size && spec->console_size->height <= UINT16_MAX && spec->console_size->width <= UINT16_MAX) {
		process->rows = (uint16_t)spec->console_size->height;
		process->columns = (uint16_t)spec->console_size->width;
	}
	process->args = spec->args;
	process->cwd = spec->cwd;
	process->no_new_privileges = spec->no_new_privileges;
	process->apparmor = spec->apparmor_profile && *spec->apparmor_profile ? spec->apparmor_profile : NULL;
	process->selinux = spec->selinux_label && *spec->selinux_label ? spec->selinux_label : NULL;
	if (spec->oom_score_adj.set && (spec->oom_score_adj.value < -1000 || spec->oom_score_adj.value > 1000))
		return err_set(reterr, ERR_INVALID, 0, "oomScoreAdj must be between -1000 and 1000");
	process->set_oom_score = spec->oom_score_adj.set && !is_own_oom_score(spec->oom_score_adj.value);
	process->oom_score_adj = (int)spec->oom_score_adj.value;
	if (spec->capabilities)
		fill_caps(process, spec->capabilities);
	r = fill_user(process, &spec->user, reterr);
	if (r == 0)
		r = fill_rlimits(process, spec, reterr);
	return r < 0 ? r : fill_env(process, spec->env, reterr);
}

static void fill_stdio(struct plan_process *process, const struct container_stdio *stdio)
{
	memcpy(process->stdio, stdio->fds, sizeof(process->stdio));
	process->keeps_line_ends = stdio->keeps_line_ends;
	if (stdio->rows || stdio->columns) {
		process->rows = stdio->rows;
		process->columns = stdio->columns;
	}
}

int plan_read_filter(struct plan_process *process, int fd, struct err **reterr)
{
	struct seccomp_file_header header;

	if (fd < 0)
		return 0;
	int r = seccomp_file_read(fd, &header, &process->filter);
	if (r < 0)
		return err_errno(reterr, r, "cannot read the compiled seccomp filter");
	process->filter_count = header.instruction_count;
	process->filter_flags = header.filter_flags;
	return 0;
}

int plan_exec(const struct oci_process *spec, const struct container_exec_options *options, struct plan **ret,
	struct err **reterr)
{
	_autofree_(plan) struct plan *plan = plan_new();

	if (!plan)
		return err_oom(reterr);
	plan->is_exec = true;
	int r = plan_process_fill(&plan->process, spec, reterr);
	if (r == 0)
		r = plan_tuning_fill(&plan->process, spec, options->config, true, reterr);
	if (r == 0)
		r = plan_read_filter(&plan->process, options->seccomp_fd, reterr);
	if (r < 0)
		return r;
	warn_of_ambient(&plan->process, options->on_warn, options->user_data);
	fill_stdio(&plan->process, &options->stdio);
	plan->process.user = options->user;
	plan->process.group_add = options->group_add;
	plan->process.preserve_fds = options->preserve_fds;
	plan->process.new_keyring = !options->no_new_keyring;
	plan->process.says_exec_error = options->says_exec_error;
	*ret = TAKE(plan);
	return 0;
}

/* ---- namespaces ---- */

static int add_join(struct plan *plan, uint64_t flag, int fd, bool is_pidfd, struct err **reterr)
{
	if (plan->join_count == ARRAY_SIZE(plan->joins))
		return err_set(reterr, ERR_INVALID, 0, "too many namespaces to join");
	plan->joins[plan->join_count++] = (struct plan_join){ .flag = flag, .fd = fd, .is_pidfd = is_pidfd };
	return 0;
}

static int add_namespace(struct plan *plan, const struct oci_namespace *namespace, uint64_t *seen, struct err **reterr)
{
	uint64_t flag = namespace->type ? namespace_flag(namespace->type) : 0;

	if (!flag)
		return err_set(reterr, ERR_INVALID, 0, "invalid namespace type %s",
			namespace->type ? namespace->type : "");
	if (*seen & flag)
		return err_set(reterr, ERR_INVALID, 0, "malformed spec file: duplicated ns %s", namespace->type);
	*seen |= flag;
	if (namespace->path && *namespace->path) {
		if (strlen(namespace->path) >= PATH_MAX)
			return err_set(reterr, ERR_INVALID, ENAMETOOLONG, "the path of namespace %s is too long",
				namespace->type);
		int fd = namespace_open(namespace->path, flag);
		if (fd < 0)
			return err_errno(reterr, fd, "cannot join the %s namespace %s", namespace->type,
				namespace->path);
		return add_join(plan, flag, fd, false, reterr);
	}
	if (flag == CLONE_NEWTIME)
		plan->new_time_namespace = true;
	else if (flag == CLONE_NEWCGROUP)
		plan->new_cgroup_namespace = true;
	else
		plan->new_namespaces |= flag;
	return 0;
}

void plan_use_network(struct plan *plan, int fd)
{
	/* One made ahead is not a new user namespace's. */
	if (fd < 0 || !(plan->new_namespaces & CLONE_NEWNET) || plan->becomes_root)
		return;
	plan->new_namespaces &= ~(uint64_t)CLONE_NEWNET;
	plan->network_fd = fd;
	plan->loopback = false;
}

static int fill_namespaces(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr)
{
	uint64_t seen = 0;
	int r = 0;

	for (size_t i = 0; i < spec->linux_config.namespace_count && r == 0; i++)
		r = add_namespace(plan, &spec->linux_config.namespaces[i], &seen, reterr);
	for (size_t i = 0; i < options->join_count && r == 0; i++) {
		plan->new_namespaces &= ~(uint64_t)options->joins[i].clone_flag;
		if (options->joins[i].clone_flag == CLONE_NEWCGROUP)
			plan->new_cgroup_namespace = false;
		r = add_join(plan, options->joins[i].clone_flag, options->joins[i].pidfd, true, reterr);
	}
	if (r < 0)
		return r;
	plan->is_detached = !(plan->new_namespaces & CLONE_NEWNS);
	bool joins_user = false;
	for (size_t i = 0; i < plan->join_count; i++)
		joins_user = joins_user || plan->joins[i].flag == CLONE_NEWUSER;
	plan->becomes_root = joins_user || (plan->new_namespaces & CLONE_NEWUSER);
	plan->process.in_user_namespace = plan->becomes_root;
	plan->has_no_right = geteuid() != 0;
	if (plan->has_no_right && !plan->becomes_root)
		return err_set(reterr, ERR_INVALID, EPERM, "rootless container requires user namespaces");
	if (plan->has_no_right && plan->new_namespaces & CLONE_NEWUSER &&
		(!spec->linux_config.uid_mapping_count || !spec->linux_config.gid_mapping_count))
		return err_set(reterr, ERR_INVALID, 0, "rootless containers requires at least one %s mapping",
			spec->linux_config.uid_mapping_count ? "GID" : "UID");
	plan->loopback = plan->new_namespaces & CLONE_NEWNET;
	plan_use_network(plan, options->network_fd);
	return 0;
}

static int check_host_names(const struct plan *plan, const struct oci_spec *spec, struct err **reterr)
{
	bool own_uts = plan->new_namespaces & CLONE_NEWUTS;

	for (size_t i = 0; i < plan->join_count; i++)
		own_uts = own_uts || plan->joins[i].flag == CLONE_NEWUTS;
	if (spec->hostname && *spec->hostname && !own_uts)
		return err_set(reterr, ERR_INVALID, 0, "unable to set hostname without a private UTS namespace");
	if (spec->domainname && *spec->domainname && !own_uts)
		return err_set(reterr, ERR_INVALID, 0, "unable to set domainname without a private UTS namespace");
	if ((spec->hostname && strlen(spec->hostname) > 64) || (spec->domainname && strlen(spec->domainname) > 64))
		return err_set(reterr, ERR_INVALID, 0, "a host or domain name has at most 64 characters");
	return 0;
}

/* ---- cgroup views ---- */

static int fill_view(struct plan_cgroup_view *view, const struct cgroup_hierarchy *hierarchy)
{
	size_t count = 0;

	const char *slash = strrchr(hierarchy->mount, '/');

	view->is_v2 = hierarchy->is_v2;
	if (!view->is_v2 || strv_count(hierarchy->controllers))
		view->name = slash && slash[1] ? slash + 1 : hierarchy->name;
	if (view->is_v2)
		return 0;
	view->options = calloc(strv_count(hierarchy->controllers) + 1, sizeof(*view->options));
	if (!view->options)
		return -ENOMEM;
	strv_foreach (controller, hierarchy->controllers) {
		bool is_named = strncmp(*controller, "name=", 5) == 0;
		if (is_named) /* no controller at all has to be said */
			view->options[count++] = (struct mount_option){ .key = "none" };
		view->options[count++] = is_named ? (struct mount_option){ .key = "name", .value = *controller + 5 }
						  : (struct mount_option){ .key = *controller };
		if (!is_named && strcmp(view->name, *controller) != 0 && strv_append(&view->aliases, *controller) < 0)
			return -ENOMEM;
		if (is_named)
			break;
	}
	view->option_count = count;
	return 0;
}

/* In the hierarchy that init may write to no limit is the container's own to change. Beside v1, v2 goes out of sight, so that
 * systemd takes v1's. */
static int fill_writable_view(struct plan *plan, const struct cgroup_host *host, struct err **reterr)
{
	if (!plan->new_cgroup_namespace)
		return err_set(reterr, ERR_INVALID, 0,
			"writable cgroups take a cgroup namespace of the container's own");
	for (size_t i = 0; i < plan->cgroup_view_count; i++) {
		const struct cgroup_hierarchy *hierarchy = cgroup_host_get(host, i);
		struct plan_cgroup_view *view = &plan->cgroup_views[i];
		if (!hierarchy->is_v2) {
			view->is_writable = strncmp(hierarchy->name, "name=", 5) == 0;
		} else if (!plan->cgroup_v2_only) {
			view->name = NULL;
		} else if (hierarchy->is_delegating) {
			view->is_writable = true;
		} else {
			return err_set(reterr, ERR_UNSUPPORTED, 0,
				"cgroups can't be made writable: the host's are mounted without nsdelegate, so the container "
				"could raise its own limits (mount -o remount,nsdelegate %s)",
				hierarchy->mount);
		}
		if (view->is_writable)
			return 0;
	}
	return err_set(reterr, ERR_UNSUPPORTED, 0,
		"cgroups can't be made writable: this host has neither cgroup v2 alone nor a v1 hierarchy without a controller "
		"(name=systemd)");
}

/* Who may have no group of his own there stays in ours. */
static int find_view_folder(struct plan *plan, struct cgroup *group, const struct cgroup_hierarchy *hierarchy,
	const char **ret)
{
	bool is_top = strcmp(hierarchy->own, "/") == 0;

	*ret = cgroup_folder_of(group, hierarchy->is_v2 ? "" : hierarchy->controllers[0]);
	if (*ret)
		return 0;
	int r = strv_appendf(&plan->strings, "%s%s", hierarchy->mount, is_top ? "" : hierarchy->own);
	if (r == 0)
		*ret = plan->strings[strv_count(plan->strings) - 1];
	return r;
}

static int fill_cgroup_views(struct plan *plan, struct cgroup *group, const struct cgroup_host *host)
{
	plan->cgroup_v2_only = cgroup_host_is_unified(host);
	for (size_t i = 0; i < cgroup_host_count(host); i++) {
		const struct cgroup_hierarchy *hierarchy = cgroup_host_get(host, i);
		struct plan_cgroup_view *view = &plan->cgroup_views[plan->cgroup_view_count++];
		int r = fill_view(view, hierarchy);
		if (r == 0)
			r = find_view_folder(plan, group, hierarchy, &view->folder);
		if (r < 0)
			return r;
	}
	return 0;
}

/* ---- the whole ---- */

static int fill_init(struct plan *plan, int init_fd, struct err **reterr)
{
	if (init_fd < 0)
		return 0;
	plan->process.init_fd = selfexe_readonly_view(init_fd);
	if (plan->process.init_fd < 0)
		return err_errno(reterr, plan->process.init_fd, "cannot prepare the init program");
	size_t count = strv_count(plan->process.args);
	char **args = plan->process.init_args = calloc(count + 5, sizeof(char *));
	if (!args)
		return err_oom(reterr);
	args[0] = (char *)"/sbin/docker-init";
	args[1] = (char *)"-p";
	args[INIT_PID_ARGUMENT] = (char *)"";
	args[3] = (char *)"--";
	memcpy(args + 4, plan->process.args, count * sizeof(char *));
	return 0;
}

static void fill_simple(struct plan *plan, const struct oci_spec *spec, const struct container_options *options)
{
	plan->hostname = spec->hostname && *spec->hostname ? spec->hostname : NULL;
	plan->domainname = spec->domainname && *spec->domainname ? spec->domainname : NULL;
	plan->masked_paths = spec->linux_config.masked_paths;
	plan->readonly_paths = spec->linux_config.readonly_paths;
	plan->sysctls = spec->linux_config.sysctl;
	plan->time_offsets = spec->linux_config.time_offsets;
	plan->hooks = &spec->hooks;
	plan->wants_hook_stop = spec->hooks.prestart_count || spec->hooks.create_runtime_count ||
				spec->hooks.create_container_count;
	plan->no_pivot = options->no_pivot;
	plan->in_order = options->mounts_in_order;
	plan->start_listen_fd = options->start_listen_fd;
	plan->process.user = options->user;
	plan->process.group_add = options->group_add;
	plan->process.keeps_groups = options->keeps_groups;
	plan->process.preserve_fds = options->preserve_fds;
	plan->process.new_keyring = !options->no_new_keyring;
	plan->process.says_exec_error = options->says_exec_error;
	fill_stdio(&plan->process, &options->stdio);
}

static int fill_filter(struct plan *plan, const struct oci_spec *spec, int fd, struct err **reterr)
{
	if (spec->linux_config.seccomp && fd < 0)
		return err_set(reterr, ERR_INTERNAL, 0,
			"the spec has a seccomp profile but no compiled filter was given");
	return plan_read_filter(&plan->process, fd, reterr);
}

static uint64_t private_namespaces(const struct plan *plan)
{
	uint64_t flags = plan->new_namespaces | (plan->network_fd >= 0 ? CLONE_NEWNET : 0);

	for (size_t i = 0; i < plan->join_count; i++)
		flags |= plan->joins[i].flag;
	return flags;
}

int plan_container(const struct oci_spec *spec, const struct container_options *options, struct cgroup *group,
	const struct cgroup_host *host, struct plan **ret, struct err **reterr)
{
	_autofree_(plan) struct plan *plan = plan_new();

	if (!plan)
		return err_oom(reterr);
	if (!spec->process)
		return err_set(reterr, ERR_INVALID, 0, "process property must not be empty");
	fill_simple(plan, spec, options);
	int r = plan_process_fill(&plan->process, spec->process, reterr);
	if (r == 0 && (options->stdio.rows || options->stdio.columns))
		fill_stdio(&plan->process, &options->stdio);
	if (r == 0)
		r = plan_tuning_fill(&plan->process, spec->process, &spec->linux_config, false, reterr);
	if (r == 0)
		r = fill_namespaces(plan, spec, options, reterr);
	if (r == 0)
		r = check_host_names(plan, spec, reterr);
	if (r == 0)
		r = plan_check_sysctls(spec, private_namespaces(plan), reterr);
	if (r == 0)
		r = fill_filter(plan, spec, options->seccomp_fd, reterr);
	if (r == 0)
		r = plan_devices(plan, spec, options, reterr);
	if (r == 0 && fill_cgroup_views(plan, group, host) < 0)
		r = err_oom(reterr);
	if (r == 0 && options->writable_cgroups)
		r = fill_writable_view(plan, host, reterr);
	if (r == 0)
		r = plan_rootfs(plan, spec, options, reterr);
	if (r == 0)
		r = plan_mounts(plan, spec, options, reterr);
	if (r == 0)
		r = fill_init(plan, options->init_fd, reterr);
	if (r < 0)
		return r;
	warn_of_ambient(&plan->process, options->on_warn, options->user_data);
	*ret = TAKE(plan);
	return 0;
}

static int compare_ints(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;

	return (left > right) - (left < right);
}

int plan_keep_fds(const struct plan *plan, int **ret, size_t *ret_count)
{
	size_t max = 16 + plan->process.preserve_fds + plan->mount_count + plan->device_count + plan->join_count +
		     plan->join_fd_count;
	size_t count = 0;
	int *fds = calloc(max, sizeof(int));

	if (!fds)
		return -ENOMEM;
	for (int i = 0; i < 3; i++)
		fds[count++] = plan->process.stdio[i];
	for (unsigned i = 0; i < plan->process.preserve_fds; i++)
		fds[count++] = 3 + (int)i;
	fds[count++] = plan->process.init_fd;
	fds[count++] = plan->root_fd;
	fds[count++] = plan->state_fd;
	fds[count++] = plan->start_listen_fd;
	for (size_t i = 0; i < plan->mount_count; i++)
		fds[count++] = plan->mounts[i].kind == PLAN_MOUNT_TREE ? plan->mounts[i].tree_fd : -1;
	for (size_t i = 0; i < plan->device_count; i++)
		fds[count++] = plan->devices[i].tree_fd;
	for (size_t i = 0; i < plan->join_count; i++)
		fds[count++] = plan->joins[i].fd;
	for (size_t i = 0; i < plan->join_fd_count; i++)
		fds[count++] = plan->join_fds[i];
	qsort(fds, count, sizeof(int), compare_ints);
	*ret = fds;
	*ret_count = count;
	return 0;
}
