#include "cli/humanize.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static void scaled(double value, double base, const char *const *units, size_t unit_count, int digits,
	char out[static HUMAN_MAX])
{
	size_t unit = 0;
	while (value >= base && unit + 1 < unit_count) {
		value /= base;
		unit++;
	}
	snprintf(out, HUMAN_MAX, "%.*g%s", digits, value, units[unit]);
}

void human_size(double bytes, int digits, char out[static HUMAN_MAX])
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB" };
	scaled(bytes, 1000, units, ARRAY_SIZE(units), digits, out);
}

void human_size_binary(double bytes, char out[static HUMAN_MAX])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB" };
	scaled(bytes, 1024, units, ARRAY_SIZE(units), 4, out);
}

/* The steps: below `limit` units of `seconds`, so many of them. Hours and minutes round, the longer ones cut. */
void human_duration(int64_t seconds, char out[static HUMAN_MAX])
{
	int64_t minutes = seconds / 60;
	int64_t hours = (seconds + 1800) / 3600;
	if (seconds < 1)
		snprintf(out, HUMAN_MAX, "Less than a second");
	else if (seconds == 1)
		snprintf(out, HUMAN_MAX, "1 second");
	else if (seconds < 60)
		snprintf(out, HUMAN_MAX, "%lld seconds", (long long)seconds);
	else if (minutes == 1)
		snprintf(out, HUMAN_MAX, "About a minute");
	else if (minutes < 60)
		snprintf(out, HUMAN_MAX, "%lld minutes", (long long)minutes);
	else if (hours == 1)
		snprintf(out, HUMAN_MAX, "About an hour");
	else if (hours < 48)
		snprintf(out, HUMAN_MAX, "%lld hours", (long long)hours);
	else if (hours < 24 * 7 * 2)
		snprintf(out, HUMAN_MAX, "%lld days", (long long)hours / 24);
	else if (hours < 24 * 30 * 2)
		snprintf(out, HUMAN_MAX, "%lld weeks", (long long)hours / 24 / 7);
	else if (hours < 24 * 365 * 2)
		snprintf(out, HUMAN_MAX, "%lld months", (long long)hours / 24 / 30);
	else
		snprintf(out, HUMAN_MAX, "%lld years", (long long)(seconds / 3600) / 24 / 365);
}

void human_time(int64_t unix_seconds, char out[static HUMAN_MAX])
{
	time_t when = (time_t)unix_seconds;
	struct tm tm;
	if (!localtime_r(&when, &tm) || !strftime(out, HUMAN_MAX, "%Y-%m-%d %H:%M:%S %z %Z", &tm))
		snprintf(out, HUMAN_MAX, "%lld", (long long)unix_seconds);
}

void human_time_rfc3339(int64_t unix_seconds, int64_t nanoseconds, char out[static HUMAN_MAX])
{
	time_t when = (time_t)unix_seconds;
	struct tm tm;
	size_t len = 0;
	if (!localtime_r(&when, &tm) || !(len = strftime(out, HUMAN_MAX, "%Y-%m-%dT%H:%M:%S", &tm))) {
		snprintf(out, HUMAN_MAX, "%lld", (long long)unix_seconds);
		return;
	}
	if (nanoseconds >= 0)
		len += (size_t)snprintf(out + len, HUMAN_MAX - len, ".%09lld", (long long)nanoseconds % 1000000000);

	long minutes = tm.tm_gmtoff / 60;
	if (minutes == 0)
		snprintf(out + len, HUMAN_MAX - len, "Z");
	else
		snprintf(out + len, HUMAN_MAX - len, "%c%02ld:%02ld", minutes < 0 ? '-' : '+', labs(minutes) / 60,
			labs(minutes) % 60);
}
