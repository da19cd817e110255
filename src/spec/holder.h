/*
 * What the engine and tared say to each other, on the engine's descriptor 3. It is not JSON, because tared has no parser
 * and shall not need one: a fixed header, then NUL-terminated strings, all in one packet with at most CHANNEL_FDS_MAX
 * descriptors. Both sides use this file; it needs libc alone.
 *
 *	SPAWN   engine -> tared   run the program of `kind` with argv; the packet's descriptors become 3, 4, ... of it.
 *	                          `id` names the child in EXITED (for a monitor: the container's ID)
 *	EXITED  tared -> engine   once per child: its wait status; or pid 0 and a negative errno if it could not be started.
 *	                          Those that end while no engine runs are kept, and told to the next
 *
 * A monitor that dies by itself is started again by tared, which tells nobody: it is the same monitor to everyone.
 *
 * Version 1 of the header is for ever, since tared outlives every engine: a newer engine asks only for what this says, and
 * either side ignores packets whose type it does not know (-EPROTONOSUPPORT).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HOLDER_MESSAGE_MAX (16 * 1024)
#define HOLDER_ARGV_MAX    64
#define HOLDER_ID_MAX      128 /* without the NUL */

/* Status of an engine that can't serve its root and never will, such as one that another engine holds. tared ends too. */
#define HOLDER_EXIT_CANNOT_START 78

enum holder_type {
	HOLDER_SPAWN = 1,
	HOLDER_EXITED = 2,
};

/* Which file is executed follows from the kind alone, never from argv[0]. */
enum holder_kind {
	HOLDER_ENGINE = 1,
	HOLDER_MONITOR = 2,
	HOLDER_WORKER = 3,
	HOLDER_TRANSFER = 4, /* a worker that talks to registries */
	HOLDER_NETWORK = 5,  /* one that makes bridges and rules */
};

struct holder_message {
	enum holder_type type;
	enum holder_kind kind;
	int32_t pid;    /* EXITED */
	int32_t status; /* EXITED: as waitpid gives it, or a negative errno with pid 0 */
	const char *id; /* [a-zA-Z0-9_.-]+ */
	size_t argc;
	const char *argv[HOLDER_ARGV_MAX + 1]; /* SPAWN: at least argv[0]; NULL-terminated */
};

/* Returns the length, -EINVAL for a message that breaks the rules above, or -EMSGSIZE when it does not fit. */
int holder_message_encode(const struct holder_message *message, char *out, size_t size);

/* The strings point into `data`. Returns 0, -EBADMSG, or -EPROTONOSUPPORT for a type or kind that this side does not
 * know. */
int holder_message_decode(const char *data, size_t len, struct holder_message *out);
