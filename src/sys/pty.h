/* Pseudoterminals of the host side, and any terminal's window size. */
#pragma once

#include <stdint.h>

/* Both ends, O_CLOEXEC; the peer comes from the master itself (TIOCGPTPEER), so no path is looked up. */
int pty_open(int *ret_master_fd, int *ret_peer_fd);

/* 0, or -ENOTTY if `fd` is no terminal. */
int pty_get_size(int fd, uint16_t *ret_columns, uint16_t *ret_rows);
int pty_set_size(int fd, uint16_t columns, uint16_t rows);

/* What the peer writes comes to the master with its lines' ends as they were written, without a carriage return. */
int pty_keep_line_ends(int master_fd);
