#include "network/dns_resolver.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "network/dns_confine.h"
#include "network/dns_server.h"

#define EXIT_USAGE 2

enum option_code { OPTION_SERVER = 256, OPTION_LINK, OPTION_TELL, OPTION_NO_FORWARD, OPTION_NDOTS, OPTION_IDLE_MS };

static const struct option long_options[] = {
	{ "server", required_argument, NULL, OPTION_SERVER },
	{ "link", required_argument, NULL, OPTION_LINK },
	{ "tell", required_argument, NULL, OPTION_TELL },
	{ "no-forward", no_argument, NULL, OPTION_NO_FORWARD },
	{ "ndots", no_argument, NULL, OPTION_NDOTS },
	{ "idle-ms", required_argument, NULL, OPTION_IDLE_MS },
	{ NULL, 0, NULL, 0 },
};

struct resolver {
	struct dns_server_options options;
	struct dns_server_address servers[DNS_SERVERS_MAX];
	int folders[DNS_NETWORKS_MAX];
	char **links;
	char **told; /* names */
	struct dns_tell tell;
	uint64_t idle_ms;
	struct loop *loop;
	struct loop_source *leash, *timer;
	struct dns_server *server;
};

/* One that can't be understood is no server; the rest may do. */
static void add_server(struct resolver *resolver, const char *text)
{
	if (resolver->options.server_count == DNS_SERVERS_MAX)
		return;
	if (dns_server_address_parse(text, &resolver->servers[resolver->options.server_count]) == 0)
		resolver->options.server_count++;
	else
		log_warn("not the address of a DNS server: %s", text);
}

static int take_option(struct resolver *resolver, int code)
{
	switch (code) {
	case OPTION_SERVER: add_server(resolver, optarg); return 0;
	case OPTION_LINK: return strv_append(&resolver->links, optarg);
	case OPTION_TELL: return strv_append(&resolver->told, optarg);
	case OPTION_NO_FORWARD: resolver->options.forwards = false; return 0;
	case OPTION_NDOTS: resolver->options.has_ndots = true; return 0;
	case OPTION_IDLE_MS: return parse_u64(optarg, INT32_MAX, &resolver->idle_ms);
	default: return -EINVAL; /* getopt has said so */
	}
}

static int parse_command_line(struct resolver *resolver, int argc, char **argv)
{
	int code, r = 0;

	while (r == 0 && (code = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		r = take_option(resolver, code);
	return r < 0 || optind != argc ? -EINVAL : 0;
}

static int take_folders(struct resolver *resolver)
{
	size_t count = 0;

	for (int fd = RESOLVER_FIRST_FOLDER; count < DNS_NETWORKS_MAX && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0; fd++)
		resolver->folders[count++] = fd;
	resolver->options.network_count = count;
	for (int fd = RESOLVER_LEASH_FD; fd < RESOLVER_FIRST_FOLDER; fd++)
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
			return -errno;
	return 0;
}

static void on_leash(struct loop_source *source, uint32_t events, void *data)
{
	(void)source;
	struct resolver *resolver = data;
	if ((events & (EPOLLRDHUP | EPOLLHUP)) || !dns_tell_drain(&resolver->tell))
		loop_quit(resolver->loop, 0);
}

static void on_timer(struct loop_source *source, void *data)
{
	struct resolver *resolver = data;
	int64_t busy_ms = dns_server_busy_ms(resolver->server), now_ms = clock_monotonic_ms();
	bool is_cut_off = dns_server_is_cut_off(resolver->server);
	int64_t patience_ms = is_cut_off ? RESOLVER_CUT_OFF_MS : (int64_t)resolver->idle_ms;

	if (busy_ms != INT64_MAX && busy_ms + patience_ms <= now_ms)
		loop_quit(resolver->loop, 0);
	else
		loop_timer_set(source,
			now_ms + (patience_ms < RESOLVER_CUT_OFF_MS ? patience_ms : RESOLVER_CUT_OFF_MS));
}

static int serve(struct resolver *resolver)
{
	int r = loop_new(&resolver->loop);

	if (r == 0)
		r = loop_add_fd(resolver->loop, RESOLVER_LEASH_FD, EPOLLIN | EPOLLRDHUP, on_leash, resolver,
			&resolver->leash);
	if (r == 0)
		r = loop_add_timer(resolver->loop, clock_monotonic_ms(), on_timer, resolver, &resolver->timer);
	if (r == 0)
		r = dns_tell_init(&resolver->tell, RESOLVER_LEASH_FD, resolver->told);
	if (r == 0)
		r = dns_server_new(resolver->loop, &resolver->options, &resolver->server);
	if (r == 0)
		r = dns_confine(resolver->folders, resolver->options.network_count);
	if (r < 0) {
		log_error("cannot begin: %s", strerrordesc_np(-r));
		return EXIT_FAILURE;
	}
	return loop_run(resolver->loop) < 0 ? EXIT_FAILURE : 0;
}

static void finish(struct resolver *resolver)
{
	dns_server_free(resolver->server);
	loop_source_free(resolver->timer);
	loop_source_free(resolver->leash);
	loop_free(resolver->loop);
	strv_free(resolver->links);
	strv_free(resolver->told);
}

int resolver_main(int argc, char **argv)
{
	struct resolver resolver = {
		.options = { .udp_fd = RESOLVER_UDP_FD, .tcp_fd = RESOLVER_TCP_FD, .forwards = true },
		.idle_ms = RESOLVER_IDLE_MS,
	};

	log_setup(RESOLVER_PROGRAM, LOG_LEVEL_WARN);
	/* One of us for each container that asks: memory goes back. */
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	mallopt(M_ARENA_MAX, 1);
	signal(SIGPIPE, SIG_IGN);
	if (parse_command_line(&resolver, argc, argv) < 0 || take_folders(&resolver) < 0) {
		fputs("tare-resolver is started by tare-monitor alone\n", stderr);
		strv_free(resolver.links);
		strv_free(resolver.told);
		return EXIT_USAGE;
	}
	resolver.options.servers = resolver.servers;
	resolver.options.network_fds = resolver.folders;
	resolver.options.links = resolver.links;
	resolver.options.tell = &resolver.tell;
	int status = serve(&resolver);
	finish(&resolver);
	_exit(status); /* shut in, without /proc: what a sanitizer does at an exit can't be done */
}
