#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "spec/handover.h"
#include "spec/messages.h"

#include "sweep.h"

static void parse_ok(const char *data, size_t len, struct message *out)
{
	_autofree_(err) struct err *err = NULL;
	if (message_parse(data, len, out, &err) < 0)
		fail_msg("%s", err_message(err));
}

/* Packs a built message, frees it, and parses what went over the wire. */
static void send_and_parse(json_t *body, const char *surplus, struct buf *wire, struct message *out)
{
	assert_int_equal(message_pack(body, surplus, surplus ? strlen(surplus) : 0, wire), 0);
	json_decref(body);
	parse_ok(wire->data, wire->len, out);
}

static void an_envelope_has_op_version_and_id(void **state)
{
	(void)state;
	struct message message;
	static const char text[] =
		"{\"v\":3,\"op\":\"stop\",\"id\":0,\"signal\":\"TERM\",\"timeout_s\":-1,\"on\":true,\"new\":{}}";
	parse_ok(text, strlen(text), &message);
	assert_string_equal(message.op, "stop");
	assert_int_equal(message.version, 3);
	assert_int_equal(message.id, 0);
	assert_null(message.surplus);
	assert_string_equal(message_string(&message, "signal"), "TERM");
	assert_null(message_string(&message, "timeout_s"));
	assert_int_equal(message_int(&message, "timeout_s", 10), -1);
	assert_int_equal(message_int(&message, "signal", 10), 10);
	assert_true(message_bool(&message, "on"));
	assert_false(message_bool(&message, "signal"));
	message_finish(&message);
	assert_int_equal(message.id, MESSAGE_NO_ID);
}

static void what_is_no_message_is_refused(void **state)
{
	(void)state;
	static const char *const texts[] = { "", "[]", "{}", "{\"op\":\"x\"}", "{\"v\":1}", "{\"v\":1,\"op\":5}",
		"{\"v\":\"1\",\"op\":\"x\"}", "{\"v\":0,\"op\":\"x\"}", "{\"v\":1,\"op\":\"x\",\"id\":\"7\"}",
		"{\"v\":1,\"op\":\"x\",\"id\":-1}", "{\"v\":1,\"op\":\"x\"", "5", "null" };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		_autofree_(err) struct err *err = NULL;
		struct message message;
		assert_int_equal(message_parse(texts[i], strlen(texts[i]), &message, &err), -EINVAL);
		assert_non_null(err);
		assert_null(message.body);
	}
}

static void surplus_bytes_follow_a_nul(void **state)
{
	(void)state;
	static const char wire[] = "{\"v\":1,\"op\":\"x\"}\0{\0}";
	struct message message;
	parse_ok(wire, sizeof wire - 1, &message);
	assert_int_equal(message.surplus_len, 3);
	assert_memory_equal(message.surplus, "{\0}", 3);
	message_finish(&message);
	parse_ok(wire, strlen(wire) + 1, &message); /* a NUL, and nothing after it */
	assert_null(message.surplus);
	assert_int_equal(message.surplus_len, 0);
	message_finish(&message);
}

static void answers_carry_errors_whole(void **state)
{
	(void)state;
	for (enum err_kind kind = 0; kind < ERR_KIND_COUNT; kind++) {
		_autofree_(err) struct err *sent = NULL, *got = NULL;
		_cleanup_(buf_finish) struct buf wire = BUF_INIT(4096);
		struct message answer;
		err_set(&sent, kind, 0, "it \"went\" wrong: %s", "\xc3\xa9");
		send_and_parse(message_error(9, sent), NULL, &wire, &answer);
		assert_int_equal(answer.id, 9);
		assert_true(message_outcome(&answer, &got) < 0);
		assert_int_equal(got->kind, kind);
		assert_int_equal(got->errnum, sent->errnum);
		assert_string_equal(got->message, sent->message);
		message_finish(&answer);
	}
}

static void expect_outcome(const char *text, int r, const char *sentence)
{
	_autofree_(err) struct err *err = NULL;
	struct message answer;
	parse_ok(text, strlen(text), &answer);
	assert_int_equal(message_outcome(&answer, &err), r);
	if (r < 0)
		assert_string_equal(err_message(err), sentence);
	message_finish(&answer);
}

