#include "sys/seccomp.h"

#include <errno.h>
#include <unistd.h>

#include <linux/seccomp.h>
#include <sys/syscall.h>

int seccomp_install(const struct sock_filter *program, size_t count, unsigned flags)
{
	/* The kernel only reads the program; its struct has no const. */
	struct sock_fprog fprog = { .len = (unsigned short)count, .filter = (struct sock_filter *)(void *)program };

	if (count == 0 || count > SECCOMP_PROGRAM_MAX)
		return -EINVAL;
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
	return r < 0 ? -errno : (int)r;
}
