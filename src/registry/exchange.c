#include "registry/exchange.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sys/random.h>

#include "base/clock.h"
#include "base/parse.h"
#include "codec/json.h"

#define ATTEMPTS_MAX      5
#define CHALLENGES_MAX    2
#define RETRY_FIRST_MS    400
#define RETRY_PAUSE_MAX   30000
#define ERROR_TEXT_MAX    400
#define HEADER_VALUE_SIZE 8192

/* ---- the answer's head */

static void answer_finish(struct exchange_answer *answer)
{
	free(answer->content_type);
	free(answer->content_digest);
	free(answer->location);
	free(answer->link);
	challenge_finish(&answer->challenge);
	*answer = (struct exchange_answer){ .content_length = -1, .range_start = -1, .retry_after_ms = -1 };
}

static int fail(struct exchange *exchange, enum err_kind kind, int errnum, const char *message)
{
	if (!exchange->failure)
		err_set(&exchange->failure, kind, errnum, "%s: %s", exchange->registry->host, message);
	return -1;
}

/* "bytes 100-199/200" */
static int64_t range_start(const char *value)
{
	int64_t start;
	char number[24];
	size_t len;

	if (strncasecmp(value, "bytes ", 6) != 0)
		return -1;
	len = strspn(value + 6, "0123456789");
	if (len == 0 || len >= sizeof(number) || value[6 + len] != '-')
		return -1;
	snprintf(number, sizeof(number), "%.*s", (int)len, value + 6);
	return parse_i64(number, 0, INT64_MAX, &start) < 0 ? -1 : start;
}

/* Seconds, or a date; what is senseless is no wish. */
static int64_t retry_after_ms(const char *value)
{
	int64_t seconds;

	if (parse_i64(value, 0, INT32_MAX, &seconds) < 0) {
		time_t date = curl_getdate(value, NULL);
		if (date == (time_t)-1)
			return -1;
		seconds = (int64_t)date - clock_realtime_ns() / 1000000000;
	}
	if (seconds < 0)
		return -1;
	return seconds > RETRY_PAUSE_MAX / 1000 ? RETRY_PAUSE_MAX : seconds * 1000;
}

static int keep(char **member, const char *value)
{
	if (*member)
		return 0;
	*member = strdup(value);
	return *member ? 0 : -ENOMEM;
}

static int take_header(struct exchange *exchange, const char *name, const char *value)
{
	struct exchange_answer *answer = &exchange->answer;

	if (strcasecmp(name, "Content-Type") == 0)
		return keep(&answer->content_type, value);
	if (strcasecmp(name, "Docker-Content-Digest") == 0)
		return keep(&answer->content_digest, value);
	if (strcasecmp(name, "Location") == 0)
		return keep(&answer->location, value);
	if (strcasecmp(name, "Link") == 0)
		return keep(&answer->link, value);
	if (strcasecmp(name, "WWW-Authenticate") == 0)
		return challenge_parse(value, &answer->challenge) == -ENOMEM ? -ENOMEM : 0;
	if (strcasecmp(name, "Content-Range") == 0)
		answer->range_start = range_start(value);
	if (strcasecmp(name, "Content-Length") == 0 && parse_i64(value, 0, INT64_MAX, &answer->content_length) < 0)
		answer->content_length = -1;
	if (strcasecmp(name, "Retry-After") == 0)
		answer->retry_after_ms = retry_after_ms(value);
	if (strcasecmp(name, "Content-Encoding") == 0 && strcasecmp(value, "identity") != 0)
		return fail(exchange, ERR_UNSUPPORTED, 0, "the registry encodes an answer that has to come as it is");
	return 0;
}

static size_t on_header(char *data, size_t one, size_t len, void *user)
{
	struct exchange *exchange = user;
	char line[HEADER_VALUE_SIZE];

	(void)one;
	exchange->head_bytes += len;
	exchange->head_lines++;
	if (exchange->head_bytes > EXCHANGE_HEAD_BYTES || exchange->head_lines > EXCHANGE_HEAD_LINES) {
		fail(exchange, ERR_TOO_LARGE, 0, "the head of an answer is too large");
		return 0;
	}
	if (len >= 5 && strncasecmp(data, "HTTP/", 5) == 0)
		answer_finish(&exchange->answer); /* after an interim answer */
	const char *colon = memchr(data, ':', len);
	if (!colon || len >= sizeof(line))
		return len;
	size_t end = len;
	while (end > 0 && isspace((unsigned char)data[end - 1]))
		end--;
	memcpy(line, data, end);
	line[end] = '\0';
	line[colon - data] = '\0';
	char *value = line + (colon - data) + 1;
	value += strspn(value, " \t");
	if (take_header(exchange, line, value) < 0) {
		fail(exchange, ERR_INTERNAL, ENOMEM, "out of memory");
		return 0;
	}
	return len;
}

