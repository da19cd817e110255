/*
 * Two lists of our own: words for light, weather and texture, and the surnames of composers, painters and explorers. Every
 * pair fits the grammar and the buffer, which the tests go through one by one.
 */
#include "codec/names.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/random.h>

#include "codec/names_list.h"

bool name_is_valid(const char *name)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strnlen(name, NAME_LEN_MAX + 1);
	return len > 1 && len <= NAME_LEN_MAX && strchr(first, *name) && strspn(name, rest) == len;
}

/* A name need not be secret: should the kernel have no entropy yet, zero is as good. */
static uint32_t pick(size_t count)
{
	uint32_t random = 0;
	if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
		random = 0;
	return (uint32_t)((uint64_t)random * count >> 32);
}

void name_generate(char out[static NAME_GENERATED_SIZE], unsigned attempt)
{
	const char *adjective = name_adjectives[pick(name_adjective_count)];
	const char *surname = name_surnames[pick(name_surname_count)];
	if (attempt)
		snprintf(out, NAME_GENERATED_SIZE, "%s_%s%u", adjective, surname, pick(10));
	else
		snprintf(out, NAME_GENERATED_SIZE, "%s_%s", adjective, surname);
}
