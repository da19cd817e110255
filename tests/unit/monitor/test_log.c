/* The log's files, writer and reader, for each driver that writes any. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/io.h"
#include "monitor/logreader.h"
#include "monitor/logwriter.h"

#define TEXT_MAX (64 * 1024 * 1024)

struct place {
	const struct log_ops *ops;
	char path[64];
	int fd;
	const char *attrs;
	struct logset *set;
	struct logwriter *writer;
};

static void open_place(struct place *place, const struct log_ops *ops, int64_t max_bytes, unsigned max_files)
{
	*place = (struct place){ .ops = ops };
	strcpy(place->path, "/tmp/tare-test-log-XXXXXX");
	assert_non_null(mkdtemp(place->path));
	place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(logset_new(place->fd, "log", max_bytes, max_files, &place->set), 0);
	assert_int_equal(logwriter_new(place->set, ops, place->attrs, &place->writer), 0);
}

static void close_place(struct place *place)
{
	logwriter_free(place->writer);
	logset_free(place->set);
	for (unsigned i = 0; i < 20; i++) {
		char name[16];
		snprintf(name, sizeof name, i ? "log.%u" : "log", i);
		unlinkat(place->fd, name, 0);
		strcat(name, ".gz");
		unlinkat(place->fd, name, 0);
	}
	assert_int_equal(rmdir(place->path), 0);
	close(place->fd);
}

static void put(struct place *place, const char *text)
{
	logwriter_put(place->writer, LOG_STDOUT, text, strlen(text), 1000);
}

static void put_numbers(struct place *place, int from, int to)
{
	char line[32];
	for (int i = from; i < to; i++) {
		snprintf(line, sizeof line, "line %d\n", i);
		logwriter_put(place->writer, i % 2 ? LOG_STDERR : LOG_STDOUT, line, strlen(line), i);
	}
}

static struct logreader_options all(void)
{
	return (struct logreader_options){
		.tail = -1, .since_ns = INT64_MIN, .until_ns = INT64_MAX, .want_stdout = true, .want_stderr = true
	};
}

static struct logreader *reader_for(struct place *place, struct logreader_options options)
{
	struct logreader *reader = NULL;
	assert_int_equal(logreader_new(place->set, place->ops, &options, &reader), 0);
	return reader;
}

/* Appends what the reader has now; returns why it stopped. */
static int drain(struct logreader *reader, struct buf *text)
{
	struct log_record record;
	int ret;
	while ((ret = logreader_next(reader, &record)) == LOGREADER_RECORD)
		assert_int_equal(buf_append(text, record.data, record.len), 0);
	return ret;
}

static void expect(struct place *place, struct logreader_options options, const char *expected)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEXT_MAX);
	struct logreader *reader = reader_for(place, options);
	assert_int_equal(drain(reader, &text), LOGREADER_END);
	assert_string_equal(text.data ?: "", expected);
	logreader_free(reader);
}

static const struct log_ops *ops_of(void **state)
{
	return *state;
}

static void bytes_are_kept(void **state)
{
	struct place place;
	open_place(&place, ops_of(state), -1, 1);
	put(&place, "one\ntwo");
	expect(&place, all(), "one\n"); /* an unfinished line waits */
	put(&place, " three\n\n");
	put(&place, "end");
	logwriter_end(place.writer, LOG_STDOUT, 1);
	expect(&place, all(), "one\ntwo three\n\nend");
	close_place(&place);
}

static void long_lines_are_cut(void **state)
{
	const size_t lengths[] = { LOG_DATA_MAX - 1, LOG_DATA_MAX, LOG_DATA_MAX + 1, 3 * LOG_DATA_MAX + 5 };
	struct place place;
	open_place(&place, ops_of(state), -1, 1);
	_cleanup_(buf_finish) struct buf sent = BUF_INIT(TEXT_MAX);
	for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
		char *line = malloc(lengths[i] + 1);
		memset(line, 'a' + (int)i, lengths[i]);
		line[lengths[i]] = '\n';
		/* In two pieces, so that both ways to a record are used. */
		logwriter_put(place.writer, LOG_STDOUT, line, 100, 1);
		logwriter_put(place.writer, LOG_STDOUT, line + 100, lengths[i] + 1 - 100, 1);
		assert_int_equal(buf_append(&sent, line, lengths[i] + 1), 0);
		free(line);
	}
	expect(&place, all(), sent.data);

	struct logreader *reader = reader_for(&place, all());
	struct log_record record;
	while (logreader_next(reader, &record) == LOGREADER_RECORD)
		assert_true(record.len <= LOG_DATA_MAX);
	logreader_free(reader);
	close_place(&place);
}

static void tail_counts_records_over_files(void **state)
{
	struct place place;
	struct logreader_options options = all();
	open_place(&place, ops_of(state), 300, 20);
	put_numbers(&place, 0, 30);
	_cleanup_(buf_finish) struct buf expected = BUF_INIT(TEXT_MAX);
	for (int tail = 0; tail <= 31; tail++) {
		buf_reset(&expected);
		for (int i = tail > 30 ? 0 : 30 - tail; i < 30; i++)
			assert_int_equal(buf_printf(&expected, "line %d\n", i), 0);
		options.tail = tail;
		expect(&place, options, expected.data ?: "");
	}
	close_place(&place);
}

