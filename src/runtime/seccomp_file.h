/*
 * A compiled seccomp filter as it is kept and handed on: header, program, and the request it was made from, so that a cache
 * can tell two requests with one hash apart. Host byte order: never leaves the machine.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <linux/filter.h>

#include "base/buf.h"

#define SECCOMP_FILE_MAGIC       "tareseccomp1\n\0\0"
#define SECCOMP_REQUEST_MAX      (8 * 1024 * 1024)
#define SECCOMP_INSTRUCTIONS_MAX 4096 /* the kernel's BPF_MAXINSNS */

struct seccomp_file_header {
	char magic[16];
	uint32_t filter_flags; /* SECCOMP_FILTER_FLAG_* */
	uint32_t instruction_count;
	uint64_t request_len;
};

/* Appends a whole file. 0, -EFBIG (too many instructions, or the request is too long), -ENOMEM. */
int seccomp_file_write(const struct sock_filter *program, size_t count, unsigned filter_flags, const char *request,
	size_t request_len, struct buf *out);

/* Reads the header and the program (heap). -EINVAL: not such a file. The descriptor's offset stays. */
int seccomp_file_read(int fd, struct seccomp_file_header *header, struct sock_filter **ret_program);

/* 1 if the file was made from this request, 0 if not, -errno. */
int seccomp_file_is_of(int fd, const char *request, size_t request_len);
