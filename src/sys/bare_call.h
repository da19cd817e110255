/*
 * Calls of the kernel without libc, with up to five arguments. They return what the kernel does, errors as -errno.
 */
#pragma once

#include <asm/unistd.h>

#if defined(__x86_64__)

static inline long bare_call5(long number, long a, long b, long c, long d, long e)
{
	register long fourth __asm__("r10") = d, fifth __asm__("r8") = e;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
			 : "rcx", "r11", "memory");
	return result;
}

#elif defined(__aarch64__)

static inline long bare_call5(long number, long a, long b, long c, long d, long e)
{
	register long call __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c,
			   x3 __asm__("x3") = d, x4 __asm__("x4") = e;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(call), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
	return x0;
}

#elif defined(__riscv) && __riscv_xlen == 64

static inline long bare_call5(long number, long a, long b, long c, long d, long e)
{
	register long call __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c,
			   a3 __asm__("a3") = d, a4 __asm__("a4") = e;
	__asm__ volatile("ecall" : "+r"(a0) : "r"(call), "r"(a1), "r"(a2), "r"(a3), "r"(a4) : "memory");
	return a0;
}

#else
# error "say here how this processor calls the kernel"
#endif

static inline long bare_call(long number, long a, long b, long c, long d)
{
	return bare_call5(number, a, b, c, d, 0);
}
