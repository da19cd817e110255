#include "network/dns_message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define LABEL_MAX      63
#define POINTER        0xc0
#define POINTER_REACH  0x3fff
#define RECORD_FIXED   10   /* type, class, time to live, length */
#define NEGATIVE_TTL_S 300  /* at most, for what does not exist */
#define OUR_UDP_BYTES  1232 /* what servers may send us at once: no fragments anywhere */

/* ---- bytes */

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static uint32_t get32(const uint8_t *at)
{
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static void put16(uint8_t *at, unsigned value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

static uint8_t fold(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ---- names */

int dns_name_from_text(const char *text, struct dns_name *ret)
{
	size_t len = 0;

	while (*text) {
		size_t label = strcspn(text, ".");
		if (label == 0 || label > LABEL_MAX || len + 1 + label + 1 > DNS_NAME_MAX)
			return -EINVAL;
		ret->wire[len++] = (uint8_t)label;
		memcpy(ret->wire + len, text, label);
		len += label;
		text += label + (text[label] == '.');
	}
	ret->wire[len++] = 0;
	ret->len = (uint8_t)len;
	return 0;
}

int dns_name_to_text(const struct dns_name *name, char out[static DNS_TEXT_MAX])
{
	size_t to = 0;

	for (size_t at = 0; name->wire[at]; at += 1U + name->wire[at]) {
		if (at)
			out[to++] = '.';
		for (size_t i = 1; i <= name->wire[at]; i++) {
			uint8_t c = fold(name->wire[at + i]);
			if (c <= ' ' || c >= 127 || c == '.')
				return -EINVAL;
			out[to++] = (char)c;
		}
	}
	out[to] = '\0';
	return 0;
}

bool dns_name_equal(const struct dns_name *a, const struct dns_name *b)
{
	if (a->len != b->len)
		return false;
	/* A length is below 64, and so is no letter. */
	for (size_t i = 0; i < a->len; i++)
		if (fold(a->wire[i]) != fold(b->wire[i]))
			return false;
	return true;
}

void dns_name_fold(struct dns_name *name)
{
	for (size_t i = 0; i < name->len; i++)
		name->wire[i] = fold(name->wire[i]);
}

/* A place in a message that only moves forwards. */
struct reader {
	const uint8_t *data;
	size_t len;
	size_t at;
};

/* Each pointer must lead to before the name, or the part of it, that holds it: so there is an end. */
static int read_name(struct reader *reader, struct dns_name *ret)
{
	size_t at = reader->at, limit = reader->at, end = 0, len = 0;

	for (;;) {
		if (at >= reader->len)
			return -EBADMSG;
		uint8_t c = reader->data[at];
		if ((c & POINTER) == POINTER) {
			if (at + 1 >= reader->len)
				return -EBADMSG;
			size_t target = get16(reader->data + at) & POINTER_REACH;
			if (target >= limit)
				return -EBADMSG;
			end = end ?: at + 2;
			at = limit = target;
			continue;
		}
		if (c > LABEL_MAX || at + 1 + c > reader->len || len + 1 + c > DNS_NAME_MAX)
			return -EBADMSG;
		memcpy(ret->wire + len, reader->data + at, 1U + c);
		len += 1U + c;
		at += 1U + c;
		if (c == 0)
			break;
	}
	ret->len = (uint8_t)len;
	reader->at = end ?: at;
	return 0;
}

static int read_question(struct reader *reader, struct dns_question *ret)
{
	int r = read_name(reader, &ret->name);

	if (r < 0 || reader->len - reader->at < 4)
		return -EBADMSG;
	ret->type = get16(reader->data + reader->at);
	ret->class = get16(reader->data + reader->at + 2);
	reader->at += 4;
	return 0;
}

struct record {
	struct dns_name name;
	uint16_t type;
	uint16_t class;
	uint32_t ttl_s;
	size_t data_at;
	uint16_t data_len;
};

static int read_record(struct reader *reader, struct record *ret)
{
	int r = read_name(reader, &ret->name);

	if (r < 0 || reader->len - reader->at < RECORD_FIXED)
		return -EBADMSG;
	const uint8_t *fixed = reader->data + reader->at;
	ret->type = get16(fixed);
	ret->class = get16(fixed + 2);
	ret->ttl_s = get32(fixed + 4);
	ret->data_len = get16(fixed + 8);
	ret->data_at = reader->at + RECORD_FIXED;
	if (reader->len - ret->data_at < ret->data_len)
		return -EBADMSG;
	if (ret->ttl_s > INT32_MAX) /* RFC 2181: a negative number is none */
		ret->ttl_s = 0;
	reader->at = ret->data_at + ret->data_len;
	return 0;
}

/* ---- a client's query */

static int read_edns(const struct record *record, struct dns_query *query)
{
	if (query->has_edns || record->name.len != 1)
		return DNS_FORMERR;
	query->has_edns = true;
	query->wants_dnssec = record->ttl_s & 0x8000;
	if (record->class > query->udp_bytes)
		query->udp_bytes = record->class < DNS_UDP_MAX ? record->class : DNS_UDP_MAX;
	return record->ttl_s >> 16 & 0xff ? DNS_BADVERS : 0;
}

static int read_rest(struct reader *reader, size_t count, struct dns_query *query)
{
	struct record record;
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		if (read_record(reader, &record) < 0)
			return DNS_FORMERR;
		if (record.type == DNS_OPT)
			r = read_edns(&record, query);
	}
	return r;
}

int dns_query_parse(const uint8_t *data, size_t len, struct dns_query *ret)
{
	struct reader reader = { data, len, DNS_HEADER_BYTES };

	*ret = (struct dns_query){ .udp_bytes = DNS_UDP_MIN };
	if (len < DNS_HEADER_BYTES)
		return -EBADMSG;
	ret->id = get16(data);
	ret->flags = get16(data + 2);
	if (ret->flags & DNS_FLAG_QR)
		return -EBADMSG;
	if (ret->flags >> 11 & 0xf)
		return DNS_NOTIMP;
	/* Queries have one question, nothing answered, and no more beside it than OPT and a signature. */
	if (get16(data + 4) != 1 || get16(data + 6) || get16(data + 8) || get16(data + 10) > 2)
		return DNS_FORMERR;
	if (read_question(&reader, &ret->question) < 0)
		return DNS_FORMERR;
	ret->has_question = true;
	return read_rest(&reader, get16(data + 10), ret);
}

static size_t put_opt(uint8_t *out, uint16_t udp_bytes, unsigned upper_rcode, bool wants_dnssec)
{
	out[0] = 0;
	put16(out + 1, DNS_OPT);
	put16(out + 3, udp_bytes);
	put32(out + 5, upper_rcode << 24 | (wants_dnssec ? 0x8000U : 0));
	put16(out + 9, 0);
	return DNS_OPT_BYTES;
}

static size_t put_question(uint8_t *out, const struct dns_question *question)
{
	memcpy(out, question->name.wire, question->name.len);
	put16(out + question->name.len, question->type);
	put16(out + question->name.len + 2, question->class);
	return question->name.len + 4U;
}

size_t dns_query_build(uint16_t id, uint16_t flags, const struct dns_question *question, bool with_edns,
	bool wants_dnssec, uint8_t out[static DNS_QUERY_BYTES])
{
	memset(out, 0, DNS_HEADER_BYTES);
	put16(out, id);
	put16(out + 2, DNS_FLAG_RD | (flags & (DNS_FLAG_AD | DNS_FLAG_CD)));
	put16(out + 4, 1);
	put16(out + 10, with_edns);
	size_t len = DNS_HEADER_BYTES + put_question(out + DNS_HEADER_BYTES, question);
	if (with_edns)
		len += put_opt(out + len, OUR_UDP_BYTES, 0, wants_dnssec);
	return len;
}

/* ---- answers */

int dns_answer_init(struct dns_answer *answer)
{
	*answer = (struct dns_answer){
		.marks = calloc(DNS_RECORDS_MAX, sizeof(*answer->marks)),
		.wire = malloc(DNS_MESSAGE_MAX),
	};
	if (answer->marks && answer->wire)
		return 0;
	dns_answer_finish(answer);
	return -ENOMEM;
}

void dns_answer_finish(struct dns_answer *answer)
{
	free(answer->marks);
	free(answer->wire);
	*answer = (struct dns_answer){ 0 };
}

void dns_answer_begin(struct dns_answer *answer, const struct dns_question *question, enum dns_rcode rcode)
{
	answer->rcode = (uint8_t)rcode;
	answer->is_authentic = false;
	memset(answer->counts, 0, sizeof(answer->counts));
	answer->mark_count = 0;
	answer->ttl_s = 0;
	answer->len = DNS_HEADER_BYTES + (uint32_t)put_question(answer->wire + DNS_HEADER_BYTES, question);
}

static bool has_room(const struct dns_answer *answer, size_t bytes)
{
	/* OPT comes behind it. */
	return answer->len + bytes <= DNS_MESSAGE_MAX - DNS_OPT_BYTES;
}

int dns_answer_add(struct dns_answer *answer, enum dns_type type, uint32_t ttl_s, const void *data, uint16_t len)
{
	if (answer->mark_count == DNS_RECORDS_MAX || !has_room(answer, 2U + RECORD_FIXED + len))
		return -EFBIG;
	uint8_t *at = answer->wire + answer->len;
	put16(at, POINTER << 8 | DNS_HEADER_BYTES);
	put16(at + 2, type);
	put16(at + 4, DNS_IN);
	put32(at + 6, ttl_s);
	put16(at + 10, len);
	memcpy(at + 12, data, len);
	answer->marks[answer->mark_count].ttl_at = (uint16_t)(answer->len + 6);
	answer->len += 12U + len;
	answer->marks[answer->mark_count++].end = (uint16_t)answer->len;
	answer->counts[0]++;
	return 0;
}

/* ---- a server's response, written anew */

#define TARGETS_MAX 64 /* names that later ones may point to */

struct writer {
	struct dns_answer *answer;
	uint16_t targets[TARGETS_MAX];
	size_t target_count;
};

/* Whether what was written at `at` is this name, or the rest of one. */
static bool is_at(const struct dns_answer *answer, size_t at, const uint8_t *name)
{
	for (;;) {
		const uint8_t *there = answer->wire + at;
		if ((*there & POINTER) == POINTER) {
			at = get16(there) & POINTER_REACH;
			continue;
		}
		if (*there != *name)
			return false;
		if (!*name)
			return true;
		for (size_t i = 1; i <= *name; i++)
			if (fold(there[i]) != fold(name[i]))
				return false;
		at += 1U + *name;
		name += 1U + *name;
	}
}

/* Among the first `count`. 0: none. */
static uint16_t find_target(const struct writer *writer, size_t count, const uint8_t *name)
{
	for (size_t i = 0; i < count; i++)
		if (is_at(writer->answer, writer->targets[i], name))
			return writer->targets[i];
	return 0;
}

/* Its own beginning is no target yet: it has no end, and what is behind it is an older message's. */
static int write_name(struct writer *writer, const struct dns_name *name)
{
	struct dns_answer *answer = writer->answer;
	const size_t known = writer->target_count;

	if (!has_room(answer, name->len))
		return -EBADMSG;
	for (const uint8_t *label = name->wire;; label += 1U + *label) {
		uint16_t target = *label ? find_target(writer, known, label) : 0;
		if (target) {
			put16(answer->wire + answer->len, POINTER << 8 | target);
			answer->len += 2;
			return 0;
		}
		if (*label && answer->len <= POINTER_REACH && writer->target_count < TARGETS_MAX)
			writer->targets[writer->target_count++] = (uint16_t)answer->len;
		memcpy(answer->wire + answer->len, label, 1U + *label);
		answer->len += 1U + *label;
		if (!*label)
			return 0;
	}
}

static int write_bytes(struct writer *writer, const uint8_t *data, size_t len)
{
	if (!has_room(writer->answer, len))
		return -EBADMSG;
	memcpy(writer->answer->wire + writer->answer->len, data, len);
	writer->answer->len += (uint32_t)len;
	return 0;
}

/* Records whose data may hold compressed names (RFC 3597): bytes, names, and for SOA bytes again. Everything else is bytes. */
static const struct layout {
	uint16_t type;
	uint8_t before;
	uint8_t names;
} layouts[] = {
	{ DNS_NS, 0, 1 }, { 3, 0, 1 },                       /* MD */
	{ 4, 0, 1 },                                         /* MF */
	{ DNS_CNAME, 0, 1 }, { DNS_SOA, 0, 2 }, { 7, 0, 1 }, /* MB */
	{ 8, 0, 1 },                                         /* MG */
	{ 9, 0, 1 },                                         /* MR */
	{ DNS_PTR, 0, 1 }, { 14, 0, 2 },                     /* MINFO */
	{ 15, 2, 1 },                                        /* MX */
	{ 17, 0, 2 },                                        /* RP */
	{ 18, 2, 1 },                                        /* AFSDB */
	{ 21, 2, 1 },                                        /* RT */
	{ 24, 18, 1 },                                       /* SIG */
	{ 30, 0, 1 },                                        /* NXT */
	{ 33, 6, 1 },                                        /* SRV */
	{ 39, 0, 1 },                                        /* DNAME */
};

static const struct layout *find_layout(uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++)
		if (layouts[i].type == type)
			return &layouts[i];
	return NULL;
}

/* Names in data are written whole: clients need not know how to follow them in all of these types. */
static int write_data(struct writer *writer, const struct reader *message, const struct record *record)
{
	const struct layout *layout = find_layout(record->type);
	struct reader reader = { message->data, record->data_at + record->data_len, record->data_at };
	struct dns_name name;

	if (layout) {
		if (record->data_len < layout->before ||
			write_bytes(writer, reader.data + reader.at, layout->before) < 0)
			return -EBADMSG;
		reader.at += layout->before;
		for (unsigned i = 0; i < layout->names; i++)
			if (read_name(&reader, &name) < 0 || write_bytes(writer, name.wire, name.len) < 0)
				return -EBADMSG;
	}
	return write_bytes(writer, reader.data + reader.at, reader.len - reader.at);
}

static int write_record(struct writer *writer, const struct reader *message, const struct record *record)
{
	struct dns_answer *answer = writer->answer;
	uint8_t fixed[RECORD_FIXED];

	if (answer->mark_count == DNS_RECORDS_MAX || write_name(writer, &record->name) < 0)
		return -EBADMSG;
	uint32_t fixed_at = answer->len;
	put16(fixed, record->type);
	put16(fixed + 2, record->class);
	put32(fixed + 4, record->ttl_s < DNS_TTL_MAX_S ? record->ttl_s : DNS_TTL_MAX_S);
	if (write_bytes(writer, fixed, sizeof(fixed)) < 0 || write_data(writer, message, record) < 0)
		return -EBADMSG;
	put16(answer->wire + fixed_at + 8, answer->len - fixed_at - RECORD_FIXED);
	answer->marks[answer->mark_count++] = (struct dns_mark){ (uint16_t)(fixed_at + 4), (uint16_t)answer->len };
	return 0;
}

/* RFC 2308: a "no" is good as long as the zone's SOA says, which must be there. */
static uint32_t negative_ttl(const struct reader *message, const struct record *soa)
{
	if (soa->data_len < 4)
		return 0;
	uint32_t minimum = get32(message->data + soa->data_at + soa->data_len - 4);
	uint32_t ttl_s = soa->ttl_s < minimum ? soa->ttl_s : minimum;
	return ttl_s < NEGATIVE_TTL_S ? ttl_s : NEGATIVE_TTL_S;
}

static int write_sections(struct writer *writer, struct reader *reader, struct dns_response *response)
{
	struct dns_answer *answer = writer->answer;
	uint32_t ttl_s = DNS_TTL_MAX_S, soa_ttl_s = 0;
	bool has_soa = false;
	struct record record;

	for (size_t section = 0; section < 3; section++)
		for (size_t left = get16(reader->data + 6 + 2 * section); left > 0; left--) {
			if (read_record(reader, &record) < 0)
				return -EBADMSG;
			if (record.type == DNS_OPT) {
				response->rcode |= (uint16_t)(record.ttl_s >> 24 << 4);
				continue;
			}
			if (write_record(writer, reader, &record) < 0)
				return -EBADMSG;
			answer->counts[section]++;
			if (section == 1 && record.type == DNS_SOA) {
				soa_ttl_s = negative_ttl(reader, &record);
				has_soa = true;
			}
			if (record.ttl_s < ttl_s)
				ttl_s = record.ttl_s;
		}
	bool is_yes = answer->rcode == DNS_NOERROR && answer->counts[0] > 0;
	answer->ttl_s = (is_yes && !has_soa) || ttl_s < soa_ttl_s ? ttl_s : soa_ttl_s;
	return 0;
}

int dns_response_parse(const uint8_t *data, size_t len, uint16_t id, const struct dns_question *question,
	struct dns_response *ret, struct dns_answer *answer)
{
	struct reader reader = { data, len, DNS_HEADER_BYTES };
	struct writer writer = { .answer = answer };
	struct dns_question echoed;

	*ret = (struct dns_response){ 0 };
	if (len < DNS_HEADER_BYTES || get16(data) != id || !(get16(data + 2) & DNS_FLAG_QR) || get16(data + 4) != 1 ||
		read_question(&reader, &echoed) < 0 || !dns_name_equal(&echoed.name, &question->name) ||
		echoed.type != question->type || echoed.class != question->class)
		return -ENOMSG;
	ret->same_case = memcmp(echoed.name.wire, question->name.wire, question->name.len) == 0;
	ret->is_truncated = get16(data + 2) & DNS_FLAG_TC;
	ret->rcode = get16(data + 2) & 0xf;
	if (ret->is_truncated)
		return 0;
	dns_answer_begin(answer, question, ret->rcode);
	answer->is_authentic = get16(data + 2) & DNS_FLAG_AD;
	for (size_t at = 0; question->name.wire[at] && writer.target_count < TARGETS_MAX;
		at += 1U + question->name.wire[at])
		writer.targets[writer.target_count++] = (uint16_t)(DNS_HEADER_BYTES + at);
	int r = write_sections(&writer, &reader, ret);
	ret->is_final = r == 0 && (ret->rcode == DNS_NOERROR || ret->rcode == DNS_NXDOMAIN);
	return r;
}

/* ---- what an answer says */

#define CNAMES_MAX 16

static size_t add_address(const struct reader *reader, const struct record *record, struct inet_address *out)
{
	size_t len = record->type == DNS_A ? 4 : 16;

	if ((record->type != DNS_A && record->type != DNS_AAAA) || record->data_len != len)
		return 0;
	*out = (struct inet_address){ .is_v6 = record->type == DNS_AAAA };
	memcpy(out->bytes, reader->data + record->data_at, len);
	return 1;
}

/* Of one name: its addresses, or where it leads to, which `name` becomes then. */
static size_t read_addresses(const struct dns_answer *answer, size_t begin, struct dns_name *name,
	struct inet_address *out, size_t max, bool *ret_leads)
{
	struct reader reader = { answer->wire, answer->len, begin };
	struct dns_name next = *name;
	struct record record;
	size_t count = 0;

	*ret_leads = false;
	for (size_t i = 0; i < answer->counts[0] && count < max && read_record(&reader, &record) == 0; i++) {
		struct reader data = { answer->wire, record.data_at + record.data_len, record.data_at };
		if (record.class != DNS_IN || !dns_name_equal(&record.name, name))
			continue;
		if (record.type == DNS_CNAME)
			*ret_leads = read_name(&data, &next) == 0;
		else
			count += add_address(&reader, &record, &out[count]);
	}
	*name = next;
	return count;
}

size_t dns_answer_addresses(const struct dns_answer *answer, const struct dns_question *question,
	struct inet_address *out, size_t max)
{
	struct dns_name name = question->name;
	size_t begin = DNS_HEADER_BYTES + question->name.len + 4U, count = 0;
	bool leads = true;

	for (int i = 0; i <= CNAMES_MAX && leads && count == 0; i++)
		count = read_addresses(answer, begin, &name, out, max, &leads);
	return count;
}

/* ---- answers for clients */

static uint16_t reply_flags(const struct dns_query *query, unsigned rcode)
{
	return (uint16_t)(DNS_FLAG_QR | (query->flags & (0x7800 | DNS_FLAG_RD | DNS_FLAG_CD)) | DNS_FLAG_RA |
			  (rcode & 0xf));
}

/* How many records fit in front of `limit`. */
static size_t fitting(const struct dns_answer *answer, size_t limit)
{
	size_t count = answer->mark_count;

	while (count > 0 && answer->marks[count - 1].end > limit)
		count--;
	return count;
}

static void put_counts(uint8_t *out, const struct dns_answer *answer, size_t records, bool has_opt)
{
	put16(out + 4, 1);
	for (size_t section = 0; section < 3; section++) {
		size_t count = answer->counts[section] < records ? answer->counts[section] : records;
		put16(out + 6 + 2 * section, (unsigned)count + (section == 2 && has_opt));
		records -= count;
	}
}

size_t dns_answer_render(const struct dns_answer *answer, const struct dns_query *query, size_t limit, uint32_t age_s,
	uint8_t *out)
{
	size_t room = limit - (query->has_edns ? DNS_OPT_BYTES : 0);
	size_t records = fitting(answer, room);
	size_t question_end = DNS_HEADER_BYTES + query->question.name.len + 4U;
	size_t len = records ? answer->marks[records - 1].end : question_end;
	uint16_t flags = reply_flags(query, answer->rcode);

	memcpy(out, answer->wire, len);
	memcpy(out + DNS_HEADER_BYTES, query->question.name.wire, query->question.name.len);
	if (records < answer->mark_count)
		flags |= DNS_FLAG_TC;
	if (answer->is_authentic && (query->wants_dnssec || query->flags & DNS_FLAG_AD))
		flags |= DNS_FLAG_AD;
	put16(out, query->id);
	put16(out + 2, flags);
	put_counts(out, answer, records, query->has_edns);
	for (size_t i = 0; age_s && i < records; i++) {
		uint8_t *ttl = out + answer->marks[i].ttl_at;
		uint32_t ttl_s = get32(ttl);
		put32(ttl, ttl_s > age_s ? ttl_s - age_s : 0);
	}
	if (query->has_edns)
		len += put_opt(out + len, DNS_UDP_MAX, 0, query->wants_dnssec);
	return len;
}

size_t dns_error_render(const struct dns_query *query, enum dns_rcode rcode, uint8_t out[static DNS_UDP_MIN])
{
	size_t len = DNS_HEADER_BYTES;

	memset(out, 0, DNS_HEADER_BYTES);
	put16(out, query->id);
	put16(out + 2, reply_flags(query, rcode));
	if (query->has_question) {
		put16(out + 4, 1);
		len += put_question(out + len, &query->question);
	}
	if (query->has_edns) {
		put16(out + 10, 1);
		len += put_opt(out + len, DNS_UDP_MAX, rcode >> 4, query->wants_dnssec);
	}
	return len;
}
