/*
 * The floor: the raw kernel calls that any container needs, and nothing else. Everything a runtime adds on top of this is
 * its own weight, so start-up figures are quoted as ratios to it.
 *
 * One round: upper and work folders, a group in every cgroup hierarchy, clone3 with all namespaces, attach (by the child
 * itself, one thread: a write to cgroup.procs from outside waits for an RCU grace period on cgroup v1), loopback up,
 * overlay root, proc, dev, devpts, shm, mqueue, sysfs, cgroup tree, masked and read-only paths, pivot_root, bounding set,
 * seccomp, execve of a static `true`, wait, and the removal of groups and folders.
 *
 *	floor LOWER UPPER ROUNDS [hostnet | BRIDGE]
 *
 * LOWER is a root folder with bin/true, UPPER a folder for upper and work folders (its filesystem is what is measured). With the
 * name of a bridge the container has a veth at it: born at its places and up by one message, while the child mounts; address
 * and default route are set by the child. Its end is the namespace's, as nobody who is in a hurry deletes one.
 *
 *	floor exec PID ROUNDS
 *
 * One more process in a container that runs: attach by itself, setns to all of PID's namespaces at once, fork, execve, wait.
 *
 * Prints the median and the minimum in ms. Run it in a private mount namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/rtnetlink.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define GROUPS_MAX    12
#define FILTER_CHECKS 200
#define NONE          (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

struct floor {
	const char *lower;
	const char *upper;
	bool host_network;
	int bridge;  /* index; 0: none */
	int legs[2]; /* a pipe: the child's interface is there */
	size_t group_count;
	bool unified[GROUPS_MAX];
	char hierarchy[GROUPS_MAX][128];
	char group[GROUPS_MAX][192];
	char upper_dir[256], work_dir[256], root_dir[256];
	struct sock_filter filter[FILTER_CHECKS * 2 + 8];
	unsigned short filter_len;
};

static void check(bool ok, const char *what)
{
	if (ok)
		return;
	dprintf(STDERR_FILENO, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd >= 0 && write(fd, text, strlen(text)) >= 0, path);
	close(fd);
}

static void find_hierarchies(struct floor *f)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char point[128], type[32];
	check(mounts, "/proc/self/mounts");
	while (f->group_count < GROUPS_MAX && fscanf(mounts, "%*s %127s %31s %*[^\n]", point, type) == 2) {
		bool unified = strcmp(type, "cgroup2") == 0;
		if (!unified && strcmp(type, "cgroup") != 0)
			continue;
		snprintf(f->hierarchy[f->group_count], sizeof *f->hierarchy, "%s", point);
		f->unified[f->group_count++] = unified;
	}
	fclose(mounts);
}

/* As long as Docker's default profile is for a call that it allows last. */
static void make_filter(struct floor *f)
{
	struct sock_filter *p = f->filter;
	*p++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	*p++ = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (unsigned i = 0; i < FILTER_CHECKS; i++) {
		*p++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1000 + i, 0, 1);
		*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	*p++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	f->filter_len = (unsigned short)(p - f->filter);
}

