/*
 * Two readers over the same bytes. The guard looks at each byte first: control characters, line ends, folding, sizes; it
 * alone decides where the head ends, and what it lets through goes to llhttp, which knows the grammar of the start line and
 * of the headers. A head counts only if both agree on its last byte. How the body is framed we work out ourselves from the
 * headers, so that one place says what is refused.
 *
 * llhttp hands over pieces; they are collected in `text` as NUL-terminated strings, and headers are offsets into it.
 */
#include "codec/http.h"

#include <assert.h>
#include <errno.h>
#include <llhttp.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/parse.h"
#include "codec/percent.h"

/* Each name and value gains a NUL over what the limits below count, as does the start line's text. */
#define TEXT_MAX (HTTP_START_LINE_MAX + HTTP_HEADERS_MAX + 2 * HTTP_HEADER_COUNT_MAX + 2)

struct header {
	uint32_t name; /* offsets into text; a name is never at 0 */
	uint32_t value;
};

enum guard_state {
	GUARD_LINE_START,
	GUARD_LINE,
	GUARD_LF,      /* after the CR of a line */
	GUARD_LAST_LF, /* after the CR of the blank line */
};

struct http_head {
	enum http_kind kind;
	llhttp_t parser;

	enum guard_state guard;
	bool in_headers;
	size_t start_line_bytes;
	unsigned start_line_blanks;
	size_t header_bytes;
	size_t header_lines;

	struct buf text;                                  /* target or reason first, then the headers */
	struct header headers[HTTP_HEADER_COUNT_MAX + 1]; /* one per line that the guard lets through, and a spare */
	size_t header_count;
	bool parsed; /* llhttp has seen the end */

	bool complete;
	int failed; /* -errno */
	const char *problem, *guard_problem;
	char *path;
	const char *query;
	struct http_framing framing;
};

static int fail(struct http_head *head, int ret, const char *problem)
{
	if (!head->failed) {
		head->failed = ret;
		head->problem = problem;
	}
	return head->failed;
}

/* --- what llhttp calls --- */

/* A callback's nonzero answer stops llhttp; the reason is already in the head. */
static int keep(llhttp_t *parser, const char *data, size_t len)
{
	struct http_head *head = parser->data;
	int ret = buf_append(&head->text, data, len);
	return ret < 0 ? fail(head, ret, "the head is too large") : 0;
}

static int end_text(llhttp_t *parser)
{
	return keep(parser, "", 1);
}

static int on_header_field(llhttp_t *parser, const char *data, size_t len)
{
	struct http_head *head = parser->data;
	assert(head->header_count < ARRAY_SIZE(head->headers));
	struct header *header = &head->headers[head->header_count];
	if (!head->text.len && end_text(parser) != 0) /* a response without a reason */
		return head->failed;
	if (!header->name)
		header->name = (uint32_t)head->text.len;
	return keep(parser, data, len);
}

static int on_header_field_complete(llhttp_t *parser)
{
	struct http_head *head = parser->data;
	struct header *header = &head->headers[head->header_count];
	if (!header->name || header->name == head->text.len)
		return fail(head, -EINVAL, "a header has no name");
	int ret = end_text(parser);
	header->value = (uint32_t)head->text.len;
	return ret;
}

static int on_header_value_complete(llhttp_t *parser)
{
	struct http_head *head = parser->data;
	const struct header *header = &head->headers[head->header_count];
	while (head->text.len > header->value && strchr(" \t", head->text.data[head->text.len - 1]))
		head->text.len--;
	head->header_count++;
	return end_text(parser);
}

/* 2: llhttp is to expect no body, whatever it thinks of the headers. */
static int on_headers_complete(llhttp_t *parser)
{
	struct http_head *head = parser->data;
	head->parsed = true;
	return 2;
}

static const llhttp_settings_t settings = {
	.on_url = keep,
	.on_url_complete = end_text,
	.on_status = keep,
	.on_status_complete = end_text,
	.on_header_field = on_header_field,
	.on_header_field_complete = on_header_field_complete,
	.on_header_value = keep,
	.on_header_value_complete = on_header_value_complete,
	.on_headers_complete = on_headers_complete,
};

/* --- making --- */

struct http_head *http_head_new(enum http_kind kind)
{
	struct http_head *head = calloc(1, sizeof *head);
	if (!head)
		return NULL;
	head->kind = kind;
	buf_init(&head->text, TEXT_MAX);
	http_head_reset(head);
	return head;
}

void http_head_free(struct http_head *head)
{
	if (!head)
		return;
	buf_finish(&head->text);
	free(head->path);
	free(head);
}

