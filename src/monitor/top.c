#include "monitor/top.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/sysinfo.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/strv.h"
#include "codec/utf8.h"
#include "monitor/hostproc.h"
#include "monitor/monitor.h"
#include "monitor/ps.h"

#define COMMAND_LINE_MAX 4096
#define NAMES_MAX        (1024 * 1024)

static void read_host(struct ps_host *host, struct buf *passwd, struct buf *group)
{
	struct sysinfo info = { 0 };

	/* Best effort: without them, numbers stand for names. */
	if (io_read_file(AT_FDCWD, "/etc/passwd", passwd) < 0)
		buf_reset(passwd);
	if (io_read_file(AT_FDCWD, "/etc/group", group) < 0)
		buf_reset(group);
	sysinfo(&info);
	*host = (struct ps_host){
		.now_s = clock_realtime_ns() / NS_PER_SEC,
		.boot_s = clock_realtime_ns() / NS_PER_SEC - info.uptime,
		.ticks_per_s = sysconf(_SC_CLK_TCK),
		.page_bytes = sysconf(_SC_PAGESIZE),
		.memory_bytes = (int64_t)info.totalram * info.mem_unit,
		.passwd = passwd->data,
		.group = group->data,
	};
}

/* A command line may hold any bytes. */
static json_t *text_to_json(const char *text)
{
	_cleanup_free_ char *repaired = utf8_repair(text);
	return repaired ? json_string(repaired) : NULL;
}

static json_t *strv_to_json(char *const *words)
{
	_autojson_ json_t *row = json_array();
	strv_foreach (word, words)
		if (json_array_append_new(row, text_to_json(*word)) < 0)
			return NULL;
	return TAKE(row);
}

static int read_command_line(pid_t pid, struct buf *out)
{
	int ret = hostproc_read(pid, "cmdline", out);
	return ret == -EFBIG ? 0 : ret; /* the beginning will do */
}

/* 1: a row was added; 0: the process is gone. */
static int add_process(const struct ps_format *format, const struct ps_host *host, pid_t pid, json_t *rows)
{
	_cleanup_(buf_finish) struct buf stat = BUF_INIT(HOSTPROC_FILE_MAX);
	_cleanup_(buf_finish) struct buf status = BUF_INIT(HOSTPROC_FILE_MAX);
	_cleanup_(buf_finish) struct buf command = BUF_INIT(COMMAND_LINE_MAX);
	struct ps_process process;

	if (hostproc_read(pid, "stat", &stat) < 0 || hostproc_read(pid, "status", &status) < 0 ||
		read_command_line(pid, &command) < 0 || !stat.data || !status.data)
		return 0;
	int ret = ps_process_parse(stat.data, status.data, command.data ?: "", command.len, &process);
	if (ret < 0)
		return ret == -ENOMEM ? ret : 0;
	_autofree_(strv) char **cells = ps_row(format, &process, host);
	ps_process_finish(&process);
	json_t *row = cells ? strv_to_json(cells) : NULL;
	return row && json_array_append_new(rows, row) == 0 ? 1 : -ENOMEM;
}

static int compare_pids(const void *a, const void *b)
{
	const pid_t *left = a, *right = b;
	return (*left > *right) - (*left < *right);
}

int top_list(struct monitor *monitor, const char *args, json_t **ret_titles, json_t **ret_processes,
	struct err **reterr)
{
	_autofree_(ps_format) struct ps_format *format = NULL;
	_cleanup_(buf_finish) struct buf passwd = BUF_INIT(NAMES_MAX);
	_cleanup_(buf_finish) struct buf group = BUF_INIT(NAMES_MAX);
	_cleanup_free_ pid_t *pids = NULL;
	size_t count = 0;
	struct ps_host host;

	int ret = monitor_need_running(monitor, reterr);
	if (ret == 0)
		ret = ps_format_parse(args, &format, reterr);
	if (ret == 0)
		ret = container_pids(monitor->container, &pids, &count, reterr);
	if (ret < 0)
		return ret;
	if (count)
		qsort(pids, count, sizeof *pids, compare_pids);
	read_host(&host, &passwd, &group);

	_autofree_(strv) char **titles = ps_titles(format);
	_autojson_ json_t *rows = json_array();
	for (size_t i = 0; i < count && ret >= 0; i++)
		ret = add_process(format, &host, pids[i], rows);
	_autojson_ json_t *title_row = titles ? strv_to_json(titles) : NULL;
	if (ret < 0 || !rows || !title_row)
		return err_oom(reterr);
	*ret_titles = TAKE(title_row);
	*ret_processes = TAKE(rows);
	return 0;
}
