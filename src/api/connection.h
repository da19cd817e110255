/* One client's connection: see connection.c. */
#pragma once

#include "base/list.h"

struct connection;
struct server;

/* Takes `fd` (also on failure). Returns 0 or -ENOMEM. */
int connection_new(struct server *server, int fd);
void connection_free(struct connection *connection);
struct connection *connection_of(struct list *link);
