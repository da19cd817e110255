/*
 * One request and its answer, whatever it takes: tries again after a lost connection or an overloaded server (a download by
 * Range, from where it was), follows redirects itself and judges each, answers a challenge at most twice. Who wants the answer
 * sees its bytes only when it is a good one. A request with a body begins that anew each time; who can go on in the middle (an
 * upload) asks for one attempt only and sees to the rest.
 */
#pragma once

#include "registry/answer.h"
#include "registry/session.h"

#define EXCHANGE_ERROR_BYTES (64 * 1024)
#define EXCHANGE_REDIRECTS   10
#define EXCHANGE_ATTEMPTS    5 /* in a row without a new byte */

struct exchange;

struct exchange_sink {
	/* The bytes that follow start at `offset`: of a resumed answer not 0, and 0 if all comes again. 0 or -errno. May be NULL. */
	int (*begin)(struct exchange *exchange, int64_t offset);
	/* 0 or -errno, which ends it. */
	int (*data)(struct exchange *exchange, const void *data, size_t len);
	/* Once, unless the exchange is given up before. It is freed after this returns. */
	void (*done)(struct exchange *exchange, const struct err *err);
	/* In any case, as the last. May be NULL. */
	void (*release)(void *user);
};

/* What a request carries. */
struct exchange_body {
	/* The next bytes: their count, 0 at the end, -EAGAIN if there are none yet, or another -errno, which ends it. */
	ssize_t (*read)(struct exchange *exchange, void *data, size_t len);
	/* Back to its beginning: 0 or -errno. */
	int (*rewind)(struct exchange *exchange);
	/* Readable when there is more, after -EAGAIN. NULL for what is always there. */
	int (*fd)(struct exchange *exchange);
};

struct exchange {
	struct list link;
	struct registry *registry;
	const struct exchange_sink *sink;
	void *user;
	/* The request. */
	char *url;       /* where it is sent now: redirects change it */
	char *first_url; /* where each attempt starts: what it redirects to may be good for once only */
	const char *method;
	const char *accept;
	const char *content_type;
	const struct exchange_body *body; /* NULL: none */
	int64_t body_size;                /* -1: until its end */
	char *range;                      /* "Content-Range: 0-99" */
	bool resumable;
	char *etag; /* of what was received so far; NULL: not known */
	bool once;
	bool any_status;
	int64_t limit_ms;
	/* How far it is. */
	CURL *easy;
	struct curl_slist *headers;
	struct answer answer;
	struct buf error_body;
	struct err *failure; /* set by a callback that ended it */
	bool begun;
	bool anew; /* what was received is of another version: all of it again */
	bool running;
	bool paused;       /* the body has nothing to send yet */
	bool body_touched; /* it has to be rewound for another attempt */
	int64_t received;  /* good bytes, over all attempts */
	int64_t received_before;
	unsigned attempts; /* without a new byte */
	unsigned retries;
	unsigned challenges;
	unsigned redirects;
	unsigned token_number;
	int64_t retry_at_ms; /* waiting */
};

struct exchange_request {
	const char *url;          /* absolute; copied */
	const char *method;       /* a constant; NULL: GET */
	const char *accept;       /* a constant, or NULL */
	const char *content_type; /* of the body: a constant, or NULL */
	const struct exchange_body *body;
	int64_t body_size;   /* -1: not known */
	int64_t range_first; /* of the body in what it is a piece of; -1: not said */
	bool resumable;      /* after a fault it goes on where it was, else it begins anew */
	int64_t offset;      /* of a resumable one: how much the caller has */
	const char *etag;    /* the version that this is of; NULL or "": not known */
	bool once;           /* a fault is the end of it; challenges and redirects are not */
	bool any_status;     /* whatever the server says, it has said it: an overloaded one is not asked again */
	int64_t delay_ms;    /* before the first attempt */
	int64_t limit_ms;    /* of each attempt, all in all; 0: as long as bytes come */
};

/* On failure nothing is called but `release`. */
int exchange_start(struct registry *registry, const struct exchange_request *request, const struct exchange_sink *sink,
	void *user, struct exchange **ret, struct err **reterr);
void exchange_free(struct exchange *exchange);

/* A sink's `data` for an answer of which only the head counts. */
int exchange_ignore(struct exchange *exchange, const void *data, size_t len);

/* From the session's loop. */
void exchange_finished(struct exchange *exchange, CURLcode code);
void exchange_retry_if_due(struct exchange *exchange, int64_t now_ms);
/* What to wait for before a body goes on, -1 if none has to wait; and to be called when it is there. */
int exchange_waits_for(struct exchange *exchange);
void exchange_go_on(struct exchange *exchange);

/* How long to wait before the attempt after `failures` others in a row: it grows, differs from one to the next, and is what
 * the registry asked for within bounds. */
int64_t exchange_pause_ms(unsigned failures, int64_t retry_after_ms);

/* The registry's own words in an error body, or a fallback; printable, bounded. Freed by the caller; NULL out of memory. */
char *exchange_error_text(const struct exchange *exchange);
