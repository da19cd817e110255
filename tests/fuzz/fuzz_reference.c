/* A reference that was accepted names only what its grammar has, and its full form is accepted as the same. */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "codec/reference.h"

#include "fuzz.h"

static char *full_form(const struct reference *reference)
{
	char *text = NULL;
	const char *tag = reference->tag, *digest = reference->digest;
	fuzz_check(asprintf(&text, "%s%s%s%s%s", reference->repository, tag ? ":" : "", tag ?: "", digest ? "@" : "",
			   digest ?: "") > 0);
	return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct reference reference, again;
	const char *problem = NULL;
	if (reference_parse(text, &reference, &problem) < 0) {
		fuzz_check(problem);
		return 0;
	}
	fuzz_check(strlen(reference.repository) <= REFERENCE_NAME_MAX && strchr(reference.repository, '/'));
	fuzz_check(!strstr(reference.repository, "..") && !strstr(reference.repository, "//"));
	fuzz_check(!reference.tag || (*reference.tag && strlen(reference.tag) <= REFERENCE_TAG_MAX));
	fuzz_check(*reference_familiar(reference.repository));

	_cleanup_free_ char *full = full_form(&reference);
	for (const char *c = full; *c; c++)
		fuzz_check(*c > 0x20 && *c < 0x7f);
	fuzz_check(reference_parse(full, &again, NULL) == 0);
	_cleanup_free_ char *same = full_form(&again);
	fuzz_check(strcmp(full, same) == 0);
	reference_finish(&reference);
	reference_finish(&again);
	return 0;
}
