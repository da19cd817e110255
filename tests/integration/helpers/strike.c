/*
 * Stands in for a program of tare, whose name it is installed under, and strikes it at one system call that changes the
 * state of something: with SIGKILL, or by letting the call fail. For the tests that end each program at each such call. Or it
 * exchanges two files at a call that takes a path, as somebody may who has rights in a folder that the program looks into.
 *
 * All is read in $TARE_LIBEXEC, where it lies itself as NAME:
 *
 *	NAME.real    the program
 *	NAME.traced  absent: the program is executed and that is all
 *	NAME.strike  "N ERROR": while it is there, calls are counted, over all instances; the N-th is not made, but ends the
 *	             process (ERROR 0) or fails with that errno. Removed with the strike, so the next instance is spared
 *	             "N swap PATH PATH", "N swap-back PATH PATH": the N-th that takes a path finds these exchanged, and so do all
 *	             after it, or none
 *	NAME.struck  written with the strike: the call's number and the process
 *	NAME.count   written meanwhile: how many calls were counted; to be removed before the next strike is ordered
 *
 * The program keeps the process that was started: its number, its parent and its descriptors. The tracer is a grandchild with
 * a command line of its own and none of the descriptors, so that the peers still see the end of file when the program dies.
 * It follows the children too, until one executes another program.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

/* The tracer's argv[0], and where it says that it is ready. */
#define TRACER_NAME "strike"
#define READY_FD    3

#define SYSCALL_STOP (SIGTRAP | 0x80)
#define TRACE_OPTIONS \
 (PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC)

/* open and openat count when they create. */
static const int counted_calls[] = {
	SYS_openat2,
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_linkat,
	SYS_symlinkat,
	SYS_mknodat,
	SYS_fchmod,
	SYS_fchmodat,
	SYS_fchown,
	SYS_fchownat,
	SYS_utimensat,
	SYS_ftruncate,
	SYS_fallocate,
	SYS_fsync,
	SYS_fdatasync,
	SYS_syncfs,
	SYS_fsetxattr,
	SYS_write,
	SYS_pwrite64,
	SYS_writev,
	SYS_pwritev,
	SYS_splice,
	SYS_sendfile,
	SYS_copy_file_range,
	SYS_mount,
	SYS_umount2,
	SYS_fsopen,
	SYS_fsconfig,
	SYS_fsmount,
	SYS_open_tree,
	SYS_move_mount,
	SYS_mount_setattr,
	SYS_pivot_root,
	SYS_chroot,
	SYS_unshare,
	SYS_setns,
	SYS_clone,
	SYS_clone3,
	SYS_execve,
	SYS_execveat,
	SYS_kill,
	SYS_pidfd_send_signal,
	SYS_pidfd_open,
	SYS_prctl,
	SYS_capset,
	SYS_setgroups,
	SYS_seccomp,
	SYS_prlimit64,
	SYS_sethostname,
	SYS_keyctl,
	SYS_socket,
	SYS_socketpair,
	SYS_bind,
	SYS_listen,
	SYS_connect,
	SYS_accept4,
	SYS_sendmsg,
	SYS_sendto,
	SYS_pipe2,
	SYS_memfd_create,
	SYS_flock,
	SYS_exit_group,
#ifdef SYS_mkdir
	SYS_mkdir,
	SYS_rmdir,
	SYS_unlink,
	SYS_rename,
	SYS_link,
	SYS_symlink,
	SYS_mknod,
	SYS_chmod,
	SYS_chown,
	SYS_fork,
	SYS_vfork,
#endif
};

/* Not those that take a descriptor alone. */
static const int path_calls[] = {
	SYS_openat,
	SYS_openat2,
	SYS_newfstatat,
	SYS_statx,
	SYS_faccessat,
	SYS_faccessat2,
	SYS_readlinkat,
	SYS_mkdirat,
	SYS_unlinkat,
	SYS_renameat,
	SYS_renameat2,
	SYS_linkat,
	SYS_symlinkat,
	SYS_mknodat,
	SYS_fchmodat,
	SYS_fchownat,
	SYS_utimensat,
	SYS_truncate,
	SYS_setxattr,
	SYS_lsetxattr,
	SYS_mount,
	SYS_umount2,
	SYS_open_tree,
	SYS_move_mount,
	SYS_mount_setattr,
	SYS_pivot_root,
	SYS_chroot,
	SYS_chdir,
	SYS_fchdir,
	SYS_execve,
	SYS_execveat,
	SYS_bind,
	SYS_connect,
#ifdef SYS_open
	SYS_open,
	SYS_stat,
	SYS_lstat,
	SYS_access,
	SYS_readlink,
	SYS_mkdir,
	SYS_rmdir,
	SYS_unlink,
	SYS_rename,
	SYS_link,
	SYS_symlink,
	SYS_mknod,
	SYS_chmod,
	SYS_chown,
	SYS_lchown,
#endif
};

