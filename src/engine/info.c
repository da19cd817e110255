#include "engine/info.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "engine/container.h"
#include "engine/events.h"
#include "engine/images.h"
#include "engine/inspect.h"
#include "engine/volumes.h"
#include "spec/system_info.h"
#include "sys/cgroup.h"

#define API_VERSION     "1.50"
#define API_VERSION_MIN "1.24"
#define OS_RELEASE_MAX  (64 * 1024)
#define FD_COUNT_MAX    65536
/* The first API version without the sum of the build cache. */
#define BUILDER_SIZE_MINOR 42

/* Docker's word for what the kernel calls x86_64. */
static const char *architecture_word(const char *machine)
{
	return strcmp(machine, "x86_64") == 0 ? "amd64" : strcmp(machine, "aarch64") == 0 ? "arm64" : machine;
}

int info_version(struct engine *engine, json_t **ret, struct err **reterr)
{
	struct utsname host;
	(void)engine;
	if (uname(&host) < 0)
		return err_errno(reterr, -errno, "cannot ask the kernel for its version");
	const char *architecture = architecture_word(host.machine);
	const char *const details[][2] = { { "ApiVersion", API_VERSION }, { "MinAPIVersion", API_VERSION_MIN },
		{ "Os", "linux" }, { "Arch", architecture }, { "KernelVersion", host.release },
		{ "Experimental", "false" } };
	_autofree_(map) struct map *map = map_new(NULL);
	for (size_t i = 0; map && i < ARRAY_SIZE(details); i++) {
		if (map_set(map, details[i][0], (char *)details[i][1]) < 0)
			return err_oom(reterr);
	}
	struct version_component component = {
		.name = (char *)"Engine", .version = (char *)TARE_VERSION, .details = map
	};
	const struct system_version version = {
		.platform = { .name = (char *)"tare" },
		.components = &component,
		.component_count = 1,
		.version = (char *)TARE_VERSION,
		.api_version = (char *)API_VERSION,
		.min_api_version = (char *)API_VERSION_MIN,
		.git_commit = (char *)"",
		.go_version = (char *)"",
		.os = (char *)"linux",
		.arch = (char *)architecture,
		.kernel_version = host.release,
		.build_time = (char *)"",
	};
	*ret = map ? json_write(&system_version_table, &version) : NULL;
	return *ret ? 0 : err_oom(reterr);
}

/* --- info --- */

/* PRETTY_NAME of os-release, heap; "Linux" if there is none. */
static char *operating_system(void)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OS_RELEASE_MAX);
	FILE *file = fopen("/etc/os-release", "re");
	char line[512];
	char *name = NULL;
	while (file && !name && fgets(line, sizeof(line), file)) {
		char value[256];
		if (sscanf(line, "PRETTY_NAME=\"%255[^\"\n]", value) == 1)
			name = strdup(value);
	}
	if (file)
		fclose(file);
	return name ? name : strdup("Linux");
}

static bool reads_one(const char *path)
{
	char digit = '0';
	FILE *file = fopen(path, "re");
	if (file) {
		if (fread(&digit, 1, 1, file) != 1)
			digit = '0';
		fclose(file);
	}
	return digit == '1';
}

static int64_t open_descriptors(void)
{
	int64_t count = 0;
	for (int fd = 0; fd < FD_COUNT_MAX && fd < (int)sysconf(_SC_OPEN_MAX); fd++) {
		if (lseek(fd, 0, SEEK_CUR) >= 0 || errno != EBADF)
			count++;
	}
	return count;
}

static bool has_controller(const struct cgroup_host *host, const char *name)
{
	for (size_t i = 0; host && i < cgroup_host_count(host); i++) {
		if (strv_has(cgroup_host_get(host, i)->controllers, name))
			return true;
	}
	return false;
}

static void fill_cgroups(const struct settings *settings, struct system_info *info)
{
	_autofree_(cgroup_host) struct cgroup_host *host = NULL;
	if (cgroup_host_new(&host) < 0)
		host = NULL;
	bool unified = host && cgroup_host_is_unified(host);
	bool memory = has_controller(host, "memory"), cpu = has_controller(host, "cpu");
	info->memory_limit = info->swap_limit = memory;
	info->oom_kill_disable = memory && !unified;
	info->cpu_cfs_period = info->cpu_cfs_quota = info->cpu_shares = cpu;
	info->cpu_set = has_controller(host, "cpuset");
	info->pids_limit = has_controller(host, "pids");
	info->cgroup_driver = (char *)(settings->systemd_cgroup ? "systemd" : "cgroupfs");
	info->cgroup_version = (char *)(unified ? "2" : "1");
}

static void fill_counts(struct engine *engine, struct system_info *info)
{
	struct inspect_counts counts;
	_autojson_ json_t *images = NULL;
	inspect_count(engine, &counts);
	info->containers_running = (int64_t)counts.running;
	info->containers_paused = (int64_t)counts.paused;
	info->containers_stopped = (int64_t)counts.stopped;
	info->containers = info->containers_running + info->containers_paused + info->containers_stopped;
	if (images_list(engine, &(struct images_wish){ .api_minor = 50 }, &images, NULL) == 0)
		info->images = (int64_t)json_array_size(images);
	info->events_listener_count = (int64_t)events_listeners(engine->events);
	info->fd_count = open_descriptors();
}

