/*
 * Settings of single interfaces, net/FAMILY/conf/INTERFACE/NAME, in the caller's network namespace: below /proc/sys/net the
 * kernel looks for the namespace of whoever opens. Return 0 or -errno; -ENOENT where the kernel has no such setting.
 */
#pragma once

/* `family`: ipv4, ipv6. */
int sysctls_set(const char *family, const char *interface, const char *name, const char *value);
/* Of the whole namespace: "ipv4/ip_forward". */
int sysctls_set_all(const char *path, const char *value);
/* Reads a number; -errno. */
int sysctls_get(const char *family, const char *interface, const char *name);
/* "net.ipv4.conf.IFNAME.x" of a container's options, IFNAME (or "ifname": docker's command writes such options in small letters)
 * being the interface. -EINVAL if it is nothing of an interface's. */
int sysctls_check_option(const char *key);
int sysctls_set_option(const char *key, const char *interface, const char *value);
