/* The way to the engine's tables of nf_tables, for what is done there in this container's name. */
#pragma once

#include "network/table.h"

struct monitor;

/* Of listings: whose an element is. */
#define NETWORK_OWNER_SIZE 13

/* The engine's table of nf_tables, and the way to it. There is one socket for all, since the close of one to netfilter waits for RCU
 * (4 ms and more) as long as anything that anybody has deleted from a table is on its way out. */
struct network_table {
	struct netlink *netlink; /* the monitor's one: borrowed, and never closed before its end */
	char name[TABLE_NAME_SIZE];
	char owner[NETWORK_OWNER_SIZE];
};
int network_table_open(struct monitor *monitor, struct network_table *table, struct err **reterr);
