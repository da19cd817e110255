/*
 * A message as a client's query, as a server's response, and as a names file. What is made of it is well formed: it can be read
 * again, it is within its limit, and a response that was written anew and is read once more says the same.
 */
#include <string.h>

#include "network/dns_message.h"
#include "network/dns_names.h"

#include "fuzz.h"

#define RESPONSE_FLAG 0x80

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void check_rendered(const struct dns_answer *answer, const struct dns_query *query, size_t limit)
{
	static struct dns_answer again;
	static uint8_t out[DNS_MESSAGE_MAX];
	struct dns_response response;

	if (!again.wire)
		fuzz_check(dns_answer_init(&again) == 0);
	size_t len = dns_answer_render(answer, query, limit, 1, out);
	fuzz_check(len >= DNS_HEADER_BYTES && len <= limit);
	out[2] &= (uint8_t) ~(DNS_FLAG_TC >> 8); /* a cut one is whole in itself */
	fuzz_check(dns_response_parse(out, len, query->id, &query->question, &response, &again) == 0);
	fuzz_check(response.same_case);
	if (limit == DNS_MESSAGE_MAX)
		fuzz_check(again.mark_count == answer->mark_count && again.len == answer->len);
}

static void check_query(const uint8_t *data, size_t size)
{
	uint8_t out[DNS_UDP_MIN];
	char text[DNS_TEXT_MAX];
	struct dns_query query;
	int r = dns_query_parse(data, size, &query);

	if (r < 0)
		return;
	size_t len = dns_error_render(&query, (enum dns_rcode)r, out);
	fuzz_check(len >= DNS_HEADER_BYTES && len <= sizeof(out));
	if (r > 0)
		return;
	fuzz_check(query.has_question && query.udp_bytes >= DNS_UDP_MIN && query.udp_bytes <= DNS_UDP_MAX);
	struct dns_name name;
	if (dns_name_to_text(&query.question.name, text) == 0)
		fuzz_check(dns_name_from_text(text, &name) == 0 && dns_name_equal(&name, &query.question.name));
	uint8_t built[DNS_QUERY_BYTES];
	len = dns_query_build(query.id, query.flags, &query.question, query.has_edns, query.wants_dnssec, built);
	fuzz_check(dns_query_parse(built, len, &query) == 0);
}

static void check_response(const uint8_t *data, size_t size)
{
	static struct dns_answer answer;
	struct dns_response response;
	struct dns_query query;
	uint8_t *copy = malloc(size + 1);

	/* The question that it answers is the one that it has. */
	memcpy(copy, data, size);
	copy[2] &= 0x01;
	memset(copy + 6, 0, 6);
	if (!answer.wire)
		fuzz_check(dns_answer_init(&answer) == 0);
	if (dns_query_parse(copy, size, &query) == 0 &&
		dns_response_parse(data, size, query.id, &query.question, &response, &answer) == 0 &&
		!response.is_truncated) {
		check_rendered(&answer, &query, DNS_MESSAGE_MAX);
		check_rendered(&answer, &query, DNS_UDP_MIN);
		struct inet_address addresses[4];
		size_t count = dns_answer_addresses(&answer, &query.question, addresses, ARRAY_SIZE(addresses));
		fuzz_check(count <= ARRAY_SIZE(addresses) && count <= answer.counts[0]);
	}
	free(copy);
}

static void check_names(const uint8_t *data, size_t size)
{
	struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);
	struct dns_names *names = NULL;
	size_t cursor = 0, count = 0;

	fuzz_check(buf_append(&text, data, size) == 0);
	fuzz_check(dns_names_new(&text, &names) == 0);
	while (dns_names_next(names, "web", &cursor))
		count++;
	fuzz_check(count <= size);
	(void)dns_names_reverse(names, "2.0.18.172.in-addr.arpa");
	dns_names_free(names);
	buf_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check_query(data, size);
	if (size >= DNS_HEADER_BYTES && data[2] & RESPONSE_FLAG && get16(data + 4) == 1)
		check_response(data, size);
	check_names(data, size);
	return 0;
}
