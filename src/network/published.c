#include "network/published.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/parse.h"
#include "network/sysctls.h"

#define LISTEN_BACKLOG 128
#define PORT_RANGE     "/proc/sys/net/ipv4/ip_local_port_range"
#define EPHEMERAL_LOW  32768
#define EPHEMERAL_HIGH 60999
/* What else the process has open. */
#define DESCRIPTORS_SPARE 256

/* --- one socket --- */

static int type_of(const struct lease_port *port, int *ret_protocol)
{
	*ret_protocol = strcmp(port->proto, "sctp") == 0 ? IPPROTO_SCTP : 0;
	return strcmp(port->proto, "udp") == 0 ? SOCK_DGRAM : SOCK_STREAM;
}

static socklen_t fill_address(const struct inet_address *host, uint16_t port, struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (host->is_v6) {
		struct sockaddr_in6 *address = (void *)ret;
		address->sin6_family = AF_INET6;
		address->sin6_port = htobe16(port);
		memcpy(&address->sin6_addr, host->bytes, sizeof(address->sin6_addr));
		return sizeof(*address);
	}
	struct sockaddr_in *address = (void *)ret;
	address->sin_family = AF_INET;
	address->sin_port = htobe16(port);
	memcpy(&address->sin_addr, host->bytes, sizeof(address->sin_addr));
	return sizeof(*address);
}

/* To listen, or to see that nobody else does; and then it refuses whoever would share the port. */
static int settle(int fd, bool listens)
{
	const int off = 0;
	if (listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	if (!listens && shutdown(fd, SHUT_RD) < 0 && errno != ENOTCONN)
		return -errno;
	return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off)) < 0 ? -errno : 0;
}

/* Nothing piles up in it if the table is not there. */
static int deafen(int fd, bool listens)
{
	const int unused = 0;
	if (listens)
		return setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)) < 0 && errno != ENOENT
			       ? -errno
			       : 0;
	struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog program = { 1, &nothing };
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static int arrange(int fd, const struct published_socket *socket)
{
	if (socket->protocol != 0)
		return 0;
	return socket->type == SOCK_DGRAM ? deafen(fd, socket->is_spliced) : settle(fd, socket->is_spliced);
}

/* What a server left half closed a moment ago is no reason to refuse the port; what listens is. So where a plain bind is refused, it is
 * bound as a server would, and settled. Who got it plainly shares it with nobody: of thousands that is all there is to do. */
static int bind_to(int fd, const struct published_socket *wanted)
{
	const int on = 1;
	struct sockaddr_storage address;
	socklen_t len = fill_address(&wanted->host, wanted->host_port, &address);
	bool is_tcp = wanted->type == SOCK_STREAM && wanted->protocol == 0;
	if (bind(fd, (struct sockaddr *)&address, len) == 0)
		return is_tcp && !wanted->is_spliced ? 0 : arrange(fd, wanted);
	if (errno != EADDRINUSE || !is_tcp || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&address, len) < 0)
		return -errno;
	return arrange(fd, wanted);
}

