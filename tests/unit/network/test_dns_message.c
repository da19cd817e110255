#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../unit.h"
#include "network/dns_message.h"

static struct dns_question question(const char *name, uint16_t type)
{
	struct dns_question q = { .type = type, .class = DNS_IN };
	assert_int_equal(dns_name_from_text(name, &q.name), 0);
	return q;
}

/* ---- names */

static void names_as_text_and_back(void **state)
{
	(void)state;
	struct dns_name name;
	char text[DNS_TEXT_MAX];

	assert_int_equal(dns_name_from_text("Web.Example.COM.", &name), 0);
	assert_int_equal(name.len, 17);
	assert_int_equal(dns_name_to_text(&name, text), 0);
	assert_string_equal(text, "web.example.com");
	assert_int_equal(dns_name_from_text("", &name), 0);
	assert_int_equal(name.len, 1);
	assert_int_equal(dns_name_to_text(&name, text), 0);
	assert_string_equal(text, "");
	assert_int_equal(dns_name_from_text("a..b", &name), -EINVAL);
	assert_int_equal(dns_name_from_text(".", &name), -EINVAL);
}

static void names_end_at_their_limits(void **state)
{
	(void)state;
	struct dns_name name;
	char text[300], out[DNS_TEXT_MAX];

	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_int_equal(dns_name_from_text(text, &name), 0);
	text[63] = 'a';
	text[64] = '\0';
	assert_int_equal(dns_name_from_text(text, &name), -EINVAL);
	/* 253 characters are 255 bytes. */
	memset(text, 'a', sizeof(text));
	text[63] = text[127] = text[191] = '.';
	text[253] = '\0';
	assert_int_equal(dns_name_from_text(text, &name), 0);
	assert_int_equal(name.len, 255);
	assert_int_equal(dns_name_to_text(&name, out), 0);
	assert_string_equal(out, text);
	text[253] = 'a';
	text[254] = '\0';
	assert_int_equal(dns_name_from_text(text, &name), -EINVAL);
}

static void odd_bytes_are_no_host_name(void **state)
{
	(void)state;
	struct dns_name dot = { .len = 5, .wire = "\003a.b" }, nul = { .len = 5, .wire = "\003a\0b" };
	char text[DNS_TEXT_MAX];

	assert_int_equal(dns_name_to_text(&dot, text), -EINVAL);
	assert_int_equal(dns_name_to_text(&nul, text), -EINVAL);
}

/* ---- queries */

#define HEADER(flags_hi, flags_lo, qd, an, ns, ar) "\x12\x34" flags_hi flags_lo "\0" qd "\0" an "\0" ns "\0" ar

static int parse(const char *data, size_t len, struct dns_query *ret)
{
	uint8_t copy[512]; /* so that a sanitizer sees the end */
	memcpy(copy + sizeof(copy) - len, data, len);
	return dns_query_parse(copy + sizeof(copy) - len, len, ret);
}

static void a_query_is_taken_apart(void **state)
{
	(void)state;
	static const char data[] = HEADER("\x01", "\x10", "\1", "\0", "\0", "\1") "\3Web\0\0\1\0\1"
										  "\0\0\x29\x10\x00\0\0\x80\0\0\0";
	struct dns_query query;
	char text[DNS_TEXT_MAX];

	assert_int_equal(parse(data, sizeof(data) - 1, &query), 0);
	assert_int_equal(query.id, 0x1234);
	assert_true(query.flags & DNS_FLAG_RD && query.flags & DNS_FLAG_CD);
	assert_true(query.has_edns && query.wants_dnssec);
	assert_int_equal(query.udp_bytes, 4096);
	assert_int_equal(query.question.type, DNS_A);
	assert_int_equal(dns_name_to_text(&query.question.name, text), 0);
	assert_string_equal(text, "web");
	/* Any shorter is broken, and whatever was read is within. */
	for (size_t len = 0; len < sizeof(data) - 1; len++)
		assert_int_equal(parse(data, len, &query), len < DNS_HEADER_BYTES ? -EBADMSG : DNS_FORMERR);
}

