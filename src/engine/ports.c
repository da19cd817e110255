#include "engine/ports.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "engine/networks.h"

#define ANY_V4     "0.0.0.0"
#define ANY_V6     "::"
#define PROTO_SIZE 8

static bool is_set(const char *text)
{
	return text && text[0];
}

/* --- reading --- */

/* "80/tcp", "80" */
static int read_port(const char *key, int64_t *ret_port, char proto[PROTO_SIZE])
{
	char number[8];
	const char *slash = strchr(key, '/');
	size_t len = slash ? (size_t)(slash - key) : strlen(key);
	uint64_t port;
	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, key, len);
	number[len] = '\0';
	snprintf(proto, PROTO_SIZE, "%s", slash && slash[1] ? slash + 1 : "tcp");
	if (parse_u64(number, UINT16_MAX, &port) < 0 || port == 0)
		return -EINVAL;
	*ret_port = (int64_t)port;
	return 0;
}

/* "", "0", "8080", "8000-8010" */
static int read_host_port(const char *text, struct lease_port *into)
{
	char first[8];
	uint64_t low = 0, high;
	const char *dash = text ? strchr(text, '-') : NULL;
	size_t len = dash ? (size_t)(dash - text) : 0;
	into->host_port = into->choices = 0;
	if (!is_set(text))
		return 0;
	if (len >= sizeof(first))
		return -EINVAL;
	memcpy(first, text, len);
	first[len] = '\0';
	if (parse_u64(dash ? dash + 1 : text, UINT16_MAX, &high) < 0 ||
		(dash && parse_u64(first, UINT16_MAX, &low) < 0))
		return -EINVAL;
	if (dash && (low == 0 || low > high))
		return -EINVAL;
	into->host_port = (int64_t)(dash ? low : high);
	into->choices = dash && high > low ? (int64_t)(high - low + 1) : 0;
	return 0;
}

static const char *member(const json_t *binding, const char *name)
{
	return json_string_value(json_object_get(binding, name));
}

/* Everything in it is borrowed but `proto`. */
static int read_binding(const char *key, const json_t *binding, char proto[PROTO_SIZE], struct lease_port *ret,
	struct err **reterr)
{
	struct inet_address address;
	const char *host_ip = member(binding, "HostIp");
	*ret = (struct lease_port){ .proto = proto, .host_ip = (char *)host_ip, .count = 1 };
	if (read_port(key, &ret->container_port, proto) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid port specification: \"%s\"", key);
	if (read_host_port(member(binding, "HostPort"), ret) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid port specification: \"%s\"",
			member(binding, "HostPort"));
	if (is_set(host_ip) && inet_parse(host_ip, &address) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid IP address: %s", host_ip);
	return 0;
}

typedef int binding_fn(const struct lease_port *port, void *user, struct err **reterr);

static int each_of_exposed(const struct host_config *host, const struct container_config *config, binding_fn *fn,
	void *user, struct err **reterr)
{
	char proto[PROTO_SIZE];
	int r = 0;
	strv_foreach (exposed, config->exposed_ports) {
		struct lease_port port = { .proto = proto, .count = 1 };
		if (json_array_size(json_object_get(host->port_bindings, *exposed)) > 0)
			continue;
		if (r == 0 && read_port(*exposed, &port.container_port, proto) == 0)
			r = fn(&port, user, reterr);
	}
	return r;
}

/* `config` may be NULL: only bindings. */
static int each_binding(const struct host_config *host, const struct container_config *config, binding_fn *fn,
	void *user, struct err **reterr)
{
	char proto[PROTO_SIZE];
	const char *key;
	json_t *list, *binding;
	size_t i;
	int r = 0;
	json_object_foreach (host->port_bindings, key, list) {
		json_array_foreach (list, i, binding) {
			struct lease_port port;
			if (r == 0)
				r = read_binding(key, binding, proto, &port, reterr);
			if (r == 0)
				r = fn(&port, user, reterr);
		}
	}
	if (r == 0 && host->publish_all_ports && config)
		r = each_of_exposed(host, config, fn, user, reterr);
	return r;
}

static int accept_binding(const struct lease_port *port, void *user, struct err **reterr)
{
	(void)port, (void)user, (void)reterr;
	return 0;
}

int ports_check(const struct host_config *host, struct err **reterr)
{
	return each_binding(host, NULL, accept_binding, NULL, reterr);
}

bool ports_wanted(const struct host_config *host, const struct container_config *config)
{
	return json_object_size(host->port_bindings) > 0 ||
	       (host->publish_all_ports && strv_count(config->exposed_ports) > 0);
}

/* --- changes --- */

static bool is_same_text(const json_t *a, const json_t *b, const char *name)
{
	const char *x = member(a, name), *y = member(b, name);
	return strcmp(x ? x : "", y ? y : "") == 0;
}

static bool names_binding(const json_t *wanted, const json_t *binding)
{
	return !is_set(member(wanted, "HostPort")) ||
	       (is_same_text(wanted, binding, "HostPort") && is_same_text(wanted, binding, "HostIp"));
}

static int remove_binding(json_t *bindings, const char *key, const json_t *wanted, struct err **reterr)
{
	json_t *list = json_object_get(bindings, key);
	bool found = false;
	for (size_t i = json_array_size(list); i-- > 0;) {
		if (!names_binding(wanted, json_array_get(list, i)))
			continue;
		json_array_remove(list, i);
		found = true;
	}
	if (!found)
		return err_set(reterr, ERR_NOT_FOUND, 0, "port %s is not published so", key);
	if (json_array_size(list) == 0)
		json_object_del(bindings, key);
	return 0;
}

static int add_binding(json_t *bindings, const char *key, json_t *wanted, struct err **reterr)
{
	json_t *list = json_object_get(bindings, key);
	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(bindings, key, list) < 0)
			return err_oom(reterr);
	}
	return json_array_append_new(list, json_deep_copy(wanted)) < 0 ? err_oom(reterr) : 0;
}

