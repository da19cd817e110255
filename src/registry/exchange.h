/*
 * One GET and its answer, whatever it takes: tries again after a lost connection or an overloaded server (by Range, from
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
	/* 0 or -errno, which ends it. */
	int (*data)(struct exchange *exchange, const void *data, size_t len);
	/* Once, unless the exchange is given up before. It is freed after this returns. */
	void (*done)(struct exchange *exchange, const struct err *err);
	/* In any case, as the last. May be NULL. */
	void (*release)(void *user);
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
	char *url;       /* where it is sent now: redirects change it */
	char *first_url; /* where each attempt starts: what it redirects to may be good for once only */
	const char *accept;
	bool resumable;
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
	int64_t received; /* good bytes, over all attempts */
	int64_t received_before;
	unsigned attempts; /* without a new byte */
	unsigned challenges;
	unsigned redirects;
	unsigned token_number;
	int64_t retry_at_ms; /* waiting */
};

struct exchange_request {
	const char *url;    /* absolute; copied */
	const char *accept; /* a constant, or NULL */
	bool resumable;     /* after a fault it goes on where it was, else it begins anew */
};

/* On failure nothing is called but `release`. */
int exchange_start(struct registry *registry, const struct exchange_request *request, const struct exchange_sink *sink,
	void *user, struct exchange **ret, struct err **reterr);
void exchange_free(struct exchange *exchange);

/* From the session's loop. */
void exchange_finished(struct exchange *exchange, CURLcode code);
void exchange_retry_if_due(struct exchange *exchange, int64_t now_ms);

/* The registry's own words in an error body, or a fallback; printable, bounded. Freed by the caller; NULL out of memory. */
char *exchange_error_text(const struct exchange *exchange);
