/* Lives of containers, with the test as their monitors: what is asked in which order, what survives whose death. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "../unit.h"
#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "engine/change.h"
#include "engine/execs.h"
#include "engine/lifecycle.h"
#include "engine/monitor_link.h"
#include "engine/remove.h"
#include "spec/handover.h"
#include "sys/channel.h"

#include "world.h"

#define EVENT(seq, type, status)                                                                      \
 "{'op':'event','seq':" #seq ",'type':'" type "','time':1,'attributes':{},'state':{'status':'" status \
 "','last_seq':" #seq "}}"
#define DIED(seq, code)                                                                      \
 "{'op':'event','seq':" #seq ",'type':'die','time':2,'attributes':{'exitCode':'" #code "'}," \
 "'state':{'status':'exited','exit_code':" #code ",'started_at':1,'finished_at':2,'last_seq':" #seq "}}"

static void answer(struct world *world, int fd, int64_t id)
{
	char text[64];
	snprintf(text, sizeof(text), "{'op':'done','id':%lld}", (long long)id);
	world_say(world, fd, text);
}

static void expect_events(struct world *world, const char *id, const char *actions)
{
	char *found = world_events(world, id);
	assert_string_equal(found, actions);
	free(found);
}

/* The container runs, by the fake monitor whose end is returned. */
static int run(struct world *world, struct container *container)
{
	world->done_count = 0;
	lifecycle_start(container, world_done, world);
	int fd = world_spawned(world, HOLDER_MONITOR, container->id);
	assert_true(fd >= 0);
	world_greet(world, fd, "created");
	int64_t id = world_asked(world, fd, "start");
	world_say(world, fd, EVENT(1, "start", "running"));
	world_asked(world, fd, "acked");
	answer(world, fd, id);
	assert_int_equal(world->done_count, 1);
	assert_int_equal(world->done_kind, ERR_KIND_COUNT);
	assert_true(container_is_running(container));
	return fd;
}

static void test_start_and_exit(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	int fd = run(world, container);
	world_say(world, fd, DIED(2, 7));
	world_asked(world, fd, "acked");
	/* Nothing runs, nothing is asked: it may end. */
	world_asked(world, fd, "finish");
	assert_string_equal(container_status(container), "exited");
	assert_int_equal(container->state.exit_code, 7);
	expect_events(world, container->id, "create start die");
	/* Repeated, as after a lost acknowledgement. */
	world_say(world, fd, DIED(2, 7));
	expect_events(world, container->id, "create start die");
	close(fd);
	world_turn(world);
	assert_null(container->link);
}

static void test_failed_start(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	lifecycle_start(container, world_done, world);
	int fd = world_spawned(world, HOLDER_MONITOR, container->id);
	world_greet(world, fd, "created");
	char text[128];
	snprintf(text, sizeof(text), "{'op':'error','id':%lld,'kind':'command-not-found','message':'no such thing'}",
		(long long)world_asked(world, fd, "start"));
	world_say(world, fd, text);
	assert_int_equal(world->done_kind, ERR_CMD_NOT_FOUND);
	assert_string_equal(world->done_text, "no such thing");
	world_asked(world, fd, "finish");
	close(fd);
}

/* tared could not start the monitor: the end of its channel says so before EXITED does. */
static void test_no_monitor(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	char data[256];
	lifecycle_start(container, world_done, world);
	int fd = world_spawned(world, HOLDER_MONITOR, container->id);
	const struct holder_message message = {
		.type = HOLDER_EXITED, .kind = HOLDER_MONITOR, .status = -ENOENT, .id = container->id
	};
	int len = holder_message_encode(&message, data, sizeof(data));
	assert_int_equal(message_send(world->holder_fd, data, (size_t)len, NULL, 0), 0);
	world_turn(world);
	assert_int_equal(world->done_count, 1);
	assert_non_null(strstr(world->done_text, "cannot start the container's monitor"));
	close(fd);
	world_turn(world);
	assert_null(container->link);
}

/* A request that crosses with a monitor's end is repeated to a new one. */
static void test_request_meets_an_ending_monitor(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	int fd = run(world, container);
	world_say(world, fd, DIED(2, 0));
	world_asked(world, fd, "acked");
	world_asked(world, fd, "finish");
	world->done_count = 0;
	lifecycle_start(container, world_done, world);
	world_asked(world, fd, "start");
	close(fd); /* it had ended before it read that */
	world_turn(world);
	assert_int_equal(world->done_count, 0);
	fd = world_spawned(world, HOLDER_MONITOR, container->id);
	assert_true(fd >= 0);
	world_greet(world, fd, "exited");
	answer(world, fd, world_asked(world, fd, "start"));
	assert_int_equal(world->done_count, 1);
	assert_int_equal(world->done_kind, ERR_KIND_COUNT);
	close(fd);
}

