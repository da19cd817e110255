/* The head of a registry's answer, line by line: what is kept of it has its bounds and nothing that ends a line. */
#include <string.h>

#include "registry/answer.h"

#include "fuzz.h"

static void check(const char *value)
{
	fuzz_check(!value || !strpbrk(value, "\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct answer answer = { 0 };
	const char *text = (const char *)data;

	answer_reset(&answer);
	while (size > 0) {
		const char *end = memchr(text, '\n', size);
		size_t len = end ? (size_t)(end - text) + 1 : size;
		if (answer_take_line(&answer, text, len) < 0)
			break;
		text += len;
		size -= len;
	}
	check(answer.content_type);
	check(answer.location);
	check(answer.next);
	check(answer.etag);
	fuzz_check(!answer.etag || strlen(answer.etag) < ANSWER_ETAG_SIZE);
	fuzz_check(answer.retry_after_ms <= RETRY_PAUSE_MAX);
	answer_finish(&answer);
	return 0;
}
