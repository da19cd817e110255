/* Time: monotonic for waiting, wall clock for people. Timestamps are nanoseconds since 1970 in an int64_t. */
#pragma once

#include <stdint.h>

#define NS_PER_SEC 1000000000LL
#define NS_PER_MS  1000000LL

/* "2026-11-23T20:15:00.123456789Z" and the NUL; years beyond 9999 are clamped. */
#define CLOCK_RFC3339_MAX 36

/* Docker's "never": 0001-01-01T00:00:00Z. */
#define CLOCK_NEVER INT64_MIN

int64_t clock_monotonic_ms(void);
int64_t clock_monotonic_ns(void);
int64_t clock_realtime_ns(void);

/* UTC with nanoseconds, trailing zeros cut as Go's RFC3339Nano does; CLOCK_NEVER gives the year 1. */
void clock_format_rfc3339(int64_t realtime_ns, char out[static CLOCK_RFC3339_MAX]);
/* Nine digits always, as in log files. */
void clock_format_rfc3339_fixed(int64_t realtime_ns, char out[static CLOCK_RFC3339_MAX]);

/* Accepts RFC 3339 with any offset and 0 to 9 fraction digits. Returns 0 or -EINVAL. */
int clock_parse_rfc3339(const char *text, int64_t *ret_realtime_ns);

/* Go's duration text: "1h30m", "250ms", "1.5s", "-2s"; the unit is required. Returns 0, -EINVAL or -ERANGE. */
int clock_parse_duration(const char *text, int64_t *ret_ns);