#define ORDER_PATH_MAX 1024

struct tracer {
	const char *name;
	int folder_fd;
	unsigned long at;
	char action[16]; /* an errno, 0 for a kill; swap; swap-back */
	char one[ORDER_PATH_MAX], other[ORDER_PATH_MAX];
	pid_t struck; /* the process whose call is to return, or 0 */
	char text[64];
};

static const char *file_name(struct tracer *tracer, const char *suffix)
{
	snprintf(tracer->text, sizeof(tracer->text), "%s.%s", tracer->name, suffix);
	return tracer->text;
}

static void write_file(struct tracer *tracer, const char *suffix, const char *text)
{
	int fd = openat(tracer->folder_fd, file_name(tracer, suffix), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0 && write(fd, text, strlen(text)) < 0)
		_exit(1);
	close(fd);
}

static unsigned long read_count(struct tracer *tracer)
{
	char text[32] = "";
	int fd = openat(tracer->folder_fd, file_name(tracer, "count"), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strtoul(text, NULL, 10);
}

static bool read_orders(struct tracer *tracer)
{
	char text[2 * ORDER_PATH_MAX] = "";
	int fd = openat(tracer->folder_fd, file_name(tracer, "strike"), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	ssize_t len = read(fd, text, sizeof(text) - 1);
	close(fd);
	return len > 0 &&
	       sscanf(text, "%lu %15s %1023s %1023s", &tracer->at, tracer->action, tracer->one, tracer->other) >= 2;
}

static bool swaps(const struct tracer *tracer)
{
	return strncmp(tracer->action, "swap", 4) == 0;
}

static bool is_among(long call, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (call == calls[i])
			return true;
	return false;
}

static bool takes_a_path(const struct __ptrace_syscall_info *info)
{
	return is_among((long)info->entry.nr, path_calls, sizeof(path_calls) / sizeof(path_calls[0]));
}

static bool changes_something(const struct __ptrace_syscall_info *info)
{
	if (info->entry.nr == SYS_openat)
		return (info->entry.args[2] & O_CREAT) || (info->entry.args[2] & O_TMPFILE) == O_TMPFILE;
	return is_among((long)info->entry.nr, counted_calls, sizeof(counted_calls) / sizeof(counted_calls[0]));
}

/* The number that no call has makes the kernel skip it; what it returns is set when it has returned. */
static void set_register(pid_t pid, size_t offset, long value)
{
	ptrace(PTRACE_POKEUSER, pid, (void *)offset, (void *)value);
}

static void swap(const struct tracer *tracer)
{
	if (renameat2(AT_FDCWD, tracer->one, AT_FDCWD, tracer->other, RENAME_EXCHANGE) < 0)
		fprintf(stderr, "%s: cannot be exchanged: %s\n", tracer->one, strerror(errno));
}

static void strike(struct tracer *tracer, pid_t pid, unsigned long long call)
{
	char text[64];

	snprintf(text, sizeof(text), "%llu %d\n", call, pid);
	/* Before the process ends, for whom its end is the news. */
	write_file(tracer, "struck", text);
	unlinkat(tracer->folder_fd, file_name(tracer, "strike"), 0);
	if (swaps(tracer)) {
		swap(tracer);
	} else if (atoi(tracer->action) == 0) {
		kill(pid, SIGKILL);
		return;
	} else {
		set_register(pid, offsetof(struct user_regs_struct, orig_rax), -1);
	}
	tracer->struck = pid;
}

/* Each instance has a tracer of its own, and all of them one count. */
static void on_entry(struct tracer *tracer, pid_t pid, const struct __ptrace_syscall_info *info)
{
	char text[32];

	if (!changes_something(info) && !takes_a_path(info))
		return;
	flock(tracer->folder_fd, LOCK_EX);
	if (read_orders(tracer) && (swaps(tracer) ? takes_a_path(info) : changes_something(info))) {
		unsigned long count = read_count(tracer) + 1;
		snprintf(text, sizeof(text), "%-8lu", count);
		write_file(tracer, "count", text);
		if (count == tracer->at)
			strike(tracer, pid, info->entry.nr);
	}
	flock(tracer->folder_fd, LOCK_UN);
}

static void on_syscall(struct tracer *tracer, pid_t pid)
{
	struct __ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, (void *)sizeof(info), &info) <= 0)
		return;
	if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
		on_entry(tracer, pid, &info);
	} else if (info.op == PTRACE_SYSCALL_INFO_EXIT && tracer->struck == pid) {
		tracer->struck = 0;
		if (!swaps(tracer))
			set_register(pid, offsetof(struct user_regs_struct, rax), -atoi(tracer->action));
		else if (strcmp(tracer->action, "swap-back") == 0)
			swap(tracer);
	}
}

