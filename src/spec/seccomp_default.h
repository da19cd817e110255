/*
 * The default seccomp profile: Docker's, in the strictest of its current forms, as a table of our own. What is not named is
 * refused with EPERM. Beyond what a container needs day by day:
 *
 *	- calls that undo the isolation or reach kernel code with a history (mount family, bpf, perf_event_open, keyctl,
 *	  userfaultfd, io_uring, unshare, setns) need the capability that they belong to, or are never allowed;
 *	- clone without namespace flags; clone3 fails with ENOSYS, since its flags lie in memory where a filter can't look,
 *	  and libc falls back to clone;
 *	- socket of no family AF_VSOCK (leaves the namespace) or AF_ALG (CVE-2026-31431); socketcall, the 32-bit way, hides
 *	  its arguments in memory and stays open.
 */
#pragma once

#include "spec/seccomp_profile.h"

/* `out` is freed with json_finish and oci_seccomp_table. Returns 0 or -ENOMEM. */
int seccomp_default(const struct seccomp_target *target, struct oci_seccomp *out, struct err **reterr);