static void mount_new(const char *type, const char *target, unsigned attributes, const char *const *options)
{
	int fs = fsopen(type, FSOPEN_CLOEXEC);
	check(fs >= 0, type);
	for (; options && *options; options += 2)
		check(fsconfig(fs, FSCONFIG_SET_STRING, options[0], options[1], 0) == 0, options[0]);
	check(fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0, type);
	int mount = fsmount(fs, FSMOUNT_CLOEXEC, attributes);
	check(mount >= 0 && move_mount(mount, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0, target);
	close(mount);
	close(fs);
}

static void bind_read_only(const char *source, const char *target)
{
	struct mount_attr attributes = { .attr_set = MOUNT_ATTR_RDONLY | NONE };
	int tree = open_tree(AT_FDCWD, source, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		return; /* not on this kernel */
	check(mount_setattr(tree, "", AT_EMPTY_PATH, &attributes, sizeof attributes) == 0, source);
	check(move_mount(tree, "", AT_FDCWD, target, MOVE_MOUNT_F_EMPTY_PATH) == 0, target);
	close(tree);
}

static void make_devices(void)
{
	static const struct {
		const char *path;
		unsigned major, minor;
	} devices[] = { { "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 }, { "dev/random", 1, 8 },
		{ "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 } };
	static const char *const links[][2] = { { "/proc/self/fd", "dev/fd" }, { "/proc/self/fd/0", "dev/stdin" },
		{ "/proc/self/fd/1", "dev/stdout" }, { "/proc/self/fd/2", "dev/stderr" }, { "pts/ptmx", "dev/ptmx" } };

	for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
		check(mknod(devices[i].path, S_IFCHR | 0666, makedev(devices[i].major, devices[i].minor)) == 0,
			devices[i].path);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		check(symlink(links[i][0], links[i][1]) == 0, links[i][1]);
	check(mkdir("dev/pts", 0755) == 0 && mkdir("dev/shm", 0755) == 0 && mkdir("dev/mqueue", 0755) == 0, "dev");
}

static void hide_paths(void)
{
	static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };
	static const char *const masked[] = { "proc/asound", "proc/acpi", "proc/interrupts", "proc/kcore", "proc/keys",
		"proc/latency_stats", "proc/timer_list", "proc/timer_stats", "proc/sched_debug", "proc/scsi",
		"sys/firmware", "sys/devices/virtual/powercap" };

	for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
		bind_read_only(read_only[i], read_only[i]);
	for (size_t i = 0; i < sizeof masked / sizeof *masked; i++) {
		struct stat st;
		if (stat(masked[i], &st) < 0)
			continue;
		if (S_ISDIR(st.st_mode))
			mount_new("tmpfs", masked[i], MOUNT_ATTR_RDONLY, NULL);
		else
			bind_read_only("dev/null", masked[i]);
	}
}

static void mount_everything(const struct floor *f)
{
	const char *overlay[] = { "lowerdir", f->lower, "upperdir", f->upper_dir, "workdir", f->work_dir, NULL };
	static const char *const dev[] = { "mode", "755", "size", "65536k", NULL };
	static const char *const pts[] = { "ptmxmode", "0666", "mode", "0620", NULL };
	static const char *const shm[] = { "mode", "1777", "size", "65536k", NULL };
	static const char *const groups[] = { "mode", "755", NULL };
	char target[64];

	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private");
	mount_new("overlay", f->root_dir, 0, overlay);
	check(chdir(f->root_dir) == 0, "root");
	mount_new("proc", "proc", NONE, NULL);
	mount_new("tmpfs", "dev", MOUNT_ATTR_NOSUID, dev);
	make_devices();
	mount_new("devpts", "dev/pts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, pts);
	mount_new("tmpfs", "dev/shm", NONE, shm);
	mount_new("mqueue", "dev/mqueue", NONE, NULL);
	if (f->host_network)
		bind_read_only("/sys", "sys");
	else
		mount_new("sysfs", "sys", NONE | MOUNT_ATTR_RDONLY, NULL);
	mount_new("tmpfs", "sys/fs/cgroup", NONE, groups);
	for (size_t i = 0; i < f->group_count; i++) {
		snprintf(target, sizeof target, "sys/fs/cgroup/%zu", i);
		check(mkdir(target, 0755) == 0, target);
		bind_read_only(f->group[i], target);
	}
	hide_paths();
	check(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
	check(umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "old root");
}

static void loopback_up(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	check(fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0, "lo");
	close(fd);
}

/* --- netlink --- */

struct request {
	char data[512];
	size_t len;
	size_t message; /* offset of the one that is being built */
	unsigned count;
};

static void begin(struct request *r, uint16_t type, uint16_t flags, const void *header, size_t len)
{
	r->message = r->len;
	struct nlmsghdr *message = (void *)(r->data + r->message);
	*message = (struct nlmsghdr){ .nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags };
	memcpy(NLMSG_DATA(message), header, len);
	r->len += NLMSG_SPACE(len);
	message->nlmsg_len = (uint32_t)(r->len - r->message);
	r->count++;
}

/* Returns its offset; what is put until `end` lies inside. */
static size_t put(struct request *r, uint16_t type, const void *data, size_t len)
{
	size_t at = r->len;
	struct rtattr *attribute = (void *)(r->data + at);
	attribute->rta_type = type;
	attribute->rta_len = (uint16_t)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(attribute), data, len);
	r->len += RTA_SPACE(len);
	((struct nlmsghdr *)(void *)(r->data + r->message))->nlmsg_len = (uint32_t)(r->len - r->message);
	return at;
}

static void end(struct request *r, size_t at)
{
	((struct rtattr *)(void *)(r->data + at))->rta_len = (uint16_t)(r->len - at);
}

static void transact(const struct request *r, const char *what)
{
	char answer[4096];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	check(fd >= 0 && send(fd, r->data, r->len, 0) == (ssize_t)r->len, what);
	for (unsigned acknowledged = 0; acknowledged < r->count;) {
		ssize_t len = recv(fd, answer, sizeof answer, 0);
		check(len > 0, what);
		struct nlmsghdr *message = (void *)answer;
		for (; NLMSG_OK(message, len); message = NLMSG_NEXT(message, len)) {
			errno = -((struct nlmsgerr *)NLMSG_DATA(message))->error;
			check(message->nlmsg_type == NLMSG_ERROR && errno == 0, what);
			acknowledged++;
		}
	}
	close(fd);
}

static void make_veth(const struct floor *f, pid_t pid)
{
	struct request r = { .len = 0 };
	struct ifinfomsg up = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP }, none = { 0 };
	char name[IFNAMSIZ];
	begin(&r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &up, sizeof up);
	put(&r, IFLA_IFNAME, name, (size_t)snprintf(name, sizeof name, "fl%d", (int)pid) + 1);
	put(&r, IFLA_MASTER, &f->bridge, sizeof f->bridge);
	size_t info = put(&r, IFLA_LINKINFO, NULL, 0);
	put(&r, IFLA_INFO_KIND, "veth", 5);
	size_t data = put(&r, IFLA_INFO_DATA, NULL, 0);
	size_t peer = put(&r, VETH_INFO_PEER, NULL, 0);
	memcpy(r.data + r.len, &none, sizeof none);
	r.len += NLMSG_ALIGN(sizeof none);
	put(&r, IFLA_IFNAME, "eth0", 5);
	put(&r, IFLA_NET_NS_PID, &pid, sizeof(uint32_t));
	end(&r, peer);
	end(&r, data);
	end(&r, info);
	transact(&r, "veth");
}

static void configure_veth(void)
{
	static const uint8_t own[] = { 10, 66, 0, 2 }, gateway[] = { 10, 66, 0, 1 };
	struct request r = { .len = 0 };
	const uint32_t index = if_nametoindex("eth0");
	struct ifinfomsg up = { .ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct ifaddrmsg address = { .ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = index };
	struct rtmsg route = { .rtm_family = AF_INET,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST };
	begin(&r, RTM_NEWLINK, 0, &up, sizeof up);
	begin(&r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof address);
	put(&r, IFA_LOCAL, own, sizeof own);
	put(&r, IFA_ADDRESS, own, sizeof own);
	begin(&r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route, sizeof route);
	put(&r, RTA_GATEWAY, gateway, sizeof gateway);
	put(&r, RTA_OIF, &index, sizeof index);
	transact(&r, "address and route");
}

static void await_veth(const struct floor *f)
{
	char byte;
	check(read(f->legs[0], &byte, 1) == 1, "the interface");
	configure_veth();
}

static void join_groups(const struct floor *f)
{
	char path[256];
	for (size_t i = 0; i < f->group_count; i++) {
		snprintf(path, sizeof path, "%s/%s", f->group[i], f->unified[i] ? "cgroup.procs" : "tasks");
		write_file(path, "0");
	}
}

static _Noreturn void be_the_container(const struct floor *f)
{
	static const uint64_t kept = 0xa80425fb;
	char *const argv[] = { (char *)"true", NULL }, *const envp[] = { (char *)"PATH=/bin", NULL };
	struct sock_fprog program = { f->filter_len, (struct sock_filter *)f->filter };

	join_groups(f);
	check(unshare(CLONE_NEWCGROUP) == 0, "cgroup namespace");
	if (!f->host_network)
		loopback_up();
	mount_everything(f);
	if (f->bridge)
		await_veth(f);
	for (int cap = 0; cap <= 40; cap++)
		if (!(kept >> cap & 1))
			prctl(PR_CAPBSET_DROP, cap, 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0, "seccomp");
	execve("/bin/true", argv, envp);
	check(false, "/bin/true");
	_exit(125);
}

static void make_group(struct floor *f, size_t i, int round)
{
	char path[256];
	snprintf(f->group[i], sizeof *f->group, "%s/tare-floor-%d-%d", f->hierarchy[i], getpid(), round);
	check(mkdir(f->group[i], 0755) == 0, f->group[i]);
	static const char *const cpuset[] = { "cpuset.cpus", "cpuset.mems" };
	for (size_t n = 0; !f->unified[i] && n < 2; n++) {
		snprintf(path, sizeof path, "%s/%s", f->hierarchy[i], cpuset[n]);
		char value[256];
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return;
		ssize_t len = read(fd, value, sizeof value - 1);
		close(fd);
		value[len > 0 ? len : 0] = '\0';
		snprintf(path, sizeof path, "%s/%s", f->group[i], cpuset[n]);
		write_file(path, value);
	}
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Folders that one container left: the work folder has a "work" of overlay's own inside. */
static void remove_folders(const struct floor *f)
{
	char inner[300];
	snprintf(inner, sizeof inner, "%s/work", f->work_dir);
	rmdir(inner);
	rmdir(f->work_dir);
	rmdir(f->upper_dir);
	rmdir(f->root_dir);
}

static double one_round(struct floor *f, int round)
{
	double start = now_ms();
	snprintf(f->upper_dir, sizeof f->upper_dir, "%s/u%d", f->upper, round);
	snprintf(f->work_dir, sizeof f->work_dir, "%s/w%d", f->upper, round);
	snprintf(f->root_dir, sizeof f->root_dir, "%s/r%d", f->upper, round);
	check(mkdir(f->upper_dir, 0755) == 0 && mkdir(f->work_dir, 0755) == 0 && mkdir(f->root_dir, 0755) == 0,
		f->upper);
	for (size_t i = 0; i < f->group_count; i++)
		make_group(f, i, round);

	int pidfd = -1;
	struct clone_args args = { .flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_PIDFD |
					    (f->host_network ? 0 : CLONE_NEWNET),
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD };
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof args);
	check(pid >= 0, "clone3");
	if (pid == 0)
		be_the_container(f);
	if (f->bridge) {
		make_veth(f, pid);
		check(write(f->legs[1], "", 1) == 1, "pipe");
	}
	int status;
	check(waitpid(pid, &status, 0) == pid && status == 0, "the container");
	close(pidfd);
	for (size_t i = 0; i < f->group_count; i++)
		while (rmdir(f->group[i]) < 0 && errno == EBUSY)
			sched_yield();
	remove_folders(f);
	return now_ms() - start;
}

/* --- exec --- */

/* A line of /proc/PID/cgroup is NUMBER:CONTROLLERS:PATH, and a hierarchy is mounted under the name of one of its controllers. */
static bool is_of_hierarchy(const char *controllers, const char *hierarchy, bool unified)
{
	const char *name = strrchr(hierarchy, '/') + 1;
	size_t len = strlen(name);

	if (unified || !*controllers)
		return unified && !*controllers;
	for (const char *at = controllers; (at = strstr(at, name)); at += len)
		if ((at == controllers || at[-1] == ',' || at[-1] == '=') && (!at[len] || at[len] == ','))
			return true;
	return false;
}

static void find_groups(struct floor *f, const char *pid)
{
	char path[64], line[512];
	snprintf(path, sizeof path, "/proc/%s/cgroup", pid);
	FILE *groups = fopen(path, "re");
	check(groups, path);
	while (fgets(line, sizeof line, groups)) {
		char *controllers = strchr(line, ':') + 1, *where = strchr(controllers, ':');
		*where++ = '\0';
		where[strcspn(where, "\n")] = '\0';
		for (size_t i = 0; i < f->group_count; i++)
			if (is_of_hierarchy(controllers, f->hierarchy[i], f->unified[i]))
				snprintf(f->group[i], sizeof *f->group, "%s%s", f->hierarchy[i], where);
	}
	fclose(groups);
}

static _Noreturn void enter_the_container(const struct floor *f, int pidfd)
{
	char *const argv[] = { (char *)"true", NULL }, *const envp[] = { (char *)"PATH=/bin", NULL };
	int status;

	join_groups(f);
	check(setns(pidfd, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP) ==
			0,
		"setns");
	pid_t pid = fork();
	check(pid >= 0, "fork");
	if (pid == 0) {
		execve("/bin/true", argv, envp);
		check(false, "/bin/true");
	}
	check(waitpid(pid, &status, 0) == pid, "the process");
	_exit(status != 0);
}

static double one_exec(const struct floor *f, int pidfd)
{
	double start = now_ms();
	int status;
	pid_t pid = fork();
	check(pid >= 0, "fork");
	if (pid == 0)
		enter_the_container(f, pidfd);
	check(waitpid(pid, &status, 0) == pid && status == 0, "the process");
	return now_ms() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int usage(void)
{
	fprintf(stderr, "usage: floor LOWER UPPER ROUNDS [hostnet | BRIDGE]\n       floor exec PID ROUNDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct floor f;
	int rounds = argc > 3 ? atoi(argv[3]) : 0, pidfd = -1;
	if (rounds < 1)
		return usage();
	find_hierarchies(&f);
	if (strcmp(argv[1], "exec") == 0) {
		pidfd = (int)syscall(SYS_pidfd_open, atoi(argv[2]), 0);
		check(pidfd >= 0, argv[2]);
		find_groups(&f, argv[2]);
	}
	f.lower = argv[1];
	f.upper = argv[2];
	f.host_network = argc > 4 && strcmp(argv[4], "hostnet") == 0;
	if (argc > 4 && !f.host_network) {
		f.bridge = (int)if_nametoindex(argv[4]);
		check(f.bridge > 0 && pipe2(f.legs, O_CLOEXEC) == 0, argv[4]);
	}
	make_filter(&f);

	double *taken = calloc((size_t)rounds, sizeof *taken);
	check(taken, "memory");
	for (int i = 0; i < rounds; i++)
		taken[i] = pidfd >= 0 ? one_exec(&f, pidfd) : one_round(&f, i);
	qsort(taken, (size_t)rounds, sizeof *taken, compare);
	printf("%.3f %.3f\n", taken[rounds / 2], taken[0]);
	free(taken);
	return 0;
}
