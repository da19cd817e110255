/*
 * What the machine's administrator says of registries: daemon.json, with Docker's keys, and options of tared's. It is read
 * once, at the engine's start; a file that is not understood as a whole stops the start, since half of it could mean
 * plain HTTP where TLS was wanted.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"

#define SETTINGS_DEFAULT_FILE "/etc/tare/daemon.json"

struct settings {
	char **insecure; /* "host[:port]" or a CIDR */
	char **mirrors;  /* "http[s]://host[:port][/path]/" */
};

/* `file` NULL: the default one, which may be missing. `insecure` and `mirrors` are the options', added to the file's. */
int settings_load(const char *file, char *const *insecure, char *const *mirrors, struct settings *out,
	struct err **reterr);
void settings_finish(struct settings *settings);

/* NULL-terminated, in the order they are looked into. */
extern const char *const settings_certificate_folders[];

/* GET /info's RegistryConfig, a new reference; NULL when out of memory. */
json_t *settings_registry_config(const struct settings *settings);