/* One that dies otherwise fails its requests; the client of a hand-over is told, not left. */
static void on_handover(void *user, const struct message *message, const struct err *err)
{
	world_done(user, message ? message->body : NULL, err);
}

static void test_handover(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	struct handover_wait wait = { .condition = (char *)"next-exit" };
	const struct handover handover = { .kind = (char *)"wait",
		.method = (char *)"POST",
		.container = container->id,
		.container_name = container->name,
		.wait = &wait };
	int client[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, client), 0);
	assert_int_equal(monitor_handover(container, &handover, client[0], "more", 4, on_handover, world, NULL), 0);
	int fd = world_spawned(world, HOLDER_MONITOR, container->id);
	world_greet(world, fd, "created");
	char text[64];
	snprintf(text, sizeof(text), "{'op':'ack','id':%lld}", (long long)world_asked(world, fd, "handover"));
	world_say(world, fd, text);
	assert_int_equal(world->done_kind, ERR_KIND_COUNT);
	world_asked(world, fd, "finish"); /* it has a client, so it stays */

	assert_int_equal(monitor_handover(container, &handover, client[0], NULL, 0, on_handover, world, NULL), 0);
	world_turn(world);
	world_asked(world, fd, "handover");
	close(fd);
	world_turn(world); /* told to finish before: repeated */
	fd = world_spawned(world, HOLDER_MONITOR, container->id);
	assert_true(fd >= 0);
	close(fd);
	world_turn(world); /* this one was never told to: it died */
	assert_int_equal(world->done_count, 2);
	assert_int_equal(world->done_kind, ERR_INTERNAL);
	close(client[0]);
	close(client[1]);
}

static void test_queue(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	lifecycle_start(container, world_done, world);
	int fd = world_spawned(world, HOLDER_MONITOR, container->id);
	world_greet(world, fd, "created");
	int64_t start = world_asked(world, fd, "start");
	/* A removal waits for the start; what is then refused is refused by what has become of it. */
	remove_container(container, false, false, world_done, world);
	assert_int_equal(world->done_count, 0);
	world_say(world, fd, EVENT(1, "start", "running"));
	world_asked(world, fd, "acked");
	answer(world, fd, start);
	assert_int_equal(world->done_count, 2);
	assert_int_equal(world->done_kind, ERR_CONFLICT);
	assert_non_null(strstr(world->done_text, "container is running: stop the container before removing"));

	/* A stop does not queue, and a kill goes past it. */
	lifecycle_stop(container, 0, 3600, world_done, world);
	int64_t stop = world_asked(world, fd, "stop");
	lifecycle_kill(container, 15, world_done, world);
	answer(world, fd, world_asked(world, fd, "signal"));
	assert_int_equal(world->done_count, 3);
	world_say(world, fd, DIED(2, 143));
	world_asked(world, fd, "acked");
	answer(world, fd, stop);
	assert_int_equal(world->done_count, 4);
	assert_true(container->stopped_by_user);
	close(fd);
}

static bool has_folder(const char *root, const char *id)
{
	char path[192];
	snprintf(path, sizeof(path), "%s/containers/%s", root, id);
	return access(path, F_OK) == 0;
}

static bool exists(struct world *world, const char *id)
{
	bool run_folder = has_folder(world->exec_root, id);
	assert_int_equal(run_folder, has_folder(world->fixture->path, id));
	return run_folder;
}

static void test_auto_remove(void **state)
{
	struct world *world = *state;
	char id[CONTAINER_ID_SIZE];
	struct container *container = world_create(world, "one", "{'HostConfig':{'AutoRemove':true}}");
	strcpy(id, container->id);
	int fd = run(world, container);
	assert_true(exists(world, id));
	world_say(world, fd, DIED(2, 0));
	/* Removed before anybody hears `removed`; the event that led to it is acknowledged too. */
	assert_null(containers_by_id(world->engine->containers, id));
	assert_false(has_folder(world->fixture->path, id));
	expect_events(world, id, "create start die destroy");
	world_asked(world, fd, "removed");
	world_create(world, "one", "{}");
	/* Its clients have their answers before the rest goes. */
	assert_true(has_folder(world->exec_root, id));
	close(fd);
	world_turn(world);
	assert_false(has_folder(world->exec_root, id));
}

