/*
 * The Engine API's documents about exec: what POST /containers/ID/exec asks for (also the member `config` of the engine's
 * exec-create to a monitor), the body of POST /exec/ID/start, and what GET /exec/ID/json answers (also `exec_state` of the
 * monitor's answer to exec-inspect).
 */
#pragma once

#include "codec/json.h"

struct exec_config {
	char *user;
	bool privileged;
	bool tty;
	int64_t *console_size; /* height, width */
	size_t console_size_count;
	bool attach_stdin;
	bool attach_stderr;
	bool attach_stdout;
	char *detach_keys;
	char **env; /* added to the container's */
	char *working_dir;
	char **cmd;
	bool detach;
};

struct exec_start {
	bool detach;
	bool tty;
	int64_t *console_size;
	size_t console_size_count;
};

struct exec_process_config {
	bool tty;
	char *entrypoint;
	char **arguments;
	struct json_opt_bool privileged;
	char *user;
};

struct exec_inspect {
	char *id;
	bool running;
	struct json_opt_int exit_code; /* unset while it has not ended */
	struct exec_process_config *process;
	bool open_stdin;
	bool open_stderr;
	bool open_stdout;
	bool can_remove;
	char *container_id;
	char *detach_keys; /* base64 */
	int64_t pid;       /* in the host's numbering; 0 before the start */
};

extern const struct json_table exec_config_table;
extern const struct json_table exec_start_table;
extern const struct json_table exec_inspect_table;
