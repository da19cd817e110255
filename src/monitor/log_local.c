/*
 * The "local" driver's record: its length, a head of stream and time, the bytes, and the length again so that the file can
 * be walked backwards. Numbers are in the machine's own order: such a file is read where it was written.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "monitor/logformat.h"

struct local_head {
	uint32_t len; /* of the bytes behind the head */
	uint32_t stream;
	int64_t time_ns;
};

#define LOCAL_TAIL     sizeof(uint32_t)
#define LOCAL_OVERHEAD (sizeof(struct local_head) + LOCAL_TAIL)

static size_t local_encode(char *out, const struct log_stamp *stamp, enum log_stream stream, const char *data,
	size_t len)
{
	struct local_head head = { (uint32_t)len, stream, stamp->time_ns };
	memcpy(out, &head, sizeof head);
	memcpy(out + sizeof head, data, len);
	memcpy(out + sizeof head + len, &head.len, LOCAL_TAIL);
	return LOCAL_OVERHEAD + len;
}

static size_t local_decode(char *data, size_t len, struct log_record *ret)
{
	struct local_head head;
	uint32_t tail;

	*ret = (struct log_record){ .data = NULL };
	if (len < sizeof head)
		return 0;
	memcpy(&head, data, sizeof head);
	if (head.len > LOG_DATA_MAX || head.stream < LOG_STDOUT || head.stream > LOG_STDERR)
		return len; /* nothing tells where the next one begins */
	if (len < LOCAL_OVERHEAD + head.len)
		return 0;
	memcpy(&tail, data + sizeof head + head.len, LOCAL_TAIL);
	if (tail != head.len)
		return len;
	*ret = (struct log_record){
		.time_ns = head.time_ns,
		.stream = (enum log_stream)head.stream,
		.data = data + sizeof head,
		.len = head.len,
	};
	return LOCAL_OVERHEAD + head.len;
}

static int local_seek_back(int fd, off_t end, uint64_t *count, off_t *ret_pos)
{
	while (*count && end > 0) {
		uint32_t len;
		ssize_t n = pread(fd, &len, sizeof len, end - (off_t)LOCAL_TAIL);
		if (n < 0)
			return -errno;
		if (n != sizeof len || len > LOG_DATA_MAX || (off_t)(LOCAL_OVERHEAD + len) > end)
			break; /* damaged: what comes behind is all there is */
		end -= (off_t)(LOCAL_OVERHEAD + len);
		--*count;
	}
	*ret_pos = end;
	return 0;
}

/* Only the head knows where a record ends, so a torn tail is found from the front. */
static off_t local_whole(int fd, off_t size)
{
	off_t pos = 0;
	struct local_head head;

	while (pread(fd, &head, sizeof head, pos) == sizeof head && head.len <= LOG_DATA_MAX &&
		pos + (off_t)(LOCAL_OVERHEAD + head.len) <= size)
		pos += (off_t)(LOCAL_OVERHEAD + head.len);
	return pos;
}

const struct log_ops log_ops_local = {
	.driver = "local",
	.record_max = LOCAL_OVERHEAD + LOG_DATA_MAX,
	.encode = local_encode,
	.decode = local_decode,
	.seek_back = local_seek_back,
	.whole = local_whole,
};