static void outcomes_are_told_apart(void **state)
{
	(void)state;
	expect_outcome("{\"v\":1,\"op\":\"done\",\"id\":1}", 0, NULL);
	expect_outcome("{\"v\":1,\"op\":\"ack\",\"id\":1}", 0, NULL);
	expect_outcome("{\"v\":1,\"op\":\"error\",\"id\":1}", -err_kind_errno(ERR_INTERNAL), "error without a message");
	expect_outcome("{\"v\":1,\"op\":\"error\",\"id\":1,\"kind\":\"newfangled\",\"message\":\"m\",\"errno\":1e3}",
		-err_kind_errno(ERR_INTERNAL), "m");
	expect_outcome("{\"v\":1,\"op\":\"error\",\"id\":1,\"kind\":\"not-found\",\"message\":\"m\",\"errno\":-5}",
		-err_kind_errno(ERR_NOT_FOUND), "m");
	expect_outcome("{\"v\":1,\"op\":\"hello\",\"id\":1}", -err_kind_errno(ERR_INTERNAL), "unexpected answer hello");

	_cleanup_(buf_finish) struct buf wire = BUF_INIT(4096);
	_autofree_(err) struct err *err = NULL;
	struct message answer;
	send_and_parse(message_unsupported(3, "dance"), NULL, &wire, &answer);
	message_outcome(&answer, &err);
	assert_int_equal(err->kind, ERR_UNSUPPORTED);
	assert_string_equal(err->message, "this version does not know the operation dance");
	message_finish(&answer);
}

static void an_error_that_is_no_utf8_is_still_an_error(void **state)
{
	(void)state;
	_autofree_(err) struct err *sent = NULL, *got = NULL;
	_cleanup_(buf_finish) struct buf wire = BUF_INIT(4096);
	struct message answer;
	err_set(&sent, ERR_CONFLICT, 0, "no such file: \xff");
	send_and_parse(message_error(1, sent), NULL, &wire, &answer);
	assert_true(message_outcome(&answer, &got) < 0);
	assert_int_equal(got->kind, ERR_CONFLICT);
	message_finish(&answer);
}

static void hello_and_events_carry_the_state(void **state)
{
	(void)state;
	struct runstate run, read_back;
	const struct run_event *event;
	struct run_event event_back;
	char *execs[] = { "e1", "e2", NULL };
	struct message message;
	assert_int_equal(runstate_init(&run), 0);
	assert_int_equal(runstate_add_event(&run, "start", 77, NULL, &event), 0);

	_cleanup_(buf_finish) struct buf wire = BUF_INIT(4096);
	send_and_parse(message_hello_answer(4, &run, execs), NULL, &wire, &message);
	assert_int_equal(message_document(&message, "state", &runstate_table, &read_back, NULL), 0);
	assert_int_equal(read_back.last_seq, 1);
	assert_int_equal(json_array_size(json_object_get(message.body, "execs")), 2);
	runstate_finish(&read_back);
	assert_int_equal(message_document(&message, "execs", &runstate_table, &read_back, NULL), -EINVAL);
	assert_int_equal(message_document(&message, "absent", &runstate_table, &read_back, NULL), -EINVAL);
	message_finish(&message);

	buf_reset(&wire);
	send_and_parse(message_event(event, &run), NULL, &wire, &message);
	assert_string_equal(message.op, "event");
	assert_int_equal(message.id, MESSAGE_NO_ID);
	assert_int_equal(message_int(&message, "seq", 0), 1);
	assert_int_equal(json_read(&run_event_table, message.body, memset(&event_back, 0, sizeof event_back), NULL), 0);
	assert_string_equal(event_back.type, "start");
	json_finish(&run_event_table, &event_back);
	message_finish(&message);
	runstate_finish(&run);

	buf_reset(&wire);
	send_and_parse(message_hello(1, 12), NULL, &wire, &message);
	assert_int_equal(message_int(&message, "acked", 0), 12);
	message_finish(&message);
	buf_reset(&wire);
	send_and_parse(message_acked(13), NULL, &wire, &message);
	assert_int_equal(message_int(&message, "seq", 0), 13);
	message_finish(&message);
}

static void out_of_memory_runs_through_a_chain(void **state)
{
	(void)state;
	struct buf out = BUF_INIT(100);
	assert_int_equal(message_add(NULL, "k", json_integer(1)), -ENOMEM);
	json_t *body = message_done(1);
	assert_int_equal(message_add(body, "k", NULL), -ENOMEM);
	assert_int_equal(message_pack(NULL, NULL, 0, &out), -ENOMEM);
	struct buf small = BUF_INIT(10);
	assert_int_equal(message_pack(body, NULL, 0, &small), -EFBIG);
	json_decref(body);
	buf_finish(&small);
	buf_finish(&out);
}

/* --- hand-over --- */

