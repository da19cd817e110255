/* An archive's path: what comes out has no way up, is its own cleaned form, and is within the limits. */
#include <string.h>

#include "archive/entry.h"

#include "fuzz.h"

static void check_clean(const char *clean)
{
	char again[LIMIT_PATH_BYTES + 1];
	const char *component = clean;

	fuzz_check(strlen(clean) <= LIMIT_PATH_BYTES);
	if (!*clean)
		return;
	for (;;) {
		size_t len = strcspn(component, "/");

		fuzz_check(len > 0 && len <= LIMIT_COMPONENT_BYTES);
		fuzz_check(!(len == 1 && component[0] == '.') && !(len == 2 && memcmp(component, "..", 2) == 0));
		if (!component[len])
			break;
		component += len + 1;
	}
	fuzz_check(entry_clean_path(clean, again) == 0 && strcmp(clean, again) == 0);
}

static void check_mark(const char *clean)
{
	const char *hidden = NULL;

	if (entry_mark(clean, &hidden) != ENTRY_WHITEOUT)
		return;
	fuzz_check(hidden > clean && hidden <= clean + strlen(clean) && *hidden && !strchr(hidden, '/'));
	fuzz_check(strcmp(hidden, ".") != 0 && strcmp(hidden, "..") != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *raw = malloc(size + 1);
	char clean[LIMIT_PATH_BYTES + 1];

	if (size > 0)
		memcpy(raw, data, size);
	raw[size] = '\0';
	if (entry_clean_path(raw, clean) == 0) {
		check_clean(clean);
		check_mark(clean);
	}
	(void)entry_xattr_is_allowed(raw);
	free(raw);
	return 0;
}
