#include "network/dns_server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/list.h"
#include "base/log.h"
#include "base/strv.h"
#include "network/dns_cache.h"
#include "network/dns_names.h"
#include "network/dns_server_internal.h"

#define BATCH      32
#define PAUSE_MS   1
#define VARIANT_DO 1U
#define VARIANT_CD 2U
#define META_FIRST 249 /* types that are no records, but ANY: signatures and transfers */
#define META_LAST  254

struct network {
	int fd;
	struct stat file; /* as it was read; st_ino 0: there was none */
	struct dns_names *names;
};

/* So much a second, and some of it at once. */
struct allowance {
	int64_t per_s;
	int64_t most;
	int64_t left; /* thousandths */
	int64_t since_ms;
};

/* A question that servers have been asked, and who waits for it. */
struct pending {
	struct list link;
	struct dns_server *server;
	struct dns_question question;
	unsigned variant;
	struct dns_exchange *exchange;
	struct list waiters;
};

struct waiter {
	struct list link;
	struct dns_client client;
	struct dns_query query;
};

struct dns_server {
	struct loop *loop;
	struct dns_server_options options;
	struct network networks[DNS_NETWORKS_MAX];
	struct dns_cache *cache;
	struct dns_forwarder *forwarder;
	struct dns_streams *streams;
	struct loop_source *udp;
	struct loop_source *pause; /* until which nothing is read */
	struct allowance queries, forwards;
	struct list pending;
	size_t waiter_count;
	uint32_t turn; /* which of several addresses comes first */
	bool paused;
	int64_t busy_ms;
	bool cut_off;
	struct dns_answer scratch;
	uint8_t in[BATCH][DNS_QUERY_MAX];
	uint8_t out[BATCH][DNS_UDP_MAX];
	uint8_t large[DNS_MESSAGE_MAX]; /* an answer for a stream */
};

/* ---- allowances */

static bool take_allowance(struct allowance *allowance)
{
	if (allowance->left < 1000) {
		int64_t now_ms = clock_monotonic_ms();
		allowance->left += (now_ms - allowance->since_ms) * allowance->per_s;
		allowance->since_ms = now_ms;
		if (allowance->left > allowance->most)
			allowance->left = allowance->most;
	}
	if (allowance->left < 1000)
		return false;
	allowance->left -= 1000;
	return true;
}

static void allowance_init(struct allowance *allowance, int64_t per_s, int64_t saved_ms)
{
	*allowance = (struct allowance){ per_s, per_s * saved_ms, per_s * saved_ms, clock_monotonic_ms() };
}

/* ---- names of the networks */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static void reread(struct network *network, const struct stat *file)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);

	dns_names_free(network->names);
	network->names = NULL;
	network->file = *file;
	int r = file->st_ino ? io_read_file(network->fd, DNS_NAMES_FILE, &text) : 0;
	if (r == 0 && text.len)
		r = dns_names_new(&text, &network->names);
	if (r < 0 && r != -ENOENT)
		log_warn("cannot read a network's names: %s", strerrordesc_np(-r));
}

/* A file replaced while it is read is another one the next time. */
static void refresh(struct dns_server *server)
{
	for (size_t i = 0; i < server->options.network_count; i++) {
		struct network *network = &server->networks[i];
		struct stat file;
		if (fstatat(network->fd, DNS_NAMES_FILE, &file, AT_SYMLINK_NOFOLLOW) < 0)
			file = (struct stat){ 0 };
		if (!is_same_file(&file, &network->file))
			reread(network, &file);
	}
}

static size_t count_hosts(const struct dns_names *names, const char *name)
{
	size_t cursor = 0, count = 0;

	while (dns_names_next(names, name, &cursor))
		count++;
	return count;
}

static void add_host(struct dns_answer *answer, uint16_t type, const struct dns_host *host)
{
	if (type == DNS_A && host->has_ipv4)
		dns_answer_add(answer, DNS_A, DNS_LOCAL_TTL_S, &host->ipv4, sizeof(host->ipv4));
	else if (type == DNS_AAAA && host->has_ipv6)
		dns_answer_add(answer, DNS_AAAA, DNS_LOCAL_TTL_S, &host->ipv6, sizeof(host->ipv6));
}

