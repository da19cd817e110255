/* What a registry may answer: whatever is offered can be used as it stands, in a header or a URL. */
#include <string.h>

#include "base/cleanup.h"
#include "registry/challenge.h"

#include "fuzz.h"

static void check(const char *value)
{
	for (; value && *value; value++)
		fuzz_check((unsigned char)*value >= ' ' && *value != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct challenge challenge = { 0 };

	(void)challenge_parse(text, &challenge);
	fuzz_check(!challenge.bearer || challenge.realm);
	check(challenge.realm);
	check(challenge.service);
	check(challenge.scope);
	challenge_finish(&challenge);
	return 0;
}
