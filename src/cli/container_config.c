#include "cli/container_config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/io.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cli/endpoints.h"
#include "cli/mounts.h"
#include "cli/object.h"
#include "cli/ports.h"
#include "cli/resources.h"
#include "cli/terminal.h"
#include "cli/text.h"
#include "codec/json.h"

#define SECCOMP_PROFILE_MAX (4 * 1024 * 1024)

/* One parser of one value, and its loop over all of them. */
typedef int append_fn(const char *spec, json_t *out, struct err **reterr);

static int append_all(char *const *specs, append_fn *append, json_t *out, struct err **reterr)
{
	int ret = 0;
	for (char *const *spec = specs; ret == 0 && spec && *spec; spec++)
		ret = append(*spec, out, reterr);
	return ret;
}

/* Puts the array of what `append` makes of each spec. */
static int put_all(struct object *object, const char *key, char *const *specs, append_fn *append, struct err **reterr)
{
	_autojson_ json_t *array = json_array();
	int ret = append_all(specs, append, array, reterr);
	if (ret == 0)
		object_put_filled(object, key, TAKE(array));
	return ret;
}

int container_streams(const struct container_options *options, struct container_streams *ret, struct err **reterr)
{
	struct container_streams streams = { .attach_stdin = options->interactive };
	strv_foreach (stream, options->attach) {
		if (strcasecmp(*stream, "stdin") == 0)
			streams.attach_stdin = true;
		else if (strcasecmp(*stream, "stdout") == 0)
			streams.attach_stdout = true;
		else if (strcasecmp(*stream, "stderr") == 0)
			streams.attach_stderr = true;
		else
			return err_set(reterr, ERR_INVALID, 0,
				"invalid argument \"%s\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR",
				*stream);
	}
	if (!options->attach)
		streams.attach_stdout = streams.attach_stderr = true;
	streams.stdin_once = options->interactive && streams.attach_stdin;
	if (options->detach) {
		if (options->attach)
			return err_set(reterr, ERR_INVALID, 0,
				"conflicting options: cannot specify both --attach and --detach");
		streams = (struct container_streams){ .attach_stdin = false };
	}
	*ret = streams;
	return 0;
}

int container_restart_policy(const char *text, json_t **ret, struct err **reterr)
{
	_cleanup_free_ char *name = strdup(text);
	if (!name)
		return err_oom(reterr);
	const char *count = text_cut(name, ':');
	int64_t retries = 0;
	if (count && !*name)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid restart policy format: no policy provided before colon");
	if (count && *count && parse_i64(count, INT32_MIN, INT32_MAX, &retries) < 0)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid restart policy format: maximum retry count must be an integer");
	*ret = json_pack("{s:s,s:I}", "Name", name, "MaximumRetryCount", (json_int_t)retries);
	return *ret ? 0 : err_oom(reterr);
}

/* Health */

static int check_not_negative(int64_t value, const char *flag, struct err **reterr)
{
	return value < 0 ? err_set(reterr, ERR_INVALID, 0, "--%s cannot be negative", flag) : 0;
}

static int put_health(struct object *config, const struct container_options *options, struct err **reterr)
{
	const struct {
		int64_t value;
		const char *flag;
		const char *key;
	} settings[] = {
		{ options->health_interval, "health-interval", "Interval" },
		{ options->health_timeout, "health-timeout", "Timeout" },
		{ options->health_start_period, "health-start-period", "StartPeriod" },
		{ options->health_start_interval, "health-start-interval", "StartInterval" },
		{ options->health_retries, "health-retries", "Retries" },
	};
	bool has_command = options->health_cmd && *options->health_cmd, any = has_command;
	struct object health;
	object_init(&health);
	if (has_command)
		object_put(&health, "Test", json_pack("[s,o]", "CMD-SHELL", object_string(options->health_cmd)));
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(settings); i++) {
		any |= settings[i].value != 0;
		ret = check_not_negative(settings[i].value, settings[i].flag, reterr);
		object_put_int(&health, settings[i].key, settings[i].value);
	}
	if (ret == 0 && options->no_healthcheck && any)
		ret = err_set(reterr, ERR_INVALID, 0, "--no-healthcheck conflicts with --health-* options");
	if (options->no_healthcheck)
		object_put(&health, "Test", json_pack("[s]", "NONE"));
	config->failed |= health.failed;
	object_put_filled(config, "Healthcheck", health.json);
	return ret;
}