/* Of several hosts, another one comes first each time. */
static bool answer_name(struct dns_server *server, const struct dns_names *names, const char *name, uint16_t type)
{
	size_t count = count_hosts(names, name);

	if (count == 0)
		return false;
	size_t first = server->turn++ % count;
	for (int round = 0; round < 2; round++) {
		size_t cursor = 0, at = 0;
		const struct dns_host *host;
		for (; (host = dns_names_next(names, name, &cursor)); at++)
			if ((at < first) == round)
				add_host(&server->scratch, type, host);
	}
	return true;
}

/* NAME, or NAME.NETWORK. */
static bool answer_in_network(struct dns_server *server, const struct dns_names *names, const char *name, uint16_t type)
{
	const char *network = dns_names_network(names);
	size_t len = strlen(name), network_len = strlen(network);
	char prefix[DNS_TEXT_MAX];

	if (answer_name(server, names, name, type))
		return true;
	if (!network_len || len < network_len + 2 || name[len - network_len - 1] != '.' ||
		strcmp(name + len - network_len, network) != 0)
		return false;
	memcpy(prefix, name, len - network_len - 1);
	prefix[len - network_len - 1] = '\0';
	return answer_name(server, names, prefix, type);
}

static bool answer_reverse(struct dns_server *server, const struct dns_names *names, const char *name)
{
	const struct dns_host *host = dns_names_reverse(names, name);
	struct dns_name wire, network;

	if (!host || dns_name_from_text(host->name, &wire) < 0 ||
		dns_name_from_text(dns_names_network(names), &network) < 0 || wire.len + network.len - 1 > DNS_NAME_MAX)
		return false;
	memcpy(wire.wire + wire.len - 1, network.wire, network.len);
	wire.len = (uint8_t)(wire.len + network.len - 1);
	dns_answer_add(&server->scratch, DNS_PTR, DNS_LOCAL_TTL_S, wire.wire, wire.len);
	return true;
}

/* What the container alone calls another one, on that network. */
static const char *follow_link(const struct dns_server *server, size_t network, const char *name)
{
	size_t len = strlen(name);

	strv_foreach (link, server->options.links) {
		char *alias;
		bool is_there = strtoul(*link, &alias, 10) == network && *alias == ':';
		if (is_there && strncasecmp(alias + 1, name, len) == 0 && alias[1 + len] == '=')
			return alias + len + 2;
	}
	return name;
}

/* Whether a network knows the name; the answer is in `scratch` then. */
static bool answer_locally(struct dns_server *server, const struct dns_question *question, const char *name)
{
	dns_answer_begin(&server->scratch, question, DNS_NOERROR);
	for (size_t i = 0; i < server->options.network_count; i++) {
		const struct dns_names *names = server->networks[i].names;
		if (names && (answer_in_network(server, names, follow_link(server, i, name), question->type) ||
				     (question->type == DNS_PTR && answer_reverse(server, names, name))))
			return true;
	}
	return false;
}

/* ---- questions for others */

static size_t limit_for(const struct dns_client *client, const struct dns_query *query)
{
	return client->stream ? DNS_MESSAGE_MAX : query->udp_bytes;
}

static void waiter_free(struct dns_server *server, struct waiter *waiter)
{
	list_remove(&waiter->link);
	server->waiter_count--;
	free(waiter);
}

static void reply(struct dns_server *server, const struct waiter *waiter, const struct dns_answer *answer)
{
	const struct dns_query *query = &waiter->query;
	size_t len = answer ? dns_answer_render(answer, query, limit_for(&waiter->client, query), 0, server->large)
			    : dns_error_render(query, DNS_SERVFAIL, server->large);

	if (waiter->client.stream)
		dns_stream_reply(waiter->client.stream, server->large, len);
	else
		/* What the client does not take is lost, as it may be on any way. */
		(void)sendto(server->options.udp_fd, server->large, len, MSG_DONTWAIT | MSG_NOSIGNAL,
			(const struct sockaddr *)&waiter->client.from, sizeof(waiter->client.from));
}

