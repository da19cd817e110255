/* The way to the engine's tables of nf_tables, for what is done there in this container's name. */
#pragma once

#include "network/table.h"

struct monitor;

/* Of listings: whose an element is. */
#define NETWORK_OWNER_SIZE 13

/* The engine's table of nf_tables, and the way to it. */
struct network_table {
	struct netlink netlink;
	char name[TABLE_NAME_SIZE];
	char owner[NETWORK_OWNER_SIZE];
};
int network_table_open(const struct monitor *monitor, struct network_table *table, struct err **reterr);
