/* The user's terminal: raw while a container has it, and always put back. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct terminal {
	int fd; /* -1: not raw */
	struct termios saved;
};

#define TERMINAL_INIT \
 {                    \
  .fd = -1            \
 }

/* Every key goes through as it is typed. Returns 0 or -errno. */
int terminal_make_raw(struct terminal *terminal, int fd);
/* Harmless if it is not raw. */
void terminal_restore(struct terminal *terminal);

/* Of standard output, or of the terminal itself; false if neither has a size. */
bool terminal_size(uint16_t *ret_columns, uint16_t *ret_rows);