static void pending_free(struct pending *pending)
{
	while (!list_is_empty(&pending->waiters))
		waiter_free(pending->server, container_of(pending->waiters.next, struct waiter, link));
	list_remove(&pending->link);
	free(pending);
}

/* The host's packet filter lets the container reach what it is about to hear of. */
static bool may_hear(struct dns_server *server, const struct dns_question *question, const struct dns_answer *answer,
	uint32_t age_s)
{
	return !server->options.tell || dns_tell(server->options.tell, question, answer, age_s);
}

static void on_answer(struct dns_exchange *exchange, const struct dns_answer *answer, void *user)
{
	(void)exchange;
	struct pending *pending = user;
	struct dns_server *server = pending->server;

	server->cut_off = !answer;
	server->busy_ms = clock_monotonic_ms();
	if (answer)
		dns_cache_put(server->cache, &pending->question, pending->variant, server->busy_ms, answer);
	if (answer && !may_hear(server, &pending->question, answer, 0))
		answer = NULL;
	/* A stream that ends by its answer takes its other questions with it: one after the other, off the list first. */
	while (!list_is_empty(&pending->waiters)) {
		struct waiter *waiter = container_of(pending->waiters.next, struct waiter, link);
		list_remove(&waiter->link);
		reply(server, waiter, answer);
		waiter_free(server, waiter);
	}
	pending_free(pending);
}

static struct pending *find_pending(struct dns_server *server, const struct dns_question *question, unsigned variant)
{
	struct pending *pending;

	list_foreach (pending, &server->pending, link)
		if (pending->variant == variant && pending->question.type == question->type &&
			dns_name_equal(&pending->question.name, &question->name))
			return pending;
	return NULL;
}

static bool is_same_client(const struct dns_client *a, const struct dns_client *b)
{
	return a->stream == b->stream && (a->stream || (a->from.sin_port == b->from.sin_port &&
							       a->from.sin_addr.s_addr == b->from.sin_addr.s_addr));
}

/* Has the client asked this already, and only asks again because it heard nothing? */
static bool waits_already(const struct pending *pending, const struct dns_client *client, const struct dns_query *query)
{
	const struct waiter *waiter;

	list_foreach (waiter, &pending->waiters, link)
		if (waiter->query.id == query->id && is_same_client(&waiter->client, client))
			return true;
	return false;
}

/* Spelt as only we spell it, and not as anyone who waits does: our question has come back. */
static bool is_loop(const struct pending *pending, const struct dns_name *name)
{
	const struct waiter *waiter;

	if (!dns_exchange_sent(pending->exchange, name))
		return false;
	list_foreach (waiter, &pending->waiters, link)
		if (memcmp(waiter->query.question.name.wire, name->wire, name->len) == 0)
			return false;
	return true;
}

static struct pending *ask(struct dns_server *server, const struct dns_query *query, unsigned variant)
{
	if (!take_allowance(&server->forwards))
		return NULL;
	struct pending *pending = calloc(1, sizeof(*pending));
	if (!pending)
		return NULL;
	pending->server = server;
	pending->question = query->question;
	pending->variant = variant;
	list_init(&pending->waiters);
	list_append(&server->pending, &pending->link);
	if (dns_forward(server->forwarder, &query->question, query->flags, query->wants_dnssec, on_answer, pending,
		    &pending->exchange) < 0) {
		pending_free(pending);
		return NULL;
	}
	return pending;
}

/* Returns 0 once the client waits, or -errno. */
static int wait_for_others(struct dns_server *server, const struct dns_client *client, const struct dns_query *query,
	unsigned variant)
{
	struct pending *pending = find_pending(server, &query->question, variant);

	if (pending && is_loop(pending, &query->question.name))
		return -ELOOP;
	if (pending && !client->stream && waits_already(pending, client, query))
		return 0;
	if (server->waiter_count == DNS_WAITERS_MAX)
		return -EBUSY;
	struct waiter *waiter = malloc(sizeof(*waiter));
	if (waiter && !pending)
		pending = ask(server, query, variant);
	if (!waiter || !pending) {
		free(waiter);
		return -EBUSY;
	}
	waiter->client = *client;
	waiter->query = *query;
	list_append(&pending->waiters, &waiter->link);
	server->waiter_count++;
	return 0;
}

