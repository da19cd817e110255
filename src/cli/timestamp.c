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

/* A day, perhaps with a time, without a zone. */
static bool parse_local(const char *text, int64_t *ret_ns)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H", "%Y-%m-%d" };
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct tm tm = { .tm_isdst = -1 };
		const char *end = strptime(text, formats[i], &tm);
		if (end && !*end)
			return !__builtin_mul_overflow((int64_t)mktime(&tm), NS_PER_SEC, ret_ns);
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