/* -EPROTONOSUPPORT: the kernel has no such sockets, so nobody else can have the port either. */
static int bind_one(const struct published_socket *wanted)
{
	const int on = 1;
	_autoclose_ int fd = socket(wanted->host.is_v6 ? AF_INET6 : AF_INET,
		wanted->type | SOCK_CLOEXEC | SOCK_NONBLOCK, wanted->protocol);
	if (fd < 0)
		return -errno;
	if (wanted->host.is_v6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
		return -errno;
	int r = bind_to(fd, wanted);
	return r < 0 ? r : TAKE_FD(fd);
}

static bool is_missing(int r)
{
	return r == -EPROTONOSUPPORT || r == -ESOCKTNOSUPPORT;
}

static int add(struct published *published, const struct published_socket *socket)
{
	if (published->count == published->room) {
		size_t room = published->room ? 2 * published->room : 16;
		struct published_socket *grown = reallocarray(published->sockets, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		published->sockets = grown;
		published->room = room;
	}
	published->sockets[published->count++] = *socket;
	return 0;
}

/* The previous one's socket at the same place, or one that is bound anew. */
static int take_one(struct published_socket *wanted, struct published *previous)
{
	for (size_t i = 0; previous && i < previous->count; i++) {
		struct published_socket *old = &previous->sockets[i];
		if (old->fd < 0 || old->host_port != wanted->host_port || old->type != wanted->type ||
			old->protocol != wanted->protocol || !inet_equal(&old->host, &wanted->host))
			continue;
		wanted->moved = true;
		wanted->is_handed = old->is_handed && wanted->is_spliced && old->to_port == wanted->to_port &&
				    inet_equal(&old->to, &wanted->to);
		wanted->fd = TAKE_FD(old->fd);
		return old->is_spliced == wanted->is_spliced ? 0 : arrange(wanted->fd, wanted);
	}
	wanted->fd = bind_one(wanted);
	return wanted->fd < 0 ? wanted->fd : 0;
}

static void give_back(struct published_socket *socket, struct published *previous)
{
	for (size_t i = 0; socket->moved && i < previous->count; i++) {
		struct published_socket *old = &previous->sockets[i];
		if (old->fd < 0 && old->host_port == socket->host_port && old->type == socket->type &&
			old->protocol == socket->protocol && inet_equal(&old->host, &socket->host)) {
			old->fd = TAKE_FD(socket->fd);
			if (old->is_spliced != socket->is_spliced)
				arrange(old->fd, old);
			return;
		}
	}
	fd_close(&socket->fd);
}

static void drop_from(struct published *published, size_t count, struct published *previous)
{
	while (published->count > count)
		give_back(&published->sockets[--published->count], previous);
}

static bool has_own(const char *address)
{
	return address && address[0];
}

static bool has_family(const struct lease_endpoint *endpoint, const struct inet_address *host)
{
	return has_own(host->is_v6 ? endpoint->ipv6.address : endpoint->ipv4.address);
}

/* ::1 and link-local addresses are among those of "::". */
static bool is_beyond_table(const struct lease_endpoint *endpoint, const struct lease_port *port,
	const struct inet_address *host)
{
	const struct inet_address any = { .is_v6 = true }, loopback = { .is_v6 = true, .bytes = { [15] = 1 } };
	return port->through_input || !has_family(endpoint, host) || inet_equal(host, &any) ||
	       inet_equal(host, &loopback);
}

static bool is_spliced(const struct lease_endpoint *endpoint, const struct lease_port *port,
	const struct inet_address *host)
{
	return strcmp(port->proto, "sctp") != 0 && !lease_is_cni(endpoint) && is_beyond_table(endpoint, port, host) &&
	       (has_own(endpoint->ipv4.address) || has_own(endpoint->ipv6.address));
}

bool published_is_spliced(const struct lease_endpoint *endpoint, const struct lease_port *port)
{
	struct inet_address host;
	return inet_parse(port->host_ip, &host) == 0 && is_spliced(endpoint, port, &host);
}

/* 0, or why nobody would be served. */
static int check_reach(const struct published *published, const struct lease_endpoint *endpoint,
	const struct lease_port *port, const struct inet_address *host)
{
	const struct inet_address any = { .is_v6 = true };
	if (host->is_v6 && published->no_v6)
		return -EAFNOSUPPORT;
	if (is_spliced(endpoint, port, host) || lease_is_cni(endpoint)) /* whom its plugins serve is their affair */
		return 0;
	bool is_all = inet_equal(host, &any) && !port->through_input;
	return has_family(endpoint, host) && (!is_beyond_table(endpoint, port, host) || is_all) ? 0 : -EPROTONOSUPPORT;
}

static struct published_socket socket_for(const struct lease_endpoint *endpoint, const struct lease_port *port,
	const struct inet_address *host)
{
	struct published_socket socket = { .fd = -1, .host = *host };
	const char *const own[] = { host->is_v6 ? endpoint->ipv6.address : endpoint->ipv4.address,
		host->is_v6 ? endpoint->ipv4.address : endpoint->ipv6.address };
	socket.type = type_of(port, &socket.protocol);
	socket.is_spliced = is_spliced(endpoint, port, host);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (has_own(own[i]) && inet_parse(own[i], &socket.to) == 0)
			break;
	}
	return socket;
}

/* The first of a port's that fails says why; those before it stay for the caller to drop. */
static int take(struct published *published, const struct lease_endpoint *endpoint, const struct lease_port *port,
	int64_t first, struct published *previous, int64_t *ret_failed)
{
	struct inet_address host;
	int r = inet_parse(port->host_ip, &host);
	*ret_failed = first;
	if (r == 0)
		r = check_reach(published, endpoint, port, &host);
	for (int64_t i = 0; r >= 0 && i < port->count; i++) {
		struct published_socket socket = socket_for(endpoint, port, &host);
		socket.host_port = (uint16_t)(first + i);
		socket.to_port = (uint16_t)(port->container_port + i);
		*ret_failed = first + i;
		bool is_needed = socket.is_spliced && (port->through_input || !has_family(endpoint, &host));
		if (is_needed && published->count >= PUBLISHED_SOCKETS_MAX)
			return -E2BIG; /* without a socket nobody would be served */
		r = take_one(&socket, previous);
		if (r == -EADDRINUSE)
			published->refused = socket;
		if (is_missing(r))
			r = 0;
		else if (r == 0 && published->count < PUBLISHED_SOCKETS_MAX && (r = add(published, &socket)) == 0)
			socket.fd = -1;
		fd_close(&socket.fd);
	}
	return r < 0 ? r : 0;
}

/* --- choosing --- */

static void ephemeral_range(uint16_t *ret_low, uint16_t *ret_high)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(64);
	_autoclose_ int fd = open(PORT_RANGE, O_RDONLY | O_CLOEXEC);
	unsigned low, high;
	*ret_low = EPHEMERAL_LOW;
	*ret_high = EPHEMERAL_HIGH;
	if (fd >= 0 && io_read_all(fd, &text) == 0 && text.data && sscanf(text.data, "%u %u", &low, &high) == 2 &&
		low > 0 && low <= high && high <= UINT16_MAX) {
		*ret_low = (uint16_t)low;
		*ret_high = (uint16_t)high;
	}
}

