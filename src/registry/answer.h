/*
 * The head of an answer, line by line as it comes from a stranger: what of it is looked at, and how much of it there may be.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "registry/challenge.h"

#define ANSWER_HEAD_BYTES (64 * 1024)
#define ANSWER_HEAD_LINES 200
#define ANSWER_ETAG_SIZE  256
#define RETRY_PAUSE_MAX   30000 /* ms: what a Retry-After is obeyed for at most */

struct answer {
	long status;
	char *content_type;
	char *content_digest; /* Docker-Content-Digest */
	char *etag;           /* if it is a strong one, of less than ANSWER_ETAG_SIZE bytes */
	char *location;
	char *next;             /* of Link: the address with rel="next" */
	int64_t content_length; /* -1: not said */
	int64_t range_start;    /* of Content-Range: -1 */
	int64_t range_end;      /* of an upload's Range, "0-99": -1 */
	int64_t retry_after_ms; /* -1 */
	struct challenge challenge;
	size_t bytes;
	unsigned lines;
};

/* Of a new one too. */
void answer_reset(struct answer *answer);
void answer_finish(struct answer *answer);

/*
 * One line with its end: a status line (after an interim answer all begins anew), a header, or the empty one. 0, -ENOMEM,
 * -EFBIG (more than the bounds above), or -EOPNOTSUPP (the body comes encoded).
 */
int answer_take_line(struct answer *answer, const char *data, size_t len);