/* Security */

static int read_profile(const char *path, struct buf *out, struct err **reterr)
{
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "opening seccomp profile (%s) failed", path);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECCOMP_PROFILE_MAX);
	int ret = io_read_all(fd, &text);
	if (ret < 0)
		return err_errno(reterr, ret, "opening seccomp profile (%s) failed", path);
	_autojson_ json_t *profile = NULL;
	ret = json_load(text.data ? text.data : "", text.len, &profile, reterr);
	if (ret < 0)
		return err_wrap(reterr, ret, "compacting json for seccomp profile (%s) failed", path);
	return json_print_value(profile, out) < 0 ? err_oom(reterr) : 0;
}

static int append_security_option(const char *spec, json_t *out, struct err **reterr)
{
	_cleanup_free_ char *key = strdup(spec);
	if (!key)
		return err_oom(reterr);
	const char *value = text_cut(key, '=');
	bool bare = strcmp(key, "no-new-privileges") == 0;
	if (!value && !bare)
		value = text_cut(key, ':');
	if (!bare && (!value || !*value))
		return err_set(reterr, ERR_INVALID, 0, "invalid --security-opt: \"%s\"", spec);
	if (strcmp(key, "seccomp") != 0 || strcmp(value, "unconfined") == 0 || strcmp(value, "builtin") == 0)
		return json_array_append_new(out, object_string(spec)) < 0 ? err_oom(reterr) : 0;

	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECCOMP_PROFILE_MAX);
	int ret = buf_puts(&text, "seccomp=");
	if (ret == 0)
		ret = read_profile(value, &text, reterr);
	if (ret < 0)
		return ret;
	return json_array_append_new(out, json_stringn(text.data, text.len)) < 0 ? err_oom(reterr) : 0;
}

/* systempaths=unconfined never leaves this side: it empties the lists of masked and read-only paths. */
static int put_security(struct object *host, const struct container_options *options, struct err **reterr)
{
	_autojson_ json_t *security = json_array();
	strv_foreach (option, options->security_options) {
		if (strcmp(*option, "systempaths=unconfined") == 0) {
			object_put(host, "MaskedPaths", json_array());
			object_put(host, "ReadonlyPaths", json_array());
			continue;
		}
		int ret = append_security_option(*option, security, reterr);
		if (ret < 0)
			return ret;
	}
	if (options->systemd && json_array_append_new(security, object_string("writable-cgroups=true")) < 0)
		return err_oom(reterr);
	object_put_filled(host, "SecurityOpt", TAKE(security));
	return 0;
}

static int check_namespace(const char *mode, const char *flag, const char *what, const char *const *allowed,
	struct err **reterr)
{
	if (!mode || !*mode)
		return 0;
	for (; *allowed; allowed++) {
		size_t len = strlen(*allowed);
		bool prefix = (*allowed)[len - 1] == ':';
		if (prefix ? strncmp(mode, *allowed, len) == 0 && mode[len] : strcmp(mode, *allowed) == 0)
			return 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "--%s: invalid %s mode", flag, what);
}

