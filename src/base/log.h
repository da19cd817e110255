/*
 * Log lines on stderr: "time level program: message", one write(2) each. What is logged is for the administrator and
 * never holds a secret: no Authorization header, no environment value, no token.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

/* `program` is borrowed for ever; called once from main. */
void log_setup(const char *program, enum log_level level);
/* "debug", "info", "warn", "error"; returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret);

void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);

#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
