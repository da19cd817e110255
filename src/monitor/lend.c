#include "monitor/lend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "monitor/monitor.h"
#include "monitor/run.h"
#include "runtime/enter.h"

/* The reading end of a pipe whose writing end is lent: its end of file says that nobody has that any more. */
struct lend_pause {
	struct monitor *monitor;
	int fd;
	struct loop_source *source;
};

int lend_root(struct monitor *monitor, int ret_fds[static LEND_ROOT_FDS], struct err **reterr)
{
	int ret = monitor_need_running(monitor, reterr);
	if (ret == 0)
		ret = container_clone_root(monitor->container, &ret_fds[0], reterr);
	if (ret < 0)
		return ret;
	ret_fds[1] = monitor->root_lock_fd;
	return 0;
}

void lend_end(struct monitor *monitor)
{
	struct lend_pause *pause = monitor->lent_pause;

	if (!pause)
		return;
	loop_source_free(pause->source);
	fd_close(&pause->fd);
	free(pause);
	monitor->lent_pause = NULL;
}

/* The user may have continued it meanwhile. */
static void on_given_back(struct loop_source *source, uint32_t events, void *data)
{
	struct lend_pause *pause = data;
	struct monitor *monitor = pause->monitor;
	_autofree_(err) struct err *err = NULL;

	(void)source;
	(void)events;
	lend_end(monitor);
	if (run_unpause(monitor, &err) < 0)
		log_debug("not continued: %s", err_message(err));
}

int lend_pause(struct monitor *monitor, int *ret_fd, struct err **reterr)
{
	int ends[2];
	int ret = run_pause(monitor, reterr);

	if (ret < 0)
		return ret;
	struct lend_pause *pause = calloc(1, sizeof *pause);
	if (!pause || pipe2(ends, O_CLOEXEC) < 0) {
		free(pause);
		run_unpause(monitor, NULL);
		return err_errno(reterr, errno ? -errno : -ENOMEM, "cannot pause the container for a while");
	}
	lend_end(monitor);
	pause->monitor = monitor;
	pause->fd = ends[0];
	monitor->lent_pause = pause;
	ret = loop_add_fd(monitor->loop, pause->fd, EPOLLIN, on_given_back, pause, &pause->source);
	if (ret < 0) {
		close(ends[1]);
		lend_end(monitor);
		run_unpause(monitor, NULL);
		return err_errno(reterr, ret, "cannot pause the container for a while");
	}
	*ret_fd = ends[1];
	return 0;
}
