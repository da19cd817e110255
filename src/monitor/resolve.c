#include "monitor/resolve.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/strv.h"
#include "monitor/egress.h"
#include "monitor/monitor.h"
#include "network/dns_resolver.h"
#include "network/dns_server.h"
#include "network/dns_tell.h"
#include "network/resolv_conf.h"
#include "sys/namespaces.h"
#include "sys/spawn.h"

#define YOUNG_MS     1000 /* who ends so soon, or badly, is braked */
#define BRAKE_MIN_MS 50
#define BRAKE_MAX_MS 5000

void resolve_init(struct resolve *resolve)
{
	*resolve = (struct resolve){ .door = DNS_DOOR_CLOSED, .leash_fd = -1 };
}

static const struct launch_network *networks_of(const struct monitor *monitor)
{
	return &monitor->legs;
}

/* --- what it is told --- */

/* The folder is the engine's; whoever comes first makes it. Its names come when the engine has any. */
static int open_folder(const struct monitor *monitor, const char *network_id)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_free_ char *path = NULL;

	if (asprintf(&root, "%s/networks", monitor->options.exec_root) < 0 ||
		asprintf(&path, "%s/%s", root, network_id) < 0)
		return -ENOMEM;
	if ((mkdir(root, 0700) < 0 && errno != EEXIST) || (mkdir(path, 0700) < 0 && errno != EEXIST))
		return -errno;
	int fd = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

struct told {
	char **argv;
	int fds[RESOLVER_FIRST_FOLDER - RESOLVER_LEASH_FD + DNS_NETWORKS_MAX];
	size_t fd_count;
	size_t borrowed; /* of them, at the beginning */
};

static void told_finish(struct told *told)
{
	strv_free(told->argv);
	for (size_t i = told->borrowed; i < told->fd_count; i++)
		fd_close(&told->fds[i]);
}

/* `number`: of the network among those that are told. */
static int tell_links(const struct lease_endpoint *endpoint, size_t number, struct told *told)
{
	int r = 0;

	strv_foreach (link, endpoint->links)
		r = r ?: strv_append(&told->argv, "--link") ?: strv_appendf(&told->argv, "%zu:%s", number, *link);
	return r;
}

/* Only networks with names of their own; whether one of all leads out is another matter. */
static int tell_networks(const struct monitor *monitor, struct told *told)
{
	const struct launch_network *network = networks_of(monitor);
	bool leads_out = false;

	for (size_t i = 0; i < network->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &network->endpoints[i];
		leads_out |= !endpoint->internal;
		if (!endpoint->resolves || told->fd_count == ARRAY_SIZE(told->fds))
			continue;
		int fd = open_folder(monitor, endpoint->network_id);
		if (fd < 0)
			return fd;
		told->fds[told->fd_count++] = fd;
		int r = tell_links(endpoint, told->fd_count - told->borrowed - 1, told);
		if (r < 0)
			return r;
	}
	return leads_out ? 0 : strv_append(&told->argv, "--no-forward");
}

static int tell_servers(const struct monitor *monitor, struct told *told)
{
	const struct launch_names *names = &monitor->launch.names;
	struct resolv_conf conf;
	int r = resolv_conf_read_host(&conf);

	if (r < 0)
		return r;
	r = resolv_conf_override(&conf, names->dns, names->dns_search, names->dns_options);
	strv_foreach (server, conf.servers)
		r = r ?: strv_append(&told->argv, "--server") ?: strv_append(&told->argv, *server);
	if (r == 0 && resolv_conf_has_ndots(&conf))
		r = strv_append(&told->argv, "--ndots");
	resolv_conf_finish(&conf);
	return r;
}

static int tell_policy(const struct monitor *monitor, struct told *told)
{
	const struct egress *policy = &monitor->held.policy;
	int r = 0;

	for (size_t i = 0; r == 0 && i < policy->count; i++)
		if (policy->rules[i].name[0])
			r = strv_append(&told->argv, "--tell") ?: strv_append(&told->argv, policy->rules[i].name);
	return r;
}

static int tell_all(const struct monitor *monitor, int leash_fd, struct told *told)
{
	const struct resolve *resolve = &monitor->resolve;
	int r = strv_append(&told->argv, RESOLVER_PROGRAM);

	told->fds[told->fd_count++] = leash_fd;
	told->fds[told->fd_count++] = resolve->door.udp_fd;
	told->fds[told->fd_count++] = resolve->door.tcp_fd;
	told->borrowed = told->fd_count;
	return r ?: tell_networks(monitor, told) ?: tell_policy(monitor, told) ?: tell_servers(monitor, told);
}

/* --- what it tells --- */

static void on_told(struct loop_source *source, uint32_t events, void *data)
{
	(void)events;
	struct monitor *monitor = data;
	struct dns_told told;
	int r = dns_told_receive(monitor->resolve.leash_fd, &told);

	if (r == 0)
		dns_told_confirm(monitor->resolve.leash_fd, &told, egress_open(monitor, &told) == 0);
	else if (r != -EAGAIN) /* it has ended, or is not itself any more: who it is kept from is not answered */
		loop_fd_set_events(source, 0);
}

