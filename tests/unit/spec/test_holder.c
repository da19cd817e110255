#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "spec/holder.h"

static void a_spawn_comes_back_as_it_went(void **state)
{
	(void)state;
	const struct holder_message sent = {
		.type = HOLDER_SPAWN,
		.kind = HOLDER_MONITOR,
		.id = "0123456789abcdef",
		.argc = 3,
		.argv = { "tare-monitor", "--id", "" },
	};
	char wire[HOLDER_MESSAGE_MAX];
	int len = holder_message_encode(&sent, wire, sizeof wire);
	assert_true(len > 0);

	struct holder_message got;
	assert_int_equal(holder_message_decode(wire, (size_t)len, &got), 0);
	assert_int_equal(got.type, HOLDER_SPAWN);
	assert_int_equal(got.kind, HOLDER_MONITOR);
	assert_string_equal(got.id, sent.id);
	assert_int_equal(got.argc, 3);
	for (size_t i = 0; i < 3; i++)
		assert_string_equal(got.argv[i], sent.argv[i]);
	assert_null(got.argv[3]);
}

static void an_exit_carries_its_status(void **state)
{
	(void)state;
	const struct holder_message sent = {
		.type = HOLDER_EXITED, .kind = HOLDER_WORKER, .id = "load-1", .pid = 77, .status = -ENOENT
	};
	char wire[64];
	int len = holder_message_encode(&sent, wire, sizeof wire);
	struct holder_message got;
	assert_int_equal(holder_message_decode(wire, (size_t)len, &got), 0);
	assert_int_equal(got.pid, 77);
	assert_int_equal(got.status, -ENOENT);
	assert_int_equal(got.argc, 0);
}

static void senseless_messages_are_not_sent(void **state)
{
	(void)state;
	char wire[HOLDER_MESSAGE_MAX];
	struct holder_message message = {
		.type = HOLDER_SPAWN, .kind = HOLDER_WORKER, .id = "a", .argc = 1, .argv = { "x" }
	};
	assert_true(holder_message_encode(&message, wire, sizeof wire) > 0);

	message.id = "a/b";
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.id = "";
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.id = NULL;
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.id = "a";
	message.argc = 0;
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.argc = 2; /* argv[1] is NULL */
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.argc = 1;
	message.kind = 0;
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
}

static void limits_hold_at_their_edges(void **state)
{
	(void)state;
	char wire[HOLDER_MESSAGE_MAX + 1];
	char id[HOLDER_ID_MAX + 2];
	memset(id, 'i', sizeof id);
	struct holder_message message = {
		.type = HOLDER_SPAWN, .kind = HOLDER_WORKER, .id = id, .argc = 1, .argv = { "x" }
	};
	id[HOLDER_ID_MAX + 1] = '\0';
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	id[HOLDER_ID_MAX] = '\0';
	assert_true(holder_message_encode(&message, wire, sizeof wire) > 0);

	message.argc = HOLDER_ARGV_MAX + 1;
	for (size_t i = 0; i <= HOLDER_ARGV_MAX; i++)
		message.argv[i] = "x";
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EINVAL);
	message.argc = HOLDER_ARGV_MAX;
	assert_true(holder_message_encode(&message, wire, sizeof wire) > 0);

	/* Header, "a", NUL, then what fills the packet to the last byte, and one more. */
	static char filler[HOLDER_MESSAGE_MAX];
	memset(filler, 'f', sizeof filler);
	message.id = "a";
	message.argc = 1;
	message.argv[0] = filler;
	filler[HOLDER_MESSAGE_MAX - 24 - 2 - 1] = '\0';
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), HOLDER_MESSAGE_MAX);
	filler[HOLDER_MESSAGE_MAX - 24 - 2 - 1] = 'f';
	filler[HOLDER_MESSAGE_MAX - 24 - 2] = '\0';
	assert_int_equal(holder_message_encode(&message, wire, sizeof wire), -EMSGSIZE);
	assert_int_equal(holder_message_encode(&message, wire, 23), -EMSGSIZE);
}

static void every_cut_and_every_flipped_bit_is_survived(void **state)
{
	(void)state;
	const struct holder_message sent = {
		.type = HOLDER_SPAWN, .kind = HOLDER_ENGINE, .id = "engine", .argc = 2, .argv = { "tare-engine", "-D" }
	};
	char wire[256], copy[256];
	size_t len = (size_t)holder_message_encode(&sent, wire, sizeof wire);
	struct holder_message got;
	for (size_t cut = 0; cut < len; cut++)
		assert_int_equal(holder_message_decode(wire, cut, &got), -EBADMSG);
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(copy, wire, len);
		copy[bit / 8] = (char)(copy[bit / 8] ^ (1 << bit % 8));
		int r = holder_message_decode(copy, len, &got);
		assert_true(r == 0 || r == -EBADMSG || r == -EPROTONOSUPPORT);
		for (size_t i = 0; r == 0 && i < got.argc; i++)
			assert_true(strlen(got.argv[i]) < len);
	}
}

static void an_unknown_type_is_told_apart_from_garbage(void **state)
{
	(void)state;
	const struct holder_message sent = { .type = HOLDER_EXITED, .kind = HOLDER_ENGINE, .id = "engine" };
	char wire[64];
	size_t len = (size_t)holder_message_encode(&sent, wire, sizeof wire);
	struct holder_message got;
	wire[6] = 9; /* type */
	assert_int_equal(holder_message_decode(wire, len, &got), -EPROTONOSUPPORT);
	wire[0] = 'x';
	assert_int_equal(holder_message_decode(wire, len, &got), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spawn_comes_back_as_it_went),
		cmocka_unit_test(an_exit_carries_its_status),
		cmocka_unit_test(senseless_messages_are_not_sent),
		cmocka_unit_test(limits_hold_at_their_edges),
		cmocka_unit_test(every_cut_and_every_flipped_bit_is_survived),
		cmocka_unit_test(an_unknown_type_is_told_apart_from_garbage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
