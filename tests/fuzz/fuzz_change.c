/* --change: whatever was accepted can be written as a config. */
#include <string.h>

#include "worker/change.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_image_run run = { 0 };
	struct err *err = NULL;
	char *line = malloc(size + 1);

	if (size > 0)
		memcpy(line, data, size);
	line[size] = '\0';
	if (change_apply(line, &run, &err) == 0) {
		struct buf out = BUF_INIT(64 * 1024 * 1024);

		fuzz_check(json_print(&oci_image_run_table, &run, &out) == 0);
		buf_finish(&out);
	} else {
		fuzz_check(err && err->message && *err->message);
	}
	err_free(err);
	json_finish(&oci_image_run_table, &run);
	free(line);
	return 0;
}
