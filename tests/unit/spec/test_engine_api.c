#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "spec/container_config.h"
#include "spec/container_inspect.h"
#include "spec/exec_config.h"
#include "spec/image_inspect.h"
#include "spec/network_config.h"
#include "spec/system_info.h"

#include "sweep.h"

/* What the stock command sends, with one of everything in it. */
static const char full_create[] =
	"{\"Hostname\":\"h\",\"Domainname\":\"d\",\"User\":\"u\",\"AttachStdin\":true,\"AttachStdout\":true,"
	"\"AttachStderr\":true,\"ExposedPorts\":{\"80/tcp\":{}},\"Tty\":true,\"OpenStdin\":true,\"StdinOnce\":true,"
	"\"Env\":[\"A=b\"],\"Cmd\":[\"sh\"],\"Healthcheck\":{\"Test\":[\"NONE\"]},\"ArgsEscaped\":true,\"Image\":\"debian\","
	"\"Volumes\":{\"/v\":{}},\"WorkingDir\":\"/w\",\"Entrypoint\":[\"e\"],\"NetworkDisabled\":true,"
	"\"MacAddress\":\"m\",\"OnBuild\":[\"x\"],\"Labels\":{\"a\":\"b\"},\"StopSignal\":\"TERM\",\"StopTimeout\":0,"
	"\"Shell\":[\"sh\"],\"HostConfig\":{\"Binds\":[\"/a:/b:ro\"],\"ContainerIDFile\":\"f\","
	"\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\"}},\"NetworkMode\":\"host\","
	"\"PortBindings\":{\"80/tcp\":[{\"HostIp\":\"\",\"HostPort\":\"8080\"}],\"81/tcp\":null},"
	"\"RestartPolicy\":{\"Name\":\"on-failure\",\"MaximumRetryCount\":3},\"AutoRemove\":true,\"VolumeDriver\":\"v\","
	"\"VolumesFrom\":[\"c\"],\"ConsoleSize\":[24,80],\"Annotations\":{\"k\":\"v\"},\"CapAdd\":[\"ALL\"],"
	"\"CapDrop\":[\"KILL\"],\"CgroupnsMode\":\"private\",\"Dns\":[\"1.1.1.1\"],\"DnsOptions\":[\"o\"],"
	"\"DnsSearch\":[\"s\"],\"ExtraHosts\":[\"a:1\"],\"GroupAdd\":[\"g\"],\"IpcMode\":\"private\",\"Cgroup\":\"c\","
	"\"Links\":[\"l\"],\"OomScoreAdj\":-5,\"PidMode\":\"host\",\"Privileged\":true,\"PublishAllPorts\":true,"
	"\"ReadonlyRootfs\":true,\"SecurityOpt\":[\"no-new-privileges\"],\"StorageOpt\":{\"size\":\"1\"},"
	"\"Tmpfs\":{\"/t\":\"size=1\"},\"UTSMode\":\"host\",\"UsernsMode\":\"host\",\"ShmSize\":1,"
	"\"Sysctls\":{\"net.a\":\"1\"},\"Runtime\":\"tare\",\"Isolation\":\"default\","
	"\"CpuShares\":1,\"Memory\":2,\"NanoCpus\":3,\"CgroupParent\":\"p\",\"BlkioWeight\":10,"
	"\"BlkioWeightDevice\":[{\"Path\":\"/dev/a\",\"Weight\":11}],\"BlkioDeviceReadBps\":[{\"Path\":\"/dev/a\",\"Rate\":12}],"
	"\"BlkioDeviceWriteBps\":[{\"Path\":\"/dev/a\",\"Rate\":13}],"
	"\"BlkioDeviceReadIOps\":[{\"Path\":\"/dev/a\",\"Rate\":14}],"
	"\"BlkioDeviceWriteIOps\":[{\"Path\":\"/dev/a\",\"Rate\":18446744073709551615}],\"CpuPeriod\":4,\"CpuQuota\":5,"
	"\"CpuRealtimePeriod\":6,\"CpuRealtimeRuntime\":7,\"CpusetCpus\":\"0\",\"CpusetMems\":\"0\","
	"\"Devices\":[{\"PathOnHost\":\"/dev/a\",\"PathInContainer\":\"/dev/b\",\"CgroupPermissions\":\"rwm\"}],"
	"\"DeviceCgroupRules\":[\"c 1:3 r\"],\"DeviceRequests\":[{\"Driver\":\"d\",\"Count\":-1,\"DeviceIDs\":[\"i\"],"
	"\"Capabilities\":[[\"gpu\"]],\"Options\":{\"o\":\"p\"}}],\"KernelMemory\":8,\"KernelMemoryTCP\":9,"
	"\"MemoryReservation\":10,\"MemorySwap\":-1,\"MemorySwappiness\":0,\"OomKillDisable\":false,\"PidsLimit\":0,"
	"\"Ulimits\":[{\"Name\":\"nofile\",\"Hard\":-1,\"Soft\":-1}],\"CpuCount\":1,\"CpuPercent\":2,\"IOMaximumIOps\":3,"
	"\"IOMaximumBandwidth\":4,\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/s\",\"Target\":\"/t\",\"ReadOnly\":true,"
	"\"Consistency\":\"c\",\"BindOptions\":{\"Propagation\":\"rslave\",\"NonRecursive\":true,\"CreateMountpoint\":true,"
	"\"ReadOnlyNonRecursive\":true,\"ReadOnlyForceRecursive\":true}},{\"Type\":\"volume\",\"VolumeOptions\":{"
	"\"NoCopy\":true,\"Labels\":{\"a\":\"b\"},\"Subpath\":\"s\",\"DriverConfig\":{\"Name\":\"n\",\"Options\":{\"o\":\"p\"}}}},"
	"{\"Type\":\"tmpfs\",\"TmpfsOptions\":{\"SizeBytes\":1,\"Mode\":511,\"Options\":[[\"exec\"],[\"a\",\"b\"]]}},"
	"{\"Type\":\"image\",\"ImageOptions\":{\"Subpath\":\"x\"}}],\"MaskedPaths\":[],\"ReadonlyPaths\":[\"/r\"],\"Init\":false},"
	"\"NetworkingConfig\":{\"EndpointsConfig\":{\"net\":{\"IPAMConfig\":{\"IPv4Address\":\"1.2.3.4\"},\"Links\":[\"l\"],"
	"\"Aliases\":[\"a\"],\"MacAddress\":\"m\",\"DriverOpts\":{\"a\":\"b\"},\"GwPriority\":1}}}}";

