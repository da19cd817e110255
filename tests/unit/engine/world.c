#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/io.h"
#include "base/strv.h"
#include "engine/create.h"
#include "engine/events.h"
#include "engine/filters.h"
#include "sys/channel.h"

/* Rounds of the loop in which everything that was sent has been handled, and what came of it. */
#define ROUNDS 4

static void on_bell(struct loop_source *source, uint32_t events, void *data)
{
	struct world *world = data;
	char byte;
	(void)source;
	(void)events;
	assert_int_equal(read(world->bell[0], &byte, 1), 1);
	if (++world->rounds >= ROUNDS)
		loop_quit(world->loop, 0);
	else
		assert_int_equal(write(world->bell[1], "x", 1), 1);
}

void world_turn(struct world *world)
{
	struct loop_source *source;
	world->rounds = 0;
	assert_int_equal(loop_add_fd(world->loop, world->bell[0], EPOLLIN, on_bell, world, &source), 0);
	assert_int_equal(write(world->bell[1], "x", 1), 1);
	assert_int_equal(loop_run(world->loop), 0);
	loop_source_free(source);
}

void world_start_engine(struct world *world)
{
	int pair[2];
	assert_int_equal(loop_new(&world->loop), 0);
	assert_int_equal(channel_pair(pair), 0);
	world->holder_fd = pair[0];
	io_set_nonblock(world->holder_fd, true);
	const struct engine_options options = {
		.data_root = world->fixture->path,
		.exec_root = world->exec_root,
		.holder_fd = pair[1],
	};
	_autofree_(err) struct err *err = NULL;
	if (engine_new(world->loop, &options, &world->engine, &err) < 0)
		fail_msg("%s", err_message(err));
}

void world_kill_engine(struct world *world)
{
	engine_free(world->engine);
	world->engine = NULL;
	loop_free(world->loop);
	close(world->holder_fd);
}

static void remove_tree(const char *path)
{
	char command[160];
	snprintf(command, sizeof(command), "rm -rf %s", path);
	assert_int_equal(system(command), 0);
}

static void make_exec_root(struct world *world)
{
	strcpy(world->exec_root, "/tmp/tare-engine-XXXXXX");
	assert_non_null(mkdtemp(world->exec_root));
}

void world_reboot(struct world *world)
{
	world_kill_engine(world);
	remove_tree(world->exec_root);
	make_exec_root(world);
	world_start_engine(world);
}

int world_setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char image[STORE_DIGEST_SIZE];
	assert_int_equal(fixture_setup((void **)&world->fixture), 0);
	fixture_make_image(world->fixture, "ab", "us", "box:latest", image);
	make_exec_root(world);
	assert_int_equal(pipe2(world->bell, O_CLOEXEC), 0);
	world_start_engine(world);
	*state = world;
	return 0;
}

int world_teardown(void **state)
{
	struct world *world = *state;
	void *fixture = world->fixture;
	world_kill_engine(world);
	close(world->bell[0]);
	close(world->bell[1]);
	remove_tree(world->exec_root);
	free(world);
	return fixture_teardown(&fixture);
}

static json_t *parse(const char *text)
{
	char *copy = strdup(text);
	for (char *c = copy; *c; c++) {
		if (*c == '\'')
			*c = '"';
	}
	json_error_t error;
	json_t *value = json_loads(copy, 0, &error);
	if (!value)
		fail_msg("%s: %s", text, error.text);
	free(copy);
	return value;
}

struct container *world_create(struct world *world, const char *name, const char *body)
{
	json_t *document = parse(body);
	if (!json_object_get(document, "Image"))
		json_object_set_new(document, "Image", json_string("box"));
	if (!json_object_get(document, "Cmd"))
		json_object_set_new(document, "Cmd", json_pack("[s]", "run"));
	json_t *host = json_object_get(document, "HostConfig");
	if (!host && (host = json_object()))
		json_object_set_new(document, "HostConfig", host);
	if (!json_object_get(host, "NetworkMode"))
		json_object_set_new(host, "NetworkMode", json_string("none"));
	char *text = json_dumps(document, 0);
	struct container_create create;
	struct container *container = NULL;
	_autofree_(strv) char **warnings = NULL;
	_autofree_(err) struct err *err = NULL;
	int r = container_create_parse(text, strlen(text), &create, &err);
	assert_int_equal(r, 0);
	if (create_container(world->engine, name, NULL, &create, &container, &warnings, &err) < 0)
		fail_msg("%s: %s", body, err_message(err));
	container_create_finish(&create);
	free(text);
	json_decref(document);
	return container;
}