/* The same binding for the other family, which has to get the same port. */
static bool is_pair(const struct lease_port *a, const struct lease_port *b)
{
	return strcmp(a->proto, b->proto) == 0 && strcmp(a->host_ip, "0.0.0.0") == 0 && strcmp(b->host_ip, "::") == 0 &&
	       a->container_port == b->container_port && a->count == b->count && a->choices == b->choices &&
	       a->host_port == b->host_port;
}

/* `count` of ports that are one binding. */
/* Of a binding to all addresses: its IPv6 half can't be. */
static bool is_left_out(int r, size_t which)
{
	return which == 1 && (r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT || r == -E2BIG);
}

static int take_at(struct published *published, const struct lease_endpoint *endpoint, struct lease_port *ports,
	size_t count, int64_t number, struct published *previous, int64_t *ret_failed, size_t *ret_which)
{
	size_t before = published->count;
	for (size_t i = 0; i < count; i++) {
		size_t before_it = published->count;
		int r = take(published, endpoint, &ports[i], number, previous, ret_failed);
		if (is_left_out(r, i)) {
			drop_from(published, before_it, previous);
			ports[i].count = 0;
		} else if (r < 0) {
			*ret_which = i;
			drop_from(published, before, previous);
			return r;
		}
	}
	for (size_t i = 0; i < count; i++) {
		ports[i].host_port = number;
		ports[i].choices = 0;
	}
	return 0;
}