static int recheck(const void *object, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CONTAINER_CREATE_MAX);
	struct container_create create;
	assert_int_equal(json_print(&container_create_table, object, &text), 0);
	int r = container_create_parse(text.data, text.len, &create, reterr);
	if (r == 0)
		container_create_finish(&create);
	return r;
}

static void a_create_body_keeps_its_members(void **state)
{
	(void)state;
	sweep_round_trip(&container_create_table, full_create);
	sweep_members(&container_create_table, full_create, recheck);
}

static void an_empty_create_body_is_filled(void **state)
{
	(void)state;
	struct container_create create;
	assert_int_equal(container_create_parse("{\"Image\":\"x\"}", 13, &create, NULL), 0);
	assert_string_equal(create.config.image, "x");
	assert_null(create.config.cmd);
	assert_null(create.host->masked_paths);
	assert_false(create.host->resources.pids_limit.set);
	assert_int_equal(create.host->console_size_count, 2);
	assert_int_equal(create.host->console_size[0], 0);
	assert_null(create.networking->endpoints);
	container_create_finish(&create);
}

static void expect_create_error(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct container_create create;
	assert_int_equal(container_create_parse(text, strlen(text), &create, &err), -EINVAL);
	assert_string_equal(err_message(err), message);
}

static void wrong_types_name_the_member(void **state)
{
	(void)state;
	expect_create_error("{\"HostConfig\":{\"Memory\":\"64m\"}}",
		"HostConfig.Memory: expected an integer, got a string");
	expect_create_error("{\"HostConfig\":{\"Memory\":1e3}}",
		"HostConfig.Memory: expected an integer, got a number with a fraction or exponent");
	expect_create_error("{\"Env\":\"A=b\"}", "Env: expected an array of strings, got a string");
	expect_create_error("{\"HostConfig\":{\"PortBindings\":[]}}", "HostConfig.PortBindings: expected an object");
	expect_create_error("{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":{}}}}",
		"HostConfig.PortBindings.80/tcp: expected an array");
	expect_create_error("{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[5]}}}",
		"HostConfig.PortBindings.80/tcp: expected an array of objects");
	expect_create_error("{\"HostConfig\":{\"PortBindings\":{\"80/tcp\":[{\"HostPort\":80}]}}}",
		"HostConfig.PortBindings.80/tcp: expected strings");
	expect_create_error("{\"HostConfig\":{\"ConsoleSize\":[1]}}", "HostConfig.ConsoleSize: expected two numbers");
	expect_create_error("{\"HostConfig\":{\"ConsoleSize\":[1,-1]}}", "HostConfig.ConsoleSize: is negative");
	expect_create_error("{\"HostConfig\":{\"DeviceRequests\":[{\"Capabilities\":[\"gpu\"]}]}}",
		"HostConfig.DeviceRequests.Capabilities: expected an array of arrays");
	expect_create_error("{\"HostConfig\":{\"Mounts\":[{\"TmpfsOptions\":{\"Options\":[[5]]}}]}}",
		"HostConfig.Mounts.TmpfsOptions.Options: expected strings");
	expect_create_error("[]", "invalid JSON: expected an object, got an array");
}

