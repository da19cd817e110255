#include "engine/holder_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/monitor_link.h"
#include "engine/workers.h"
#include "sys/channel.h"

struct holder_link {
	struct engine *engine;
	struct channel *channel;
};

static const char *const program_names[] = {
	[HOLDER_ENGINE] = "tare-engine",
	[HOLDER_MONITOR] = "tare-monitor",
	[HOLDER_WORKER] = "tare-worker",
	[HOLDER_TRANSFER] = "tare-transfer",
	[HOLDER_NETWORK] = "tare-network",
};

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	struct holder_link *link = user;
	struct holder_message message;
	(void)channel;
	(void)fds;
	(void)fd_count;
	int r = holder_message_decode(data, len, &message);
	if (r == -EPROTONOSUPPORT)
		return;
	if (r < 0) {
		log_error("tared sent a message that is none: %s", strerror(-r));
		return;
	}
	if (message.type != HOLDER_EXITED)
		return;
	if (message.kind == HOLDER_MONITOR)
		monitor_link_child_ended(link->engine, message.id, message.pid, message.status);
	else if (message.kind == HOLDER_WORKER || message.kind == HOLDER_TRANSFER || message.kind == HOLDER_NETWORK)
		workers_child_ended(link->engine->workers, message.id, message.pid, message.status);
}

static void on_closed(struct channel *channel, void *user)
{
	struct holder_link *link = user;
	(void)channel;
	log_info("tared is gone: so are we");
	loop_quit(link->engine->loop, 0);
}

int holder_link_new(struct engine *engine, int fd, struct holder_link **ret, struct err **reterr)
{
	struct holder_link *link = calloc(1, sizeof(*link));
	if (!link) {
		close(fd);
		return err_oom(reterr);
	}
	link->engine = engine;
	int r = channel_new(engine->loop, fd, on_message, on_closed, link, &link->channel);
	if (r < 0) {
		free(link);
		return err_errno(reterr, r, "cannot watch the channel to tared");
	}
	*ret = link;
	return 0;
}

void holder_link_free(struct holder_link *link)
{
	if (!link)
		return;
	channel_free(link->channel);
	free(link);
}

static int encode_spawn(enum holder_kind kind, const char *id, char *const *argv, char *out, size_t size)
{
	struct holder_message message = { .type = HOLDER_SPAWN, .kind = kind, .id = id };
	message.argv[message.argc++] = program_names[kind];
	for (; *argv; argv++) {
		if (message.argc == HOLDER_ARGV_MAX)
			return -E2BIG;
		message.argv[message.argc++] = *argv;
	}
	return holder_message_encode(&message, out, size);
}

int holder_link_spawn(struct holder_link *link, enum holder_kind kind, const char *id, char *const *argv, int *ret_fd,
	struct err **reterr)
{
	char data[HOLDER_MESSAGE_MAX];
	int pair[2];
	int len = encode_spawn(kind, id, argv, data, sizeof(data));
	if (len < 0)
		return err_errno(reterr, len, "cannot ask tared for a %s", program_names[kind]);
	int r = channel_pair(pair);
	if (r < 0)
		return err_errno(reterr, r, "cannot make a channel to a new %s", program_names[kind]);
	r = channel_send(link->channel, data, (size_t)len, &pair[1], 1);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		return err_errno(reterr, r, "cannot ask tared for a %s", program_names[kind]);
	}
	*ret_fd = pair[0];
	return 0;
}

int holder_link_spawn_monitor(struct engine *engine, const char *id, int *ret_fd, struct err **reterr)
{
	char *const argv[] = { (char *)"--exec-root", engine->exec_root, (char *)"--data-root", engine->data_root,
		(char *)"--id", (char *)id, NULL };
	return holder_link_spawn(engine->holder, HOLDER_MONITOR, id, argv, ret_fd, reterr);
}
