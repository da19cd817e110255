/* Base64 (RFC 4648), for X-Registry-Auth and terminal keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Appends with padding; `url_safe` takes - and _ for + and /. */
int base64_encode(struct buf *out, const void *data, size_t len, bool url_safe);

/*
 * Both alphabets, padding present or left out. Returns 0, -ENOMEM or -EINVAL (bits left over, white space...). The result
 * also ends in a NUL.
 */
int base64_decode(const char *text, size_t len, char **ret, size_t *ret_len);
