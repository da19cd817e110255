#include "engine/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "engine/endpoints.h"
#include "engine/launch_resources.h"
#include "engine/lifecycle.h"
#include "engine/links.h"
#include "engine/log_attrs.h"
#include "engine/logopts.h"
#include "engine/mounts.h"
#include "engine/ports.h"
#include "engine/records.h"
#include "engine/security.h"
#include "engine/volumes.h"
#include "spec/defaults.h"
#include "sys/caps.h"

#define CONTAINER_PREFIX "container:"

static bool is_mode(const char *mode, const char *word)
{
	return mode && strcmp(mode, word) == 0;
}

/* The X of "container:X", or NULL. */
static const char *joined(const char *mode)
{
	size_t len = strlen(CONTAINER_PREFIX);
	return mode && strncmp(mode, CONTAINER_PREFIX, len) == 0 ? mode + len : NULL;
}

static int set_text(char **member, const char *value)
{
	*member = strdup(value ? value : "");
	return *member ? 0 : -ENOMEM;
}

/* --- what is joined --- */

/* `ret` is NULL if nothing is joined. */
static int find_joined(const struct container *container, const char *mode, const char *what, struct container **ret,
	struct err **reterr)
{
	const char *name = joined(mode);
	*ret = NULL;
	int r = name ? container_find(container->engine, name, ret, reterr) : 0;
	return r < 0 ? err_wrap(reterr, r, "joining %s namespace of container", what) : 0;
}

static int check_joined(struct container *container, const char *mode, const char *what, struct err **reterr)
{
	struct container *other;
	int r = find_joined(container, mode, what, &other, reterr);
	if (r < 0 || !other)
		return r;
	if (other == container)
		return err_set(reterr, ERR_CONFLICT, 0, "cannot join own %s", what);
	if (container_is_restarting(other))
		return err_set(reterr, ERR_CONFLICT, 0,
			"Container %s is restarting, wait until the container is running", other->id);
	if (!container_is_running(other))
		return err_set(reterr, ERR_CONFLICT, 0, "cannot join %s of a non running container: %s", what,
			other->id);
	return 0;
}

/* Who shares his IPC namespace, and with it /dev/shm, has said so. */
static int check_shareable(const struct container *container, struct err **reterr)
{
	struct container *other;
	int r = find_joined(container, container->record.host.ipc_mode, "IPC", &other, reterr);
	if (r < 0 || !other || is_mode(other->record.host.ipc_mode, "shareable"))
		return r;
	return err_set(reterr, ERR_INVALID, 0,
		"failed to join IPC namespace: container %s: non-shareable IPC (hint: use IpcMode:shareable for the donor "
		"container)",
		other->id);
}

static int check_log(const struct container *container, struct err **reterr)
{
	_cleanup_free_ char *attrs = NULL;
	return log_attrs_make(container, container->record.config.env, &attrs, reterr);
}

int launch_check(struct container *container, struct err **reterr)
{
	const struct host_config *host = &container->record.host;
	int r = check_log(container, reterr);
	if (r == 0)
		r = volumes_check_start(container, reterr);
	if (r == 0)
		r = check_joined(container, host->network_mode, "network", reterr);
	if (r == 0)
		r = check_joined(container, host->ipc_mode, "IPC", reterr);
	if (r == 0)
		r = check_shareable(container, reterr);
	if (r == 0)
		r = check_joined(container, host->pid_mode, "PID", reterr);
	return r < 0 ? r : links_check_start(container, reterr);
}

static int join_id(const struct container *container, const char *mode, const char *what, char **ret,
	struct err **reterr)
{
	struct container *other;
	int r = find_joined(container, mode, what, &other, reterr);
	if (r == 0 && other && set_text(ret, other->id) < 0)
		r = err_oom(reterr);
	return r;
}

/* --- the process --- */

static int fill_env(const struct container *container, struct oci_process *process)
{
	const struct container_config *config = &container->record.config;
	int r = strv_append(&process->env, DEFAULT_PATH_ENV);
	if (r == 0)
		r = strv_appendf(&process->env, "HOSTNAME=%s", config->hostname ? config->hostname : "");
	if (r == 0 && config->tty)
		r = strv_append(&process->env, "TERM=xterm");
	if (r == 0)
		r = links_env(container, &process->env);
	strv_foreach (entry, config->env) {
		/* A name alone takes the variable out: what has no value says nothing. */
		if (r == 0 && strchr(*entry, '='))
			r = strv_env_set(&process->env, *entry);
	}
	return r;
}

