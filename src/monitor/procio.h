/*
 * The standard streams of one process in a container, seen from outside: the main process's or an exec's. What the process
 * writes goes to the log (if there is one) and to every tap; what the taps' clients say goes to the process.
 *
 * Nothing is lost and nothing grows: a stream is read only while every tap that wants it is ready, so a client that stops
 * reading stops the process that writes to it, and nobody else's.
 *
 * A terminal that nobody has open any more is not at its end before the process is: systemd, as init, closes /dev/console and
 * opens it again for each message, and gettys hang it up.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "monitor/logwriter.h"
#include "monitor/queue.h"
#include "sys/loop.h"

#define PROCIO_INPUT_MAX (64UL * 1024)
/* What is in the pipes when the process has ended, of each stream: as much as a container can make a pipe hold. */
#define PROCIO_LEFTOVER_MAX (1024UL * 1024)
/* What a tap gets at once, at most. */
#define PROCIO_READ_MAX (256UL * 1024)

struct tap;

struct tap_ops {
	/* Whether it takes another read's worth. */
	bool (*ready)(struct tap *tap);
	void (*output)(struct tap *tap, enum log_stream stream, const char *data, size_t len);
	/* procio_input_room has become more than 0. May be NULL. */
	void (*input_ready)(struct tap *tap);
};

struct tap {
	struct list link;
	const struct tap_ops *ops;
	bool want_stdout, want_stderr;
};

struct procio_stream {
	struct procio *stdio;
	enum log_stream number;
	int fd;
	struct loop_source *source;
	char *buffer;    /* in full flow */
	bool is_hung_up; /* a terminal that nobody has open, now */
};

struct procio {
	struct loop *loop;
	struct list taps;
	struct procio_stream out[2];
	bool is_terminal;
	bool has_ended; /* the process */
	int in_fd;
	struct loop_source *in_source;
	struct queue in;
	bool in_broken; /* the process has closed its end: what comes is dropped */
	bool in_closing;
	struct logwriter *log; /* borrowed; NULL: none */
	/* Both output streams have ended; told from the loop. */
	void (*on_end)(struct procio *stdio, void *user);
	/* Something was written to the log. */
	void (*on_logged)(struct procio *stdio, void *user);
	void *user;
};

void procio_init(struct procio *stdio, struct loop *loop);
/* Closes and forgets the descriptors; the taps stay, for the next run. */
void procio_close(struct procio *stdio);

/* Our ends of the pipes; -1 where there is none. Takes all three, also on failure. */
int procio_open_pipes(struct procio *stdio, int in_fd, int out_fd, int err_fd);
/* The pty's master: output counts as stdout. `with_input`: clients may type. Takes it, also on failure. */
int procio_open_terminal(struct procio *stdio, int master_fd, bool with_input);
/* -1 without a terminal. */
int procio_terminal(const struct procio *stdio);

void procio_add_tap(struct procio *stdio, struct tap *tap);
void procio_remove_tap(struct procio *stdio, struct tap *tap);
/* After a tap has become ready again. */
void procio_update(struct procio *stdio);

bool procio_is_open(const struct procio *stdio);
/* An output stream has not ended yet. */
bool procio_has_output(const struct procio *stdio);
/* From now on what nobody has open has ended. */
void procio_process_ended(struct procio *stdio);
/* The process is dead: reads what is left, ready or not, as far as it is bounded. */
void procio_drain(struct procio *stdio);

size_t procio_input_room(const struct procio *stdio);
void procio_input(struct procio *stdio, const char *data, size_t len);
/* End of file for the process, behind what is queued. On a terminal there is no such thing. */
void procio_input_end(struct procio *stdio);
