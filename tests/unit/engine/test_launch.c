/* What launch.json says for what was asked for, against the defaults. */
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "engine/launch.h"
#include "spec/defaults.h"

#include "world.h"

struct made {
	struct container *container;
	struct launch launch;
};

static struct made make(struct world *world, const char *body)
{
	struct made made = { .container = world_create(world, NULL, body) };
	_autofree_(err) struct err *err = NULL;
	if (launch_make(made.container, &made.launch, &err) < 0)
		fail_msg("%s: %s", body, err_message(err));
	return made;
}

static const struct oci_mount *mount_at(const struct launch *launch, const char *destination)
{
	const struct oci_mount *found = NULL;
	for (size_t i = 0; i < launch->oci.mount_count; i++) {
		if (strcmp(launch->oci.mounts[i].destination, destination) != 0)
			continue;
		assert_null(found);
		found = &launch->oci.mounts[i];
	}
	return found;
}

static void expect_words(char *const *words, const char *joined)
{
	_cleanup_free_ char *text = strv_join(words, " ");
	assert_string_equal(text, joined);
}

static void test_defaults(void **state)
{
	struct made made = make(*state, "{'Env':['B=2','GONE'],'HostConfig':{'NetworkMode':'default'}}");
	const struct launch *launch = &made.launch;
	const struct oci_process *process = launch->oci.process;
	size_t defaults = 0;
	while (default_capabilities[defaults])
		defaults++;
	assert_int_equal(strv_count(process->capabilities->bounding), defaults);
	for (size_t i = 0; i < defaults; i++)
		assert_true(strv_has(process->capabilities->effective, default_capabilities[i]));
	assert_int_equal(strv_count(process->capabilities->inheritable), 0);
	assert_int_equal(strv_count(process->capabilities->ambient), 0);
	expect_words(process->args, "run");
	assert_string_equal(process->cwd, "/");
	assert_string_equal(process->env[0], DEFAULT_PATH_ENV);
	assert_memory_equal(strv_env_get(process->env, "HOSTNAME"), made.container->id, CONTAINER_ID_SHORT);
	assert_string_equal(strv_env_get(process->env, "A"), "b"); /* the image's */
	assert_string_equal(strv_env_get(process->env, "B"), "2");
	assert_null(strv_env_get(process->env, "TERM"));
	assert_false(process->no_new_privileges);

	static const char *const namespaces[] = { "mount", "pid", "network", "ipc", "uts", "cgroup" };
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++)
		assert_non_null(oci_spec_namespace(&launch->oci, namespaces[i]));
	assert_null(oci_spec_namespace(&launch->oci, "user"));
	static const char *const mounts[] = { "/proc", "/dev", "/dev/pts", "/sys", "/sys/fs/cgroup", "/dev/mqueue",
		"/dev/shm" };
	for (size_t i = 0; i < ARRAY_SIZE(mounts); i++)
		assert_non_null(mount_at(launch, mounts[i]));
	assert_true(strv_has(mount_at(launch, "/sys")->options, "ro"));
	for (size_t i = 0; default_masked_paths[i]; i++)
		assert_true(strv_has(launch->oci.linux_config.masked_paths, default_masked_paths[i]));
	for (size_t i = 0; default_readonly_paths[i]; i++)
		assert_true(strv_has(launch->oci.linux_config.readonly_paths, default_readonly_paths[i]));

	const struct oci_resources *resources = launch->oci.linux_config.resources;
	assert_false(resources->devices[0].allow); /* everything is refused first */
	assert_false(resources->memory.limit.set);
	assert_false(resources->pids.limit.set);
	assert_string_equal(launch->seccomp.mode, "default");
	assert_string_equal(launch->network.mode, "bridge");
	assert_string_equal(launch->log.driver, "json-file");
	assert_true(launch->log.max_size_bytes > 0 && launch->log.max_file > 1);
	assert_int_equal(launch->stop_signal, 15);
	assert_int_equal(launch->stop_timeout_s, LAUNCH_STOP_TIMEOUT_DEFAULT_S);
	assert_int_equal(strv_count(launch->rootfs.lowers), 2);
	assert_false(launch->rootfs.is_volatile);
	launch_finish(&made.launch);
}

