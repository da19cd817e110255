#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/clock.h"
#include "spec/launch.h"
#include "spec/runstate.h"

#include "sweep.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

#define WITH(before, between, after)                                                                                 \
 "{\"v\":1,\"id\":\"" ID "\",\"name\":\"web\",\"image_id\":\"sha256:" ID "\","                                       \
 "\"oci\":{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"\"},\"process\":{\"cwd\":\"/\",\"args\":[\"sh\"]}},"        \
 "\"user\":\"1000:staff\",\"group_add\":[\"5\"],\"open_stdin\":true,\"stdin_once\":true,\"init\":true,"              \
 "\"privileged\":true,\"auto_remove\":true,\"restart_policy\":{\"name\":\"on-failure\",\"max_retry\":3},"            \
 "\"stop_signal\":15,\"stop_timeout\":-1,\"healthcheck\":{\"Test\":[\"CMD\",\"true\"],\"Interval\":5},"              \
 "\"log\":{\"driver\":\"json-file\",\"path\":\"/l\",\"max_size_bytes\":9,\"max_file\":2}," before                    \
 "\"rootfs\":{\"lowers\":[\"/b\",\"/a\"],\"container_dir\":\"/c\",\"volatile\":true}," between                       \
 "\"names\":{\"extra_hosts\":[\"a:1.2.3.4\"],\"dns\":[\"1.1.1.1\"],\"dns_search\":[\"x\"],\"dns_options\":[\"y\"]}," \
 "\"seccomp\":{\"mode\":\"profile\",\"profile\":{\"defaultAction\":\"SCMP_ACT_ALLOW\"}},"                            \
 "\"devices\":[{\"host_path\":\"/dev/a\",\"container_path\":\"/dev/b\",\"permissions\":\"rwm\"}],"                   \
 "\"sources\":[{\"destination\":\"/srv\",\"create\":true,\"copy_up\":true}]" after "}"
#define NETWORK \
 "\"network\":{\"mode\":\"container\"},\"join\":{\"network\":\"" ID "\",\"ipc\":\"" ID "\",\"pid\":\"" ID "\"},"

#define LEG(driver, more)                                                                                            \
 "\"network\":{\"mode\":\"bridge\",\"endpoints\":[{\"network_id\":\"" ID                                             \
 "\",\"network\":\"front\",\"endpoint_id\":\"" ID "\",\"driver\":\"" driver                                          \
 "\",\"parent\":\"br0\",\"mode\":\"l2\",\"interface\":\"eth0\",\"mac\":\"02:42:ac:11:00:02\","                       \
 "\"ipv4\":{\"address\":\"172.17.0.2\",\"prefix\":16,\"gateway\":\"172.17.0.1\",\"default\":true},"                  \
 "\"ipv6\":{\"address\":\"fd00::2\",\"prefix\":64,\"gateway\":\"fd00::1\"},\"link_local\":[\"169.254.1.1/16\"],"     \
 "\"mtu\":1400,\"internal\":true,\"isolated\":true,\"resolves\":true,\"names\":[\"web\"],\"sysctls\":{\"a\":\"b\"}," \
 "\"ports\":[{\"proto\":\"tcp\",\"host_ip\":\"0.0.0.0\",\"host_port\":80,\"container_port\":8080,\"count\":2}]" more \
 "}]},"

static const char full[] = WITH("", NETWORK, "");
static const char legs[] = WITH("", LEG("bridge", ",\"host_interface\":\"ve0\""), "");

static int check(const void *object, struct err **reterr)
{
	return launch_validate(object, reterr);
}

static void nothing_is_lost_in_a_round_trip(void **state)
{
	(void)state;
	sweep_round_trip(&launch_table, full);
	sweep_members(&launch_table, full, check);
	sweep_round_trip(&launch_table, legs);
	sweep_members(&launch_table, legs, check);
}

static void a_newer_engine_s_document_is_read(void **state)
{
	(void)state;
	struct launch launch;
	static const char newer[] = WITH("", NETWORK, ",\"v\":2,\"quantum\":{\"flux\":[1]}");
	assert_int_equal(launch_parse(newer, strlen(newer), &launch, NULL), 0);
	assert_int_equal(launch.version, 2);
	assert_string_equal(launch.oci.process->args[0], "sh");
	assert_int_equal(launch.stop_timeout_s, -1);

	_cleanup_(buf_finish) struct buf text = BUF_INIT(LAUNCH_MAX);
	assert_int_equal(launch_print(&launch, &text), 0);
	launch_finish(&launch);
	assert_int_equal(launch_parse(text.data, text.len, &launch, NULL), 0);
	launch_finish(&launch);
}

static void expect_leg_error(const char *text, const char *problem)
{
	_autofree_(err) struct err *err = NULL;
	struct launch launch;
	assert_int_equal(launch_parse(text, strlen(text), &launch, &err), -EINVAL);
	if (!strstr(err_message(err), problem))
		fail_msg("\"%s\" does not say \"%s\"", err_message(err), problem);
}

