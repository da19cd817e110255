/* The words of names.c. */
#pragma once

#include <stddef.h>

extern const char *const name_adjectives[];
extern const size_t name_adjective_count;
extern const char *const name_surnames[];
extern const size_t name_surname_count;
