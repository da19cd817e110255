#include "cli/listing.h"

#include <string.h>

#include "base/strv.h"
#include "cli/print.h"
#include "cli/table.h"
#include "codec/json.h"

/* "\t" and "\n" written as two characters mean the one. */
static void unescape(char *text)
{
	char *to = text;
	for (const char *from = text; *from; from++) {
		if (from[0] == '\\' && (from[1] == 't' || from[1] == 'n'))
			*to++ = *++from == 't' ? '\t' : '\n';
		else
			*to++ = *from;
	}
	*to = '\0';
}

/* What --format means: the template, and whether it is a table's. */
static const char *choose(const struct listing_kind *kind, const char *format, bool quiet, bool *ret_table)
{
	*ret_table = false;
	if (quiet)
		return kind->quiet;
	if (!format || !*format || strcmp(format, "table") == 0) {
		*ret_table = true;
		return kind->table;
	}
	if (strcmp(format, "json") == 0)
		return "{{json .}}";
	if (strncmp(format, "table", 5) == 0 && strchr(" \t{\\", format[5])) {
		*ret_table = true;
		return format + 5;
	}
	return format;
}

int listing_init(struct listing *listing, const struct listing_kind *kind, const char *format, bool quiet,
	struct err **reterr)
{
	*listing = (struct listing){ .kind = kind, .rows = BUF_INIT(PRINT_MAX) };
	const char *chosen = choose(kind, format, quiet, &listing->is_table);
	chosen += strspn(chosen, " ");
	_cleanup_free_ char *text = strdup(chosen);
	if (!text)
		return err_oom(reterr);
	for (size_t len = strlen(text); len && text[len - 1] == ' ';)
		text[--len] = '\0';
	unescape(text);
	return template_parse(text, &listing->template, reterr);
}

void listing_finish(struct listing *listing)
{
	template_free(listing->template);
	buf_finish(&listing->rows);
}

bool listing_uses(const char *format, const char *column)
{
	return format && strstr(format, column);
}

static int add_row(struct listing *listing, const struct template_input *input, struct err **reterr)
{
	int ret = template_run(listing->template, input, &listing->rows, reterr);
	if (ret < 0)
		return ret;
	ret = buf_putc(&listing->rows, '\n');
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : 0;
}

int listing_add(struct listing *listing, json_t *row, json_t *labels, struct err **reterr)
{
	const struct template_input input = { .data = row, .labels = labels };
	return add_row(listing, &input, reterr);
}

/* The headings are one more row, made of the same template, before the others. */
static int print_table(struct listing *listing, struct err **reterr)
{
	_autojson_ json_t *headings = json_object();
	for (size_t i = 0; i < listing->kind->column_count; i++) {
		const struct listing_column *column = &listing->kind->columns[i];
		if (json_object_set_new(headings, column->name, json_string(column->heading)) < 0)
			return err_oom(reterr);
	}
	_cleanup_(buf_finish) struct buf rows = listing->rows, out = BUF_INIT(PRINT_MAX);
	buf_init(&listing->rows, PRINT_MAX);
	const struct template_input input = { .data = headings, .mode = TEMPLATE_HEADER };
	int ret = add_row(listing, &input, reterr);
	if (ret < 0)
		return ret;
	ret = rows.len ? buf_append(&listing->rows, rows.data, rows.len) : 0;
	if (ret == 0)
		ret = table_format(listing->rows.data, listing->rows.len, TABLE_LIST, &out);
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(out.data, out.len, reterr);
}

int listing_print(struct listing *listing, struct err **reterr)
{
	if (listing->is_table)
		return print_table(listing, reterr);
	return print_out(listing->rows.data, listing->rows.len, reterr);
}
