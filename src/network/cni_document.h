/*
 * The documents of the Container Network Interface, version 1.0 of its specification and those from 0.3.0 on: lists of
 * plugins, which an administrator writes; results and errors, which plugins print and nobody vouches for. What is needed of
 * them is read by tables; the rest goes along as it is, from one plugin to the next.
 */
#pragma once

#include "base/err.h"
#include "codec/json.h"
#include "spec/lease.h"

/* Of a list, of a result, and of what is kept of an attachment. */
#define CNI_TEXT_MAX      (1024 * 1024)
#define CNI_PLUGINS_MAX   32
#define CNI_ADDRESSES_MAX 64
#define CNI_DEFAULT_DIR   "/etc/cni/net.d"

struct cni_config {
	char *version;
	char *name;
	bool disable_check;
	json_t **plugins; /* borrowed from `document` */
	size_t plugin_count;
	json_t *document; /* a list, whatever was read */
};

/* A list of plugins, or one alone, which becomes a list. */
int cni_config_parse(const char *text, size_t len, struct cni_config *out, struct err **reterr);
int cni_config_read(json_t *document, struct cni_config *out, struct err **reterr);
void cni_config_finish(struct cni_config *config);
const char *cni_plugin_type(const json_t *plugin);
/* `word` of the plugin's capabilities is true. */
bool cni_plugin_can(const json_t *plugin, const char *word);

/* What the last plugin said that the container has. The document is new. */
int cni_result_parse(const char *text, size_t len, json_t **ret, struct err **reterr);
/* Its first addresses of either family in the container: `address`, `prefix`, `gateway` of the lease, and its MAC. Replaces what they
 * are; nothing that is not an address gets there. -ENOMEM */
int cni_result_take(const json_t *result, const char *interface, struct lease_endpoint *endpoint);
/* A plugin's error, for a person; what it is not in the form of one is quoted shortly. */
void cni_error_print(const char *text, size_t len, char *out, size_t size);
