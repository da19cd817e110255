/* Percent-encoding of URLs (RFC 3986), and '+' for a blank where a form is meant. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/*
 * Decodes `len` bytes into a new string. With `plus_is_blank` as in query strings. Returns 0, -ENOMEM, or -EINVAL for a
 * broken escape or an encoded NUL.
 */
int percent_decode(const char *text, size_t len, bool plus_is_blank, char **ret);

/* Appends `text` with everything escaped but letters, digits, "-._~" and the characters of `keep` (may be ""). */
int percent_encode(struct buf *out, const char *text, const char *keep);
