#include "registry/exchange.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <sys/random.h>

#include "base/clock.h"
#include "codec/json.h"

#define CHALLENGES_MAX 2
#define RETRY_FIRST_MS 200
#define PROBE_ATTEMPTS 3   /* of who only asks whether anybody is there */
#define RETRIES_MAX    100 /* of one transfer, however much each of them brings */
#define SEND_BYTES     (512L * 1024)
#define ANSWER_S       120L

/* ---- the answer's head */

static int fail(struct exchange *exchange, enum err_kind kind, int errnum, const char *message)
{
	if (!exchange->failure)
		err_set(&exchange->failure, kind, errnum, "%s: %s", exchange->registry->host, message);
	return -1;
}

static size_t on_header(char *data, size_t one, size_t len, void *user)
{
	struct exchange *exchange = user;
	int r = answer_take_line(&exchange->answer, data, len);

	(void)one;
	if (r == -EFBIG)
		fail(exchange, ERR_TOO_LARGE, 0, "the head of an answer is too large");
	else if (r == -EOPNOTSUPP)
		fail(exchange, ERR_UNSUPPORTED, 0, "the registry encodes an answer that has to come as it is");
	else if (r < 0)
		fail(exchange, ERR_INTERNAL, ENOMEM, "out of memory");
	return r < 0 ? 0 : len;
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

/* A server may overlook If-Range. */
static bool is_other_version(const struct exchange *exchange)
{
	return exchange->etag && exchange->answer.etag && strcmp(exchange->etag, exchange->answer.etag) != 0;
}

/* Where the bytes start that come now. */
static int begin(struct exchange *exchange)
{
	int64_t offset = status_of(exchange) == 206 ? exchange->answer.range_start : 0;

	exchange->begun = true;
	if (offset < 0 || (offset != 0 && offset != exchange->received))
		return fail(exchange, ERR_INTERNAL, EPROTO, "the registry sends another range than was asked for");
	exchange->anew = offset > 0 && is_other_version(exchange);
	if (exchange->anew)
		return -1;
	exchange->received = offset;
	free(exchange->etag);
	exchange->etag = TAKE(exchange->answer.etag);
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

int exchange_ignore(struct exchange *exchange, const void *data, size_t len)
{
	(void)data;
	return exchange->received + (int64_t)len <= EXCHANGE_ERROR_BYTES
		       ? 0
		       : fail(exchange, ERR_TOO_LARGE, 0, "an answer that should say nothing has no end");
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
	_cleanup_free_ char *secret = NULL, *accept = NULL, *range = NULL, *if_range = NULL, *type = NULL;
	int r = 0;

	curl_slist_free_all(exchange->headers);
	exchange->headers = NULL;
	if (exchange->accept && asprintf(&accept, "Accept: %s", exchange->accept) < 0)
		return -ENOMEM;
	if (accept)
		r = add_header(exchange, accept);
	if (r == 0 && exchange->content_type && asprintf(&type, "Content-Type: %s", exchange->content_type) < 0)
		return -ENOMEM;
	if (r == 0 && type)
		r = add_header(exchange, type);
	if (r == 0 && exchange->range)
		r = add_header(exchange, exchange->range);
	if (r == 0 && exchange->body)
		r = add_header(exchange, "Expect:"); /* a refusal comes at once anyway */
	if (r == 0 && exchange->received > 0) {
		if (asprintf(&range, "Range: bytes=%lld-", (long long)exchange->received) < 0)
			return -ENOMEM;
		r = add_header(exchange, range);
		if (r == 0 && exchange->etag && asprintf(&if_range, "If-Range: %s", exchange->etag) < 0)
			return -ENOMEM;
		if (r == 0 && if_range)
			r = add_header(exchange, if_range);
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

static size_t on_read(char *data, size_t one, size_t len, void *user)
{
	struct exchange *exchange = user;
	ssize_t n;

	exchange->body_touched = true;
	n = exchange->body->read(exchange, data, one * len);
	if (n == -EAGAIN) {
		exchange->paused = true;
		return CURL_READFUNC_PAUSE;
	}
	if (n >= 0)
		return (size_t)n;
	if (!exchange->failure)
		err_errno(&exchange->failure, (int)n, "%s", exchange->registry->host);
	return CURL_READFUNC_ABORT;
}

/* libcurl wants it on another connection: the one it took was closed meanwhile. Who asks for one attempt gets no second one: the
 * server may have taken a part of the first. */
static int on_seek(void *user, curl_off_t offset, int origin)
{
	struct exchange *exchange = user;

	if (offset != 0 || origin != SEEK_SET || (exchange->once && exchange->body_touched))
		return CURL_SEEKFUNC_FAIL;
	return exchange->body->rewind(exchange) < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

static bool is_read(const struct exchange *exchange)
{
	return strcmp(exchange->method, "GET") == 0 || strcmp(exchange->method, "HEAD") == 0;
}

static void set_method(struct exchange *exchange)
{
	CURL *easy = exchange->easy;

	if (strcmp(exchange->method, "GET") == 0)
		return;
	if (strcmp(exchange->method, "HEAD") == 0) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, exchange->method);
	if (!is_read(exchange)) /* it may have to think about what it was given */
		curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, ANSWER_S);
	if (!exchange->body)
		return;
	curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
	curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->body_size);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, SEND_BYTES);
	curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
	curl_easy_setopt(easy, CURLOPT_READDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_seek);
	curl_easy_setopt(easy, CURLOPT_SEEKDATA, exchange);
}

/* As before the first one. */
static int prepare(struct exchange *exchange, struct err **reterr)
{
	answer_reset(&exchange->answer);
	buf_reset(&exchange->error_body);
	exchange->begun = exchange->anew = exchange->paused = false;
	exchange->retry_at_ms = 0;
	exchange->received_before = exchange->received;
	if (exchange->body_touched) {
		int r = exchange->body->rewind(exchange);
		if (r < 0)
			return err_errno(reterr, r, "%s: cannot begin the upload anew", exchange->registry->host);
	}
	exchange->body_touched = false;
	return set_headers(exchange) < 0 ? err_oom(reterr) : 0;
}

static int attempt(struct exchange *exchange, struct err **reterr)
{
	struct registry *registry = exchange->registry;
	CURL *easy = exchange->easy;
	int r = prepare(exchange, reterr);

	if (r < 0)
		return r;
	curl_easy_reset(easy);
	bool own = is_own_origin(exchange);
	r = session_setup(registry, easy, exchange->url, !own || registry->endpoints[registry->chosen].verify, reterr);
	if (r < 0)
		return r;
	curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)exchange->limit_ms);
	set_method(exchange);
	if (!own)
		session_refuse_link_local(easy);
	if (curl_multi_add_handle(registry->multi, easy) != CURLM_OK)
		return err_oom(reterr);
	exchange->running = true;
	return 0;
}

