/*
 * The engine's options that are keys of daemon.json, too: tared's command line has them (its help and its manual page come from
 * here) and passes each on to tare-engine in one word, "--NAME=VALUE", which makes of them a document like the file's. libc alone.
 */
#pragma once

#include <stddef.h>

enum engine_flag_kind {
	ENGINE_FLAG_TEXT,
	ENGINE_FLAG_LIST, /* may be repeated */
	ENGINE_FLAG_NUMBER,
	ENGINE_FLAG_TRUTH,  /* alone, or with =true or =false */
	ENGINE_FLAG_POOL,   /* base=SUBNET,size=BITS; may be repeated */
	ENGINE_FLAG_NESTED, /* WORD=KEY=VALUE, an object of objects; may be repeated */
};

struct engine_flag {
	const char *name;
	const char *key; /* in daemon.json */
	enum engine_flag_kind kind;
	const char *value;
	const char *help;
};

#define ENGINE_FLAGS_MAX 32
/* Ends with a name that is NULL; fewer than ENGINE_FLAGS_MAX. */
extern const struct engine_flag engine_flags[];