/* A client that does not fetch its answer keeps its monitor, and nothing else. */
static void test_auto_remove_slow_monitor(void **state)
{
	struct world *world = *state;
	char id[CONTAINER_ID_SIZE];
	struct container *container = world_create(world, "one", "{'HostConfig':{'AutoRemove':true}}");
	strcpy(id, container->id);
	int fd = run(world, container);
	world_say(world, fd, DIED(2, 0));
	world_asked(world, fd, "removed");
	assert_true(has_folder(world->exec_root, id));
	const int64_t deadline_ms = clock_monotonic_ms() + 30000;
	while (has_folder(world->exec_root, id) && clock_monotonic_ms() < deadline_ms)
		world_turn(world);
	assert_false(has_folder(world->exec_root, id));
	close(fd);
	world_turn(world);
}

static void test_engine_killed(void **state)
{
	struct world *world = *state;
	char id[CONTAINER_ID_SIZE], path[192];
	struct container *container = world_create(world, "one", "{}");
	strcpy(id, container->id);
	int fd = run(world, container);
	world_kill_engine(world);
	close(fd);
	/* While it is away the container ends; its monitor writes that down and ends too. */
	static const char text[] =
		"{\"v\":1,\"status\":\"exited\",\"exit_code\":9,\"started_at\":1,\"finished_at\":2,\"last_seq\":2,"
		"\"events\":[{\"seq\":1,\"type\":\"start\",\"time\":1},{\"seq\":2,\"type\":\"die\",\"time\":2}]}";
	snprintf(path, sizeof(path), "%s/containers/%s", world->exec_root, id);
	_autoclose_ int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(io_replace_file(folder, "state.json", text, strlen(text), false), 0);
	for (int i = 0; i < 2; i++) {
		world_start_engine(world);
		container = containers_by_id(world->engine->containers, id);
		assert_non_null(container);
		assert_int_equal(container->state.exit_code, 9);
		assert_string_equal(container_status(container), "exited");
		expect_events(world, id, "create start die");
		world_kill_engine(world);
	}
	world_start_engine(world);
}

/* A living monitor is found by its socket; what it repeats is told once. */
static void test_engine_finds_monitor(void **state)
{
	struct world *world = *state;
	char id[CONTAINER_ID_SIZE], path[192];
	struct container *container = world_create(world, "one", "{}");
	strcpy(id, container->id);
	int fd = run(world, container);
	world_kill_engine(world);
	close(fd);
	snprintf(path, sizeof(path), "%s/containers/%s", world->exec_root, id);
	_autoclose_ int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_autoclose_ int listener = -1;
	static const char text[] = "{\"v\":1,\"status\":\"running\",\"last_seq\":1}";
	assert_int_equal(io_replace_file(folder, "state.json", text, strlen(text), false), 0);
	assert_int_equal(channel_listen(folder, "monitor.sock", &listener), 0);
	world_start_engine(world);
	_autoclose_ int monitor = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	assert_true(monitor >= 0);
	world_greet(world, monitor, "running");
	container = containers_by_id(world->engine->containers, id);
	assert_true(container_is_running(container));
	world_say(world, monitor, EVENT(1, "start", "running"));
	world_asked(world, monitor, "acked");
	world_say(world, monitor, EVENT(2, "pause", "paused"));
	world_asked(world, monitor, "acked");
	expect_events(world, id, "create start pause");
	assert_true(container_is_paused(container));
}

