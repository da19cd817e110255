#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "spec/oci_runtime.h"
#include "spec/oci_validate.h"

#include "sweep.h"

/* One of everything, so that a round trip shows what a table has forgotten. */
static const char full[] =
	"{\"ociVersion\":\"1.3.0\",\"hostname\":\"h\",\"domainname\":\"d\",\"root\":{\"path\":\"rootfs\",\"readonly\":true},"
	"\"process\":{\"terminal\":true,\"consoleSize\":{\"height\":24,\"width\":80},"
	"\"user\":{\"uid\":1,\"gid\":2,\"umask\":18,\"additionalGids\":[3,4294967294]},"
	"\"args\":[\"sh\",\"\"],\"env\":[\"A=b\"],\"cwd\":\"/\","
	"\"capabilities\":{\"bounding\":[\"CAP_KILL\"],\"effective\":[],\"permitted\":[\"CAP_KILL\"],"
	"\"inheritable\":[\"CAP_KILL\"],\"ambient\":[\"CAP_KILL\"]},"
	"\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":1,\"hard\":18446744073709551615}],\"noNewPrivileges\":true,"
	"\"apparmorProfile\":\"p\",\"oomScoreAdj\":-5,\"selinuxLabel\":\"l\","
	"\"scheduler\":{\"policy\":\"SCHED_DEADLINE\",\"nice\":1,\"priority\":0,\"flags\":[\"SCHED_FLAG_RECLAIM\"],"
	"\"runtime\":1024,\"deadline\":2000,\"period\":3000},"
	"\"ioPriority\":{\"class\":\"IOPRIO_CLASS_BE\",\"priority\":4},"
	"\"execCPUAffinity\":{\"initial\":\"0-1\",\"final\":\"2\"}},"
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\",\"options\":[\"ro\"],"
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}],"
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":1}]}],"
	"\"hooks\":{\"prestart\":[{\"path\":\"/a\",\"args\":[\"a\"],\"env\":[\"X=y\"],\"timeout\":3}],"
	"\"createRuntime\":[{\"path\":\"/b\"}],\"createContainer\":[{\"path\":\"/c\"}],"
	"\"startContainer\":[{\"path\":\"/d\"}],\"poststart\":[{\"path\":\"/e\"}],\"poststop\":[{\"path\":\"/f\"}]},"
	"\"annotations\":{\"k\":\"v\"},"
	"\"linux\":{\"devices\":[{\"type\":\"c\",\"path\":\"/dev/x\",\"major\":1,\"minor\":3,\"fileMode\":438,\"uid\":0,"
	"\"gid\":0}],\"netDevices\":{\"eth1\":{\"name\":\"eth0\"}},"
	"\"uidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],"
	"\"gidMappings\":[{\"containerID\":0,\"hostID\":1000,\"size\":10}],"
	"\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"network\",\"path\":\"/proc/1/ns/net\"},{\"type\":\"user\"},"
	"{\"type\":\"uts\"},{\"type\":\"ipc\"},{\"type\":\"time\"}],"
	"\"resources\":{\"unified\":{\"memory.max\":\"1\"},"
	"\"devices\":[{\"allow\":true,\"type\":\"c\",\"major\":1,\"minor\":-1,\"access\":\"rw\"}],\"pids\":{\"limit\":-1},"
	"\"blockIO\":{\"weight\":10,\"leafWeight\":1000,"
	"\"weightDevice\":[{\"major\":8,\"minor\":0,\"weight\":100,\"leafWeight\":100}],"
	"\"throttleReadBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":1}],"
	"\"throttleWriteBpsDevice\":[{\"major\":8,\"minor\":0,\"rate\":2}],"
	"\"throttleReadIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":3}],"
	"\"throttleWriteIOPSDevice\":[{\"major\":8,\"minor\":0,\"rate\":4}]},"
	"\"cpu\":{\"shares\":2,\"quota\":-1,\"burst\":1,\"period\":100000,\"realtimeRuntime\":1,\"realtimePeriod\":2,"
	"\"cpus\":\"0-3\",\"mems\":\"0\",\"idle\":1},\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":0}],"
	"\"memory\":{\"limit\":100,\"reservation\":50,\"swap\":100,\"kernel\":1,\"kernelTCP\":1,\"swappiness\":0,"
	"\"disableOOMKiller\":false,\"useHierarchy\":true,\"checkBeforeUpdate\":true},"
	"\"network\":{\"classID\":1,\"priorities\":[{\"name\":\"eth0\",\"priority\":5}]},"
	"\"rdma\":{\"mlx5_1\":{\"hcaHandles\":1,\"hcaObjects\":2}}},"
	"\"cgroupsPath\":\"/a/b\",\"rootfsPropagation\":\"slave\","
	"\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1,"
	"\"flags\":[\"SECCOMP_FILTER_FLAG_LOG\"],\"listenerPath\":\"/run/l\",\"listenerMetadata\":\"m\","
	"\"architectures\":[\"SCMP_ARCH_X86_64\"],\"syscalls\":[{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\","
	"\"errnoRet\":0,\"args\":[{\"index\":5,\"value\":1,\"valueTwo\":2,\"op\":\"SCMP_CMP_EQ\"}]}]},"
	"\"sysctl\":{\"net.ipv4.ip_forward\":\"1\"},\"maskedPaths\":[\"/proc/kcore\"],\"readonlyPaths\":[],"
	"\"mountLabel\":\"l\",\"intelRdt\":{\"closID\":\"c\",\"schemata\":[\"MB:0=1\"],\"l3CacheSchema\":\"L3:0=f\","
	"\"memBwSchema\":\"MB:0=1\",\"enableMonitoring\":true},"
	"\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_STATIC_NODES\"]},"
	"\"personality\":{\"domain\":\"LINUX32\",\"flags\":[]},"
	"\"timeOffsets\":{\"boottime\":{\"secs\":-1,\"nanosecs\":5}}}}";

