#include "monitor/network.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "monitor/monitor.h"
#include "monitor/names_files.h"
#include "network/leg.h"
#include "sys/namespaces.h"

static int open_namespace(pid_t pid, struct err **reterr)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
	int fd = namespace_open(path, CLONE_NEWNET);
	return fd < 0 ? err_errno(reterr, fd, "cannot open the container's network namespace") : fd;
}

/* Somewhere else than at home there is nothing that we may do. */
static int check_home(int r)
{
	if (r == -ENOTRECOVERABLE) {
		log_error("lost in the container's network namespace");
		_exit(EXIT_FAILURE);
	}
	return r;
}

/* What the container has from now on. */
static int remember(struct monitor *monitor, const struct launch_network *network, struct err **reterr)
{
	struct launch_network copy;
	if (json_clone(&launch_network_table, network, &copy) < 0)
		return err_oom(reterr);
	json_finish(&launch_network_table, &monitor->legs);
	monitor->legs = copy;
	return 0;
}

int network_make(pid_t pid, void *user, struct err **reterr)
{
	struct monitor *monitor = user;
	const struct launch_network *network = &monitor->launch.network;
	int r = remember(monitor, network, reterr);
	if (r < 0 || network->endpoint_count == 0)
		return r;
	_autoclose_ int netns_fd = open_namespace(pid, reterr);
	if (netns_fd < 0)
		return netns_fd;
	r = check_home(legs_make(network->endpoints, network->endpoint_count, netns_fd, reterr));
	if (r == 0)
		r = check_home(resolve_open(monitor, netns_fd, reterr));
	return r < 0 ? err_wrap(reterr, r, "failed to set up container networking") : 0;
}

int network_change(struct monitor *monitor, struct err **reterr)
{
	const struct launch_network *after = &monitor->launch.network, *before = &monitor->legs;
	int r = monitor_load_launch(monitor, reterr);
	if (r < 0 || monitor->phase != PHASE_RUNNING)
		return r;
	_autoclose_ int netns_fd = open_namespace((pid_t)monitor->state.pid, reterr);
	if (netns_fd < 0)
		return netns_fd;
	r = check_home(legs_change(before->endpoints, before->endpoint_count, after->endpoints, after->endpoint_count,
		netns_fd, reterr));
	if (r < 0)
		return r;
	names_files_change(&monitor->launch, before);
	r = remember(monitor, after, reterr);
	if (r == 0)
		r = check_home(resolve_open(monitor, netns_fd, reterr));
	resolve_renew(monitor);
	return r;
}

void network_forget(struct monitor *monitor)
{
	resolve_close(monitor);
	json_finish(&launch_network_table, &monitor->legs);
}
