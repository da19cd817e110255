#include "monitor/spliced.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/monitor.h"
#include "network/splice.h"
#include "sys/spawn.h"

/* It answers in well under a millisecond. */
#define PATIENCE_S 2
/* After one that failed. */
#define BRAKE_MS 1000

void spliced_init(struct spliced *spliced)
{
	*spliced = (struct spliced){ .watch_fd = -1, .channel_fd = -1 };
}

/* --- telling it --- */

static int send_some(const struct spliced *spliced, const struct splice_target *targets, const int *fds, size_t count)
{
	return count > 0 ? message_send(spliced->channel_fd, targets, count * sizeof(*targets), fds, count) : 0;
}

static int hand_over(struct monitor *monitor)
{
	struct splice_target targets[SPLICE_MESSAGE_MAX];
	int fds[SPLICE_MESSAGE_MAX];
	size_t count = 0;
	int r = 0;
	for (size_t i = 0; r == 0 && i < monitor->published.count; i++) {
		struct published_socket *socket = &monitor->published.sockets[i];
		if (!socket->is_spliced || socket->is_handed)
			continue;
		socket->is_handed = true;
		targets[count] = (struct splice_target){ .type = socket->type,
			.host_port = socket->host_port,
			.to_port = socket->to_port,
			.host = socket->host,
			.to = socket->to };
		fds[count++] = socket->fd;
		if (count == SPLICE_MESSAGE_MAX) {
			r = send_some(&monitor->spliced, targets, fds, count);
			count = 0;
		}
	}
	return r < 0 ? r : send_some(&monitor->spliced, targets, fds, count);
}

/* --- the process --- */

static void end_process(struct spliced *spliced)
{
	fd_close(&spliced->channel_fd);
	/* It is not reaped before we have heard of its end: the number is still its own. */
	if (spliced->pid > 0)
		kill(spliced->pid, SIGKILL);
}

static int spawn(struct monitor *monitor)
{
	struct spliced *spliced = &monitor->spliced;
	char *const argv[] = { (char *)SPLICE_PROGRAM, NULL };
	const struct timeval patience = { .tv_sec = PATIENCE_S };
	_cleanup_free_ char *path = NULL;
	int pair[2];
	if (asprintf(&path, "%s/" SPLICE_PROGRAM, monitor->options.program_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	const struct spawn program = {
		.program_fd = -1,
		.path = path,
		.argv = argv,
		.stdio = { -1, -1, 2 },
		.fds = &pair[1],
		.fd_count = 1,
	};
	int r = spawn_program(&program, &spliced->pid, NULL);
	close(pair[1]);
	if (r < 0) {
		close(pair[0]);
		spliced->pid = 0;
		return r;
	}
	spliced->channel_fd = pair[0];
	return hand_over(monitor);
}

static void unwatch(struct spliced *spliced)
{
	loop_source_free(spliced->watch);
	loop_source_free(spliced->timer);
	spliced->watch = spliced->timer = NULL;
	fd_close(&spliced->watch_fd);
}

static void on_brake_end(struct loop_source *source, void *data)
{
	struct monitor *monitor = data;
	(void)source;
	unwatch(&monitor->spliced);
	spliced_update(monitor);
}

static void brake(struct monitor *monitor)
{
	if (loop_add_timer(monitor->loop, clock_monotonic_ms() + BRAKE_MS, on_brake_end, monitor,
		    &monitor->spliced.timer) < 0)
		log_error("out of memory: published ports are not served");
}

static void on_client(struct loop_source *source, uint32_t events, void *data)
{
	struct monitor *monitor = data;
	(void)source, (void)events;
	unwatch(&monitor->spliced);
	int r = spawn(monitor);
	if (r == 0)
		return;
	log_error("cannot serve published ports: %s", strerrordesc_np(-r));
	end_process(&monitor->spliced); /* its end brings the next one */
	if (monitor->spliced.pid == 0)
		brake(monitor);
}

static int watch(struct monitor *monitor)
{
	struct spliced *spliced = &monitor->spliced;
	int r = 0;
	for (size_t i = 0; r == 0 && i < monitor->published.count; i++) {
		const struct published_socket *socket = &monitor->published.sockets[i];
		struct epoll_event event = { .events = EPOLLIN };
		if (!socket->is_spliced)
			continue;
		if (spliced->watch_fd < 0)
			spliced->watch_fd = epoll_create1(EPOLL_CLOEXEC);
		if (spliced->watch_fd < 0 || epoll_ctl(spliced->watch_fd, EPOLL_CTL_ADD, socket->fd, &event) < 0)
			r = -errno;
	}
	if (r == 0 && spliced->watch_fd >= 0)
		r = loop_add_fd(monitor->loop, spliced->watch_fd, EPOLLIN, on_client, monitor, &spliced->watch);
	return r;
}

void spliced_update(struct monitor *monitor)
{
	struct spliced *spliced = &monitor->spliced;
	int r = 0;
	if (spliced->pid > 0) {
		r = spliced->channel_fd >= 0 ? hand_over(monitor) : 0;
	} else if (!spliced->timer) {
		unwatch(spliced);
		r = watch(monitor);
	}
	if (r < 0) {
		log_error("cannot watch published ports: %s", strerrordesc_np(-r));
		end_process(spliced); /* if there is one: its end brings another */
	}
}

void spliced_withdraw(struct monitor *monitor, const struct published *published)
{
	struct spliced *spliced = &monitor->spliced;
	bool has_any = false;
	char nothing = 0;
	unwatch(spliced);
	if (spliced->channel_fd < 0)
		return;
	for (size_t i = 0; i < published->count; i++) {
		const struct published_socket *socket = &published->sockets[i];
		if (socket->fd < 0 || !socket->is_handed)
			continue;
		shutdown(socket->fd, SHUT_RDWR); /* of UDP it says that it was not connected, and does it */
		has_any = true;
	}
	/* When it says the same it has closed them. */
	if (has_any && (send(spliced->channel_fd, &nothing, sizeof(nothing), MSG_NOSIGNAL) < 0 ||
			       recv(spliced->channel_fd, &nothing, sizeof(nothing), 0) <= 0))
		end_process(spliced);
}

bool spliced_reaped(struct monitor *monitor, pid_t pid, int exit_code)
{
	struct spliced *spliced = &monitor->spliced;
	if (pid != spliced->pid)
		return false;
	spliced->pid = 0;
	fd_close(&spliced->channel_fd);
	for (size_t i = 0; i < monitor->published.count; i++)
		monitor->published.sockets[i].is_handed = false;
	if (exit_code == 0)
		spliced_update(monitor);
	else
		brake(monitor);
	return true;
}

void spliced_close(struct monitor *monitor)
{
	struct spliced *spliced = &monitor->spliced;
	unwatch(spliced);
	end_process(spliced);
	/* With it its copies of the sockets go, so that the next start finds the ports free. */
	if (spliced->pid > 0)
		waitpid(spliced->pid, NULL, 0);
	spliced->pid = 0;
}
