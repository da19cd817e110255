/* A client's connection that ends on our side: nothing of what the client does is needed for that. */
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "../unit.h"
#include "base/clock.h"
#include "monitor/session.h"

#define PATIENCE_MS 10000

struct heard {
	struct loop *loop;
	char said[64];
	size_t len;
	int ends;
	int gone;
};

static size_t input_room(struct session *session, void *user)
{
	(void)session;
	(void)user;
	return 4;
}

static void input(struct session *session, const char *data, size_t len, void *user)
{
	(void)session;
	struct heard *heard = user;
	assert_true(heard->len + len < sizeof heard->said);
	memcpy(heard->said + heard->len, data, len);
	heard->len += len;
}

static void input_end(struct session *session, void *user)
{
	struct heard *heard = user;
	heard->ends++;
	session_end(session);
}

static void gone(struct session *session, void *user)
{
	struct heard *heard = user;
	heard->gone++;
	session_free(session);
	loop_quit(heard->loop, 0);
}

static const struct session_ops ops = {
	.input_room = input_room,
	.input = input,
	.input_end = input_end,
	.gone = gone,
};

static void on_patience(struct loop_source *source, void *data)
{
	(void)source;
	struct heard *heard = data;
	loop_quit(heard->loop, 1);
}

/* What the client has said is heard to its end, and the session is over, though the client neither closes nor reads. */
static void drop_one(const char *said)
{
	struct heard heard = { 0 };
	struct session *session;
	struct loop_source *patience;
	int pair[2];
	char byte;

	assert_int_equal(loop_new(&heard.loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[1], said, strlen(said)), strlen(said));
	assert_int_equal(session_new(heard.loop, pair[0], NULL, 0, &ops, &heard, &session), 0);
	assert_int_equal(loop_add_timer(heard.loop, clock_monotonic_ms() + PATIENCE_MS, on_patience, &heard, &patience),
		0);
	session_drop(session);
	session_resume(session);
	assert_int_equal(loop_run(heard.loop), 0);
	assert_int_equal(heard.gone, 1);
	assert_int_equal(heard.ends, 1);
	assert_int_equal(heard.len, strlen(said));
	assert_memory_equal(heard.said, said, heard.len);
	assert_int_equal(read(pair[1], &byte, 1), 0);
	close(pair[1]);
	loop_source_free(patience);
	loop_free(heard.loop);
}

static void a_dropped_session_ends_without_its_client(void **state)
{
	(void)state;
	drop_one("");
	drop_one("said before");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_dropped_session_ends_without_its_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
