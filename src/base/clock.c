#include "base/clock.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t clock_read_ns(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return now.tv_sec * NS_PER_SEC + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
	return clock_read_ns(CLOCK_MONOTONIC);
}

int64_t clock_monotonic_ms(void)
{
	return clock_monotonic_ns() / NS_PER_MS;
}

int64_t clock_realtime_ns(void)
{
	return clock_read_ns(CLOCK_REALTIME);
}

/*
 * The calendar, since libc's brings its time zones along, and with them a good part of libc into every static program. Years
 * begin in March here, so that the leap day is the last of its year; 400 of them are a cycle.
 */
#define YEARS_PER_CYCLE   400
#define DAYS_PER_CYCLE    146097
#define DAYS_BEFORE_EPOCH 719468 /* from 0000-03-01 to 1970-01-01 */
#define SECONDS_PER_DAY   86400

static int64_t floor_div(int64_t value, int64_t by)
{
	return value / by - (value % by < 0);
}

/* Of that many years of the cycle. */
static int64_t days_of_years(int64_t years)
{
	return years * 365 + years / 4 - years / 100;
}

static int64_t date_to_days(int64_t year, int month, int day)
{
	int64_t march_year = month > 2 ? year : year - 1;
	int64_t cycle = floor_div(march_year, YEARS_PER_CYCLE);
	int march_month = (month + 9) % 12;
	int64_t days = days_of_years(march_year - cycle * YEARS_PER_CYCLE) + (153 * march_month + 2) / 5 + day - 1;
	return cycle * DAYS_PER_CYCLE + days - DAYS_BEFORE_EPOCH;
}

static void date_from_days(int64_t days, struct tm *ret)
{
	int64_t cycle = floor_div(days + DAYS_BEFORE_EPOCH, DAYS_PER_CYCLE);
	int64_t rest = days + DAYS_BEFORE_EPOCH - cycle * DAYS_PER_CYCLE;
	int64_t years = rest / 365;
	while (years == YEARS_PER_CYCLE || days_of_years(years) > rest)
		years--;
	int day = (int)(rest - days_of_years(years));
	int march_month = (5 * day + 2) / 153;
	ret->tm_mday = day - (153 * march_month + 2) / 5 + 1;
	ret->tm_mon = (march_month + 2) % 12;
	ret->tm_year = (int)(cycle * YEARS_PER_CYCLE + years - 1900) + (march_month >= 10);
}

static void date_from_seconds(int64_t seconds, struct tm *ret)
{
	int64_t days = floor_div(seconds, SECONDS_PER_DAY);
	int rest = (int)(seconds - days * SECONDS_PER_DAY);
	date_from_days(days, ret);
	ret->tm_hour = rest / 3600;
	ret->tm_min = rest / 60 % 60;
	ret->tm_sec = rest % 60;
}

static int64_t date_to_seconds(const struct tm *tm)
{
	int64_t days = date_to_days(tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday);
	return days * SECONDS_PER_DAY + tm->tm_hour * 3600 + tm->tm_min * 60 + tm->tm_sec;
}

void clock_format_rfc3339_fixed(int64_t realtime_ns, char out[static CLOCK_RFC3339_MAX])
{
	if (realtime_ns == CLOCK_NEVER) {
		strcpy(out, "0001-01-01T00:00:00.000000000Z");
		return;
	}
	int64_t seconds = realtime_ns / NS_PER_SEC;
	long fraction = realtime_ns % NS_PER_SEC;
	if (fraction < 0) {
		fraction += NS_PER_SEC;
		seconds--;
	}
	struct tm tm;
	date_from_seconds(seconds, &tm);
	snprintf(out, CLOCK_RFC3339_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%09luZ", (unsigned)(tm.tm_year + 1900) % 10000,
		(unsigned)(tm.tm_mon + 1) % 100, (unsigned)tm.tm_mday % 100, (unsigned)tm.tm_hour % 100,
		(unsigned)tm.tm_min % 100, (unsigned)tm.tm_sec % 100, (unsigned long)fraction);
}

