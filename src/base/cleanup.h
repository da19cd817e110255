/*
 * Ownership by scope: a variable declared with one of these attributes releases what it holds when it leaves scope,
 * and TAKE()/TAKE_FD() move the value out on success.
 *
 *	_autoclose_ int fd = -1;
 *	_autofree_(layer) struct layer *layer = layer_new(...);
 *	_cleanup_free_ char *path = NULL;
 */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* clang-format off */
#define TAKE(p) ({ __typeof__(p) *take_from_ = &(p); __typeof__(p) take_value_ = *take_from_; *take_from_ = NULL; take_value_; })
#define TAKE_FD(fd) ({ int *take_from_ = &(fd); int take_value_ = *take_from_; *take_from_ = -1; take_value_; })
/* clang-format on */

#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define printf_like(f, a) __attribute__((format(printf, f, a)))

/* Closes *fd unless it is negative, keeps errno, and leaves -1. */
void fd_close(int *fd);

static inline void free_cleanup(void *p)
{
	free(*(void **)p);
}

/* Declares the cleanup helper that _autofree_(tag) names; `free_function` must accept NULL. */
#define DEFINE_AUTOFREE(tag, type, free_function) \
 static inline void tag##_autofree(type *p)       \
 {                                                \
  free_function(*p);                              \
 }                                                \
 struct tag##_autofree_needs_a_semicolon

#define _autofree_(tag) __attribute__((cleanup(tag##_autofree)))
#define _autoclose_     __attribute__((cleanup(fd_close)))
#define _cleanup_free_  __attribute__((cleanup(free_cleanup)))
/* For embedded objects: _cleanup_(buf_free) struct buf b = BUF_INIT(...); */
#define _cleanup_(function) __attribute__((cleanup(function)))
