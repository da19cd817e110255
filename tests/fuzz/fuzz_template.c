/* Any template over a fixed document ends, within its ceilings, in output or in an error that says where. */
#include <string.h>

#include "codec/json.h"
#include "codec/template.h"

#include "fuzz.h"

#define OUTPUT_MAX 65536

static const char document[] =
	"{\"Id\":\"abc\",\"Names\":[\"/a\",\"/b\"],\"State\":{\"Running\":true,\"Pid\":42,\"Load\":0.5},\"Labels\":{\"x\":\"1\"},"
	"\"Ports\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]},\"Null\":null,\"Empty\":[]}";

static void run(const struct template *template, json_t *data, enum template_mode mode)
{
	const struct template_input input = { .data = data, .labels = json_object_get(data, "Labels"), .mode = mode };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(OUTPUT_MAX);
	_autofree_(err) struct err *err = NULL;
	if (template_run(template, &input, &out, &err) < 0)
		fuzz_check(err && strstr(err->message, "template: :"));
	fuzz_check(out.len <= OUTPUT_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_autofree_(template) struct template *template = NULL;
	_autofree_(err) struct err *err = NULL;
	if (template_parse(text, &template, &err) < 0) {
		fuzz_check(err && strncmp(err->message, "template parsing error: ", 24) == 0);
		return 0;
	}
	_autojson_ json_t *value = json_loads(document, 0, NULL);
	run(template, value, TEMPLATE_VALUES);
	run(template, value, TEMPLATE_HEADER);
	return 0;
}