static bool runs_copy(const struct tracer *tracer, const char *link)
{
	char target[4096];
	ssize_t len = readlink(link, target, sizeof(target) - 1);

	target[len < 0 ? 0 : len] = '\0';
	const char *copy = strstr(target, "memfd:");
	return copy && strncmp(copy + strlen("memfd:"), tracer->name, strlen(tracer->name)) == 0;
}

/* Whether the process still runs the program: its very file, through whatever mount, or a copy in memory. */
static bool runs_program(struct tracer *tracer, pid_t pid)
{
	char link[32];
	struct stat real, exe;

	snprintf(link, sizeof(link), "/proc/%d/exe", pid);
	if (stat(link, &exe) < 0 || fstatat(tracer->folder_fd, file_name(tracer, "real"), &real, 0) < 0)
		return false;
	return (exe.st_dev == real.st_dev && exe.st_ino == real.st_ino) || runs_copy(tracer, link);
}

static void on_stop(struct tracer *tracer, pid_t pid, int status)
{
	int signo = WSTOPSIG(status), event = status >> 16;

	if (signo == SYSCALL_STOP) {
		on_syscall(tracer, pid);
	} else if (event == PTRACE_EVENT_EXEC && !runs_program(tracer, pid)) {
		ptrace(PTRACE_DETACH, pid, NULL, NULL);
		return;
	} else if (event == PTRACE_EVENT_STOP && signo != SIGTRAP) {
		ptrace(PTRACE_LISTEN, pid, NULL, NULL);
		return;
	}
	ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)(signo == SYSCALL_STOP || event ? 0 : signo));
}

static int trace(const char *name, pid_t target)
{
	struct tracer tracer = { .name = name, .folder_fd = open(getenv("TARE_LIBEXEC"), O_RDONLY | O_CLOEXEC) };
	int status;

	if (tracer.folder_fd < 0 || ptrace(PTRACE_SEIZE, target, NULL, (void *)(long)TRACE_OPTIONS) < 0 ||
		ptrace(PTRACE_INTERRUPT, target, NULL, NULL) < 0 || write(READY_FD, "", 1) != 1)
		return 1;
	close(READY_FD);
	for (pid_t pid; (pid = waitpid(-1, &status, __WALL)) > 0;)
		if (WIFSTOPPED(status))
			on_stop(&tracer, pid, status);
	return 0;
}

/* Runs twice removed from the program, and as nobody that a look through the processes would take for one of tare's. */
static void start_tracer(const char *name, int ready_fd)
{
	char target[16];
	pid_t program = getpid(), child = fork();

	if (child > 0)
		waitpid(child, NULL, 0);
	if (child != 0)
		return;
	if (fork() != 0)
		_exit(0);
	snprintf(target, sizeof(target), "%d", program);
	if (dup3(ready_fd, READY_FD, 0) < 0)
		_exit(1);
	close_range(READY_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	execl("/proc/self/exe", TRACER_NAME, name, target, NULL);
	_exit(1);
}

static void trace_me(const char *name)
{
	int ready[2];
	char byte;

	if (pipe2(ready, O_CLOEXEC) < 0)
		return;
	start_tracer(name, ready[1]);
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fprintf(stderr, "%s: cannot be traced\n", name);
	close(ready[0]);
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	const char *folder = getenv("TARE_LIBEXEC");
	char traced[4096], real[4096];

	if (argc == 3 && strcmp(argv[0], TRACER_NAME) == 0)
		return trace(argv[1], atoi(argv[2]));
	snprintf(traced, sizeof(traced), "%s/%s.traced", folder, name);
	snprintf(real, sizeof(real), "%s/%s.real", folder, name);
	if (access(traced, F_OK) == 0)
		trace_me(name);
	execv(real, argv);
	fprintf(stderr, "%s: %s\n", real, strerror(errno));
	return 127;
}
