/*
 * Compiling a seccomp profile with libseccomp: in tare-runtime alone, and there in a process that ends afterwards.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "spec/oci_runtime.h"

/* Appends the program (struct sock_filter[]) to `out`. */
int seccomp_compile(const struct oci_seccomp *profile, struct buf *out, unsigned *ret_flags, struct err **reterr);

/* The hidden verb: reads a request of seccomp_cache.c, writes a seccomp_file. Returns the exit code. */
int seccomp_compile_main(int input, int output);

/* Words for the `features` document, NULL-terminated. */
const char *const *seccomp_known_actions(void);
const char *const *seccomp_known_operators(void);
const char *const *seccomp_known_archs(void);
const char *const *seccomp_known_flags(void);
