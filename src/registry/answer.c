#include "registry/answer.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/parse.h"

#define HEADER_VALUE_SIZE 8192

void answer_finish(struct answer *answer)
{
	free(answer->content_type);
	free(answer->content_digest);
	free(answer->etag);
	free(answer->location);
	free(answer->next);
	challenge_finish(&answer->challenge);
	memset(answer, 0, sizeof(*answer));
}

static void forget(struct answer *answer)
{
	size_t bytes = answer->bytes;
	unsigned lines = answer->lines;

	answer_finish(answer);
	*answer = (struct answer){ .content_length = -1,
		.range_start = -1,
		.range_end = -1,
		.retry_after_ms = -1,
		.bytes = bytes,
		.lines = lines };
}

void answer_reset(struct answer *answer)
{
	forget(answer);
	answer->bytes = answer->lines = 0;
}

/* The number at the start of `text`, which ends with `end` there. */
static int64_t leading_number(const char *text, char end)
{
	int64_t number;
	char digits[24];
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len >= sizeof(digits) || text[len] != end)
		return -1;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
	return parse_i64(digits, 0, INT64_MAX, &number) < 0 ? -1 : number;
}

/* "bytes 100-199/200" */
static int64_t content_range_start(const char *value)
{
	return strncasecmp(value, "bytes ", 6) == 0 ? leading_number(value + 6, '-') : -1;
}

/* "0-99", by some "bytes=0-99": what an upload has so far. */
static int64_t upload_range_end(const char *value)
{
	if (strncasecmp(value, "bytes=", 6) == 0)
		value += 6;
	return strncmp(value, "0-", 2) == 0 ? leading_number(value + 2, '\0') : -1;
}

/* Seconds, or a date; what is senseless is no wish. */
static int64_t retry_after_ms(const char *value)
{
	int64_t seconds;

	if (parse_i64(value, 0, INT32_MAX, &seconds) < 0) {
		time_t date = curl_getdate(value, NULL);
		if (date == (time_t)-1)
			return -1;
		seconds = (int64_t)date - clock_realtime_ns() / NS_PER_SEC;
	}
	if (seconds < 0)
		return -1;
	return seconds > RETRY_PAUSE_MAX / 1000 ? RETRY_PAUSE_MAX : seconds * 1000;
}

static int keep(char **member, const char *value)
{
	if (*member)
		return 0;
	*member = strdup(value);
	return *member ? 0 : -ENOMEM;
}

/* Among the parameters that follow an address, up to the next address. */
static bool is_next(const char *parameters)
{
	const char *end = strchrnul(parameters, '<');
	const char *relation = strcasestr(parameters, "rel=");

	if (!relation || relation > end)
		return false;
	relation += strlen("rel=");
	relation += *relation == '"';
	return strncasecmp(relation, "next", 4) == 0 && !isalnum((unsigned char)relation[4]);
}

/* "<address>; rel="next", <...>; ..." (RFC 8288) */
static int take_link(struct answer *answer, const char *value)
{
	while ((value = strchr(value, '<'))) {
		const char *end = strchr(value, '>');
		if (!end)
			return 0;
		if (is_next(end) && !answer->next) {
			answer->next = strndup(value + 1, (size_t)(end - value - 1));
			return answer->next ? 0 : -ENOMEM;
		}
		value = end;
	}
	return 0;
}

static int take_header(struct answer *answer, const char *name, const char *value)
{
	if (strcasecmp(name, "Content-Type") == 0)
		return keep(&answer->content_type, value);
	if (strcasecmp(name, "Docker-Content-Digest") == 0)
		return keep(&answer->content_digest, value);
	if (strcasecmp(name, "ETag") == 0)
		return *value == '"' && strlen(value) < ANSWER_ETAG_SIZE ? keep(&answer->etag, value) : 0;
	if (strcasecmp(name, "Location") == 0)
		return keep(&answer->location, value);
	if (strcasecmp(name, "Link") == 0)
		return take_link(answer, value);
	if (strcasecmp(name, "WWW-Authenticate") == 0)
		return challenge_parse(value, &answer->challenge) == -ENOMEM ? -ENOMEM : 0;
	if (strcasecmp(name, "Content-Range") == 0)
		answer->range_start = content_range_start(value);
	if (strcasecmp(name, "Range") == 0)
		answer->range_end = upload_range_end(value);
	if (strcasecmp(name, "Content-Length") == 0 && parse_i64(value, 0, INT64_MAX, &answer->content_length) < 0)
		answer->content_length = -1;
	if (strcasecmp(name, "Retry-After") == 0)
		answer->retry_after_ms = retry_after_ms(value);
	if (strcasecmp(name, "Content-Encoding") == 0 && strcasecmp(value, "identity") != 0)
		return -EOPNOTSUPP;
	return 0;
}

int answer_take_line(struct answer *answer, const char *data, size_t len)
{
	char line[HEADER_VALUE_SIZE];

	answer->bytes += len;
	answer->lines++;
	if (answer->bytes > ANSWER_HEAD_BYTES || answer->lines > ANSWER_HEAD_LINES)
		return -EFBIG;
	if (len >= 5 && strncasecmp(data, "HTTP/", 5) == 0)
		forget(answer);
	const char *colon = memchr(data, ':', len);
	if (!colon || len >= sizeof(line))
		return 0;
	size_t end = len;
	while (end > 0 && isspace((unsigned char)data[end - 1]))
		end--;
	memcpy(line, data, end);
	line[end] = '\0';
	line[colon - data] = '\0';
	char *value = line + (colon - data) + 1;
	value += strspn(value, " \t");
	return take_header(answer, line, value);
}
