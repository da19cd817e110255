/* A container of the API's list as a row of `ps`. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"

/* *ret is a new object of the columns, in alphabetical order. */
int container_row(const json_t *container, bool truncate, json_t **ret, struct err **reterr);

/* "0.0.0.0:80->80/tcp, 443/tcp": the list's Ports, neighbouring ports drawn together; appended. 0 or -errno. */
int container_ports(const json_t *ports, struct buf *out);
