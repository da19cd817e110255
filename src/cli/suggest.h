/* The nearest name to a mistyped one. */
#pragma once

#include <stddef.h>

struct suggestion {
	const char *typed;
	const char *found; /* NULL: nothing is near enough */
	size_t distance;
};

#define SUGGESTION_FOR(text) \
 {                           \
  .typed = (text)            \
 }

/* Offers a candidate; the nearest one stays. Candidates are borrowed. */
void suggest(struct suggestion *best, const char *candidate);

/* Letters inserted, deleted, changed or swapped with their neighbour to make `b` of `a`; 99 if either is too long. */
size_t suggest_distance(const char *a, const char *b);