static const char *const requests[] = {
	"{\"kind\":\"attach\",\"method\":\"POST\",\"api_minor\":50,\"container\":\"c\",\"container_name\":\"n\",\"peer_uid\":7,"
	"\"body\":{\"content_length\":0,\"expect_continue\":true,\"upgrade\":true,\"http_minor\":1},"
	"\"attach\":{\"stream\":true,\"logs\":true,\"stdin\":true,\"stdout\":true,\"stderr\":true,\"detach_keys\":\"a\"}}",
	"{\"kind\":\"wait\",\"method\":\"POST\",\"wait\":{\"condition\":\"next-exit\"}}",
	"{\"kind\":\"logs\",\"method\":\"GET\",\"logs\":{\"follow\":true,\"stdout\":true,\"stderr\":true,\"timestamps\":true,"
	"\"details\":true,\"since\":1,\"until\":2,\"tail\":-1}}",
	"{\"kind\":\"exec-start\",\"method\":\"POST\",\"exec_start\":{\"exec\":\"e\",\"detach\":true,\"tty\":true,"
	"\"console_height\":1,\"console_width\":2,\"detach_keys\":\"k\"}}",
	"{\"kind\":\"stats\",\"method\":\"GET\",\"stats\":{\"stream\":true,\"one_shot\":true}}",
	"{\"kind\":\"load\",\"method\":\"POST\",\"body\":{\"chunked\":true},\"load\":{\"quiet\":true,\"platform\":\"p\"}}",
	"{\"kind\":\"import\",\"method\":\"POST\",\"import\":{\"repo\":\"r\",\"tag\":\"t\",\"message\":\"m\","
	"\"changes\":[\"CMD x\"],\"platform\":\"p\"}}",
};

static int read_request(const char *text, struct handover *out, struct err **reterr)
{
	_autojson_ json_t *value = NULL;
	assert_int_equal(json_load(text, strlen(text), &value, NULL), 0);
	const struct message message = { .op = "handover", .body = json_pack("{s:O}", "request", value) };
	int r = handover_read(&message, out, reterr);
	json_decref(message.body);
	return r;
}

static void requests_of_every_kind_go_over(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		sweep_round_trip(&handover_table, requests[i]);
		sweep_members(&handover_table, requests[i], NULL);

		struct handover request, got;
		struct message message;
		_cleanup_(buf_finish) struct buf wire = BUF_INIT(4096);
		assert_int_equal(read_request(requests[i], &request, NULL), 0);
		assert_int_equal(handover_kind(&request), i);
		assert_string_equal(handover_kind_name((enum handover_kind)i), request.kind);
		send_and_parse(handover_message(5, &request), "GET", &wire, &message);
		assert_string_equal(message.op, "handover");
		assert_int_equal(message.surplus_len, 3);
		assert_int_equal(handover_read(&message, &got, NULL), 0);
		assert_string_equal(got.kind, request.kind);
		handover_finish(&got);
		handover_finish(&request);
		message_finish(&message);
	}
}

static void senseless_requests_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		enum err_kind kind;
		const char *message;
	} cases[] = {
		{ "{\"kind\":\"teleport\",\"method\":\"GET\"}", ERR_UNSUPPORTED,
			"hand-over of unknown kind \"teleport\"" },
		{ "{\"kind\":\"wait\",\"method\":\"GET\"}", ERR_INVALID,
			"hand-over of kind wait without its parameters" },
		{ "{\"kind\":\"wait\",\"method\":\"GET\",\"wait\":{\"condition\":\"rain\"}}", ERR_INVALID,
			"invalid condition: \"rain\"" },
		{ "{\"kind\":\"load\",\"method\":\"GET\",\"load\":{},\"body\":{\"content_length\":1,\"chunked\":true}}",
			ERR_INVALID, "hand-over with a senseless body length" },
		{ "{\"kind\":\"load\",\"method\":\"GET\",\"load\":{},\"body\":{\"content_length\":-1}}", ERR_INVALID,
			"hand-over with a senseless body length" },
		{ "{\"kind\":\"load\"}", ERR_INVALID, "invalid hand-over: method: is required" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(err) struct err *err = NULL;
		struct handover request;
		assert_true(read_request(cases[i].text, &request, &err) < 0);
		assert_int_equal(err->kind, cases[i].kind);
		assert_string_equal(err->message, cases[i].message);
	}
	_autofree_(err) struct err *err = NULL;
	struct handover request;
	const struct message empty = { .op = "handover", .body = json_object() };
	assert_int_equal(handover_read(&empty, &request, &err), -EINVAL);
	assert_string_equal(err_message(err), "hand-over without a request");
	json_decref(empty.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_envelope_has_op_version_and_id),
		cmocka_unit_test(what_is_no_message_is_refused),
		cmocka_unit_test(surplus_bytes_follow_a_nul),
		cmocka_unit_test(answers_carry_errors_whole),
		cmocka_unit_test(outcomes_are_told_apart),
		cmocka_unit_test(an_error_that_is_no_utf8_is_still_an_error),
		cmocka_unit_test(hello_and_events_carry_the_state),
		cmocka_unit_test(out_of_memory_runs_through_a_chain),
		cmocka_unit_test(requests_of_every_kind_go_over),
		cmocka_unit_test(senseless_requests_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
