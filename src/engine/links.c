#include "engine/links.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "engine/endpoints.h"
#include "engine/ports.h"
#include "network/dns_message.h"

/* Of so many ports beside each other the first and the last are said, too. */
#define RUN_MIN  3
#define URL_SIZE (INET_TEXT_SIZE + 32)

/* "name:alias", or "name", which is its own alias. */
struct link {
	char *name;
	const char *alias;       /* part of what was read */
	struct container *other; /* NULL: there is none */
};

static void link_finish(struct link *link)
{
	free(link->name);
}

static int read_link(struct engine *engine, const char *text, struct link *ret)
{
	const char *colon = strchr(text, ':');
	ret->other = NULL;
	ret->alias = colon ? colon + 1 : text;
	ret->name = strndup(text, strcspn(text, ":"));
	if (!ret->name)
		return -ENOMEM;
	if (container_find(engine, ret->name, &ret->other, NULL) < 0)
		ret->other = NULL;
	return 0;
}

static char *const *links_of(const struct container_record *record)
{
	const char *mode = record->host.network_mode;
	return mode && strcmp(mode, NETWORK_BRIDGE) == 0 ? record->host.links : NULL;
}

typedef int link_fn(const struct container *container, const struct link *link, char ***ret);

/* Those that live. */
static int each_live(const struct container *container, link_fn *fn, char ***ret)
{
	int r = 0;
	strv_foreach (text, links_of(&container->record)) {
		_cleanup_(link_finish) struct link link = { 0 };
		if (r == 0)
			r = read_link(container->engine, *text, &link);
		if (r == 0 && link.other && endpoints_are_live(link.other))
			r = fn(container, &link, ret);
	}
	return r;
}

/* Its address on the default bridge; NULL. */
static const char *address_of(const struct container *container, const struct container *other)
{
	struct network *bridge;
	if (networks_find(container->engine->networks, NETWORK_BRIDGE, &bridge, NULL) < 0 ||
		!endpoints_leg(container, bridge))
		return NULL;
	const struct record_leg *leg = endpoints_leg(other, bridge);
	return leg && leg->ipv4 && leg->ipv4[0] ? leg->ipv4 : NULL;
}

/* --- checks --- */

int links_check(struct engine *engine, const struct container_record *record, struct err **reterr)
{
	strv_foreach (text, links_of(record)) {
		_cleanup_(link_finish) struct link link = { 0 };
		if (read_link(engine, *text, &link) < 0)
			return err_oom(reterr);
		if (!link.other)
			return err_set(reterr, ERR_INVALID, 0, "could not get container for %s: No such container: %s",
				link.name, link.name);
	}
	return 0;
}

int links_check_start(const struct container *container, struct err **reterr)
{
	strv_foreach (text, links_of(&container->record)) {
		_cleanup_(link_finish) struct link link = { 0 };
		if (read_link(container->engine, *text, &link) < 0)
			return err_oom(reterr);
		if (!link.other || !container_is_running(link.other))
			return err_set(reterr, ERR_INVALID, 0, "Cannot link to a non running container: /%s AS /%s/%s",
				link.name, container->name, link.alias);
	}
	return 0;
}

/* --- /etc/hosts and the resolver --- */

static int add_hosts(const struct container *container, const struct link *link, char ***ret)
{
	const char *address = address_of(container, link->other);
	int r = address ? strv_appendf(ret, "%s:%s", link->alias, address) : 0;
	if (r == 0 && address && strcmp(link->alias, link->other->name) != 0)
		r = strv_appendf(ret, "%s:%s", link->other->name, address);
	return r;
}

int links_hosts(const struct container *container, char ***ret)
{
	return each_live(container, add_hosts, ret);
}

int links_aliases(const struct container *container, char *const *links, char ***ret)
{
	int r = 0;
	strv_foreach (text, links) {
		_cleanup_(link_finish) struct link link = { 0 };
		if (r == 0)
			r = read_link(container->engine, *text, &link);
		if (r == 0)
			r = strv_appendf(ret, "%s=%.*s", link.alias, link.other ? CONTAINER_ID_SHORT : DNS_TEXT_MAX,
				link.other ? link.other->id : link.name);
	}
	return r;
}

/* --- variables --- */

