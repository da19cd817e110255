/*
 * table TABLE VERB: does one thing to the engine's table of nf_tables, with the documents of its standard input, in the network
 * namespace it is in. Prints how long the kernel took, in microseconds, or what is wrong.
 *
 *	networks [BRIDGE...]   networks-add [BRIDGE]   networks-remove [BRIDGE]
 *	add [ENDPOINT...]   remove [ENDPOINT...]   remove-owner
 */
#include "network/table.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "spec/lease.h"

#define OWNER "0123456789ab"

static void *read_all(const json_t *list, const struct json_table *table, size_t size, size_t *ret_count)
{
	char *items = calloc(json_array_size(list) + 1, size);
	for (size_t i = 0; items && i < json_array_size(list); i++) {
		if (json_read(table, json_array_get(list, i), items + i * size, NULL) < 0)
			abort();
	}
	*ret_count = json_array_size(list);
	return items;
}

static int run_networks(struct netlink *netlink, const char *table, const char *verb, const json_t *document,
	struct err **reterr)
{
	size_t count;
	struct lease_bridge *bridges = read_all(document, &lease_bridge_table, sizeof(*bridges), &count);
	if (strcmp(verb, "networks") == 0)
		return table_networks(netlink, table, bridges, count, reterr);
	if (strcmp(verb, "networks-add") == 0)
		return table_network_add(netlink, table, bridges, reterr);
	return table_network_remove(netlink, table, bridges, reterr);
}

static int run(struct netlink *netlink, const char *table, const char *verb, const json_t *document,
	struct err **reterr)
{
	size_t count;
	if (strncmp(verb, "networks", 8) == 0)
		return run_networks(netlink, table, verb, document, reterr);
	struct lease_endpoint *endpoints = read_all(document, &lease_endpoint_table, sizeof(*endpoints), &count);
	if (strcmp(verb, "add") == 0)
		return table_container_add(netlink, table, OWNER, endpoints, count, reterr);
	if (strcmp(verb, "remove") == 0)
		return table_container_remove(netlink, table, OWNER, endpoints, count, reterr);
	return table_owner_remove(netlink, table, OWNER, reterr);
}

int main(int argc, char **argv)
{
	struct err *err = NULL;
	struct netlink netlink;
	struct timespec before, after;
	json_t *document = json_loadf(stdin, JSON_DECODE_ANY, NULL);
	if (argc != 3 || netlink_open(&netlink, NETLINK_NETFILTER) < 0)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &before);
	int r = run(&netlink, argv[1], argv[2], document, &err);
	clock_gettime(CLOCK_MONOTONIC, &after);
	if (r < 0) {
		printf("%s\n", err_message(err));
		return 1;
	}
	printf("%lld\n", (after.tv_sec - before.tv_sec) * 1000000LL + (after.tv_nsec - before.tv_nsec) / 1000);
	return 0;
}
