#include "network/dns_forward.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/parse.h"

#define TCP_PREFIX   2
#define DATAGRAM_MAX 4096 /* longer ones are cut, and so broken */

enum ask_state {
	ASK_NOT_YET,
	ASK_UDP,
	ASK_TCP_CONNECT, /* the query is sent once it is connected */
	ASK_TCP_READ,
	ASK_NO, /* it said no, and the answer is held */
	ASK_FAILED,
};

/* One server within one exchange. */
struct ask {
	struct dns_exchange *exchange;
	size_t server;
	enum ask_state state;
	int fd;
	struct loop_source *source;
	uint16_t id;
	bool plain; /* without EDNS */
	unsigned strays;
	uint8_t *response; /* TCP: with its length in front */
	size_t have;
};

struct dns_exchange {
	struct list link;
	struct dns_forwarder *forwarder;
	struct dns_question question; /* spelt as it is sent */
	uint16_t flags;
	bool wants_dnssec;
	int64_t started_ms;
	int64_t resend_ms;
	bool all_asked;
	struct loop_source *timer;
	struct ask asks[DNS_SERVERS_MAX]; /* in the order of preference */
	struct dns_answer held;           /* a no of the server that is `holder` in that order */
	size_t holder;
	dns_exchange_fn *fn;
	void *user;
};

struct server {
	struct dns_server_address address;
	unsigned misses; /* questions in a row that others answered before it said anything */
	int64_t rests_until_ms;
	bool is_plain; /* it does not understand EDNS */
};

struct dns_forwarder {
	struct loop *loop;
	struct server servers[DNS_SERVERS_MAX];
	size_t server_count;
	struct list exchanges;
	size_t exchange_count;
	struct dns_answer scratch;
	uint8_t random[256];
	size_t random_left;
};

/* ---- addresses */

int dns_server_address_parse(const char *text, struct dns_server_address *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	uint64_t port = DNS_PORT;

	if (!copy)
		return -ENOMEM;
	char *hash = strchr(copy, '#'), *zone = strchr(copy, '%');
	if (hash)
		*hash++ = '\0';
	if (zone)
		*zone++ = '\0';
	if (hash && (parse_u64(hash, UINT16_MAX, &port) < 0 || port == 0))
		return -EINVAL;
	*ret = (struct dns_server_address){ 0 };
	if (!zone && inet_pton(AF_INET, copy, &ret->v4.sin_addr) == 1) {
		ret->v4.sin_family = AF_INET;
		ret->v4.sin_port = htons((uint16_t)port);
		ret->len = sizeof(ret->v4);
		return 0;
	}
	if (inet_pton(AF_INET6, copy, &ret->v6.sin6_addr) != 1)
		return -EINVAL;
	ret->v6.sin6_family = AF_INET6;
	ret->v6.sin6_port = htons((uint16_t)port);
	ret->v6.sin6_scope_id = zone ? if_nametoindex(zone) : 0;
	ret->len = sizeof(ret->v6);
	return 0;
}

/* ---- chance */

static uint8_t random_byte(struct dns_forwarder *forwarder)
{
	if (forwarder->random_left == 0) {
		ssize_t n = getrandom(forwarder->random, sizeof(forwarder->random), 0);
		assert(n == sizeof(forwarder->random)); /* up to 256 bytes never fail and never fall short */
		forwarder->random_left = (size_t)n;
	}
	return forwarder->random[--forwarder->random_left];
}

static void spell(struct dns_forwarder *forwarder, struct dns_name *name)
{
	dns_name_fold(name);
	for (size_t i = 0; i < name->len; i++) {
		uint8_t *c = &name->wire[i];
		if (*c >= 'a' && *c <= 'z' && random_byte(forwarder) & 1)
			*c = (uint8_t)(*c - ('a' - 'A'));
	}
}

/* ---- one server */

static bool is_waiting(const struct ask *ask)
{
	return ask->state == ASK_UDP || ask->state == ASK_TCP_CONNECT || ask->state == ASK_TCP_READ;
}

static void ask_close(struct ask *ask)
{
	loop_source_free(ask->source);
	ask->source = NULL;
	fd_close(&ask->fd);
	free(ask->response);
	ask->response = NULL;
	ask->have = 0;
}

static void exchange_free(struct dns_exchange *exchange)
{
	struct dns_forwarder *forwarder = exchange->forwarder;

	for (size_t i = 0; i < forwarder->server_count; i++)
		ask_close(&exchange->asks[i]);
	loop_source_free(exchange->timer);
	dns_answer_finish(&exchange->held);
	list_remove(&exchange->link);
	forwarder->exchange_count--;
	free(exchange);
}