static void test_limits(void **state)
{
	struct made made = make(*state,
		"{'HostConfig':{'Memory':67108864,'NanoCpus':500000000,'PidsLimit':50,'CpusetCpus':'0','CpuShares':512,'BlkioWeight':100,"
		"'OomScoreAdj':100,'Ulimits':[{'Name':'nofile','Soft':10,'Hard':-1}],'DeviceCgroupRules':['c 1:* rw'],"
		"'Devices':[{'PathOnHost':'/dev/fuse'}],'CgroupParent':'/mine','ShmSize':1048576}}");
	const struct oci_resources *resources = made.launch.oci.linux_config.resources;
	assert_int_equal(resources->memory.limit.value, 64 << 20);
	assert_int_equal(resources->memory.swap.value, 128 << 20);
	assert_int_equal(resources->cpu.quota.value, 50000);
	assert_int_equal(resources->cpu.period.value, 100000);
	assert_int_equal(resources->cpu.shares.value, 512);
	assert_string_equal(resources->cpu.cpus, "0");
	assert_int_equal(resources->pids.limit.value, 50);
	assert_int_equal(resources->block_io.weight.value, 100);
	const struct oci_device_rule *rule = &resources->devices[resources->device_count - 1];
	assert_true(rule->allow && rule->major.value == 1 && (!rule->minor.set || rule->minor.value == -1));
	const struct oci_process *process = made.launch.oci.process;
	assert_int_equal(process->oom_score_adj.value, 100);
	assert_string_equal(process->rlimits[0].type, "RLIMIT_NOFILE");
	assert_true(process->rlimits[0].soft == 10 && process->rlimits[0].hard == UINT64_MAX);
	assert_string_equal(made.launch.devices[0].container_path, "/dev/fuse");
	assert_string_equal(made.launch.devices[0].permissions, "rwm");
	assert_memory_equal(made.launch.oci.linux_config.cgroups_path, "/mine/", 6);
	assert_true(strv_has(mount_at(&made.launch, "/dev/shm")->options, "size=1048576"));
	launch_finish(&made.launch);
}

static void test_capabilities(void **state)
{
	static const struct {
		const char *host;
		const char *bounding; /* NULL: all */
	} cases[] = {
		{ "'CapDrop':['ALL'],'CapAdd':['CHOWN','cap_kill']", "CAP_CHOWN CAP_KILL" },
		{ "'CapDrop':['ALL']", "" },
		{ "'Privileged':true", NULL },
		{ "'CapAdd':['ALL']", NULL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_free_ char *body = NULL;
		assert_true(asprintf(&body, "{'HostConfig':{%s}}", cases[i].host) > 0);
		struct made made = make(*state, body);
		char *const *bounding = made.launch.oci.process->capabilities->bounding;
		if (cases[i].bounding)
			expect_words(bounding, cases[i].bounding);
		else
			assert_true(strv_has(bounding, "CAP_SYS_ADMIN") && strv_has(bounding, "CAP_NET_RAW"));
		launch_finish(&made.launch);
	}
	struct made made = make(*state, "{'HostConfig':{'CapAdd':['ALL'],'CapDrop':['SYS_ADMIN']}}");
	assert_false(strv_has(made.launch.oci.process->capabilities->bounding, "CAP_SYS_ADMIN"));
	launch_finish(&made.launch);
}

static void test_privileged(void **state)
{
	struct made made = make(*state, "{'HostConfig':{'Privileged':true}}");
	const struct oci_linux *config = &made.launch.oci.linux_config;
	assert_true(made.launch.privileged);
	assert_string_equal(made.launch.seccomp.mode, "unconfined");
	assert_int_equal(strv_count(config->masked_paths) + strv_count(config->readonly_paths), 0);
	assert_false(strv_has(mount_at(&made.launch, "/sys")->options, "ro"));
	assert_true(config->resources->devices[0].allow);
	launch_finish(&made.launch);
}

static void test_namespaces(void **state)
{
	struct made made = make(*state,
		"{'HostConfig':{'NetworkMode':'host','PidMode':'host','IpcMode':'host','UTSMode':'host','CgroupnsMode':'host'}}");
	static const char *const shared[] = { "pid", "network", "ipc", "uts", "cgroup" };
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++)
		assert_null(oci_spec_namespace(&made.launch.oci, shared[i]));
	assert_null(made.launch.oci.hostname);
	assert_string_equal(mount_at(&made.launch, "/dev/shm")->type, "bind");
	launch_finish(&made.launch);

	struct container *other = world_create(*state, "other", "{'Hostname':'theirs'}");
	made = make(*state, "{'HostConfig':{'NetworkMode':'container:other','PidMode':'container:other'}}");
	assert_string_equal(made.launch.network.mode, "container");
	assert_string_equal(made.launch.join.network, other->id);
	assert_string_equal(made.launch.join.pid, other->id);
	assert_null(made.launch.join.ipc);
	assert_string_equal(made.launch.oci.hostname, "theirs");
	_autofree_(err) struct err *err = NULL;
	assert_true(launch_check(made.container, &err) < 0);
	assert_non_null(strstr(err_message(err), "cannot join network of a non running container: "));
	launch_finish(&made.launch);
}

