/* Names of containers (and networks and volumes, which have the same grammar): what may be one, and making one up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* As messages show it: one character of the first set, then one or more of the second. */
#define NAME_GRAMMAR "[a-zA-Z0-9][a-zA-Z0-9_.-]"
#define NAME_LEN_MAX 255

bool name_is_valid(const char *name);

/* "adjective_surname"; from the second try on (`attempt` counts from 0) with a digit, for when names run out. */
#define NAME_GENERATED_SIZE 64
void name_generate(char out[static NAME_GENERATED_SIZE], unsigned attempt);