static int put_namespaces(struct object *host, const struct container_options *options, struct err **reterr)
{
	static const char *const pid[] = { "host", "container:", NULL };
	static const char *const only_host[] = { "host", NULL };
	static const char *const cgroup[] = { "host", "private", NULL };
	int ret = check_namespace(options->pid, "pid", "PID", pid, reterr);
	if (ret == 0)
		ret = check_namespace(options->uts, "uts", "UTS", only_host, reterr);
	if (ret == 0)
		ret = check_namespace(options->userns, "userns", "USER", only_host, reterr);
	if (ret == 0)
		ret = check_namespace(options->cgroupns, "cgroupns", "CGROUP", cgroup, reterr);
	object_put_string(host, "IpcMode", options->ipc);
	object_put_string(host, "PidMode", options->pid);
	object_put_string(host, "UTSMode", options->uts);
	object_put_string(host, "UsernsMode", options->userns);
	object_put_string(host, "CgroupnsMode", options->cgroupns ?: options->systemd ? "private" : NULL);
	return ret;
}

/* Resources */

static int append_byte_rate(const char *spec, json_t *out, struct err **reterr)
{
	return resources_rate(spec, true, out, reterr);
}

static int append_operation_rate(const char *spec, json_t *out, struct err **reterr)
{
	return resources_rate(spec, false, out, reterr);
}

/* Real devices go to Devices; those of the container device interface are one device request. */
static int put_devices(struct object *host, const struct container_options *options, struct err **reterr)
{
	_autojson_ json_t *devices = json_array(), *requests = json_array(), *cdi = json_array();
	int ret = append_all(options->gpus, resources_gpu, requests, reterr);
	for (char **device = options->devices; ret == 0 && device && *device; device++) {
		if (!resources_is_cdi_device(*device))
			ret = resources_device(*device, devices, reterr);
		else if (json_array_append_new(cdi, object_string(*device)) < 0)
			ret = err_oom(reterr);
	}
	if (ret == 0 && json_array_size(cdi) &&
		json_array_append_new(requests, json_pack("{s:s,s:O}", "Driver", "cdi", "DeviceIDs", cdi)) < 0)
		ret = err_oom(reterr);
	if (ret < 0)
		return ret;
	object_put_filled(host, "Devices", TAKE(devices));
	object_put_filled(host, "DeviceRequests", TAKE(requests));
	return put_all(host, "DeviceCgroupRules", options->device_cgroup_rules, resources_device_rule, reterr);
}

static int put_block_io(struct object *host, const struct container_options *options, struct err **reterr)
{
	const struct {
		const char *key;
		char *const *specs;
		append_fn *append;
	} lists[] = {
		{ "BlkioWeightDevice", options->blkio_weight_devices, resources_weight },
		{ "BlkioDeviceReadBps", options->device_read_bps, append_byte_rate },
		{ "BlkioDeviceWriteBps", options->device_write_bps, append_byte_rate },
		{ "BlkioDeviceReadIOps", options->device_read_iops, append_operation_rate },
		{ "BlkioDeviceWriteIOps", options->device_write_iops, append_operation_rate },
		{ "Ulimits", options->ulimits, resources_ulimit },
	};
	object_put_int(host, "BlkioWeight", options->blkio_weight);
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < ARRAY_SIZE(lists); i++)
		ret = put_all(host, lists[i].key, lists[i].specs, lists[i].append, reterr);
	return ret;
}

