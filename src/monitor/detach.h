/*
 * Detach keys: the sequence that ends an attach to a terminal without ending the container. Text form as Docker's
 * --detach-keys: "ctrl-p,ctrl-q", single characters, "DEL".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS_MAX 16

struct detach {
	unsigned char keys[DETACH_KEYS_MAX];
	unsigned char count;
	unsigned char matched; /* of keys, at the end of what was read so far and not passed on yet */
};

/* NULL or "" is the default, ctrl-p ctrl-q. Returns 0, or -EINVAL for text that is no key sequence. */
int detach_init(struct detach *detach, const char *text);

/*
 * Passes typed bytes from `in` to `out`, which holds `len` + DETACH_KEYS_MAX. A possible beginning of the sequence stays
 * inside until it is decided. Returns true once the sequence is complete: `out` then holds what came before it.
 */
bool detach_filter(struct detach *detach, const char *in, size_t len, char *out, size_t *ret_len);
