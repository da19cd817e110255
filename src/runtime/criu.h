/*
 * CRIU as a child that serves one request: `criu swrk 3`, protobuf messages over a socket of whole packets. The request's options
 * are written field by field (the numbers are those of CRIU's rpc.proto), what it says on the way comes to a callback.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

#define CRIU_OPTIONS_MAX (256 * 1024)

enum criu_type { CRIU_DUMP = 1, CRIU_RESTORE = 2, CRIU_PRE_DUMP = 4, CRIU_NOTIFY = 6 };

enum criu_option {
	CRIU_IMAGES_DIR_FD = 1,
	CRIU_PID = 2,
	CRIU_LEAVE_RUNNING = 3,
	CRIU_EXT_UNIX_SK = 4,
	CRIU_TCP_ESTABLISHED = 5,
	CRIU_EVASIVE_DEVICES = 6,
	CRIU_SHELL_JOB = 7,
	CRIU_FILE_LOCKS = 8,
	CRIU_LOG_LEVEL = 9,
	CRIU_LOG_FILE = 10,
	CRIU_PAGE_SERVER = 11, /* address, port */
	CRIU_NOTIFY_SCRIPTS = 12,
	CRIU_ROOT = 13,
	CRIU_PARENT_IMG = 14,
	CRIU_TRACK_MEM = 15,
	CRIU_AUTO_DEDUP = 16,
	CRIU_WORK_DIR_FD = 17,
	CRIU_LINK_REMAP = 18,
	CRIU_EXT_MNT = 23, /* key, value */
	CRIU_MANAGE_CGROUPS = 24,
	CRIU_CG_ROOT = 25, /* controller, path */
	CRIU_RST_SIBLING = 26,
	CRIU_INHERIT_FD = 27, /* key, descriptor */
	CRIU_MANAGE_CGROUPS_MODE = 34,
	CRIU_EXTERNAL = 37,
	CRIU_EMPTY_NS = 38,
	CRIU_JOIN_NS = 39, /* kind, path */
	CRIU_FREEZE_CGROUP = 44,
	CRIU_TCP_SKIP_IN_FLIGHT = 46,
	CRIU_LAZY_PAGES = 48,
	CRIU_ORPHAN_PTS_MASTER = 50,
	CRIU_CONFIG_FILE = 51,
	CRIU_LSM_PROFILE = 53,
	CRIU_LSM_MOUNT_CONTEXT = 63,
};

/* All return 0, -ENOMEM or -EFBIG. */
int criu_put_int(struct buf *options, enum criu_option field, uint64_t value);
int criu_put_text(struct buf *options, enum criu_option field, const char *text); /* NULL: nothing */
int criu_put_pair(struct buf *options, enum criu_option field, const char *first, const char *second);
int criu_put_numbered(struct buf *options, enum criu_option field, const char *first, uint64_t second);

struct criu_message {
	uint64_t type;
	bool success;
	uint64_t error; /* an errno, or 0 */
	char script[64];
	uint64_t pid; /* of a notification */
	int fd;       /* that came with it; the callback's to take, -1 then */
};

/* What is asked to be done before it goes on; -errno ends it. */
typedef int criu_notify_fn(struct criu_message *message, void *user, struct err **reterr);

struct criu {
	pid_t pid;
	int pidfd;
	int socket;
};

/* Starts it: standard descriptors are ours, `fds` are its 4, 5, ... */
int criu_start(struct criu *self, const int *fds, size_t fd_count, struct err **reterr);
int criu_run(struct criu *self, enum criu_type type, const struct buf *options, criu_notify_fn *notify, void *user,
	struct err **reterr);
/* Its end is waited for, and brought about if it is not near. */
void criu_finish(struct criu *self);

/* A message's bytes, which are foreign. -EBADMSG: not one. */
int criu_parse(const void *data, size_t len, struct criu_message *out);
