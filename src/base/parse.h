/* Numbers and sizes from text, whole-string and range-checked: no sign, space or suffix is accepted unless named. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only. Return 0, -EINVAL (not a number) or -ERANGE. */
int parse_u64(const char *text, uint64_t max, uint64_t *ret);
int parse_i64(const char *text, int64_t min, int64_t max, int64_t *ret);

/* Go's strconv.ParseBool: 1 t T true TRUE True, 0 f F false FALSE False. */
int parse_bool(const char *text, bool *ret);

/* "64m", "1.5g", "512", "10KiB": binary units b k m g t p, any case, optional "b"/"ib" after the letter. */
int parse_bytes(const char *text, int64_t *ret);

/* Bits in a second: "500k", "10m", "1.5g", "8000": decimal units, any case, an optional "bit" behind. */
int parse_bits(const char *text, int64_t *ret);

/* `len` lower-case hex digits and nothing else. */
bool is_hex(const char *text, size_t len);