int ports_update(const json_t *bindings, const json_t *add, const json_t *remove, json_t **ret, struct err **reterr)
{
	_autojson_ json_t *into = json_is_object(bindings) ? json_deep_copy(bindings) : json_object();
	const struct host_config added = { .port_bindings = (json_t *)add },
				 removed = { .port_bindings = (json_t *)remove };
	const char *key;
	json_t *list, *binding;
	size_t i;
	int r = into ? container_check_bindings(add, reterr) : err_oom(reterr);
	if (r == 0)
		r = container_check_bindings(remove, reterr);
	if (r == 0)
		r = ports_check(&added, reterr);
	if (r == 0)
		r = ports_check(&removed, reterr);
	json_object_foreach (removed.port_bindings, key, list) {
		json_array_foreach (list, i, binding)
			r = r < 0 ? r : remove_binding(into, key, binding, reterr);
	}
	json_object_foreach (added.port_bindings, key, list) {
		json_array_foreach (list, i, binding)
			r = r < 0 ? r : add_binding(into, key, binding, reterr);
	}
	if (r == 0)
		*ret = TAKE(into);
	return r;
}

/* --- leases --- */

struct gathered {
	struct lease_port *ports; /* texts are its own */
	size_t count;
	size_t room;
};

static void gathered_finish(struct gathered *gathered)
{
	for (size_t i = 0; i < gathered->count; i++)
		json_finish(&lease_port_table, &gathered->ports[i]);
	free(gathered->ports);
}

static int gather(const struct lease_port *port, void *user, struct err **reterr)
{
	struct gathered *gathered = user;
	if (gathered->count == gathered->room) {
		size_t room = gathered->room ? 2 * gathered->room : 16;
		struct lease_port *grown = reallocarray(gathered->ports, room, sizeof(*grown));
		if (!grown)
			return err_oom(reterr);
		gathered->ports = grown;
		gathered->room = room;
	}
	struct lease_port copy = *port;
	copy.proto = strdup(port->proto);
	copy.host_ip = strdup(port->host_ip ? port->host_ip : "");
	if (!copy.proto || !copy.host_ip) {
		free(copy.proto);
		free(copy.host_ip);
		return err_oom(reterr);
	}
	gathered->ports[gathered->count++] = copy;
	return 0;
}

static int compare(const void *a, const void *b)
{
	const struct lease_port *x = a, *y = b;
	int order = strcmp(x->proto, y->proto);
	if (order == 0)
		order = strcmp(x->host_ip, y->host_ip);
	if (order == 0)
		order = (x->container_port > y->container_port) - (x->container_port < y->container_port);
	return order ? order : (x->host_port > y->host_port) - (x->host_port < y->host_port);
}

static bool follows(const struct lease_port *before, const struct lease_port *port)
{
	return port->host_port > 0 && before->host_port > 0 && port->choices == 0 && before->choices == 0 &&
	       strcmp(before->proto, port->proto) == 0 && strcmp(before->host_ip, port->host_ip) == 0 &&
	       port->host_port == before->host_port + before->count &&
	       port->container_port == before->container_port + before->count;
}

