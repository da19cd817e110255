/* What every fuzz target is: one function, and checks that end the program. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define fuzz_check(condition)                                              \
 do {                                                                      \
  if (!(condition)) {                                                      \
   fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
   abort();                                                                \
  }                                                                        \
 } while (0)
