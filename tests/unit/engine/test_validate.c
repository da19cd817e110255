/* What create refuses, in whose words; and what an image adds to a request. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "engine/merge.h"
#include "engine/mounts.h"
#include "engine/validate.h"

/* A create body, and the error it gets; NULL: none. */
static const struct {
	const char *body;
	const char *message;
} bodies[] = {
	{ "{}", NULL },
	/* memory */
	{ "{'HostConfig':{'Memory':1024}}", "Minimum memory limit allowed is 6MB" },
	{ "{'HostConfig':{'Memory':6291455}}", "Minimum memory limit allowed is 6MB" },
	{ "{'HostConfig':{'Memory':6291456}}", NULL },
	{ "{'HostConfig':{'Memory':-1}}", "Minimum memory limit allowed is 6MB" },
	{ "{'HostConfig':{'Memory':9223372036854775807}}", NULL },
	{ "{'HostConfig':{'Memory':8388608,'MemorySwap':8388607}}",
		"Minimum memoryswap limit should be larger than memory limit, see usage" },
	{ "{'HostConfig':{'Memory':8388608,'MemorySwap':-1}}", NULL },
	{ "{'HostConfig':{'MemorySwap':8388608}}",
		"You should always set the Memory limit when using Memoryswap limit, see usage" },
	{ "{'HostConfig':{'MemorySwappiness':101}}", "Invalid value: 101, valid memory swappiness range is 0-100" },
	{ "{'HostConfig':{'MemorySwappiness':100}}", NULL },
	{ "{'HostConfig':{'MemorySwappiness':-1}}", NULL },
	{ "{'HostConfig':{'Memory':8388608,'MemoryReservation':8388609}}",
		"Minimum memory limit can not be less than memory reservation limit, see usage" },
	/* cpu */
	{ "{'HostConfig':{'NanoCpus':10000000}}", NULL },
	{ "{'HostConfig':{'NanoCpus':9999999}}", "range of CPUs is from 0.01 to " },
	{ "{'HostConfig':{'NanoCpus':9223372036854775807}}", "range of CPUs is from 0.01 to " },
	{ "{'HostConfig':{'NanoCpus':500000000,'CpuPeriod':100000}}",
		"Conflicting options: Nano CPUs and CPU Period cannot both be set" },
	{ "{'HostConfig':{'NanoCpus':500000000,'CpuQuota':100000}}",
		"Conflicting options: Nano CPUs and CPU Quota cannot both be set" },
	{ "{'HostConfig':{'CpuPeriod':999}}", "CPU cfs period can not be less than 1ms" },
	{ "{'HostConfig':{'CpuPeriod':1000}}", NULL },
	{ "{'HostConfig':{'CpuPeriod':1000001}}", "CPU cfs period can not be less than 1ms" },
	{ "{'HostConfig':{'CpuQuota':999}}", "CPU cfs quota can not be less than 1ms (i.e. 1000)" },
	{ "{'HostConfig':{'CpuShares':-1}}", "invalid CPU shares (-1): value must be a positive integer" },
	{ "{'HostConfig':{'CpusetCpus':'0'}}", NULL },
	{ "{'HostConfig':{'CpusetCpus':'0-4294967295'}}", "Requested CPUs are not available - requested 0-4294967295" },
	{ "{'HostConfig':{'CpusetCpus':'1-0'}}", "Invalid value 1-0 for cpuset cpus" },
	{ "{'HostConfig':{'CpusetCpus':'0,'}}", "Invalid value 0, for cpuset cpus" },
	{ "{'HostConfig':{'CpusetMems':'x'}}", "Invalid value x for cpuset mems" },
	/* numbers */
	{ "{'HostConfig':{'PidsLimit':-2}}", "invalid pids limit" },
	{ "{'HostConfig':{'PidsLimit':0}}", NULL },
	{ "{'HostConfig':{'OomScoreAdj':1001}}", "Invalid value 1001, range for oom score adj is [-1000, 1000]" },
	{ "{'HostConfig':{'OomScoreAdj':-1000}}", NULL },
	{ "{'HostConfig':{'BlkioWeight':9}}", "Range of blkio weight is from 10 to 1000" },
	{ "{'HostConfig':{'BlkioWeight':10}}", NULL },
	{ "{'HostConfig':{'ShmSize':-1}}", "SHM size can not be less than 0" },
	{ "{'HostConfig':{'Ulimits':[{'Name':'nofile','Soft':10,'Hard':20}]}}", NULL },
	{ "{'HostConfig':{'Ulimits':[{'Name':'nofile','Soft':21,'Hard':20}]}}",
		"ulimit soft limit must be less than or equal to hard limit: 21 > 20" },
	{ "{'HostConfig':{'Ulimits':[{'Name':'cows','Soft':1,'Hard':1}]}}", "invalid ulimit type: cows" },
	{ "{'StopTimeout':-2}", "invalid stop timeout" },
	{ "{'StopTimeout':-1}", NULL },
	/* words */
	{ "{'StopSignal':'SIGFOO'}", "invalid signal: SIGFOO" },
	{ "{'StopSignal':'sigusr1'}", NULL },
	{ "{'Env':['=x']}", "invalid environment variable: =x" },
	{ "{'Env':['A','B=']}", NULL },
	{ "{'WorkingDir':'tmp'}", "the working directory 'tmp' is invalid, it needs to be an absolute path" },
	{ "{'Hostname':'a\\nb'}", "invalid hostname" },
	{ "{'ExposedPorts':{'99999/tcp':{}}}", "invalid port specification: \"99999/tcp\"" },
	{ "{'ExposedPorts':{'65535/udp':{}}}", NULL },
	{ "{'Healthcheck':{'Test':['CMD','x'],'Interval':999999}}", "Interval in Healthcheck cannot be less than 1ms" },
	{ "{'Healthcheck':{'Test':['CMD','x'],'Retries':-1}}", "Retries in Healthcheck cannot be negative" },
	{ "{'Healthcheck':{'Test':['RUN','x']}}", "Unknown healthcheck type 'RUN'" },
	{ "{'HostConfig':{'RestartPolicy':{'Name':'sometimes'}}}",
		"invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'" },
	{ "{'HostConfig':{'RestartPolicy':{'Name':'always','MaximumRetryCount':1}}}",
		"invalid restart policy: maximum retry count can only be used with 'on-failure'" },
	{ "{'HostConfig':{'RestartPolicy':{'Name':'on-failure','MaximumRetryCount':-1}}}",
		"invalid restart policy: maximum retry count cannot be negative" },
	{ "{'HostConfig':{'AutoRemove':true,'RestartPolicy':{'Name':'always'}}}",
		"can't create 'AutoRemove' container with restart policy" },
	{ "{'HostConfig':{'CapAdd':['NET_ADMIN','cap_sys_time','ALL']}}", NULL },
	{ "{'HostConfig':{'CapDrop':['FLY']}}", "invalid CapDrop: unknown capability: \"CAP_FLY\"" },
	{ "{'HostConfig':{'Dns':['8.8.8']}}", "invalid IP address: 8.8.8" },
	{ "{'HostConfig':{'ExtraHosts':['db']}}", "bad format for add-host: \"db\"" },
	{ "{'HostConfig':{'ExtraHosts':['db:nowhere']}}", "invalid IP address in add-host: \"nowhere\"" },
	{ "{'HostConfig':{'ExtraHosts':['db:10.0.0.1','six:::1','six:[::1]']}}", NULL },
	{ "{'HostConfig':{'IpcMode':'own'}}", "invalid IPC mode: own" },
	{ "{'HostConfig':{'PidMode':'container:'}}", "invalid PID mode: container:" },
	{ "{'HostConfig':{'PidMode':'container:x'}}", NULL },
	{ "{'HostConfig':{'UTSMode':'private'}}", "invalid UTS mode: private" },
	{ "{'HostConfig':{'Runtime':'kata'}}", "unknown or invalid runtime name: kata" },
	{ "{'HostConfig':{'LogConfig':{'Type':'syslog'}}}",
		"logging driver syslog is not supported by this engine, whose drivers are json-file, local and none" },
	{ "{'HostConfig':{'LogConfig':{'Type':'json-file','Config':{'max-sise':'1m'}}}}",
		"unknown log opt 'max-sise' for json-file log driver" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'max-file':'0'}}}}", "max-file cannot be less than 1" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'labels':'a,b'}}}}", NULL },
	{ "{'HostConfig':{'LogConfig':{'Type':'local','Config':{'labels':'a,b'}}}}",
		"unknown log opt 'labels' for log driver local" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'env-regex':'('}}}}",
		"failed to initialize logging driver: error parsing regexp: Unmatched ( or \\(: `(`" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'true'}}}}", NULL },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'true','max-file':'2'}}}}", NULL },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'true','max-file':'1'}}}}",
		"compress cannot be true when max-file is less than 2 or max-size is not set" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'true','max-size':'-1'}}}}",
		"compress cannot be true when max-file is less than 2 or max-size is not set" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'maybe'}}}}", "invalid value for compress: maybe" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'mode':'non-blocking'}}}}",
		"log opt mode=non-blocking is not supported by this engine's log drivers" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'mode':'eager'}}}}", "logger: logging mode not supported: eager" },
	{ "{'HostConfig':{'LogConfig':{'Config':{'compress':'false','mode':'blocking'}}}}", NULL },
	{ "{'HostConfig':{'LogConfig':{'Config':{'max-size':'10m','max-file':'3'}}}}", NULL },
	{ "{'HostConfig':{'SecurityOpt':['seccomp']}}", "invalid --security-opt 1: \"seccomp\"" },
	{ "{'HostConfig':{'SecurityOpt':['magic=1']}}", "invalid --security-opt 2: \"magic=1\"" },
	{ "{'HostConfig':{'SecurityOpt':['seccomp={']}}", "decoding seccomp profile failed" },
	{ "{'HostConfig':{'SecurityOpt':['seccomp=unconfined','no-new-privileges','label=disable']}}", NULL },
	/* sysctls */
	{ "{'HostConfig':{'Sysctls':{'net.ipv4.ip_forward':'1','kernel.shmmax':'1','fs.mqueue.msg_max':'9'}}}", NULL },
	{ "{'HostConfig':{'Sysctls':{'kernel.core_pattern':'|/x'}}}", "sysctl 'kernel.core_pattern' is not allowed" },
	{ "{'HostConfig':{'Sysctls':{'net.ipv4.x+kernel.core_pattern':'1'}}}", "is not allowed" },
	{ "{'HostConfig':{'Sysctls':{'net.ipv4.x':'1\\nkernel.core_pattern=y'}}}",
		"its value has a control character" },
	{ "{'HostConfig':{'Sysctls':{'net/../kernel/core_pattern':'1'}}}", "is not allowed" },
	{ "{'HostConfig':{'NetworkMode':'host','Sysctls':{'net.ipv4.ip_forward':'1'}}}",
		"not allowed in host network namespace" },
	/* networks */
	{ "{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'8080'}]}}}", NULL },
	{ "{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'8080-8090'},{'HostIp':'::1'}]}}}", NULL },
	{ "{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'65536'}]}}}",
		"invalid port specification: \"65536\"" },
	{ "{'HostConfig':{'PortBindings':{'80/tcp':[{'HostPort':'9-8'}]}}}", "invalid port specification: \"9-8\"" },
	{ "{'HostConfig':{'PortBindings':{'80/tcp':[{'HostIp':'example'}]}}}", "invalid IP address: example" },
	{ "{'HostConfig':{'NetworkMode':'host','PortBindings':{'80/tcp':[{'HostPort':'8080'}]}}}", NULL },
	{ "{'HostConfig':{'NetworkMode':'container:x','PortBindings':{'80/tcp':[{}]}}}",
		"conflicting options: port publishing and the container type network mode" },
	{ "{'Hostname':'h','HostConfig':{'NetworkMode':'container:x'}}",
		"conflicting options: hostname and the network mode" },
	{ "{'HostConfig':{'PortBindings':{'0x50':[{}]}}}", "invalid port specification: \"0x50\"" },
	/* devices */
	{ "{'HostConfig':{'Devices':[{'PathOnHost':'/dev/fuse','CgroupPermissions':'rwx'}]}}", "bad mode: rwx" },
	{ "{'HostConfig':{'Devices':[{'PathOnHost':'fuse'}]}}", "paths must be absolute" },
	{ "{'HostConfig':{'DeviceRequests':[{'Driver':'nvidia','Count':-1}]}}",
		"could not select device driver \"nvidia\"" },
	{ "{'HostConfig':{'CgroupParent':'/a/../b'}}", "invalid cgroup parent" },
};

