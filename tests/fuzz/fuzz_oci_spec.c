/* config.json: whatever is found valid is still valid, and the same text, after it was written and read again. */
#include <string.h>

#include "spec/oci_runtime.h"
#include "spec/oci_validate.h"

#include "fuzz.h"

static void check_error(struct err *err)
{
	fuzz_check(err && *err_message(err) && !strpbrk(err_message(err), "\n\r"));
	err_free(err);
}

static void print(const struct oci_spec *spec, struct buf *out)
{
	fuzz_check(json_print(&oci_spec_table, spec, out) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_spec spec;
	struct err *err = NULL;
	if (oci_spec_parse((const char *)data, size, &spec, &err) < 0) {
		check_error(err);
		return 0;
	}
	int r = oci_spec_validate(&spec, &err);
	_cleanup_(buf_finish) struct buf first = BUF_INIT(1 << 26);
	_cleanup_(buf_finish) struct buf second = BUF_INIT(1 << 26);
	print(&spec, &first);
	oci_spec_finish(&spec);
	if (r < 0) {
		check_error(err);
		return 0;
	}

	/* What is unset is written out, so the text may have outgrown the bounds that it came in under. */
	if (oci_spec_parse(first.data, first.len, &spec, NULL) < 0)
		return 0;
	fuzz_check(oci_spec_validate(&spec, NULL) == 0);
	print(&spec, &second);
	oci_spec_finish(&spec);
	fuzz_check(strcmp(first.data, second.data) == 0);
	return 0;
}