static int put_resources(struct object *host, const struct container_options *options, struct err **reterr)
{
	const struct {
		const char *key;
		int64_t value;
	} numbers[] = {
		{ "Memory", options->memory },
		{ "MemoryReservation", options->memory_reservation },
		{ "MemorySwap", options->memory_swap },
		{ "KernelMemory", options->kernel_memory },
		{ "NanoCpus", options->nano_cpus },
		{ "CpuCount", options->cpu_count },
		{ "CpuPercent", options->cpu_percent },
		{ "CpuShares", options->cpu_shares },
		{ "CpuPeriod", options->cpu_period },
		{ "CpuQuota", options->cpu_quota },
		{ "CpuRealtimePeriod", options->cpu_rt_period },
		{ "CpuRealtimeRuntime", options->cpu_rt_runtime },
		{ "PidsLimit", options->pids_limit },
		{ "OomScoreAdj", options->oom_score_adj },
		{ "ShmSize", options->shm_size },
		{ "IOMaximumBandwidth", options->io_max_bandwidth },
		{ "IOMaximumIOps", options->io_max_iops },
	};
	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		object_put_int(host, numbers[i].key, numbers[i].value);
	if (options->memory_swappiness < -1 || options->memory_swappiness > 100)
		return err_set(reterr, ERR_INVALID, 0, "invalid value: %lld. Valid memory swappiness range is 0-100",
			(long long)options->memory_swappiness);
	if (options->memory_swappiness >= 0)
		object_put(host, "MemorySwappiness", json_integer(options->memory_swappiness));
	object_put_bool(host, "OomKillDisable", options->oom_kill_disable);
	object_put_string(host, "CpusetCpus", options->cpuset_cpus);
	object_put_string(host, "CpusetMems", options->cpuset_mems);
	object_put_string(host, "CgroupParent", options->cgroup_parent);
	int ret = put_block_io(host, options, reterr);
	return ret < 0 ? ret : put_devices(host, options, reterr);
}

/* Files */

static int put_volumes(struct object *config, struct object *host, const struct container_options *options,
	struct err **reterr)
{
	_autojson_ json_t *binds = json_array(), *volumes = json_object();
	int ret = 0;
	for (char **volume = options->volumes; ret == 0 && volume && *volume; volume++)
		ret = mounts_volume(*volume, binds, volumes, reterr);
	if (ret < 0)
		return ret;
	object_put_filled(host, "Binds", TAKE(binds));
	object_put_filled(config, "Volumes", TAKE(volumes));
	return put_all(host, "Mounts", options->mounts, mounts_mount, reterr);
}

static int put_tmpfs(struct object *host, const struct container_options *options, struct err **reterr)
{
	struct object tmpfs;
	object_init(&tmpfs);
	if (options->systemd) {
		object_put_string(&tmpfs, "/run", "exec,mode=755");
		object_put_string(&tmpfs, "/run/lock", "");
		object_put_string(&tmpfs, "/tmp", "exec");
	}
	strv_foreach (spec, options->tmpfs) {
		_cleanup_free_ char *path = strdup(*spec);
		if (!path) {
			object_finish(&tmpfs);
			return err_oom(reterr);
		}
		const char *settings = text_cut(path, ':');
		object_put_string(&tmpfs, path, settings ? settings : "");
	}
	host->failed |= tmpfs.failed;
	object_put_filled(host, "Tmpfs", tmpfs.json);
	return 0;
}

static int put_storage(struct object *host, const struct container_options *options, struct err **reterr)
{
	strv_foreach (option, options->storage_options) {
		if (!strchr(*option, '='))
			return err_set(reterr, ERR_INVALID, 0, "invalid storage option");
	}
	object_put_map(host, "StorageOpt", options->storage_options);
	object_put_array(host, "VolumesFrom", options->volumes_from);
	object_put_string(host, "VolumeDriver", options->volume_driver);
	object_put_bool(host, "ReadonlyRootfs", options->read_only);
	return put_tmpfs(host, options, reterr);
}

/* Network */

static int put_ports(struct object *config, struct object *host, const struct container_options *options,
	struct err **reterr)
{
	_autojson_ json_t *exposed = json_object(), *bindings = json_object();
	int ret = 0;
	for (char **spec = options->publish; ret == 0 && spec && *spec; spec++)
		ret = ports_publish(*spec, exposed, bindings, reterr);
	for (char **spec = options->expose; ret == 0 && spec && *spec; spec++)
		ret = ports_expose(*spec, exposed, reterr);
	if (ret < 0)
		return ret;
	object_put_filled(config, "ExposedPorts", TAKE(exposed));
	object_put_filled(host, "PortBindings", TAKE(bindings));
	object_put_bool(host, "PublishAllPorts", options->publish_all);
	return 0;
}