static char *with_quotes(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	return copy;
}

static void test_bodies(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bodies); i++) {
		_cleanup_free_ char *text = with_quotes(bodies[i].body);
		_autofree_(strv) char **warnings = NULL;
		_autofree_(err) struct err *err = NULL;
		struct container_create create;
		assert_int_equal(container_create_parse(text, strlen(text), &create, &err), 0);
		int r = validate_config(&create.config, &err);
		if (r == 0)
			r = validate_host(create.host, &create.config, &warnings, &err);
		bool right = bodies[i].message ? r < 0 && strstr(err_message(err), bodies[i].message) : r == 0;
		if (!right)
			fail_msg("%s: got \"%s\"", bodies[i].body, r < 0 ? err_message(err) : "(accepted)");
		if (r < 0)
			assert_int_equal(err->kind, ERR_INVALID);
		container_create_finish(&create);
	}
}

static void test_cpu_lists(void **state)
{
	(void)state;
	assert_int_equal(validate_cpu_list("0-3", 4), 0);
	assert_int_equal(validate_cpu_list("0-4", 4), -ERANGE);
	assert_int_equal(validate_cpu_list("3,1-2", 4), 0);
	assert_int_equal(validate_cpu_list("", 4), -EINVAL);
	assert_int_equal(validate_cpu_list("0,,1", 4), -EINVAL);
	assert_int_equal(validate_cpu_list("99999999999999999999", 4), -ERANGE);
	assert_int_equal(validate_cpu_list("-1", 4), -EINVAL);
}