static void streams_and_times_are_chosen(void **state)
{
	struct place place;
	struct logreader_options options = all();
	open_place(&place, ops_of(state), -1, 1);
	put_numbers(&place, 0, 6);
	options.want_stderr = false;
	expect(&place, options, "line 0\nline 2\nline 4\n");
	options = all();
	options.since_ns = 2;
	options.until_ns = 4;
	expect(&place, options, "line 2\nline 3\nline 4\n");
	close_place(&place);
}

static void rotation_keeps_the_limits(void **state)
{
	struct place place;
	struct stat st;
	open_place(&place, ops_of(state), 1000, 3);
	put_numbers(&place, 0, 1000);
	assert_int_equal(fstatat(place.fd, "log", &st, 0), 0);
	assert_true(st.st_size < 1000 + 200);
	assert_int_equal(fstatat(place.fd, "log.2", &st, 0), 0);
	assert_true(st.st_size >= 1000 && st.st_size < 1000 + 200);
	assert_int_equal(fstatat(place.fd, "log.3", &st, 0), -1);
	close_place(&place);
}

static void followers_lose_nothing(void **state)
{
	for (unsigned max_files = 1; max_files <= 3; max_files++) {
		struct place place;
		struct logreader_options options = all();
		options.follow = true;
		open_place(&place, ops_of(state), 500, max_files);
		struct logreader *readers[] = { reader_for(&place, options), reader_for(&place, options) };
		struct buf texts[] = { BUF_INIT(TEXT_MAX), BUF_INIT(TEXT_MAX) };
		_cleanup_(buf_finish) struct buf expected = BUF_INIT(TEXT_MAX);
		for (int i = 0; i < 200; i += 10) {
			put_numbers(&place, i, i + 10);
			/* The second comes by seldom, several rotations later. */
			assert_int_equal(drain(readers[0], &texts[0]), LOGREADER_WAIT);
			if (i % 100 == 90)
				assert_int_equal(drain(readers[1], &texts[1]), LOGREADER_WAIT);
		}
		for (int i = 0; i < 200; i++)
			assert_int_equal(buf_printf(&expected, "line %d\n", i), 0);
		assert_string_equal(texts[0].data, expected.data);
		assert_string_equal(texts[1].data, expected.data);
		logreader_free(readers[0]);
		logreader_free(readers[1]);
		close_place(&place);
		buf_finish(&texts[0]);
		buf_finish(&texts[1]);
	}
}

static void a_follower_far_behind_pins_no_more_than_the_bound(void **state)
{
	struct place place;
	struct logreader_options options = all();
	options.follow = true;
	open_place(&place, ops_of(state), 500, 2);
	put_numbers(&place, 0, 5);
	struct logreader *reader = reader_for(&place, options);
	struct log_record record;
	assert_int_equal(logreader_next(reader, &record), LOGREADER_RECORD);
	put_numbers(&place, 5, 20000);

	/* It ends the file it stands on, goes on at the oldest there is, and comes to the end. */
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEXT_MAX);
	assert_int_equal(drain(reader, &text), LOGREADER_WAIT);
	assert_true(text.len < (LOGSET_PINNED_FILES_MAX + 4) * 700UL);
	assert_string_equal(text.data + text.len - strlen("line 19999\n"), "line 19999\n");
	logreader_free(reader);
	close_place(&place);
}

static void a_torn_record_is_cut_off(void **state)
{
	struct place place;
	struct stat st;
	open_place(&place, ops_of(state), -1, 1);
	put(&place, "whole\n");
	put(&place, "torn\n");
	logwriter_free(place.writer);
	assert_int_equal(fstatat(place.fd, "log", &st, 0), 0);
	int fd = openat(place.fd, "log", O_RDWR);
	assert_int_equal(ftruncate(fd, st.st_size - 3), 0);
	close(fd);
	assert_int_equal(logwriter_new(place.set, place.ops, NULL, &place.writer), 0);
	put(&place, "after\n");
	expect(&place, all(), "whole\nafter\n");
	close_place(&place);
}

static void damage_costs_what_it_hits(void **state)
{
	struct place place;
	(void)state;
	open_place(&place, &log_ops_json_file, -1, 1);
	put(&place, "one\n");
	int fd = openat(place.fd, "log", O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, "{\"log\":garbage}\n\0\n", 18), 18);
	close(fd);
	put(&place, "two\n");
	expect(&place, all(), "one\ntwo\n");
	close_place(&place);
}

static void no_log_is_an_empty_one(void **state)
{
	struct place place = { .ops = ops_of(state) };
	struct logset *set;
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(logset_new(fd, "tare-test-no-such-log", -1, 3, &set), 0);
	place.set = set;
	expect(&place, all(), "");
	struct logreader_options options = all();
	options.tail = 5;
	expect(&place, options, "");
	logset_free(set);
	close(fd);
}

