#include "worker/task.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"

#define SPOOL_BYTES (256 * 1024)

int task_folder(struct task *task, const char *name, mode_t mode)
{
	int fd;

	if (mkdirat(job_folder(task->job), name, 0700) < 0)
		return -errno;
	fd = openat(job_folder(task->job), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* Whatever our umask is. */
	if (fchmod(fd, mode) < 0) {
		int r = -errno;

		fd_close(&fd);
		return r;
	}
	return fd;
}

static int spool_body(struct task *task, int fd, struct err **reterr)
{
	_cleanup_free_ char *data = malloc(SPOOL_BYTES);

	if (!data)
		return err_oom(reterr);
	for (;;) {
		ssize_t n = client_read(task->client, data, SPOOL_BYTES, reterr);
		int r;

		if (n <= 0)
			return (int)n;
		r = io_write_full(fd, data, (size_t)n);
		if (r == -ENOSPC || r == -EDQUOT)
			return err_set(reterr, ERR_INTERNAL, ENOSPC, "no space left on device");
		if (r < 0)
			return err_errno(reterr, r, "cannot keep the upload");
	}
}

/* The descriptor that writes stays here, for linking; children get one that only reads. */
int task_spool(struct task *task, int *ret_fd, int *ret_link_fd, struct err **reterr)
{
	_autoclose_ int link_fd = openat(job_folder(task->job), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int r;

	if (link_fd < 0)
		return err_errno(reterr, -errno, "cannot keep the upload");
	r = spool_body(task, link_fd, reterr);
	if (r < 0)
		return r;
	*ret_fd = io_reopen(link_fd, O_RDONLY);
	if (*ret_fd < 0)
		return err_errno(reterr, *ret_fd, "cannot read the upload back");
	*ret_link_fd = TAKE_FD(link_fd);
	return 0;
}

void task_give_back(struct task *task)
{
	for (size_t i = 0; i < TASK_LENT; i++)
		fd_close(&task->lent[i]);
}

bool task_is_cancelled(void *user)
{
	const struct task *task = user;

	return client_is_gone(task->client);
}

int task_reference(const char *name, struct reference *ret, struct err **reterr)
{
	const char *problem = "";
	int r = reference_parse(name, ret, &problem);

	if (r == 0 && !ret->tag && !(ret->tag = strdup(REFERENCE_DEFAULT_TAG)))
		r = -ENOMEM;
	if (r == -ENOMEM)
		return err_oom(reterr);
	return r < 0 ? err_set(reterr, ERR_INVALID, 0, "invalid reference: %s", problem) : 0;
}

void task_say(struct task *task, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	client_tell(task->client, json_pack("{s:s}", "stream", text));
}
