/*
 * A window slides over the current file. It exists while there is something in it to decode, so a follower that has caught
 * up holds no buffer. A record that does not fit into LOG_WINDOW_MAX is damage, and skipped.
 */
#include "monitor/logreader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#define LOG_WINDOW_MIN (32 * 1024)
#define LOG_WINDOW_MAX (256 * 1024)

struct logreader {
	struct logset *set;
	const struct log_ops *ops;
	struct logreader_options options;

	struct logfile *file; /* stood on; NULL: nothing was there yet */
	off_t pos;            /* of the window's first byte that is not decoded */
	char *window;
	size_t start, len, cap; /* len: from start */

	struct logfile *last; /* without follow: where to stop */
	off_t last_end;
	bool has_ended;
};

static off_t file_size(struct logset *set, struct logfile *file)
{
	struct stat st;
	int fd = logset_fd(set, file);
	return fd >= 0 && fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* Stands on the place where the last `tail` records begin. */
static int seek_tail(struct logreader *reader)
{
	uint64_t left = (uint64_t)reader->options.tail;
	struct logfile *file = logset_newest(reader->set);
	off_t pos = 0;

	while (file) {
		int fd = logset_fd(reader->set, file);
		pos = file_size(reader->set, file);
		if (fd >= 0) {
			int ret = reader->ops->seek_back(fd, pos, &left, &pos);
			if (ret < 0)
				return ret;
		}
		struct logfile *before = left ? logset_before(reader->set, file) : NULL;
		if (!before)
			break;
		file = before;
	}
	reader->file = logfile_ref(file);
	reader->pos = pos;
	return 0;
}

int logreader_new(struct logset *set, const struct log_ops *ops, const struct logreader_options *options,
	struct logreader **ret)
{
	struct logreader *reader = calloc(1, sizeof *reader);
	int r = reader ? logset_read_begin(set) : -ENOMEM;
	if (r < 0) {
		free(reader);
		return r;
	}
	reader->set = set;
	reader->ops = ops;
	reader->options = *options;
	if (!options->follow) {
		reader->last = logfile_ref(logset_newest(set));
		reader->last_end = file_size(set, reader->last);
	}
	if (options->tail >= 0)
		r = seek_tail(reader);
	else
		reader->file = logfile_ref(logset_oldest(set));
	if (r < 0) {
		logreader_free(reader);
		return r;
	}
	*ret = reader;
	return 0;
}

static void window_drop(struct logreader *reader)
{
	free(reader->window);
	reader->window = NULL;
	reader->start = reader->len = reader->cap = 0;
}

void logreader_free(struct logreader *reader)
{
	if (!reader)
		return;
	window_drop(reader);
	if (reader->file)
		logset_unref(reader->set, reader->file);
	if (reader->last)
		logset_unref(reader->set, reader->last);
	logset_read_end(reader->set);
	free(reader);
}

/* Room behind the content: by moving it to the front, else by growing. */
static int window_room(struct logreader *reader)
{
	if (reader->window && reader->start) {
		memmove(reader->window, reader->window + reader->start, reader->len);
		reader->start = 0;
	}
	if (reader->len < reader->cap)
		return 0;
	if (reader->cap == LOG_WINDOW_MAX) {
		reader->pos += (off_t)reader->len;
		reader->len = 0;
		return 0;
	}
	size_t cap = reader->cap ? reader->cap * 2 : LOG_WINDOW_MIN;
	char *window = realloc(reader->window, cap);
	if (!window)
		return -ENOMEM;
	reader->window = window;
	reader->cap = cap;
	return 0;
}

/* Bytes read behind the window, 0 at the end of the file (or of what was there at first), -errno. */
static ssize_t window_fill(struct logreader *reader)
{
	int fd = logset_fd(reader->set, reader->file);
	if (fd < 0)
		return 0; /* gone before we came to it */
	int ret = window_room(reader);
	if (ret < 0)
		return ret;

	off_t from = reader->pos + (off_t)reader->len;
	size_t want = reader->cap - reader->len;
	if (reader->file == reader->last && from + (off_t)want > reader->last_end)
		want = from < reader->last_end ? (size_t)(reader->last_end - from) : 0;
	ssize_t n = want ? pread(fd, reader->window + reader->len, want, from) : 0;
	if (n < 0)
		return -errno;
	reader->len += (size_t)n;
	return n;
}

/* On to the next file: false if there is none. What is left in the window is a torn record. */
static bool next_file(struct logreader *reader)
{
	if (reader->file == reader->last)
		return false;
	struct logfile *next = logset_next(reader->set, reader->file);
	if (!next)
		return false;
	window_drop(reader);
	reader->pos = 0;
	logfile_ref(next);
	logset_unref(reader->set, reader->file);
	reader->file = next;
	return true;
}

static bool is_wanted(struct logreader *reader, const struct log_record *record)
{
	if (!record->data || record->time_ns < reader->options.since_ns)
		return false;
	if (record->time_ns > reader->options.until_ns) {
		reader->has_ended = true;
		return false;
	}
	return record->stream == LOG_STDOUT ? reader->options.want_stdout : reader->options.want_stderr;
}

int logreader_next(struct logreader *reader, struct log_record *ret)
{
	while (!reader->has_ended) {
		size_t used = reader->len ? reader->ops->decode(reader->window + reader->start, reader->len, ret) : 0;
		if (used) {
			reader->start += used;
			reader->len -= used;
			reader->pos += (off_t)used;
			if (is_wanted(reader, ret))
				return LOGREADER_RECORD;
			continue;
		}
		ssize_t n = window_fill(reader);
		if (n < 0)
			return (int)n;
		if (n > 0 || next_file(reader))
			continue;
		if (!reader->len)
			window_drop(reader);
		if (reader->options.follow)
			return LOGREADER_WAIT;
		break;
	}
	window_drop(reader);
	return LOGREADER_END;
}