static void nothing_is_lost_in_a_round_trip(void **state)
{
	(void)state;
	sweep_round_trip(&oci_spec_table, full);
	struct oci_spec spec;
	assert_int_equal(oci_spec_parse(full, strlen(full), &spec, NULL), 0);
	assert_true(spec.process->rlimits[0].hard == UINT64_MAX);
	assert_int_equal(spec.process->user.additional_gids[1], 4294967294);
	assert_string_equal(oci_spec_namespace(&spec, "network")->path, "/proc/1/ns/net");
	assert_null(oci_spec_namespace(&spec, "cgroup"));
	oci_spec_finish(&spec);
}

static void no_processes_were_no_limit_before_1_3(void **state)
{
	(void)state;
	static const struct {
		const char *version;
		int64_t limit;
	} cases[] = { { "1.0.2-dev", -1 }, { "1.2.1", -1 }, { "1.3.0-rc.1", 0 }, { "1.3.0", 0 }, { "1.10.0", 0 } };
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[128];
		struct oci_spec spec;
		int len = snprintf(text, sizeof(text),
			"{\"ociVersion\":\"%s\",\"linux\":{\"resources\":{\"pids\":{\"limit\":0}}}}", cases[i].version);
		assert_int_equal(oci_spec_parse(text, (size_t)len, &spec, NULL), 0);
		assert_int_equal(spec.linux_config.resources->pids.limit.value, cases[i].limit);
		oci_spec_finish(&spec);
	}
}

static int spec_check(const void *object, struct err **reterr)
{
	return oci_spec_validate(object, reterr);
}

static void no_member_missing_null_or_wrong_crashes(void **state)
{
	(void)state;
	sweep_members(&oci_spec_table, full, spec_check);
}

static void the_full_document_is_valid(void **state)
{
	(void)state;
	_autofree_(err) struct err *err = NULL;
	struct oci_spec spec;
	assert_int_equal(oci_spec_parse(full, strlen(full), &spec, &err), 0);
	int r = oci_spec_validate(&spec, &err);
	assert_string_equal(r < 0 ? err_message(err) : "", "");
	oci_spec_finish(&spec);
}

