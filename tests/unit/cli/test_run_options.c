/* The options of `run` against the create request's body, and all option tables against the list of Docker's. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/strv.h"
#include "cli/commands.h"
#include "cli/container_config.h"
#include "cli/verbs.h"
#include "codec/json.h"

/* Parses `arguments` as those of `run` and makes the body. */
static int make(char *const *arguments, json_t **ret, struct err **reterr)
{
	struct container_options options = { .detach = false };
	struct option_arguments parsed = { NULL };
	struct container_streams streams;
	_autofree_(strv) char **argv = strv_copy(arguments);
	options_defaults(&run_command.options, &options);
	int r = options_parse(&run_command.options, true, (int)strv_count(argv), argv, &options, &parsed, reterr);
	if (r == 0)
		r = container_streams(&options, &streams, reterr);
	if (r == 0)
		r = container_config(&options, parsed.args, &streams, ret, reterr);
	options_finish(&run_command.options, &options, &parsed);
	return r;
}

#define MAKE(ret, reterr, ...) make((char *const[]){ __VA_ARGS__, NULL }, (ret), (reterr))

static void check_member(const json_t *body, const char *path, const char *expected)
{
	_autojson_ json_t *wanted = json_loads(expected, JSON_DECODE_ANY, NULL);
	const json_t *value = body;
	_autofree_(strv) char **parts = strv_split(path, '.');
	strv_foreach (part, parts)
		value = json_object_get(value, *part);
	_cleanup_free_ char *got = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	assert_non_null(wanted);
	if (!value || !json_equal((json_t *)value, wanted))
		fail_msg("%s is %s, not %s", path, got ? got : "absent", expected);
}