/* ---- the answer's body */

static long status_of(struct exchange *exchange)
{
	long status = 0;
	curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static bool is_good(long status)
{
	return status >= 200 && status < 300;
}

/* Where the bytes start that come now. */
static int begin(struct exchange *exchange)
{
	int64_t offset = status_of(exchange) == 206 ? exchange->answer.range_start : 0;

	exchange->begun = true;
	if (offset < 0 || (offset != 0 && offset != exchange->received))
		return fail(exchange, ERR_INTERNAL, EPROTO, "the registry sends another range than was asked for");
	exchange->received = offset;
	int r = exchange->sink->begin ? exchange->sink->begin(exchange, offset) : 0;
	if (r < 0 && !exchange->failure)
		err_errno(&exchange->failure, r, "%s", exchange->registry->host);
	return r;
}

static size_t on_body(char *data, size_t one, size_t len, void *user)
{
	struct exchange *exchange = user;

	(void)one;
	if (!is_good(status_of(exchange))) {
		size_t room = EXCHANGE_ERROR_BYTES - exchange->error_body.len;
		(void)buf_append(&exchange->error_body, data, len < room ? len : room);
		/* Enough of it; what an endless one says is known by now. */
		return len <= room ? len : 0;
	}
	if (!exchange->begun && begin(exchange) < 0)
		return 0;
	int r = exchange->sink->data(exchange, data, len);
	if (r < 0) {
		if (!exchange->failure)
			err_errno(&exchange->failure, r, "%s", exchange->registry->host);
		return 0;
	}
	exchange->received += (int64_t)len;
	return len;
}

/* ---- one attempt */

static int add_header(struct exchange *exchange, const char *line)
{
	struct curl_slist *more = curl_slist_append(exchange->headers, line);
	if (!more)
		return -ENOMEM;
	exchange->headers = more;
	return 0;
}

static bool is_own_origin(const struct exchange *exchange)
{
	struct origin origin;

	if (origin_of(exchange->url, &origin) < 0)
		return false;
	bool own = origin_equal(&origin, &exchange->registry->origin);
	origin_finish(&origin);
	return own;
}

static int set_headers(struct exchange *exchange)
{
	struct registry *registry = exchange->registry;
	_cleanup_free_ char *secret = NULL, *accept = NULL, *range = NULL;
	int r = 0;

	curl_slist_free_all(exchange->headers);
	exchange->headers = NULL;
	if (exchange->accept && asprintf(&accept, "Accept: %s", exchange->accept) < 0)
		return -ENOMEM;
	if (accept)
		r = add_header(exchange, accept);
	if (r == 0 && exchange->received > 0) {
		if (asprintf(&range, "Range: bytes=%lld-", (long long)exchange->received) < 0)
			return -ENOMEM;
		r = add_header(exchange, range);
	}
	if (r == 0 && is_own_origin(exchange) && !registry->endpoints[registry->chosen].is_mirror) {
		r = auth_header(registry, &secret);
		exchange->token_number = registry->token_number;
		if (r == 0 && secret)
			r = add_header(exchange, secret);
		if (secret)
			explicit_bzero(secret, strlen(secret));
	}
	return r;
}

static int attempt(struct exchange *exchange, struct err **reterr)
{
	struct registry *registry = exchange->registry;
	CURL *easy = exchange->easy;

	answer_finish(&exchange->answer);
	buf_reset(&exchange->error_body);
	exchange->head_bytes = exchange->head_lines = 0;
	exchange->begun = false;
	exchange->retry_at_ms = 0;
	exchange->received_before = exchange->received;
	if (set_headers(exchange) < 0)
		return err_oom(reterr);
	curl_easy_reset(easy);
	bool verify = !is_own_origin(exchange) || registry->endpoints[registry->chosen].verify;
	int r = session_setup(registry, easy, exchange->url, verify, reterr);
	if (r < 0)
		return r;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	if (exchange->redirects > 0)
		session_refuse_link_local(easy);
	if (curl_multi_add_handle(registry->multi, easy) != CURLM_OK)
		return err_oom(reterr);
	exchange->running = true;
	return 0;
}

int exchange_start(struct registry *registry, const struct exchange_request *request, const struct exchange_sink *sink,
	void *user, struct exchange **ret, struct err **reterr)
{
	struct exchange *exchange = calloc(1, sizeof(*exchange));

	if (!exchange) {
		if (sink->release)
			sink->release(user);
		return err_oom(reterr);
	}
	list_append(&registry->exchanges, &exchange->link);
	exchange->registry = registry;
	exchange->sink = sink;
	exchange->user = user;
	exchange->accept = request->accept;
	exchange->resumable = request->resumable;
	buf_init(&exchange->error_body, EXCHANGE_ERROR_BYTES);
	exchange->easy = curl_easy_init();
	exchange->url = strdup(request->url);
	exchange->first_url = strdup(request->url);
	int r = exchange->easy && exchange->url && exchange->first_url ? attempt(exchange, reterr) : err_oom(reterr);
	if (r < 0) {
		exchange_free(exchange);
		return r;
	}
	*ret = exchange;
	return 0;
}

static void stop(struct exchange *exchange)
{
	if (exchange->running)
		curl_multi_remove_handle(exchange->registry->multi, exchange->easy);
	exchange->running = false;
}

void exchange_free(struct exchange *exchange)
{
	stop(exchange);
	list_remove(&exchange->link);
	curl_easy_cleanup(exchange->easy);
	curl_slist_free_all(exchange->headers);
	answer_finish(&exchange->answer);
	buf_finish(&exchange->error_body);
	err_free(exchange->failure);
	free(exchange->url);
	free(exchange->first_url);
	if (exchange->sink->release)
		exchange->sink->release(exchange->user);
	free(exchange);
}

/* ---- what to do with an end */

static void complete(struct exchange *exchange, const struct err *err)
{
	exchange->sink->done(exchange, err);
	exchange_free(exchange);
}

static void complete_failed(struct exchange *exchange, struct err *err)
{
	_autofree_(err) struct err *owned = err;
	complete(exchange, owned);
}

static void again(struct exchange *exchange)
{
	struct err *err = NULL;
	if (attempt(exchange, &err) < 0)
		complete_failed(exchange, err);
}

static bool is_worth_another(CURLcode code, long status)
{
	switch ((int)code) {
	case CURLE_OK: return status == 429 || (status >= 500 && status != 501 && status != 505);
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM: return true;
	default: return false;
	}
}

/* True: it will be tried again. */
static bool plan_retry(struct exchange *exchange)
{
	unsigned char noise = 0;

	exchange->attempts = exchange->received > exchange->received_before ? 1 : exchange->attempts + 1;
	if (exchange->attempts >= ATTEMPTS_MAX)
		return false;
	if (!exchange->resumable)
		exchange->received = 0; /* small: all of it again */
	int64_t pause = RETRY_FIRST_MS << exchange->attempts;
	if (exchange->answer.retry_after_ms > pause)
		pause = exchange->answer.retry_after_ms;
	if (getrandom(&noise, sizeof(noise), 0) < 0)
		noise = 0;
	exchange->retry_at_ms = clock_monotonic_ms() + pause + noise;
	return true;
}

void exchange_retry_if_due(struct exchange *exchange, int64_t now_ms)
{
	if (exchange->running || exchange->retry_at_ms == 0 || now_ms < exchange->retry_at_ms)
		return;
	char *url = strdup(exchange->first_url);
	if (url) {
		free(exchange->url);
		exchange->url = url;
		exchange->redirects = 0;
	}
	again(exchange);
}

static int follow(struct exchange *exchange, struct err **reterr)
{
	struct origin from = { 0 }, to = { 0 };
	char *url = NULL;
	const char *host = exchange->registry->host;

	if (++exchange->redirects > EXCHANGE_REDIRECTS)
		return err_set(reterr, ERR_UNAVAILABLE, ELOOP, "%s: more than %d redirects", host, EXCHANGE_REDIRECTS);
	if (!exchange->answer.location)
		return err_set(reterr, ERR_UNAVAILABLE, EPROTO, "%s: a redirect that does not say where to", host);
	int r = origin_resolve(exchange->url, exchange->answer.location, &url);
	if (r == 0)
		r = origin_of(url, &to);
	if (r == 0)
		r = origin_of(exchange->url, &from);
	if (r == 0 && strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0)
		r = err_set(reterr, ERR_FORBIDDEN, 0, "%s: redirects from https to plain http (%s)", host, to.host);
	else if (r < 0)
		r = err_set(reterr, ERR_FORBIDDEN, 0, "%s: redirects to what is not an http or https address", host);
	origin_finish(&from);
	origin_finish(&to);
	if (r < 0) {
		free(url);
		return r;
	}
	free(exchange->url);
	exchange->url = url;
	return 0;
}

static bool is_redirect(long status)
{
	return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

/* The first sentence of curl's for what it could not do; it knows the host, and no secret. */
static struct err *transport_error(const struct exchange *exchange, CURLcode code)
{
	struct err *err = NULL;
	bool tls = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR;

	err_set(&err, ERR_UNAVAILABLE, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : ECONNREFUSED, "Get \"%s\": %s%s",
		exchange->url, tls ? "tls: " : "", curl_easy_strerror(code));
	return err;
}

static void end_good(struct exchange *exchange)
{
	if (!exchange->begun && begin(exchange) < 0)
		complete_failed(exchange, TAKE(exchange->failure));
	else
		complete(exchange, NULL);
}

static bool wants_answer(const struct exchange *exchange)
{
	return exchange->answer.status == 401 && exchange->challenges < CHALLENGES_MAX && is_own_origin(exchange);
}

/* By the status; whoever asked makes its own words of a refusal. */
static void end_answered(struct exchange *exchange)
{
	struct err *err = NULL;
	int r = 0;

	if (is_good(exchange->answer.status)) {
		end_good(exchange);
		return;
	}
	if (wants_answer(exchange)) {
		exchange->challenges++;
		r = auth_answer(exchange->registry, &exchange->answer.challenge, exchange->token_number, &err);
	} else if (is_redirect(exchange->answer.status)) {
		r = follow(exchange, &err);
	} else {
		_cleanup_free_ char *text = exchange_error_text(exchange);
		long status = exchange->answer.status;
		enum err_kind kind = status == 404                    ? ERR_NOT_FOUND
				     : status == 401                  ? ERR_UNAUTHORIZED
				     : status == 403                  ? ERR_FORBIDDEN
				     : status == 429 || status >= 500 ? ERR_UNAVAILABLE
								      : ERR_INTERNAL;
		r = err_set(&err, kind, 0, "%s", text ?: "out of memory");
	}
	if (r < 0)
		complete_failed(exchange, err);
	else
		again(exchange);
}

void exchange_finished(struct exchange *exchange, CURLcode code)
{
	exchange->answer.status = status_of(exchange);
	stop(exchange);
	exchange->registry->happened++;
	/* An error's body that is cut off at its ceiling is a write error to curl. */
	if (code == CURLE_WRITE_ERROR && !exchange->failure && !is_good(exchange->answer.status))
		code = CURLE_OK;
	if (exchange->failure)
		complete_failed(exchange, TAKE(exchange->failure));
	else if (is_worth_another(code, exchange->answer.status) && plan_retry(exchange))
		return;
	else if (code != CURLE_OK)
		complete_failed(exchange, transport_error(exchange, code));
	else
		end_answered(exchange);
}

/* ---- error bodies */

/* {"errors": [{"code": "DENIED", "message": "..."}]}: "denied: message" */
static char *registry_words(const struct buf *body)
{
	_autojson_ json_t *document = NULL;
	char *text = NULL;

	if (!body->data || json_load(body->data, body->len, &document, NULL) < 0)
		return NULL;
	const json_t *first = json_array_get(json_object_get(document, "errors"), 0);
	const char *code = json_string_value(json_object_get(first, "code"));
	const char *message = json_string_value(json_object_get(first, "message"));
	if (!message)
		message = json_string_value(json_object_get(document, "details"));
	if (!message)
		return NULL;
	if (asprintf(&text, "%.100s%s%.300s", code ?: "", code ? ": " : "", message) < 0)
		return NULL;
	for (char *c = text; code && *c && *c != ':'; c++)
		*c = *c == '_' ? ' ' : (char)tolower((unsigned char)*c);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
	return text;
}

char *exchange_error_text(const struct exchange *exchange)
{
	char *text = registry_words(&exchange->error_body);

	if (!text && asprintf(&text, "%s answered with HTTP status %ld", exchange->registry->host,
			     exchange->answer.status) < 0)
		return NULL;
	return text;
}