static void wrong_types_name_the_path(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *message;
	} cases[] = {
		{ "{\"ociVersion\":\"1.0.0\",\"linux\":{\"devices\":[{\"type\":\"c\",\"path\":5}]}}",
			"invalid config.json: linux.devices[0].path: expected a string, got an integer" },
		{ "{}", "invalid config.json: ociVersion: is required" },
		{ "{\"ociVersion\":\"1.0.0\",\"process\":{}}", "invalid config.json: process.cwd: is required" },
		{ "{\"ociVersion\":\"1.0.0\",\"process\":{\"cwd\":\"/\",\"user\":{\"uid\":\"0\"}}}",
			"invalid config.json: process.user.uid: expected an integer, got a string" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(err) struct err *err = NULL;
		struct oci_spec spec;
		assert_int_equal(oci_spec_parse(cases[i].text, strlen(cases[i].text), &spec, &err), -EINVAL);
		assert_string_equal(err_message(err), cases[i].message);
	}
}

static void the_document_has_a_ceiling(void **state)
{
	(void)state;
	static char text[OCI_DOCUMENT_MAX + 1];
	static const char minimal[] = "{\"ociVersion\":\"1.0.0\"}";
	memset(text, ' ', sizeof text);
	memcpy(text, minimal, strlen(minimal));
	struct oci_spec spec;
	for (size_t len = OCI_DOCUMENT_MAX - 1; len <= OCI_DOCUMENT_MAX; len++) {
		assert_int_equal(oci_spec_parse(text, len, &spec, NULL), 0);
		oci_spec_finish(&spec);
	}
	assert_int_equal(oci_spec_parse(text, OCI_DOCUMENT_MAX + 1, &spec, NULL), -EFBIG);
}

#define DOCUMENT(rest)   "{\"ociVersion\":\"1.0.0\",\"root\":{\"path\":\"r\"}," rest "}"
#define PROCESS(members) DOCUMENT("\"process\":{\"cwd\":\"/\",\"args\":[\"x\"]," members "}")
#define LINUX(members)   DOCUMENT("\"linux\":{" members "}")
#define RESOURCES(list)  LINUX("\"resources\":{" list "}")
#define SECCOMP(list)    LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"," list "}")
#define ALL_NS           "\"namespaces\":[{\"type\":\"network\"},{\"type\":\"ipc\"},{\"type\":\"uts\"},{\"type\":\"pid\"}],"
#define SYSCTL(members)  LINUX(ALL_NS "\"sysctl\":{" members "}")

