/*
 * What a process between clone and exec says to its creator, over a SOCK_SEQPACKET pair: fixed messages, no allocation. The
 * creator turns a failure into an error object.
 *
 *	child                                   creator
 *	(joiner: REPORT_SPAWNED + pidfd    ->   REPORT_GO       its creator knows the child)
 *	                                  <-    REPORT_GO       id maps are written, and the hooks' state
 *	REPORT_WARN       degradation      ->
 *	REPORT_CONSOLE    + pty master     ->
 *	REPORT_OWNERS     + tree           ->   maps who owns what in it, then REPORT_GO
 *	REPORT_HOOKS      mounts are there ->   runs prestart and createRuntime, then REPORT_GO
 *	REPORT_READY      waits            ->
 *	                                  <-    REPORT_START
 *	REPORT_FAILED     and exits, or end of file by execve
 */
#pragma once

#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"

enum report_type {
	REPORT_GO = 1,
	REPORT_START,
	REPORT_WARN,
	REPORT_CONSOLE,
	REPORT_HOOKS,
	REPORT_READY,
	REPORT_FAILED,
	REPORT_LISTENER, /* the filter's listener: its number in `errnum`; by write alone, and answered by GO */
	REPORT_OWNERS,   /* the tree of the mount number `errnum`, to be idmapped: attached, and answered by GO */
	REPORT_SPAWNED,  /* a joiner's child: pid in `errnum`, its pidfd attached */
};

/* What was being done; report_sentence has the words. */
enum report_stage {
	STAGE_JOIN_CGROUP,
	STAGE_JOIN_NAMESPACE,
	STAGE_CLONE,
	STAGE_CGROUP_NAMESPACE,
	STAGE_BECOME_ROOT,
	STAGE_SYNC,
	STAGE_PRIVATE_MOUNTS,
	STAGE_ROOTFS,
	STAGE_MOUNT,
	STAGE_MOUNT_FORBIDDEN,
	STAGE_DEVICE,
	STAGE_DEV_FOLDER,
	STAGE_CONSOLE,
	STAGE_MASK,
	STAGE_READONLY_PATH,
	STAGE_HOOK,
	STAGE_PIVOT,
	STAGE_LOOPBACK,
	STAGE_HOSTNAME,
	STAGE_SYSCTL,
	STAGE_OOM_SCORE,
	STAGE_RLIMIT,
	STAGE_KEYRING,
	STAGE_USER,
	STAGE_CAPABILITIES,
	STAGE_NO_NEW_PRIVILEGES,
	STAGE_LABEL,
	STAGE_NO_PROFILE,
	STAGE_SECCOMP,
	STAGE_CWD,
	STAGE_CWD_OUTSIDE,
	STAGE_STDIO,
	STAGE_COMMAND,
	STAGE_EXEC,
	STAGE_INIT_PROGRAM,
	STAGE_SCHEDULER,
	STAGE_IO_PRIORITY,
	STAGE_CPUS,
	STAGE_MEMORY_POLICY,
	STAGE_PERSONALITY,
	STAGE_TIME,
};

#define REPORT_DETAIL_MAX 512

struct report {
	uint32_t type;
	uint32_t stage;
	int32_t errnum; /* positive */
	char detail[REPORT_DETAIL_MAX];
};

/* Of who has a seccomp filter already: by write and read. 1, 0 at end of file, -errno. */
int report_write(int sync, const struct report *report);
int report_read(int sync, struct report *report);
/* Sends; the child has nobody to tell if it fails. `fd` -1: none. */
int report_send(int sync, const struct report *report, int fd);
/* Blocks for the next one. 1, 0 at end of file, -errno. *ret_fd gets the descriptor it carried, or -1; may be NULL. */
int report_receive(int sync, struct report *report, int *ret_fd);

/* The sentence for REPORT_FAILED; returns -errnum. */
int report_to_err(const struct report *report, struct err **reterr);
