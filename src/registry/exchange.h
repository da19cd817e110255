/*
 * One request and its answer, whatever it takes: tries again after a lost connection or an overloaded server (by Range, from
 * where it was), follows redirects itself and judges each, answers a challenge at most twice. Who wants the answer sees its
 * bytes only when it is a good one.
 */
#pragma once

#include "registry/session.h"

#define EXCHANGE_HEAD_BYTES  (64 * 1024)
#define EXCHANGE_HEAD_LINES  200
#define EXCHANGE_ERROR_BYTES (64 * 1024)
#define EXCHANGE_REDIRECTS   10

struct exchange;

struct exchange_sink {
	/* The bytes that follow start at `offset`: of a resumed answer not 0. 0 or -errno. May be NULL. */
	int (*begin)(struct exchange *exchange, int64_t offset);
	/* As registry_download.on_data. */
	int (*data)(struct exchange *exchange, const void *data, size_t len);
	/* Once; frees what it hangs on to. The exchange is freed after it returns. */
	void (*done)(struct exchange *exchange, const struct err *err);
};

struct exchange_answer {
	long status;
	char *content_type;
	char *content_digest; /* Docker-Content-Digest */
	char *location;
	char *link;
	int64_t content_length; /* -1: not said */
	int64_t range_start;    /* of Content-Range; -1 */
	int64_t retry_after_ms; /* -1 */
	struct challenge challenge;
};

struct exchange {
	struct list link;
	struct registry *registry;
	const struct exchange_sink *sink;
	void *user;
	/* The request. */
	const char *method;
	char *url;          /* where it is sent now: redirects change it */
	char *first_url;    /* where each attempt starts: what it redirects to may be good for once only */
	const char *accept; /* header value or NULL */
	bool resumable;     /* a GET of a blob */
	bool foreign;       /* another host's: no credentials */
	/* How far it is. */
	CURL *easy;
	struct curl_slist *headers;
	struct exchange_answer answer;
	struct buf error_body;
	struct err *failure; /* set by a callback that ended it */
	size_t head_bytes;
	unsigned head_lines;
	bool begun;
	bool running;
	bool paused;
	int64_t received; /* good bytes, over all attempts */
	int64_t received_before;
	unsigned attempts; /* without a new byte */
	unsigned challenges;
	unsigned redirects;
	unsigned token_number;
	int64_t retry_at_ms; /* waiting */
};

/* Starts. `url` is absolute, copied. On failure nothing is called. */
int exchange_start(struct registry *registry, const char *method, const char *url, const char *accept,
	const struct exchange_sink *sink, void *user, struct exchange **ret, struct err **reterr);
/* GET of a blob of which the first `offset` bytes are there: goes on from where it was, now and after each fault. */
int exchange_start_at(struct registry *registry, const char *url, int64_t offset, const struct exchange_sink *sink,
	void *user, struct exchange **ret, struct err **reterr);
void exchange_resume(struct exchange *exchange);
void exchange_free(struct exchange *exchange);

/* From the session's loop. */
void exchange_finished(struct exchange *exchange, CURLcode code);
void exchange_retry_if_due(struct exchange *exchange, int64_t now_ms);

/* The registry's own words in an error body, or a fallback; printable, bounded. Freed by the caller; NULL out of memory. */
char *exchange_error_text(const struct exchange *exchange);