/* One option, where it goes, and what is there. */
static void each_option_has_its_place(void **state)
{
	(void)state;
	static const struct {
		const char *option;
		const char *value;
		const char *path;
		const char *expected;
	} cases[] = {
		{ "--add-host", "a=[::1]", "HostConfig.ExtraHosts", "[\"a:::1\"]" },
		{ "--add-host", "gw:host-gateway", "HostConfig.ExtraHosts", "[\"gw:host-gateway\"]" },
		{ "--annotation", "a=b", "HostConfig.Annotations", "{\"a\":\"b\"}" },
		{ "--attach", "STDERR", "AttachStderr", "true" },
		{ "--blkio-weight", "300", "HostConfig.BlkioWeight", "300" },
		{ "--blkio-weight-device", "/dev/sda:200", "HostConfig.BlkioWeightDevice",
			"[{\"Path\":\"/dev/sda\",\"Weight\":200}]" },
		{ "--cap-add", "NET_ADMIN", "HostConfig.CapAdd", "[\"NET_ADMIN\"]" },
		{ "--cap-drop", "ALL", "HostConfig.CapDrop", "[\"ALL\"]" },
		{ "--cgroup-parent", "/x", "HostConfig.CgroupParent", "\"/x\"" },
		{ "--cgroupns", "private", "HostConfig.CgroupnsMode", "\"private\"" },
		{ "--cidfile", "/x", "HostConfig.ContainerIDFile", "\"/x\"" },
		{ "--cpu-period", "100000", "HostConfig.CpuPeriod", "100000" },
		{ "--cpu-quota", "50000", "HostConfig.CpuQuota", "50000" },
		{ "--cpu-rt-period", "7", "HostConfig.CpuRealtimePeriod", "7" },
		{ "--cpu-rt-runtime", "7", "HostConfig.CpuRealtimeRuntime", "7" },
		{ "-c", "512", "HostConfig.CpuShares", "512" },
		{ "--cpus", "1.5", "HostConfig.NanoCpus", "1500000000" },
		{ "--cpuset-cpus", "0-1", "HostConfig.CpusetCpus", "\"0-1\"" },
		{ "--cpuset-mems", "0", "HostConfig.CpusetMems", "\"0\"" },
		{ "--device", "/dev/a", "HostConfig.Devices",
			"[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\",\"CgroupPermissions\":\"rwm\"}]" },
		{ "--device", "/dev/a:rw", "HostConfig.Devices",
			"[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/a\",\"CgroupPermissions\":\"rw\"}]" },
		{ "--device", "/dev/a:/dev/b:r", "HostConfig.Devices",
			"[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\",\"CgroupPermissions\":\"r\"}]" },
		{ "--device", "vendor.com/class=one", "HostConfig.DeviceRequests",
			"[{\"Driver\":\"cdi\",\"DeviceIDs\":[\"vendor.com/class=one\"]}]" },
		{ "--device-cgroup-rule", "c 1:* rwm", "HostConfig.DeviceCgroupRules", "[\"c 1:* rwm\"]" },
		{ "--device-read-bps", "/dev/sda:1mb", "HostConfig.BlkioDeviceReadBps",
			"[{\"Path\":\"/dev/sda\",\"Rate\":1048576}]" },
		{ "--device-read-iops", "/dev/sda:9", "HostConfig.BlkioDeviceReadIOps",
			"[{\"Path\":\"/dev/sda\",\"Rate\":9}]" },
		{ "--device-write-bps", "/dev/sda:1k", "HostConfig.BlkioDeviceWriteBps",
			"[{\"Path\":\"/dev/sda\",\"Rate\":1024}]" },
		{ "--device-write-iops", "/dev/sda:8", "HostConfig.BlkioDeviceWriteIOps",
			"[{\"Path\":\"/dev/sda\",\"Rate\":8}]" },
		{ "--dns", "9.9.9.9", "HostConfig.Dns", "[\"9.9.9.9\"]" },
		{ "--dns-option", "ndots:1", "HostConfig.DnsOptions", "[\"ndots:1\"]" },
		{ "--dns-search", "x.org", "HostConfig.DnsSearch", "[\"x.org\"]" },
		{ "--domainname", "x", "Domainname", "\"x\"" },
		{ "--entrypoint", "/bin/x", "Entrypoint", "[\"/bin/x\"]" },
		{ "--entrypoint", "", "Entrypoint", "[\"\"]" },
		{ "-e", "A=b=c", "Env", "[\"A=b=c\"]" },
		{ "-e", "TEST_HERE", "Env", "[\"TEST_HERE=yes\"]" },
		{ "-e", "TEST_NOT_HERE", "Env", "[\"TEST_NOT_HERE\"]" },
		{ "--expose", "8000-8001/udp", "ExposedPorts", "{\"8000/udp\":{},\"8001/udp\":{}}" },
		{ "--gpus", "all", "HostConfig.DeviceRequests",
			"[{\"Count\":-1,\"Capabilities\":[[\"gpu\"]],\"Options\":{}}]" },
		{ "--gpus", "\"device=0,1\",capabilities=utility", "HostConfig.DeviceRequests",
			"[{\"DeviceIDs\":[\"0\",\"1\"],\"Capabilities\":[[\"utility\",\"gpu\"]],\"Options\":{}}]" },
		{ "--group-add", "9", "HostConfig.GroupAdd", "[\"9\"]" },
		{ "--health-cmd", "true", "Healthcheck.Test", "[\"CMD-SHELL\",\"true\"]" },
		{ "--health-interval", "1m", "Healthcheck.Interval", "60000000000" },
		{ "--health-retries", "3", "Healthcheck.Retries", "3" },
		{ "--health-start-interval", "1s", "Healthcheck.StartInterval", "1000000000" },
		{ "--health-start-period", "1s", "Healthcheck.StartPeriod", "1000000000" },
		{ "--health-timeout", "1s", "Healthcheck.Timeout", "1000000000" },
		{ "-h", "name", "Hostname", "\"name\"" },
		{ "--ipc", "host", "HostConfig.IpcMode", "\"host\"" },
		{ "-l", "a=b", "Labels", "{\"a\":\"b\"}" },
		{ "-l", "a", "Labels", "{\"a\":\"\"}" },
		{ "--link", "a:b", "HostConfig.Links", "[\"a:b\"]" },
		{ "--log-driver", "none", "HostConfig.LogConfig", "{\"Type\":\"none\",\"Config\":{}}" },
		{ "--log-opt", "max-size=1m", "HostConfig.LogConfig",
			"{\"Type\":\"\",\"Config\":{\"max-size\":\"1m\"}}" },
		{ "--mac-address", "92:d0:c6:0a:29:33", "NetworkingConfig.EndpointsConfig.default.MacAddress",
			"\"92:d0:c6:0a:29:33\"" },
		{ "--ip", "10.0.0.5", "NetworkingConfig.EndpointsConfig.default.IPAMConfig.IPv4Address",
			"\"10.0.0.5\"" },
		{ "--ip6", "fd00::5", "NetworkingConfig.EndpointsConfig.default.IPAMConfig.IPv6Address",
			"\"fd00::5\"" },
		{ "--link-local-ip", "169.254.1.1", "NetworkingConfig.EndpointsConfig.default.IPAMConfig.LinkLocalIPs",
			"[\"169.254.1.1\"]" },
		{ "-m", "64m", "HostConfig.Memory", "67108864" },
		{ "--memory-reservation", "1g", "HostConfig.MemoryReservation", "1073741824" },
		{ "--memory-swap", "-1", "HostConfig.MemorySwap", "-1" },
		{ "--memory-swappiness", "0", "HostConfig.MemorySwappiness", "0" },
		{ "--mount", "type=bind,src=/a,dst=/b,ro,bind-propagation=rslave", "HostConfig.Mounts",
			"[{\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"ReadOnly\":true,"
			"\"BindOptions\":{\"Propagation\":\"rslave\"}}]" },
		{ "--mount", "type=bind,src=/a,dst=/b,bind-recursive=readonly", "HostConfig.Mounts",
			"[{\"Type\":\"bind\",\"Source\":\"/a\",\"Target\":\"/b\",\"BindOptions\":{\"ReadOnlyForceRecursive\":true}}]" },
		{ "--mount", "src=v,dst=/b,volume-nocopy,volume-label=a=b,volume-driver=d,volume-opt=o=1",
			"HostConfig.Mounts",
			"[{\"Type\":\"volume\",\"Source\":\"v\",\"Target\":\"/b\",\"VolumeOptions\":{\"NoCopy\":true,\"Labels\":{\"a\":\"b\"},"
			"\"DriverConfig\":{\"Name\":\"d\",\"Options\":{\"o\":\"1\"}}}}]" },
		{ "--mount", "type=tmpfs,dst=/b,tmpfs-size=1m,tmpfs-mode=1777", "HostConfig.Mounts",
			"[{\"Type\":\"tmpfs\",\"Target\":\"/b\",\"TmpfsOptions\":{\"SizeBytes\":1048576,\"Mode\":1023}}]" },
		{ "--network", "host", "HostConfig.NetworkMode", "\"host\"" },
		{ "--network", "container:x", "HostConfig.NetworkMode", "\"container:x\"" },
		{ "--network", "name=n,alias=a,ip=10.0.0.1,driver-opt=k=v,gw-priority=5",
			"NetworkingConfig.EndpointsConfig",
			"{\"n\":{\"Aliases\":[\"a\"],\"IPAMConfig\":{\"IPv4Address\":\"10.0.0.1\"},\"DriverOpts\":{\"k\":\"v\"},"
			"\"GwPriority\":5}}" },
		{ "--oom-score-adj", "500", "HostConfig.OomScoreAdj", "500" },
		{ "--pid", "host", "HostConfig.PidMode", "\"host\"" },
		{ "--pids-limit", "-1", "HostConfig.PidsLimit", "-1" },
		{ "-p", "8080:80", "HostConfig.PortBindings",
			"{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]}" },
		{ "-p", "127.0.0.1::53/UDP", "HostConfig.PortBindings",
			"{\"53/udp\":[{\"HostIp\":\"127.0.0.1\",\"HostPort\":\"\"}]}" },
		{ "-p", "[::1]:80:80", "HostConfig.PortBindings",
			"{\"80/tcp\":[{\"HostIp\":\"::1\",\"HostPort\":\"80\"}]}" },
		{ "-p", "9000-9010:80", "HostConfig.PortBindings",
			"{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"9000-9010\"}]}" },
		{ "-p", "81-82:1-2", "HostConfig.PortBindings",
			"{\"1/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"81\"}],\"2/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"82\"}]}" },
		{ "-p", "published=8080,target=80,protocol=udp", "HostConfig.PortBindings",
			"{\"80/udp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}]}" },
		{ "-p", "80", "ExposedPorts", "{\"80/tcp\":{}}" },
		{ "--restart", "on-failure:3", "HostConfig.RestartPolicy",
			"{\"Name\":\"on-failure\",\"MaximumRetryCount\":3}" },
		{ "--runtime", "r", "HostConfig.Runtime", "\"r\"" },
		{ "--security-opt", "no-new-privileges", "HostConfig.SecurityOpt", "[\"no-new-privileges\"]" },
		{ "--security-opt", "seccomp=unconfined", "HostConfig.SecurityOpt", "[\"seccomp=unconfined\"]" },
		{ "--security-opt", "systempaths=unconfined", "HostConfig.MaskedPaths", "[]" },
		{ "--shm-size", "1m", "HostConfig.ShmSize", "1048576" },
		{ "--stop-signal", "SIGINT", "StopSignal", "\"SIGINT\"" },
		{ "--stop-timeout", "0", "StopTimeout", "0" },
		{ "--storage-opt", "size=1G", "HostConfig.StorageOpt", "{\"size\":\"1G\"}" },
		{ "--sysctl", "net.a=1", "HostConfig.Sysctls", "{\"net.a\":\"1\"}" },
		{ "--tmpfs", "/run:size=1m,ro", "HostConfig.Tmpfs", "{\"/run\":\"size=1m,ro\"}" },
		{ "--ulimit", "nofile=1:2", "HostConfig.Ulimits", "[{\"Name\":\"nofile\",\"Hard\":2,\"Soft\":1}]" },
		{ "--ulimit", "core=-1", "HostConfig.Ulimits", "[{\"Name\":\"core\",\"Hard\":-1,\"Soft\":-1}]" },
		{ "-u", "1:2", "User", "\"1:2\"" },
		{ "--userns", "host", "HostConfig.UsernsMode", "\"host\"" },
		{ "--uts", "host", "HostConfig.UTSMode", "\"host\"" },
		{ "-v", "/a:/b:ro", "HostConfig.Binds", "[\"/a:/b:ro\"]" },
		{ "-v", "name:/b", "HostConfig.Binds", "[\"name:/b\"]" },
		{ "-v", "/b", "Volumes", "{\"/b\":{}}" },
		{ "--volume-driver", "d", "HostConfig.VolumeDriver", "\"d\"" },
		{ "--volumes-from", "c:ro", "HostConfig.VolumesFrom", "[\"c:ro\"]" },
		{ "-w", "/x", "WorkingDir", "\"/x\"" },
	};
	setenv("TEST_HERE", "yes", 1);
	unsetenv("TEST_NOT_HERE");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autojson_ json_t *body = NULL;
		_autofree_(err) struct err *err = NULL;
		if (MAKE(&body, &err, (char *)cases[i].option, (char *)cases[i].value, "image") < 0)
			fail_msg("%s %s: %s", cases[i].option, cases[i].value, err_message(err));
		check_member(body, cases[i].path, cases[i].expected);
	}
}