static void a_command_may_be_one_string(void **state)
{
	(void)state;
	struct container_create create;
	static const char text[] = "{\"cmd\":\"sh\",\"ENTRYPOINT\":[\"\"],\"Hostconfig\":{\"CapAdd\":\"ALL\"}}";
	assert_int_equal(container_create_parse(text, strlen(text), &create, NULL), 0);
	assert_string_equal(create.config.cmd[0], "sh");
	assert_string_equal(create.config.entrypoint[0], "");
	assert_string_equal(create.host->cap_add[0], "ALL");
	container_create_finish(&create);
}

static void the_body_has_a_ceiling(void **state)
{
	(void)state;
	static char text[CONTAINER_CREATE_MAX + 1];
	struct container_create create;
	memset(text, ' ', sizeof text);
	memcpy(text, "{}", 2);
	for (size_t len = CONTAINER_CREATE_MAX - 1; len <= CONTAINER_CREATE_MAX; len++) {
		assert_int_equal(container_create_parse(text, len, &create, NULL), 0);
		container_create_finish(&create);
	}
	assert_int_equal(container_create_parse(text, CONTAINER_CREATE_MAX + 1, &create, NULL), -EFBIG);
}

/* --- null, [], {} and omission, as Docker prints them --- */

static void expect_zero(const struct json_table *table, const char *expected)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(1 << 16);
	_autojson_ json_t *ours = NULL, *theirs = NULL;
	void *zero = calloc(1, table->size);
	assert_int_equal(json_print(table, zero, &text), 0);
	free(zero);
	assert_int_equal(json_load(text.data, text.len, &ours, NULL), 0);
	assert_int_equal(json_load(expected, strlen(expected), &theirs, NULL), 0);
	if (!json_equal(ours, theirs))
		assert_string_equal(text.data, expected);
}

