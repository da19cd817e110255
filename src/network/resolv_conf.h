/*
 * resolv.conf: what the host has, what the user wants, and what a container gets of both, as Docker makes it.
 *
 * On the default bridge a container has the host's servers, but for those that are the host's own loopback, which it can't
 * reach; on networks of the user's, its resolver (network/dns_server.h), which asks the host's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define RESOLV_CONF_MAX (256 * 1024)

struct resolv_conf {
	char **servers; /* addresses, as they are written */
	char **search;
	char **options;
};

/* What can't be understood is left out. -ENOMEM. */
int resolv_conf_parse(const char *text, size_t len, struct resolv_conf *ret);
void resolv_conf_finish(struct resolv_conf *conf);

/* The host's now: /etc/resolv.conf, or what systemd-resolved has behind its own server. None is an empty one. */
int resolv_conf_read_host(struct resolv_conf *ret);

/* The user's lists instead, each unless it is empty; a search of "." is none. -ENOMEM */
int resolv_conf_override(struct resolv_conf *conf, char *const *servers, char *const *search, char *const *options);
/* For a container on the default bridge: without the host's loopback, and IPv6 if it has none. The public servers that Docker has for
 * that case are there if none is left. */
int resolv_conf_for_bridge(struct resolv_conf *conf, bool has_ipv6);
/* For a container with a resolver of its own. */
int resolv_conf_for_resolver(struct resolv_conf *conf);
/* Whether somebody has set when a name is whole: with the option ndots:N. */
bool resolv_conf_has_ndots(const struct resolv_conf *conf);

int resolv_conf_print(const struct resolv_conf *conf, struct buf *out);
