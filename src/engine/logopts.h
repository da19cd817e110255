/* --log-driver and --log-opt. */
#pragma once

#include "base/err.h"
#include "spec/container_config.h"

/* Kept unless the options say otherwise: logs are rotated by default. */
#define LOGOPTS_MAX_SIZE_DEFAULT (20LL * 1024 * 1024)
#define LOGOPTS_MAX_FILE_DEFAULT 5
#define LOGOPTS_MAX_FILE_MAX     1000

struct logopts {
	const char *driver; /* json-file, local, none */
	int64_t max_size;   /* 0: never rotated */
	int64_t max_file;
	bool compress; /* those that were rotated away */
};

/* ERR_INVALID in Docker's words; also for options of Docker's that our drivers could only ignore. */
int logopts_parse(const struct log_config *log, struct logopts *ret, struct err **reterr);
int logopts_validate(const struct log_config *log, struct err **reterr);
