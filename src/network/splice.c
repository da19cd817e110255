#include "network/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "base/log.h"
#include "network/confine.h"
#include "network/splice_internal.h"

#define EXIT_USAGE   2
#define TICK_MS      5000
#define MEMORY_BYTES (128UL * 1024 * 1024)
/* A client has two sockets and two pipes. */
#define FILES_MAX (SPLICE_TARGETS_MAX + SPLICE_CLIENTS_MAX * 6 + SPLICE_SESSIONS_MAX + 32)

static const int calls[] = {
	SYS_recvfrom,
	SYS_recvmsg,
	SYS_sendto,
	SYS_sendmsg,
	SYS_accept4,
	SYS_connect,
	SYS_shutdown,
	SYS_setsockopt,
	SYS_getsockopt,
	SYS_pipe2,
	SYS_splice,
	SYS_ppoll,
#ifdef SYS_poll
	SYS_poll,
#endif
};

socklen_t splice_fill_address(const struct splice_target *target, union splice_address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (target->to.is_v6) {
		ret->v6.sin6_family = AF_INET6;
		ret->v6.sin6_port = htobe16(target->to_port);
		memcpy(&ret->v6.sin6_addr, target->to.bytes, sizeof(ret->v6.sin6_addr));
		return sizeof(ret->v6);
	}
	ret->v4.sin_family = AF_INET;
	ret->v4.sin_port = htobe16(target->to_port);
	memcpy(&ret->v4.sin_addr, target->to.bytes, sizeof(ret->v4.sin_addr));
	return sizeof(ret->v4);
}

/* --- targets --- */

void splice_target_free(struct target *target)
{
	struct splice *splice = target->splice;
	splice_udp_forget(splice, target);
	loop_source_free(target->source);
	fd_close(&target->fd);
	list_remove(&target->link);
	splice->target_count--;
	free(target);
}

static void on_target(struct loop_source *source, uint32_t events, void *data)
{
	struct target *target = data;
	(void)source;
	if (events & EPOLLHUP) /* withdrawn: a listening or unconnected socket has no other end that could hang up */
		splice_target_free(target);
	else if (target->is.type == SOCK_DGRAM)
		splice_udp_receive(target);
	else
		splice_tcp_accept(target);
}

static struct target *find(struct splice *splice, const struct splice_target *wanted)
{
	struct target *target;
	list_foreach (target, &splice->targets, link) {
		if (target->is.type == wanted->type && target->is.host_port == wanted->host_port &&
			inet_equal(&target->is.host, &wanted->host))
			return target;
	}
	return NULL;
}

/* Takes `fd`. */
static int add(struct splice *splice, const struct splice_target *wanted, int fd)
{
	const int on = 1;
	_autoclose_ int own = fd;
	struct target *target = calloc(1, sizeof(*target));
	if (!target || splice->target_count == SPLICE_TARGETS_MAX) {
		free(target);
		return -ENOMEM;
	}
	*target = (struct target){ .splice = splice, .is = *wanted, .fd = TAKE_FD(own) };
	list_append(&splice->targets, &target->link);
	splice->target_count++;
	int level = wanted->host.is_v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	int option = wanted->host.is_v6 ? IPV6_RECVPKTINFO : IP_PKTINFO;
	int r = 0;
	if (wanted->type == SOCK_DGRAM && setsockopt(target->fd, level, option, &on, sizeof(on)) < 0)
		r = -errno;
	if (r == 0)
		r = loop_add_fd(splice->loop, target->fd, EPOLLIN, on_target, target, &target->source);
	if (r < 0)
		splice_target_free(target);
	return r;
}

/* Those whose sockets have been shut down. */
static void drop_withdrawn(struct splice *splice)
{
	struct target *target, *next;
	list_foreach_safe (target, next, &splice->targets, link) {
		struct pollfd state = { .fd = target->fd };
		if (poll(&state, 1, 0) == 1 && state.revents & POLLHUP)
			splice_target_free(target);
	}
}

static void on_message(struct channel *channel, const char *data, size_t len, int *fds, size_t fd_count, void *user)
{
	struct splice *splice = user;
	if (fd_count == 0) {
		drop_withdrawn(splice);
		channel_send(channel, data, len, NULL, 0);
		return;
	}
	for (size_t i = 0; i < fd_count && (i + 1) * sizeof(struct splice_target) <= len; i++) {
		struct splice_target wanted;
		memcpy(&wanted, data + i * sizeof(wanted), sizeof(wanted));
		struct target *known = find(splice, &wanted);
		int r = 0;
		if (known) {
			known->is = wanted;
			splice_udp_forget(splice, known);
		} else {
			r = add(splice, &wanted, TAKE_FD(fds[i]));
		}
		if (r < 0)
			log_error("port %u can't be served: %s", wanted.host_port, strerrordesc_np(-r));
	}
}

static void on_closed(struct channel *channel, void *user)
{
	struct splice *splice = user;
	(void)channel;
	loop_quit(splice->loop, 0);
}

/* --- the process --- */

static void on_tick(struct loop_source *source, void *data)
{
	struct splice *splice = data;
	int64_t now_ms = clock_monotonic_ms();
	splice_udp_expire(splice, now_ms);
	splice_tcp_resume(splice);
	if (splice->client_count == 0 && splice->session_count == 0 && splice->busy_ms + SPLICE_IDLE_MS <= now_ms)
		loop_quit(splice->loop, 0);
	else
		loop_timer_set(source, now_ms + TICK_MS);
}

static void raise_limit(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int serve(struct splice *splice)
{
	const struct confine confine = {
		.calls = { calls, ARRAY_SIZE(calls), .inet_sockets = true },
		.memory_bytes = MEMORY_BYTES,
	};
	raise_limit();
	int r = loop_new(&splice->loop);
	if (r == 0)
		r = loop_add_timer(splice->loop, clock_monotonic_ms() + TICK_MS, on_tick, splice, &splice->timer);
	if (r == 0)
		r = confine_self(&confine);
	if (r == 0)
		r = channel_new(splice->loop, SPLICE_CHANNEL_FD, on_message, on_closed, splice, &splice->channel);
	if (r < 0) {
		log_error("cannot begin: %s", strerrordesc_np(-r));
		return EXIT_FAILURE;
	}
	return loop_run(splice->loop) < 0 ? EXIT_FAILURE : 0;
}

static void finish(struct splice *splice)
{
	struct target *target, *next;
	list_foreach_safe (target, next, &splice->targets, link)
		splice_target_free(target);
	splice_tcp_finish(splice);
	loop_source_free(splice->timer);
	channel_free(splice->channel);
	loop_free(splice->loop);
}

int splice_main(int argc, char **argv)
{
	(void)argv;
	struct splice *splice = calloc(1, sizeof(*splice));
	log_setup(SPLICE_PROGRAM, LOG_LEVEL_WARN);
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	if (!splice || argc != 1 || fcntl(SPLICE_CHANNEL_FD, F_SETFD, FD_CLOEXEC) < 0) {
		fputs(SPLICE_PROGRAM " is started by tare-monitor alone\n", stderr);
		free(splice);
		return EXIT_USAGE;
	}
	list_init(&splice->targets);
	list_init(&splice->clients);
	list_init(&splice->sessions);
	splice->busy_ms = clock_monotonic_ms();
	int status = serve(splice);
	finish(splice);
	free(splice);
	_exit(status); /* as the resolver: without /proc there is nothing that a sanitizer could do */
}