static void a_leg_s_words_are_checked(void **state)
{
	(void)state;
	struct launch launch;
	static const char macvlan[] = WITH("", LEG("macvlan", ""), "");
	assert_int_equal(launch_parse(legs, strlen(legs), &launch, NULL), 0);
	assert_int_equal(launch.network.endpoints[0].ports[0].count, 2);
	launch_finish(&launch);
	assert_int_equal(launch_parse(macvlan, strlen(macvlan), &launch, NULL), 0);
	launch_finish(&launch);
	expect_leg_error(WITH("", LEG("bridge", ""), ""), "endpoints.host_interface: not an interface's name: \"\"");
#define WRONG(member) WITH("", LEG("macvlan", "," member), "")
	expect_leg_error(WRONG("\"driver\":\"overlay\""), "driver: unknown driver");
	expect_leg_error(WRONG("\"interface\":\"../x\""), "interface: not an interface's name");
	expect_leg_error(WRONG("\"interface\":\"eth%d\""), "interface: not an interface's name");
	expect_leg_error(WRONG("\"interface\":\"sixteen-letters-\""), "interface: not an interface's name");
	expect_leg_error(WRONG("\"mac\":\"01:00:5e:00:00:01\""), "mac: not a MAC address");
	expect_leg_error(WRONG("\"mtu\":65536"), "mtu: out of range");
	expect_leg_error(WRONG("\"ipv4\":{\"address\":\"fd00::1\"}"), "ipv4: not an address of this family");
	expect_leg_error(WRONG("\"ipv6\":{\"prefix\":129}"), "ipv6: the prefix is out of range");
	expect_leg_error(WRONG("\"ipv6\":{\"gateway\":\"1.2.3.4\"}"), "ipv6: not a gateway of this family");
	expect_leg_error(WRONG("\"link_local\":[\"169.254.1.1\"]"), "link_local: not an address with its prefix");
#define WRONG_PORT(host, count)                                                                                        \
 WRONG("\"ports\":[{\"proto\":\"tcp\",\"host_ip\":\"::\",\"host_port\":" host ",\"container_port\":1,\"count\":" count \
       "}]")
	expect_leg_error(WRONG_PORT("65535", "2"), "ports: out of range");
	expect_leg_error(WRONG_PORT("1", "0"), "ports: out of range");
}

static void expect_error(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	struct launch launch;
	assert_int_equal(launch_parse(text, strlen(text), &launch, &err), -EINVAL);
	assert_string_equal(err_message(err), message);
}

static void what_a_monitor_relies_on_is_checked(void **state)
{
	(void)state;
	expect_error("{}", "invalid launch document: id: is required");
	expect_error(WITH("", NETWORK, ",\"id\":\"../x\""),
		"invalid launch document: id: not a container ID: \"../x\"");
	expect_error(WITH("", NETWORK, ",\"log\":{\"driver\":\"syslog\"}"),
		"invalid launch document: log.driver: unknown driver \"syslog\"");
	expect_error(WITH("", NETWORK, ",\"log\":{\"driver\":\"json-file\"}"),
		"invalid launch document: log.path: is required for driver \"json-file\"");
	expect_error(WITH("", NETWORK, ",\"log\":{\"driver\":\"local\",\"path\":\"x\"}"),
		"invalid launch document: log.path: not an absolute path: \"x\"");
	expect_error(WITH("", NETWORK, ",\"restart_policy\":{\"name\":\"maybe\"}"),
		"invalid launch document: restart_policy.name: unknown policy \"maybe\"");
	expect_error(WITH("", "\"network\":{\"mode\":\"container\"},", ""),
		"invalid launch document: join.network: does not agree with network.mode \"container\"");
	expect_error(WITH("", "\"network\":{\"mode\":\"host\"},\"join\":{\"network\":\"" ID "\"},", ""),
		"invalid launch document: join.network: does not agree with network.mode \"host\"");
	expect_error(WITH("", NETWORK, ",\"rootfs\":{\"container_dir\":\"/c\"}"),
		"invalid launch document: rootfs: needs either lowers or path, for container \"" ID "\"");
	expect_error(WITH("", NETWORK, ",\"rootfs\":{\"container_dir\":\"/c\",\"lowers\":[\"a\"]}"),
		"invalid launch document: rootfs.lowers: not an absolute path: \"a\"");
}

/* --- run state --- */

