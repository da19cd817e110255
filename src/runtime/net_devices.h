/*
 * linux.netDevices: interfaces of the host given to a container. Each is moved into its network namespace under the name it is
 * to have there, keeps its MTU and Ethernet address, gets back the addresses it had (but for link-local ones, which are made
 * anew) and is up. Nothing is moved unless all of them are there. When the namespace ends the kernel hands hardware back to
 * the host, and virtual ones end with it.
 */
#pragma once

#include <sys/types.h>

#include "base/err.h"
#include "spec/oci_runtime.h"

/* Into the network namespace that the document names, or else that of `pid`. */
int net_devices_move(const struct oci_spec *spec, pid_t pid, struct err **reterr);
