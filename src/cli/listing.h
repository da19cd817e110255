/*
 * Lists of things (containers, images, ...) as a table or in the form that --format asks for. A row is a JSON object of
 * strings whose members are the columns, in alphabetical order.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "codec/template.h"

struct listing_column {
	const char *name;    /* ".Names" */
	const char *heading; /* "NAMES" */
};

struct listing_kind {
	const char *table; /* columns shown without --format: "{{.ID}}\t{{.Image}}" */
	const char *quiet; /* with --quiet: "{{.ID}}" */
	const struct listing_column *columns;
	size_t column_count;
};

struct listing {
	const struct listing_kind *kind;
	struct template *template;
	bool is_table;
	struct buf rows;
};

/* `format` may be NULL. listing_finish is due even if this fails. */
int listing_init(struct listing *listing, const struct listing_kind *kind, const char *format, bool quiet,
	struct err **reterr);
void listing_finish(struct listing *listing);

/* Whether the template has the column, so that what is costly need not be asked for. */
bool listing_uses(const char *format, const char *column);

/* Borrows `row`, and `labels` for {{.Label "name"}} (may be NULL). */
int listing_add(struct listing *listing, json_t *row, json_t *labels, struct err **reterr);
int listing_print(struct listing *listing, struct err **reterr);