static void fill_fixed(struct engine *engine, struct system_info *info)
{
	static char *const volume_plugins[] = { (char *)"local", NULL };
	static char *const network_plugins[] = { (char *)"bridge", (char *)"cni", (char *)"host", (char *)"ipvlan",
		(char *)"macvlan", (char *)"null", NULL };
	static char *const log_plugins[] = { (char *)"json-file", (char *)"local", (char *)"none", NULL };
	static char *const security[] = { (char *)"name=seccomp,profile=builtin", NULL };
	info->id = engine->id;
	info->driver = (char *)"overlay2";
	info->plugins = (struct info_plugins){
		.volume = (char **)volume_plugins,
		.network = (char **)network_plugins,
		.log = (char **)log_plugins,
	};
	info->logging_driver = (char *)"json-file";
	info->index_server_address = (char *)"https://index.docker.io/v1/";
	info->docker_root_dir = engine->data_root;
	info->http_proxy = info->https_proxy = info->no_proxy = (char *)"";
	info->os_type = (char *)"linux";
	info->os_version = (char *)"";
	info->server_version = (char *)TARE_VERSION;
	info->default_runtime = (char *)"tare";
	info->swarm.local_node_state = (char *)"inactive";
	info->swarm.node_id = info->swarm.node_addr = info->swarm.error = (char *)"";
	info->live_restore_enabled = true;
	info->isolation = (char *)"";
	info->init_binary = (char *)"tare-init";
	info->product_license = (char *)"";
	info->security_options = (char **)security;
}

int info_system(struct engine *engine, json_t **ret, struct err **reterr)
{
	struct utsname host;
	struct sysinfo memory;
	char now[CLOCK_RFC3339_MAX];
	struct info_runtime runtime = { .path = (char *)"tare-runtime" };
	_cleanup_free_ char *system = operating_system();
	_autofree_(map) struct map *runtimes = map_new(NULL);
	_autojson_ json_t *status = json_pack("[[s, s]]", "Layers", "overlay");
	_autojson_ json_t *registries = settings_registry_config(&engine->settings);
	if (!system || !runtimes || !status || !registries || map_set(runtimes, "tare", &runtime) < 0)
		return err_oom(reterr);
	if (uname(&host) < 0 || sysinfo(&memory) < 0)
		return err_errno(reterr, -errno, "cannot ask the kernel about this machine");
	clock_format_rfc3339(clock_realtime_ns(), now);
	struct system_info info = {
		.driver_status = status,
		.ipv4_forwarding = reads_one("/proc/sys/net/ipv4/ip_forward"),
		.system_time = now,
		.kernel_version = host.release,
		.operating_system = system,
		.architecture = host.machine,
		.registry_config = registries,
		.default_address_pools = engine->settings.pools,
		.default_address_pool_count = engine->settings.pool_count,
		.cpu_count = sysconf(_SC_NPROCESSORS_ONLN),
		.mem_total = (int64_t)memory.totalram * memory.mem_unit,
		.name = host.nodename,
		.runtimes = runtimes,
	};
	fill_fixed(engine, &info);
	fill_cgroups(&engine->settings, &info);
	fill_counts(engine, &info);
	*ret = json_write(&system_info_table, &info);
	return *ret ? 0 : err_oom(reterr);
}

int info_disk_usage(struct engine *engine, const struct usage_wish *wish, const struct sizes *sizes, json_t **ret,
	struct err **reterr)
{
	const struct inspect_list everything = { .all = true, .sizes = sizes };
	const struct images_wish images_wish = {
		.shared_size = true, .count_containers = true, .api_minor = wish->api_minor
	};
	_autojson_ json_t *images = NULL, *containers = NULL, *volumes = NULL;
	int64_t layers = 0;
	int r = wish->images ? store_layers_size(engine->store, &layers, reterr) : 0;
	if (r == 0 && wish->images)
		r = images_list(engine, &images_wish, &images, reterr);
	if (r == 0 && wish->containers)
		r = inspect_containers(engine, &everything, &containers, reterr);
	if (r == 0 && wish->volumes)
		r = volumes_usage(engine->volumes, sizes, &volumes, reterr);
	if (r < 0)
		return r;
	*ret = json_pack("{s:I, s:O?, s:O?, s:O?, s:o?}", "LayersSize", (json_int_t)layers, "Images", images,
		"Containers", containers, "Volumes", volumes, "BuildCache", wish->build_cache ? json_array() : NULL);
	if (*ret && wish->api_minor < BUILDER_SIZE_MINOR)
		json_object_set_new(*ret, "BuilderSize", json_integer(0));
	return *ret ? 0 : err_oom(reterr);
}
