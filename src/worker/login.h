/* POST /auth: asks the registry whether it takes a user's name and password. Nothing is kept: what to do with a good one is the
 * client's. */
#pragma once

#include "worker/task.h"

/* What `server_address` names, as registries are named elsewhere: "https://index.docker.io/v1/" and none at all are "docker.io",
 * "http://host:5000/v2/" is "host:5000". Returns a copy, NULL out of memory. */
char *login_server(const char *server_address);

int login_run(struct task *task, const struct handover *handover, struct err **reterr);
