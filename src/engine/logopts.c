#include "engine/logopts.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "engine/log_attrs.h"

/* What records of json-file say of their container: engine/log_attrs.h. */
static const char *const attributes[] = { "labels", "labels-regex", "env", "env-regex", "tag" };

/* Docker's own that we don't have. */
static const char *const foreign_drivers[] = { "awslogs", "fluentd", "gcplogs", "gelf", "journald", "splunk",
	"syslog" };

static bool is_attribute(const char *driver, const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++)
		if (strcmp(key, attributes[i]) == 0)
			return strcmp(driver, "json-file") == 0;
	return false;
}

/* Docker's, that our drivers would have to ignore: refused, since a log that lacks what was asked for is found out too late. */
static int unsupported(const char *key, const char *value, struct err **reterr)
{
	return err_set(reterr, ERR_INVALID, 0, "log opt %s=%s is not supported by this engine's log drivers", key,
		value);
}

/* May say what is so anyway. */
static int check_mode(const char *value, struct err **reterr)
{
	if (!value[0] || strcmp(value, "blocking") == 0)
		return 0;
	return strcmp(value, "non-blocking") == 0
		       ? unsupported("mode", value, reterr)
		       : err_set(reterr, ERR_INVALID, 0, "logger: logging mode not supported: %s", value);
}

static int read_option(const char *driver, const char *key, const char *value, struct logopts *ret, struct err **reterr)
{
	if (strcmp(driver, "none") == 0 || is_attribute(driver, key))
		return 0;
	if (strcmp(key, "max-buffer-size") == 0)
		return unsupported(key, value, reterr);
	if (strcmp(key, "max-size") == 0) {
		if (strcmp(value, "-1") == 0)
			ret->max_size = 0;
		else if (parse_bytes(value, &ret->max_size) < 0 || ret->max_size <= 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid value for max-size: invalid size: '%s'", value);
	} else if (strcmp(key, "max-file") == 0) {
		if (parse_i64(value, INT64_MIN, INT64_MAX, &ret->max_file) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid value for max-file: %s", value);
		if (ret->max_file < 1)
			return err_set(reterr, ERR_INVALID, 0, "max-file cannot be less than 1");
		if (ret->max_file > LOGOPTS_MAX_FILE_MAX)
			return err_set(reterr, ERR_INVALID, 0, "max-file cannot be more than %d", LOGOPTS_MAX_FILE_MAX);
	} else if (strcmp(key, "compress") == 0) {
		if (parse_bool(value, &ret->compress) < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid value for compress: %s", value);
	} else if (strcmp(key, "mode") == 0) {
		return check_mode(value, reterr);
	} else {
		bool is_local = strcmp(driver, "local") == 0; /* Docker's two wordings */
		return err_set(reterr, ERR_INVALID, 0,
			is_local ? "unknown log opt '%s' for log driver %s" : "unknown log opt '%s' for %s log driver",
			key, driver);
	}
	return 0;
}

int logopts_parse(const struct log_config *log, struct logopts *ret, struct err **reterr)
{
	const char *driver = log->type && log->type[0] ? log->type : "json-file";
	*ret = (struct logopts){
		.driver = driver, .max_size = LOGOPTS_MAX_SIZE_DEFAULT, .max_file = LOGOPTS_MAX_FILE_DEFAULT
	};
	for (size_t i = 0; i < ARRAY_SIZE(foreign_drivers); i++)
		if (strcmp(driver, foreign_drivers[i]) == 0)
			return err_set(reterr, ERR_INVALID, 0,
				"logging driver %s is not supported by this engine, whose drivers are json-file, local and none",
				driver);
	if (strcmp(driver, "json-file") != 0 && strcmp(driver, "local") != 0 && strcmp(driver, "none") != 0)
		return err_set(reterr, ERR_INVALID, 0, "error looking up logging plugin %s: plugin \"%s\" not found",
			driver, driver);
	struct map_entry *entry;
	for (size_t cursor = 0; log->config && (entry = map_next(log->config, &cursor));) {
		int r = read_option(driver, entry->key, entry->value, ret, reterr);
		if (r < 0)
			return r;
	}
	if (ret->compress && (ret->max_file < 2 || ret->max_size <= 0))
		return err_set(reterr, ERR_INVALID, 0,
			"compress cannot be true when max-file is less than 2 or max-size is not set");
	return 0;
}

int logopts_validate(const struct log_config *log, struct err **reterr)
{
	struct logopts options;
	int r = logopts_parse(log, &options, reterr);
	return r < 0 ? r : log_attrs_check(log, reterr);
}
