#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../unit.h"
#include "sys/channel.h"

struct peer {
	struct loop *loop;
	struct channel *channel;
	int raw; /* the other end */
	int messages;
	size_t last_len;
	char last[64];
	int last_fd;
	int closed;
	int quit_after;
	bool free_in_message;
};

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	struct peer *peer = user;
	assert_ptr_equal(channel, peer->channel);
	assert_int_equal(data[len], '\0');
	peer->messages++;
	peer->last_len = len;
	snprintf(peer->last, sizeof peer->last, "%s", data);
	if (fd_count > 0) {
		fd_close(&peer->last_fd);
		peer->last_fd = TAKE_FD(fds[0]);
	}
	if (peer->free_in_message) {
		channel_free(TAKE(peer->channel));
		loop_quit(peer->loop, 0);
	}
	if (peer->quit_after && peer->messages >= peer->quit_after)
		loop_quit(peer->loop, 0);
}

static void on_closed(struct channel *channel, void *user)
{
	struct peer *peer = user;
	peer->closed++;
	channel_free(channel);
	peer->channel = NULL;
	loop_quit(peer->loop, 0);
}

static int setup(void **state)
{
	struct peer *peer = calloc(1, sizeof *peer);
	int fds[2];
	peer->last_fd = -1;
	assert_int_equal(loop_new(&peer->loop), 0);
	assert_int_equal(channel_pair(fds), 0);
	peer->raw = fds[1];
	assert_int_equal(channel_new(peer->loop, fds[0], on_message, on_closed, peer, &peer->channel), 0);
	*state = peer;
	return 0;
}

static int teardown(void **state)
{
	struct peer *peer = *state;
	channel_free(peer->channel);
	fd_close(&peer->raw);
	fd_close(&peer->last_fd);
	loop_free(peer->loop);
	free(peer);
	return 0;
}

