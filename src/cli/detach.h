/*
 * The key sequence that leaves an attached container alone: "ctrl-p,ctrl-q" unless told otherwise. Keys typed are
 * passed on; those that may yet become the sequence are held back, and follow when the next key shows that they don't.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define DETACH_KEYS_MAX     32
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct detach_keys {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t count;
	size_t matched; /* how many of them were typed and held back */
};

/* Comma-separated: one ASCII character each, or ctrl- and one of a-z @ [ \ ] ^ _. */
int detach_keys_parse(const char *text, struct detach_keys *ret, struct err **reterr);

/*
 * Takes what was typed and appends to `out` what is to be sent. Returns 1 when the sequence is complete (the rest of
 * `typed` is dropped), else 0, -ENOMEM or -EFBIG.
 */
int detach_keys_feed(struct detach_keys *keys, const unsigned char *typed, size_t len, struct buf *out);
