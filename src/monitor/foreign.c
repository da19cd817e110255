#include "monitor/foreign.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/close_range.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/log.h"
#include "monitor/monitor.h"
#include "monitor/names_files.h"
#include "network/cni.h"
#include "network/leg.h"
#include "spec/messages.h"
#include "sys/channel.h"
#include "sys/namespaces.h"

#define ANSWER_FD  3 /* of the attaching child */
#define NETNS_FD   3 /* of the others; closed: it is gone */
#define FOLDER_FD  4 /* locked */
#define NETNS_SIZE 64

bool foreign_is_wanted(const struct monitor *monitor)
{
	return cni_wants(monitor->launch.network.endpoints, monitor->launch.network.endpoint_count);
}

static void print_netns(int fd, char out[NETNS_SIZE])
{
	snprintf(out, NETNS_SIZE, "/proc/%d/fd/%d", (int)getpid(), fd);
}

/* --- attaching: the child --- */

static int watch_cancel(struct err **reterr)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	int fd = sigprocmask(SIG_BLOCK, &signals, NULL) < 0 ? -1 : signalfd(-1, &signals, SFD_CLOEXEC);
	return fd < 0 ? err_errno(reterr, -errno, "cannot watch signals") : fd;
}

static int attach_in(const struct monitor *monitor, int netns_fd, int cancel_fd, struct err **reterr)
{
	char netns[NETNS_SIZE];
	_autoclose_ int folder = cni_folder_open(monitor->options.data_root, monitor->options.id, true);
	if (folder < 0)
		return err_errno(reterr, folder, "cannot open the container's folder");
	print_netns(netns_fd, netns);
	const struct cni_site site = {
		.folder_fd = folder, .container_id = monitor->options.id, .netns = netns, .cancel_fd = cancel_fd
	};
	return cni_attach(&site, monitor->legs.endpoints, monitor->legs.endpoint_count, reterr);
}

static void answer(const struct err *err, int netns_fd)
{
	_autojson_ json_t *body = err ? message_error(1, err) : message_done(1);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	if (message_pack(body, NULL, 0, &text) == 0)
		message_send(ANSWER_FD, text.data, text.len, &netns_fd, err ? 0 : 1);
}

/* Nothing of the monitor's is kept: least of all the lock that says that it lives. */
static int attach_main(const struct monitor *monitor, pid_t parent, int answer_fd)
{
	_autofree_(err) struct err *err = NULL;
	if (dup2(answer_fd, ANSWER_FD) < 0 || close_range(ANSWER_FD + 1, ~0U, 0) < 0 ||
		prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		return EXIT_FAILURE;
	fcntl(ANSWER_FD, F_SETFD, FD_CLOEXEC);
	_autoclose_ int cancel = watch_cancel(&err), netns = cancel < 0 ? -1 : namespace_new_network();
	if (cancel >= 0 && netns < 0)
		err_errno(&err, netns, "cannot make the container's network namespace");
	if (netns < 0 || getppid() != parent || attach_in(monitor, netns, cancel, &err) < 0) {
		answer(err, -1);
		return EXIT_FAILURE;
	}
	answer(NULL, netns);
	return EXIT_SUCCESS;
}

/* --- attaching: the monitor --- */

pid_t foreign_begin(struct monitor *monitor, int *ret_fd, struct err **reterr)
{
	int ends[2];
	int r = channel_pair(ends);
	if (r < 0)
		return err_errno(reterr, r, "cannot start a child for the container's networks");
	pid_t parent = getpid(), pid = fork();
	if (pid == 0)
		_exit(attach_main(monitor, parent, ends[1]));
	r = pid < 0 ? -errno : 0;
	fd_close(&ends[1]);
	if (r == 0) {
		*ret_fd = ends[0];
		return pid;
	}
	fd_close(&ends[0]);
	return err_errno(reterr, r, "cannot start a child for the container's networks");
}

void foreign_cancel(pid_t pid)
{
	kill(pid, SIGTERM);
}

static int receive(int fd, int *ret_netns, struct err **reterr)
{
	_cleanup_free_ char *data = malloc(CHANNEL_MESSAGE_MAX);
	struct message message;
	int fds[CHANNEL_FDS_MAX];
	size_t count = 0;
	ssize_t len = data ? message_receive(fd, data, CHANNEL_MESSAGE_MAX, fds, &count) : -ENOMEM;
	if (len <= 0)
		return err_set(reterr, ERR_INTERNAL, 0,
			"the child that attaches the container to its networks was lost");
	*ret_netns = count > 0 ? TAKE_FD(fds[0]) : -1;
	for (size_t i = 1; i < count; i++)
		fd_close(&fds[i]);
	int r = message_parse(data, (size_t)len, &message, reterr);
	if (r < 0)
		return r;
	r = message_outcome(&message, reterr);
	message_finish(&message);
	return r;
}

static int take(const struct monitor *monitor, struct launch_network *network, struct err **reterr)
{
	_autoclose_ int folder = open(monitor->launch.rootfs.container_dir,
		O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (folder < 0)
		return err_errno(reterr, -errno, "cannot open the container's folder");
	return cni_take(folder, network->endpoints, network->endpoint_count, reterr);
}

/* state.json says it when it is written next. */
static int tell_places(struct monitor *monitor)
{
	runstate_set_places(&monitor->state, NULL, 0);
	struct run_place *places = calloc(monitor->legs.endpoint_count, sizeof(*places));
	size_t count = 0;
	int r = places ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < monitor->legs.endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &monitor->legs.endpoints[i];
		if (!lease_is_cni(endpoint))
			continue;
		const struct run_place place = { .network_id = endpoint->network_id,
			.mac = endpoint->mac,
			.ipv4 = endpoint->ipv4,
			.ipv6 = endpoint->ipv6 };
		r = json_clone(&run_place_table, &place, &places[count]);
		count += r == 0;
	}
	runstate_set_places(&monitor->state, places, count);
	return r;
}

/* In the container's hosts file, too. */
static int take_addresses(struct monitor *monitor, struct err **reterr)
{
	int r = take(monitor, &monitor->launch.network, reterr);
	if (r < 0)
		return r;
	names_files_change(&monitor->launch, &monitor->legs);
	r = take(monitor, &monitor->legs, reterr);
	if (r == 0 && tell_places(monitor) < 0)
		r = err_oom(reterr);
	return r;
}

int foreign_outcome(struct monitor *monitor, int fd, struct err **reterr)
{
	_autoclose_ int netns = -1;
	int r = receive(fd, &netns, reterr);
	if (r == 0 && netns < 0)
		r = err_set(reterr, ERR_INTERNAL, 0, "the container's network namespace did not come");
	if (r < 0)
		return err_wrap(reterr, r, "failed to set up container networking");
	fd_close(&monitor->foreign_fd);
	monitor->foreign_fd = TAKE_FD(netns);
	monitor->is_foreign = true;
	return take_addresses(monitor, reterr);
}

/* --- a running container's --- */

static bool has_same_ports(const struct lease_endpoint *a, const struct lease_endpoint *b)
{
	bool same = a->port_count == b->port_count;
	for (size_t i = 0; same && i < a->port_count; i++) {
		const struct lease_port *x = &a->ports[i], *y = &b->ports[i];
		same = strcmp(x->proto, y->proto) == 0 && strcmp(x->host_ip, y->host_ip) == 0 &&
		       (y->host_port == 0 || y->choices > 1 || x->host_port == y->host_port) &&
		       x->container_port == y->container_port && x->count == y->count;
	}
	return same;
}

static size_t count_foreign(const struct launch_network *network)
{
	size_t count = 0;
	for (size_t i = 0; i < network->endpoint_count; i++)
		count += lease_is_cni(&network->endpoints[i]);
	return count;
}

int foreign_keep(const struct monitor *monitor, struct launch_network *after, struct err **reterr)
{
	const struct launch_network *before = &monitor->legs;
	bool is_same = count_foreign(before) == count_foreign(after);
	for (size_t i = 0; i < after->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &after->endpoints[i];
		const struct lease_endpoint *had = legs_find(before->endpoints, before->endpoint_count,
			endpoint->endpoint_id);
		if (lease_is_cni(endpoint))
			is_same = is_same && had && has_same_ports(had, endpoint);
	}
	if (!is_same)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"what CNI plugins have made for a container can't change while it runs: stop it first");
	return monitor->is_foreign ? take(monitor, after, reterr) : 0;
}