/* A packer that turns every byte over, when the test says so. */
struct packer {
	int in_fd, out_fd; /* -1: idle */
	unsigned unpacked;
};

static int turn_over(int in_fd, int out_fd)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEXT_MAX);
	assert_int_equal(io_read_all(in_fd, &text), 0);
	for (size_t i = 0; i < text.len; i++)
		text.data[i] = (char)~text.data[i];
	return io_write_full(out_fd, text.data, text.len);
}

static int pack(void *user, int in_fd, int out_fd)
{
	struct packer *packer = user;
	if (packer->in_fd >= 0)
		return -EBUSY;
	packer->in_fd = dup(in_fd);
	packer->out_fd = dup(out_fd);
	return 0;
}

static int unpack(void *user, int in_fd, int out_fd)
{
	((struct packer *)user)->unpacked++;
	return turn_over(in_fd, out_fd);
}

static void finish_packing(struct place *place, struct packer *packer, bool ok)
{
	if (packer->in_fd < 0)
		return;
	if (ok)
		assert_int_equal(turn_over(packer->in_fd, packer->out_fd), 0);
	fd_close(&packer->in_fd);
	fd_close(&packer->out_fd);
	logset_packed(place->set, ok);
}

static bool exists(const struct place *place, const char *name)
{
	return faccessat(place->fd, name, F_OK, 0) == 0;
}

/* What is kept is the end of all that was said. */
static void expect_end_of(struct place *place, const struct buf *said, int64_t tail, size_t min)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEXT_MAX);
	struct logreader_options options = all();
	options.tail = tail;
	struct logreader *reader = reader_for(place, options);
	assert_int_equal(drain(reader, &text), LOGREADER_END);
	logreader_free(reader);
	assert_in_range(text.len, min, said->len);
	assert_memory_equal(text.data, said->data + said->len - text.len, text.len);
}

/* Packing ends at once, late, behind further rotations, when its file is gone already, or fails: no line is missing. */
static void packed_files_are_read(void **state)
{
	struct packer packer = { -1, -1, 0 };
	struct place place;
	open_place(&place, ops_of(state), 400, 4);
	logset_set_packing(place.set, &(struct logset_packing){ pack, unpack, &packer });
	_cleanup_(buf_finish) struct buf said = BUF_INIT(TEXT_MAX), followed = BUF_INIT(TEXT_MAX);
	struct logreader_options follow = all();
	follow.follow = true;
	struct logreader *follower = reader_for(&place, follow);
	for (int i = 0; i < 400; i++) {
		assert_int_equal(buf_printf(&said, "line %d\n", i), 0);
		put_numbers(&place, i, i + 1);
		if (i < 100 || i % 37 == 0)
			finish_packing(&place, &packer, i % 3 != 0);
		if (i % 20 == 0) {
			expect_end_of(&place, &said, -1, i < 5 ? 1 : 50);
			expect_end_of(&place, &said, 12, i < 12 ? 1 : 84);
			assert_int_equal(drain(follower, &followed), LOGREADER_WAIT);
		}
	}
	assert_int_equal(drain(follower, &followed), LOGREADER_WAIT);
	assert_string_equal(followed.data, said.data);
	logreader_free(follower);
	while (packer.in_fd >= 0)
		finish_packing(&place, &packer, true);
	for (unsigned i = 1; i < 4; i++) {
		char name[16];
		snprintf(name, sizeof name, "log.%u", i);
		assert_false(exists(&place, name));
		strcat(name, ".gz");
		assert_true(exists(&place, name));
	}
	assert_false(exists(&place, "log.4.gz"));
	packer.unpacked = 0;
	expect_end_of(&place, &said, 1, 9);
	assert_int_equal(packer.unpacked, 0); /* not asked for */
	expect_end_of(&place, &said, -1, 50);
	assert_int_equal(packer.unpacked, 3);
	close_place(&place);
}

#define FOR_EACH_DRIVER(test)                                            \
 { #test " (json-file)", test, NULL, NULL, (void *)&log_ops_json_file }, \
 {                                                                       \
#  test " (local)", test, NULL, NULL, (void *)&log_ops_local             \
 }

int main(void)
{
	const struct CMUnitTest tests[] = {
		FOR_EACH_DRIVER(bytes_are_kept),
		FOR_EACH_DRIVER(long_lines_are_cut),
		FOR_EACH_DRIVER(tail_counts_records_over_files),
		FOR_EACH_DRIVER(streams_and_times_are_chosen),
		FOR_EACH_DRIVER(rotation_keeps_the_limits),
		FOR_EACH_DRIVER(followers_lose_nothing),
		FOR_EACH_DRIVER(a_follower_far_behind_pins_no_more_than_the_bound),
		FOR_EACH_DRIVER(a_torn_record_is_cut_off),
		FOR_EACH_DRIVER(no_log_is_an_empty_one),
		FOR_EACH_DRIVER(packed_files_are_read),
		cmocka_unit_test(damage_costs_what_it_hits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
