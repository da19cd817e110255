/*
 * What each record of a container's log says of it, as the options labels, labels-regex, env, env-regex and tag ask for:
 * some of its labels, then of its variables, and a tag, which is a template (codec/template.h) over its ID, names and command.
 */
#pragma once

#include "engine/container.h"

/* Whether records of this log's driver have attributes. */
bool log_attrs_has(const struct log_config *log);
/* A JSON object on one line, or NULL if nothing is asked for. `env`: the container's variables. ERR_INVALID also if it is
 * longer than LAUNCH_LOG_ATTRS_MAX. */
int log_attrs_make(const struct container *container, char *const *env, char **ret, struct err **reterr);
/* Whether the patterns and the template can be read. */
int log_attrs_check(const struct log_config *log, struct err **reterr);