static void flags_without_a_value(void **state)
{
	(void)state;
	static const struct {
		const char *option;
		const char *path;
		const char *expected;
	} cases[] = {
		{ "-i", "OpenStdin", "true" },
		{ "-i", "StdinOnce", "true" },
		{ "-it", "AttachStdin", "true" },
		{ "-t", "Tty", "true" },
		{ "--init", "HostConfig.Init", "true" },
		{ "--init=false", "HostConfig.Init", "false" },
		{ "--no-healthcheck", "Healthcheck.Test", "[\"NONE\"]" },
		{ "--oom-kill-disable", "HostConfig.OomKillDisable", "true" },
		{ "--privileged", "HostConfig.Privileged", "true" },
		{ "-P", "HostConfig.PublishAllPorts", "true" },
		{ "--read-only", "HostConfig.ReadonlyRootfs", "true" },
		{ "--rm", "HostConfig.AutoRemove", "true" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autojson_ json_t *body = NULL;
		assert_int_equal(MAKE(&body, NULL, (char *)cases[i].option, "image"), 0);
		check_member(body, cases[i].path, cases[i].expected);
	}
	_autojson_ json_t *body = NULL;
	assert_int_equal(MAKE(&body, NULL, "-di", "image"), 0);
	check_member(body, "OpenStdin", "true");
	assert_null(json_object_get(body, "AttachStdin"));
	assert_null(json_object_get(body, "AttachStdout"));
	assert_null(json_object_get(body, "StdinOnce"));
}

static void the_plain_body(void **state)
{
	(void)state;
	_autojson_ json_t *body = NULL;
	assert_int_equal(MAKE(&body, NULL, "debian:12", "ls", "-l", "--all"), 0);
	_cleanup_free_ char *text = json_dumps(body, JSON_COMPACT);
	assert_string_equal(text,
		"{\"AttachStdout\":true,\"AttachStderr\":true,\"Image\":\"debian:12\",\"Cmd\":[\"ls\",\"-l\",\"--all\"],"
		"\"NetworkingConfig\":{\"EndpointsConfig\":{}},\"HostConfig\":{\"RestartPolicy\":{\"Name\":\"no\",\"MaximumRetryCount\":0},"
		"\"LogConfig\":{\"Type\":\"\",\"Config\":{}},\"NetworkMode\":\"default\"}}");
}

static void wrong_values(void **state)
{
	(void)state;
	static const char *const cases[][3] = {
		{ "-p", "x", "invalid containerPort: x" },
		{ "-p", "65536", "invalid containerPort: 65536" },
		{ "-p", "x:80", "invalid hostPort: x" },
		{ "-p", "1-2:1-3", "invalid ranges specified for container and host Ports: 1-3 and 1-2" },
		{ "-p", "300.1.1.1:1:1", "invalid IP address: 300.1.1.1" },
		{ "-p", "80/icmp", "invalid proto: icmp" },
		{ "-p", "80:", "no port specified" },
		{ "--expose", "a", "invalid range format for --expose" },
		{ "-v", "a::b", "empty section between colons" },
		{ "-v", "a:b:c:d", "too many colons" },
		{ "--mount", "type=bind,src=/a",
			"invalid argument \"type=bind,src=/a\" for \"--mount\" flag: target is required" },
		{ "--mount", "x=y", "unexpected key 'x' in 'x=y'" },
		{ "--mount", "dst=/a,bind-propagation=shared", "cannot mix 'bind-*' options with mount type 'volume'" },
		{ "--mount", "dst=/a,ro=maybe", "invalid value for ro" },
		{ "--mount", "dst=", "value is empty" },
		{ "--ulimit", "x=1", "invalid ulimit type: x" },
		{ "--ulimit", "nofile=2:1", "soft limit must be less than or equal to hard limit" },
		{ "--ulimit", "nofile=-1:1", "soft limit must be less than or equal to hard limit" },
		{ "--device", "dev", "dev is not an absolute path" },
		{ "--device", "/a:/b:x", "bad mode specified: x" },
		{ "--device", "/a:/b:rr", "bad mode specified: rr" },
		{ "--device-cgroup-rule", "x 1:1 r", "invalid device cgroup format" },
		{ "--device-read-bps", "sda:1", "bad format for device path" },
		{ "--device-read-iops", "/dev/sda:1k", "invalid rate for device" },
		{ "--blkio-weight-device", "/dev/sda:9", "invalid weight for device" },
		{ "--restart", "x:y", "maximum retry count must be an integer" },
		{ "--restart", ":3", "no policy provided before colon" },
		{ "--memory-swappiness", "101", "Valid memory swappiness range is 0-100" },
		{ "--health-interval", "-1s", "--health-interval cannot be negative" },
		{ "--network", "name=a,ip=x", "invalid IPv4 address: x" },
		{ "--network", "alias=a", "network name/id is not specified" },
		{ "--network-alias", "a", "only supported for user-defined networks" },
		{ "--mac-address", "92:d0:c6:0a:29", "is not a valid mac address" },
		{ "--dns", "x", "invalid IP address: x" },
		{ "--add-host", "x", "bad format for add-host" },
		{ "--add-host", "x:y", "invalid IP address in add-host" },
		{ "--pid", "x", "--pid: invalid PID mode" },
		{ "--uts", "x", "--uts: invalid UTS mode" },
		{ "--userns", "x", "--userns: invalid USER mode" },
		{ "--cgroupns", "x", "--cgroupns: invalid CGROUP mode" },
		{ "--security-opt", "x", "invalid --security-opt: \"x\"" },
		{ "--security-opt", "seccomp=/nonexistent", "opening seccomp profile (/nonexistent) failed" },
		{ "--storage-opt", "x", "invalid storage option" },
		{ "-e", "=x", "invalid environment variable: =x" },
		{ "--env-file", "/nonexistent", "--env-file: open /nonexistent" },
		{ "-a", "x", "valid streams are STDIN, STDOUT and STDERR" },
		{ "--gpus", "x", "invalid count (x)" },
		{ "--gpus", "x=y", "unexpected key 'x' in 'x=y'" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autojson_ json_t *body = NULL;
		_autofree_(err) struct err *err = NULL;
		assert_true(MAKE(&body, &err, (char *)cases[i][0], (char *)cases[i][1], "image") < 0);
		if (!strstr(err->message, cases[i][2]))
			fail_msg("%s %s: \"%s\" does not hold \"%s\"", cases[i][0], cases[i][1], err->message,
				cases[i][2]);
	}
	_autofree_(err) struct err *err = NULL;
	_autojson_ json_t *body = NULL;
	assert_true(MAKE(&body, &err, "--rm", "--restart", "always", "image") < 0);
	assert_string_equal(err->message, "conflicting options: cannot specify both --restart and --rm");
	_autofree_(err) struct err *health = NULL;
	assert_true(MAKE(&body, &health, "--no-healthcheck", "--health-cmd", "x", "image") < 0);
	assert_string_equal(health->message, "--no-healthcheck conflicts with --health-* options");
}

static void files_of_variables(void **state)
{
	(void)state;
	char path[] = "/tmp/tare-unit-env-XXXXXX";
	_autoclose_ int fd = mkstemp(path);
	static const char text[] = "\xef\xbb\xbf# comment\nA=1\n  B=two words\r\n\nTEST_HERE\nTEST_NOT_HERE\nC=\n";
	assert_true(write(fd, text, sizeof text - 1) == sizeof text - 1);
	setenv("TEST_HERE", "yes", 1);
	unsetenv("TEST_NOT_HERE");
	_autojson_ json_t *body = NULL;
	assert_int_equal(MAKE(&body, NULL, "--env-file", path, "--label-file", path, "-e", "A=2", "image"), 0);
	check_member(body, "Env", "[\"A=1\",\"B=two words\",\"TEST_HERE=yes\",\"C=\",\"A=2\"]");
	check_member(body, "Labels",
		"{\"A\":\"1\",\"B\":\"two words\",\"TEST_HERE\":\"\",\"TEST_NOT_HERE\":\"\",\"C\":\"\"}");

	assert_int_equal(ftruncate(fd, 0), 0);
	assert_true(pwrite(fd, "A B=1\n", 6, 0) == 6);
	_autofree_(err) struct err *err = NULL;
	_autojson_ json_t *none = NULL;
	assert_true(MAKE(&none, &err, "--env-file", path, "image") < 0);
	assert_non_null(strstr(err->message, "variable 'A B' contains whitespaces"));
	unlink(path);
}

/* The list of Docker's commands and flags, if it is in $TARE_SPECS or lies beside the source. */

static FILE *open_list(void)
{
	const char *folder = getenv("TARE_SPECS");
	_cleanup_free_ char *path = NULL;
	if (asprintf(&path, "%s/cli/docker-28-flags.txt", folder ? folder : SOURCE_ROOT "/../shared/specs") < 0)
		return NULL;
	return fopen(path, "re");
}

static bool is_left_out(const char *command, const char *flag)
{
	/* volumes of clusters */
	static const char *const cluster[] = { "availability", "group", "limit-bytes", "required-bytes", "scope",
		"secret", "sharing", "topology-preferred", "topology-required", "type", "cluster" };
	for (size_t i = 0; strncmp(command, "volume ", 7) == 0 && i < ARRAY_SIZE(cluster); i++) {
		if (strcmp(cluster[i], flag) == 0)
			return true;
	}
	return strcmp(flag, "help") == 0;
}

/* "[-x, ]--flag" and a type */
static void check_flag(const struct command *command, const char *name, const char *flag, const char *type)
{
	char letter = flag[1] == '-' ? '\0' : flag[1];
	flag += letter ? 6 : 2;
	if (is_left_out(name, flag))
		return;
	const struct option_spec *spec = options_find(&command->options, flag);
	if (!spec)
		fail_msg("tare %s does not know --%s", name, flag);
	if (spec->letter != letter)
		fail_msg("tare %s: --%s has the letter '%c', not '%c'", name, flag, spec->letter, letter);
	if (!spec->hidden && strcmp(option_type_word(spec), type) != 0)
		fail_msg("tare %s: --%s is a %s, not a %s", name, flag, option_type_word(spec), type);
}

static void knows_dockers_flags(void **state)
{
	(void)state;
	FILE *list = open_list();
	if (!list)
		skip();
	char *line = NULL;
	size_t size = 0, checked = 0;
	while (getline(&line, &size, list) > 0) {
		char *name = strtok(line, "\t"), *flag = strtok(NULL, "\t"), *type = strtok(NULL, "\t");
		if (!name || !type || strncmp(name, "docker ", 7) != 0)
			continue;
		const struct command *command = commands_find(name + 7);
		if (!command)
			continue;
		check_flag(command, name + 7, flag, strcmp(type, "-") == 0 ? "" : type);
		checked++;
	}
	free(line);
	fclose(list);
	assert_true(checked > 400);
}

/* Every table is sound: letters and names are unique, defaults parse, every command has what dispatch needs. */
static void tables_are_sound(void **state)
{
	(void)state;
	for (const struct command *command = NULL; (command = commands_next(command));) {
		assert_non_null(command->run);
		assert_non_null(command->summary);
		assert_non_null(command->usage);
		assert_true(command->max_args >= command->min_args);
		assert_ptr_equal(commands_find(command->names[0]), command);
		_cleanup_free_ char *values = calloc(1, command->options_size + 1);
		struct option_arguments arguments = { NULL };
		const struct option_spec *spec = NULL, *other = NULL;
		while ((spec = options_next(&command->options, spec))) {
			assert_ptr_equal(options_find(&command->options, spec->name), spec);
			assert_true(spec->offset < command->options_size);
			for (other = spec; (other = options_next(&command->options, other));)
				assert_true(!spec->letter || spec->letter != other->letter);
		}
		options_defaults(&command->options, values);
		options_finish(&command->options, values, &arguments);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_option_has_its_place),
		cmocka_unit_test(flags_without_a_value),
		cmocka_unit_test(the_plain_body),
		cmocka_unit_test(wrong_values),
		cmocka_unit_test(files_of_variables),
		cmocka_unit_test(knows_dockers_flags),
		cmocka_unit_test(tables_are_sound),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
