#include "cli/suggest.h"

#include <string.h>

#define NAME_MAX_LEN 40

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t least = a < b ? a : b;
	return least < c ? least : c;
}

size_t suggest_distance(const char *a, const char *b)
{
	size_t a_len = strlen(a), b_len = strlen(b);
	if (a_len > NAME_MAX_LEN || b_len > NAME_MAX_LEN)
		return 99;

	size_t cost[NAME_MAX_LEN + 1][NAME_MAX_LEN + 1];
	for (size_t i = 0; i <= a_len; i++) {
		for (size_t k = 0; k <= b_len; k++) {
			if (!i || !k) {
				cost[i][k] = i + k;
				continue;
			}
			cost[i][k] = smallest(cost[i - 1][k] + 1, cost[i][k - 1] + 1,
				cost[i - 1][k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1] &&
				cost[i - 2][k - 2] + 1 < cost[i][k])
				cost[i][k] = cost[i - 2][k - 2] + 1;
		}
	}
	return cost[a_len][b_len];
}

void suggest(struct suggestion *best, const char *candidate)
{
	size_t limit = 1 + strlen(best->typed) / 4;
	size_t distance = suggest_distance(best->typed, candidate);
	if (distance <= limit && (!best->found || distance < best->distance)) {
		best->found = candidate;
		best->distance = distance;
	}
}
