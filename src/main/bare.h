/*
 * A program without libc: its entry. Whoever includes this defines bare_main, and is linked without start files.
 */
#pragma once

#include "sys/bare_call.h"

_Noreturn void bare_main(long argc, char **argv);

/* What the kernel starts: the stack holds argc, then argv. */
_Noreturn __attribute__((used)) static void bare_begin(long *stack)
{
	bare_main(stack[0], (char **)&stack[1]);
}

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall bare_begin\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tb bare_begin\n");
#elif defined(__riscv) && __riscv_xlen == 64
__asm__(".globl _start\n_start:\n\tmv a0, sp\n\ttail bare_begin\n");
#else
# error "say here how this processor enters a program"
#endif
