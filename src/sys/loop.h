/*
 * The event loop: one epoll instance, timers on the monotonic clock, signals through a signalfd, and deferred calls.
 * Everything runs in the one thread that calls loop_run. A source may free itself or any other source from inside any
 * callback; a freed source's callback is not called again in the same round. A source is freed before its descriptor is
 * closed, and before its loop.
 */
#pragma once

#include <stdint.h>

#include <sys/epoll.h>

#include "base/cleanup.h"

struct loop;
struct loop_source;

typedef void loop_fd_fn(struct loop_source *source, uint32_t events, void *data);
typedef void loop_timer_fn(struct loop_source *source, void *data);
typedef void loop_signal_fn(struct loop_source *source, int signo, void *data);
typedef void loop_defer_fn(void *data);

int loop_new(struct loop **ret);
void loop_free(struct loop *loop);
DEFINE_AUTOFREE(loop, struct loop *, loop_free);

/* Watches `fd`, which stays the caller's. `events` are EPOLLIN | EPOLLOUT | EPOLLRDHUP...; level-triggered. None: it rests. */
int loop_add_fd(struct loop *loop, int fd, uint32_t events, loop_fd_fn *fn, void *data, struct loop_source **ret);
int loop_fd_set_events(struct loop_source *source, uint32_t events);

/* One shot at `deadline_ms` of clock_monotonic_ms(); LOOP_NEVER arms it later. */
#define LOOP_NEVER INT64_MAX
int loop_add_timer(struct loop *loop, int64_t deadline_ms, loop_timer_fn *fn, void *data, struct loop_source **ret);
void loop_timer_set(struct loop_source *source, int64_t deadline_ms);

/* Blocks the signal in the thread and delivers it here; one source per signal, else -EEXIST. Children must restore the
 * mask: sys/spawn.h does. */
int loop_add_signal(struct loop *loop, int signo, loop_signal_fn *fn, void *data, struct loop_source **ret);

/* Calls `fn` once after the events of this round were handled (group commits, freeing oneself). 0 or -ENOMEM. */
int loop_defer(struct loop *loop, loop_defer_fn *fn, void *data);

/* NULL is fine. Never closes the descriptor. */
void loop_source_free(struct loop_source *source);
DEFINE_AUTOFREE(loop_source, struct loop_source *, loop_source_free);

/* Runs until loop_quit; returns its code, or -errno. */
int loop_run(struct loop *loop);
void loop_quit(struct loop *loop, int code);
