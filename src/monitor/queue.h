/*
 * Bytes waiting to be written, first in, first out, with a ceiling. Holds memory only while it holds bytes, so that a
 * client that keeps up costs nothing.
 */
#pragma once

#include <stddef.h>

#include <sys/uio.h>

struct queue {
	char *data;
	size_t head; /* of the content, in data */
	size_t len;
	size_t cap;
	size_t max;
};

void queue_init(struct queue *queue, size_t max_bytes);
void queue_finish(struct queue *queue); /* frees; may be used again */

/* 0, -ENOMEM, or -EFBIG when it would grow past the ceiling; the content is then as before. */
int queue_append(struct queue *queue, const void *data, size_t len);

/*
 * Writes to a non-blocking `fd`: what is queued first, then the pieces of `iov`; what the kernel does not take stays in
 * the queue. Returns 0, or -errno (-EFBIG: the rest does not fit; -EPIPE...). `count` may be 0, at most QUEUE_IOV_MAX.
 */
#define QUEUE_IOV_MAX 7
int queue_write(struct queue *queue, int fd, const struct iovec *iov, size_t count);
