/*
 * A dead engine is started again at once, while clients' connections queue in the sockets. Only one that dies as fast as it
 * is started has to wait: restarts are paid from a budget of ENGINE_BURST that fills by one each ENGINE_REFILL_MS, so ten
 * kills in a row cost nothing and a broken program takes one start a second, for ever: its files may be repaired meanwhile.
 *
 * The one thing that ends tared is an engine saying, before any engine of ours has run for ENGINE_SETTLED_MS, that it can't
 * serve this root (HOLDER_EXIT_CANNOT_START: another engine has it). Later the same words are an accident to retry: tared
 * still holds containers and clients.
 *
 * The engine notices our death by its channel, so it gets no parent-death signal; and one that closes the channel while it
 * lives can be told nothing any more, and is killed after ENGINE_DEAF_MS.
 */
#include "holder/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <sys/wait.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strv.h"
#include "sys/channel.h"

#define ENGINE_BURST      10
#define ENGINE_REFILL_MS  1000
#define ENGINE_SETTLED_MS 1000
#define ENGINE_STOP_MS    10000
#define ENGINE_DEAF_MS    2000

/* News kept for the next engine; past it the oldest go, and the engine finds out by looking. */
#define ENGINE_NEWS_MAX 4096

struct news {
	struct list link;
	enum holder_kind kind;
	pid_t pid;
	int status;
	char id[];
};

struct engine {
	struct engine_config config;
	pid_t pid; /* 0: none runs */
	struct channel *channel;
	struct loop_source *timer; /* the next start; or the end of patience with one that should end */
	int64_t started_ms;
	int64_t refilled_ms;
	int budget;
	bool settled;
	bool stopping;
	struct list news;
	size_t news_count;
};

static void engine_on_timer(struct loop_source *source, void *data);

int engine_new(const struct engine_config *config, struct engine **ret, struct err **reterr)
{
	struct engine *engine = calloc(1, sizeof *engine);
	if (!engine)
		return err_oom(reterr);
	engine->config = *config;
	engine->budget = ENGINE_BURST;
	engine->refilled_ms = clock_monotonic_ms();
	list_init(&engine->news);
	if (loop_add_timer(config->loop, LOOP_NEVER, engine_on_timer, engine, &engine->timer) < 0) {
		free(engine);
		return err_oom(reterr);
	}
	*ret = engine;
	return 0;
}

static void news_free(struct engine *engine, struct news *news)
{
	list_remove(&news->link);
	engine->news_count--;
	free(news);
}

void engine_free(struct engine *engine)
{
	if (!engine)
		return;
	struct news *news, *following;
	list_foreach_safe (news, following, &engine->news, link)
		news_free(engine, news);
	channel_free(engine->channel);
	loop_source_free(engine->timer);
	free(engine);
}

/* Telling */

static int engine_send_exited(struct engine *engine, const struct news *news)
{
	char data[HOLDER_MESSAGE_MAX];
	const struct holder_message message = {
		.type = HOLDER_EXITED, .kind = news->kind, .id = news->id, .pid = news->pid, .status = news->status
	};
	int len = holder_message_encode(&message, data, sizeof data);
	return len < 0 ? len : channel_send(engine->channel, data, (size_t)len, NULL, 0);
}

static void engine_flush_news(struct engine *engine)
{
	struct news *news, *following;
	list_foreach_safe (news, following, &engine->news, link) {
		if (!engine->channel || engine_send_exited(engine, news) < 0)
			return;
		news_free(engine, news);
	}
}

void engine_tell_exited(struct engine *engine, enum holder_kind kind, const char *id, pid_t pid, int status)
{
	size_t size = strlen(id) + 1;
	struct news *news = malloc(sizeof *news + size);
	if (!news) {
		log_error("out of memory: the end of %s is not told", id);
		return;
	}
	news->kind = kind;
	news->pid = pid;
	news->status = status;
	memcpy(news->id, id, size);
	list_append(&engine->news, &news->link);
	if (++engine->news_count > ENGINE_NEWS_MAX)
		news_free(engine, container_of(engine->news.next, struct news, link));
	engine_flush_news(engine);
}

/* Hearing */

static void engine_on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count,
	void *user)
{
	(void)channel;
	struct engine *engine = user;
	struct holder_message message;
	int r = holder_message_decode(data, len, &message);
	if (r < 0)
		log_warn("the engine sent a message that is %s",
			r == -EPROTONOSUPPORT ? "newer than this tared" : "broken");
	else if (message.type == HOLDER_SPAWN && message.kind != HOLDER_ENGINE)
		engine->config.on_spawn(&message, fds, fd_count, engine->config.user);
}

static void engine_on_closed(struct channel *channel, void *user)
{
	struct engine *engine = user;
	channel_free(channel);
	engine->channel = NULL;
	if (!engine->stopping)
		loop_timer_set(engine->timer, clock_monotonic_ms() + ENGINE_DEAF_MS);
}

