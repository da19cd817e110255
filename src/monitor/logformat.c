#include "monitor/logformat.h"

#include <string.h>

void log_stamp_set(struct log_stamp *stamp, int64_t time_ns)
{
	stamp->time_ns = time_ns;
	clock_format_rfc3339(time_ns, stamp->text);
}

const struct log_ops *log_ops_find(const char *driver)
{
	static const struct log_ops *const all[] = { &log_ops_json_file, &log_ops_local };

	for (size_t i = 0; driver && i < sizeof all / sizeof *all; i++)
		if (strcmp(all[i]->driver, driver) == 0)
			return all[i];
	return NULL;
}
