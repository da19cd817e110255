/* Sizes and times as Docker's command prints them: people's scripts compare the text. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HUMAN_MAX 64

/* Decimal units, `digits` significant ones: "7.66MB", "0B", "1.5kB". */
void human_size(double bytes, int digits, char out[static HUMAN_MAX]);
/* Binary units with four digits: "1.952GiB". */
void human_size_binary(double bytes, char out[static HUMAN_MAX]);

/* "Less than a second", "5 seconds", "About a minute", ..., "3 years". */
void human_duration(int64_t seconds, char out[static HUMAN_MAX]);

/* "2026-11-23 20:15:00 +0100 CET": a Unix time in the local zone, as Go prints one. */
void human_time(int64_t unix_seconds, char out[static HUMAN_MAX]);
/* "2026-11-23T20:15:00+01:00"; `nanoseconds` below 0 leaves the fraction out, else nine digits. */
void human_time_rfc3339(int64_t unix_seconds, int64_t nanoseconds, char out[static HUMAN_MAX]);
