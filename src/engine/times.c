#include "engine/times.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"

#define SECONDS_MAX (INT64_MAX / NS_PER_SEC - 1)

/* Seconds with an optional fraction, which is cut to nanoseconds. */
static int parse_unix(const char *text, int64_t *ret_ns)
{
	char whole[24];
	const char *dot = strchrnul(text, '.');
	size_t len = (size_t)(dot - text);
	int64_t seconds, fraction = 0;
	if (len >= sizeof(whole))
		return -EINVAL;
	memcpy(whole, text, len);
	whole[len] = '\0';
	int r = parse_i64(whole, 0, SECONDS_MAX, &seconds);
	if (r < 0)
		return r;
	if (*dot) {
		char digits[10] = "000000000";
		size_t given = strlen(dot + 1);
		if (given == 0 || strspn(dot + 1, "0123456789") != given)
			return -EINVAL;
		memcpy(digits, dot + 1, given < 9 ? given : 9);
		fraction = strtoll(digits, NULL, 10);
	}
	*ret_ns = seconds * NS_PER_SEC + fraction;
	return 0;
}

/* "2026-11-23", "2026-11-23T10:00", "2026-11-23T10:00:00": what is missing is zero, and the zone is UTC. */
static int parse_date(const char *text, int64_t *ret_ns)
{
	static const char rest[] = "0000-00-00T00:00:00Z";
	char full[sizeof(rest)];
	size_t len = strlen(text);
	if (clock_parse_rfc3339(text, ret_ns) == 0)
		return 0;
	if (len != 10 && len != 13 && len != 16 && len != 19)
		return -EINVAL;
	memcpy(full, text, len);
	memcpy(full + len, rest + len, sizeof(rest) - len);
	return clock_parse_rfc3339(full, ret_ns);
}

int times_parse(const char *text, const char *what, int64_t *ret_ns, struct err **reterr)
{
	int64_t duration_ns;
	if (parse_unix(text, ret_ns) == 0 || parse_date(text, ret_ns) == 0)
		return 0;
	if (clock_parse_duration(text, &duration_ns) == 0) {
		*ret_ns = clock_realtime_ns() - duration_ns;
		return 0;
	}
	if (strcmp(what, "until") == 0)
		return err_set(reterr, ERR_INVALID, 0, "failed to parse value as time or duration: \"%s\"", text);
	return err_set(reterr, ERR_INVALID, 0, "invalid value for \"%s\": %s is neither a time nor a duration", what,
		text);
}

int times_until(const struct filters *filters, int64_t *ret_ns, struct err **reterr)
{
	char *const *values = filters_values(filters, "until");
	*ret_ns = INT64_MAX;
	if (!values)
		return 0;
	if (strv_count(values) > 1)
		return err_set(reterr, ERR_INVALID, 0, "more than one until filter specified");
	return times_parse(values[0], "until", ret_ns, reterr);
}

void times_human(int64_t ns, char out[static TIMES_HUMAN_MAX])
{
	long long seconds = ns / NS_PER_SEC;
	long long minutes = seconds / 60, hours = (minutes + 30) / 60, days = hours / 24;
	if (seconds < 1)
		snprintf(out, TIMES_HUMAN_MAX, "Less than a second");
	else if (seconds == 1)
		snprintf(out, TIMES_HUMAN_MAX, "1 second");
	else if (seconds < 60)
		snprintf(out, TIMES_HUMAN_MAX, "%lld seconds", seconds);
	else if (minutes == 1)
		snprintf(out, TIMES_HUMAN_MAX, "About a minute");
	else if (minutes < 60)
		snprintf(out, TIMES_HUMAN_MAX, "%lld minutes", minutes);
	else if (hours == 1)
		snprintf(out, TIMES_HUMAN_MAX, "About an hour");
	else if (hours < 48)
		snprintf(out, TIMES_HUMAN_MAX, "%lld hours", hours);
	else if (days < 14)
		snprintf(out, TIMES_HUMAN_MAX, "%lld days", days);
	else if (days < 60)
		snprintf(out, TIMES_HUMAN_MAX, "%lld weeks", days / 7);
	else if (days < 730)
		snprintf(out, TIMES_HUMAN_MAX, "%lld months", days / 30);
	else
		snprintf(out, TIMES_HUMAN_MAX, "%lld years", days / 365);
}
