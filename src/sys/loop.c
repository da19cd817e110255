/*
 * One round: wait, hand out the descriptors' events, then the timers that were due when the wait ended, then the deferred
 * calls, then free what was freed meanwhile. A source that is freed inside a round is only taken out of epoll, heap and
 * lists and marked dead; its memory stays until the round ends, because events already fetched still point at it.
 *
 * Timers are a binary heap ordered by (deadline, order of arming), whose memory is reserved when a timer is added, so
 * arming can't fail. All due timers move to a list before the first runs: one that arms itself anew for "now" runs in
 * the next round, and can't starve the descriptors.
 *
 * A descriptor watched for nothing leaves the epoll set: the kernel would report a hang-up on it for ever.
 */
#include "sys/loop.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

#include <sys/signalfd.h>

#include "base/clock.h"
#include "base/list.h"

#define LOOP_EVENTS_PER_ROUND 64
#define LOOP_NOT_IN_HEAP      SIZE_MAX

enum source_kind { SOURCE_FD, SOURCE_TIMER, SOURCE_SIGNAL };

struct loop_source {
	struct loop *loop;
	enum source_kind kind;
	bool dead;
	struct list link; /* due timers: loop->due; dead ones: loop->dead */
	void *data;
	union {
		struct {
			int fd;
			uint32_t events;
			loop_fd_fn *fn;
		} io;
		struct {
			int64_t deadline_ms;
			uint64_t order;
			size_t heap_index;
			loop_timer_fn *fn;
		} timer;
		struct {
			int signo;
			loop_signal_fn *fn;
		} signal;
	};
};

struct deferred {
	struct list link;
	loop_defer_fn *fn;
	void *data;
};

struct loop {
	int epoll_fd;
	bool in_round;
	bool quit;
	int code;

	struct loop_source **heap;
	size_t heap_len;
	size_t heap_cap;
	size_t timer_count;
	uint64_t timer_order;
	struct list due;

	int signal_fd;
	sigset_t signal_mask;
	struct loop_source *signal_reader;
	struct loop_source *signals[NSIG];

	struct list deferred;
	struct list dead;
};

int loop_new(struct loop **ret)
{
	struct loop *loop = calloc(1, sizeof *loop);
	if (!loop)
		return -ENOMEM;
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0) {
		free(loop);
		return -errno;
	}
	loop->signal_fd = -1;
	sigemptyset(&loop->signal_mask);
	list_init(&loop->due);
	list_init(&loop->deferred);
	list_init(&loop->dead);
	*ret = loop;
	return 0;
}

static void loop_bury(struct loop *loop)
{
	struct loop_source *source, *following;
	list_foreach_safe (source, following, &loop->dead, link) {
		list_remove(&source->link);
		free(source);
	}
}

void loop_free(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->in_round);
	loop_source_free(loop->signal_reader);
	loop_bury(loop);
	struct deferred *deferred, *following;
	list_foreach_safe (deferred, following, &loop->deferred, link)
		free(deferred);
	fd_close(&loop->signal_fd);
	fd_close(&loop->epoll_fd);
	free(loop->heap);
	free(loop);
}

static struct loop_source *source_new(struct loop *loop, enum source_kind kind, void *data)
{
	struct loop_source *source = calloc(1, sizeof *source);
	if (!source)
		return NULL;
	source->loop = loop;
	source->kind = kind;
	source->data = data;
	list_init(&source->link);
	return source;
}

/* Descriptors */

static int source_epoll(struct loop_source *source, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = source };
	return epoll_ctl(source->loop->epoll_fd, operation, source->io.fd, &event) < 0 ? -errno : 0;
}

int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *data, struct loop_source **ret)
{
	struct loop_source *source = source_new(loop, SOURCE_FD, data);
	if (!source)
		return -ENOMEM;
	source->io.fd = fd;
	source->io.fn = fn;
	int r = loop_fd_set_events(source, events);
	if (r < 0) {
		free(source);
		return r;
	}
	*ret = source;
	return 0;
}

int loop_fd_set_events(struct loop_source *source, uint32_t events)
{
	assert(source->kind == SOURCE_FD);
	if (source->dead || source->io.events == events)
		return 0;
	int operation = source->io.events == 0 ? EPOLL_CTL_ADD : events == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
	int r = source_epoll(source, operation, events);
	if (r == 0)
		source->io.events = events;
	return r;
}

/* Timers */