/* Starting */

static char **engine_argv(const struct options *options)
{
	const char *const fixed[] = { "tare-engine", "--data-root", options->data_root, "--exec-root",
		options->exec_root, "--log-level", options->log_name };
	_autofree_(strv) char **argv = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++)
		if (strv_append(&argv, fixed[i]) < 0)
			return NULL;
	if (strv_extend(&argv, options->engine) < 0)
		return NULL;
	return TAKE(argv);
}

static int engine_spawn(struct engine *engine, int channel_fd, struct err **reterr)
{
	const struct engine_config *config = &engine->config;
	int fds[1 + LISTENERS_MAX] = { channel_fd };
	for (size_t i = 0; i < config->listeners->count; i++)
		fds[1 + i] = config->listeners->items[i].fd;
	_autofree_(strv) char **argv = engine_argv(config->options);
	if (!argv)
		return err_oom(reterr);
	int r = programs_spawn(config->programs, HOLDER_ENGINE, argv, fds, 1 + config->listeners->count, &engine->pid);
	if (r < 0)
		return err_errno(reterr, r, "cannot run %s", config->programs->items[HOLDER_ENGINE].path);
	return 0;
}

int engine_start(struct engine *engine, struct err **reterr)
{
	int pair[2];
	int r = channel_pair(pair);
	if (r < 0)
		return err_errno(reterr, r, "cannot make a socket pair");
	_autoclose_ int theirs = pair[1];
	r = channel_new(engine->config.loop, pair[0], engine_on_message, engine_on_closed, engine, &engine->channel);
	if (r < 0)
		return err_errno(reterr, r, "cannot watch a socket");
	r = engine_spawn(engine, theirs, reterr);
	if (r < 0) {
		channel_free(TAKE(engine->channel));
		return r;
	}
	engine->started_ms = clock_monotonic_ms();
	log_debug("the engine is process %d", engine->pid);
	engine_flush_news(engine);
	return 0;
}

/* Starting again */

static void engine_refill(struct engine *engine, int64_t now_ms)
{
	int64_t earned = (now_ms - engine->refilled_ms) / ENGINE_REFILL_MS;
	engine->refilled_ms += earned * ENGINE_REFILL_MS;
	engine->budget = earned > ENGINE_BURST - engine->budget ? ENGINE_BURST : engine->budget + (int)earned;
}

static void engine_start_again(struct engine *engine)
{
	int64_t now_ms = clock_monotonic_ms();
	engine_refill(engine, now_ms);
	_autofree_(err) struct err *err = NULL;
	if (engine->budget > 0) {
		engine->budget--;
		if (engine_start(engine, &err) == 0)
			return;
		log_error("%s; trying again in %d ms", err_message(err), ENGINE_REFILL_MS);
		loop_timer_set(engine->timer, now_ms + ENGINE_REFILL_MS);
		return;
	}
	int64_t at_ms = engine->refilled_ms + ENGINE_REFILL_MS;
	log_warn("the engine ends as fast as it starts: next start in %d ms", (int)(at_ms - now_ms));
	loop_timer_set(engine->timer, at_ms);
}

static void engine_on_timer(struct loop_source *source, void *data)
{
	(void)source;
	struct engine *engine = data;
	if (engine->pid == 0) {
		engine_start_again(engine);
		return;
	}
	log_warn("the engine does not end, killing it");
	kill(engine->pid, SIGKILL); /* unreaped, so the pid is still its own */
}

static void log_end(int status)
{
	if (WIFSIGNALED(status))
		log_warn("the engine was ended by signal %d", WTERMSIG(status));
	else
		log_warn("the engine ended with status %d", WEXITSTATUS(status));
}

bool engine_reaped(struct engine *engine, pid_t pid, int status)
{
	if (engine->pid != pid)
		return false;
	engine->pid = 0;
	if (engine->channel)
		channel_drain(engine->channel); /* what it asked for in its last moment may hold a client */
	channel_free(TAKE(engine->channel));
	loop_timer_set(engine->timer, LOOP_NEVER);
	if (engine->stopping) {
		loop_quit(engine->config.loop, 0);
		return true;
	}
	log_end(status);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != HOLDER_EXIT_CANNOT_START)
		engine->settled = engine->settled || clock_monotonic_ms() - engine->started_ms >= ENGINE_SETTLED_MS;
	else if (!engine->settled) {
		log_error("the engine can't serve %s, and said why", engine->config.options->data_root);
		loop_quit(engine->config.loop, HOLDER_EXIT_CANNOT_START);
		return true;
	}
	engine_start_again(engine);
	return true;
}

void engine_stop(struct engine *engine)
{
	engine->stopping = true;
	if (engine->pid == 0) {
		loop_quit(engine->config.loop, 0);
		return;
	}
	kill(engine->pid, SIGTERM);
	loop_timer_set(engine->timer, clock_monotonic_ms() + ENGINE_STOP_MS);
}
