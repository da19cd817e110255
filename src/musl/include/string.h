/* What musl's has not, as glibc declares it. */
#pragma once
#include_next <string.h>

/* The sentence for an error or a signal, in glibc's words, which callers of runtimes match on; NULL for an unknown number. */
const char *strerrordesc_np(int errnum);
const char *sigdescr_np(int signo);