void http_head_reset(struct http_head *head)
{
	struct buf text = head->text;
	free(head->path);
	*head = (struct http_head){ .kind = head->kind, .text = text, .query = "" };
	buf_reset(&head->text);
	llhttp_init(&head->parser, head->kind == HTTP_REQUEST_HEAD ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
	head->parser.data = head;
}

/* --- the guard --- */

/* Not failed yet: what llhttp says about the bytes before comes first, so that the split makes no difference. */
static int refuse(struct http_head *head, int ret, const char *problem)
{
	head->guard_problem = problem;
	return ret;
}

static int guard_count(struct http_head *head)
{
	if (head->in_headers)
		return ++head->header_bytes > HTTP_HEADERS_MAX ? refuse(head, -EFBIG, "the headers are too large") : 0;
	if (head->guard == GUARD_LF) /* the line's end does not count */
		return 0;
	return ++head->start_line_bytes > HTTP_START_LINE_MAX
		       ? refuse(head, -ENAMETOOLONG, "the first line is too long")
		       : 0;
}

static int guard_line_end(struct http_head *head, char c)
{
	if (c != '\n')
		return refuse(head, -EINVAL, "a carriage return without a line feed");
	if (head->guard == GUARD_LAST_LF)
		return 1;
	head->guard = GUARD_LINE_START;
	head->in_headers = true;
	return 0;
}

/* Returns 1 at the last byte of the head. */
static int guard_byte(struct http_head *head, char c)
{
	bool at_start = head->guard == GUARD_LINE_START;
	if (head->guard == GUARD_LF || head->guard == GUARD_LAST_LF)
		return guard_count(head) ?: guard_line_end(head, c);
	if (c == '\r') {
		if (at_start && !head->in_headers)
			return refuse(head, -EINVAL, "an empty first line");
		head->guard = at_start ? GUARD_LAST_LF : GUARD_LF;
		return head->in_headers ? guard_count(head) : 0;
	}
	if (c == '\n')
		return refuse(head, -EINVAL, "a line feed without a carriage return");
	if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
		return refuse(head, -EINVAL, "a control character in the head");
	if (at_start && head->in_headers && (c == ' ' || c == '\t'))
		return refuse(head, -EINVAL, "a folded header");
	if (at_start && head->in_headers && ++head->header_lines > HTTP_HEADER_COUNT_MAX)
		return refuse(head, -EFBIG, "too many headers");
	if (!head->in_headers && (c == '\t' || (c == ' ' && ++head->start_line_blanks > 2)) &&
		head->kind == HTTP_REQUEST_HEAD)
		return refuse(head, -EINVAL, "the first line is not three words");
	head->guard = GUARD_LINE;
	return guard_count(head);
}

/* How many bytes may go to llhttp, and whether the head ends with them; or -errno for the byte after them. */
static int guard_scan(struct http_head *head, const char *data, size_t len, size_t *ret_used)
{
	for (size_t i = 0; i < len; i++) {
		int ret = guard_byte(head, data[i]);
		if (ret) {
			*ret_used = ret < 0 ? i : i + 1;
			return ret;
		}
	}
	*ret_used = len;
	return 0;
}

/* --- the complete head --- */

static size_t count_headers(const struct http_head *head, const char *name)
{
	size_t count = 0;
	for (size_t i = 0; i < head->header_count; i++)
		count += strcasecmp(head->text.data + head->headers[i].name, name) == 0;
	return count;
}

static bool has_no_body(const struct http_head *head)
{
	int status = http_head_status(head);
	return head->kind == HTTP_RESPONSE_TO_HEAD ||
	       (head->kind == HTTP_RESPONSE_HEAD && (status / 100 == 1 || status == 204 || status == 304));
}

static int work_out_framing(struct http_head *head)
{
	size_t lengths = count_headers(head, "Content-Length"), codings = count_headers(head, "Transfer-Encoding");
	if (lengths + codings > 1)
		return fail(head, -EINVAL, "more than one of Content-Length and Transfer-Encoding");

	struct http_framing framing = { head->kind == HTTP_REQUEST_HEAD ? HTTP_BODY_NONE : HTTP_BODY_UNTIL_EOF, 0 };
	if (codings) {
		if (strcasecmp(http_head_header(head, "Transfer-Encoding"), "chunked") != 0)
			return fail(head, -EOPNOTSUPP, "the only transfer coding is chunked");
		if (head->parser.http_minor == 0)
			return fail(head, -EINVAL, "Transfer-Encoding in HTTP/1.0");
		framing.kind = HTTP_BODY_CHUNKED;
	} else if (lengths) {
		if (parse_u64(http_head_header(head, "Content-Length"), INT64_MAX, &framing.length) < 0)
			return fail(head, -EINVAL, "Content-Length is not a length");
		framing.kind = HTTP_BODY_LENGTH;
	}
	if (has_no_body(head))
		framing = (struct http_framing){ HTTP_BODY_NONE, 0 };
	head->framing = framing;
	return 0;
}

static int split_target(struct http_head *head)
{
	const char *target = http_head_target(head);
	if (*target != '/' || strchr(target, '#'))
		return fail(head, -EINVAL, "the request's target is not a path");
	size_t len = strcspn(target, "?");
	int ret = percent_decode(target, len, false, &head->path);
	if (ret < 0)
		return fail(head, ret, "a broken escape in the path");
	head->query = target[len] ? target + len + 1 : "";
	return 0;
}

static int finish(struct http_head *head)
{
	if (!head->parsed)
		return fail(head, -EINVAL, "the head is malformed");
	if (head->parser.http_major != 1 || head->parser.http_minor > 1)
		return fail(head, -EPROTONOSUPPORT, "the protocol is not HTTP/1.0 or HTTP/1.1");
	if (head->kind != HTTP_REQUEST_HEAD && http_head_status(head) < 100)
		return fail(head, -EINVAL, "the status has not three digits");
	if (head->kind == HTTP_REQUEST_HEAD && (split_target(head) < 0 || count_headers(head, "Host") > 1))
		return fail(head, -EINVAL, "more than one Host header");
	if (work_out_framing(head) < 0)
		return head->failed;
	head->complete = true;
	return 1;
}

/* llhttp's own words for what is wrong, where they are not one of ours. */
static int parse(struct http_head *head, const char *data, size_t len, bool last)
{
	llhttp_errno_t error = llhttp_execute(&head->parser, data, len);
	if (head->failed)
		return head->failed;
	if (error == HPE_INVALID_VERSION)
		return fail(head, -EPROTONOSUPPORT, "the protocol is not HTTP/1.0 or HTTP/1.1");
	if (head->parsed != last || (error != HPE_OK && !head->parsed))
		return fail(head, -EINVAL, llhttp_get_error_reason(&head->parser) ?: "the head is malformed");
	return 0;
}

int http_head_feed(struct http_head *head, const char *data, size_t len, size_t *ret_used)
{
	*ret_used = 0;
	if (head->failed)
		return head->failed;
	if (head->complete)
		return 1;
	if (!len)
		return 0;

	int end = guard_scan(head, data, len, ret_used);
	int ret = parse(head, data, *ret_used, end == 1);
	if (ret < 0)
		return ret;
	if (end < 0)
		return fail(head, end, head->guard_problem);
	return end ? finish(head) : 0;
}

bool http_head_has_begun(const struct http_head *head)
{
	return head->start_line_bytes > 0;
}

const char *http_head_problem(const struct http_head *head)
{
	return head->problem ?: "";
}

int http_error_status(int ret)
{
	switch (-ret) {
	case EINVAL: return 400;
	case ENAMETOOLONG: return 414;
	case EFBIG: return 431;
	case EOPNOTSUPP: return 501;
	case EPROTONOSUPPORT: return 505;
	default: return 500;
	}
}

/* --- asking --- */

const char *http_head_method(const struct http_head *head)
{
	return llhttp_method_name((llhttp_method_t)head->parser.method);
}

const char *http_head_target(const struct http_head *head)
{
	return head->text.data ?: "";
}

const char *http_head_path(const struct http_head *head)
{
	assert(head->path);
	return head->path;
}

const char *http_head_query(const struct http_head *head)
{
	return head->query;
}

int http_head_status(const struct http_head *head)
{
	return head->parser.status_code;
}

const char *http_head_reason(const struct http_head *head)
{
	return head->text.data ?: "";
}

size_t http_head_header_count(const struct http_head *head)
{
	return head->header_count;
}

void http_head_header_at(const struct http_head *head, size_t index, const char **ret_name, const char **ret_value)
{
	assert(index < head->header_count);
	*ret_name = head->text.data + head->headers[index].name;
	*ret_value = head->text.data + head->headers[index].value;
}

const char *http_head_header(const struct http_head *head, const char *name)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (strcasecmp(head->text.data + head->headers[i].name, name) == 0)
			return head->text.data + head->headers[i].value;
	return NULL;
}

