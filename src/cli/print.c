#include "cli/print.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/io.h"

int print_out(const char *data, size_t len, struct err **reterr)
{
	int ret = len ? io_write_full(STDOUT_FILENO, data, len) : 0;
	return ret < 0 ? err_errno(reterr, ret, "cannot write to standard output") : 0;
}

int print_line(struct err **reterr, const char *format, ...)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(PRINT_MAX);
	va_list args;
	va_start(args, format);
	int ret = buf_vprintf(&line, format, args);
	va_end(args);
	if (ret == 0)
		ret = buf_putc(&line, '\n');
	return ret < 0 ? err_errno(reterr, ret, "cannot print") : print_out(line.data, line.len, reterr);
}

void print_error(const char *format, ...)
{
	_cleanup_(buf_finish) struct buf line = BUF_INIT(PRINT_MAX);
	va_list args;
	va_start(args, format);
	int ret = buf_vprintf(&line, format, args);
	va_end(args);
	if (ret == 0 && buf_putc(&line, '\n') == 0)
		io_write_full(STDERR_FILENO, line.data, line.len);
}