/* Who is silent again and again goes to the end of the line for a while. */
static void count_misses(struct dns_exchange *exchange)
{
	int64_t now_ms = clock_monotonic_ms();

	if (now_ms < exchange->started_ms + DNS_HEAD_START_MS)
		return;
	for (size_t i = 0; i < exchange->forwarder->server_count; i++) {
		struct server *server = &exchange->forwarder->servers[exchange->asks[i].server];
		if (is_waiting(&exchange->asks[i]) && ++server->misses >= DNS_SERVER_MISSES)
			server->rests_until_ms = now_ms + DNS_SERVER_REST_MS;
	}
}

static void conclude(struct dns_exchange *exchange, const struct dns_answer *answer)
{
	count_misses(exchange);
	exchange->fn(exchange, answer, exchange->user);
	exchange_free(exchange);
}

static struct server *server_of(const struct ask *ask)
{
	return &ask->exchange->forwarder->servers[ask->server];
}

static void ask_fail(struct ask *ask)
{
	ask_close(ask);
	ask->state = ASK_FAILED;
}

static size_t build(struct ask *ask, uint8_t out[static DNS_QUERY_BYTES])
{
	const struct dns_exchange *exchange = ask->exchange;
	bool with_edns = !ask->plain && !server_of(ask)->is_plain;

	return dns_query_build(ask->id, exchange->flags, &exchange->question, with_edns, exchange->wants_dnssec, out);
}

