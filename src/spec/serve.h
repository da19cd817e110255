/*
 * What libtare says to its helper, `tare-runtime --root R serve [--keep] ID`, which makes one container, is its processes' parent, and
 * looks after it for as long as the host lives. SOCK_SEQPACKET, one request, one answer. Both ends are of one machine but not of one
 * version: a program linked with an older library meets a newer runtime. So a struct says its size, grows at its end alone, and what one
 * end does not know is zero.
 *
 * The helper starts with SERVE_CHANNEL_FD connected, SERVE_HOST_FD a pidfd of the host and SERVE_NEWS_FD an eventfd that the host polls.
 */
#pragma once

#include <stdint.h>

#define SERVE_CHANNEL_FD 3
#define SERVE_HOST_FD    4
#define SERVE_NEWS_FD    5
#define SERVE_DOCUMENT_FD \
 6 /* /dev/null, or the document of the request at hand: a command line names it by this path */
#define SERVE_DOCUMENT "/proc/self/fd/6"

#define SERVE_TEXT_MAX 8192 /* of an answer: a sentence, or warnings */

enum serve_op {
	SERVE_COMMAND =
		1, /* a command line of tare-runtime's follows, each word with its NUL: create, start, exec, kill, ... */
	SERVE_OPEN, /* a container that is there: its first process */
	SERVE_STATUS,
	SERVE_STATS,
	SERVE_EXIT,   /* how `pid` ended: asked once it has */
	SERVE_FORGET, /* nobody will ask how `pid` ended */
};

/* Attached descriptors, a bit each, in this order. */
enum serve_fds {
	SERVE_STDIN = 1 << 0,
	SERVE_STDOUT = 1 << 1,
	SERVE_STDERR = 1 << 2,
	SERVE_DOCUMENT_FILE = 1 << 3, /* for what names SERVE_DOCUMENT */
	/* of an answer */
	SERVE_PIDFD = 1 << 0,
	SERVE_CONSOLE = 1 << 1,
};

struct serve_request {
	uint32_t size;
	uint32_t op;
	uint32_t fds;
	int32_t pid;
};

struct serve_stats {
	uint64_t cpu_ns, cpu_user_ns, cpu_kernel_ns;
	uint64_t throttled_periods, throttled_ns;
	uint64_t memory_bytes, memory_peak_bytes, memory_limit_bytes;
	uint64_t pids, pids_limit;
	uint64_t io_read_bytes, io_write_bytes;
	uint64_t io_reads, io_writes;
	uint64_t oom_kills;
};

/* Two strings follow, each with its NUL: the error's sentence, and warnings, a line each. */
struct serve_answer {
	uint32_t size;
	int32_t kind; /* base/err.h's; -1: done */
	int32_t errnum;
	uint32_t fds;
	int32_t pid;
	int32_t state;       /* as tare.h counts: created, running, paused, stopped */
	int32_t wait_status; /* as waitpid has it */
	int32_t reserved;
	struct serve_stats stats;
};
