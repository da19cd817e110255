#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "../unit.h"
#include "base/cleanup.h"
#include "sys/sockets.h"

struct place {
	char folder[32];
	char path[64];
};

static int setup(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	strcpy(place->folder, "/tmp/tare-unit-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	snprintf(place->path, sizeof place->path, "%s/api.sock", place->folder);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;
	unlink(place->path);
	assert_int_equal(rmdir(place->folder), 0);
	free(place);
	return 0;
}

static int try_connect(const char *path, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, path);
	_autoclose_ int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	return connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ? -errno : 0;
}

static void rights_do_not_depend_on_the_umask(void **state)
{
	const struct place *place = *state;
	const mode_t masks[] = { 0, 022, 077, 0777 };
	for (size_t i = 0; i < ARRAY_SIZE(masks); i++) {
		mode_t before = umask(masks[i]);
		_autoclose_ int fd = -1;
		struct socket_file file;
		int r = socket_listen_unix(place->path, 12345, 0660, &fd, &file);
		umask(before);
		assert_int_equal(r, 0);
		struct stat st;
		assert_int_equal(lstat(place->path, &st), 0);
		assert_int_equal(st.st_mode, S_IFSOCK | 0660);
		assert_int_equal(st.st_gid, 12345);
		assert_true(socket_is_unix_listener(fd));
		assert_int_equal(try_connect(place->path, SOCK_STREAM), 0);
		assert_int_equal(socket_unlink_unix(place->path, &file), 0);
		assert_int_equal(access(place->path, F_OK), -1);
	}
}

static void live_is_refused_and_dead_replaced(void **state)
{
	const struct place *place = *state;
	int first = -1, second = -1;
	struct socket_file old, file;
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &first, &old), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &second, &file), -EADDRINUSE);
	assert_int_equal(try_connect(place->path, SOCK_STREAM), 0);
	close(first);
	assert_int_equal(try_connect(place->path, SOCK_STREAM), -ECONNREFUSED);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &second, &file), 0);
	assert_int_equal(try_connect(place->path, SOCK_STREAM), 0);
	/* The first owner's file is gone: its removal must not hit the second's, unless the inode number came back. */
	if (old.inode != file.inode) {
		assert_int_equal(socket_unlink_unix(place->path, &old), 0);
		assert_int_equal(try_connect(place->path, SOCK_STREAM), 0);
	}
	close(second);
}

static void full_backlog_is_alive(void **state)
{
	const struct place *place = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, place->path);
	_autoclose_ int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
	assert_int_equal(listen(listener, 0), 0);
	assert_int_equal(try_connect(place->path, SOCK_STREAM), 0);
	int fd = -1;
	struct socket_file file;
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EADDRINUSE);
}

static void other_kind_of_socket_is_alive(void **state)
{
	const struct place *place = *state;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, place->path);
	_autoclose_ int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof address), 0);
	int fd = -1;
	struct socket_file file;
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EADDRINUSE);
	assert_false(socket_is_unix_listener(other));
}

static void anything_else_is_left_alone(void **state)
{
	const struct place *place = *state;
	int fd = -1;
	struct socket_file file;
	assert_int_equal(mkdir(place->path, 0700), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EEXIST);
	assert_int_equal(rmdir(place->path), 0);

	assert_int_equal(mknod(place->path, S_IFREG | 0600, 0), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EEXIST);
	assert_int_equal(unlink(place->path), 0);

	/* Neither a link to nowhere, nor one to a dead socket. */
	char target[80];
	snprintf(target, sizeof target, "%s/target.sock", place->folder);
	assert_int_equal(symlink(target, place->path), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EEXIST);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(socket_listen_unix(target, 0, 0660, &fd, &file), 0);
	close(fd);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EEXIST);
	assert_int_equal(unlink(target), 0);
}

static void folder_must_be_safe_and_exist(void **state)
{
	struct place *place = *state;
	int fd = -1;
	struct socket_file file;
	assert_int_equal(chmod(place->folder, 0777), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EPERM);
	assert_int_equal(chmod(place->folder, 0770), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), -EPERM);
	assert_int_equal(chmod(place->folder, 01777), 0);
	assert_int_equal(socket_listen_unix(place->path, 0, 0660, &fd, &file), 0);
	close(fd);
	assert_int_equal(socket_listen_unix("/nonexistent/x.sock", 0, 0660, &fd, &file), -ENOENT);
	assert_int_equal(socket_listen_unix("relative.sock", 0, 0660, &fd, &file), -EINVAL);
	assert_int_equal(socket_listen_unix("/tmp/", 0, 0660, &fd, &file), -EINVAL);
}

static void long_path_is_reached_through_its_folder(void **state)
{
	const struct place *place = *state;
	char folder[300], path[320];
	snprintf(folder, sizeof folder, "%s/%0200d", place->folder, 0);
	snprintf(path, sizeof path, "%s/api.sock", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	_autoclose_ int fd = -1;
	struct socket_file file;
	assert_int_equal(socket_listen_unix(path, 0, 0660, &fd, &file), 0);
	assert_int_equal(socket_unlink_unix(path, &file), 0);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
#define socket_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		socket_test(rights_do_not_depend_on_the_umask),
		socket_test(live_is_refused_and_dead_replaced),
		socket_test(full_backlog_is_alive),
		socket_test(other_kind_of_socket_is_alive),
		socket_test(anything_else_is_left_alone),
		socket_test(folder_must_be_safe_and_exist),
		socket_test(long_path_is_reached_through_its_folder),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
