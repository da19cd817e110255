/*
 * Columns aligned with spaces: cells end at a tab, rows at a newline. A column's width is that of the widest cell in
 * the block of neighbouring rows that have the column at all; the last cell of a row belongs to no column. This is how
 * Go's tabwriter lays out text, so a table looks as the same table of Docker's command does.
 */
#pragma once

#include "base/buf.h"

struct table_layout {
	size_t min_width; /* of a column, padding included */
	size_t padding;   /* after the widest cell */
};

/* Docker's lists, and its `version`. */
#define TABLE_LIST    ((struct table_layout){ .min_width = 10, .padding = 3 })
#define TABLE_VERSION ((struct table_layout){ .min_width = 20, .padding = 1 })
/* The processes of a container. */
#define TABLE_TOP ((struct table_layout){ .min_width = 20, .padding = 3 })

/* Appends `text`, laid out, to `out`. Returns 0, -ENOMEM or -EFBIG. */
int table_format(const char *text, size_t len, struct table_layout layout, struct buf *out);
