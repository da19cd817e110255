#include "cli/ports.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "base/buf.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cli/text.h"

struct range {
	uint64_t first;
	uint64_t last;
};

/* One published spec, taken apart; the strings point into a copy of it. */
struct mapping {
	const char *address;
	const char *host_port;
	char *container_port;
	char protocol[8];
};

static int parse_range(const char *text, struct range *ret)
{
	_cleanup_free_ char *copy = strdup(text);
	if (!copy)
		return -1;
	const char *last = text_cut(copy, '-');
	if (parse_u64(copy, 65535, &ret->first) < 0 || parse_u64(last ? last : copy, 65535, &ret->last) < 0)
		return -1;
	return ret->last < ret->first ? -1 : 0;
}

/* Cuts "/protocol" off `text`: tcp unless told. */
static int take_protocol(char *text, char protocol[static 8], struct err **reterr)
{
	static const char *const known[] = { "tcp", "udp", "sctp" };
	const char *given = text_cut(text, '/');
	if (!given || !*given)
		given = "tcp";
	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		if (strcasecmp(given, known[i]) == 0) {
			strcpy(protocol, known[i]);
			return 0;
		}
	}
	return err_set(reterr, ERR_INVALID, 0, "invalid proto: %s", given);
}

static bool is_address(const char *text)
{
	struct in6_addr address;
	return inet_pton(AF_INET, text, &address) == 1 || inet_pton(AF_INET6, text, &address) == 1;
}

/* The address is all before the last two colons; one of IPv6 may stand in brackets. */
static int split_mapping(char *spec, struct mapping *ret, struct err **reterr)
{
	char *last = strrchr(spec, ':');
	*ret = (struct mapping){ .address = "", .host_port = "", .container_port = last ? last + 1 : spec };
	if (last) {
		*last = '\0';
		char *before = strrchr(spec, ':');
		ret->host_port = before ? before + 1 : spec;
		if (before) {
			*before = '\0';
			ret->address = spec;
		}
	}
	size_t len = strlen(ret->address);
	if (len > 2 && ret->address[0] == '[' && ret->address[len - 1] == ']') {
		spec[len - 1] = '\0';
		ret->address++;
	}
	if (*ret->address && !is_address(ret->address))
		return err_set(reterr, ERR_INVALID, 0, "invalid IP address: %s", ret->address);
	return take_protocol(ret->container_port, ret->protocol, reterr);
}

static int add_binding(const struct mapping *mapping, uint64_t port, const char *host_port, json_t *exposed,
	json_t *bindings, struct err **reterr)
{
	char key[32];
	snprintf(key, sizeof key, "%llu/%s", (unsigned long long)port, mapping->protocol);
	json_t *list = json_object_get(bindings, key);
	if (!list) {
		list = json_array();
		if (json_object_set_new(bindings, key, list) < 0)
			return err_oom(reterr);
	}
	if (json_object_set_new(exposed, key, json_object()) < 0 ||
		json_array_append_new(list, json_pack("{s:s,s:s}", "HostIp", mapping->address, "HostPort", host_port)) <
			0)
		return err_oom(reterr);
	return 0;
}

static int publish_mapping(const struct mapping *mapping, json_t *exposed, json_t *bindings, struct err **reterr)
{
	struct range container, host = { 0, 0 };
	bool has_host = *mapping->host_port;
	if (!*mapping->container_port)
		return err_set(reterr, ERR_INVALID, 0, "no port specified: %s<empty>", mapping->host_port);
	if (parse_range(mapping->container_port, &container) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid containerPort: %s", mapping->container_port);
	if (has_host && parse_range(mapping->host_port, &host) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid hostPort: %s", mapping->host_port);
	/* a range on the host for a single port: the engine picks one of it */
	if (has_host && container.last != container.first && container.last - container.first != host.last - host.first)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid ranges specified for container and host Ports: %s and %s", mapping->container_port,
			mapping->host_port);

	bool picks = container.first == container.last && host.first != host.last;
	for (uint64_t port = container.first; port <= container.last; port++) {
		char host_port[32] = "";
		if (has_host && picks)
			snprintf(host_port, sizeof host_port, "%llu-%llu", (unsigned long long)host.first,
				(unsigned long long)host.last);
		else if (has_host)
			snprintf(host_port, sizeof host_port, "%llu",
				(unsigned long long)(host.first + port - container.first));
		int ret = add_binding(mapping, port, host_port, exposed, bindings, reterr);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* "published=8080,target=80,protocol=udp" as the short form; NULL with *reterr. */
static char *short_form(const char *spec, struct err **reterr)
{
	_autofree_(strv) char **fields = strv_split(spec, ',');
	const char *published = "", *target = "", *protocol = "tcp";
	strv_foreach (field, fields) {
		const char *value = strchr(*field, '=');
		if (!value || value == *field) {
			err_set(reterr, ERR_INVALID, 0,
				"invalid publish opts format (should be name=value but got '%s')", *field);
			return NULL;
		}
		size_t len = (size_t)(value++ - *field);
		if (len == 9 && memcmp(*field, "published", len) == 0)
			published = value;
		else if (len == 6 && memcmp(*field, "target", len) == 0)
			target = value;
		else if (len == 8 && memcmp(*field, "protocol", len) == 0)
			protocol = value;
	}
	char *text;
	if (!fields || asprintf(&text, "%s:%s/%s", published, target, protocol) < 0) {
		err_oom(reterr);
		return NULL;
	}
	return text;
}

int ports_publish(const char *spec, json_t *exposed, json_t *bindings, struct err **reterr)
{
	_cleanup_free_ char *copy = strchr(spec, '=') ? short_form(spec, reterr) : strdup(spec);
	if (!copy)
		return strchr(spec, '=') ? -EINVAL : err_oom(reterr);
	struct mapping mapping;
	int ret = split_mapping(copy, &mapping, reterr);
	return ret < 0 ? ret : publish_mapping(&mapping, exposed, bindings, reterr);
}

int ports_expose(const char *spec, json_t *exposed, struct err **reterr)
{
	_cleanup_free_ char *copy = strdup(spec);
	if (!copy)
		return err_oom(reterr);
	char protocol[8], key[32];
	int ret = take_protocol(copy, protocol, reterr);
	if (ret < 0)
		return err_wrap(reterr, ret, "invalid range format for --expose");
	struct range range;
	if (parse_range(copy, &range) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid range format for --expose: %s", spec);
	for (uint64_t port = range.first; port <= range.last; port++) {
		snprintf(key, sizeof key, "%llu/%s", (unsigned long long)port, protocol);
		if (json_object_set_new(exposed, key, json_object()) < 0)
			return err_oom(reterr);
	}
	return 0;
}