/* What they all begin with. */
static char *prefix_of(const char *alias)
{
	char *prefix = strdup(alias);
	for (char *c = prefix; c && *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
	return prefix;
}

struct said {
	const char *prefix, *address;
	char ***env;
};

/* "_80_TCP" and what follows it. */
static int say_port(const struct said *said, const struct exposed_port *port, const char *suffix, const char *value)
{
	char proto[8] = "";
	for (size_t i = 0; i < sizeof(proto) - 1 && port->proto[i]; i++)
		proto[i] = (char)toupper((unsigned char)port->proto[i]);
	return strv_appendf(said->env, "%s_PORT_%lld_%s%s=%s", said->prefix, (long long)port->number, proto, suffix,
		value);
}

static int say_place(const struct said *said, const struct exposed_port *port, const char *suffix)
{
	char url[URL_SIZE];
	snprintf(url, sizeof(url), "%s://%s:%lld", port->proto, said->address, (long long)port->number);
	return say_port(said, port, suffix, url);
}

static int say_number(const struct said *said, const struct exposed_port *port, const char *suffix)
{
	char number[24];
	snprintf(number, sizeof(number), "%lld", (long long)port->number);
	return say_port(said, port, suffix, number);
}

static int say_about(const struct said *said, const struct exposed_port *port)
{
	int r = say_port(said, port, "_ADDR", said->address);
	return r < 0 ? r : say_port(said, port, "_PROTO", port->proto);
}

static int say_run(const struct said *said, const struct exposed_port *first, const struct exposed_port *last)
{
	int r = say_place(said, first, "_START");
	if (r == 0)
		r = say_about(said, first);
	if (r == 0)
		r = say_number(said, first, "_PORT_START");
	if (r == 0)
		r = say_place(said, last, "_END");
	return r < 0 ? r : say_number(said, last, "_PORT_END");
}

static int say_runs(const struct said *said, const struct exposed_port *ports, size_t count)
{
	size_t first = 0;
	int r = 0;
	for (size_t i = 1; r == 0 && i <= count; i++) {
		if (i < count && ports[i].number == ports[i - 1].number + 1 && ports[i].proto == ports[i - 1].proto)
			continue;
		if (i - first >= RUN_MIN)
			r = say_run(said, &ports[first], &ports[i - 1]);
		first = i;
	}
	return r;
}

static int say_ports(const struct said *said, const struct exposed_port *ports, size_t count)
{
	int r = strv_appendf(said->env, "%s_PORT=%s://%s:%lld", said->prefix, ports[0].proto, said->address,
		(long long)ports[0].number);
	if (r == 0)
		r = say_runs(said, ports, count);
	for (size_t i = 0; r == 0 && i < count; i++) {
		r = say_place(said, &ports[i], "");
		if (r == 0)
			r = say_about(said, &ports[i]);
		if (r == 0)
			r = say_number(said, &ports[i], "_PORT");
	}
	return r;
}

static int say_env(const struct said *said, char *const *env)
{
	int r = 0;
	strv_foreach (entry, env) {
		bool is_every_one_s = strncmp(*entry, "PATH=", 5) == 0 || strncmp(*entry, "HOME=", 5) == 0;
		if (r == 0 && strchr(*entry, '=') && !is_every_one_s)
			r = strv_appendf(said->env, "%s_ENV_%s", said->prefix, *entry);
	}
	return r;
}

static int add_env(const struct container *container, const struct link *link, char ***ret)
{
	const struct container_config *config = &link->other->record.config;
	_cleanup_free_ char *prefix = prefix_of(link->alias);
	_cleanup_free_ struct exposed_port *ports = NULL;
	const struct said said = { prefix, address_of(container, link->other), ret };
	size_t count;
	if (!prefix || ports_exposed(config, &ports, &count) < 0)
		return -ENOMEM;
	if (!said.address)
		return 0;
	int r = count > 0 ? say_ports(&said, ports, count) : 0;
	if (r == 0)
		r = strv_appendf(ret, "%s_NAME=/%s/%s", prefix, container->name, link->alias);
	return r < 0 ? r : say_env(&said, config->env);
}

int links_env(const struct container *container, char ***ret)
{
	return each_live(container, add_env, ret);
}
