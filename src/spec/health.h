/*
 * Docker's health check, as image configs, create bodies and launch documents carry it, and its outcome, as run state and
 * inspect show it. Durations are nanoseconds; zero means "inherit", which ends up as the defaults below.
 */
#pragma once

#include "codec/json.h"

#define HEALTH_INTERVAL_DEFAULT_NS       30000000000LL
#define HEALTH_TIMEOUT_DEFAULT_NS        30000000000LL
#define HEALTH_START_INTERVAL_DEFAULT_NS 5000000000LL
#define HEALTH_RETRIES_DEFAULT           3
/* Results kept, and bytes of a probe's output kept in each. */
#define HEALTH_LOG_MAX    5
#define HEALTH_OUTPUT_MAX 4096

struct healthcheck {
	char **test; /* NULL or []: inherit; ["NONE"]; ["CMD", args...]; ["CMD-SHELL", line] */
	int64_t interval_ns;
	int64_t timeout_ns;
	int64_t start_period_ns;
	int64_t start_interval_ns;
	int64_t retries;
};

struct health_result {
	char *start; /* RFC 3339 */
	char *end;
	int64_t exit_code;
	char *output;
};

struct health {
	char *status; /* none, starting, healthy, unhealthy */
	int64_t failing_streak;
	struct health_result *log; /* the oldest first */
	size_t log_count;
};

extern const struct json_table healthcheck_table;
extern const struct json_table health_table;

/* Whether there is a command to run: something is set, and it is not ["NONE"]. */
bool healthcheck_is_active(const struct healthcheck *check);