static int count_fds(void)
{
	int count = 0;
	for (int fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void messages_and_descriptors_arrive_whole(void **state)
{
	struct peer *peer = *state;
	int pipe_fds[2];
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	assert_int_equal(message_send(peer->raw, "first", 5, NULL, 0), 0);
	assert_int_equal(message_send(peer->raw, "second", 6, pipe_fds, 2), 0);
	int before = count_fds();
	channel_drain(peer->channel);
	assert_int_equal(peer->messages, 2);
	assert_string_equal(peer->last, "second");
	/* One of two was taken, the other closed; what was taken is not inherited, and is the pipe's reading end. */
	assert_int_equal(count_fds(), before + 1);
	assert_true(fcntl(peer->last_fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(pipe_fds[1], "z", 1), 1);
	char c;
	assert_int_equal(read(peer->last_fd, &c, 1), 1);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void sizes_have_bounds(void **state)
{
	struct peer *peer = *state;
	static char big[CHANNEL_MESSAGE_MAX + 1];
	memset(big, 'a', sizeof big);
	int many[CHANNEL_FDS_MAX + 1] = { 0 };
	assert_int_equal(channel_send(peer->channel, big, 0, NULL, 0), -EMSGSIZE);
	assert_int_equal(channel_send(peer->channel, big, sizeof big, NULL, 0), -EMSGSIZE);
	assert_int_equal(channel_send(peer->channel, "x", 1, many, CHANNEL_FDS_MAX + 1), -EMSGSIZE);
	assert_int_equal(channel_send(peer->channel, big, CHANNEL_MESSAGE_MAX, NULL, 0), 0);
	static char in[CHANNEL_MESSAGE_MAX];
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	assert_int_equal(message_receive(peer->raw, in, sizeof in, fds, &fd_count), CHANNEL_MESSAGE_MAX);

	assert_int_equal(message_send(peer->raw, big, CHANNEL_MESSAGE_MAX - 1, NULL, 0), 0);
	assert_int_equal(message_send(peer->raw, big, CHANNEL_MESSAGE_MAX, NULL, 0), 0);
	channel_drain(peer->channel);
	assert_int_equal(peer->messages, 2);
	assert_int_equal(peer->last_len, CHANNEL_MESSAGE_MAX);
}

static void oversize_message_ends_the_peer(void **state)
{
	struct peer *peer = *state;
	static char big[CHANNEL_MESSAGE_MAX + 1];
	memset(big, 'a', sizeof big);
	assert_int_equal(message_send(peer->raw, "ok", 2, NULL, 0), 0);
	assert_int_equal(send(peer->raw, big, sizeof big, 0), sizeof big);
	loop_run(peer->loop);
	assert_int_equal(peer->messages, 1);
	assert_int_equal(peer->closed, 1);
}

static void too_small_a_buffer_is_an_error(void **state)
{
	struct peer *peer = *state;
	char in[4];
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	assert_int_equal(channel_send(peer->channel, "12345", 5, &peer->raw, 1), 0);
	int before = count_fds();
	assert_int_equal(message_receive(peer->raw, in, sizeof in, fds, &fd_count), -EMSGSIZE);
	assert_int_equal(fd_count, 0);
	assert_int_equal(count_fds(), before);
}

static void slow_reader_gets_everything_in_order(void **state)
{
	struct peer *peer = *state;
	enum { COUNT = 900 };
	static char data[4096];
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int before = count_fds();
	for (int i = 0; i < COUNT; i++) {
		memcpy(data, &i, sizeof i);
		assert_int_equal(channel_send(peer->channel, data, sizeof data, i % 100 == 99 ? &fd : NULL,
					 i % 100 == 99),
			0);
	}
	assert_true(count_fds() > before); /* queued ones are held */
	close(fd);
	/* The reader is a child, so the loop here has to flush. */
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < COUNT; i++) {
			int fds[CHANNEL_FDS_MAX];
			size_t fd_count;
			int got = -1;
			ssize_t n = message_receive(peer->raw, data, sizeof data, fds, &fd_count);
			memcpy(&got, data, sizeof got);
			if (n != sizeof data || got != i || fd_count != (i % 100 == 99))
				_exit(1);
			for (size_t j = 0; j < fd_count; j++)
				close(fds[j]);
		}
		_exit(message_send(peer->raw, "done", 4, NULL, 0) < 0);
	}
	peer->quit_after = 1;
	loop_run(peer->loop);
	assert_string_equal(peer->last, "done");
	assert_int_equal(count_fds(), before - 1);
}

static void endless_queue_ends_the_peer(void **state)
{
	struct peer *peer = *state;
	static char data[CHANNEL_MESSAGE_MAX / 16];
	memset(data, 'q', sizeof data);
	int sent = 0, r;
	while ((r = channel_send(peer->channel, data, sizeof data, NULL, 0)) == 0)
		sent++;
	assert_int_equal(r, -EPIPE);
	assert_true(sent >= CHANNEL_QUEUE_MAX && sent < CHANNEL_QUEUE_MAX + 64);
	assert_int_equal(channel_send(peer->channel, "x", 1, NULL, 0), -EPIPE);
	loop_run(peer->loop);
	assert_int_equal(peer->closed, 1);
}

static void last_words_come_before_the_end(void **state)
{
	struct peer *peer = *state;
	/* Unread data in the peer's buffer turns its close into a reset. */
	assert_int_equal(channel_send(peer->channel, "unread", 6, NULL, 0), 0);
	assert_int_equal(message_send(peer->raw, "one", 3, NULL, 0), 0);
	assert_int_equal(message_send(peer->raw, "last", 4, NULL, 0), 0);
	fd_close(&peer->raw);
	assert_int_equal(channel_send(peer->channel, "x", 1, NULL, 0), -EPIPE);
	assert_int_equal(channel_send(peer->channel, "x", 1, NULL, 0), -EPIPE);
	loop_run(peer->loop);
	assert_int_equal(peer->messages, 2);
	assert_string_equal(peer->last, "last");
	assert_int_equal(peer->closed, 1);
}

static void drain_leaves_the_end_to_the_loop(void **state)
{
	struct peer *peer = *state;
	assert_int_equal(message_send(peer->raw, "bye", 3, NULL, 0), 0);
	fd_close(&peer->raw);
	channel_drain(peer->channel);
	channel_drain(peer->channel);
	assert_int_equal(peer->messages, 1);
	assert_int_equal(peer->closed, 0);
	loop_run(peer->loop);
	assert_int_equal(peer->closed, 1);
}

static void channel_may_be_freed_in_its_message(void **state)
{
	struct peer *peer = *state;
	peer->free_in_message = true;
	assert_int_equal(message_send(peer->raw, "1", 1, NULL, 0), 0);
	assert_int_equal(message_send(peer->raw, "2", 1, NULL, 0), 0);
	loop_run(peer->loop);
	assert_int_equal(peer->messages, 1);
	assert_int_equal(peer->closed, 0);
}

static void listener_is_reached_by_folder_and_private(void **state)
{
	struct peer *peer = *state;
	char folder[256] = "/tmp/tare-unit-XXXXXX";
	assert_non_null(mkdtemp(folder));
	size_t top = strlen(folder);
	/* Deeper than sun_path could say. */
	memset(folder + top, 'd', 150);
	folder[top] = '/';
	folder[top + 150] = '\0';
	assert_int_equal(mkdir(folder, 0700), 0);
	int dirfd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(dirfd >= 0);

	int client = -1, listener = -1, second = -1;
	assert_int_equal(channel_connect(dirfd, "m.sock", &client), -ENOENT);
	mode_t mask = umask(0);
	assert_int_equal(channel_listen(dirfd, "m.sock", &listener), 0);
	umask(mask);
	struct stat st;
	assert_int_equal(fstatat(dirfd, "m.sock", &st, AT_SYMLINK_NOFOLLOW), 0);
	assert_int_equal(st.st_mode, S_IFSOCK | 0600);

	assert_int_equal(channel_connect(dirfd, "m.sock", &client), 0);
	int served = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(served >= 0);
	struct channel *channel;
	assert_int_equal(channel_new(peer->loop, served, on_message, on_closed, peer, &channel), 0);
	uid_t uid = 1;
	pid_t pid = 0;
	assert_int_equal(channel_peer(channel, &uid, &pid), 0);
	assert_int_equal(uid, getuid());
	assert_int_equal(pid, getpid());
	channel_free(channel);
	close(client);

	/* A dead owner's socket refuses, and is replaced. */
	close(listener);
	assert_int_equal(channel_connect(dirfd, "m.sock", &client), -ECONNREFUSED);
	assert_int_equal(channel_listen(dirfd, "m.sock", &second), 0);
	assert_int_equal(channel_connect(dirfd, "m.sock", &client), 0);
	close(client);
	close(second);
	assert_int_equal(unlinkat(dirfd, "m.sock", 0), 0);
	close(dirfd);
	assert_int_equal(rmdir(folder), 0);
	folder[top] = '\0';
	assert_int_equal(rmdir(folder), 0);
}

/* On both sides of what one message holds; and with all descriptors that fit beside the file. */
static void long_messages_arrive_whole(void **state)
{
	struct peer *peer = *state;
	for (size_t len = CHANNEL_MESSAGE_MAX - 1; len <= CHANNEL_MESSAGE_MAX + 1; len++) {
		_cleanup_(buf_finish) struct buf sent = BUF_INIT(len), got = BUF_INIT(CHANNEL_MESSAGE_MAX + 1);
		int fds[CHANNEL_FDS_MAX], before = count_fds();
		size_t count;
		for (size_t i = 0; i < len; i++)
			assert_int_equal(buf_putc(&sent, (char)('a' + i % 26)), 0);
		assert_int_equal(channel_send_long(peer->channel, sent.data, len, &peer->raw, 1), 0);
		assert_int_equal(message_receive_long(peer->raw, &got, fds, &count), 0);
		assert_int_equal(count, 1);
		assert_int_equal(got.len, len);
		assert_memory_equal(got.data, sent.data, len);
		close(fds[0]);
		assert_int_equal(count_fds(), before);
	}
	int many[CHANNEL_FDS_MAX], fds[CHANNEL_FDS_MAX];
	_cleanup_(buf_finish) struct buf sent = BUF_INIT(CHANNEL_MESSAGE_MAX + 1), got = BUF_INIT(CHANNEL_MESSAGE_MAX);
	size_t count;
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		many[i] = peer->raw;
	for (size_t i = 0; i <= CHANNEL_MESSAGE_MAX; i++)
		assert_int_equal(buf_putc(&sent, 'x'), 0);
	assert_int_equal(channel_send_long(peer->channel, sent.data, sent.len, many, CHANNEL_FDS_MAX), -EMSGSIZE);
	assert_int_equal(channel_send_long(peer->channel, sent.data, sent.len, many, CHANNEL_FDS_MAX - 1), 0);
	assert_int_equal(message_receive_long(peer->raw, &got, fds, &count),
		-EFBIG); /* than the receiver has room for */
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

int main(void)
{
#define channel_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		channel_test(messages_and_descriptors_arrive_whole),
		channel_test(sizes_have_bounds),
		channel_test(oversize_message_ends_the_peer),
		channel_test(too_small_a_buffer_is_an_error),
		channel_test(slow_reader_gets_everything_in_order),
		channel_test(endless_queue_ends_the_peer),
		channel_test(last_words_come_before_the_end),
		channel_test(drain_leaves_the_end_to_the_loop),
		channel_test(channel_may_be_freed_in_its_message),
		channel_test(listener_is_reached_by_folder_and_private),
		channel_test(long_messages_arrive_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
