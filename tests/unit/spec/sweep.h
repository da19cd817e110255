/*
 * What every document is put through. A round trip: read, written, and compared with where it came from. A sweep: the
 * document is read again and again with one member, at any depth, missing, null, of each wrong type, or doubled as an
 * unknown one, and its checks are run on whatever came out; nothing may crash, leak, or be refused without a sentence.
 */
#pragma once

#include "codec/json.h"

/* Everything in `text` comes back, members that the writer adds aside. */
void sweep_round_trip(const struct json_table *table, const char *text);
/* `check` may be NULL. */
void sweep_members(const struct json_table *table, const char *text,
	int (*check)(const void *object, struct err **reterr));
