#include "spec/health.h"

#include <string.h>

static const struct json_field healthcheck_fields[] = {
	JSON_FIELD(struct healthcheck, test, "Test", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct healthcheck, interval_ns, "Interval", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct healthcheck, timeout_ns, "Timeout", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct healthcheck, start_period_ns, "StartPeriod", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct healthcheck, start_interval_ns, "StartInterval", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct healthcheck, retries, "Retries", JSON_INT, .flags = JSON_OMITEMPTY),
};
const struct json_table healthcheck_table = JSON_TABLE(struct healthcheck, healthcheck_fields);

static const struct json_field health_result_fields[] = {
	JSON_FIELD(struct health_result, start, "Start", JSON_STRING_FIELD),
	JSON_FIELD(struct health_result, end, "End", JSON_STRING_FIELD),
	JSON_FIELD(struct health_result, exit_code, "ExitCode", JSON_INT),
	JSON_FIELD(struct health_result, output, "Output", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table health_result_table = JSON_TABLE(struct health_result, health_result_fields);

static const struct json_field health_fields[] = {
	JSON_FIELD(struct health, status, "Status", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct health, failing_streak, "FailingStreak", JSON_INT),
	JSON_FIELD_ARRAY(struct health, log, log_count, "Log", JSON_OBJECTS, .table = &health_result_table),
};
const struct json_table health_table = JSON_TABLE(struct health, health_fields);

bool healthcheck_is_active(const struct healthcheck *check)
{
	return check && check->test && check->test[0] && strcmp(check->test[0], "NONE") != 0;
}
