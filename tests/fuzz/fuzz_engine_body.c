/* Bodies that API clients send, and a user's seccomp profile: the first byte says which. */
#include <string.h>

#include "spec/container_config.h"
#include "spec/exec_config.h"
#include "spec/seccomp_profile.h"

#include "fuzz.h"

static void check_create(const char *text, size_t len)
{
	struct container_create create;
	if (container_create_parse(text, len, &create, NULL) < 0)
		return;
	fuzz_check(create.host && create.networking && create.host->console_size_count == 2);
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1 << 26);
	fuzz_check(json_print(&container_create_table, &create, &out) == 0);
	container_create_finish(&create);
}

static void check_exec(const char *text, size_t len)
{
	struct exec_config config = { 0 };
	if (json_parse(&exec_config_table, text, len, &config, NULL) == 0)
		json_finish(&exec_config_table, &config);
}

static void check_profile(const char *text, size_t len)
{
	_autojson_ json_t *value = NULL;
	struct oci_seccomp seccomp;
	struct seccomp_target target;
	char *capabilities[] = { "CAP_KILL", NULL };
	if (json_load(text, len, &value, NULL) < 0)
		return;
	seccomp_target_host(&target);
	target.capabilities = capabilities;
	if (seccomp_profile_resolve(value, &target, &seccomp, NULL) < 0)
		return;
	for (size_t i = 0; i < seccomp.syscall_count; i++)
		fuzz_check(seccomp.syscalls[i].names && seccomp.syscalls[i].names[0] && seccomp.syscalls[i].action);
	json_finish(&oci_seccomp_table, &seccomp);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	const char *text = (const char *)data + 1;
	switch (data[0]) {
	case 'c': check_create(text, size - 1); break;
	case 'e': check_exec(text, size - 1); break;
	case 's': check_profile(text, size - 1); break;
	default: break;
	}
	return 0;
}