static int refuse(const struct lease_endpoint *endpoint, const struct lease_port *port, int64_t number, int r,
	struct err **reterr)
{
	const char *open = strchr(port->host_ip, ':') ? "[" : "", *close = *open ? "]" : "";
	const char *why = r == -EADDRINUSE ? "port is already allocated"
			  : r == -E2BIG    ? "too many ports that a process has to serve"
					   : strerror(-r);
	return err_set(reterr, ERR_INTERNAL, -r,
		"driver failed programming external connectivity on endpoint %s (%.64s): Bind for %s%s%s:%lld failed: %s",
		endpoint->names && endpoint->names[0] ? endpoint->names[0] : endpoint->interface, endpoint->endpoint_id,
		open, port->host_ip, close, (long long)number, why);
}

static int take_any(struct published *published, const struct lease_endpoint *endpoint, struct lease_port *ports,
	size_t count, struct published *previous, struct err **reterr)
{
	uint16_t low = (uint16_t)ports->host_port, high = (uint16_t)(ports->host_port + ports->choices - 1);
	uint32_t start = 0;
	int64_t failed;
	size_t which;
	bool is_ephemeral = ports->host_port == 0;
	if (is_ephemeral)
		ephemeral_range(&low, &high);
	uint32_t choices = (uint32_t)high - low + 1;
	/* Not the first one: it is the one that everybody tries, and what somebody just lost is not given to the next. */
	if (is_ephemeral && getrandom(&start, sizeof(start), GRND_NONBLOCK) < 0)
		start = 0;
	for (uint32_t i = 0; i < choices; i++) {
		int64_t number = low + (start % choices + i) % choices;
		int r = take_at(published, endpoint, ports, count, number, previous, &failed, &which);
		if (r == 0)
			return 0;
		if (r != -EADDRINUSE && r != -EACCES)
			return refuse(endpoint, &ports[which], number, r, reterr);
	}
	published->refused.host_port = 0;
	return err_set(reterr, ERR_INTERNAL, EADDRINUSE,
		"driver failed programming external connectivity on endpoint %s (%.64s): Bind for %s:%u-%u failed: all ports are "
		"allocated",
		endpoint->names && endpoint->names[0] ? endpoint->names[0] : endpoint->interface, endpoint->endpoint_id,
		ports->host_ip, low, high);
}

static void leave_out(struct lease_endpoint *endpoint, size_t i)
{
	json_finish(&lease_port_table, &endpoint->ports[i]);
	endpoint->port_count--;
	memmove(&endpoint->ports[i], &endpoint->ports[i + 1], (endpoint->port_count - i) * sizeof(*endpoint->ports));
}

static int reserve_endpoint(struct published *published, struct lease_endpoint *endpoint, struct published *previous,
	struct err **reterr)
{
	for (size_t i = 0, count; i < endpoint->port_count; i += count) {
		struct lease_port *ports = &endpoint->ports[i];
		int64_t failed = ports->host_port;
		size_t which = 0;
		int r;
		count = i + 1 < endpoint->port_count && is_pair(ports, ports + 1) ? 2 : 1;
		if (ports->host_port == 0 || ports->choices > 1) {
			r = take_any(published, endpoint, ports, count, previous, reterr);
		} else {
			r = take_at(published, endpoint, ports, count, ports->host_port, previous, &failed, &which);
			if (r < 0)
				r = refuse(endpoint, &ports[which], failed, r, reterr);
		}
		if (r < 0)
			return r;
		if (endpoint->ports[i + count - 1].count == 0)
			leave_out(endpoint, i + --count);
	}
	return 0;
}