static bool timer_before(const struct loop_source *a, const struct loop_source *b)
{
	if (a->timer.deadline_ms != b->timer.deadline_ms)
		return a->timer.deadline_ms < b->timer.deadline_ms;
	return a->timer.order < b->timer.order;
}

static void heap_place(struct loop *loop, size_t index, struct loop_source *source)
{
	loop->heap[index] = source;
	source->timer.heap_index = index;
}

static void heap_rise(struct loop *loop, size_t index, struct loop_source *source)
{
	for (; index > 0 && timer_before(source, loop->heap[(index - 1) / 2]); index = (index - 1) / 2)
		heap_place(loop, index, loop->heap[(index - 1) / 2]);
	heap_place(loop, index, source);
}

static void heap_sink(struct loop *loop, size_t index, struct loop_source *source)
{
	for (;;) {
		size_t child = 2 * index + 1;
		if (child + 1 < loop->heap_len && timer_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (child >= loop->heap_len || !timer_before(loop->heap[child], source))
			break;
		heap_place(loop, index, loop->heap[child]);
		index = child;
	}
	heap_place(loop, index, source);
}

static void heap_insert(struct loop *loop, struct loop_source *source)
{
	assert(loop->heap_len < loop->heap_cap);
	heap_rise(loop, loop->heap_len++, source);
}

static void heap_remove(struct loop *loop, struct loop_source *source)
{
	size_t index = source->timer.heap_index;
	if (index == LOOP_NOT_IN_HEAP)
		return;
	source->timer.heap_index = LOOP_NOT_IN_HEAP;
	struct loop_source *last = loop->heap[--loop->heap_len];
	if (last == source)
		return;
	if (index > 0 && timer_before(last, loop->heap[(index - 1) / 2]))
		heap_rise(loop, index, last);
	else
		heap_sink(loop, index, last);
}

static int heap_reserve(struct loop *loop, size_t want)
{
	if (want <= loop->heap_cap)
		return 0;
	size_t cap = loop->heap_cap ? loop->heap_cap * 2 : 8;
	struct loop_source **heap = reallocarray(loop->heap, cap, sizeof(struct loop_source *));
	if (!heap)
		return -ENOMEM;
	loop->heap = heap;
	loop->heap_cap = cap;
	return 0;
}

int loop_add_timer(struct loop *loop, int64_t deadline_ms, loop_timer_fn *fn, void *data, struct loop_source **ret)
{
	if (heap_reserve(loop, loop->timer_count + 1) < 0)
		return -ENOMEM;
	struct loop_source *source = source_new(loop, SOURCE_TIMER, data);
	if (!source)
		return -ENOMEM;
	loop->timer_count++;
	source->timer.fn = fn;
	source->timer.heap_index = LOOP_NOT_IN_HEAP;
	loop_timer_set(source, deadline_ms);
	*ret = source;
	return 0;
}

void loop_timer_set(struct loop_source *source, int64_t deadline_ms)
{
	assert(source->kind == SOURCE_TIMER);
	if (source->dead)
		return;
	list_remove(&source->link);
	heap_remove(source->loop, source);
	if (deadline_ms == LOOP_NEVER)
		return;
	source->timer.deadline_ms = deadline_ms;
	source->timer.order = source->loop->timer_order++;
	heap_insert(source->loop, source);
}

static void loop_run_timers(struct loop *loop)
{
	if (loop->heap_len == 0)
		return;
	int64_t now_ms = clock_monotonic_ms();
	while (loop->heap_len > 0 && loop->heap[0]->timer.deadline_ms <= now_ms) {
		struct loop_source *source = loop->heap[0];
		heap_remove(loop, source);
		list_append(&loop->due, &source->link);
	}
	while (!list_is_empty(&loop->due)) {
		struct loop_source *source = container_of(loop->due.next, struct loop_source, link);
		list_remove(&source->link);
		source->timer.fn(source, source->data);
	}
}

/* Signals */

static void loop_read_signals(struct loop_source *reader, uint32_t events, void *data)
{
	(void)reader;
	(void)events;
	struct loop *loop = data;
	struct signalfd_siginfo info[8];
	ssize_t n = read(loop->signal_fd, info, sizeof info);
	for (size_t i = 0; n > 0 && i < (size_t)n / sizeof info[0]; i++) {
		int signo = (int)info[i].ssi_signo;
		struct loop_source *source = signo < NSIG ? loop->signals[signo] : NULL;
		if (source)
			source->signal.fn(source, signo, source->data);
	}
}

/* Makes the descriptor when the first signal is added, and tells it the set of signals afterwards. */
static int loop_update_signal_fd(struct loop *loop)
{
	int fd = signalfd(loop->signal_fd, &loop->signal_mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	loop->signal_fd = fd;
	if (loop->signal_reader)
		return 0;
	return loop_add_fd(loop, fd, EPOLLIN, loop_read_signals, loop, &loop->signal_reader);
}

int loop_add_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *data, struct loop_source **ret)
{
	if (signo <= 0 || signo >= NSIG)
		return -EINVAL;
	if (loop->signals[signo])
		return -EEXIST;
	struct loop_source *source = source_new(loop, SOURCE_SIGNAL, data);
	if (!source)
		return -ENOMEM;
	source->signal.signo = signo;
	source->signal.fn = fn;

	sigset_t one;
	sigemptyset(&one);
	sigaddset(&one, signo);
	sigaddset(&loop->signal_mask, signo);
	int r = sigprocmask(SIG_BLOCK, &one, NULL) < 0 ? -errno : loop_update_signal_fd(loop);
	if (r < 0) {
		sigdelset(&loop->signal_mask, signo);
		free(source);
		return r;
	}
	loop->signals[signo] = source;
	*ret = source;
	return 0;
}

/* Deferred calls */

int loop_defer(struct loop *loop, loop_defer_fn *fn, void *data)
{
	struct deferred *deferred = malloc(sizeof *deferred);
	if (!deferred)
		return -ENOMEM;
	deferred->fn = fn;
	deferred->data = data;
	list_append(&loop->deferred, &deferred->link);
	return 0;
}

/* What is deferred meanwhile waits for the next round, which then does not block. */
static void loop_run_deferred(struct loop *loop)
{
	struct list now = LIST_INIT(now);
	if (list_is_empty(&loop->deferred))
		return;
	list_append(&loop->deferred, &now);
	list_remove(&loop->deferred);
	while (!list_is_empty(&now)) {
		struct deferred *deferred = container_of(now.next, struct deferred, link);
		list_remove(&deferred->link);
		deferred->fn(deferred->data);
		free(deferred);
	}
}

/* All kinds */

void loop_source_free(struct loop_source *source)
{
	if (!source || source->dead)
		return;
	struct loop *loop = source->loop;
	switch (source->kind) {
	case SOURCE_FD:
		if (source->io.events)
			source_epoll(source, EPOLL_CTL_DEL, 0);
		break;
	case SOURCE_TIMER:
		list_remove(&source->link);
		heap_remove(loop, source);
		loop->timer_count--;
		break;
	case SOURCE_SIGNAL:
		/* It stays blocked: its default action would be a surprise. */
		loop->signals[source->signal.signo] = NULL;
		sigdelset(&loop->signal_mask, source->signal.signo);
		loop_update_signal_fd(loop);
		break;
	}
	source->dead = true;
	if (loop->in_round)
		list_append(&loop->dead, &source->link);
	else
		free(source);
}

static int loop_timeout_ms(const struct loop *loop)
{
	if (!list_is_empty(&loop->deferred))
		return 0;
	if (loop->heap_len == 0)
		return -1;
	int64_t wait_ms = loop->heap[0]->timer.deadline_ms - clock_monotonic_ms();
	return wait_ms < 0 ? 0 : wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

static void loop_run_fd(const struct epoll_event *event)
{
	struct loop_source *source = event->data.ptr;
	/* A callback earlier in this round may have freed it or lost interest. */
	uint32_t events = event->events & (source->io.events | EPOLLERR | EPOLLHUP);
	if (source->dead || source->io.events == 0 || events == 0)
		return;
	source->io.fn(source, events, source->data);
}

int loop_run(struct loop *loop)
{
	loop->quit = false;
	while (!loop->quit) {
		struct epoll_event events[LOOP_EVENTS_PER_ROUND];
		int n = epoll_wait(loop->epoll_fd, events, LOOP_EVENTS_PER_ROUND, loop_timeout_ms(loop));
		if (n < 0 && errno != EINTR)
			return -errno;
		loop->in_round = true;
		for (int i = 0; i < n; i++)
			loop_run_fd(&events[i]);
		loop_run_timers(loop);
		loop_run_deferred(loop);
		loop->in_round = false;
		loop_bury(loop);
	}
	return loop->code;
}

void loop_quit(struct loop *loop, int code)
{
	loop->code = code;
	loop->quit = true;
}
