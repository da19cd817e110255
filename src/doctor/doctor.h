/*
 * What is well and what is not: the kernel, the folders, the host's packet filters, the published ports. Looks and changes nothing, so
 * it serves the engine, and the command line when no engine answers: all it needs is in the folders (launch.json, state.json)
 * and the kernel.
 *
 *	{"Healthy": false,
 *	 "Checks": [{"Section": "kernel", "Status": "ok" | "note" | "mend", "Message": "...", "Remedy": "..."}, ...],
 *	 "Ports": [{"Container": "web", "HostIp": "0.0.0.0", "HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp",
 *	            "Outside": "yes", "Host": "yes", "OtherNetworks": "no: ..."}, ...]}
 *
 * A note is something to know of: what a kernel lacks, and what that costs. Healthy: nothing is to be mended.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"

struct doctor_options {
	const char *data_root;
	const char *exec_root;
};

/* In the host's network namespace. Needs root for most of it, and says so where it is missing. */
int doctor_examine(const struct doctor_options *options, json_t **ret, struct err **reterr);
/* For who knows more: adds a check at the end, or at the beginning. `remedy` may be NULL. `status`: ok, note, mend. */
int doctor_add(json_t *report, bool first, const char *section, const char *status, const char *message,
	const char *remedy);
