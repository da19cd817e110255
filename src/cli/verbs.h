/* The commands, each defined in the file of its name (or of its small family: lifecycle.c has stop, kill, ...). */
#pragma once

#include "cli/command.h"

/* clang-format off */
#define VERBS(X) \
 X(attach) X(completion) X(commit) X(container_prune) X(cp) X(create) X(diff) X(doctor) X(egress) X(events) X(exec) X(export) X(help) X(history) X(image_inspect) \
 X(image_prune) X(images) X(import) X(info) X(inspect) X(container_inspect) X(kill) X(load) X(login) X(logout) X(logs) X(man) \
 X(network_connect) X(network_create) X(network_disconnect) X(network_inspect) X(network_ls) X(network_prune) X(network_rm) X(pause) \
 X(port) X(ps) X(pull) X(push) X(rename) X(restart) X(rm) X(rmi) X(run) X(start) X(stats) X(stop) \
 X(save) X(search) X(system_df) X(system_prune) X(tag) X(top) X(unpause) X(update) X(version) \
 X(volume_create) X(volume_inspect) X(volume_ls) X(volume_prune) X(volume_rm) X(wait)
/* clang-format on */

#define DECLARE_VERB(name) extern const struct command name##_command;
VERBS(DECLARE_VERB)
#undef DECLARE_VERB
