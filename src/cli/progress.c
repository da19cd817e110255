/*
 * On a terminal every message with an ID and a position has a line of its own, which later ones of the same ID
 * overwrite: the cursor goes up to it and back down. Any other message ends the block of such lines.
 */
#include "cli/progress.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "base/strv.h"
#include "cli/humanize.h"
#include "cli/print.h"
#include "cli/terminal.h"
#include "cli/values.h"
#include "codec/json.h"

#define BAR_WIDTH   50
#define BAR_COLUMNS 110 /* of a terminal that has room for it */
#define LINES_MAX   1000

struct progress {
	bool terminal;
	unsigned columns;
	char **lines; /* IDs, topmost first */
	struct buf out;
};

int progress_bar(int64_t current, int64_t total, unsigned columns, struct buf *out)
{
	char done[HUMAN_MAX], whole[HUMAN_MAX];
	if (current <= 0 && total <= 0)
		return 0;
	human_size((double)current, 4, done);
	human_size((double)total, 4, whole);
	if (total <= 0)
		return buf_printf(out, "%8s", done);

	int ret = 0;
	if (columns > BAR_COLUMNS) {
		int filled = current >= total ? BAR_WIDTH : (int)((double)current / (double)total * BAR_WIDTH);
		char bar[BAR_WIDTH + 1];
		memset(bar, '=', BAR_WIDTH);
		bar[BAR_WIDTH] = '\0';
		ret = buf_printf(out, "[%.*s>%*s] ", filled, bar, BAR_WIDTH - filled, "");
	}
	if (ret < 0)
		return ret;
	return current > total ? buf_printf(out, "%8s", done) : buf_printf(out, "%8s/%s", done, whole);
}

/* How many lines up the ID's own line is; a new ID gets a line below the others. */
static int find_line(struct progress *progress, const char *id, size_t *ret_up)
{
	size_t line = 0, count = strv_count(progress->lines);
	while (line < count && strcmp(progress->lines[line], id) != 0)
		line++;
	if (line == count) {
		if (count >= LINES_MAX)
			return -E2BIG;
		int ret = strv_append(&progress->lines, id);
		if (ret == 0)
			ret = buf_putc(&progress->out, '\n');
		if (ret < 0)
			return ret;
		count++;
	}
	*ret_up = count - line;
	return 0;
}

static int show_position(struct progress *progress, const char *id, const char *status, const json_t *detail)
{
	size_t up = 0;
	struct buf *out = &progress->out;
	int ret = *id ? find_line(progress, id, &up) : 0;
	if (ret == 0 && up)
		ret = buf_printf(out, "\033[%zuA", up);
	if (ret == 0)
		ret = buf_printf(out, "\033[2K\r%s%s%s ", id, *id ? ": " : "", status);
	if (ret == 0)
		ret = progress_bar(value_int(detail, "current"), value_int(detail, "total"), progress->columns, out);
	if (ret == 0)
		ret = buf_putc(out, '\r');
	return ret == 0 && up ? buf_printf(out, "\033[%zuB", up) : ret;
}

static int show_message(struct progress *progress, const json_t *message)
{
	const json_t *detail = value_at(message, "progressDetail");
	const char *id = value_string(message, "id"), *status = value_string(message, "status");
	const char *text = value_string(message, "stream");
	bool has_position = value_int(detail, "current") > 0 || value_int(detail, "total") > 0;
	if (!*text && !*status)
		return 0;
	if (!*text && progress->terminal && json_object_size(detail))
		return show_position(progress, id, status, detail);
	if (has_position && !*text)
		return 0; /* no bars but on a terminal */
	strv_free(TAKE(progress->lines));
	if (*text)
		return buf_puts(&progress->out, text);
	return buf_printf(&progress->out, "%s%s%s\n", id, *id ? ": " : "", status);
}

static int find_error(const json_t *message, struct err **reterr)
{
	const char *text = value_string(message, "errorDetail.message");
	if (!*text)
		text = value_string(message, "error");
	return *text ? err_set(reterr, ERR_INTERNAL, 0, "%s", text) : 0;
}

static void progress_finish(struct progress *progress)
{
	strv_free(progress->lines);
	buf_finish(&progress->out);
}

int progress_show(struct response *response, int fd, struct err **reterr)
{
	uint16_t columns = 80, rows;
	_cleanup_(progress_finish) struct progress progress = { .terminal = isatty(fd), .out = BUF_INIT(PRINT_MAX) };
	terminal_size(&columns, &rows);
	progress.columns = columns;
	for (;;) {
		_autojson_ json_t *message = NULL;
		int ret = response_next(response, &message, reterr);
		if (ret <= 0)
			return ret;
		ret = find_error(message, reterr);
		if (ret < 0)
			return ret;
		ret = show_message(&progress, message);
		if (ret < 0)
			return err_errno(reterr, ret, "cannot print");
		ret = progress.out.len ? io_write_full(fd, progress.out.data, progress.out.len) : 0;
		if (ret < 0)
			return err_errno(reterr, ret, "cannot print");
		buf_reset(&progress.out);
	}
}
