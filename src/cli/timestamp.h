/* --since and --until. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#define TIMESTAMP_MAX 40

/*
 * "2026-11-23T20:15:00Z", parts of it from the day on (in the local zone unless it says), a Unix time
 * ("1795464900.5"), or how long ago ("42m"); as seconds since 1970 with nine digits of a fraction, which is what the
 * API takes.
 */
int timestamp_parse(const char *text, char out[static TIMESTAMP_MAX], struct err **reterr);

/* Appends it to a request's path as the parameter `key`; nothing if `text` is NULL. */
int timestamp_append(struct buf *path, const char *key, const char *text, struct err **reterr);
