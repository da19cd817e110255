/* Installing a compiled seccomp filter (compiling is tare-runtime's alone), and a list of calls for a process of ours. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include <linux/filter.h>

#define SECCOMP_PROGRAM_MAX 4096 /* instructions: the kernel's BPF_MAXINSNS */

/* `flags`: SECCOMP_FILTER_FLAG_*. Needs no_new_privs or CAP_SYS_ADMIN. Returns 0, the listener's descriptor if the flags ask
 * for one, or -errno. */
int seccomp_install(const struct sock_filter *program, size_t count, unsigned flags);

/* A list of system calls, and whether socket(2) is allowed for the Internet's families. */
struct seccomp_calls {
	const int *numbers;
	size_t count;
	bool inet_sockets;
};

/* From here on the process has these calls and no others, which fail with EPERM. -E2BIG: more than a filter of this kind holds. */
int seccomp_allow_only(const struct seccomp_calls *lists, size_t list_count);
