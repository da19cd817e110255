/* What the builder makes is a document that the runtime takes, and says what was set. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../unit.h"
#include "base/strv.h"
#include "library/config.h"
#include "library/error.h"
#include "spec/defaults.h"
#include "spec/oci_validate.h"

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Frees the configuration. */
static void read_back(tare_config *config, struct oci_spec *out)
{
	_cleanup_free_ char *text = tare_config_json(config, "name");

	assert_non_null(text);
	assert_int_equal(oci_spec_parse(text, strlen(text), out, NULL), 0);
	assert_int_equal(oci_spec_validate(out, NULL), 0);
	tare_config_free(config);
}

static tare_config *plain(void)
{
	tare_config *config = tare_config_new("/usr/..");

	tare_config_set_args(config, ARGS("true"));
	return config;
}

static void defaults_are_an_engines(void **state)
{
	(void)state;
	struct oci_spec spec;
	read_back(plain(), &spec);
	const struct oci_capabilities *sets = spec.process->capabilities;
	assert_true(strv_equal(sets->bounding, (char *const *)default_capabilities));
	assert_true(strv_equal(sets->effective, sets->bounding) && !sets->inheritable && !sets->ambient);
	assert_true(spec.process->no_new_privileges && !spec.process->terminal && !spec.root->readonly);
	assert_string_equal(spec.root->path, "/");
	assert_string_equal(spec.process->cwd, "/");
	assert_string_equal(spec.hostname, "name");
	assert_string_equal(map_get(spec.annotations, "tare.seccomp"), "default");
	const char *const types[] = { "mount", "pid", "ipc", "uts", "cgroup", "network" };
	for (size_t i = 0; i < ARRAY_SIZE(types); i++)
		assert_non_null(oci_spec_namespace(&spec, types[i]));
	assert_true(!oci_spec_namespace(&spec, "user") == (geteuid() == 0));
	assert_true(strv_has(spec.linux_config.masked_paths, "/proc/kcore") &&
		    spec.linux_config.resources->device_count > 0);
	oci_spec_finish(&spec);
}

static void setters_are_in_the_document(void **state)
{
	(void)state;
	const struct tare_limits first = { .memory_bytes = 1 << 20, .pids = 9, .cpus = "0", .cpu_quota_us = 5000 },
				 second = { .memory_bytes = TARE_UNLIMITED,
					 .memory_swap_bytes = TARE_UNLIMITED,
					 .cpu_shares = 77,
					 .cpus = "0-1" };
	struct oci_spec spec;
	tare_config *config = plain();
	tare_config_set_args(config, ARGS("a", "b\"c"));
	tare_config_add_env(config, "A=1");
	tare_config_add_env(config, "A=2");
	tare_config_set_cwd(config, "/x");
	tare_config_set_user(config, 4294967294U, 8);
	tare_config_set_hostname(config, "other");
	tare_config_set_readonly(config, true);
	tare_config_set_terminal(config, true);
	tare_config_set_cgroup(config, "/group/7");
	tare_config_set_limits(config, &first);
	tare_config_set_limits(config, &second);
	for (int i = 0; i < 2; i++) {
		tare_config_set_network(config, TARE_NETWORK_NONE);
		tare_config_set_network(config, TARE_NETWORK_HOST);
	}
	tare_config_add_bind(config, "/usr", "/host", TARE_MOUNT_READONLY | TARE_MOUNT_NOEXEC);
	tare_config_add_tmpfs(config, "/scratch", 4096, 0);
	read_back(config, &spec);
	const struct oci_resources *resources = spec.linux_config.resources;
	assert_true(strv_equal(spec.process->args, (char *const[]){ "a", "b\"c", NULL }));
	assert_true(strv_equal(spec.process->env, (char *const[]){ DEFAULT_PATH_ENV, "A=2", NULL }));
	assert_true(spec.process->user.uid == 4294967294 && spec.process->user.gid == 8);
	assert_true(spec.root->readonly && spec.process->terminal);
	assert_string_equal(spec.hostname, "other");
	assert_string_equal(spec.linux_config.cgroups_path, "/group/7");
	assert_null(oci_spec_namespace(&spec, "network"));
	assert_true(resources->memory.limit.value == -1 && resources->memory.swap.value == -1 &&
		    resources->pids.limit.value == 9);
	assert_true(resources->cpu.quota.value == 5000 && resources->cpu.period.value == 100000 &&
		    resources->cpu.shares.value == 77);
	assert_string_equal(resources->cpu.cpus, "0-1");
	assert_false(resources->memory.reservation.set);
	const struct oci_mount *mounts = &spec.mounts[spec.mount_count - 2];
	assert_string_equal(mounts[0].source, "/usr");
	assert_true(strv_equal(mounts[0].options,
		(char *const[]){ "rbind", "nosuid", "nodev", "rro", "noexec", NULL }));
	assert_true(strv_equal(mounts[1].options, (char *const[]){ "size=4096", "nosuid", "nodev", NULL }));
	oci_spec_finish(&spec);
}

