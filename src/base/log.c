#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

#define LOG_LINE_MAX 4096

static struct {
	const char *program;
	enum log_level level;
} logger = { "tare", LOG_LEVEL_INFO };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

void log_setup(const char *program, enum log_level level)
{
	logger.program = program;
	logger.level = level;
}

int log_level_parse(const char *name, enum log_level *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strcmp(name, level_names[i]) == 0) {
			*ret = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void log_line(enum log_level level, const char *format, ...)
{
	if (level < logger.level)
		return;

	int saved = errno;
	char line[LOG_LINE_MAX];
	char time[CLOCK_RFC3339_MAX];
	clock_format_rfc3339(clock_realtime_ns(), time);
	int head = snprintf(line, sizeof line, "%s %s %s: ", time, level_names[level], logger.program);

	va_list args;
	va_start(args, format);
	int body = vsnprintf(line + head, sizeof line - (size_t)head - 1, format, args);
	va_end(args);
	if (body < 0)
		body = 0;
	size_t len = (size_t)head + (size_t)body;
	if (len > sizeof line - 2)
		len = sizeof line - 2;
	for (size_t i = (size_t)head; i < len; i++)
		if (line[i] == '\n')
			line[i] = ' ';
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		errno = saved; /* nobody is left to tell */
	errno = saved;
}
