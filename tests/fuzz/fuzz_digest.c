#include <string.h>

#include "base/cleanup.h"
#include "codec/digest.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	struct digest digest;
	if (digest_parse(text, &digest) == 0) {
		char again[DIGEST_SIZE];
		digest_format(&digest, again);
		fuzz_check(strcmp(text, again) == 0);
	}
	return 0;
}
