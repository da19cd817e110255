/* What the parts of one job share. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "codec/reference.h"
#include "store/job.h"
#include "worker/client.h"

/* Descriptors that a hand-over brings besides the client's. */
#define TASK_LENT 2

typedef void task_event_fn(const char *type, const char *image, const char *name, void *data);

struct task {
	struct job *job;
	struct client *client;
	int empty_fd;         /* an empty folder of the job's */
	int *lent;            /* TASK_LENT that came with the client; -1: nothing */
	bool quiet;           /* no progress */
	bool leaves;          /* something is left that the engine has to sweep */
	task_event_fn *event; /* tells the engine what was done */
	void *event_data;
	const char *data_root;
};

/* A folder of the job's: makes and opens it. Returns a descriptor or -errno. */
int task_folder(struct task *task, const char *name, mode_t mode);
/* A file of the job's without a name, filled with the client's body; read-only, from its beginning. */
int task_spool(struct task *task, int *ret_fd, int *ret_link_fd, struct err **reterr);
/* For registry_options: whether the client of the task `user` is gone. */
bool task_is_cancelled(void *user);
/* Closes what was lent: whoever waits for that goes on. */
void task_give_back(struct task *task);
/* What names an image in a registry; without a tag it gets the default one. ERR_INVALID says what is wrong. */
int task_reference(const char *name, struct reference *ret, struct err **reterr);
/* Docker's message {"stream": text}. */
void task_say(struct task *task, const char *format, ...) printf_like(2, 3);
