/*
 * What a resolver shuts itself into before it reads a byte of a container's: an empty root without the host's files; no
 * capability, and none to be had; few descriptors and little memory; the system calls that it needs, and sockets of no family
 * but the Internet's. It stays in the host's network, which is where its servers are.
 */
#pragma once

#include <stddef.h>

/* Each folder is replaced by one from which there is no way up, and nothing can be written in it. Returns 0 or -errno. */
int dns_confine(int *folder_fds, size_t count);
