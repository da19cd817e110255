#include "cli/terminal.h"

#include <errno.h>
#include <unistd.h>

#include "sys/pty.h"

int terminal_make_raw(struct terminal *terminal, int fd)
{
	struct termios raw;
	if (tcgetattr(fd, &terminal->saved) < 0)
		return -errno;
	raw = terminal->saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return -errno;
	terminal->fd = fd;
	return 0;
}

void terminal_restore(struct terminal *terminal)
{
	if (terminal->fd < 0)
		return;
	while (tcsetattr(terminal->fd, TCSADRAIN, &terminal->saved) < 0 && errno == EINTR)
		;
	terminal->fd = -1;
}

bool terminal_size(uint16_t *ret_columns, uint16_t *ret_rows)
{
	static const int fds[] = { STDOUT_FILENO, STDIN_FILENO, STDERR_FILENO };
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
		if (pty_get_size(fds[i], ret_columns, ret_rows) == 0)
			return true;
	}
	return false;
}