static const char run_state[] =
	"{\"v\":1,\"status\":\"running\",\"pid\":7,\"init_start_time\":99,\"exit_code\":3,\"oom_killed\":true,\"error\":\"e\","
	"\"started_at\":5,\"finished_at\":-9223372036854775808,\"restart_count\":2,\"stop_requested\":true,"
	"\"health\":{\"Status\":\"healthy\",\"FailingStreak\":1,\"Log\":[{\"Start\":\"a\",\"End\":\"b\",\"ExitCode\":1,"
	"\"Output\":\"o\"}]},\"last_seq\":4,\"events\":[{\"seq\":4,\"type\":\"start\",\"time\":5,"
	"\"attributes\":{\"a\":\"b\"}}]}";

static void run_state_keeps_its_members(void **state)
{
	(void)state;
	sweep_round_trip(&runstate_table, run_state);
	sweep_members(&runstate_table, run_state, NULL);
	struct runstate parsed;
	assert_int_equal(runstate_parse(run_state, strlen(run_state), &parsed, NULL), 0);
	assert_true(runstate_is_running(&parsed));
	assert_int_equal(parsed.finished_at_ns, CLOCK_NEVER);
	runstate_finish(&parsed);

	_autofree_(err) struct err *err = NULL;
	assert_int_equal(runstate_parse("{\"status\":\"gone\"}", 17, &parsed, &err), -EINVAL);
	assert_string_equal(err_message(err), "invalid run state: status: unknown word \"gone\"");
}

static void a_new_container_has_never_run(void **state)
{
	(void)state;
	struct runstate run;
	assert_int_equal(runstate_init(&run), 0);
	assert_string_equal(run.status, "created");
	assert_false(runstate_is_running(&run));
	assert_int_equal(run.started_at_ns, CLOCK_NEVER);
	assert_int_equal(runstate_set_status(&run, "paused"), 0);
	assert_true(runstate_is_running(&run));
	runstate_finish(&run);
}

static void events_stay_until_they_are_acknowledged(void **state)
{
	(void)state;
	struct runstate run;
	const struct run_event *event;
	assert_int_equal(runstate_init(&run), 0);
	for (int i = 1; i <= 5; i++) {
		struct map *attributes = map_new(free);
		map_set(attributes, "n", strdup("1"));
		assert_int_equal(runstate_add_event(&run, "start", i, attributes, &event), 0);
		assert_int_equal(event->seq, i);
	}
	runstate_acknowledge(&run, 0);
	assert_int_equal(run.event_count, 5);
	runstate_acknowledge(&run, 2);
	assert_int_equal(run.event_count, 3);
	assert_int_equal(run.events[0].seq, 3);
	runstate_acknowledge(&run, 100);
	assert_int_equal(run.event_count, 0);
	assert_int_equal(runstate_add_event(&run, "die", 9, NULL, NULL), 0);
	assert_int_equal(run.events[0].seq, 6);
	runstate_finish(&run);
}

static void the_oldest_events_are_dropped_past_the_limit(void **state)
{
	(void)state;
	struct runstate run;
	assert_int_equal(runstate_init(&run), 0);
	for (int i = 0; i < RUNSTATE_EVENTS_MAX; i++)
		assert_int_equal(runstate_add_event(&run, "oom", i, NULL, NULL), 0);
	assert_int_equal(run.event_count, RUNSTATE_EVENTS_MAX);
	assert_int_equal(run.events[0].seq, 1);
	assert_int_equal(runstate_add_event(&run, "oom", 0, NULL, NULL), 0);
	assert_int_equal(run.event_count, RUNSTATE_EVENTS_MAX);
	assert_int_equal(run.events[0].seq, 2);

	_cleanup_(buf_finish) struct buf text = BUF_INIT(RUNSTATE_MAX);
	assert_int_equal(runstate_print(&run, &text), 0);
	runstate_finish(&run);
	assert_int_equal(runstate_parse(text.data, text.len, &run, NULL), 0);
	assert_int_equal(run.last_seq, RUNSTATE_EVENTS_MAX + 1);
	runstate_finish(&run);
}

static void a_health_check_may_be_none(void **state)
{
	(void)state;
	char *none[] = { "NONE", NULL }, *line[] = { "CMD-SHELL", "true", NULL }, *inherit[] = { NULL };
	assert_false(healthcheck_is_active(NULL));
	assert_false(healthcheck_is_active(&(struct healthcheck){ .test = none }));
	assert_false(healthcheck_is_active(&(struct healthcheck){ .test = inherit }));
	assert_true(healthcheck_is_active(&(struct healthcheck){ .test = line }));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_lost_in_a_round_trip),
		cmocka_unit_test(a_newer_engine_s_document_is_read),
		cmocka_unit_test(a_leg_s_words_are_checked),
		cmocka_unit_test(what_a_monitor_relies_on_is_checked),
		cmocka_unit_test(run_state_keeps_its_members),
		cmocka_unit_test(a_new_container_has_never_run),
		cmocka_unit_test(events_stay_until_they_are_acknowledged),
		cmocka_unit_test(the_oldest_events_are_dropped_past_the_limit),
		cmocka_unit_test(a_health_check_may_be_none),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
