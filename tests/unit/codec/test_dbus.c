/* Written messages read again, values in text form byte by byte, and what is refused. */
#include <errno.h>
#include <string.h>

#include "codec/dbus.h"
#include "codec/dbus_text.h"

#include "unit.h"

static void test_a_call(void **state)
{
	(void)state;
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	_cleanup_(buf_finish) struct buf out = BUF_INIT(DBUS_MESSAGE_MAX);
	const struct dbus_call call = { "org.a", "/org/a", "org.a.I", "Do", "sas" };
	struct dbus_message message;
	struct dbus_reader reader;
	size_t size;

	dbus_put_string(&body, "x");
	size_t array = dbus_array_begin(&body, 4);
	dbus_put_string(&body, "one");
	dbus_put_string(&body, "three");
	dbus_array_end(&body, array, 4);
	assert_int_equal(dbus_call_print(&call, 5, &body, &out), 0);
	assert_int_equal(dbus_message_size((uint8_t *)out.data, &size), 0);
	assert_int_equal(size, out.len);
	assert_int_equal(dbus_message_parse((uint8_t *)out.data, out.len, &message), 0);
	assert_int_equal(message.type, DBUS_CALL);
	assert_int_equal(message.serial, 5);
	assert_string_equal(message.path, "/org/a");
	assert_string_equal(message.interface, "org.a.I");
	assert_string_equal(message.member, "Do");
	assert_string_equal(message.signature, "sas");
	dbus_reader_init(&reader, &message);
	assert_string_equal(dbus_get_string(&reader), "x");
	assert_int_equal(dbus_get_u32(&reader), 8 + 4 + 6); /* "one" with its padding, "three" */
	assert_string_equal(dbus_get_string(&reader), "one");
	assert_string_equal(dbus_get_string(&reader), "three");
	assert_null(dbus_get_string(&reader));
	assert_int_equal(reader.r, -EBADMSG);
	/* Nothing but the whole. */
	assert_int_equal(dbus_message_parse((uint8_t *)out.data, out.len - 1, &message), -EBADMSG);
	out.data[0] = 'B';
	assert_int_equal(dbus_message_parse((uint8_t *)out.data, out.len, &message), -EBADMSG);
}

static void test_sizes(void **state)
{
	(void)state;
	uint8_t head[DBUS_FIXED_BYTES] = { 'l', DBUS_RETURN, 0, 1, [8] = 1 };
	const uint32_t limits[] = { DBUS_MESSAGE_MAX - DBUS_FIXED_BYTES - 1, DBUS_MESSAGE_MAX - DBUS_FIXED_BYTES,
		DBUS_MESSAGE_MAX - DBUS_FIXED_BYTES + 1 };
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		memcpy(head + 4, &limits[i], sizeof(uint32_t));
		assert_int_equal(dbus_message_size(head, &size), i < 2 ? 0 : -EMSGSIZE);
	}
}

static void check(const char *text, const char *bytes, size_t len)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;

	assert_int_equal(dbus_put_variant_text(&body, text), 0);
	assert_int_equal(body.bytes.len, len);
	assert_memory_equal(body.bytes.data, bytes, len);
}

#define CHECK(text, bytes) check(text, bytes, sizeof(bytes) - 1)

static void test_texts(void **state)
{
	(void)state;
	CHECK("true", "\1b\0\0\1\0\0\0");
	CHECK(" -2 ", "\1i\0\0\xfe\xff\xff\xff");
	CHECK("uint64 9", "\1t\0\0\0\0\0\0\x9\0\0\0\0\0\0\0");
	CHECK("byte 0xff", "\1y\0\xff");
	CHECK("1.5", "\1d\0\0\0\0\0\0\0\0\0\0\0\0\xf8\x3f");
	CHECK("'it\\'s'", "\1s\0\0\4\0\0\0it's\0");
	CHECK("['a', 'b']", "\2as\0\x0e\0\0\0\1\0\0\0a\0\0\0\1\0\0\0b\0");
	CHECK("@as []", "\2as\0\0\0\0\0");
	CHECK("(uint32 1, false)", "\4(ub)\0\0\0\1\0\0\0\0\0\0\0");
	CHECK("[uint64 1]", "\2at\0\x8\0\0\0\1\0\0\0\0\0\0\0");
	CHECK("[(1, 'x')]", "\5a(is)\0\0\x0a\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0x\0");
}

static void test_no_texts(void **state)
{
	(void)state;
	static const char *const bad[] = { "", "minutes", "'open", "[", "[]", "()", "[1,", "[1 2]", "['a', 1]",
		"uint32 'x'", "uint32 -1", "1 2", "byte 256", "int16 40000", "@as [1]", "@a []",
		"((((((((((((((((((1))))))))))))))))))", "99999999999", "<1>", "{'a': 1}" };
	static const char *const good_depth = "(((1)))";

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
		int r = dbus_put_variant_text(&body, bad[i]);
		if (r != -EINVAL && r != -ERANGE)
			fail_msg("\"%s\": %d", bad[i], r);
	}
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	assert_int_equal(dbus_put_variant_text(&body, good_depth), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_call),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_no_texts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
