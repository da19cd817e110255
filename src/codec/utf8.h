/*
 * UTF-8 as the Unicode standard defines it: no overlong form, no surrogate, nothing above U+10FFFF. Text from outside that
 * is not valid is repaired the way Go's encoders do it: every byte that starts no valid sequence becomes one U+FFFD.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define UTF8_REPLACEMENT "\xef\xbf\xbd"

/* Length (1 to 4) of the valid sequence that starts `text`, or 0. `len` is at least 1. */
size_t utf8_sequence(const unsigned char *text, size_t len);

bool utf8_is_valid(const char *text, size_t len);

/* Returns a repaired copy, or NULL when out of memory. */
char *utf8_repair(const char *text);
