/*
 * The process behind a container (spec/serve.h): no child of the host's, so nothing of the host's hears of it but this connection.
 * One request at a time; the lock is held from the request to its answer.
 */
#pragma once

#include <pthread.h>

#include "library/error.h"
#include "spec/serve.h"

struct helper {
	pthread_mutex_t lock;
	int channel;
	int pidfd;
	int news; /* the eventfd */
	char *warnings;
};

/* `options` may be NULL. On failure there is nothing to finish. */
int helper_start(struct helper *helper, const struct tare_options *options, const char *id, struct tare_error *error);
/* Hangs up and waits for its end, which is the container's if the helper has to see to that. */
void helper_finish(struct helper *helper);

struct call {
	enum serve_op op;
	pid_t pid;
	char *const *words; /* of SERVE_COMMAND */
	const int *stdio;   /* three, -1 for none; NULL: none at all. Borrowed */
	const char *document;
	size_t document_size;
};

struct reply {
	struct serve_answer answer;
	int pidfd; /* the receiver's */
	int console;
};

/* `ret` may be NULL: then nothing was made that has descriptors. */
int helper_call(struct helper *helper, const struct call *call, struct reply *ret, struct tare_error *error);
