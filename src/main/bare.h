/*
 * A program without libc: its entry, and calls of the kernel with up to four arguments. They return what the kernel does, errors
 * as -errno. Whoever includes this defines bare_main, and is linked without start files.
 */
#pragma once

#include <asm/unistd.h>

_Noreturn void bare_main(long argc, char **argv);

/* What the kernel starts: the stack holds argc, then argv. */
_Noreturn __attribute__((used)) static void bare_begin(long *stack)
{
	bare_main(stack[0], (char **)&stack[1]);
}

#if defined(__x86_64__)

__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall bare_begin\n");

static inline long bare_call(long number, long a, long b, long c, long d)
{
	register long fourth __asm__("r10") = d;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

__asm__(".globl _start\n_start:\n\tmov x29, #0\n\tmov x30, #0\n\tmov x0, sp\n\tb bare_begin\n");

static inline long bare_call(long number, long a, long b, long c, long d)
{
	register long call __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
			   x3 __asm__("x3") = d;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(call), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
}

#elif defined(__riscv) && __riscv_xlen == 64

__asm__(".globl _start\n_start:\n\tmv a0, sp\n\ttail bare_begin\n");

static inline long bare_call(long number, long a, long b, long c, long d)
{
	register long call __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
			   a3 __asm__("a3") = d;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(call), "r"(a1), "r"(a2), "r"(a3) : "memory");
	return a0;
}

#else
# error "say here how this processor enters a program and calls the kernel"
#endif
