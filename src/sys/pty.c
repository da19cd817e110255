#include "sys/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <termios.h>

#include <sys/ioctl.h>

#include "base/cleanup.h"

int pty_open(int *ret_master_fd, int *ret_peer_fd)
{
	_autoclose_ int master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (master_fd < 0)
		return -errno;
	int locked = 0;
	if (ioctl(master_fd, TIOCSPTLCK, &locked) < 0)
		return -errno;
	int peer_fd = ioctl(master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (peer_fd < 0)
		return -errno;
	*ret_master_fd = TAKE_FD(master_fd);
	*ret_peer_fd = peer_fd;
	return 0;
}

int pty_get_size(int fd, uint16_t *ret_columns, uint16_t *ret_rows)
{
	struct winsize size;
	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		return -errno;
	*ret_columns = size.ws_col;
	*ret_rows = size.ws_row;
	return 0;
}

int pty_set_size(int fd, uint16_t columns, uint16_t rows)
{
	struct winsize size = { .ws_col = columns, .ws_row = rows };
	return ioctl(fd, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}

int pty_keep_line_ends(int master_fd)
{
	struct termios inner;

	if (tcgetattr(master_fd, &inner) < 0)
		return -errno;
	inner.c_oflag &= ~(tcflag_t)ONLCR;
	return tcsetattr(master_fd, TCSANOW, &inner) < 0 ? -errno : 0;
}
