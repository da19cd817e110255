/*
 * The part of Go's text/template that people use with --format: fields, variables, pipelines, if / with / range (and
 * else, break, continue), comments, trimming, and the functions of Go and of Docker's command. Not: define, template,
 * block and methods.
 *
 * Data is JSON. A member that is missing counts as empty in conditions and is an error when it is printed or looked
 * into, so a misspelt name is noticed. Templates come from the command line, data from an engine that may not be ours:
 * everything is bounded.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

#define TEMPLATE_TEXT_MAX   (64 * 1024)
#define TEMPLATE_DEPTH_MAX  64 /* of nested blocks and parentheses */
#define TEMPLATE_OUTPUT_MAX (16 * 1024 * 1024)
#define TEMPLATE_STEPS_MAX  500000 /* nodes evaluated: ends ranges within ranges */

struct template;

/* Returns ERR_INVALID "template parsing error: template: :LINE:COLUMN: ..." */
int template_parse(const char *text, struct template **ret, struct err **reterr);
void template_free(struct template *template);
DEFINE_AUTOFREE(template, struct template *, template_free);

enum template_mode {
	TEMPLATE_VALUES,
	TEMPLATE_HEADER, /* the heading of a table: text functions return their argument unchanged */
};

struct template_input {
	json_t *data;   /* the dot; borrowed */
	json_t *labels; /* what `.Label "name"` looks into, or NULL; borrowed */
	enum template_mode mode;
};

/* Appends to `out`, whose own ceiling holds too. */
int template_run(const struct template *template, const struct template_input *input, struct buf *out,
	struct err **reterr);