void dns_server_forget(struct dns_server *server, const struct dns_stream *stream)
{
	struct pending *pending;
	struct waiter *waiter, *following;

	list_foreach (pending, &server->pending, link)
		list_foreach_safe (waiter, following, &pending->waiters, link)
			if (waiter->client.stream == stream)
				waiter_free(server, waiter);
}

/* ---- one query */

/* What nobody is asked: other classes, and types that are no records. */
static bool is_refused(const struct dns_question *question)
{
	return question->class != DNS_IN || question->type == DNS_OPT ||
	       (question->type >= META_FIRST && question->type <= META_LAST);
}

static bool stays_here(const struct dns_server *server, const struct dns_question *question, const char *name)
{
	return server->options.has_ndots && (question->type == DNS_A || question->type == DNS_AAAA) &&
	       !strchr(name, '.');
}

size_t dns_server_take(struct dns_server *server, const struct dns_client *client, const uint8_t *data, size_t len,
	uint8_t *out, bool *ret_waits)
{
	struct dns_query query;
	const struct dns_question *question = &query.question;
	char name[DNS_TEXT_MAX];
	uint32_t age_s = 0;
	int rcode = dns_query_parse(data, len, &query);

	*ret_waits = false;
	if (rcode < 0)
		return 0;
	if (rcode > 0 || is_refused(question))
		return dns_error_render(&query, rcode ? (enum dns_rcode)rcode : DNS_REFUSED, out);
	size_t limit = limit_for(client, &query);
	bool is_name = dns_name_to_text(&question->name, name) == 0 && *name;
	if (is_name && (answer_locally(server, question, name) || stays_here(server, question, name)))
		return dns_answer_render(&server->scratch, &query, limit, 0, out);
	unsigned variant = (query.wants_dnssec ? VARIANT_DO : 0) | (query.flags & DNS_FLAG_CD ? VARIANT_CD : 0);
	const struct dns_answer *kept = dns_cache_get(server->cache, question, variant, server->busy_ms, &age_s);
	if (kept && !may_hear(server, question, kept, age_s))
		return dns_error_render(&query, DNS_SERVFAIL, out);
	if (kept)
		return dns_answer_render(kept, &query, limit, age_s, out);
	if (!server->options.forwards || wait_for_others(server, client, &query, variant) < 0)
		return dns_error_render(&query, DNS_SERVFAIL, out);
	*ret_waits = true;
	return 0;
}

/* ---- UDP, and how much is read */

void dns_server_begin_round(struct dns_server *server)
{
	server->busy_ms = clock_monotonic_ms();
	refresh(server);
}

bool dns_server_may_read(struct dns_server *server)
{
	if (take_allowance(&server->queries))
		return true;
	server->paused = true;
	loop_fd_set_events(server->udp, 0);
	loop_timer_set(server->pause, clock_monotonic_ms() + PAUSE_MS);
	return false;
}

bool dns_server_is_paused(const struct dns_server *server)
{
	return server->paused;
}

static void on_pause_end(struct loop_source *source, void *data)
{
	(void)source;
	struct dns_server *server = data;

	server->paused = false;
	loop_fd_set_events(server->udp, EPOLLIN);
	dns_streams_resume(server->streams);
}

static size_t receive(struct dns_server *server, struct dns_client clients[BATCH], size_t lens[BATCH])
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];

	for (size_t i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){ server->in[i], DNS_QUERY_MAX };
		messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_name = &clients[i].from,
							.msg_namelen = sizeof(clients[i].from),
							.msg_iov = &parts[i],
							.msg_iovlen = 1 } };
	}
	int count = recvmmsg(server->options.udp_fd, messages, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < count; i++)
		lens[i] = messages[i].msg_hdr.msg_flags & MSG_TRUNC ? 0 : messages[i].msg_len;
	return count < 0 ? 0 : (size_t)count;
}

