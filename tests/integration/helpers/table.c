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

static void *read_all(const json_t *list, const struct json_table *table, size_t size)
{
	char *items = calloc(json_array_size(list) + 1, size);
	for (size_t i = 0; items && i < json_array_size(list); i++) {
		if (json_read(table, json_array_get(list, i), items + i * size, NULL) < 0)
			abort();
	}
	return items;
}

static void free_all(void *items, size_t count, const struct json_table *table, size_t size)
{
	for (size_t i = 0; i < count; i++)
		json_finish(table, (char *)items + i * size);
	free(items);
}

static int run_networks(struct netlink *netlink, const char *table, const char *verb, const json_t *document,
	struct err **reterr)
{
	size_t count = json_array_size(document);
	struct lease_bridge *bridges = read_all(document, &lease_bridge_table, sizeof(*bridges));
	int r;
	if (strcmp(verb, "networks") == 0)
		r = table_networks(netlink, table, bridges, count, reterr);
	else if (strcmp(verb, "networks-add") == 0)
		r = table_network_add(netlink, table, bridges, reterr);
	else
		r = table_network_remove(netlink, table, bridges, reterr);
	free_all(bridges, count, &lease_bridge_table, sizeof(*bridges));
	return r;
}

static int run_container(struct netlink *netlink, const char *table, const char *verb, const json_t *document,
	struct err **reterr)
{
	size_t count = json_array_size(document);
	struct lease_endpoint *endpoints = read_all(document, &lease_endpoint_table, sizeof(*endpoints));
	int r;
	if (strcmp(verb, "add") == 0)
		r = table_container_add(netlink, table, OWNER, endpoints, count, reterr);
	else if (strcmp(verb, "remove") == 0)
		r = table_container_remove(netlink, table, OWNER, endpoints, count, reterr);
	else
		r = table_owner_remove(netlink, table, OWNER, reterr);
	free_all(endpoints, count, &lease_endpoint_table, sizeof(*endpoints));
	return r;
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
	int r = (strncmp(argv[2], "networks", 8) == 0 ? run_networks : run_container)(&netlink, argv[1], argv[2],
		document, &err);
	clock_gettime(CLOCK_MONOTONIC, &after);
	netlink_close(&netlink);
	json_decref(document);
	if (r < 0) {
		printf("%s\n", err_message(err));
		err_free(err);
		return 1;
	}
	printf("%lld\n", (after.tv_sec - before.tv_sec) * 1000000LL + (after.tv_nsec - before.tv_nsec) / 1000);
	return 0;
}
