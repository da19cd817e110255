#include "cli/timestamp.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "codec/query.h"

static void print_ns(int64_t ns, char out[static TIMESTAMP_MAX])
{
	int64_t seconds = ns / NS_PER_SEC, rest = ns % NS_PER_SEC;
	if (rest < 0) {
		rest += NS_PER_SEC;
		seconds--;
	}
	snprintf(out, TIMESTAMP_MAX, "%lld.%09lld", (long long)seconds, (long long)rest);
}

static bool is_unix_time(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	if (!whole || whole > 18)
		return false;
	if (!text[whole])
		return true;
	size_t digits = text[whole] == '.' ? strspn(text + whole + 1, "0123456789") : 0;
	return digits && digits <= 9 && !text[whole + 1 + digits];
}

/* A day, perhaps with a time, without a zone: what is missing is said as if it were UTC, and what that says is then a local time. (strptime
 * would be 14 kB of a static program.) */
static bool parse_local(const char *text, int64_t *ret_ns)
{
	static const char *const missing[] = { "Z", ":00Z", ":00:00Z", "T00:00:00Z" };
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
		char whole[TIMESTAMP_MAX];
		int64_t ns;
		int len = snprintf(whole, sizeof whole, "%s%s", text, missing[i]);
		if (len >= (int)sizeof whole || clock_parse_rfc3339(whole, &ns) < 0)
			continue;
		int64_t rest = (ns % NS_PER_SEC + NS_PER_SEC) % NS_PER_SEC;
		time_t seconds = (ns - rest) / NS_PER_SEC;
		struct tm tm;
		if (!gmtime_r(&seconds, &tm))
			return false;
		tm.tm_isdst = -1;
		return !__builtin_mul_overflow((int64_t)mktime(&tm), NS_PER_SEC, ret_ns) &&
		       !__builtin_add_overflow(*ret_ns, rest, ret_ns);
	}
	return false;
}

int timestamp_parse(const char *text, char out[static TIMESTAMP_MAX], struct err **reterr)
{
	int64_t ns;
	if (is_unix_time(text))
		snprintf(out, TIMESTAMP_MAX, "%s", text);
	else if (clock_parse_duration(text, &ns) == 0)
		print_ns(clock_realtime_ns() - ns, out);
	else if (clock_parse_rfc3339(text, &ns) == 0 || parse_local(text, &ns))
		print_ns(ns, out);
	else
		return err_set(reterr, ERR_INVALID, 0,
			"invalid value for a time: \"%s\": expected a time such as "
			"2026-11-23T20:15:00Z, seconds since 1970, or how long ago, such as 42m",
			text);
	return 0;
}

int timestamp_append(struct buf *path, const char *key, const char *text, struct err **reterr)
{
	char timestamp[TIMESTAMP_MAX];
	if (!text)
		return 0;
	int ret = timestamp_parse(text, timestamp, reterr);
	if (ret < 0)
		return ret;
	return query_append(path, key, timestamp) < 0 ? err_oom(reterr) : 0;
}