/* NULL: valid. */
static const struct {
	const char *text;
	const char *message;
} documents[] = {
	{ DOCUMENT("\"hostname\":\"\""), NULL },
	{ "{\"ociVersion\":\"1.0.0\"}", "root: is required" },
	{ "{\"ociVersion\":\"2.0.0\",\"root\":{\"path\":\"r\"}}", "ociVersion: 2.0.0 is not supported, only 1.x is" },
	{ "{\"ociVersion\":\"\",\"root\":{\"path\":\"r\"}}", "ociVersion: is no version" },
	{ "{\"ociVersion\":\"1.2.1-dev\",\"root\":{\"path\":\"r\"}}", NULL },

	{ DOCUMENT("\"hostname\":\"a\""), "hostname: can't be set without a private UTS namespace" },
	{ DOCUMENT("\"hostname\":\"a\\nb\",\"linux\":{\"namespaces\":[{\"type\":\"uts\"}]}"),
		"hostname: has a space or control character" },
	{ DOCUMENT("\"domainname\":\"a\\u007f\",\"linux\":{\"namespaces\":[{\"type\":\"uts\"}]}"),
		"domainname: has a space or control character" },

	{ DOCUMENT("\"process\":{\"cwd\":\"/\",\"args\":[]}"), "process.args: must not be empty" },
	{ DOCUMENT("\"process\":{\"cwd\":\"x\",\"args\":[\"x\"]}"), "process.cwd: is not an absolute path" },
	{ PROCESS("\"env\":[\"A=\",\"B\"]"), "process.env[1]: is not of the form NAME=VALUE" },
	{ PROCESS("\"env\":[\"=b\"]"), "process.env[0]: is not of the form NAME=VALUE" },
	{ PROCESS("\"user\":{\"uid\":-1}"), "process.user.uid: is not between 0 and 4294967294" },
	{ PROCESS("\"user\":{\"uid\":4294967294,\"gid\":4294967294}"), NULL },
	{ PROCESS("\"user\":{\"uid\":4294967295}"), "process.user.uid: is not between 0 and 4294967294" },
	{ PROCESS("\"user\":{\"gid\":4294967296}"), "process.user.gid: is not between 0 and 4294967294" },
	{ PROCESS("\"user\":{\"additionalGids\":[0,-1]}"),
		"process.user.additionalGids[1]: is not between 0 and 4294967294" },
	{ PROCESS("\"user\":{\"umask\":512}"), "process.user.umask: is not between 0 and 0777" },
	{ PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CORE\",\"soft\":2,\"hard\":1}]"),
		"process.rlimits[0].soft: is above hard" },
	{ PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_X\",\"soft\":1,\"hard\":1}]"),
		"process.rlimits[0].type: is no resource limit" },
	{ PROCESS("\"rlimits\":[{\"type\":\"RLIMIT_CPU\"},{\"type\":\"RLIMIT_CPU\"}]"),
		"process.rlimits[1].type: is there twice" },
	{ PROCESS("\"capabilities\":{\"bounding\":[\"CAP_OF_THE_FUTURE\"]}"), NULL },
	{ PROCESS("\"capabilities\":{\"ambient\":[\"CAP_KI LL\"]}"),
		"process.capabilities.ambient: has a name that is no capability" },
	{ PROCESS("\"oomScoreAdj\":1000"), NULL },
	{ PROCESS("\"oomScoreAdj\":1001"), "process.oomScoreAdj: is not between -1000 and 1000" },
	{ PROCESS("\"selinuxLabel\":\"a\\nb\""), "process.selinuxLabel: has a control character" },
	{ PROCESS("\"ioPriority\":{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":8}"),
		"process.ioPriority.priority: is not between 0 and 7" },
	{ PROCESS("\"scheduler\":{\"policy\":\"SCHED_NOT\"}"), "process.scheduler.policy: is no scheduling policy" },
	{ PROCESS("\"execCPUAffinity\":{\"initial\":\"0-\"}"), "process.execCPUAffinity.initial: is no list of CPUs" },
	{ PROCESS("\"consoleSize\":{\"height\":65536,\"width\":1}"),
		"process.consoleSize: is not between 0 and 65535" },

	{ DOCUMENT("\"mounts\":[{\"destination\":\"\"}]"), "mounts[0].destination: must not be empty" },
	{ DOCUMENT("\"mounts\":[{\"destination\":\"/a\",\"type\":\"bind\"}]"),
		"mounts[0].source: is required for a bind mount" },
	{ DOCUMENT("\"mounts\":[{\"destination\":\"/a\",\"options\":[\"rbind\"],\"source\":\"\"}]"),
		"mounts[0].source: is required for a bind mount" },
	{ DOCUMENT(
		  "\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]}]"),
		"mounts[0]: has mappings of one kind only" },
	{ DOCUMENT("\"hooks\":{\"poststop\":[{\"path\":\"x\"}]}"), "hooks.poststop[0].path: is not an absolute path" },
	{ DOCUMENT("\"hooks\":{\"prestart\":[{\"path\":\"/x\",\"timeout\":0}]}"),
		"hooks.prestart[0].timeout: is not a number of seconds above 0" },

	{ LINUX("\"namespaces\":[{\"type\":\"pid\"},{\"type\":\"pid\"}]"), "linux.namespaces[1].type: is there twice" },
	{ LINUX("\"namespaces\":[{\"type\":\"net\"}]"), "linux.namespaces[0].type: is no namespace" },
	{ LINUX("\"namespaces\":[{\"type\":\"pid\",\"path\":\"x\"}]"),
		"linux.namespaces[0].path: is not an absolute path" },
	{ LINUX("\"namespaces\":[{\"type\":\"user\"}]"), NULL },
	{ LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":1}]"),
		"linux.uidMappings: is of no use without a user namespace" },
	{ LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":0}]"),
		"linux.uidMappings[0]: has a size that leaves no room" },
	{ LINUX("\"uidMappings\":[{\"containerID\":0,\"hostID\":4294967294,\"size\":2}]"),
		"linux.uidMappings[0]: has a size that leaves no room" },
	{ LINUX("\"gidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":9223372036854775807}]"),
		"linux.gidMappings[0]: has a size that leaves no room" },
	{ LINUX("\"gidMappings\":[{\"containerID\":0,\"hostID\":0,\"size\":2},{\"containerID\":1,\"hostID\":9,\"size\":1}]"),
		"linux.gidMappings[1]: overlaps another" },
	{ LINUX("\"timeOffsets\":{\"monotonic\":{}}"), "linux.timeOffsets: needs a new time namespace" },
	{ LINUX("\"namespaces\":[{\"type\":\"time\"}],\"timeOffsets\":{\"realtime\":{}}"),
		"linux.timeOffsets: has a clock that is neither boottime nor monotonic" },
	{ LINUX("\"netDevices\":{\"eth0\":{}}"), "linux.netDevices: needs a network namespace" },
	{ LINUX(ALL_NS "\"netDevices\":{\"sixteen-letters-\":{}}"),
		"linux.netDevices: has a name that no interface can have" },

	{ LINUX("\"cgroupsPath\":\"/a/../b\""), "linux.cgroupsPath: has .. or a control character" },
	{ LINUX("\"cgroupsPath\":\"..\""), "linux.cgroupsPath: has .. or a control character" },
	{ LINUX("\"cgroupsPath\":\"/a..b/c\""), NULL },
	{ LINUX("\"cgroupsPath\":\"system.slice:tare:id\""), NULL },
	{ LINUX("\"cgroupsPath\":\"a\\nb\""), "linux.cgroupsPath: has .. or a control character" },
	{ LINUX("\"rootfsPropagation\":\"secret\""), "linux.rootfsPropagation: is no kind of propagation" },
	{ LINUX("\"maskedPaths\":[\"/a\",\"b\"]"), "linux.maskedPaths[1]: is not an absolute path" },

	{ SYSCTL("\"net.ipv4.ip_forward\":\"1\""), NULL },
	{ SYSCTL("\"net/ipv4/ip_forward\":\"1\""), NULL },
	{ SYSCTL("\"net.ipv4.ip_local_port_range\":\"1024\\t65000\""), NULL },
	{ SYSCTL("\"kernel.shmmax\":\"1\",\"fs.mqueue.msg_max\":\"5\",\"kernel.domainname\":\"x\""), NULL },
	{ SYSCTL("\"kernel.core_pattern\":\"|/x\""),
		"linux.sysctl.kernel.core_pattern: is not in a separate kernel namespace" },
	{ SYSCTL("\"net.ipv4.x\":\"1\\n2\""), "linux.sysctl.net.ipv4.x: has a control character" },
	{ SYSCTL("\"net/../kernel/core_pattern\":\"x\""), "linux.sysctl.net/../kernel/core_pattern: is no sysctl" },
	{ SYSCTL("\"net..kernel\":\"x\""), "linux.sysctl.net..kernel: is no sysctl" },
	{ SYSCTL("\"net.+x\":\"x\""), "linux.sysctl: has a name that is no sysctl" },
	{ SYSCTL("\"net.a\\nb\":\"x\""), "linux.sysctl: has a name that is no sysctl" },
	{ SYSCTL("\"\":\"x\""), "linux.sysctl: has a name that is no sysctl" },
	{ SYSCTL("\"kernel.hostname\":\"x\""), "linux.sysctl.kernel.hostname: is what hostname is for" },
	{ LINUX("\"sysctl\":{\"net.a\":\"1\"}"),
		"linux.sysctl.net.a: needs a namespace that the container shares with the host" },

	{ RESOURCES("\"cpu\":{\"cpus\":\"0-65535\"}"), NULL },
	{ RESOURCES("\"cpu\":{\"cpus\":\"0-4294967295\"}"), "linux.resources.cpu.cpus: is no list of CPUs" },
	{ RESOURCES("\"cpu\":{\"cpus\":\"3-0\"}"), "linux.resources.cpu.cpus: is no list of CPUs" },
	{ RESOURCES("\"cpu\":{\"mems\":\"0,\"}"), "linux.resources.cpu.mems: is no list of memory nodes" },
	{ RESOURCES("\"memory\":{\"limit\":-2}"), "linux.resources.memory.limit: is below -1" },
	{ RESOURCES("\"memory\":{\"limit\":10,\"swap\":9}"),
		"linux.resources.memory.swap: is below the memory limit, which it includes" },
	{ RESOURCES("\"memory\":{\"limit\":10,\"swap\":-1}"), NULL },
	{ RESOURCES("\"memory\":{\"swappiness\":101}"), "linux.resources.memory.swappiness: is not between 0 and 100" },
	{ RESOURCES("\"pids\":{\"limit\":-2}"), "linux.resources.pids.limit: is below -1" },
	{ RESOURCES("\"blockIO\":{\"weight\":9}"), "linux.resources.blockIO.weight: is not between 10 and 1000" },
	{ RESOURCES("\"hugepageLimits\":[{\"pageSize\":\"02MB\",\"limit\":1}]"),
		"linux.resources.hugepageLimits[0].pageSize: is no page size" },
	{ RESOURCES("\"unified\":{\"../cgroup.procs\":\"1\"}"),
		"linux.resources.unified: has a name that is no control file" },
	{ RESOURCES("\"devices\":[{\"allow\":true,\"type\":\"d\"}]"),
		"linux.resources.devices[0].type: is not a, b or c" },
	{ RESOURCES("\"devices\":[{\"allow\":true,\"access\":\"rx\"}]"),
		"linux.resources.devices[0].access: has letters besides r, w and m" },
	{ RESOURCES("\"devices\":[{\"allow\":true,\"major\":-2}]"),
		"linux.resources.devices[0]: has a number out of range" },

	{ LINUX("\"devices\":[{\"type\":\"c\",\"path\":\"/dev/../x\"}]"),
		"linux.devices[0].path: is not an absolute path without .." },
	{ LINUX("\"devices\":[{\"type\":\"s\",\"path\":\"/dev/x\"}]"), "linux.devices[0].type: is not b, c, u or p" },

	{ LINUX("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_NOT\"}"), "linux.seccomp.defaultAction: is no action" },
	{ SECCOMP("\"syscalls\":[{\"names\":[],\"action\":\"SCMP_ACT_ALLOW\"}]"),
		"linux.seccomp.syscalls[0].names: must not be empty" },
	{ SECCOMP("\"syscalls\":[{\"names\":[\"a b\"],\"action\":\"SCMP_ACT_ALLOW\"}]"),
		"linux.seccomp.syscalls[0].names: has a name that is no system call" },
	{ SECCOMP("\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":4096}]"),
		"linux.seccomp.syscalls[0].errnoRet: is no error number" },
	{ SECCOMP("\"syscalls\":[{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\","
		  "\"args\":[{\"index\":6,\"value\":0,\"op\":\"SCMP_CMP_EQ\"}]}]"),
		"linux.seccomp.syscalls[0].args[0].index: is not between 0 and 5" },
	{ LINUX("\"intelRdt\":{\"closID\":\"../x\"}"), "linux.intelRdt.closID: is not a folder's name" },
	{ LINUX("\"intelRdt\":{\"memBwSchema\":\"MB:0=1\\nL3:0=1\"}"),
		"linux.intelRdt.memBwSchema: is not one line that begins with MB:" },
	{ LINUX("\"personality\":{\"domain\":\"SOLARIS\"}"), "linux.personality.domain: is neither LINUX nor LINUX32" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_X\"}"), "linux.memoryPolicy.mode: invalid memory policy mode" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0-9876543210\"}"),
		"linux.memoryPolicy.nodes: invalid memory policy nodes" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_BIND\",\"nodes\":\"0\",\"flags\":[\"MPOL_F_X\"]}"),
		"linux.memoryPolicy.flags: invalid memory policy flag" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_LOCAL\",\"nodes\":\"0-7\"}"),
		"memory policy mode requires 0 nodes but got 8" },
	{ LINUX("\"memoryPolicy\":{\"mode\":\"MPOL_INTERLEAVE\",\"nodes\":\"\"}"),
		"memory policy mode requires at least one node but got 0" },
};