static int add_capability(char ***set, unsigned number)
{
	const char *name = cap_name(number);
	return name && !strv_has(*set, name) ? strv_append(set, name) : 0;
}

static bool names_all(char *const *names)
{
	strv_foreach (name, names) {
		if (strcasecmp(*name, "ALL") == 0)
			return true;
	}
	return false;
}

static bool names_cap(char *const *names, unsigned number)
{
	strv_foreach (name, names) {
		if (cap_from_name(*name) == (int)number)
			return true;
	}
	return false;
}

/* Docker's rule: the defaults (or all), and what is added, without what is dropped; an addition beats "drop all". */
static bool has_capability(const struct host_config *host, unsigned number)
{
	bool is_default = false;
	for (const char *const *name = default_capabilities; *name; name++)
		is_default = is_default || cap_from_name(*name) == (int)number;
	if (host->privileged)
		return true;
	if (names_cap(host->cap_drop, number))
		return false;
	if (names_cap(host->cap_add, number) || names_all(host->cap_add))
		return true;
	return is_default && !names_all(host->cap_drop);
}

static int fill_capabilities(const struct host_config *host, struct oci_process *process)
{
	struct oci_capabilities *sets = process->capabilities = calloc(1, sizeof(*sets));
	int r = sets ? 0 : -ENOMEM;
	const unsigned count = cap_count(); /* asks the kernel about each */
	for (unsigned number = 0; r == 0 && number < count; number++) {
		if (!has_capability(host, number))
			continue;
		r = add_capability(&sets->bounding, number);
		if (r == 0)
			r = add_capability(&sets->effective, number);
		if (r == 0)
			r = add_capability(&sets->permitted, number);
	}
	return r;
}

static int fill_process(const struct container *container, const struct security *security, struct launch *launch)
{
	const struct container_config *config = &container->record.config;
	const struct host_config *host = &container->record.host;
	struct oci_process *process = launch->oci.process = calloc(1, sizeof(*process));
	if (!process)
		return -ENOMEM;
	process->terminal = config->tty;
	process->no_new_privileges = security->no_new_privileges;
	process->oom_score_adj = (struct json_opt_int){ true, host->oom_score_adj };
	if (host->console_size_count == 2 && (host->console_size[0] || host->console_size[1])) {
		process->console_size = calloc(1, sizeof(*process->console_size));
		if (!process->console_size)
			return -ENOMEM;
		process->console_size->height = host->console_size[0];
		process->console_size->width = host->console_size[1];
	}
	if (security->apparmor && strcmp(security->apparmor, "unconfined") != 0 &&
		set_text(&process->apparmor_profile, security->apparmor) < 0)
		return -ENOMEM;
	const char *cwd = config->working_dir;
	int r = set_text(&process->cwd, cwd && cwd[0] ? cwd : "/");
	if (r == 0)
		r = strv_extend(&process->args, config->entrypoint);
	if (r == 0)
		r = strv_extend(&process->args, config->cmd);
	if (r == 0)
		r = fill_env(container, process);
	return r < 0 ? r : fill_capabilities(host, process);
}

/* --- namespaces and what belongs to them --- */

static int fill_namespaces(const struct host_config *host, struct oci_linux *config)
{
	const struct {
		const char *type;
		const char *mode;
	} namespaces[] = { { "mount", NULL }, { "pid", host->pid_mode }, { "network", host->network_mode },
		{ "ipc", host->ipc_mode }, { "uts", host->uts_mode }, { "cgroup", host->cgroupns_mode } };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(namespaces); i++) {
		if (!is_mode(namespaces[i].mode, "host"))
			r = defaults_add_namespace(config, namespaces[i].type, NULL);
	}
	return r;
}

static int fill_hostname(const struct container *container, struct oci_spec *spec)
{
	const struct container_config *config = &container->record.config;
	const char *hostname = config->hostname, *shared = joined(container->record.host.network_mode);
	struct container *other;
	if (is_mode(container->record.host.uts_mode, "host"))
		return 0;
	if (shared && container_find(container->engine, shared, &other, NULL) == 0)
		hostname = other->record.config.hostname;
	int r = hostname && hostname[0] ? set_text(&spec->hostname, hostname) : 0;
	if (r == 0 && config->domainname && config->domainname[0])
		r = set_text(&spec->domainname, config->domainname);
	return r;
}

static int copy_map(const struct map *from, struct map **ret)
{
	struct map_entry *entry;
	if (!from || map_count(from) == 0)
		return 0;
	*ret = map_new(free);
	if (!*ret)
		return -ENOMEM;
	map_foreach (entry, from) {
		char *value = strdup(entry->value);
		if (!value || map_set(*ret, entry->key, value) < 0) {
			free(value);
			return -ENOMEM;
		}
	}
	return 0;
}

