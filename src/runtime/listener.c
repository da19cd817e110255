#include "runtime/listener.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "base/buf.h"
#include "codec/json.h"
#include "spec/oci_runtime.h"

static int connect_to(const char *path, int *ret, struct err **reterr)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(address.sun_path))
		return err_set(reterr, ERR_INVALID, ENAMETOOLONG, "seccomp: the listenerPath is too long");
	strcpy(address.sun_path, path);
	_autoclose_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return err_errno(reterr, -errno,
			"failed to connect with seccomp agent specified in the seccomp profile (%s)", path);
	*ret = TAKE_FD(fd);
	return 0;
}

static int describe(const struct container_listener *listener, pid_t pid, struct buf *out)
{
	_autojson_ json_t *document = json_pack("{s:s, s:[s], s:i, s:s}", "ociVersion", OCI_VERSION, "fds", "seccompFd",
		"pid", pid, "metadata", listener->metadata ? listener->metadata : "");
	json_t *state = json_loads(listener->state, 0, NULL);

	if (!document || !state || json_object_set_new(document, "state", state) < 0)
		return -ENOMEM;
	return json_print_value(document, out);
}

static int send_with(int sock, const struct buf *text, int fd)
{
	struct iovec iov = { .iov_base = text->data, .iov_len = text->len };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { .header = {
			      .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	ssize_t sent = sendmsg(sock, &message, MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent == (ssize_t)text->len ? 0 : -EIO;
}

int listener_hand_over(const struct container_listener *listener, pid_t pid, int pidfd, int number, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	_autoclose_ int sock = -1;

	if (!listener || !listener->path || !*listener->path)
		return err_set(reterr, ERR_INVALID, 0, "seccomp: SCMP_ACT_NOTIFY needs a listenerPath");
	int r = connect_to(listener->path, &sock, reterr);
	if (r < 0)
		return r;
	_autoclose_ int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
	if (fd < 0)
		return err_errno(reterr, -errno, "seccomp: cannot get the filter's listener");
	r = describe(listener, pid, &text);
	if (r == 0)
		r = send_with(sock, &text, fd);
	return r < 0 ? err_errno(reterr, r, "seccomp: cannot send the listener to %s", listener->path) : 0;
}