static void test_reboot(void **state)
{
	struct world *world = *state;
	static const char *const policies[] = { "no", "always", "unless-stopped", "on-failure" };
	char ids[4][CONTAINER_ID_SIZE], gone[CONTAINER_ID_SIZE], fresh[CONTAINER_ID_SIZE];
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		char name[16], body[96];
		snprintf(name, sizeof(name), "c%zu", i);
		snprintf(body, sizeof(body), "{'HostConfig':{'RestartPolicy':{'Name':'%s'}}}", policies[i]);
		struct container *container = world_create(world, name, body);
		strcpy(ids[i], container->id);
		close(run(world, container));
	}
	strcpy(gone, world_create(world, "vanishing", "{'HostConfig':{'AutoRemove':true}}")->id);
	strcpy(fresh, world_create(world, "fresh", "{}")->id);
	world_reboot(world);
	assert_null(containers_by_id(world->engine->containers, gone));
	assert_string_equal(container_status(containers_by_id(world->engine->containers, fresh)), "created");
	struct container *plain = containers_by_id(world->engine->containers, ids[0]);
	assert_string_equal(container_status(plain), "exited");
	assert_int_equal(plain->state.exit_code, 255);
	for (size_t i = 1; i < ARRAY_SIZE(policies); i++) {
		int fd = world_spawned(world, HOLDER_MONITOR, ids[i]);
		assert_true(fd >= 0);
		world_asked(world, fd, "hello");
		world_asked(world, fd, "start");
		close(fd);
	}
	world_turn(world);
}

/* A removal that was cut short after its intent is finished by the next start, and told once. */
static void test_removal_cut_short(void **state)
{
	struct world *world = *state;
	char id[CONTAINER_ID_SIZE];
	struct container *container = world_create(world, "one", "{'Volumes':{'/v':{}}}");
	strcpy(id, container->id);
	int fd = run(world, container);
	world_say(world, fd, DIED(2, 0));
	close(fd);
	assert_int_equal(records_mark_removing(world->engine->records, id, false, NULL), 0);
	world_kill_engine(world);
	world_start_engine(world);
	assert_null(containers_by_id(world->engine->containers, id));
	assert_false(exists(world, id));
	expect_events(world, id, "create start die destroy");
	world_kill_engine(world);
	world_start_engine(world);
	expect_events(world, id, "create start die destroy");
}

static void test_execs(void **state)
{
	struct world *world = *state;
	struct container *container = world_create(world, "one", "{}");
	struct exec_config config = { 0 };
	char id[CONTAINER_ID_SIZE];
	execs_create(container, &config, world_done, world);
	assert_int_equal(world->done_kind, ERR_CONFLICT);
	assert_non_null(strstr(world->done_text, "is not running"));
	int fd = run(world, container);
	execs_create(container, &config, world_done, world);
	answer(world, fd, world_asked(world, fd, "exec-create"));
	assert_int_equal(world->done_kind, ERR_KIND_COUNT);
	_autofree_(strv) char **ids = NULL;
	assert_int_equal(execs_of(world->engine->execs, container->id, &ids), 0);
	assert_int_equal(strv_count(ids), 1);
	strcpy(id, ids[0]);
	char text[512];
	snprintf(text, sizeof(text),
		"{'op':'event','seq':2,'type':'exec_die','time':1,'attributes':{'execID':'%s','exitCode':'5'},'state':{'status':'running'}}",
		id);
	world_say(world, fd, text);
	world_say(world, fd, DIED(3, 0));
	/* The monitor has ended with the container: the exit code is still known. */
	world->done_count = 0;
	execs_inspect(world->engine, id, world_done, world);
	assert_int_equal(world->done_count, 1);
	assert_int_equal(world->done_kind, ERR_KIND_COUNT);
	execs_inspect(world->engine, "nobody", world_done, world);
	assert_int_equal(world->done_kind, ERR_NOT_FOUND);
	close(fd);
}

static void test_second_engine(void **state)
{
	struct world *world = *state;
	struct loop *loop;
	int pair[2];
	_autofree_(err) struct err *err = NULL;
	struct engine *engine = NULL;
	assert_int_equal(loop_new(&loop), 0);
	assert_int_equal(channel_pair(pair), 0);
	const struct engine_options options = {
		.data_root = world->fixture->path, .exec_root = world->exec_root, .holder_fd = pair[1]
	};
	assert_true(engine_new(loop, &options, &engine, &err) < 0);
	assert_int_equal(err->kind, ERR_CONFLICT);
	assert_non_null(strstr(err_message(err), "in use"));
	loop_free(loop);
	close(pair[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_start_and_exit),
		TEST(test_failed_start),
		TEST(test_no_monitor),
		TEST(test_request_meets_an_ending_monitor),
		TEST(test_handover),
		TEST(test_queue),
		TEST(test_auto_remove),
		TEST(test_auto_remove_slow_monitor),
		TEST(test_engine_killed),
		TEST(test_engine_finds_monitor),
		TEST(test_reboot),
		TEST(test_removal_cut_short),
		TEST(test_execs),
		TEST(test_second_engine),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