/* Neighbours become one, and what is asked for twice is so once. */
static void unite(struct gathered *gathered)
{
	size_t kept = 0;
	if (gathered->count > 0)
		qsort(gathered->ports, gathered->count, sizeof(*gathered->ports), compare);
	for (size_t i = 0; i < gathered->count; i++) {
		struct lease_port *before = kept ? &gathered->ports[kept - 1] : NULL, *port = &gathered->ports[i];
		bool is_same = before && port->host_port > 0 && compare(before, port) == 0 &&
			       before->choices == port->choices;
		if (!is_same && !(before && follows(before, port))) {
			gathered->ports[kept++] = *port;
			continue;
		}
		before->count += is_same ? 0 : 1;
		json_finish(&lease_port_table, port);
	}
	gathered->count = kept;
}

static struct lease_endpoint *default_endpoint(struct launch_network *network, bool is_v6)
{
	for (size_t i = 0; i < network->endpoint_count; i++) {
		struct lease_endpoint *endpoint = &network->endpoints[i];
		bool is_bridge = strcmp(endpoint->driver, "bridge") == 0;
		if (is_bridge && !endpoint->internal && (is_v6 ? endpoint->ipv6.is_default : endpoint->ipv4.is_default))
			return endpoint;
	}
	return NULL;
}

/* Its plugins see to them (portmap), if it has such. */
static struct lease_endpoint *foreign_endpoint(struct launch_network *network)
{
	for (size_t i = 0; i < network->endpoint_count; i++) {
		if (lease_is_cni(&network->endpoints[i]))
			return &network->endpoints[i];
	}
	return NULL;
}

static int put(struct lease_endpoint *endpoint, const struct lease_port *port, const char *host_ip, struct err **reterr)
{
	struct lease_port *grown = reallocarray(endpoint->ports, endpoint->port_count + 1, sizeof(*grown));
	if (!grown)
		return err_oom(reterr);
	endpoint->ports = grown;
	struct lease_port copy = *port;
	copy.proto = strdup(port->proto);
	copy.host_ip = strdup(host_ip);
	grown[endpoint->port_count++] = copy;
	return copy.proto && copy.host_ip ? 0 : err_oom(reterr);
}

/* Of a binding that names no address: all, unless its network says which. NULL: none of that family. */
static const char *host_ip_of(const struct container *container, const struct lease_endpoint *endpoint, bool is_v6)
{
	const char *any = is_v6 ? ANY_V6 : ANY_V4;
	const struct network *network = endpoint ? networks_by_id(container->engine->networks, endpoint->network_id)
						 : NULL;
	const char *own = network ? network_option(network, NETWORK_OPTION_HOST_IP) : NULL;
	if (!is_set(own) || strcmp(own, ANY_V4) == 0)
		return any;
	return (strchr(own, ':') != NULL) == is_v6 ? own : NULL;
}

/* The families of a binding stand beside each other: network/published.h gives them the same port. */
static int place(const struct container *container, struct launch_network *network, const struct lease_port *port,
	struct err **reterr)
{
	struct lease_endpoint *v4 = default_endpoint(network, false), *v6 = default_endpoint(network, true);
	if (!v4 && !v6)
		v4 = foreign_endpoint(network);
	bool is_v6 = strchr(port->host_ip, ':'), is_both = !is_set(port->host_ip);
	if (!v6)
		v6 = v4;
	if (!v4)
		v4 = v6;
	int r = 0;
	const char *v4_host = is_both ? host_ip_of(container, v4, false) : is_v6 ? NULL : port->host_ip;
	const char *v6_host = is_both ? host_ip_of(container, v6, true) : is_v6 ? port->host_ip : NULL;
	if (v4 && v4_host)
		r = put(v4, port, v4_host, reterr);
	if (r == 0 && v6 && v6_host)
		r = put(v6, port, v6_host, reterr);
	return r;
}

int ports_launch(const struct container *container, struct launch_network *network, struct err **reterr)
{
	_cleanup_(gathered_finish) struct gathered gathered = { 0 };
	int r = each_binding(&container->record.host, &container->record.config, gather, &gathered, reterr);
	if (r < 0)
		return r;
	unite(&gathered);
	if (gathered.count > LEASE_PORTS_MAX / 2)
		return err_set(reterr, ERR_INVALID, 0, "too many published ports");
	for (size_t i = 0; i < gathered.count; i++)
		gathered.ports[i].through_input = container->engine->settings.ports_obey_input;
	for (size_t i = 0; r == 0 && i < gathered.count; i++)
		r = place(container, network, &gathered.ports[i], reterr);
	return r;
}

