/* Names of kernel parameters ("net.ipv4.ip_forward") and their place below /proc/sys. */
#pragma once

#define SYSCTL_PATH_MAX 256

/* "net/ipv4/ip_forward". -EINVAL: not of the grammar. */
int sysctl_path(const char *name, char out[static SYSCTL_PATH_MAX]);