static void values_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(documents); i++) {
		_autofree_(err) struct err *err = NULL;
		struct oci_spec spec;
		if (oci_spec_parse(documents[i].text, strlen(documents[i].text), &spec, &err) < 0)
			fail_msg("%s: %s", documents[i].text, err_message(err));
		int r = oci_spec_validate(&spec, &err);
		const char *message = documents[i].message;
		if (message ? r >= 0 || strcmp(err_message(err), message) != 0 : r < 0)
			fail_msg("%s: got \"%s\"", documents[i].text, r < 0 ? err_message(err) : "");
		oci_spec_finish(&spec);
	}
}

static void expect_sysctl_path(const char *name, const char *expected)
{
	_cleanup_free_ char *path = NULL;
	assert_int_equal(oci_sysctl_path(name, &path), expected ? 0 : -EINVAL);
	if (expected)
		assert_string_equal(path, expected);
}

static void sysctl_names_have_two_forms(void **state)
{
	(void)state;
	expect_sysctl_path("net.ipv4.ip_forward", "net/ipv4/ip_forward");
	expect_sysctl_path("net/ipv4/ip_forward", "net/ipv4/ip_forward");
	expect_sysctl_path("net.ipv4.conf.eth0/1.mtu", "net/ipv4/conf/eth0.1/mtu");
	expect_sysctl_path("net/ipv4/conf/eth0.1/mtu", "net/ipv4/conf/eth0.1/mtu");
	expect_sysctl_path("", NULL);
	expect_sysctl_path("/net", NULL);
	expect_sysctl_path("net/", NULL);
	expect_sysctl_path("net./.x", NULL);
	expect_sysctl_path("net.//.x", NULL);
	expect_sysctl_path("net/../x", NULL);
}