static bool same_words(char *const *own, const char *const *words)
{
	return strv_equal(own, (char *const *)words);
}

/* With the default lists comes what depends on this host. */
static int fill_paths(const struct host_config *host, struct oci_linux *config)
{
	if (same_words(host->masked_paths, default_masked_paths) &&
		same_words(host->readonly_paths, default_readonly_paths))
		return defaults_set_paths(config);
	int r = strv_extend(&config->masked_paths, host->masked_paths);
	return r < 0 ? r : strv_extend(&config->readonly_paths, host->readonly_paths);
}

/* A privileged container may write to /sys and its groups. */
static void open_kernel_mounts(struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		struct oci_mount *mount = &spec->mounts[i];
		if (!is_mode(mount->type, "sysfs") && !is_mode(mount->type, "cgroup"))
			continue;
		for (char **option = mount->options; option && *option; option++) {
			if (strcmp(*option, "ro") == 0)
				strcpy(*option, "rw");
		}
	}
}

static int fill_default_mounts(const struct host_config *host, struct oci_spec *spec)
{
	static const char *const shared[] = { "rbind", "rprivate", NULL };
	/* Another container's comes with its namespace. */
	bool own_shm = !is_mode(host->ipc_mode, "host") && !is_mode(host->ipc_mode, "none") && !joined(host->ipc_mode);
	int r = defaults_add_mounts(spec, own_shm ? host->shm_size : 0);
	if (r == 0 && is_mode(host->ipc_mode, "host"))
		r = defaults_add_mount(spec, "/dev/shm", "bind", "/dev/shm", shared);
	if (r == 0 && host->privileged)
		open_kernel_mounts(spec);
	return r;
}

/* A bind that wants news from the host's mounts needs a root that lets them through. */
static int fill_propagation(const struct container *container, struct oci_linux *config)
{
	const char *propagation = "rprivate";
	for (size_t i = 0; i < container->record.mount_count; i++) {
		const char *own = container->record.mounts[i].propagation;
		if (own && strstr(own, "shared"))
			propagation = "rshared";
		else if (own && strstr(own, "slave") && strcmp(propagation, "rprivate") == 0)
			propagation = "rslave";
	}
	return set_text(&config->rootfs_propagation, propagation);
}

static int fill_oci(const struct container *container, const struct security *security, struct launch *launch)
{
	const struct host_config *host = &container->record.host;
	struct oci_spec *spec = &launch->oci;
	struct oci_linux *config = &spec->linux_config;
	int r = set_text(&spec->version, OCI_VERSION);
	if (r == 0)
		r = fill_process(container, security, launch);
	if (r == 0)
		r = (spec->root = calloc(1, sizeof(*spec->root))) ? set_text(&spec->root->path, "rootfs") : -ENOMEM;
	if (r < 0)
		return r;
	spec->root->readonly = host->readonly_rootfs;
	r = fill_hostname(container, spec);
	if (r == 0)
		r = fill_default_mounts(host, spec);
	if (r == 0)
		r = fill_namespaces(host, config);
	if (r == 0)
		r = fill_paths(host, config);
	if (r == 0)
		r = fill_propagation(container, config);
	if (r == 0)
		r = copy_map(host->sysctls, &config->sysctl);
	return r < 0 ? r : copy_map(host->annotations, &spec->annotations);
}

/* --- the rest of the launch document --- */

static int fill_seccomp(const struct container *container, const struct security *security, struct launch *launch)
{
	struct launch_seccomp *seccomp = &launch->seccomp;
	if (security->seccomp_profile) {
		seccomp->profile = json_incref(security->seccomp_profile);
		return set_text(&seccomp->mode, "profile");
	}
	bool none = security->seccomp_unconfined || container->record.host.privileged;
	return set_text(&seccomp->mode, none ? "unconfined" : "default");
}