/* A thousand ports are more than most processes may have open. */
static void make_room(const struct lease_endpoint *endpoints, size_t count)
{
	struct rlimit limit;
	rlim_t want = DESCRIPTORS_SPARE;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < endpoints[i].port_count; k++)
			want += (rlim_t)endpoints[i].ports[k].count;
	}
	if (want > DESCRIPTORS_SPARE + PUBLISHED_SOCKETS_MAX)
		want = DESCRIPTORS_SPARE + PUBLISHED_SOCKETS_MAX;
	if (want == DESCRIPTORS_SPARE || getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= want)
		return;
	limit.rlim_cur = limit.rlim_max < want ? limit.rlim_max : want;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int published_reserve(struct published *published, struct lease_endpoint *endpoints, size_t count,
	struct published *previous, struct err **reterr)
{
	make_room(endpoints, count);
	/* Where there is no such file, there is no IPv6. */
	*published = (struct published){ .no_v6 = sysctls_get("ipv6", "all", "disable_ipv6") != 0 };
	for (size_t i = 0; i < count; i++) {
		int r = reserve_endpoint(published, &endpoints[i], previous, reterr);
		if (r < 0) {
			published_return(published, previous);
			return r;
		}
	}
	return 0;
}

void published_release(struct published *published)
{
	for (size_t i = 0; i < published->count; i++)
		fd_close(&published->sockets[i].fd);
	free(published->sockets);
	*published = (struct published){ 0 };
}

void published_return(struct published *published, struct published *previous)
{
	const struct published_socket refused = published->refused;
	drop_from(published, 0, previous);
	published_release(published);
	published->refused = refused;
}

/* --- changes --- */

static bool is_choice_of(const struct lease_port *wish, const struct lease_port *chosen)
{
	bool fits = wish->host_port == 0 ||
		    (chosen->host_port >= wish->host_port && chosen->host_port < wish->host_port + wish->choices);
	return fits && strcmp(wish->proto, chosen->proto) == 0 && strcmp(wish->host_ip, chosen->host_ip) == 0 &&
	       wish->container_port == chosen->container_port && wish->count == chosen->count;
}

/* By name, or by an earlier one of the wishes. */
static bool is_wanted_as_it_is(const struct lease_endpoint *endpoint, const struct lease_port *chosen)
{
	for (size_t i = 0; i < endpoint->port_count; i++) {
		const struct lease_port *port = &endpoint->ports[i];
		if (port->choices <= 1 && port->host_port <= chosen->host_port &&
			chosen->host_port < port->host_port + port->count && strcmp(port->proto, chosen->proto) == 0 &&
			strcmp(port->host_ip, chosen->host_ip) == 0)
			return true;
	}
	return false;
}

static void keep_in(struct lease_endpoint *endpoint, const struct lease_endpoint *before)
{
	for (size_t i = 0; i < endpoint->port_count; i++) {
		struct lease_port *wish = &endpoint->ports[i];
		for (size_t k = 0; k < before->port_count && (wish->host_port == 0 || wish->choices > 1); k++) {
			if (!is_choice_of(wish, &before->ports[k]) || is_wanted_as_it_is(endpoint, &before->ports[k]))
				continue;
			wish->host_port = before->ports[k].host_port;
			wish->choices = 0;
		}
	}
}

void published_keep(struct lease_endpoint *endpoints, size_t count, const struct lease_endpoint *before,
	size_t before_count)
{
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; k < before_count; k++) {
			if (strcmp(endpoints[i].endpoint_id, before[k].endpoint_id) == 0)
				keep_in(&endpoints[i], &before[k]);
		}
	}
}

int published_list(const struct lease_endpoint *endpoints, size_t count, struct lease_port **ret, size_t *ret_count)
{
	size_t total = 0, at = 0;
	for (size_t i = 0; i < count; i++)
		total += endpoints[i].port_count;
	struct lease_port *list = calloc(total + 1, sizeof(*list));
	int r = list ? 0 : -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		for (size_t k = 0; r == 0 && k < endpoints[i].port_count; k++)
			r = json_clone(&lease_port_table, &endpoints[i].ports[k], &list[at++]);
	}
	*ret = list;
	*ret_count = at;
	return r;
}
