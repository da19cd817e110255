/* Query parameters that several resources have. */
#pragma once

#include <stdint.h>

#include "api/request.h"
#include "engine/filters.h"

/* A moment (engine/times.h); absent, "" and "0" give `fallback`. */
int param_time(const struct query *query, const char *key, int64_t fallback, int64_t *ret_ns, struct err **reterr);

/* An integer within bounds; absent or "" gives `fallback`. */
int param_int(const struct query *query, const char *key, int64_t fallback, int64_t min, int64_t max, int64_t *ret,
	struct err **reterr);

/* Every value of a parameter that may come more than once, appended. Returns 0 or -ENOMEM. */
int param_list(const struct query *query, const char *key, char ***ret);

/* The parameter "filters"; answers the request and returns NULL if it is wrong. */
struct filters *param_filters(struct request *request, const char *const *known);

/* Answers with the document of a call that returned `r`; takes the reference, borrows `err`. */
void respond_result(struct request *request, int r, int status, json_t *document, const struct err *err);
