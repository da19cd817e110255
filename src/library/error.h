/* Errors as the public header has them. All return -1. */
#pragma once

#include <tare.h>

#include "base/cleanup.h"

/* `errnum` positive; 0: none of the kernel's, and the code's usual one is said. */
int error_set(struct tare_error *error, enum tare_code code, int errnum, const char *format, ...) printf_like(4, 5);
/* The kernel's own, -errno; its text is appended. */
int error_errno(struct tare_error *error, int r, const char *format, ...) printf_like(3, 4);
/* A kind of base/err.h's, with its sentence. */
int error_kind(struct tare_error *error, int kind, int errnum, const char *message);