static int fill_health(const struct container_config *config, struct launch *launch)
{
	const struct healthcheck *own = config->healthcheck;
	if (!own || !healthcheck_is_active(own))
		return 0;
	struct healthcheck *check = launch->healthcheck = calloc(1, sizeof(*check));
	if (!check)
		return -ENOMEM;
	check->interval_ns = own->interval_ns ? own->interval_ns : HEALTH_INTERVAL_DEFAULT_NS;
	check->timeout_ns = own->timeout_ns ? own->timeout_ns : HEALTH_TIMEOUT_DEFAULT_NS;
	check->start_period_ns = own->start_period_ns;
	check->start_interval_ns = own->start_interval_ns ? own->start_interval_ns : HEALTH_START_INTERVAL_DEFAULT_NS;
	check->retries = own->retries ? own->retries : HEALTH_RETRIES_DEFAULT;
	if (strcmp(own->test[0], "CMD-SHELL") != 0)
		return strv_extend(&check->test, own->test);
	static const char *const default_shell[] = { "/bin/sh", "-c", NULL };
	char *const *shell = strv_count(config->shell) > 0 ? config->shell : (char *const *)default_shell;
	int r = strv_append(&check->test, "CMD");
	if (r == 0)
		r = strv_extend(&check->test, shell);
	return r < 0 ? r : strv_extend(&check->test, own->test + 1);
}

/* A monitor is also made for a client that attaches before the start: what is wrong with the tag, only the start says. */
static int fill_log_attrs(const struct container *container, struct launch *launch, struct err **reterr)
{
	_autofree_(err) struct err *reason = NULL;
	if (log_attrs_make(container, launch->oci.process->env, &launch->log.attrs, &reason) == 0)
		return 0;
	return set_text(&launch->refused, err_message(reason)) < 0 ? err_oom(reterr) : 0;
}

static int fill_log(const struct container *container, struct launch *launch, struct err **reterr)
{
	struct launch_log *log = &launch->log;
	struct logopts options;
	int r = logopts_parse(&container->record.host.log, &options, reterr);
	if (r < 0)
		return r;
	log->max_size_bytes = options.max_size;
	log->max_file = options.max_file;
	log->compress = options.compress;
	if (set_text(&log->driver, options.driver) < 0)
		return err_oom(reterr);
	if (strcmp(options.driver, "none") == 0)
		return 0;
	if (asprintf(&log->path, "%s/containers/%s/%s-json.log", container->engine->data_root, container->id,
		    container->id) < 0) {
		log->path = NULL;
		return err_oom(reterr);
	}
	return fill_log_attrs(container, launch, reterr);
}

static int fill_rootfs(const struct container *container, struct launch_rootfs *rootfs, struct err **reterr)
{
	struct engine *engine = container->engine;
	rootfs->is_volatile = container->record.host.auto_remove;
	if (asprintf(&rootfs->container_dir, "%s/containers/%s", engine->data_root, container->id) < 0) {
		rootfs->container_dir = NULL;
		return err_oom(reterr);
	}
	int r = store_lease_paths(engine->store, container->id, &rootfs->lowers, reterr);
	if (r < 0)
		return r;
	if (strv_count(rootfs->lowers) == 0)
		return err_set(reterr, ERR_INVALID, 0, "the container's image has no layers");
	return 0;
}

static int fill_joins(const struct container *container, struct launch_join *join, struct err **reterr)
{
	const struct host_config *host = &container->record.host;
	int r = join_id(container, host->network_mode, "network", &join->network, reterr);
	if (r == 0)
		r = join_id(container, host->ipc_mode, "IPC", &join->ipc, reterr);
	return r < 0 ? r : join_id(container, host->pid_mode, "PID", &join->pid, reterr);
}

static const char *network_word(const char *mode)
{
	return endpoints_main_network(mode) ? "bridge" : joined(mode) ? "container" : mode;
}

/* A monitor is also made for a client that attaches before the start: that what is to be joined is missing, only the start
 * says. */
static int fill_network(const struct container *container, struct launch *launch, struct err **reterr)
{
	const char *word = network_word(container->record.host.network_mode);
	_autofree_(err) struct err *reason = NULL;
	int r = fill_joins(container, &launch->join, &reason);
	if (r == 0)
		r = endpoints_launch(container, launch, &reason);
	if (r == 0)
		r = ports_launch(container, &launch->network, &reason);
	launch->network.bandwidth_in = container->record.host.bandwidth_in;
	launch->network.bandwidth_out = container->record.host.bandwidth_out;
	if (r == 0 && strv_extend(&launch->network.egress, container->record.host.egress) < 0)
		return err_oom(reterr);
	if (r < 0) {
		if (!launch->refused && set_text(&launch->refused, err_message(reason)) < 0)
			return err_oom(reterr);
		free(launch->join.network);
		launch->join.network = NULL;
		json_finish(&launch_network_table, &launch->network);
		word = "none";
	}
	return set_text(&launch->network.mode, word) < 0 ? err_oom(reterr) : 0;
}

static char *const *own_or(char *const *own, char *const *otherwise)
{
	return strv_count(own) > 0 ? own : otherwise;
}

