#include "network/program.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "network/bridge.h"
#include "spec/messages.h"
#include "sys/channel.h"

#define CHANNEL_FD 3
#define EXIT_USAGE 2

static int make_one(json_t *document, const char *owner, struct err **reterr)
{
	struct lease_bridge bridge = { 0 };
	int r = json_read(&lease_bridge_table, document, &bridge, reterr);
	if (r < 0)
		return r;
	r = lease_bridge_validate(&bridge, "make", reterr);
	if (r == 0 && bridge.bridge[0])
		r = bridge_make(&bridge, owner, reterr);
	json_finish(&lease_bridge_table, &bridge);
	return r;
}

static int do_job(const struct message *message, struct err **reterr)
{
	const char *owner = message_string(message, "owner");
	json_t *item;
	size_t i;
	int r = owner ? 0 : err_set(reterr, ERR_INVALID, 0, "a job without its owner");
	json_array_foreach (json_object_get(message->body, "make"), i, item) {
		if (r == 0)
			r = make_one(item, owner, reterr);
	}
	json_array_foreach (json_object_get(message->body, "remove"), i, item) {
		const char *name = json_string_value(item);
		if (r == 0 && name && lease_is_interface(name))
			r = bridge_remove(name, owner, reterr);
	}
	return r;
}

static void answer(json_t *body)
{
	_autojson_ json_t *owned = body;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	/* An engine that has gone asks again when it is back. */
	if (message_pack(owned, NULL, 0, &text) == 0)
		message_send(CHANNEL_FD, text.data, text.len, NULL, 0);
}

static int handle(const struct message *message)
{
	_autofree_(err) struct err *err = NULL;
	const char *kind = message_string(message, "kind");
	if (strcmp(message->op, "job") != 0 || !kind || strcmp(kind, "network") != 0) {
		answer(message_unsupported(message->id, kind ? kind : message->op));
		return EXIT_FAILURE;
	}
	if (do_job(message, &err) < 0)
		answer(message_error(message->id, err));
	else
		answer(message_done(message->id));
	return EXIT_SUCCESS;
}

static int one_message(void)
{
	_cleanup_free_ char *data = malloc(CHANNEL_MESSAGE_MAX);
	_autofree_(err) struct err *err = NULL;
	struct message message;
	int fds[CHANNEL_FDS_MAX];
	size_t count;
	if (!data)
		return EXIT_FAILURE;
	ssize_t len = message_receive(CHANNEL_FD, data, CHANNEL_MESSAGE_MAX, fds, &count);
	if (len <= 0)
		return len == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fd_close(&fds[i]);
	if (message_parse(data, (size_t)len, &message, &err) < 0) {
		log_error("the engine's message: %s", err_message(err));
		return EXIT_FAILURE;
	}
	int status = handle(&message);
	message_finish(&message);
	return status;
}

int network_main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "data-root", required_argument, NULL, 'd' },
		{ "exec-root", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	int c;
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c != 'd' && c != 'e') {
			fputs("usage: tare-network --data-root PATH --exec-root PATH, started by tared\n", stderr);
			return EXIT_USAGE;
		}
	}
	log_setup("tare-network", LOG_LEVEL_INFO);
	fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	return one_message();
}