static void send_all(struct dns_server *server, struct dns_client clients[BATCH], const size_t lens[BATCH],
	size_t count)
{
	struct mmsghdr messages[BATCH];
	struct iovec parts[BATCH];
	size_t ready = 0;

	for (size_t i = 0; i < count; i++) {
		if (lens[i] == 0)
			continue;
		parts[ready] = (struct iovec){ server->out[i], lens[i] };
		messages[ready] = (struct mmsghdr){ .msg_hdr = { .msg_name = &clients[i].from,
							    .msg_namelen = sizeof(clients[i].from),
							    .msg_iov = &parts[ready],
							    .msg_iovlen = 1 } };
		ready++;
	}
	for (size_t sent = 0; sent < ready;) {
		int n = sendmmsg(server->options.udp_fd, messages + sent, (unsigned)(ready - sent),
			MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n < 0 && errno == EAGAIN)
			return;
		sent += n > 0 ? (size_t)n : 1; /* that one can't be reached */
	}
}

static void on_udp(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	(void)events;
	struct dns_server *server = data;
	struct dns_client clients[BATCH] = { 0 };
	size_t lens[BATCH], count = receive(server, clients, lens);
	bool waits;

	dns_server_begin_round(server);
	for (size_t i = 0; i < count; i++) {
		(void)dns_server_may_read(server);
		lens[i] = lens[i] ? dns_server_take(server, &clients[i], server->in[i], lens[i], server->out[i], &waits)
				  : 0;
	}
	send_all(server, clients, lens, count);
}

/* ---- the whole */

static int open_all(struct dns_server *server)
{
	const struct dns_server_options *options = &server->options;
	int r = dns_answer_init(&server->scratch);

	if (r == 0)
		r = dns_cache_new(&server->cache);
	if (r == 0)
		r = dns_forwarder_new(server->loop, options->servers, options->server_count, &server->forwarder);
	if (r == 0)
		r = dns_streams_new(server->loop, options->tcp_fd, server, &server->streams);
	if (r == 0)
		r = loop_add_fd(server->loop, options->udp_fd, EPOLLIN, on_udp, server, &server->udp);
	if (r == 0)
		r = loop_add_timer(server->loop, LOOP_NEVER, on_pause_end, server, &server->pause);
	return r;
}

int dns_server_new(struct loop *loop, const struct dns_server_options *options, struct dns_server **ret)
{
	if (options->network_count > DNS_NETWORKS_MAX)
		return -E2BIG;
	_autofree_(dns_server) struct dns_server *server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->loop = loop;
	server->options = *options;
	list_init(&server->pending);
	for (size_t i = 0; i < options->network_count; i++)
		server->networks[i].fd = options->network_fds[i];
	allowance_init(&server->queries, DNS_QUERIES_PER_S, 100);
	allowance_init(&server->forwards, DNS_FORWARDS_PER_S, 1000);
	server->busy_ms = clock_monotonic_ms();
	int r = open_all(server);
	if (r == 0)
		*ret = TAKE(server);
	return r;
}

void dns_server_free(struct dns_server *server)
{
	if (!server)
		return;
	dns_streams_free(server->streams);
	dns_forwarder_free(server->forwarder);
	while (!list_is_empty(&server->pending))
		pending_free(container_of(server->pending.next, struct pending, link));
	dns_cache_free(server->cache);
	loop_source_free(server->udp);
	loop_source_free(server->pause);
	for (size_t i = 0; i < server->options.network_count; i++)
		dns_names_free(server->networks[i].names);
	dns_answer_finish(&server->scratch);
	free(server);
}

int64_t dns_server_busy_ms(const struct dns_server *server)
{
	return dns_forwarder_pending(server->forwarder) || dns_streams_count(server->streams) ? INT64_MAX
											      : server->busy_ms;
}

bool dns_server_is_cut_off(const struct dns_server *server)
{
	return server->cut_off;
}
