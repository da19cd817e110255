/*
 * Which devices a cgroup's members may make and open. v1 keeps a list in files (devices.allow, devices.deny); v2 asks an eBPF
 * program, which is made here from the same rules: the last rule that speaks about an access decides, and what none speaks
 * about is denied.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DEVICE_RULES_MAX 512
#define DEVICE_ANY       (-1)

enum { DEVICE_MKNOD = 1, DEVICE_READ = 2, DEVICE_WRITE = 4, DEVICE_ALL = 7 };

struct device_rule {
	bool allow;
	char type;     /* 'a', 'b', 'c' */
	int64_t major; /* or DEVICE_ANY */
	int64_t minor;
	unsigned access;
};

/* Replaces the group's program. `cgroup_fd` is the v2 folder. -E2BIG past DEVICE_RULES_MAX. */
int device_filter_attach(int cgroup_fd, const struct device_rule *rules, size_t count);

/* Answers as the program would: for tests, and to explain. */
bool device_filter_decide(const struct device_rule *rules, size_t count, char type, int64_t major, int64_t minor,
	unsigned access);
