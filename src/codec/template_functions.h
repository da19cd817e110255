/* The functions a template can call, but for `and` and `or`, which evaluate their arguments one by one. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "codec/template.h"

struct template_call {
	json_t *const *args; /* a missing value is NULL */
	size_t count;
	enum template_mode mode;
	const char *problem; /* set on -EINVAL: what is wrong, a sentence without a subject */
};

/* Returns 0 and a new reference, -EINVAL with `problem`, -ENOMEM or -EFBIG. */
typedef int template_function_fn(struct template_call *call, json_t **ret);

struct template_function {
	const char *name;
	size_t min_args;
	size_t max_args;
	template_function_fn *fn; /* NULL: `and`, `or` */
};

const struct template_function *template_function_find(const char *name);

/* A value as Go's %v prints it. A NULL or null value is "<no value>" by itself and "<nil>" inside another. */
int template_print_value(const json_t *value, struct buf *out);
/* Go's idea of what counts as true: not false, not zero, not empty. */
bool template_is_true(const json_t *value);
