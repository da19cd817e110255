#include "sys/remains.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "sys/cgroup.h"

#define REMAINS_FILE_MAX ((CGROUP_HIERARCHIES + CGROUP_MARKS_MAX) * (CGROUP_PATH_MAX + 1))

struct remains {
	struct cgroup_host *host;
	struct cgroup *group; /* NULL: none was written down */
};

/* A line each. */
static int read_folders(int folder_fd, char ***ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(REMAINS_FILE_MAX);
	int r = io_read_file(folder_fd, "cgroup", &text);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	_autofree_(strv) char **lines = strv_split(text.data ? text.data : "", '\n');
	if (!lines)
		return -ENOMEM;
	strv_foreach (line, lines)
		if ((*line)[0] && strv_append(ret, *line) < 0)
			return -ENOMEM;
	return 0;
}

int remains_read(int folder_fd, struct remains **ret)
{
	_autofree_(remains) struct remains *remains = calloc(1, sizeof *remains);
	_autofree_(strv) char **folders = NULL;
	int r = remains ? read_folders(folder_fd, &folders) : -ENOMEM;
	if (r == 0 && folders)
		r = cgroup_host_new(&remains->host);
	if (r == 0 && folders)
		r = cgroup_new(remains->host, folders, &remains->group);
	if (r < 0)
		return r;
	*ret = TAKE(remains);
	return 0;
}

void remains_free(struct remains *remains)
{
	if (!remains)
		return;
	cgroup_free(remains->group);
	cgroup_host_free(remains->host);
	free(remains);
}

int remains_kill(struct remains *remains)
{
	if (!remains->group)
		return 0;
	int r = 0;
	if (!cgroup_is_empty(remains->group)) {
		r = cgroup_kill(remains->group);
		return r < 0 ? r : -EAGAIN;
	}
	r = cgroup_remove(remains->group, 0);
	return r == -EBUSY ? -EAGAIN : r;
}
