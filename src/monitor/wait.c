/*
 * The head is sent at once, so that the client knows it will not miss the end; the body is the exit status. A container
 * that never ran answers not-running with 0, as Docker does.
 */
#include "monitor/wait.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "monitor/monitor.h"

#define ANSWER_MAX (64 * 1024)

enum wait_condition { WAIT_NOT_RUNNING, WAIT_NEXT_EXIT, WAIT_REMOVED };

struct wait {
	struct list link;
	struct monitor *monitor;
	enum wait_condition condition;
	struct session *session;
	struct client_body body;
	bool is_answered;
};

static void on_gone(struct session *session, void *user)
{
	struct wait *wait = user;
	struct monitor *monitor = wait->monitor;
	session_free(session);
	list_remove(&wait->link);
	free(wait);
	monitor_client_end(monitor);
}

static const struct session_ops session_ops = { .gone = on_gone };

/* {"StatusCode":N} and, if the last start failed, {"Error":{"Message":...}}; who waits for the removal hears of no error, since
 * the removal went well: `docker run --rm` prints what it is told here above the error of the start itself. */
static int print_status(const struct wait *wait, struct buf *out)
{
	const struct runstate *state = &wait->monitor->state;
	_autojson_ json_t *body = json_object();
	int ret = message_add(body, "StatusCode", json_integer(state->exit_code));
	if (ret == 0 && wait->condition != WAIT_REMOVED && state->error && *state->error)
		ret = message_add(body, "Error", json_pack("{s:s}", "Message", state->error));
	return ret ?: json_print_value(body, out) ?: buf_putc(out, '\n');
}

static void wait_answer(struct wait *wait)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(ANSWER_MAX);

	if (wait->is_answered)
		return;
	wait->is_answered = true;
	if (print_status(wait, &text) < 0) {
		session_end(wait->session); /* cut off is an error to every client */
		return;
	}
	client_send_body(wait->session, &wait->body, text.data, text.len);
	client_end_body(wait->session, &wait->body);
}

void wait_answer_exit(struct monitor *monitor)
{
	struct wait *wait;
	list_foreach (wait, &monitor->waits, link)
		if (wait->condition != WAIT_REMOVED)
			wait_answer(wait);
}

void wait_answer_removed(struct monitor *monitor)
{
	struct wait *wait;
	list_foreach (wait, &monitor->waits, link)
		wait_answer(wait);
}

static int condition_parse(const char *name, enum wait_condition *ret, struct err **reterr)
{
	static const char *const names[] = { "not-running", "next-exit", "removed" };

	*ret = WAIT_NOT_RUNNING;
	if (!name || !*name)
		return 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], name) != 0)
			continue;
		*ret = (enum wait_condition)i;
		return 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "invalid condition: \"%s\"", name);
}

static bool is_met(const struct wait *wait)
{
	switch (wait->condition) {
	case WAIT_NOT_RUNNING: return wait->monitor->phase == PHASE_IDLE;
	case WAIT_REMOVED: return wait->monitor->removed;
	case WAIT_NEXT_EXIT: break;
	}
	return false;
}

int wait_handover(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	struct wait *wait = calloc(1, sizeof *wait);
	if (!wait)
		return err_oom(reterr);
	wait->monitor = monitor;
	int ret = condition_parse(client->handover->wait->condition, &wait->condition, reterr);
	if (ret == 0)
		ret = client_accept(monitor, client, &session_ops, wait, &wait->session, reterr);
	if (ret < 0) {
		free(wait);
		return ret;
	}
	list_append(&monitor->waits, &wait->link);
	client_answer_body(client, wait->session, "application/json", &wait->body);
	if (is_met(wait))
		wait_answer(wait);
	return 0;
}