static bool is_address(const char *text)
{
	struct in6_addr address;
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

static int append_dns(const char *spec, json_t *out, struct err **reterr)
{
	if (!is_address(spec))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid argument \"%s\" for \"--dns\" flag: invalid IP address: %s", spec, spec);
	return json_array_append_new(out, object_string(spec)) < 0 ? err_oom(reterr) : 0;
}

/* "name:address", "name=address", the address perhaps in brackets; sent as "name:address". */
static int append_host(const char *spec, json_t *out, struct err **reterr)
{
	_cleanup_free_ char *name = strdup(spec), *line = NULL;
	if (!name)
		return err_oom(reterr);
	char *address = text_cut(name, strchr(name, '=') ? '=' : ':');
	if (!address || !*name || strchr(name, ':'))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid argument \"%s\" for \"--add-host\" flag: bad format for add-host: \"%s\"", spec, spec);
	size_t len = strlen(address);
	if (len > 2 && address[0] == '[' && address[len - 1] == ']') {
		address[len - 1] = '\0';
		address++;
	}
	if (strcmp(address, "host-gateway") != 0 && !is_address(address))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid argument \"%s\" for \"--add-host\" flag: invalid IP address in add-host: \"%s\"", spec,
			address);
	if (asprintf(&line, "%s:%s", name, address) < 0 || json_array_append_new(out, object_string(line)) < 0)
		return err_oom(reterr);
	return 0;
}

static int put_names(struct object *host, const struct container_options *options, struct err **reterr)
{
	object_put_array(host, "DnsOptions", options->dns_options);
	object_put_array(host, "DnsSearch", options->dns_search);
	object_put_array(host, "Links", options->links);
	int ret = put_all(host, "Dns", options->dns, append_dns, reterr);
	return ret < 0 ? ret : put_all(host, "ExtraHosts", options->add_hosts, append_host, reterr);
}

/* The parts */

static int put_environment(struct object *config, const struct container_options *options, struct err **reterr)
{
	_autofree_(strv) char **env = NULL, **labels = NULL;
	int ret = text_read_env(options->env_files, options->env, &env, reterr);
	if (ret == 0)
		ret = text_read_labels(options->label_files, options->labels, &labels, reterr);
	if (ret < 0)
		return ret;
	bool has_word = false;
	strv_foreach (variable, env)
		has_word |= strncmp(*variable, "container=", 10) == 0;
	if (options->systemd && !has_word && strv_append(&env, "container=tare") < 0)
		return err_oom(reterr);
	object_put_array(config, "Env", env);
	object_put_map(config, "Labels", labels);
	return 0;
}

static void put_config(struct object *config, const struct container_options *options, char *const *args,
	const struct container_streams *streams)
{
	object_put_string(config, "Hostname", options->hostname);
	object_put_string(config, "Domainname", options->domainname);
	object_put_string(config, "User", options->user);
	object_put_bool(config, "AttachStdin", streams->attach_stdin);
	object_put_bool(config, "AttachStdout", streams->attach_stdout);
	object_put_bool(config, "AttachStderr", streams->attach_stderr);
	object_put_bool(config, "Tty", options->tty);
	object_put_bool(config, "OpenStdin", options->interactive);
	object_put_bool(config, "StdinOnce", streams->stdin_once);
	object_put_string(config, "Image", args[0]);
	object_put_array(config, "Cmd", args + 1);
	object_put_string(config, "WorkingDir", options->workdir);
	object_put_string(config, "StopSignal", options->stop_signal ?: options->systemd ? "SIGRTMIN+3" : NULL);
	if (options->entrypoint) /* given but empty: [""] resets the image's */
		object_put(config, "Entrypoint", json_pack("[o]", object_string(options->entrypoint)));
	if (options->stop_timeout.set)
		object_put(config, "StopTimeout", json_integer(options->stop_timeout.value));
}

