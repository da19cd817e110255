/* Installing a compiled seccomp filter. Compiling is tare-runtime's alone. */
#pragma once

#include <stddef.h>

#include <linux/filter.h>

#define SECCOMP_PROGRAM_MAX 4096 /* instructions: the kernel's BPF_MAXINSNS */

/* `flags`: SECCOMP_FILTER_FLAG_*. Needs no_new_privs or CAP_SYS_ADMIN. Returns 0, the listener's descriptor if the flags ask
 * for one, or -errno. */
int seccomp_install(const struct sock_filter *program, size_t count, unsigned flags);