static bool list_has_token(const char *list, const char *token)
{
	static const char separators[] = ", \t";
	for (size_t len; *(list += strspn(list, separators)); list += len) {
		len = strcspn(list, separators);
		if (strlen(token) == len && strncasecmp(list, token, len) == 0)
			return true;
	}
	return false;
}

bool http_head_has_token(const struct http_head *head, const char *name, const char *token)
{
	for (size_t i = 0; i < head->header_count; i++)
		if (strcasecmp(head->text.data + head->headers[i].name, name) == 0 &&
			list_has_token(head->text.data + head->headers[i].value, token))
			return true;
	return false;
}

struct http_framing http_head_framing(const struct http_head *head)
{
	return head->framing;
}

int http_head_minor(const struct http_head *head)
{
	return head->parser.http_minor;
}

bool http_head_keep_alive(const struct http_head *head)
{
	if (head->framing.kind == HTTP_BODY_UNTIL_EOF || http_head_has_token(head, "Connection", "close"))
		return false;
	return head->parser.http_minor > 0 || http_head_has_token(head, "Connection", "keep-alive");
}

const char *http_head_upgrade(const struct http_head *head)
{
	bool wanted = head->kind == HTTP_REQUEST_HEAD || http_head_status(head) == 101;
	if (!wanted || !http_head_has_token(head, "Connection", "upgrade"))
		return NULL;
	return http_head_header(head, "Upgrade");
}

bool http_head_expects_continue(const struct http_head *head)
{
	return head->parser.http_minor > 0 && http_head_has_token(head, "Expect", "100-continue");
}
