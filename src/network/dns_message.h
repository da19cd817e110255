/*
 * DNS messages (RFC 1035, 6891) as a resolver needs them: a client's query is taken apart, and a server's response is read
 * record by record and written anew as an answer of ours. Nothing of a foreign message is ever passed on as it came.
 *
 * Strict: one question; every length inside the message; compression points backwards only, so it can't loop; a name has at
 * most 255 bytes. The bytes of a name may be any: only what compares names folds the letters' case.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/inet.h"

#define DNS_NAME_MAX     255
#define DNS_TEXT_MAX     256 /* a name as dotted text, with its NUL */
#define DNS_HEADER_BYTES 12
#define DNS_MESSAGE_MAX  65535
#define DNS_UDP_MIN      512  /* what every client takes */
#define DNS_UDP_MAX      4096 /* what is sent in one datagram at most, whatever the client says it takes */
#define DNS_OPT_BYTES    11
#define DNS_RECORDS_MAX  4096 /* of an answer */
/* Of a query that is built here: header, question, OPT. */
#define DNS_QUERY_BYTES (DNS_HEADER_BYTES + DNS_NAME_MAX + 4 + DNS_OPT_BYTES)

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_AAAA = 28,
	DNS_OPT = 41,
	DNS_AXFR = 252
};
/* No record is good for longer, whatever the server says. */
#define DNS_TTL_MAX_S 3600

enum dns_class { DNS_IN = 1, DNS_ANY_CLASS = 255 };
enum dns_rcode { DNS_NOERROR, DNS_FORMERR, DNS_SERVFAIL, DNS_NXDOMAIN, DNS_NOTIMP, DNS_REFUSED, DNS_BADVERS = 16 };

#define DNS_FLAG_QR 0x8000
#define DNS_FLAG_TC 0x0200
#define DNS_FLAG_RD 0x0100
#define DNS_FLAG_RA 0x0080
#define DNS_FLAG_AD 0x0020
#define DNS_FLAG_CD 0x0010

/* Labels, each behind its length, up to and with the root's 0; never compressed. */
struct dns_name {
	uint8_t len;
	uint8_t wire[DNS_NAME_MAX];
};

/* Of dotted text, a final dot being optional: -EINVAL for empty or long labels. */
int dns_name_from_text(const char *text, struct dns_name *ret);
/* In lower case, without the final dot; the root is "". -EINVAL if a label has a byte in it that no host name has. */
int dns_name_to_text(const struct dns_name *name, char out[static DNS_TEXT_MAX]);
/* Without regard to case. */
bool dns_name_equal(const struct dns_name *a, const struct dns_name *b);
/* To lower case, in place. */
void dns_name_fold(struct dns_name *name);

struct dns_question {
	struct dns_name name;
	uint16_t type;
	uint16_t class;
};

/* A client's query. */
struct dns_query {
	uint16_t id;
	uint16_t flags;
	bool has_question; /* as far as it could be read */
	struct dns_question question;
	bool has_edns;
	bool wants_dnssec;
	uint16_t udp_bytes; /* what it takes in one datagram */
};

/* Returns an rcode to answer with at once (0: go on), or -EBADMSG for what can't be answered or is no query. */
int dns_query_parse(const uint8_t *data, size_t len, struct dns_query *ret);

/* A query to a server: recursion is wanted; `flags` may have CD and AD. Returns its length. */
size_t dns_query_build(uint16_t id, uint16_t flags, const struct dns_question *question, bool with_edns,
	bool wants_dnssec, uint8_t out[static DNS_QUERY_BYTES]);

/* What an answer consists of: its records in wire form behind the question, and where each has its time to live and its end. */
struct dns_mark {
	uint16_t ttl_at;
	uint16_t end;
};

struct dns_answer {
	uint8_t rcode;
	bool is_authentic;  /* AD */
	uint16_t counts[3]; /* answer, authority, additional */
	uint16_t mark_count;
	uint32_t ttl_s; /* how long all of it is good; 0: it must not be kept */
	uint32_t len;
	struct dns_mark *marks;
	uint8_t *wire; /* from the header, whose fields are not set, on */
};

/* Memory for an answer of any size, used again and again. -ENOMEM. */
int dns_answer_init(struct dns_answer *answer);
void dns_answer_finish(struct dns_answer *answer);

/* Empty, behind this question. */
void dns_answer_begin(struct dns_answer *answer, const struct dns_question *question, enum dns_rcode rcode);
/* One more record, in the answer section, of the question's own name. -EFBIG: no room, and nothing is added. */
int dns_answer_add(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s, const void *data, uint16_t len);

/* The addresses that the answer has for the question's name, behind its CNAMEs; at most `max`. Returns how many. */
size_t dns_answer_addresses(const struct dns_answer *answer, const struct dns_question *question,
	struct inet_address *out, size_t max);

/* What of a server's response decides what happens next. */
struct dns_response {
	bool is_truncated;
	bool same_case; /* the question's name came back letter for letter */
	bool is_final;  /* `answer` is set: yes, or an authoritative no */
	uint16_t rcode; /* with OPT's upper bits */
};

/*
 * Whether `data` answers that query (id, and the question without regard to case), and its content into `answer`, which has been
 * initialised. -ENOMSG: it belongs to something else; -EBADMSG: it is broken, or more than an answer holds.
 */
int dns_response_parse(const uint8_t *data, size_t len, uint16_t id, const struct dns_question *question,
	struct dns_response *ret, struct dns_answer *answer);

/*
 * The answer for one client: with its id, its spelling of the name, its flags, times to live less `age_s`, OPT if it has one
 * itself; cut at a record, and marked as cut, where it is longer than `limit` (at least DNS_UDP_MIN). Returns the length.
 */
size_t dns_answer_render(const struct dns_answer *answer, const struct dns_query *query, size_t limit, uint32_t age_s,
	uint8_t *out);
/* The same without records, for a query that may have no question either. */
size_t dns_error_render(const struct dns_query *query, enum dns_rcode rcode, uint8_t out[static DNS_UDP_MIN]);
