#include "spec/exec_config.h"

static const struct json_field exec_config_fields[] = {
	JSON_FIELD(struct exec_config, user, "User", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_config, privileged, "Privileged", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_config, tty, "Tty", JSON_BOOL_FIELD),
	JSON_FIELD_ARRAY(struct exec_config, console_size, console_size_count, "ConsoleSize", JSON_INTS,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct exec_config, attach_stdin, "AttachStdin", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_config, attach_stderr, "AttachStderr", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_config, attach_stdout, "AttachStdout", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_config, detach_keys, "DetachKeys", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_config, env, "Env", JSON_STRV),
	JSON_FIELD(struct exec_config, working_dir, "WorkingDir", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_config, cmd, "Cmd", JSON_STRV),
	JSON_FIELD(struct exec_config, detach, "Detach", JSON_BOOL_FIELD),
};
const struct json_table exec_config_table = JSON_TABLE(struct exec_config, exec_config_fields);

static const struct json_field exec_start_fields[] = {
	JSON_FIELD(struct exec_start, detach, "Detach", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_start, tty, "Tty", JSON_BOOL_FIELD),
	JSON_FIELD_ARRAY(struct exec_start, console_size, console_size_count, "ConsoleSize", JSON_INTS,
		.flags = JSON_OMITEMPTY),
};
const struct json_table exec_start_table = JSON_TABLE(struct exec_start, exec_start_fields);

static const struct json_field exec_process_config_fields[] = {
	JSON_FIELD(struct exec_process_config, tty, "tty", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_process_config, entrypoint, "entrypoint", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_process_config, arguments, "arguments", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_process_config, privileged, "privileged", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct exec_process_config, user, "user", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table exec_process_config_table = JSON_TABLE(struct exec_process_config,
	exec_process_config_fields);

static const struct json_field exec_inspect_fields[] = {
	JSON_FIELD(struct exec_inspect, id, "ID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_inspect, running, "Running", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_inspect, exit_code, "ExitCode", JSON_OPT_INT),
	JSON_FIELD(struct exec_inspect, process, "ProcessConfig", JSON_OBJECT_PTR, .table = &exec_process_config_table),
	JSON_FIELD(struct exec_inspect, open_stdin, "OpenStdin", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_inspect, open_stderr, "OpenStderr", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_inspect, open_stdout, "OpenStdout", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_inspect, can_remove, "CanRemove", JSON_BOOL_FIELD),
	JSON_FIELD(struct exec_inspect, container_id, "ContainerID", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_inspect, detach_keys, "DetachKeys", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct exec_inspect, pid, "Pid", JSON_INT),
};
const struct json_table exec_inspect_table = JSON_TABLE(struct exec_inspect, exec_inspect_fields);
