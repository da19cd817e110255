#include "runtime/report.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

static const char *const sentences[] = {
	[STAGE_JOIN_CGROUP] = "cannot join the container's cgroup",
	[STAGE_JOIN_NAMESPACE] = "cannot join namespace",
	[STAGE_CLONE] = "cannot create the container's process",
	[STAGE_CGROUP_NAMESPACE] = "cannot create the cgroup namespace",
	[STAGE_BECOME_ROOT] = "cannot become root in the user namespace",
	[STAGE_SYNC] = "lost the creator of the container",
	[STAGE_PRIVATE_MOUNTS] = "cannot make the mount tree private",
	[STAGE_ROOTFS] = "cannot set up the root filesystem",
	[STAGE_MOUNT] = "error mounting",
	[STAGE_MOUNT_FORBIDDEN] = "error mounting",
	[STAGE_DEVICE] = "cannot create device",
	[STAGE_DEV_FOLDER] = "/dev in the container's root must be a folder, not a link",
	[STAGE_CONSOLE] = "cannot set up the terminal",
	[STAGE_MASK] = "cannot mask path",
	[STAGE_READONLY_PATH] = "cannot make path read-only",
	[STAGE_HOOK] = "error running",
	[STAGE_PIVOT] = "cannot enter the root filesystem",
	[STAGE_LOOPBACK] = "cannot bring up the loopback interface",
	[STAGE_HOSTNAME] = "cannot set the host name",
	[STAGE_SYSCTL] = "cannot set sysctl",
	[STAGE_OOM_SCORE] = "cannot set oom_score_adj",
	[STAGE_RLIMIT] = "error setting rlimit type",
	[STAGE_KEYRING] = "cannot create a session keyring",
	[STAGE_USER] = "cannot set the user",
	[STAGE_CAPABILITIES] = "cannot set the capabilities",
	[STAGE_NO_NEW_PRIVILEGES] = "cannot set no_new_privs",
	[STAGE_LABEL] = "cannot set the security label",
	[STAGE_NO_PROFILE] = "no such AppArmor profile is loaded:",
	[STAGE_SECCOMP] = "cannot install the seccomp filter",
	[STAGE_CWD] = "chdir to cwd",
	[STAGE_CWD_OUTSIDE] = "the working folder is outside of the container",
	[STAGE_STDIO] = "cannot set up standard input and output",
	[STAGE_COMMAND] = "",
	[STAGE_EXEC] = "",
	[STAGE_SCHEDULER] = "error setting scheduler",
	[STAGE_IO_PRIORITY] = "failed to apply io priority",
	[STAGE_CPUS] = "cannot set the CPU affinity",
	[STAGE_MEMORY_POLICY] = "cannot set the memory policy",
	[STAGE_PERSONALITY] = "cannot set the personality",
	[STAGE_TIME] = "cannot set up the time namespace",
	[STAGE_INIT_PROGRAM] = "cannot execute the init program",
};

int report_send(int sync, const struct report *report, int fd)
{
	struct iovec iov = { .iov_base = (void *)report, .iov_len = sizeof(*report) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	ssize_t sent;
	do {
		sent = sendmsg(sync, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : 0;
}

int report_write(int sync, const struct report *report)
{
	ssize_t len;

	do {
		len = write(sync, report, sizeof(*report));
	} while (len < 0 && errno == EINTR);
	return len < 0 ? -errno : 1;
}

int report_read(int sync, struct report *report)
{
	ssize_t len;

	do {
		len = read(sync, report, sizeof(*report));
	} while (len < 0 && errno == EINTR);
	return len < 0 ? -errno : len == sizeof(*report);
}

static void take_fd(struct msghdr *message, int *ret_fd)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		int fd;
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || c->cmsg_len < CMSG_LEN(sizeof(int)))
			continue;
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
		if (ret_fd && *ret_fd < 0)
			*ret_fd = fd;
		else
			close(fd);
	}
}

int report_receive(int sync, struct report *report, int *ret_fd)
{
	struct iovec iov = { .iov_base = report, .iov_len = sizeof(*report) };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t len;

	if (ret_fd)
		*ret_fd = -1;
	/* Reset: it ended with something from us unread. What it had said before is still there, behind this error. */
	do {
		len = recvmsg(sync, &message, MSG_CMSG_CLOEXEC);
	} while (len < 0 && (errno == EINTR || errno == ECONNRESET));
	if (len == 0)
		return 0;
	if (len < 0)
		return -errno;
	take_fd(&message, ret_fd);
	if ((size_t)len != sizeof(*report))
		return -EPROTO;
	report->detail[sizeof(report->detail) - 1] = '\0';
	return 1;
}

static enum err_kind command_kind(int errnum)
{
	return errnum == ENOENT || errnum == ENOTDIR ? ERR_CMD_NOT_FOUND : ERR_CMD_NOT_EXEC;
}

int report_to_err(const struct report *report, struct err **reterr)
{
	int errnum = report->errnum > 0 ? report->errnum : EPROTO;
	const char *sentence = report->stage < ARRAY_SIZE(sentences) ? sentences[report->stage] : NULL;
	const char *detail = report->detail;

	if (!sentence)
		return err_set(reterr, ERR_INTERNAL, EPROTO, "the container's process sent an unknown message");
	switch (report->stage) {
	case STAGE_COMMAND: /* whole sentences */
	case STAGE_EXEC: return err_set(reterr, command_kind(errnum), errnum, "%s", detail);
	case STAGE_USER:
		if (*detail)
			return err_set(reterr, ERR_INVALID, errnum, "%s", detail);
		break;
	case STAGE_MOUNT_FORBIDDEN:
	case STAGE_CWD_OUTSIDE:
	case STAGE_DEV_FOLDER:
	case STAGE_NO_PROFILE: /* with the kernel's text it would read as a command that is not found */
		return err_set(reterr, ERR_INVALID, errnum, "%s%s%s", sentence, *detail ? " " : "", detail);
	case STAGE_MOUNT:
		if (errnum == ENOTDIR)
			return err_set(reterr, ERR_INVALID, ENOTDIR,
				"%s %s: not a directory: Are you trying to mount a directory onto a file (or vice-versa)? "
				"Check if the specified host path exists and is the expected type",
				sentence, detail);
		break;
	default: break;
	}
	return err_errno(reterr, -errnum, "%s%s%s", sentence, *detail ? " " : "", detail);
}