static void test_mounts(void **state)
{
	struct made made = make(*state,
		"{'Volumes':{'/anonymous':{},'/data':{}},'HostConfig':{"
		"'Binds':['/srv:/data/deep:ro','named:/data','/tmp:/dev/shm:rslave'],'Tmpfs':{'/run':'size=1m,exec'},"
		"'Mounts':[{'Type':'bind','Source':'/opt','Target':'/opt'},"
		"{'Type':'tmpfs','Target':'/t','TmpfsOptions':{'SizeBytes':4096,'Mode':448}}]}}");
	const struct launch *launch = &made.launch;
	expect_words(mount_at(launch, "/data/deep")->options, "rbind rro rprivate");
	expect_words(mount_at(launch, "/dev/shm")->options, "rbind rw rslave"); /* in place of the default */
	expect_words(mount_at(launch, "/t")->options, "noexec nosuid nodev size=4096 mode=700");
	expect_words(mount_at(launch, "/run")->options, "nosuid nodev size=1m exec");
	assert_non_null(strstr(mount_at(launch, "/data")->source, "/volumes/named/_data"));
	assert_non_null(mount_at(launch, "/anonymous"));
	/* A place below another comes after it. */
	assert_true(mount_at(launch, "/data") < mount_at(launch, "/data/deep"));
	assert_string_equal(launch->oci.linux_config.rootfs_propagation, "rslave");
	/* -v makes its source, --mount does not, an empty volume is filled. */
	unsigned made_sources = 0, filled = 0;
	for (size_t i = 0; i < launch->source_count; i++) {
		made_sources += launch->sources[i].create;
		filled += launch->sources[i].copy_up;
		assert_string_not_equal(launch->sources[i].destination, "/opt");
	}
	assert_int_equal(made_sources, 2);
	assert_int_equal(filled, 2);
	launch_finish(&made.launch);
}

static void test_words(void **state)
{
	struct made made = make(*state,
		"{'Tty':true,'OpenStdin':true,'StopSignal':'SIGINT','StopTimeout':-1,'User':'1000:1000','WorkingDir':'/srv',"
		"'Entrypoint':['/init','-x'],'Cmd':['a b'],'Healthcheck':{'Test':['CMD-SHELL','true']},"
		"'HostConfig':{'AutoRemove':true,'Init':true,'ReadonlyRootfs':true,'ConsoleSize':[40,100],"
		"'SecurityOpt':['no-new-privileges','seccomp={}'],'LogConfig':{'Type':'none'}}}");
	const struct launch *launch = &made.launch;
	expect_words(launch->oci.process->args, "/init -x a b");
	assert_string_equal(strv_env_get(launch->oci.process->env, "TERM"), "xterm");
	assert_true(launch->oci.process->terminal && launch->open_stdin && launch->init && launch->auto_remove);
	assert_true(launch->oci.process->console_size->height == 40 && launch->oci.process->console_size->width == 100);
	assert_true(launch->oci.root->readonly && launch->oci.process->no_new_privileges && launch->rootfs.is_volatile);
	assert_int_equal(launch->stop_signal, 2);
	assert_int_equal(launch->stop_timeout_s, -1);
	assert_string_equal(launch->user, "1000:1000");
	assert_string_equal(launch->seccomp.mode, "profile");
	assert_string_equal(launch->log.driver, "none");
	assert_null(launch->log.path);
	expect_words(launch->healthcheck->test, "CMD /bin/sh -c true");
	assert_int_equal(launch->healthcheck->retries, HEALTH_RETRIES_DEFAULT);
	launch_finish(&made.launch);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_limits),
		TEST(test_capabilities),
		TEST(test_privileged),
		TEST(test_namespaces),
		TEST(test_mounts),
		TEST(test_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