static void nothing_is_written_as_docker_writes_it(void **state)
{
	(void)state;
	expect_zero(&container_config_table,
		"{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"AttachStdin\":false,\"AttachStdout\":false,"
		"\"AttachStderr\":false,\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,\"Env\":null,\"Cmd\":null,"
		"\"Image\":\"\",\"Volumes\":null,\"WorkingDir\":\"\",\"Entrypoint\":null,\"OnBuild\":null,\"Labels\":null}");
	expect_zero(&host_config_table,
		"{\"Binds\":null,\"ContainerIDFile\":\"\",\"LogConfig\":{\"Type\":\"\",\"Config\":null},\"NetworkMode\":\"\","
		"\"PortBindings\":null,\"RestartPolicy\":{\"Name\":\"\",\"MaximumRetryCount\":0},\"AutoRemove\":false,"
		"\"VolumeDriver\":\"\",\"VolumesFrom\":null,\"ConsoleSize\":null,\"CapAdd\":null,\"CapDrop\":null,"
		"\"CgroupnsMode\":\"\",\"Dns\":null,\"DnsOptions\":null,\"DnsSearch\":null,\"ExtraHosts\":null,\"GroupAdd\":null,"
		"\"IpcMode\":\"\",\"Cgroup\":\"\",\"Links\":null,\"OomScoreAdj\":0,\"PidMode\":\"\",\"Privileged\":false,"
		"\"PublishAllPorts\":false,\"ReadonlyRootfs\":false,\"SecurityOpt\":null,\"UTSMode\":\"\",\"UsernsMode\":\"\","
		"\"ShmSize\":0,\"Isolation\":\"\",\"CpuShares\":0,\"Memory\":0,\"NanoCpus\":0,\"CgroupParent\":\"\","
		"\"BlkioWeight\":0,\"BlkioWeightDevice\":null,\"BlkioDeviceReadBps\":null,\"BlkioDeviceWriteBps\":null,"
		"\"BlkioDeviceReadIOps\":null,\"BlkioDeviceWriteIOps\":null,\"CpuPeriod\":0,\"CpuQuota\":0,"
		"\"CpuRealtimePeriod\":0,\"CpuRealtimeRuntime\":0,\"CpusetCpus\":\"\",\"CpusetMems\":\"\",\"Devices\":null,"
		"\"DeviceCgroupRules\":null,\"DeviceRequests\":null,\"MemoryReservation\":0,\"MemorySwap\":0,"
		"\"MemorySwappiness\":null,\"OomKillDisable\":null,\"PidsLimit\":null,\"Ulimits\":null,\"CpuCount\":0,"
		"\"CpuPercent\":0,\"IOMaximumIOps\":0,\"IOMaximumBandwidth\":0,\"MaskedPaths\":null,\"ReadonlyPaths\":null}");
	expect_zero(&container_state_table,
		"{\"Status\":\"\",\"Running\":false,\"Paused\":false,\"Restarting\":false,\"OOMKilled\":false,\"Dead\":false,"
		"\"Pid\":0,\"ExitCode\":0,\"Error\":\"\",\"StartedAt\":\"\",\"FinishedAt\":\"\"}");
	expect_zero(&container_summary_table,
		"{\"Id\":\"\",\"Names\":null,\"Image\":\"\",\"ImageID\":\"\",\"Command\":\"\",\"Created\":0,\"Ports\":[],"
		"\"Labels\":{},\"State\":\"\",\"Status\":\"\",\"HostConfig\":{},\"NetworkSettings\":null,\"Mounts\":[]}");
	expect_zero(&endpoint_settings_table,
		"{\"IPAMConfig\":null,\"Links\":null,\"Aliases\":null,\"MacAddress\":\"\",\"DriverOpts\":null,\"GwPriority\":0,"
		"\"NetworkID\":\"\",\"EndpointID\":\"\",\"Gateway\":\"\",\"IPAddress\":\"\",\"IPPrefixLen\":0,\"IPv6Gateway\":\"\","
		"\"GlobalIPv6Address\":\"\",\"GlobalIPv6PrefixLen\":0,\"DNSNames\":null}");
	expect_zero(&exec_inspect_table,
		"{\"ID\":\"\",\"Running\":false,\"ExitCode\":null,\"ProcessConfig\":null,\"OpenStdin\":false,\"OpenStderr\":false,"
		"\"OpenStdout\":false,\"CanRemove\":false,\"ContainerID\":\"\",\"DetachKeys\":\"\",\"Pid\":0}");
	expect_zero(&create_answer_table, "{\"Id\":\"\",\"Warnings\":[]}");
	expect_zero(&wait_answer_table, "{\"StatusCode\":0}");
	expect_zero(&top_answer_table, "{\"Titles\":null,\"Processes\":null}");
	expect_zero(&error_answer_table, "{\"message\":\"\"}");
	expect_zero(&stream_message_table, "{}");
	expect_zero(&event_message_table, "{\"Type\":\"\",\"Action\":\"\",\"Actor\":{\"ID\":\"\",\"Attributes\":{}}}");
	expect_zero(&image_delete_item_table, "{}");
	expect_zero(&image_history_item_table,
		"{\"Comment\":\"\",\"Created\":0,\"CreatedBy\":\"\",\"Id\":\"\",\"Size\":0,\"Tags\":null}");
	expect_zero(&image_summary_table,
		"{\"Containers\":0,\"Created\":0,\"Id\":\"\",\"Labels\":null,\"ParentId\":\"\",\"RepoDigests\":[],\"RepoTags\":[],"
		"\"SharedSize\":0,\"Size\":0}");
	expect_zero(&volume_info_table,
		"{\"Driver\":\"\",\"Labels\":null,\"Mountpoint\":\"\",\"Name\":\"\",\"Options\":null,\"Scope\":\"\"}");
	expect_zero(&volume_list_table, "{\"Volumes\":[],\"Warnings\":null}");
}

