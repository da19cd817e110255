/*
 * The first instructions of the runtime, before libc's. The runtime executes itself once more from a read-only view of its file
 * (sys/selfexe.h), and libc's start-up is dearer than all that: on a virtual machine, where each of its 70 questions to the
 * processor stops the machine, a quarter of a millisecond. So the first run makes the view and executes it from here, and only
 * the second one ever sees libc.
 *
 * Whatever fails is left to main(), which looks at what it runs from and does the same, or says why it can't. Nothing is set up
 * yet: no relocations, no thread pointer, hence no call of anything that is not in this file.
 */
#include <fcntl.h>
#include <stdbool.h>

#include <linux/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "sys/bare_call.h"
#include "sys/selfexe.h"

static bool is_read_only(const char *path)
{
	struct statfs fs;

	return bare_call(__NR_statfs, (long)path, (long)&fs, 0, 0) < 0 || fs.f_flags & ST_RDONLY;
}

static long read_only_view(const char *path)
{
	const struct mount_attr readonly = { .attr_set = MOUNT_ATTR_RDONLY };
	long view = bare_call(__NR_open_tree, AT_FDCWD, (long)path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC, 0);

	if (view < 0)
		return view;
	long r = bare_call5(__NR_mount_setattr, view, (long)"", AT_EMPTY_PATH, (long)&readonly, sizeof(readonly));
	if (r < 0)
		bare_call(__NR_close, view, 0, 0, 0);
	return r < 0 ? r : view;
}

/* The holder enters no container: it is to be seen as the file that was started. */
static bool is_holder(const char *path)
{
	static const char holder[] = "tared";
	unsigned at = 0; /* so much of the last name is the holder's; past its end: it is another */

	for (; path && *path; path++)
		if (*path == '/')
			at = 0;
		else
			at = at < sizeof(holder) - 1 && *path == holder[at] ? at + 1 : sizeof(holder);
	return at == sizeof(holder) - 1;
}

/* The stack holds argc, then argv, then the environment. */
__attribute__((used)) static void entry_begin(long *stack)
{
	static const char exe[] = "/proc/self/exe";
	char **argv = (char **)&stack[1];
	long view = is_holder(argv[0]) || is_read_only(exe) ? -1 : read_only_view(exe);

	if (view < 0)
		return;
	long kept = bare_call(__NR_fcntl, view, F_DUPFD, SELFEXE_VIEW_FD, 0);
	if (kept >= 0 && kept != SELFEXE_VIEW_FD)
		bare_call(__NR_close, kept, 0, 0, 0);
	bare_call5(__NR_execveat, view, (long)"", (long)argv, (long)(argv + stack[0] + 1), AT_EMPTY_PATH);
	bare_call(__NR_close, view, 0, 0, 0);
}

/* What the kernel handed over is handed on to libc's _start: the stack, and the register with the loader's exit function. */
#if defined(__x86_64__)
__asm__(".globl entry_start\nentry_start:\n\tmov %rsp, %rbx\n\tmov %rdx, %r12\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n"
	"\tcall entry_begin\n\tmov %rbx, %rsp\n\tmov %r12, %rdx\n\tjmp _start\n");
#elif defined(__aarch64__)
__asm__(".globl entry_start\nentry_start:\n\tmov x19, sp\n\tmov x20, x0\n\tmov x0, sp\n\tbl entry_begin\n\tmov sp, x19\n"
	"\tmov x0, x20\n\tb _start\n");
#elif defined(__riscv) && __riscv_xlen == 64
__asm__(".globl entry_start\nentry_start:\n\tmv s0, sp\n\tmv s1, a0\n\tmv a0, sp\n\tcall entry_begin\n\tmv sp, s0\n"
	"\tmv a0, s1\n\ttail _start\n");
#else
# error "say here how this processor enters a program"
#endif