static void state_and_features_keep_their_members(void **state)
{
	(void)state;
	sweep_round_trip(&oci_state_table,
		"{\"ociVersion\":\"1.3.0\",\"id\":\"a\",\"status\":\"running\",\"pid\":7,\"bundle\":\"/b\","
		"\"annotations\":{\"a\":\"b\"},\"rootfs\":\"/r\",\"created\":\"2026-01-01T00:00:00Z\",\"owner\":\"\"}");
	sweep_round_trip(&oci_features_table,
		"{\"ociVersionMin\":\"1.0.0\",\"ociVersionMax\":\"1.3.0\",\"hooks\":[\"prestart\"],\"mountOptions\":[\"ro\"],"
		"\"linux\":{\"namespaces\":[\"pid\"],\"capabilities\":[\"CAP_KILL\"],\"cgroup\":{\"v1\":true,\"v2\":false},"
		"\"seccomp\":{\"enabled\":true,\"actions\":[]},\"mountExtensions\":{\"idmap\":{\"enabled\":true}}}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_a_round_trip),
		cmocka_unit_test(no_processes_were_no_limit_before_1_3),
		cmocka_unit_test(no_member_missing_null_or_wrong_crashes),
		cmocka_unit_test(the_full_document_is_valid),
		cmocka_unit_test(wrong_types_name_the_path),
		cmocka_unit_test(the_document_has_a_ceiling),
		cmocka_unit_test(values_are_checked),
		cmocka_unit_test(sysctl_names_have_two_forms),
		cmocka_unit_test(state_and_features_keep_their_members),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
