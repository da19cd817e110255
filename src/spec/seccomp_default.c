#include "spec/seccomp_default.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/sched.h>
#include <sys/personality.h>
#include <sys/socket.h>

#include "base/strv.h"

/* Flags of clone that make a namespace, CLONE_NEWTIME excepted: its bit is part of the exit signal there. */
#define CLONE_NAMESPACES \
 (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

#define RULE_NAMES_SIZE 272

/* Words in one string are separated by spaces. A condition that is not given always holds. Without pointers: see codec/json.h. */
struct rule {
	char names[RULE_NAMES_SIZE]; /* "": those of `always` */
	char needs_cap[20];
	char unless_cap[16];
	char only_on[16]; /* architectures, libseccomp's words */
	char never_on[16];
	struct {
		unsigned kernel, major;
	} since;
	int errno_ret; /* 0: allow */
	char op[20];   /* "": whatever the arguments are */
	int64_t index;
	uint64_t value; /* MASKED_EQ: the mask */
	uint64_t value_two;
};

#define WHEN(index_, op_, value_) .index = (index_), .op = "SCMP_CMP_" op_, .value = (value_)

/* Of the address families those that begin with these bits. The kernel looks at the lower half of the argument alone, and so must we. */
#define FAMILIES(mask_, value_) WHEN(0, "MASKED_EQ", UINT32_MAX &(mask_)), .value_two = (value_)

static const char always[] =
	"_llseek _newselect accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod "
	"chown chown32 clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime "
	"clock_gettime64 clock_nanosleep clock_nanosleep_time64 close close_range connect copy_file_range "
	"creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 "
	"epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2 "
	"fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 "
	"fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat "
	"fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 "
	"futex_wait futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents "
	"getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer "
	"getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid "
	"getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 "
	"getxattr getxattrat inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel "
	"io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl ioprio_get "
	"ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32 "
	"lgetxattr link linkat listen listmount listxattr listxattrat llistxattr lremovexattr lseek lsetxattr "
	"lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat "
	"mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open "
	"mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal "
	"msgctl msgget msgrcv msgsnd msync munlock munlockall munmap name_to_handle_at nanosleep newfstatat "
	"open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect "
	"poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease pselect6 "
	"pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom "
	"recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat "
	"renameat2 restart_syscall riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask "
	"rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo "
	"sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam "
	"sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity "
	"sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop "
	"semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list "
	"set_thread_area set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups "
	"setgroups32 setitimer setpgid setpriority setregid setregid32 setresgid setresgid32 setresuid "
	"setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr setxattrat "
	"shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketcall "
	"socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range "
	"syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime "
	"timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 "
	"timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink "
	"unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write "
	"writev";

static const struct rule rules[] = {
	{ .names = "" },
	/* Before 4.8 ptrace was a way around seccomp. */
	{ .names = "process_vm_readv process_vm_writev ptrace", .since = { 4, 8 } },

	/* All families but AF_ALG (38) and AF_VSOCK (40), and more of them than there are. */
	{ .names = "socket", FAMILIES(~31U, 0) },
	{ .names = "socket", FAMILIES(~3U, 32) },
	{ .names = "socket", FAMILIES(~1U, 36) },
	{ .names = "socket", FAMILIES(~0U, AF_NFC) },
	{ .names = "socket", FAMILIES(~0U, AF_KCM) },
	{ .names = "socket", FAMILIES(~1U, 42) },
	{ .names = "socket", FAMILIES(~3U, 44) },
	{ .names = "socket", FAMILIES(~15U, 48) },

	{ .names = "personality", WHEN(0, "EQ", PER_LINUX) },
	{ .names = "personality", WHEN(0, "EQ", PER_LINUX32) },
	{ .names = "personality", WHEN(0, "EQ", UNAME26) },
	{ .names = "personality", WHEN(0, "EQ", UNAME26 | PER_LINUX32) },
	{ .names = "personality", WHEN(0, "EQ", 0xffffffff) }, /* asks which it is */

	{ .names = "sync_file_range2 swapcontext", .only_on = "ppc64le" },
	{ .names = "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
		.only_on = "arm arm64" },
	{ .names = "arch_prctl", .only_on = "amd64 x32" },
	{ .names = "modify_ldt", .only_on = "amd64 x32 x86" },
	{ .names = "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr", .only_on = "s390 s390x" },
	{ .names = "riscv_flush_icache", .only_on = "riscv64" },

	{ .names = "clone",
		.unless_cap = "CAP_SYS_ADMIN",
		.never_on = "s390 s390x",
		WHEN(0, "MASKED_EQ", CLONE_NAMESPACES) },
	/* There the flags are the second argument. */
	{ .names = "clone",
		.unless_cap = "CAP_SYS_ADMIN",
		.only_on = "s390 s390x",
		WHEN(1, "MASKED_EQ", CLONE_NAMESPACES) },
	{ .names = "clone3", .unless_cap = "CAP_SYS_ADMIN", .errno_ret = ENOSYS },

	{ .names = "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
		   "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl "
		   "quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
		.needs_cap = "CAP_SYS_ADMIN" },
	{ .names = "bpf", .needs_cap = "CAP_BPF" },
	{ .names = "open_by_handle_at", .needs_cap = "CAP_DAC_READ_SEARCH" },
	{ .names = "perf_event_open", .needs_cap = "CAP_PERFMON" },
	{ .names = "reboot", .needs_cap = "CAP_SYS_BOOT" },
	{ .names = "chroot", .needs_cap = "CAP_SYS_CHROOT" },
	{ .names = "syslog", .needs_cap = "CAP_SYSLOG" },
	{ .names = "delete_module init_module finit_module", .needs_cap = "CAP_SYS_MODULE" },
	{ .names = "get_mempolicy mbind set_mempolicy set_mempolicy_home_node", .needs_cap = "CAP_SYS_NICE" },
	{ .names = "acct", .needs_cap = "CAP_SYS_PACCT" },
	{ .names = "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
		.needs_cap = "CAP_SYS_PTRACE" },
	{ .names = "iopl ioperm", .needs_cap = "CAP_SYS_RAWIO" },
	{ .names = "settimeofday stime clock_settime clock_settime64", .needs_cap = "CAP_SYS_TIME" },
	{ .names = "vhangup", .needs_cap = "CAP_SYS_TTY_CONFIG" },
};

/* The ABIs that a 64-bit kernel offers beside its own. */
static const struct {
	const char *native;
	const char *words;
} architectures[] = {
	{ "amd64", "SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32" },
	{ "arm64", "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM" },
	{ "mips64", "SCMP_ARCH_MIPS64 SCMP_ARCH_MIPS SCMP_ARCH_MIPS64N32" },
	{ "mips64n32", "SCMP_ARCH_MIPS64N32 SCMP_ARCH_MIPS SCMP_ARCH_MIPS64" },
	{ "mipsel64", "SCMP_ARCH_MIPSEL64 SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64N32" },
	{ "mips3l64n32", "SCMP_ARCH_MIPSEL64N32 SCMP_ARCH_MIPSEL SCMP_ARCH_MIPSEL64" },
	{ "s390x", "SCMP_ARCH_S390X SCMP_ARCH_S390" },
	{ "riscv64", "SCMP_ARCH_RISCV64" },
	{ "loongarch64", "SCMP_ARCH_LOONGARCH64" },
};

static bool has_word(const char *words, const char *word)
{
	size_t len = strlen(word);
	for (const char *at = words; (at = strstr(at, word)) != NULL; at += len)
		if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
			return true;
	return false;
}

static bool applies(const struct rule *rule, const struct seccomp_target *target)
{
	if (rule->needs_cap[0] && !strv_has(target->capabilities, rule->needs_cap))
		return false;
	if (rule->unless_cap[0] && strv_has(target->capabilities, rule->unless_cap))
		return false;
	if (rule->only_on[0] && !has_word(rule->only_on, target->architecture))
		return false;
	if (rule->never_on[0] && has_word(rule->never_on, target->architecture))
		return false;
	return target->kernel > rule->since.kernel ||
	       (target->kernel == rule->since.kernel && target->major >= rule->since.major);
}

static int add_rule(struct oci_seccomp *out, const struct rule *rule)
{
	const struct oci_seccomp_arg arg = {
		.index = rule->index,
		.value = rule->value,
		.value_two = rule->value_two,
		.op = (char *)rule->op,
	};
	const struct json_opt_int errno_ret = { .set = rule->errno_ret != 0, .value = rule->errno_ret };
	const char *action = rule->errno_ret ? "SCMP_ACT_ERRNO" : "SCMP_ACT_ALLOW";
	return seccomp_add_rule(out, strv_split(rule->names[0] ? rule->names : always, ' '), action, errno_ret,
		rule->op[0] ? &arg : NULL, rule->op[0] ? 1 : 0);
}

static int build(const struct seccomp_target *target, struct oci_seccomp *out)
{
	out->default_action = strdup("SCMP_ACT_ERRNO");
	out->default_errno_ret = (struct json_opt_int){ .set = true, .value = EPERM };
	if (!out->default_action)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(architectures); i++) {
		if (strcmp(architectures[i].native, target->architecture) != 0)
			continue;
		out->architectures = strv_split(architectures[i].words, ' ');
		if (!out->architectures)
			return -ENOMEM;
	}
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(rules); i++)
		if (applies(&rules[i], target))
			r = add_rule(out, &rules[i]);
	return r;
}

int seccomp_default(const struct seccomp_target *target, struct oci_seccomp *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	if (build(target, out) == 0)
		return 0;
	json_finish(&oci_seccomp_table, out);
	return err_oom(reterr);
}