static void optional_zeroes_are_kept(void **state)
{
	(void)state;
	struct container_config config = { .stop_timeout_s = { .set = true } };
	struct container_inspect inspect = { .size_rw = { .set = true } };
	_autojson_ json_t *written = json_write(&container_config_table, &config);
	assert_true(json_is_integer(json_object_get(written, "StopTimeout")));
	_autojson_ json_t *inspected = json_write(&container_inspect_table, &inspect);
	assert_true(json_is_integer(json_object_get(inspected, "SizeRw")));
	assert_null(json_object_get(inspected, "SizeRootFs"));
	assert_true(json_is_null(json_object_get(inspected, "ExecIDs")));
	assert_true(json_is_array(json_object_get(inspected, "Args")));
}

/* --- the other documents --- */

static void bodies_keep_their_members(void **state)
{
	(void)state;
	static const struct {
		const struct json_table *table;
		const char *text;
	} documents[] = {
		{ &exec_config_table,
			"{\"User\":\"u\",\"Privileged\":true,\"Tty\":true,\"ConsoleSize\":[1,2],\"AttachStdin\":true,"
			"\"AttachStderr\":true,\"AttachStdout\":true,\"DetachKeys\":\"d\",\"Env\":[\"A=b\"],"
			"\"WorkingDir\":\"/\",\"Cmd\":[\"sh\"],\"Detach\":true}" },
		{ &exec_start_table, "{\"Detach\":true,\"Tty\":true,\"ConsoleSize\":[1,2]}" },
		{ &exec_inspect_table,
			"{\"ID\":\"i\",\"Running\":true,\"ExitCode\":0,\"ProcessConfig\":{\"tty\":true,"
			"\"entrypoint\":\"e\",\"arguments\":[\"a\"],\"privileged\":false,\"user\":\"u\"},"
			"\"Pid\":5,\"ContainerID\":\"c\",\"DetachKeys\":\"EBE=\"}" },
		{ &container_update_table, "{\"Memory\":1,\"PidsLimit\":-1,\"RestartPolicy\":{\"Name\":\"no\"}}" },
		{ &volume_create_table,
			"{\"Name\":\"n\",\"Driver\":\"local\",\"DriverOpts\":{\"a\":\"b\"},\"Labels\":{\"c\":\"d\"}}" },
		{ &network_create_table,
			"{\"Name\":\"n\",\"Driver\":\"bridge\",\"EnableIPv6\":false,\"IPAM\":{\"Driver\":\"d\","
			"\"Options\":{\"a\":\"b\"},\"Config\":[{\"Subnet\":\"10.0.0.0/8\",\"IPRange\":\"r\","
			"\"Gateway\":\"g\",\"AuxiliaryAddresses\":{\"a\":\"b\"}}]},\"Internal\":true,"
			"\"Options\":{\"a\":\"b\"},\"Labels\":{\"a\":\"b\"},\"ConfigFrom\":{\"Network\":\"x\"}}" },
		{ &network_connect_table,
			"{\"Container\":\"c\",\"EndpointConfig\":{\"Aliases\":[\"a\"]},\"Force\":true}" },
		{ &network_info_table,
			"{\"Name\":\"n\",\"Id\":\"i\",\"Containers\":{\"c\":{\"Name\":\"x\",\"IPv4Address\":\"1\"}}}" },
		{ &stream_message_table,
			"{\"stream\":\"s\",\"status\":\"t\",\"progressDetail\":{\"current\":1,\"total\":2},"
			"\"progress\":\"p\",\"id\":\"i\",\"errorDetail\":{\"code\":1,\"message\":\"m\"},"
			"\"error\":\"m\",\"aux\":{\"ID\":\"x\"}}" },
		{ &wait_answer_table, "{\"StatusCode\":3,\"Error\":{\"Message\":\"m\"}}" },
		{ &event_message_table,
			"{\"status\":\"start\",\"id\":\"i\",\"from\":\"f\",\"Type\":\"container\",\"Action\":\"start\","
			"\"Actor\":{\"ID\":\"i\",\"Attributes\":{\"a\":\"b\"}},\"scope\":\"local\",\"time\":1,"
			"\"timeNano\":2}" },
		{ &system_version_table,
			"{\"Platform\":{\"Name\":\"n\"},\"Components\":[{\"Name\":\"Engine\",\"Version\":\"1\","
			"\"Details\":{\"a\":\"b\"}}],\"Version\":\"v\",\"ApiVersion\":\"1.50\","
			"\"MinAPIVersion\":\"1.24\",\"KernelVersion\":\"6\",\"BuildTime\":\"t\"}" },
		{ &system_info_table,
			"{\"ID\":\"i\",\"DriverStatus\":[[\"a\",\"b\"]],\"Plugins\":{\"Log\":[\"json-file\"]},"
			"\"Runtimes\":{\"tare\":{\"path\":\"p\",\"runtimeArgs\":[\"a\"]}},\"NCPU\":2,"
			"\"Swarm\":{\"LocalNodeState\":\"inactive\"},\"FirewallBackend\":{\"Driver\":\"d\"},"
			"\"RegistryConfig\":{\"IndexConfigs\":{}},\"SecurityOptions\":[\"name=seccomp\"]}" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		sweep_round_trip(documents[i].table, documents[i].text);
		sweep_members(documents[i].table, documents[i].text, NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_create_body_keeps_its_members),
		cmocka_unit_test(an_empty_create_body_is_filled),
		cmocka_unit_test(wrong_types_name_the_member),
		cmocka_unit_test(a_command_may_be_one_string),
		cmocka_unit_test(the_body_has_a_ceiling),
		cmocka_unit_test(nothing_is_written_as_docker_writes_it),
		cmocka_unit_test(optional_zeroes_are_kept),
		cmocka_unit_test(bodies_keep_their_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
