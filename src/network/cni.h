/*
 * Networks that others make: a container is attached to one of driver cni by running the plugins of an administrator's list
 * (ADD, one after the other, each getting what the one before said), and detached by running them again, backwards (DEL).
 *
 * What was asked for and what came of it is in a file of the container's folder on disk, written before the first plugin runs:
 * with it a detachment needs neither the list, which may have changed, nor the container, nor the boot in which it was attached. So what
 * plugins keep on disk (addresses of host-local) is given back whoever died: by the monitor when the container ends, by the one
 * that recovers it, by the next start, or by tare-network before the container is removed and when an engine begins. What can't be
 * detached stays in the file, for the next of them to try.
 *
 * The file is changed by who holds the lock on the folder (flock), so that nobody detaches what another is attaching.
 *
 * All of this waits for foreign programs: a child of the monitor or tare-network does it, no loop.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"
#include "spec/lease.h"

#define CNI_FILE "cni.json"

struct cni_site {
	int folder_fd; /* data-root/containers/ID, locked by this descriptor */
	const char *container_id;
	const char *netns; /* a path; "": it is gone */
	int cancel_fd;     /* readable: attaching is to end; -1 */
};

/* A list of plugins in that file; or, in /etc/cni/net.d, the one of that name: a new path. */
int cni_check_file(const char *path, struct err **reterr);
int cni_find_file(const char *name, char **ret, struct err **reterr);

bool cni_wants(const struct lease_endpoint *endpoints, size_t count);
/* All of driver cni. On failure what was attached is detached. What an earlier run has left is detached first. */
int cni_attach(const struct cni_site *site, const struct lease_endpoint *endpoints, size_t count, struct err **reterr);
/* All that the file has; 0 if there is none. On failure of one the others are detached all the same. */
int cni_detach(const struct cni_site *site, struct err **reterr);
/* Whether the plugins find all as they made it. */
int cni_check(const struct cni_site *site, struct err **reterr);

/* The folder of that ID, locked: a descriptor, -ENOENT, or -EAGAIN if somebody has it and `waits` is false. */
int cni_folder_open(const char *data_root, const char *id, bool waits);
bool cni_is_left(int folder_fd);
/* Addresses and MACs that plugins have chosen, into the endpoints. */
int cni_take(int folder_fd, struct lease_endpoint *endpoints, size_t count, struct err **reterr);