static void what_is_no_query_is_refused(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		size_t len;
		int result;
	} cases[] = {
#define CASE(result, text) { text, sizeof(text) - 1, result }
		CASE(-EBADMSG, HEADER("\x81", "\0", "\1", "\0", "\0", "\0") "\1a\0\0\1\0\1"), /* a response */
		CASE(DNS_NOTIMP, HEADER("\x29", "\0", "\1", "\0", "\0", "\0") "\1a\0\0\1\0\1"),
		CASE(DNS_FORMERR, HEADER("\1", "\0", "\2", "\0", "\0", "\0") "\1a\0\0\1\0\1\1a\0\0\1\0\1"),
		CASE(DNS_FORMERR, HEADER("\1", "\0", "\0", "\0", "\0", "\0")),
		CASE(DNS_FORMERR, HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\xc0\x0c\0\1\0\1"), /* itself */
		CASE(DNS_FORMERR,
			HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\1a\xc0\x0c\0\1\0\1"), /* round and round */
		CASE(DNS_FORMERR, HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\1a\xc0\x0e\0\1\0\1"), /* forwards */
		CASE(DNS_FORMERR, HEADER("\1", "\0", "\1", "\0", "\0", "\0") "\x40"
									     "a\0\0\1\0\1"),
		CASE(DNS_FORMERR,
			HEADER("\1", "\0", "\1", "\0", "\0", "\2") "\1a\0\0\1\0\1"
								   "\0\0\x29\x10\x00\0\0\0\0\0\0"
								   "\0\0\x29\x10\x00\0\0\0\0\0\0"), /* two OPT */
		CASE(DNS_BADVERS,
			HEADER("\1", "\0", "\1", "\0", "\0", "\1") "\1a\0\0\1\0\1\0\0\x29\x10\x00\0\1\0\0\0\0"),
	};
	struct dns_query query;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(parse(cases[i].data, cases[i].len, &query), cases[i].result);
}

static void an_error_can_be_said_about_anything(void **state)
{
	(void)state;
	uint8_t out[DNS_UDP_MIN];
	struct dns_query query;
	static const char data[] = HEADER("\1", "\0", "\1", "\0", "\0",
		"\1") "\1a\0\0\1\0\1\0\0\x29\x10\x00\0\1\0\0\0\0";

	assert_int_equal(parse(data, sizeof(data) - 1, &query), DNS_BADVERS);
	size_t len = dns_error_render(&query, DNS_BADVERS, out);
	assert_int_equal(len, DNS_HEADER_BYTES + 7 + DNS_OPT_BYTES);
	assert_int_equal(out[3] & 0xf, 0);
	assert_int_equal(out[DNS_HEADER_BYTES + 7 + 5], 1); /* the rcode's upper bits */
}

/* ---- answers of our own */

static void what_does_not_fit_is_cut_at_a_record(void **state)
{
	(void)state;
	struct dns_answer answer;
	struct dns_query query = { .id = 7, .udp_bytes = 512, .question = question("db", DNS_A) };
	uint8_t out[DNS_MESSAGE_MAX];

	assert_int_equal(dns_answer_init(&answer), 0);
	dns_answer_begin(&answer, &query.question, DNS_NOERROR);
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(dns_answer_add(&answer, DNS_A, 1, &i, 4), 0);
	/* 20 bytes of header and question, 16 a record: (512 - 20) / 16 */
	size_t len = dns_answer_render(&answer, &query, 512, 0, out);
	assert_int_equal(len, 20 + 30 * 16);
	assert_int_equal(out[7], 30);
	assert_true(out[2] & 2);
	/* 11 for OPT: exactly as many, then one less */
	query.has_edns = true;
	assert_int_equal(dns_answer_render(&answer, &query, 20 + 30 * 16 + 11, 0, out), 20 + 30 * 16 + 11);
	assert_int_equal(dns_answer_render(&answer, &query, 20 + 30 * 16 + 10, 0, out), 20 + 29 * 16 + 11);
	len = dns_answer_render(&answer, &query, DNS_MESSAGE_MAX, 0, out);
	assert_int_equal(len, 20 + 300 * 16 + 11);
	assert_false(out[2] & 2);
	dns_answer_finish(&answer);
}

static void an_answer_holds_so_many_records(void **state)
{
	(void)state;
	struct dns_answer answer;
	struct dns_question q = question("db", DNS_A);
	int r = 0, count = 0;

	assert_int_equal(dns_answer_init(&answer), 0);
	dns_answer_begin(&answer, &q, DNS_NOERROR);
	for (; (r = dns_answer_add(&answer, DNS_A, 1, "\1\2\3\4", 4)) == 0; count++)
		;
	assert_int_equal(r, -EFBIG);
	assert_int_equal(count, (DNS_MESSAGE_MAX - DNS_OPT_BYTES - 20) / 16);
	dns_answer_finish(&answer);
}

/* ---- responses of servers */

static int take(const char *data, size_t len, const struct dns_question *q, struct dns_response *response,
	struct dns_answer *answer)
{
	uint8_t copy[1024];
	memcpy(copy + sizeof(copy) - len, data, len);
	return dns_response_parse(copy + sizeof(copy) - len, len, 0x1234, q, response, answer);
}

static void a_response_is_written_anew(void **state)
{
	(void)state;
	/* www.a.com CNAME b.a.com, compressed; b.a.com A; OPT; with 300 and 60 s */
	static const char data[] = HEADER("\x81", "\x80", "\1", "\2", "\0",
		"\1") "\3www\1a\3com\0\0\1\0\1"
		      "\xc0\x0c\0\5\0\1\0\0\1\x2c\0\4\1b\xc0\x10"
		      "\xc0\x27\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4"
		      "\0\0\x29\x10\0\0\0\0\0\0\0";
	struct dns_question q = question("www.a.com", DNS_A);
	struct dns_query query = { .id = 1, .udp_bytes = 512, .question = question("WWW.a.com", DNS_A) };
	struct dns_response response;
	struct dns_answer answer;
	uint8_t out[512];

	assert_int_equal(dns_answer_init(&answer), 0);
	assert_int_equal(take(data, sizeof(data) - 1, &q, &response, &answer), 0);
	assert_true(response.is_final && response.same_case && !response.is_truncated);
	assert_int_equal(answer.counts[0], 2);
	assert_int_equal(answer.counts[2], 0);
	assert_int_equal(answer.ttl_s, 60);
	size_t len = dns_answer_render(&answer, &query, 512, 10, out);
	static const char expected[] = "\0\1\x80\x80\0\1\0\2\0\0\0\0"
				       "\3WWW\1a\3com\0\0\1\0\1"
				       "\xc0\x0c\0\5\0\1\0\0\1\x22\0\x09\1b\1a\3com\0"
				       "\1b\xc0\x10\0\1\0\1\0\0\0\x32\0\4\1\2\3\4";
	assert_int_equal(len, sizeof(expected) - 1);
	assert_memory_equal(out, expected, len);
	dns_answer_finish(&answer);
}

/* "a.a" must not end in itself, whatever an earlier message left behind it. */
static void a_name_that_repeats_itself_ends(void **state)
{
	(void)state;
	static const char data[] = HEADER("\x81", "\x80", "\1", "\1", "\0",
		"\0") "\1b\0\0\1\0\1"
		      "\1a\1a\0\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4";
	struct dns_question q = question("b", DNS_A);
	struct dns_response response;
	struct dns_answer answer;

	assert_int_equal(dns_answer_init(&answer), 0);
	memset(answer.wire, 0, DNS_MESSAGE_MAX);
	assert_int_equal(take(data, sizeof(data) - 1, &q, &response, &answer), 0);
	assert_int_equal(answer.len, sizeof(data) - 1);
	assert_memory_equal(answer.wire + DNS_HEADER_BYTES, data + DNS_HEADER_BYTES, answer.len - DNS_HEADER_BYTES);
	dns_answer_finish(&answer);
}

static void cut_anywhere_a_response_is_broken(void **state)
{
	(void)state;
	static const char data[] = HEADER("\x81", "\x80", "\1", "\1", "\0",
		"\0") "\1a\0\0\1\0\1"
		      "\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\1\2\3\4";
	struct dns_question q = question("a", DNS_A);
	struct dns_response response;
	struct dns_answer answer;

	assert_int_equal(dns_answer_init(&answer), 0);
	for (size_t len = 0; len < sizeof(data) - 1; len++)
		assert_int_equal(take(data, len, &q, &response, &answer), len < 19 ? -ENOMSG : -EBADMSG);
	assert_int_equal(take(data, sizeof(data) - 1, &q, &response, &answer), 0);
	dns_answer_finish(&answer);
}

static void what_answers_something_else_is_not_taken(void **state)
{
	(void)state;
	static const char data[] = HEADER("\x81", "\x80", "\1", "\0", "\0", "\0") "\1A\0\0\1\0\1";
	struct dns_question q = question("a", DNS_A), other = question("b", DNS_A), aaaa = question("a", DNS_AAAA);
	struct dns_response response;
	struct dns_answer answer;

	assert_int_equal(dns_answer_init(&answer), 0);
	assert_int_equal(take(data, sizeof(data) - 1, &q, &response, &answer), 0);
	assert_false(response.same_case);
	assert_int_equal(answer.ttl_s, 0); /* no SOA: not to be kept */
	assert_int_equal(take(data, sizeof(data) - 1, &other, &response, &answer), -ENOMSG);
	assert_int_equal(take(data, sizeof(data) - 1, &aaaa, &response, &answer), -ENOMSG);
	assert_int_equal(dns_response_parse((const uint8_t *)data, sizeof(data) - 1, 0x4321, &q, &response, &answer),
		-ENOMSG);
	dns_answer_finish(&answer);
}

static void a_no_is_good_as_long_as_its_zone_says(void **state)
{
	(void)state;
	/* NXDOMAIN; SOA of the root with 900 s, minimum 120 */
	static const char data[] = HEADER("\x81", "\x83", "\1", "\0", "\1",
		"\0") "\1a\0\0\1\0\1"
		      "\0\0\6\0\1\0\0\3\x84\0\x16\0\0"
		      "\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\x78";
	struct dns_question q = question("a", DNS_A);
	struct dns_response response;
	struct dns_answer answer;

	assert_int_equal(dns_answer_init(&answer), 0);
	assert_int_equal(take(data, sizeof(data) - 1, &q, &response, &answer), 0);
	assert_true(response.is_final);
	assert_int_equal(answer.rcode, DNS_NXDOMAIN);
	assert_int_equal(answer.ttl_s, 120);
	dns_answer_finish(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_as_text_and_back),
		cmocka_unit_test(names_end_at_their_limits),
		cmocka_unit_test(odd_bytes_are_no_host_name),
		cmocka_unit_test(a_query_is_taken_apart),
		cmocka_unit_test(what_is_no_query_is_refused),
		cmocka_unit_test(an_error_can_be_said_about_anything),
		cmocka_unit_test(what_does_not_fit_is_cut_at_a_record),
		cmocka_unit_test(an_answer_holds_so_many_records),
		cmocka_unit_test(a_response_is_written_anew),
		cmocka_unit_test(a_name_that_repeats_itself_ends),
		cmocka_unit_test(cut_anywhere_a_response_is_broken),
		cmocka_unit_test(what_answers_something_else_is_not_taken),
		cmocka_unit_test(a_no_is_good_as_long_as_its_zone_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