/* --- what nobody waits for --- */

typedef int aside_fn(const struct cni_site *site, struct err **reterr);

static int aside_main(const struct monitor *monitor, int netns_fd, int folder_fd, aside_fn *fn, const char *what)
{
	_autofree_(err) struct err *err = NULL;
	char netns[NETNS_SIZE] = "";
	/* Both are lifted first: each may be where the other belongs. */
	int folder = fcntl(folder_fd, F_DUPFD, FOLDER_FD + 1);
	int kept = netns_fd < 0 ? -1 : fcntl(netns_fd, F_DUPFD, FOLDER_FD + 1);
	if (dup2(folder, FOLDER_FD) < 0 || (kept >= 0 && dup2(kept, NETNS_FD) < 0) ||
		close_range(FOLDER_FD + 1, ~0U, 0) < 0)
		return EXIT_FAILURE;
	if (kept < 0)
		close(NETNS_FD);
	else
		print_netns(NETNS_FD, netns);
	const struct cni_site site = {
		.folder_fd = FOLDER_FD, .container_id = monitor->options.id, .netns = netns, .cancel_fd = -1
	};
	int r = fn(&site, &err);
	if (r < 0)
		log_error("%s: %s", what, err_message(err));
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* The lock is taken here and goes to the child: whoever comes later waits. If somebody has it, he is at the same work. */
static pid_t do_aside(const struct monitor *monitor, int netns_fd, aside_fn *fn, const char *what)
{
	_autoclose_ int folder = cni_folder_open(monitor->options.data_root, monitor->options.id, false);
	if (folder < 0 || !cni_is_left(folder))
		return 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(aside_main(monitor, netns_fd, folder, fn, what));
	if (pid < 0)
		log_error("%s: %m", what);
	return pid < 0 ? 0 : pid;
}

/* It has the lock, and what it would say is of no use any more. A child's number is its own until it is reaped. */
static void end_check(struct monitor *monitor)
{
	siginfo_t info;
	pid_t pid = monitor->foreign_checker;
	monitor->foreign_checker = 0;
	if (pid == 0 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return;
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

void foreign_end(struct monitor *monitor)
{
	end_check(monitor);
	if (monitor->is_foreign)
		do_aside(monitor, monitor->foreign_fd, cni_detach, "the container is not detached from its networks");
	monitor->is_foreign = false;
	runstate_set_places(&monitor->state, NULL, 0);
	fd_close(&monitor->foreign_fd);
}

void foreign_clear_leftovers(struct monitor *monitor)
{
	if (!monitor->is_foreign)
		do_aside(monitor, -1, cni_detach, "the container is not detached from the networks it had");
}

void foreign_check(struct monitor *monitor)
{
	end_check(monitor);
	if (monitor->is_foreign)
		monitor->foreign_checker = do_aside(monitor, monitor->foreign_fd, cni_check,
			"the container's networks are not as they were made");
}