int exchange_waits_for(struct exchange *exchange)
{
	return exchange->running && exchange->paused && exchange->body->fd ? exchange->body->fd(exchange) : -1;
}

void exchange_go_on(struct exchange *exchange)
{
	exchange->paused = false;
	curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
}

static int take_request(struct exchange *exchange, const struct exchange_request *request)
{
	exchange->method = request->method ?: "GET";
	exchange->accept = request->accept;
	exchange->content_type = request->content_type;
	exchange->body = request->body;
	exchange->body_size = request->body_size;
	exchange->resumable = request->resumable;
	exchange->received = request->offset;
	if (request->etag && *request->etag)
		exchange->etag = strdup(request->etag);
	exchange->once = request->once;
	exchange->any_status = request->any_status;
	exchange->limit_ms = request->limit_ms;
	buf_init(&exchange->error_body, EXCHANGE_ERROR_BYTES);
	if (request->body && request->body_size > 0 && request->range_first >= 0 &&
		asprintf(&exchange->range, "Content-Range: %lld-%lld", (long long)request->range_first,
			(long long)(request->range_first + request->body_size - 1)) < 0)
		exchange->range = NULL;
	exchange->easy = curl_easy_init();
	exchange->url = strdup(request->url);
	exchange->first_url = strdup(request->url);
	return exchange->easy && exchange->url && exchange->first_url ? 0 : -ENOMEM;
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
	int r = take_request(exchange, request) < 0 ? err_oom(reterr) : 0;
	if (r == 0 && request->delay_ms > 0)
		exchange->retry_at_ms = clock_monotonic_ms() + request->delay_ms;
	else if (r == 0)
		r = attempt(exchange, reterr);
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
	free(exchange->range);
	free(exchange->etag);
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

static bool is_worth_another(const struct exchange *exchange, CURLcode code)
{
	long status = exchange->answer.status;

	switch ((int)code) {
	case CURLE_OK:
		return !exchange->any_status && (status == 429 || (status >= 500 && status != 501 && status != 505));
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_SEND_FAIL_REWIND:
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM: return true;
	default: return false;
	}
}

int64_t exchange_pause_ms(unsigned failures, int64_t retry_after_ms)
{
	int64_t pause = (int64_t)RETRY_FIRST_MS << failures;
	unsigned char noise = 0;

	if (retry_after_ms > pause)
		pause = retry_after_ms;
	if (getrandom(&noise, sizeof(noise), 0) < 0)
		noise = 0;
	return pause + noise;
}

/* True: it will be tried again. */
static bool plan_retry(struct exchange *exchange)
{
	bool further = exchange->resumable && exchange->received > exchange->received_before;
	unsigned most = exchange->any_status ? PROBE_ATTEMPTS : EXCHANGE_ATTEMPTS;

	exchange->attempts = further ? 1 : exchange->attempts + 1;
	if (exchange->once || exchange->attempts >= most || ++exchange->retries > RETRIES_MAX)
		return false;
	if (!exchange->resumable)
		exchange->received = 0; /* small: all of it again */
	exchange->retry_at_ms = clock_monotonic_ms() +
				exchange_pause_ms(exchange->attempts, exchange->answer.retry_after_ms);
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

/* There is no such range, or it is not of what we have: from the beginning, which can happen once in a row. */
static bool must_begin_anew(const struct exchange *exchange)
{
	return exchange->anew || (exchange->answer.status == 416 && exchange->received > 0);
}

static void begin_anew(struct exchange *exchange)
{
	exchange->received = 0;
	free(exchange->etag);
	exchange->etag = NULL;
	again(exchange);
}

/* With its body and method a request goes on elsewhere only where the registry says just that. */
static bool is_redirect(const struct exchange *exchange)
{
	long status = exchange->answer.status;

	if (status == 307 || status == 308)
		return true;
	return is_read(exchange) && (status == 301 || status == 302 || status == 303);
}

/* The first sentence of curl's for what it could not do; it knows the host. What follows a "?" may be a secret. */
static struct err *transport_error(const struct exchange *exchange, CURLcode code)
{
	struct err *err = NULL;
	bool tls = code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR;
	char method[8];

	snprintf(method, sizeof(method), "%s", exchange->method);
	for (char *c = method + 1; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	err_set(&err, ERR_UNAVAILABLE, code == CURLE_OPERATION_TIMEDOUT ? ETIMEDOUT : ECONNREFUSED, "%s \"%.*s\": %s%s",
		method, (int)strcspn(exchange->url, "?"), exchange->url, tls ? "tls: " : "", curl_easy_strerror(code));
	return err;
}

static void end_good(struct exchange *exchange)
{
	if (exchange->begun || begin(exchange) == 0)
		complete(exchange, NULL);
	else if (exchange->anew)
		begin_anew(exchange);
	else
		complete_failed(exchange, TAKE(exchange->failure));
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
	} else if (is_redirect(exchange)) {
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
	else if (must_begin_anew(exchange))
		begin_anew(exchange);
	else if (is_worth_another(exchange, code) && plan_retry(exchange))
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