static int udp_send(struct ask *ask)
{
	uint8_t query[DNS_QUERY_BYTES];
	size_t len = build(ask, query);

	/* What the socket's buffer or a firewall does not take now is lost, as it may be on the way. */
	return send(ask->fd, query, len, MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EPERM
		       ? -errno
		       : 0;
}

static void on_ask(struct loop_source *source, uint32_t events, void *data);

static int ask_open(struct ask *ask, int type)
{
	struct dns_forwarder *forwarder = ask->exchange->forwarder;
	const struct dns_server_address *to = &server_of(ask)->address;

	ask_close(ask);
	ask->strays = 0;
	ask->id = (uint16_t)(random_byte(forwarder) << 8 | random_byte(forwarder));
	ask->fd = socket(to->any.sa_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (ask->fd < 0)
		return -errno;
	/* The kernel takes a random port for it. */
	if (connect(ask->fd, &to->any, to->len) < 0 && errno != EINPROGRESS)
		return -errno;
	return loop_add_fd(forwarder->loop, ask->fd, type == SOCK_STREAM ? EPOLLOUT : EPOLLIN, on_ask, ask,
		&ask->source);
}

static void ask_udp(struct ask *ask)
{
	int r = ask_open(ask, SOCK_DGRAM);

	if (r == 0)
		r = udp_send(ask);
	if (r < 0)
		ask_fail(ask);
	else
		ask->state = ASK_UDP;
}

static void ask_tcp(struct ask *ask)
{
	if (ask_open(ask, SOCK_STREAM) < 0)
		ask_fail(ask);
	else
		ask->state = ASK_TCP_CONNECT;
}

/* ---- all of them */

static void ask_others(struct dns_exchange *exchange)
{
	exchange->all_asked = true;
	for (size_t i = 0; i < exchange->forwarder->server_count; i++)
		if (exchange->asks[i].state == ASK_NOT_YET)
			ask_udp(&exchange->asks[i]);
}

static int64_t next_event_ms(const struct dns_exchange *exchange)
{
	int64_t at = exchange->started_ms + DNS_GIVE_UP_MS;

	if (!exchange->all_asked)
		at = exchange->started_ms + DNS_HEAD_START_MS;
	else if (exchange->resend_ms < at)
		at = exchange->resend_ms;
	if (exchange->holder < DNS_SERVERS_MAX && exchange->started_ms + DNS_PATIENCE_MS < at)
		at = exchange->started_ms + DNS_PATIENCE_MS;
	return at;
}

/* Ends the exchange, if it can be ended now; may free it. */
static void settle(struct dns_exchange *exchange)
{
	size_t count = exchange->forwarder->server_count, first = 0;
	int64_t now_ms = clock_monotonic_ms();

	if (!exchange->all_asked && exchange->asks[0].state == ASK_FAILED)
		ask_others(exchange);
	while (first < count && !is_waiting(&exchange->asks[first]) && exchange->asks[first].state != ASK_NO)
		first++;
	if (exchange->holder < DNS_SERVERS_MAX &&
		(first >= exchange->holder || now_ms >= exchange->started_ms + DNS_PATIENCE_MS))
		conclude(exchange, &exchange->held);
	else if (first == count || now_ms >= exchange->started_ms + DNS_GIVE_UP_MS)
		conclude(exchange, NULL);
	else
		loop_timer_set(exchange->timer, next_event_ms(exchange));
}

static void resend(struct dns_exchange *exchange, int64_t now_ms)
{
	exchange->resend_ms = now_ms + DNS_RESEND_MS + DNS_RESEND_MS / 2;
	for (size_t i = 0; i < exchange->forwarder->server_count; i++) {
		struct ask *ask = &exchange->asks[i];
		if (ask->state == ASK_UDP && udp_send(ask) < 0)
			ask_fail(ask);
	}
}

static void on_timer(struct loop_source *source, void *data)
{
	(void)source;
	struct dns_exchange *exchange = data;
	int64_t now_ms = clock_monotonic_ms();

	if (!exchange->all_asked)
		ask_others(exchange);
	else if (now_ms >= exchange->resend_ms)
		resend(exchange, now_ms);
	settle(exchange);
}

/* ---- what comes back */

/* A no is held until nobody before it is waited for. */
static void hold(struct ask *ask, const struct dns_answer *answer)
{
	struct dns_exchange *exchange = ask->exchange;
	size_t place = (size_t)(ask - exchange->asks);

	ask_close(ask);
	ask->state = ASK_NO;
	if (place >= exchange->holder)
		return;
	if (!exchange->held.wire && dns_answer_init(&exchange->held) < 0) {
		ask->state = ASK_FAILED;
		return;
	}
	struct dns_answer copy = *answer;
	copy.wire = exchange->held.wire;
	copy.marks = exchange->held.marks;
	memcpy(copy.wire + DNS_HEADER_BYTES, answer->wire + DNS_HEADER_BYTES, answer->len - DNS_HEADER_BYTES);
	memcpy(copy.marks, answer->marks, answer->mark_count * sizeof(*copy.marks));
	exchange->held = copy;
	exchange->holder = place;
}

/* Frees the exchange if that ends it. */
static void take_response(struct ask *ask, const struct dns_response *response)
{
	const struct dns_answer *answer = &ask->exchange->forwarder->scratch;
	struct server *server = server_of(ask);

	if (response->is_final) {
		server->misses = 0;
		server->rests_until_ms = 0;
		if (answer->rcode == DNS_NOERROR && answer->counts[0] > 0) {
			conclude(ask->exchange, answer);
			return;
		}
		hold(ask, answer);
	} else if ((response->rcode == DNS_FORMERR || response->rcode == DNS_NOTIMP) && !ask->plain &&
		   !server->is_plain) {
		server->is_plain = ask->plain = true;
		ask_udp(ask);
	} else
		ask_fail(ask);
	settle(ask->exchange);
}

/* 1: an answer; 0: nothing yet; -errno: it has failed; -EMSGSIZE: by TCP, please. */
static int read_udp(struct ask *ask, struct dns_response *response)
{
	uint8_t data[DATAGRAM_MAX];

	for (;;) {
		ssize_t len = recv(ask->fd, data, sizeof(data), 0);
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		int r = dns_response_parse(data, (size_t)len, ask->id, &ask->exchange->question, response,
			&ask->exchange->forwarder->scratch);
		if (r == 0 && response->same_case && !response->is_truncated)
			return 1;
		/* Cut, spelt otherwise, or broken: what comes over TCP nobody else can have sent. */
		if (r != -ENOMSG || ++ask->strays >= DNS_STRAY_PACKETS_MAX)
			return -EMSGSIZE;
	}
}

static int send_tcp(struct ask *ask)
{
	uint8_t query[TCP_PREFIX + DNS_QUERY_BYTES];
	int error = 0;
	socklen_t error_len = sizeof(error);

	if (getsockopt(ask->fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error)
		return -ECONNREFUSED;
	size_t len = build(ask, query + TCP_PREFIX);
	query[0] = (uint8_t)(len >> 8);
	query[1] = (uint8_t)len;
	len += TCP_PREFIX;
	/* A new connection's buffer takes that whole. */
	if (send(ask->fd, query, len, MSG_NOSIGNAL) != (ssize_t)len)
		return -EIO;
	ask->response = malloc(TCP_PREFIX + DNS_MESSAGE_MAX);
	if (!ask->response)
		return -ENOMEM;
	ask->state = ASK_TCP_READ;
	loop_fd_set_events(ask->source, EPOLLIN);
	return 0;
}

static int read_tcp(struct ask *ask, struct dns_response *response)
{
	for (;;) {
		size_t want = ask->have < TCP_PREFIX ? TCP_PREFIX
						     : TCP_PREFIX + ((size_t)ask->response[0] << 8 | ask->response[1]);
		if (ask->have >= TCP_PREFIX && ask->have == want)
			break;
		ssize_t len = recv(ask->fd, ask->response + ask->have, want - ask->have, 0);
		if (len < 0)
			return errno == EAGAIN || errno == EINTR ? 0 : -errno;
		if (len == 0)
			return -EPIPE;
		ask->have += (size_t)len;
	}
	int r = dns_response_parse(ask->response + TCP_PREFIX, ask->have - TCP_PREFIX, ask->id,
		&ask->exchange->question, response, &ask->exchange->forwarder->scratch);
	return r < 0 || response->is_truncated ? -EBADMSG : 1;
}

static void on_ask(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct ask *ask = data;
	struct dns_response response;
	int r = ask->state == ASK_UDP           ? read_udp(ask, &response)
		: ask->state == ASK_TCP_CONNECT ? send_tcp(ask)
						: read_tcp(ask, &response);

	if (r > 0) {
		take_response(ask, &response);
		return;
	}
	if (r == 0)
		return;
	if (r == -EMSGSIZE && ask->state == ASK_UDP)
		ask_tcp(ask);
	else {
		server_of(ask)->rests_until_ms = clock_monotonic_ms() + DNS_SERVER_REST_MS;
		ask_fail(ask);
	}
	settle(ask->exchange);
}

/* ---- the whole */

/* Those that rest come last; otherwise as they were given. */
static void order_servers(struct dns_exchange *exchange)
{
	struct dns_forwarder *forwarder = exchange->forwarder;
	size_t place = 0;

	for (int rests = 0; rests < 2; rests++)
		for (size_t i = 0; i < forwarder->server_count; i++)
			if ((forwarder->servers[i].rests_until_ms > exchange->started_ms) == rests)
				exchange->asks[place++].server = i;
	for (size_t i = 0; i < forwarder->server_count; i++) {
		exchange->asks[i].exchange = exchange;
		exchange->asks[i].fd = -1;
	}
}

int dns_forward(struct dns_forwarder *forwarder, const struct dns_question *question, uint16_t flags, bool wants_dnssec,
	dns_exchange_fn *fn, void *user, struct dns_exchange **ret)
{
	if (forwarder->server_count == 0)
		return -ENETUNREACH;
	if (forwarder->exchange_count == DNS_EXCHANGES_MAX)
		return -EBUSY;
	struct dns_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return -ENOMEM;
	*exchange = (struct dns_exchange){
		.forwarder = forwarder,
		.question = *question,
		.flags = flags,
		.wants_dnssec = wants_dnssec,
		.started_ms = clock_monotonic_ms(),
		.holder = DNS_SERVERS_MAX,
		.fn = fn,
		.user = user,
	};
	exchange->resend_ms = exchange->started_ms + DNS_RESEND_MS;
	order_servers(exchange);
	spell(forwarder, &exchange->question.name);
	list_append(&forwarder->exchanges, &exchange->link);
	forwarder->exchange_count++;
	int r = loop_add_timer(forwarder->loop, LOOP_NEVER, on_timer, exchange, &exchange->timer);
	if (r < 0) {
		exchange_free(exchange);
		return r;
	}
	ask_udp(&exchange->asks[0]);
	if (exchange->asks[0].state == ASK_FAILED)
		ask_others(exchange);
	/* If none could be asked, the timer finds that out, once the caller has the exchange. */
	loop_timer_set(exchange->timer, exchange->all_asked ? exchange->started_ms : next_event_ms(exchange));
	*ret = exchange;
	return 0;
}

bool dns_exchange_sent(const struct dns_exchange *exchange, const struct dns_name *name)
{
	return exchange->question.name.len == name->len &&
	       memcmp(exchange->question.name.wire, name->wire, name->len) == 0;
}

int dns_forwarder_new(struct loop *loop, const struct dns_server_address *servers, size_t count,
	struct dns_forwarder **ret)
{
	struct dns_forwarder *forwarder = calloc(1, sizeof(*forwarder));

	if (!forwarder || dns_answer_init(&forwarder->scratch) < 0) {
		free(forwarder);
		return -ENOMEM;
	}
	forwarder->loop = loop;
	list_init(&forwarder->exchanges);
	for (; forwarder->server_count < count && forwarder->server_count < DNS_SERVERS_MAX; forwarder->server_count++)
		forwarder->servers[forwarder->server_count].address = servers[forwarder->server_count];
	*ret = forwarder;
	return 0;
}

void dns_forwarder_free(struct dns_forwarder *forwarder)
{
	if (!forwarder)
		return;
	while (!list_is_empty(&forwarder->exchanges))
		exchange_free(container_of(forwarder->exchanges.next, struct dns_exchange, link));
	dns_answer_finish(&forwarder->scratch);
	free(forwarder);
}

size_t dns_forwarder_pending(const struct dns_forwarder *forwarder)
{
	return forwarder->exchange_count;
}
