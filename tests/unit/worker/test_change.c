#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "worker/change.h"

/* The config after the changes, as JSON; or the error. */
static char *changed(const char *const *lines)
{
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1024 * 1024);
	_autofree_(err) struct err *err = NULL;
	struct oci_image_run run = { 0 };

	for (; *lines; lines++)
		if (change_apply(*lines, &run, &err) < 0) {
			json_finish(&oci_image_run_table, &run);
			return strdup(err_message(err));
		}
	assert_int_equal(json_print(&oci_image_run_table, &run, &out), 0);
	json_finish(&oci_image_run_table, &run);
	return buf_take(&out);
}

#define ASSERT_HAS(part, ...)                                                      \
 do {                                                                              \
  _cleanup_free_ char *got_ = changed((const char *const[]){ __VA_ARGS__, NULL }); \
  if (!strstr(got_, part))                                                         \
   fail_msg("no %s in %s", part, got_);                                            \
 } while (0)

static void each_instruction_sets_its_member(void **state)
{
	(void)state;
	ASSERT_HAS("\"Cmd\":[\"a\",\"b c\"]", "CMD [\"a\", \"b c\"]");
	ASSERT_HAS("\"Cmd\":[\"/bin/sh\",\"-c\",\"a  b\"]", "cmd a  b");
	ASSERT_HAS("\"Cmd\":[\"/bin/sh\",\"-c\",\"[ -f x ]\"]", "CMD [ -f x ]");
	ASSERT_HAS("\"Entrypoint\":[\"x\"]", "ENTRYPOINT [\"x\"]");
	ASSERT_HAS("\"Env\":[\"A=1\",\"B=x y\",\"C=\"]", "ENV A=1 B=\"x y\" C=");
	ASSERT_HAS("\"Env\":[\"A=b c d\"]", "ENV A b c d");
	ASSERT_HAS("\"Env\":[\"A=2\"]", "ENV A=1", "ENV A=2");
	ASSERT_HAS("\"Env\":[\"A=b c\"]", "ENV A=b\\ c");
	ASSERT_HAS("\"Labels\":{\"x.y\":\"z=1\"}", "LABEL x.y=z=1");
	ASSERT_HAS("\"ExposedPorts\":{\"80/tcp\":{},\"53/udp\":{},\"54/udp\":{}}", "EXPOSE 80 53-54/udp 80/tcp");
	ASSERT_HAS("\"Volumes\":{\"/a\":{},\"/b c\":{}}", "VOLUME [\"/a\", \"/b c\"]");
	ASSERT_HAS("\"Volumes\":{\"/a\":{},\"/b\":{}}", "VOLUME /a /b");
	ASSERT_HAS("\"User\":\"1000:1000\"", "USER 1000:1000");
	ASSERT_HAS("\"WorkingDir\":\"/a/b\"", "WORKDIR /a", "WORKDIR b");
	ASSERT_HAS("\"WorkingDir\":\"/b\"", "WORKDIR b");
	ASSERT_HAS("\"StopSignal\":\"SIGINT\"", "STOPSIGNAL SIGINT");
	ASSERT_HAS("\"OnBuild\":[\"RUN x\"]", "ONBUILD RUN x");
	ASSERT_HAS("\"Test\":[\"NONE\"]", "HEALTHCHECK NONE");
	ASSERT_HAS("\"Test\":[\"CMD-SHELL\",\"curl x\"]", "HEALTHCHECK --interval=5s --retries=2 CMD curl x");
	ASSERT_HAS("\"Interval\":5000000000", "HEALTHCHECK --interval=5s --retries=2 CMD curl x");
	ASSERT_HAS("\"Test\":[\"CMD\",\"a\"]", "HEALTHCHECK CMD [\"a\"]");
}

static void bad_ones_are_refused(void **state)
{
	(void)state;
	ASSERT_HAS("RUN is not a valid change command", "RUN x");
	ASSERT_HAS("CMD requires at least one argument", "CMD");
	ASSERT_HAS(" is not a valid change command", "");
	ASSERT_HAS("ENV must have two arguments", "ENV A");
	ASSERT_HAS("ENV needs NAME=value", "ENV A=1 B");
	ASSERT_HAS("LABEL has a quote that does not end", "LABEL a=\"b");
	ASSERT_HAS("invalid containerPort: 0", "EXPOSE 0");
	ASSERT_HAS("invalid containerPort: 65536", "EXPOSE 65536");
	ASSERT_HAS("invalid containerPort: 80/icmp", "EXPOSE 80/icmp");
	ASSERT_HAS("invalid containerPort: 9-8", "EXPOSE 9-8");
	ASSERT_HAS("HEALTHCHECK needs NONE", "HEALTHCHECK x");
	ASSERT_HAS("HEALTHCHECK has an unknown option", "HEALTHCHECK --x=1 CMD y");
	ASSERT_HAS("no duration", "HEALTHCHECK --interval=-1s CMD y");
	ASSERT_HAS("control characters", "CMD a\nENV X=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_instruction_sets_its_member),
		cmocka_unit_test(bad_ones_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