/* --- documents --- */

static int add_described(json_t *ports, const struct lease_port *port, int64_t i)
{
	char key[32], number[16];
	snprintf(key, sizeof(key), "%lld/%s", (long long)(port->container_port + i), port->proto);
	snprintf(number, sizeof(number), "%lld", (long long)(port->host_port + i));
	json_t *list = json_object_get(ports, key);
	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(ports, key, list) < 0)
			return -ENOMEM;
	}
	return json_array_append_new(list, json_pack("{s:s, s:s}", "HostIp", port->host_ip, "HostPort", number));
}

json_t *ports_describe(const struct container *container)
{
	const struct runstate *state = &container->state;
	_autojson_ json_t *ports = json_object();
	if (!ports || !container_is_running(container))
		return TAKE(ports);
	strv_foreach (exposed, container->record.config.exposed_ports)
		json_object_set_new(ports, *exposed, json_null());
	for (size_t k = 0; k < state->port_count; k++) {
		for (int64_t i = 0; i < state->ports[k].count; i++) {
			if (add_described(ports, &state->ports[k], i) < 0)
				return NULL;
		}
	}
	return TAKE(ports);
}

static bool publishes(const struct runstate *state, const char *proto, int64_t container_port)
{
	for (size_t k = 0; k < state->port_count; k++) {
		const struct lease_port *port = &state->ports[k];
		if (strcmp(port->proto, proto) == 0 && container_port >= port->container_port &&
			container_port < port->container_port + port->count)
			return true;
	}
	return false;
}

/* A constant of that spelling: what is borrowed must outlive us. */
static char *proto_word(const char *proto)
{
	static const char *const words[] = { "tcp", "udp", "sctp" };
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(words[i], proto) == 0)
			return (char *)words[i];
	}
	return (char *)"tcp";
}

int ports_summary(const struct container *container, struct port_summary **ret, size_t *ret_count)
{
	const struct runstate *state = &container->state;
	size_t count = 0, room = strv_count(container->record.config.exposed_ports);
	*ret = NULL;
	*ret_count = 0;
	if (!container_is_running(container))
		return 0;
	for (size_t k = 0; k < state->port_count; k++)
		room += (size_t)state->ports[k].count;
	struct port_summary *list = calloc(room + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t k = 0; k < state->port_count; k++) {
		const struct lease_port *port = &state->ports[k];
		for (int64_t i = 0; i < port->count; i++)
			list[count++] = (struct port_summary){ port->host_ip, port->container_port + i,
				port->host_port + i, proto_word(port->proto) };
	}
	strv_foreach (exposed, container->record.config.exposed_ports) {
		char proto[PROTO_SIZE];
		int64_t number;
		if (read_port(*exposed, &number, proto) == 0 && !publishes(state, proto, number))
			list[count++] = (struct port_summary){ .private_port = number, .type = proto_word(proto) };
	}
	*ret = list;
	*ret_count = count;
	return 0;
}

static int compare_exposed(const void *a, const void *b)
{
	const struct exposed_port *x = a, *y = b;
	bool x_first = strcmp(x->proto, "tcp") == 0, y_first = strcmp(y->proto, "tcp") == 0;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return x_first != y_first ? y_first - x_first : strcmp(x->proto, y->proto);
}

int ports_exposed(const struct container_config *config, struct exposed_port **ret, size_t *ret_count)
{
	size_t count = 0;
	struct exposed_port *list = calloc(strv_count(config->exposed_ports) + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	strv_foreach (exposed, config->exposed_ports) {
		char proto[PROTO_SIZE];
		if (read_port(*exposed, &list[count].number, proto) == 0)
			list[count++].proto = proto_word(proto);
	}
	qsort(list, count, sizeof(*list), compare_exposed);
	*ret = list;
	*ret_count = count;
	return 0;
}

bool ports_match(const struct container *container, const char *wanted)
{
	const struct runstate *state = &container->state;
	const char *proto = strchr(wanted, '/');
	unsigned first = 0, last = 0;
	int found = sscanf(wanted, "%u-%u", &first, &last);
	if (found < 2)
		last = first;
	for (size_t k = 0; found >= 1 && container_is_running(container) && k < state->port_count; k++) {
		const struct lease_port *port = &state->ports[k];
		if (strcmp(port->proto, proto ? proto + 1 : "tcp") == 0 && port->host_port <= last &&
			port->host_port + port->count > first)
			return true;
	}
	return false;
}