static int fill_plain(const struct container *container, struct launch *launch)
{
	const struct settings *settings = &container->engine->settings;
	const struct container_config *config = &container->record.config;
	const struct host_config *host = &container->record.host;
	launch->version = LAUNCH_VERSION;
	launch->open_stdin = config->open_stdin;
	launch->stdin_once = config->stdin_once;
	launch->init = host->init.set && host->init.value;
	launch->privileged = host->privileged;
	launch->auto_remove = host->auto_remove;
	launch->stop_signal = lifecycle_stop_signal(container);
	launch->stop_timeout_s = lifecycle_stop_timeout(container);
	launch->restart_policy.max_retry = host->restart_policy.maximum_retry_count;
	const struct {
		char **member;
		const char *value;
	} texts[] = { { &launch->id, container->id }, { &launch->name, container->name },
		{ &launch->image_id, container->record.image_id }, { &launch->user, config->user },
		{ &launch->restart_policy.name, host->restart_policy.name } };
	const struct {
		char ***member;
		char *const *value;
	} lists[] = { { &launch->group_add, host->group_add }, { &launch->names.dns, own_or(host->dns, settings->dns) },
		{ &launch->names.dns_search, own_or(host->dns_search, settings->dns_search) },
		{ &launch->names.dns_options, own_or(host->dns_options, settings->dns_options) } };
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(texts); i++)
		r = set_text(texts[i].member, texts[i].value);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
		r = strv_extend(lists[i].member, lists[i].value);
	return r < 0 ? r : endpoints_extra_hosts(container, &launch->names.extra_hosts);
}

int launch_make(struct container *container, struct launch *out, struct err **reterr)
{
	struct security security;
	int r = security_parse(container->record.host.security_opt, &security, reterr);
	if (r < 0)
		return r;
	out->writable_cgroups = security.writable_cgroups;
	out->systemd_cgroup = container->engine->settings.systemd_cgroup;
	r = fill_plain(container, out);
	if (r == 0)
		r = fill_oci(container, &security, out);
	if (r == 0)
		r = fill_seccomp(container, &security, out);
	if (r == 0)
		r = fill_health(&container->record.config, out);
	security_finish(&security);
	if (r < 0)
		return err_oom(reterr);
	r = launch_resources(container, out, reterr);
	if (r == 0)
		r = mounts_launch(container, out, reterr);
	if (r == 0)
		r = fill_log(container, out, reterr);
	if (r == 0)
		r = fill_rootfs(container, &out->rootfs, reterr);
	if (r == 0)
		r = fill_network(container, out, reterr);
	return r < 0 ? r : launch_validate(out, reterr);
}

/* --- the file --- */

static int make_folder(int parent_fd, const char *id, struct err **reterr)
{
	if (mkdirat(parent_fd, id, 0700) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the container's folder");
	int fd = openat(parent_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_errno(reterr, -errno, "cannot open the container's folder") : fd;
}

int launch_run_folder(const struct engine *engine, const char *id, struct err **reterr)
{
	return make_folder(engine->exec_containers_fd, id, reterr);
}

int launch_make_data_folder(const struct container *container, struct err **reterr)
{
	_autoclose_ int fd = make_folder(container->engine->containers_fd, container->id, reterr);
	if (fd < 0 || !container->record.host.auto_remove)
		return fd < 0 ? fd : 0;
	_autoclose_ int mark = openat(fd, LAUNCH_AUTO_REMOVE_FILE, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	return mark < 0 ? err_errno(reterr, -errno, "cannot mark the container's folder") : 0;
}

static int write_file(const struct container *container, const struct launch *launch, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(LAUNCH_MAX);
	_autoclose_ int fd = launch_run_folder(container->engine, container->id, reterr);
	if (fd < 0)
		return fd;
	int r = launch_print(launch, &text);
	if (r == 0)
		r = io_replace_file(fd, "launch.json", text.data, text.len, false);
	return r < 0 ? err_errno(reterr, r, "cannot write the container's launch.json") : 0;
}

int launch_write(struct container *container, struct err **reterr)
{
	struct launch launch = { 0 };
	int r = launch_make(container, &launch, reterr);
	if (r == 0)
		r = launch_make_data_folder(container, reterr);
	if (r == 0)
		r = write_file(container, &launch, reterr);
	launch_finish(&launch);
	if (r == 0)
		container->launch_generation = records_generation(container->engine->records);
	return r;
}

int launch_refresh(struct container *container, struct err **reterr)
{
	if (container->launch_generation == records_generation(container->engine->records))
		return 0;
	return launch_write(container, reterr);
}
