/*
 * Errors above the leaf layers: a kind (which the API maps to an HTTP status and the command line to an exit code), the
 * errno if the kernel said one, and a sentence for the person at the terminal.
 *
 * Every function with a last parameter `struct err **reterr` sets it only on failure, and returns a negative errno.
 * `reterr` may be NULL: the caller wants only the number. Leaf code (base, sys, codec) returns 0 or -errno alone.
 */
#pragma once

#include "base/cleanup.h"

enum err_kind {
	ERR_INTERNAL,      /* a fault of ours or of the machine */
	ERR_INVALID,       /* the request is wrong in itself */
	ERR_NOT_FOUND,     /* the thing named does not exist */
	ERR_CONFLICT,      /* it exists but its state forbids this, or the name is taken */
	ERR_FORBIDDEN,     /* policy or rights */
	ERR_UNAUTHORIZED,  /* credentials are missing or wrong */
	ERR_UNAVAILABLE,   /* temporary: try again */
	ERR_UNSUPPORTED,   /* this kernel or this build can't */
	ERR_NOT_MODIFIED,  /* already as asked */
	ERR_TOO_LARGE,     /* over a named limit */
	ERR_CMD_NOT_FOUND, /* the container's command does not exist (exit code 127) */
	ERR_CMD_NOT_EXEC,  /* it exists but can't be executed (exit code 126) */
	ERR_KIND_COUNT,
};

struct err {
	enum err_kind kind;
	int errnum;    /* positive; never 0 */
	char *message; /* one line, no final full stop or newline */
};

/* Makes a new error; returns -errnum. `errnum` 0 takes the kind's usual one (err_kind_errno). */
int err_set(struct err **reterr, enum err_kind kind, int errnum, const char *format, ...) printf_like(4, 5);

/* From a negative errno `ret`: the kind follows from it and its text is appended. Returns `ret`. */
int err_errno(struct err **reterr, int ret, const char *format, ...) printf_like(3, 4);

/* Puts "sentence: " before the message of *reterr, which must be set if reterr is not NULL. Returns its -errnum, or
 * `ret` if there is no object. */
int err_wrap(struct err **reterr, int ret, const char *format, ...) printf_like(3, 4);

/* Returns -ENOMEM; the object is static, and err_free knows it. */
int err_oom(struct err **reterr);

void err_free(struct err *err);
DEFINE_AUTOFREE(err, struct err *, err_free);

/* The word used in messages between our own processes ("not-found"), and back; an unknown word is ERR_INTERNAL. */
const char *err_kind_name(enum err_kind kind);
enum err_kind err_kind_from_name(const char *name);
int err_kind_errno(enum err_kind kind);

/* Message of an error that may be NULL (out of memory, or the caller passed no object). Borrows. */
const char *err_message(const struct err *err);
