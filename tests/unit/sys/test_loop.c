#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/clock.h"
#include "sys/loop.h"

struct pipes {
	struct loop *loop;
	int fds[2][2];
	struct loop_source *source[2];
	int calls;
};

static void free_both(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct pipes *pipes = data;
	assert_true(events & EPOLLIN);
	pipes->calls++;
	for (int i = 0; i < 2; i++)
		loop_source_free(pipes->source[i]);
	loop_quit(pipes->loop, 7);
}

static void freed_source_is_not_called_in_the_same_round(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct pipes pipes = { .loop = loop };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(pipes.fds[i], O_CLOEXEC), 0);
		assert_int_equal(write(pipes.fds[i][1], "x", 1), 1);
		assert_int_equal(loop_add_fd(loop, pipes.fds[i][0], EPOLLIN, free_both, &pipes, &pipes.source[i]), 0);
	}
	assert_int_equal(loop_run(loop), 7);
	assert_int_equal(pipes.calls, 1);
	for (int i = 0; i < 4; i++)
		close(pipes.fds[i / 2][i % 2]);
}

static void rest_other(struct loop_source *source, uint32_t events, void *data)
{
	(void)events;
	struct pipes *pipes = data;
	pipes->calls++;
	loop_fd_set_events(pipes->source[source == pipes->source[0]], 0);
	loop_fd_set_events(source, 0);
	loop_quit(pipes->loop, 0);
}

static void resting_descriptor_reports_nothing_not_even_a_hang_up(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct pipes pipes = { .loop = loop };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pipe2(pipes.fds[i], O_CLOEXEC), 0);
		close(pipes.fds[i][1]);
		assert_int_equal(loop_add_fd(loop, pipes.fds[i][0], EPOLLIN, rest_other, &pipes, &pipes.source[i]), 0);
	}
	loop_run(loop);
	assert_int_equal(pipes.calls, 1);
	assert_int_equal(loop_fd_set_events(pipes.source[0], EPOLLIN), 0);
	loop_run(loop);
	assert_int_equal(pipes.calls, 2);
	for (int i = 0; i < 2; i++) {
		loop_source_free(pipes.source[i]);
		close(pipes.fds[i][0]);
	}
}

struct timers {
	struct loop *loop;
	struct loop_source *source[40];
	int count;
	int order[64];
	int fired;
	int until;
};

static void record_timer(struct loop_source *source, void *data)
{
	struct timers *timers = data;
	for (int i = 0; i < timers->count; i++)
		if (timers->source[i] == source)
			timers->order[timers->fired++] = i;
	if (timers->fired >= timers->until)
		loop_quit(timers->loop, 0);
}

static void timers_fire_by_deadline_then_by_arming(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct timers timers = { .loop = loop, .count = 40, .until = 38 };
	int64_t now = clock_monotonic_ms();
	for (int i = 0; i < 40; i++)
		assert_int_equal(loop_add_timer(loop, now + 5 - (i * 7) % 5, record_timer, &timers, &timers.source[i]),
			0);
	loop_timer_set(timers.source[3], LOOP_NEVER);
	loop_source_free(timers.source[8]);
	timers.source[8] = NULL;
	loop_run(loop);
	assert_int_equal(timers.fired, 38);
	for (int i = 1; i < timers.fired; i++) {
		int a = timers.order[i - 1], b = timers.order[i];
		int deadline_a = 5 - (a * 7) % 5, deadline_b = 5 - (b * 7) % 5;
		assert_true(deadline_a < deadline_b || (deadline_a == deadline_b && a < b));
	}
	for (int i = 0; i < 40; i++)
		loop_source_free(timers.source[i]);
}

static void rearm_now(struct loop_source *source, void *data)
{
	struct timers *timers = data;
	if (++timers->fired < 3)
		loop_timer_set(source, 0);
	else
		loop_source_free(source);
}

static void quit_on_input(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct timers *timers = data;
	timers->order[0] = timers->fired;
	if (timers->fired >= 3)
		loop_quit(timers->loop, 0);
}

static void timer_armed_for_the_past_starves_nobody(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct timers timers = { .loop = loop };
	int fds[2];
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(write(fds[1], "x", 1), 1);
	struct loop_source *input;
	assert_int_equal(loop_add_fd(loop, fds[0], EPOLLIN, quit_on_input, &timers, &input), 0);
	assert_int_equal(loop_add_timer(loop, 0, rearm_now, &timers, &timers.source[0]), 0);
	loop_run(loop);
	assert_int_equal(timers.order[0], 3);
	loop_source_free(input);
	close(fds[0]);
	close(fds[1]);
}

struct due {
	struct loop *loop;
	struct loop_source *source[2];
	int calls;
};

static void free_the_other_due(struct loop_source *source, void *data)
{
	struct due *due = data;
	due->calls++;
	loop_source_free(due->source[source == due->source[0]]);
	loop_quit(due->loop, 0);
}

static void due_timer_can_be_freed_by_another(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct due due = { .loop = loop };
	for (int i = 0; i < 2; i++)
		assert_int_equal(loop_add_timer(loop, 0, free_the_other_due, &due, &due.source[i]), 0);
	loop_run(loop);
	assert_int_equal(due.calls, 1);
	loop_source_free(due.source[0]);
}

struct signals {
	struct loop *loop;
	int seen[2];
};

static void count_signal(struct loop_source *source, int signo, void *data)
{
	(void)source;
	struct signals *signals = data;
	signals->seen[signo == SIGUSR2]++;
	if (signals->seen[0] && signals->seen[1])
		loop_quit(signals->loop, 0);
}

static void signals_arrive_as_calls(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct signals signals = { .loop = loop };
	struct loop_source *one, *two, *again;
	assert_int_equal(loop_add_signal(loop, SIGUSR1, count_signal, &signals, &one), 0);
	assert_int_equal(loop_add_signal(loop, SIGUSR2, count_signal, &signals, &two), 0);
	assert_int_equal(loop_add_signal(loop, SIGUSR2, count_signal, &signals, &again), -EEXIST);
	assert_int_equal(loop_add_signal(loop, 0, count_signal, &signals, &again), -EINVAL);
	raise(SIGUSR1);
	raise(SIGUSR2);
	loop_run(loop);
	assert_int_equal(signals.seen[0], 1);
	assert_int_equal(signals.seen[1], 1);
	loop_source_free(one);
	loop_source_free(two);
}

static void defer_once_more(void *data)
{
	struct timers *timers = data;
	if (++timers->fired == 3)
		loop_quit(timers->loop, 0);
	else
		assert_int_equal(loop_defer(timers->loop, defer_once_more, timers), 0);
}

static void deferred_calls_need_no_event(void **state)
{
	(void)state;
	_autofree_(loop) struct loop *loop = NULL;
	assert_int_equal(loop_new(&loop), 0);
	struct timers timers = { .loop = loop };
	assert_int_equal(loop_defer(loop, defer_once_more, &timers), 0);
	loop_run(loop);
	assert_int_equal(timers.fired, 3);
	/* One that never ran is freed with the loop. */
	assert_int_equal(loop_defer(loop, defer_once_more, &timers), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_source_is_not_called_in_the_same_round),
		cmocka_unit_test(resting_descriptor_reports_nothing_not_even_a_hang_up),
		cmocka_unit_test(timers_fire_by_deadline_then_by_arming),
		cmocka_unit_test(timer_armed_for_the_past_starves_nobody),
		cmocka_unit_test(due_timer_can_be_freed_by_another),
		cmocka_unit_test(signals_arrive_as_calls),
		cmocka_unit_test(deferred_calls_need_no_event),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
