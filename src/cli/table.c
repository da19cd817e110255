#include "cli/table.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct cell {
	const char *text;
	size_t len;
	size_t width;        /* of the text, in characters */
	size_t column_width; /* 0: the last cell of its row, which belongs to no column */
};

struct row {
	size_t first; /* index of its first cell */
	size_t count; /* always at least one */
};

struct grid {
	struct cell *cells;
	struct row *rows;
	size_t row_count;
};

/* Characters, not bytes: continuation bytes of UTF-8 don't count. */
static size_t text_width(const char *text, size_t len)
{
	size_t width = 0;
	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	return width;
}

static void grid_finish(struct grid *grid)
{
	free(grid->cells);
	free(grid->rows);
}

static int grid_split(struct grid *grid, const char *text, size_t len)
{
	size_t rows = 1, cells = 1;
	for (size_t i = 0; i < len; i++) {
		rows += text[i] == '\n';
		cells += text[i] == '\n' || text[i] == '\t';
	}
	grid->cells = calloc(cells, sizeof *grid->cells);
	grid->rows = calloc(rows, sizeof *grid->rows);
	if (!grid->cells || !grid->rows)
		return -ENOMEM;

	size_t start = 0, cell = 0;
	struct row *row = grid->rows;
	for (size_t i = 0; i <= len; i++) {
		if (i < len && text[i] != '\t' && text[i] != '\n')
			continue;
		grid->cells[cell++] = (struct cell){
			.text = text + start, .len = i - start, .width = text_width(text + start, i - start)
		};
		row->count++;
		start = i + 1;
		if (i == len || text[i] == '\n') {
			grid->row_count++;
			row++;
			if (i < len)
				row->first = cell;
		}
	}
	return 0;
}

/* The block of rows from `first` that have the column: their widest cell gives the width. Returns the row after it. */
static size_t measure_block(struct grid *grid, size_t first, size_t column, struct table_layout layout)
{
	size_t widest = 0, end = first;
	for (; end < grid->row_count && grid->rows[end].count > column + 1; end++) {
		size_t width = grid->cells[grid->rows[end].first + column].width;
		widest = width > widest ? width : widest;
	}
	size_t total = widest + layout.padding > layout.min_width ? widest + layout.padding : layout.min_width;
	for (size_t i = first; i < end; i++)
		grid->cells[grid->rows[i].first + column].column_width = total;
	return end;
}

static void measure(struct grid *grid, struct table_layout layout)
{
	bool more = true;
	for (size_t column = 0; more; column++) {
		more = false;
		for (size_t row = 0; row < grid->row_count;) {
			if (grid->rows[row].count <= column + 1) {
				row++;
				continue;
			}
			more = true;
			row = measure_block(grid, row, column, layout);
		}
	}
}

static int print_cell(const struct cell *cell, struct buf *out)
{
	int ret = buf_append(out, cell->text, cell->len);
	for (size_t i = cell->width; ret == 0 && i < cell->column_width; i++)
		ret = buf_putc(out, ' ');
	return ret;
}

int table_format(const char *text, size_t len, struct table_layout layout, struct buf *out)
{
	_cleanup_(grid_finish) struct grid grid = { 0 };
	int ret = grid_split(&grid, text, len);
	if (ret < 0)
		return ret;
	measure(&grid, layout);

	for (size_t i = 0; i < grid.row_count; i++) {
		const struct row *row = &grid.rows[i];
		for (size_t k = 0; ret == 0 && k < row->count; k++)
			ret = print_cell(&grid.cells[row->first + k], out);
		if (ret == 0 && i + 1 < grid.row_count)
			ret = buf_putc(out, '\n');
		if (ret < 0)
			return ret;
	}
	return 0;
}