static int say(tare_config *config, struct tare_error *error)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	const char *bundle;
	int r = config_document(config, "name", &text, &bundle, error);

	assert_null(r < 0 ? tare_config_json(config, "name") : NULL);
	tare_config_free(config);
	return r;
}

static void what_is_wrong_is_said_at_the_end(void **state)
{
	(void)state;
	struct tare_error error;
	assert_int_equal(say(NULL, &error), -1);
	assert_int_equal(error.code, TARE_INVALID);
	assert_int_equal(say(tare_config_new(NULL), &error), -1);
	assert_int_equal(error.code, TARE_INVALID);
	assert_int_equal(say(tare_config_new("/nonexistent"), &error), -1);
	assert_int_equal(error.errnum, ENOENT);
	tare_config *config = plain();
	tare_config_add_env(config, "NOTHING");
	tare_config_set_cwd(config, "/later/ones/do/nothing");
	assert_int_equal(say(config, &error), -1);
	assert_int_equal(error.code, TARE_INVALID);
	config = plain();
	tare_config_add_bind(config, "/nonexistent", "/x", 0);
	assert_int_equal(say(config, &error), -1);
	assert_int_equal(error.errnum, ENOENT);
	config = plain();
	tare_config_add_bind(config, "/usr", "/x", 1 << 20);
	assert_int_equal(say(config, &error), -1);
	config = plain();
	tare_config_set_network(config, (enum tare_network)7);
	assert_int_equal(say(config, NULL), -1);
}

static void a_document_stays_as_it_is(void **state)
{
	(void)state;
	static const char text[] = "{\"ociVersion\" : \"1.0.2\"} trailing";
	struct tare_error error;
	tare_config *config = tare_config_new_oci(text, 26, NULL);
	_cleanup_free_ char *out = tare_config_json(config, NULL);
	assert_memory_equal(out, text, 26);
	assert_int_equal(strlen(out), 26);
	tare_config_set_readonly(config, true);
	assert_int_equal(say(config, &error), -1);
	assert_non_null(strstr(error.message, "no setters"));
	assert_int_equal(say(tare_config_new_oci(text, 26, "/nonexistent"), &error), -1);
	assert_int_equal(error.errnum, ENOENT);
}

static void errors_fit(void **state)
{
	(void)state;
	char large[4096];
	struct tare_error error;
	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(error_set(&error, TARE_CONFLICT, 0, "%s", large), -1);
	assert_int_equal(strlen(error.message), sizeof(error.message) - 1);
	assert_true(error.errnum > 0);
	assert_int_equal(error_errno(&error, -EPERM, "cannot"), -1);
	assert_int_equal(error.code, TARE_FORBIDDEN);
	assert_string_equal(error.message, "cannot: Operation not permitted");
	for (int kind = -5; kind < ERR_KIND_COUNT + 5; kind++) {
		assert_int_equal(error_kind(&error, kind, 0, "text"), -1);
		assert_true(error.code > TARE_OK && error.code < TARE_HELPER_LOST && error.errnum > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_an_engines),
		cmocka_unit_test(setters_are_in_the_document),
		cmocka_unit_test(what_is_wrong_is_said_at_the_end),
		cmocka_unit_test(a_document_stays_as_it_is),
		cmocka_unit_test(errors_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
