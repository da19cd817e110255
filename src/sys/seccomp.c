#include "sys/seccomp.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define FILTER_MAX 250 /* a jump reaches 255 instructions */

#if defined(__x86_64__)
# define OUR_AUDIT_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
# define OUR_AUDIT_ARCH AUDIT_ARCH_AARCH64
#else
# error "add this machine's AUDIT_ARCH"
#endif

struct filter {
	struct sock_filter code[FILTER_MAX];
	size_t count;
};

static void load(struct filter *filter, size_t offset)
{
	filter->code[filter->count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

static void refuse(struct filter *filter, uint32_t action)
{
	filter->code[filter->count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, action);
}

/* Jumps to the last instruction, which allows, once there is one. */
static void allow(struct filter *filter, int value)
{
	filter->code[filter->count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)value, 0, 0);
}

int seccomp_install(const struct sock_filter *program, size_t count, unsigned flags)
{
	/* The kernel only reads the program; its struct has no const. */
	struct sock_fprog fprog = { .len = (unsigned short)count, .filter = (struct sock_filter *)(void *)program };

	if (count == 0 || count > SECCOMP_PROGRAM_MAX)
		return -EINVAL;
	long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &fprog);
	return r < 0 ? -errno : (int)r;
}

/* The lower half of the first argument: families are small numbers, and the kernel takes an int. */
static void allow_inet_sockets(struct filter *filter)
{
	const size_t family = offsetof(struct seccomp_data, args) + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);

	/* Any other call, and there has been none it could be, is refused behind this. */
	filter->code[filter->count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3);
	load(filter, family);
	allow(filter, AF_INET);
	allow(filter, AF_INET6);
}

int seccomp_allow_only(const struct seccomp_calls *lists, size_t list_count)
{
	struct filter filter = { .count = 0 };
	bool inet_sockets = false;

	load(&filter, offsetof(struct seccomp_data, arch));
	filter.code[filter.count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_AUDIT_ARCH, 1, 0);
	refuse(&filter, SECCOMP_RET_KILL_PROCESS);
	load(&filter, offsetof(struct seccomp_data, nr));
	const size_t first = filter.count;
	for (size_t i = 0; i < list_count; i++) {
		inet_sockets |= lists[i].inet_sockets;
		if (filter.count + lists[i].count + 6 > FILTER_MAX)
			return -E2BIG;
		for (size_t n = 0; n < lists[i].count; n++)
			allow(&filter, lists[i].numbers[n]);
	}
	const size_t calls_end = filter.count;
	if (inet_sockets)
		allow_inet_sockets(&filter);
	for (size_t i = first; i < filter.count; i++)
		if (i < calls_end || i >= calls_end + 2)
			filter.code[i].jt = (unsigned char)(filter.count - i);
	refuse(&filter, SECCOMP_RET_ERRNO | EPERM);
	filter.code[filter.count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	return seccomp_install(filter.code, filter.count, 0);
}