static int put_host(struct object *host, const struct container_options *options, struct err **reterr)
{
	_autojson_ json_t *restart = NULL;
	int ret = container_restart_policy(options->restart, &restart, reterr);
	if (ret < 0)
		return ret;
	const char *policy = json_string_value(json_object_get(restart, "Name"));
	if (options->remove && *policy && strcmp(policy, "no") != 0)
		return err_set(reterr, ERR_INVALID, 0, "conflicting options: cannot specify both --restart and --rm");
	object_put(host, "RestartPolicy", TAKE(restart));

	const char *driver = options->log_driver ? options->log_driver : "";
	if (strcmp(driver, "none") == 0 && options->log_options)
		return err_set(reterr, ERR_INVALID, 0, "invalid logging opts for driver none");
	object_put(host, "LogConfig",
		json_pack("{s:o,s:o}", "Type", object_string(driver), "Config", text_map(options->log_options)));

	uint16_t columns, rows;
	if (options->tty && terminal_size(&columns, &rows))
		object_put(host, "ConsoleSize", json_pack("[i,i]", rows, columns));
	object_put_string(host, "ContainerIDFile", options->cidfile);
	object_put_bool(host, "AutoRemove", options->remove);
	object_put_bool(host, "Privileged", options->privileged);
	object_put_array(host, "CapAdd", options->cap_add);
	object_put_array(host, "CapDrop", options->cap_drop);
	object_put_array(host, "GroupAdd", options->group_add);
	object_put_map(host, "Sysctls", options->sysctls);
	if (options->bandwidth_in.set)
		object_put_int(host, "BandwidthIn", options->bandwidth_in.value);
	if (options->bandwidth_out.set)
		object_put_int(host, "BandwidthOut", options->bandwidth_out.value);
	if (options->egress)
		object_put_array(host, "Egress", options->egress);
	object_put_map(host, "Annotations", options->annotations);
	object_put_string(host, "Runtime", options->runtime);
	object_put_string(host, "Isolation", options->isolation);
	if (options->init.set)
		object_put(host, "Init", json_boolean(options->init.value));
	return put_security(host, options, reterr);
}

static int put_networking(struct object *config, struct object *host, const struct container_options *options,
	struct err **reterr)
{
	_cleanup_free_ char *mode = NULL;
	json_t *endpoints = NULL;
	int ret = endpoints_parse(options, &mode, &endpoints, reterr);
	if (ret < 0)
		return ret;
	object_put_string(host, "NetworkMode", mode);
	object_put(config, "NetworkingConfig", json_pack("{s:o}", "EndpointsConfig", endpoints));
	ret = put_ports(config, host, options, reterr);
	return ret < 0 ? ret : put_names(host, options, reterr);
}

static int put_everything(struct object *config, struct object *host, const struct container_options *options,
	struct err **reterr)
{
	int ret = put_environment(config, options, reterr);
	if (ret == 0)
		ret = put_health(config, options, reterr);
	if (ret == 0)
		ret = put_volumes(config, host, options, reterr);
	if (ret == 0)
		ret = put_storage(host, options, reterr);
	if (ret == 0)
		ret = put_namespaces(host, options, reterr);
	if (ret == 0)
		ret = put_host(host, options, reterr);
	if (ret == 0)
		ret = put_resources(host, options, reterr);
	if (ret == 0)
		ret = put_networking(config, host, options, reterr);
	return ret;
}

int container_config(const struct container_options *options, char *const *args,
	const struct container_streams *streams, json_t **ret, struct err **reterr)
{
	_cleanup_(object_finish) struct object config, host;
	object_init(&config);
	object_init(&host);
	put_config(&config, options, args, streams);
	int r = put_everything(&config, &host, options, reterr);
	if (r < 0)
		return r;
	config.failed |= host.failed;
	object_put(&config, "HostConfig", TAKE(host.json));
	return object_take(&config, ret, reterr);
}