static void parse_config(const char *text, struct container_config *config)
{
	_cleanup_free_ char *quoted = with_quotes(text);
	assert_int_equal(json_parse(&container_config_table, quoted, strlen(quoted), config, NULL), 0);
}

static void parse_image(const char *text, struct oci_image_run *image)
{
	_cleanup_free_ char *quoted = with_quotes(text);
	assert_int_equal(json_parse(&oci_image_run_table, quoted, strlen(quoted), image, NULL), 0);
}

static void test_merge(void **state)
{
	(void)state;
	static const struct {
		const char *own, *image;
		const char *entrypoint, *cmd; /* joined by blanks */
	} commands[] = {
		{ "{}", "{'Entrypoint':['e'],'Cmd':['c']}", "e", "c" },
		{ "{'Cmd':['x']}", "{'Entrypoint':['e'],'Cmd':['c']}", "e", "x" },
		{ "{'Entrypoint':['x']}", "{'Entrypoint':['e'],'Cmd':['c']}", "x", "" },
		{ "{'Entrypoint':[''],'Cmd':['x']}", "{'Entrypoint':['e'],'Cmd':['c']}", "", "x" },
		{ "{'Entrypoint':[]}", "{'Entrypoint':['e'],'Cmd':['c']}", "", "c" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct container_config config = { 0 };
		struct oci_image_run image = { 0 };
		parse_config(commands[i].own, &config);
		parse_image(commands[i].image, &image);
		assert_int_equal(merge_image(&config, &image), 0);
		_cleanup_free_ char *entrypoint = strv_join(config.entrypoint, " "), *cmd = strv_join(config.cmd, " ");
		assert_string_equal(entrypoint, commands[i].entrypoint);
		assert_string_equal(cmd, commands[i].cmd);
		json_finish(&container_config_table, &config);
		json_finish(&oci_image_run_table, &image);
	}
}

/* What an image says without "=" adds nothing of the host's, and a request's name alone takes a variable out. */
static void test_merge_env(void **state)
{
	(void)state;
	struct container_config config = { 0 };
	struct oci_image_run image = { 0 };
	parse_config("{'Env':['A=own','GONE'],'Labels':{'l':'own'}}", &config);
	parse_image("{'Env':['A=image','B=image','PATH','X*','=','GONE=1'],'Labels':{'l':'image','m':'image'},"
		    "'Volumes':{'/v':{}},'User':'7','StopSignal':'SIGINT'}",
		&image);
	assert_int_equal(merge_image(&config, &image), 0);
	_cleanup_free_ char *env = strv_join(config.env, " ");
	assert_string_equal(env, "A=own GONE B=image");
	assert_string_equal(map_get(config.labels, "l"), "own");
	assert_string_equal(map_get(config.labels, "m"), "image");
	assert_string_equal(config.user, "7");
	assert_string_equal(config.stop_signal, "SIGINT");
	assert_true(strv_has(config.volumes, "/v"));
	json_finish(&container_config_table, &config);
	json_finish(&oci_image_run_table, &image);
}

static void test_clean_paths(void **state)
{
	(void)state;
	static const char *const paths[][2] = { { "/a//b/", "/a/b" }, { "/a/../b", "/b" }, { "/../..", "/" },
		{ "/", "/" }, { "/a/./b/..", "/a" }, { "a", "/a" }, { "/..a/b..", "/..a/b.." } };
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		_cleanup_free_ char *clean = mounts_clean_path(paths[i][0]);
		assert_string_equal(clean, paths[i][1]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_cpu_lists),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_env),
		cmocka_unit_test(test_clean_paths),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
