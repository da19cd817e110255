/*
 * Regular expressions that somebody gives: of filters, and of log options. They are extended ones of the C library, without
 * what takes it more than a moment: counted repeats, which it multiplies out, and references back.
 */
#pragma once

#include <regex.h>
#include <stdbool.h>

#include "base/err.h"

#define PATTERN_MAX 256

/* ERR_INVALID: why not. To be freed by regfree. */
int pattern_compile(const char *pattern, regex_t *ret, struct err **reterr);
bool pattern_matches(const regex_t *regex, const char *text);
