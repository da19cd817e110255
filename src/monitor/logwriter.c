/*
 * Records are encoded into one batch, which is written when it is full, before a rotation, and when all that was put is in
 * it: one write for a whole read of a container in full flow. Buffers exist while there is something in them, and a batch
 * stays only between large reads.
 */
#include "monitor/logwriter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOG_BATCH_MIN (512 * 1024)
#define LOG_FULL_FLOW (16 * 1024)

struct carry {
	char *data; /* LOG_DATA_MAX, or NULL */
	size_t len;
};

struct logwriter {
	struct logset *set;
	const struct log_ops *ops;
	struct carry carry[2];
	struct log_stamp stamp;
	char *attrs;
	char *batch;
	size_t batch_len;
	size_t batch_max;
	bool failing; /* the last write failed, and that was said */
};

int logwriter_new(struct logset *set, const struct log_ops *ops, const char *attrs, struct logwriter **ret)
{
	int r = logset_open(set, ops->whole);
	if (r < 0)
		return r;
	struct logwriter *writer = calloc(1, sizeof *writer);
	char *copy = attrs ? strdup(attrs) : NULL;
	if (!writer || (attrs && !copy)) {
		logset_close(set);
		free(writer);
		free(copy);
		return -ENOMEM;
	}
	writer->stamp.attrs = writer->attrs = copy;
	writer->set = set;
	writer->ops = ops;
	writer->batch_max = ops->record_max > LOG_BATCH_MIN ? ops->record_max + LOG_BATCH_MIN : LOG_BATCH_MIN;
	*ret = writer;
	return 0;
}

static void report(struct logwriter *writer, int ret)
{
	if (ret < 0 && !writer->failing)
		log_error("cannot write the container's log, output is lost: %s", strerrordesc_np(-ret));
	else if (ret == 0 && writer->failing)
		log_info("the container's log can be written again");
	writer->failing = ret < 0;
}

static void batch_flush(struct logwriter *writer)
{
	if (!writer->batch_len)
		return;
	report(writer, logset_append(writer->set, writer->batch, writer->batch_len));
	writer->batch_len = 0;
}

static void batch_release(struct logwriter *writer)
{
	free(writer->batch);
	writer->batch = NULL;
}

static void add_record(struct logwriter *writer, enum log_stream stream, const char *data, size_t len)
{
	if (logset_wants_rotation(writer->set, writer->batch_len)) {
		batch_flush(writer);
		int ret = logset_rotate(writer->set);
		if (ret < 0)
			report(writer, ret);
	}
	if (writer->batch_len + writer->ops->record_max > writer->batch_max)
		batch_flush(writer);
	writer->batch_len += writer->ops->encode(writer->batch + writer->batch_len, &writer->stamp, stream, data, len);
}

/* Takes what belongs to the unfinished line off the front of `data`; returns how much. */
static size_t carry_complete(struct logwriter *writer, enum log_stream stream, const char *data, size_t len)
{
	struct carry *carry = &writer->carry[stream - LOG_STDOUT];
	size_t room = LOG_DATA_MAX - carry->len;
	size_t most = len < room ? len : room;
	const char *newline = memchr(data, '\n', most);
	size_t take = newline ? (size_t)(newline - data) + 1 : most;

	memcpy(carry->data + carry->len, data, take);
	carry->len += take;
	if (newline || carry->len == LOG_DATA_MAX) {
		add_record(writer, stream, carry->data, carry->len);
		carry->len = 0;
		free(carry->data);
		carry->data = NULL;
	}
	return take;
}

static void carry_begin(struct logwriter *writer, enum log_stream stream, const char *data, size_t len)
{
	struct carry *carry = &writer->carry[stream - LOG_STDOUT];
	carry->data = malloc(LOG_DATA_MAX);
	if (!carry->data) {
		add_record(writer, stream, data, len); /* cut here rather than lost */
		return;
	}
	memcpy(carry->data, data, len);
	carry->len = len;
}

static bool batch_begin(struct logwriter *writer, int64_t time_ns)
{
	if (!writer->batch)
		writer->batch = malloc(writer->batch_max);
	if (!writer->batch) {
		report(writer, -ENOMEM);
		return false;
	}
	log_stamp_set(&writer->stamp, time_ns);
	return true;
}

void logwriter_put(struct logwriter *writer, enum log_stream stream, const char *data, size_t len, int64_t time_ns)
{
	bool full_flow = len >= LOG_FULL_FLOW;

	if (!batch_begin(writer, time_ns))
		return;
	if (writer->carry[stream - LOG_STDOUT].data) {
		size_t taken = carry_complete(writer, stream, data, len);
		data += taken;
		len -= taken;
	}
	while (len) {
		size_t most = len < LOG_DATA_MAX ? len : LOG_DATA_MAX;
		const char *newline = memchr(data, '\n', most);
		if (!newline && most < LOG_DATA_MAX) {
			carry_begin(writer, stream, data, len);
			break;
		}
		size_t take = newline ? (size_t)(newline - data) + 1 : most;
		add_record(writer, stream, data, take);
		data += take;
		len -= take;
	}
	batch_flush(writer);
	if (!full_flow)
		batch_release(writer);
}

void logwriter_end(struct logwriter *writer, enum log_stream stream, int64_t time_ns)
{
	struct carry *carry = &writer->carry[stream - LOG_STDOUT];

	if (carry->data && batch_begin(writer, time_ns)) {
		add_record(writer, stream, carry->data, carry->len);
		batch_flush(writer);
	}
	free(carry->data);
	*carry = (struct carry){ NULL, 0 };
	batch_release(writer);
}

void logwriter_free(struct logwriter *writer)
{
	if (!writer)
		return;
	for (enum log_stream stream = LOG_STDOUT; stream <= LOG_STDERR; stream++)
		logwriter_end(writer, stream, clock_realtime_ns());
	logset_close(writer->set);
	free(writer->attrs);
	free(writer);
}