void clock_format_rfc3339(int64_t realtime_ns, char out[static CLOCK_RFC3339_MAX])
{
	clock_format_rfc3339_fixed(realtime_ns, out);
	char *end = out + strlen(out) - 1; /* at the Z */
	while (end[-1] == '0')
		end--;
	if (end[-1] == '.')
		end--;
	strcpy(end, "Z");
}

/* Exactly `count` digits at *text, advancing it; -1 if they are not there. */
static int take_digits(const char **text, int count)
{
	int value = 0;
	for (int i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return -1;
		value = value * 10 + (**text - '0');
	}
	return value;
}

static bool take_char(const char **text, const char *accepted)
{
	if (!**text || !strchr(accepted, **text))
		return false;
	(*text)++;
	return true;
}

static int take_offset(const char **text, int64_t *ret_seconds)
{
	if (take_char(text, "Zz")) {
		*ret_seconds = 0;
		return 0;
	}
	int sign = **text == '-' ? -1 : 1;
	if (!take_char(text, "+-"))
		return -EINVAL;
	int hours = take_digits(text, 2);
	if (!take_char(text, ":"))
		return -EINVAL;
	int minutes = take_digits(text, 2);
	if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
		return -EINVAL;
	*ret_seconds = sign * (hours * 3600 + minutes * 60);
	return 0;
}

int clock_parse_rfc3339(const char *text, int64_t *ret_realtime_ns)
{
	struct tm tm = { 0 };
	int year = take_digits(&text, 4);
	bool dash1 = take_char(&text, "-");
	int month = dash1 ? take_digits(&text, 2) : -1;
	bool dash2 = take_char(&text, "-");
	tm.tm_mday = dash2 ? take_digits(&text, 2) : -1;
	bool has_t = take_char(&text, "Tt ");
	tm.tm_hour = has_t ? take_digits(&text, 2) : -1;
	bool colon1 = take_char(&text, ":");
	tm.tm_min = colon1 ? take_digits(&text, 2) : -1;
	bool colon2 = take_char(&text, ":");
	tm.tm_sec = colon2 ? take_digits(&text, 2) : -1;
	if (year < 0 || month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 || tm.tm_hour < 0 ||
		tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 || tm.tm_sec < 0 || tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;

	int64_t fraction = 0;
	if (take_char(&text, ".")) {
		int64_t scale = NS_PER_SEC / 10;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		for (; *text >= '0' && *text <= '9'; text++, scale /= 10)
			fraction += (*text - '0') * scale;
	}
	int64_t offset;
	if (take_offset(&text, &offset) < 0 || *text)
		return -EINVAL;
	if (year <= 1) {
		*ret_realtime_ns = CLOCK_NEVER;
		return 0;
	}
	int64_t seconds = date_to_seconds(&tm) - offset;
	if (__builtin_mul_overflow(seconds, NS_PER_SEC, &seconds) ||
		__builtin_add_overflow(seconds, fraction, ret_realtime_ns))
		return -EINVAL;
	return 0;
}

int clock_parse_duration(const char *text, int64_t *ret_ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = { { "ns", 1 }, { "us", 1e3 }, { "\xc2\xb5s", 1e3 }, { "ms", 1e6 }, { "s", 1e9 }, { "m", 60e9 },
		{ "h", 3600e9 } };
	double total = 0;
	bool negative = *text == '-';

	if (*text == '-' || *text == '+')
		text++;
	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*text)
		return -EINVAL;
	while (*text) {
		double value = 0, scale = 1;
		const char *digits = text;
		for (; *text >= '0' && *text <= '9'; text++)
			value = value * 10 + (*text - '0');
		bool any = text != digits;
		if (*text == '.')
			for (text++; *text >= '0' && *text <= '9'; text++, any = true)
				value += (*text - '0') * (scale /= 10);
		if (!any)
			return -EINVAL;
		size_t len = strcspn(text, "0123456789.");
		double unit_ns = 0;
		for (size_t i = 0; i < sizeof units / sizeof *units; i++)
			if (strlen(units[i].unit) == len && strncmp(units[i].unit, text, len) == 0)
				unit_ns = units[i].ns;
		if (unit_ns == 0)
			return -EINVAL;
		text += len;
		total += value * unit_ns;
	}
	if (total >= 9.2e18)
		return -ERANGE;
	*ret_ns = (int64_t)(negative ? -total : total);
	return 0;
}