void world_done(void *user, json_t *result, const struct err *err)
{
	struct world *world = user;
	(void)result;
	world->done_count++;
	world->done_kind = err ? err->kind : ERR_KIND_COUNT;
	snprintf(world->done_text, sizeof(world->done_text), "%s", err ? err_message(err) : "");
}

int world_spawned(struct world *world, enum holder_kind kind, const char *id)
{
	char data[HOLDER_MESSAGE_MAX];
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	for (;;) {
		ssize_t len = message_receive(world->holder_fd, data, sizeof(data), fds, &count);
		struct holder_message message;
		if (len == -EAGAIN)
			return -1;
		assert_true(len > 0);
		assert_int_equal(holder_message_decode(data, (size_t)len, &message), 0);
		assert_int_equal(message.type, HOLDER_SPAWN);
		assert_int_equal(count, 1);
		if (message.kind != kind || (id && strcmp(message.id, id) != 0)) {
			close(fds[0]); /* a worker for the trash, or a monitor in reserve */
			continue;
		}
		io_set_nonblock(fds[0], true);
		return fds[0];
	}
}

/* False: a hint that is not to be answered. */
static bool is_asked(const struct message *message)
{
	return strcmp(message->op, "prepare") != 0;
}

int64_t world_asked(struct world *world, int fd, const char *op)
{
	char data[CHANNEL_MESSAGE_MAX + 1];
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	struct message message;
	(void)world;
	ssize_t len = message_receive(fd, data, sizeof(data) - 1, fds, &count);
	if (!op && len <= 0)
		return -1;
	if (len <= 0)
		fail_msg("%s was expected, nothing came", op);
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
	data[len] = '\0';
	assert_int_equal(message_parse(data, (size_t)len, &message, NULL), 0);
	if (!is_asked(&message)) {
		message_finish(&message);
		return world_asked(world, fd, op);
	}
	if (!op)
		fail_msg("nothing was expected, %s came", message.op);
	assert_string_equal(message.op, op);
	int64_t id = message.id;
	message_finish(&message);
	return id;
}

bool world_is_closed(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	return poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLHUP;
}

void world_say(struct world *world, int fd, const char *text)
{
	_autojson_ json_t *message = parse(text);
	json_object_set_new(message, "v", json_integer(1));
	char *line = json_dumps(message, 0);
	assert_int_equal(message_send(fd, line, strlen(line), NULL, 0), 0);
	free(line);
	world_turn(world);
}

void world_greet(struct world *world, int fd, const char *status)
{
	char text[256];
	int64_t id = world_asked(world, fd, "hello");
	snprintf(text, sizeof(text), "{'op':'hello','id':%lld,'state':{'status':'%s'},'execs':[]}", (long long)id,
		status);
	world_say(world, fd, text);
}

struct collected {
	const char *actor;
	struct buf text;
};

static void collect(const char *text, size_t len, void *user)
{
	struct collected *collected = user;
	_autojson_ json_t *event = json_loadb(text, len, 0, NULL);
	if (strcmp(json_string_value(json_object_get(json_object_get(event, "Actor"), "ID")), collected->actor) != 0)
		return;
	buf_printf(&collected->text, "%s%s", collected->text.len ? " " : "",
		json_string_value(json_object_get(event, "Action")));
}

static void never(void *user)
{
	(void)user;
	fail();
}

char *world_events(struct world *world, const char *actor)
{
	struct collected collected = { .actor = actor, .text = BUF_INIT(65536) };
	struct event_subscription *subscription;
	struct event_wish wish = { .until_ns = INT64_MAX, .listen = collect, .end = never, .user = &collected };
	assert_int_equal(filters_parse(NULL, events_filter_keys, &wish.filters, NULL), 0);
	assert_int_equal(events_subscribe(world->engine->events, &wish, &subscription, NULL), 0);
	event_subscription_free(subscription);
	return buf_take(&collected.text);
}