static void let_go(struct resolve *resolve)
{
	loop_source_free(resolve->leash);
	resolve->leash = NULL;
	fd_close(&resolve->leash_fd);
}

/* --- the process --- */

static int spawn(struct monitor *monitor)
{
	struct resolve *resolve = &monitor->resolve;
	_cleanup_(told_finish) struct told told = { 0 };
	_cleanup_free_ char *path = NULL;
	int leash[2];

	if (asprintf(&path, "%s/" RESOLVER_PROGRAM, monitor->options.program_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, leash) < 0)
		return -errno;
	int r = tell_all(monitor, leash[0], &told);
	if (r == 0)
		r = spawn_program(
			&(struct spawn){
				.program_fd = -1,
				.path = path,
				.argv = told.argv,
				.stdio = { -1, -1, 2 },
				.fds = told.fds,
				.fd_count = told.fd_count,
			},
			&resolve->pid, NULL);
	close(leash[0]);
	resolve->leash_fd = leash[1];
	if (r == 0)
		r = loop_add_fd(monitor->loop, resolve->leash_fd, EPOLLIN, on_told, monitor, &resolve->leash);
	if (r < 0)
		let_go(resolve);
	return r;
}

static void unwatch(struct resolve *resolve)
{
	loop_source_free(resolve->udp);
	loop_source_free(resolve->tcp);
	loop_source_free(resolve->timer);
	resolve->udp = resolve->tcp = resolve->timer = NULL;
}

static void brake(struct monitor *monitor);

static void on_query(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct monitor *monitor = data;
	struct resolve *resolve = &monitor->resolve;

	unwatch(resolve);
	resolve->started_ms = clock_monotonic_ms();
	resolve->is_stale = false;
	int r = spawn(monitor);
	if (r < 0) {
		resolve->pid = 0;
		log_error("cannot start the container's resolver: %s", strerrordesc_np(-r));
		brake(monitor);
	}
}

static void watch(struct monitor *monitor)
{
	struct resolve *resolve = &monitor->resolve;
	int r = loop_add_fd(monitor->loop, resolve->door.udp_fd, EPOLLIN, on_query, monitor, &resolve->udp);

	if (r == 0)
		r = loop_add_fd(monitor->loop, resolve->door.tcp_fd, EPOLLIN, on_query, monitor, &resolve->tcp);
	if (r < 0)
		log_error("cannot watch the container's resolver: %s", strerrordesc_np(-r));
}

static void on_brake_end(struct loop_source *source, void *data)
{
	(void)source;
	struct monitor *monitor = data;

	unwatch(&monitor->resolve);
	watch(monitor);
}

static void brake(struct monitor *monitor)
{
	struct resolve *resolve = &monitor->resolve;

	resolve->brake_ms = resolve->brake_ms ? resolve->brake_ms * 2 : BRAKE_MIN_MS;
	if (resolve->brake_ms > BRAKE_MAX_MS)
		resolve->brake_ms = BRAKE_MAX_MS;
	if (loop_add_timer(monitor->loop, clock_monotonic_ms() + resolve->brake_ms, on_brake_end, monitor,
		    &resolve->timer) < 0)
		log_error("out of memory: the container's resolver is not started again");
}

bool resolve_reaped(struct monitor *monitor, pid_t pid, int exit_code)
{
	struct resolve *resolve = &monitor->resolve;

	if (pid != resolve->pid)
		return false;
	resolve->pid = 0;
	let_go(resolve);
	if (resolve->door.udp_fd < 0)
		return true;
	if (exit_code == 0 || resolve->is_stale || clock_monotonic_ms() - resolve->started_ms >= YOUNG_MS) {
		resolve->brake_ms = 0;
		watch(monitor);
	} else
		brake(monitor);
	return true;
}

static void end_process(struct resolve *resolve)
{
	resolve->is_stale = true;
	let_go(resolve);
	/* It is not reaped before we have heard of its end: the number is still its own. */
	if (resolve->pid > 0)
		kill(resolve->pid, SIGKILL);
}

void resolve_renew(struct monitor *monitor)
{
	end_process(&monitor->resolve);
}

/* --- the sockets --- */

static int open_door(void *user)
{
	return dns_door_open(user);
}

int resolve_open(struct monitor *monitor, int netns_fd, struct err **reterr)
{
	struct resolve *resolve = &monitor->resolve;

	if (resolve->door.udp_fd >= 0 || !launch_network_resolves(networks_of(monitor)))
		return 0;
	int r = namespace_visit_network(netns_fd, open_door, &resolve->door);
	if (r < 0)
		return err_errno(reterr, r, "cannot open the container's resolver at " DNS_DOOR_ADDRESS);
	watch(monitor);
	return 0;
}

void resolve_close(struct monitor *monitor)
{
	struct resolve *resolve = &monitor->resolve;

	unwatch(resolve);
	end_process(resolve);
	resolve->pid = 0; /* whoever it was, it is not to be followed by another */
	dns_door_close(&resolve->door);
}
