#include "monitor/queue.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define QUEUE_STEP 4096

void queue_init(struct queue *queue, size_t max_bytes)
{
	*queue = (struct queue){ .max = max_bytes };
}

void queue_finish(struct queue *queue)
{
	free(queue->data);
	*queue = (struct queue){ .max = queue->max };
}

/* Room for `more` bytes after the content, moving it to the front before growing. */
static int queue_reserve(struct queue *queue, size_t more)
{
	if (more > queue->max || queue->len > queue->max - more)
		return -EFBIG;
	if (queue->head + queue->len + more <= queue->cap)
		return 0;
	if (queue->head) {
		memmove(queue->data, queue->data + queue->head, queue->len);
		queue->head = 0;
	}
	if (queue->len + more <= queue->cap)
		return 0;

	size_t cap = queue->cap ? queue->cap : QUEUE_STEP;
	while (cap < queue->len + more)
		cap *= 2;
	if (cap > queue->max)
		cap = queue->max;
	char *data = realloc(queue->data, cap);
	if (!data)
		return -ENOMEM;
	queue->data = data;
	queue->cap = cap;
	return 0;
}

int queue_append(struct queue *queue, const void *data, size_t len)
{
	if (!len)
		return 0;
	int ret = queue_reserve(queue, len);
	if (ret < 0)
		return ret;
	memcpy(queue->data + queue->head + queue->len, data, len);
	queue->len += len;
	return 0;
}

static void queue_consume(struct queue *queue, size_t len)
{
	queue->head += len;
	queue->len -= len;
	if (!queue->len)
		queue_finish(queue);
}

/* Keeps what was not written: all pieces behind the first `written` bytes. */
static int queue_keep(struct queue *queue, const struct iovec *iov, size_t count, size_t written)
{
	size_t rest = 0;
	for (size_t i = 0; i < count; i++)
		rest += iov[i].iov_len;
	int ret = queue_reserve(queue, rest - written);
	for (size_t i = 0; i < count && ret == 0; i++) {
		size_t skip = written < iov[i].iov_len ? written : iov[i].iov_len;
		ret = queue_append(queue, (const char *)iov[i].iov_base + skip, iov[i].iov_len - skip);
		written -= skip;
	}
	return ret;
}

int queue_write(struct queue *queue, int fd, const struct iovec *iov, size_t count)
{
	struct iovec all[QUEUE_IOV_MAX + 1];
	size_t n = 0;

	assert(count <= QUEUE_IOV_MAX);
	if (queue->len)
		all[n++] = (struct iovec){ queue->data + queue->head, queue->len };
	if (count)
		memcpy(all + n, iov, count * sizeof *iov);
	n += count;
	if (!n)
		return 0;

	ssize_t written;
	do
		written = writev(fd, all, (int)n);
	while (written < 0 && errno == EINTR);
	if (written < 0 && errno != EAGAIN)
		return -errno;

	size_t done = written < 0 ? 0 : (size_t)written;
	size_t from_queue = done < queue->len ? done : queue->len;
	if (from_queue)
		queue_consume(queue, from_queue);
	return queue_keep(queue, iov, count, done - from_queue);
}
