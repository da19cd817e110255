/* Help texts, made from the tables. */
#pragma once

#include "base/buf.h"
#include "cli/command.h"
#include "cli/commands.h"

#define USAGE_MAX (256 * 1024)

/* "Usage:  tare ps [OPTIONS]" without the newline. */
int usage_line(const struct command *command, const char *name, struct buf *out);

/* What `tare ps --help`, `tare container --help` and `tare --help` print. Return 0, -ENOMEM or -EFBIG. */
int usage_command(const struct command *command, const char *name, struct buf *out);
int usage_group(const struct command_group *group, struct buf *out);
int usage_program(struct buf *out);
