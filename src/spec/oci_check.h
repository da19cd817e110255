/*
 * Grammar that the checks of oci_validate.c and oci_linux_check.c share, and the sentence that they all end in: "PATH:
 * PROBLEM", PATH as a person would write it ("linux.devices[3].path").
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* 2^32 - 1 is "leave alone" to the kernel's chown and setuid. */
#define OCI_ID_MAX 4294967294LL

/* Returns -EINVAL. */
int oci_bad(struct err **reterr, const char *problem, const char *path_format, ...) printf_like(3, 4);

bool oci_is_absolute(const char *path);
/* No component is "..". */
bool oci_has_no_dotdot(const char *path);
/* No control character: may stand in a line of a file. */
bool oci_is_one_line(const char *text);
bool oci_is_id(int64_t id);
/* "0-3,7": ascending ranges of numbers up to 65535; spaces around are allowed, "" too. */
bool oci_is_number_list(const char *list);
/* The same into bits; -ERANGE for a number that has none. */
int oci_number_list_bits(const char *list, unsigned long *words, size_t bit_count);
/* The text for a message: itself, or a stand-in where it would break the line or fill the screen. Borrows. */
const char *oci_printable(const char *text);
bool oci_is_word_of(const char *word, const char *const *words, size_t count);

#define OCI_IS_ONE_OF(word, ...)                       \
 ({                                                    \
static const char *const oci_words_[] = { __VA_ARGS__ };    \
oci_is_word_of((word), oci_words_, ARRAY_SIZE(oci_words_)); \
 })
