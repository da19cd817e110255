/* Signals by name and number, as `docker kill -s` and STOPSIGNAL accept them. */
#pragma once

/* "SIGTERM", "term", "15", "RTMIN+3", "SIGRTMAX-1", any case. Returns 1 to 64, or -EINVAL. */
int signal_parse(const char *text);

/* "SIGTERM", "SIGRTMIN+3" (up to +15) or "SIGRTMAX-14" (above), as signal_parse takes back; out of range: the number. */
#define SIGNAL_NAME_MAX 16
void signal_format(int signo, char out[static SIGNAL_NAME_MAX]);

/* Every signal is let through and does what it does by default; also those that a C library keeps for itself. Calls nothing but the
 * kernel, so a process that lives in another's memory may. */
void signals_reset(void);
