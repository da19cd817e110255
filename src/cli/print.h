/* What the commands print. Standard output failing is remembered and ends the program in failure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define PRINT_MAX (64 * 1024 * 1024)

/* Writes all of it to standard output. Returns 0 or an error that says so. */
int print_out(const char *data, size_t len, struct err **reterr);
int print_line(struct err **reterr, const char *format, ...) printf_like(2, 3);
/* A line on standard error. */
void print_error(const char *format, ...) printf_like(1, 2);
