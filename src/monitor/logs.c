/*
 * A client of the log reads the files at its own pace: it holds nobody up, and nobody holds it up. Records are gathered
 * into pieces of LOGS_PIECE_MAX, one write each.
 */
#include "monitor/logs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "base/buf.h"
#include "codec/percent.h"
#include "codec/stdcopy.h"
#include "monitor/monitor.h"
#include "sys/spawn.h"

#define LOGS_PIECE_MAX (64 * 1024)
/* Attributes as they are shown: each byte of them may be escaped by three. */
#define LOGS_DETAILS_MAX (3 * LAUNCH_LOG_ATTRS_MAX)
/* A record with its frame, its time and its attributes. */
#define LOGS_RECORD_MAX (LOG_DATA_MAX + STDCOPY_HEADER_SIZE + CLOCK_RFC3339_MAX + LOGS_DETAILS_MAX + 2)

struct logs {
	struct list link;
	struct monitor *monitor;
	struct session *session;
	struct client_body body;
	struct logreader *reader;
	bool follows;
	bool timestamps;
	bool details;
	bool multiplexed;
};

/* As in a query: a blank becomes "+". */
static int append_escaped(struct buf *out, const char *text)
{
	_cleanup_free_ char *copy = strdup(text);
	int ret = copy ? 0 : -ENOMEM;
	for (char *part = copy, *blank; ret == 0 && part; part = blank) {
		blank = strchr(part, ' ');
		if (blank)
			*blank++ = '\0';
		ret = percent_encode(out, part, "") ?: blank ? buf_putc(out, '+') : 0;
	}
	return ret;
}

/* "key=value,key=value "; a blank alone if there are none, or none that can be shown. */
static void print_details(struct jsonlog_record *line, struct buf *out)
{
	const char *key, *value;
	size_t at = 0;
	int ret = line->attrs ? 1 : 0;
	while (ret == 1 && (ret = jsonlog_next_attr(line, &at, &key, &value)) == 1) {
		if ((out->len && buf_putc(out, ',') < 0) || append_escaped(out, key) < 0 || buf_putc(out, '=') < 0 ||
			append_escaped(out, value) < 0)
			ret = -EFBIG;
	}
	if (ret < 0)
		buf_reset(out);
	buf_putc(out, ' ');
}

static void append_record(const struct logs *logs, struct log_record *record, struct buf *out)
{
	_cleanup_(buf_finish) struct buf details = BUF_INIT(LOGS_DETAILS_MAX);
	char time[CLOCK_RFC3339_MAX] = "";
	unsigned char head[STDCOPY_HEADER_SIZE];
	size_t time_len = 0;

	if (logs->timestamps) {
		clock_format_rfc3339_fixed(record->time_ns, time);
		time_len = strlen(time);
		time[time_len++] = ' ';
	}
	if (logs->details)
		print_details(&record->line, &details);
	if (logs->multiplexed) {
		stdcopy_header(head, record->stream == LOG_STDOUT ? STDCOPY_STDOUT : STDCOPY_STDERR,
			(uint32_t)(time_len + details.len + record->len));
		buf_append(out, head, sizeof head);
	}
	buf_append(out, time, time_len);
	buf_append(out, details.data, details.len);
	buf_append(out, record->data, record->len);
}

/* As much as the client takes now; ends the answer behind the last record. */
static void pump(struct logs *logs)
{
	_cleanup_(buf_finish) struct buf piece = BUF_INIT(LOGS_PIECE_MAX + LOGS_RECORD_MAX);
	struct log_record record;
	int ret = LOGREADER_RECORD;

	while (ret == LOGREADER_RECORD && logs->reader && session_is_ready(logs->session)) {
		while (piece.len < LOGS_PIECE_MAX && (ret = logreader_next(logs->reader, &record)) == LOGREADER_RECORD)
			append_record(logs, &record, &piece);
		client_send_body(logs->session, &logs->body, piece.data, piece.len);
		buf_reset(&piece);
	}
	if (ret == LOGREADER_END || ret < 0 || (ret == LOGREADER_WAIT && !logs->follows)) {
		logreader_free(logs->reader);
		logs->reader = NULL;
		client_end_body(logs->session, &logs->body);
	}
}

static void on_drained(struct session *session, void *user)
{
	(void)session;
	pump(user);
}

static void on_gone(struct session *session, void *user)
{
	struct logs *logs = user;
	struct monitor *monitor = logs->monitor;
	session_free(session);
	list_remove(&logs->link);
	logreader_free(logs->reader);
	free(logs);
	monitor_client_end(monitor);
}

static const struct session_ops session_ops = { .drained = on_drained, .gone = on_gone };

/* --- the files --- */

/* What is compressed, a child sees to: it takes its time, and we stay small. */
static int run_filter(const struct monitor *monitor, const char *verb, int in_fd, int out_fd, pid_t *ret_pid)
{
	char *argv[] = { (char *)"tare-worker", (char *)verb, NULL };
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/tare-worker", monitor->options.program_dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	const struct spawn spawn = { .program_fd = -1, .path = path, .argv = argv, .stdio = { in_fd, out_fd, 2 } };
	return spawn_program(&spawn, ret_pid, NULL);
}

static int pack(void *user, int in_fd, int out_fd)
{
	struct monitor *monitor = user;
	return monitor->log_packer > 0 ? -EBUSY : run_filter(monitor, "--gzip", in_fd, out_fd, &monitor->log_packer);
}

/* Waited for: it is a matter of milliseconds, and of who reads old logs. */
static int unpack(void *user, int in_fd, int out_fd)
{
	int status = 0;
	pid_t pid;
	int ret = run_filter(user, "--gunzip", in_fd, out_fd, &pid);

	if (ret < 0)
		return ret;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

bool logs_reaped(struct monitor *monitor, pid_t pid, int exit_code)
{
	if (pid != monitor->log_packer)
		return false;
	monitor->log_packer = 0;
	if (monitor->logset)
		logset_packed(monitor->logset, exit_code == 0);
	return true;
}

static int open_set(struct monitor *monitor, struct err **reterr)
{
	const struct launch_log *log = &monitor->launch.log;
	const char *slash = log->path ? strrchr(log->path, '/') : NULL;
	if (!slash || slash == log->path || !slash[1])
		return err_set(reterr, ERR_INVALID, 0, "the log's path \"%s\" is not absolute", log->path ?: "");

	_cleanup_free_ char *folder = strndup(log->path, (size_t)(slash - log->path));
	if (!folder)
		return err_oom(reterr);
	/* The container's own, which nobody has made before the first start. */
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(reterr, -errno, "cannot make the log's folder %s", folder);
	_autoclose_ int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open the log's folder %s", folder);
	unsigned files = log->max_file < 1                  ? 1
			 : log->max_file > LOGSET_FILES_MAX ? LOGSET_FILES_MAX
							    : (unsigned)log->max_file;
	int ret = logset_new(fd, slash + 1, log->max_size_bytes > 0 ? log->max_size_bytes : -1, files,
		&monitor->logset);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot open the log %s", log->path);
	if (log->compress)
		logset_set_packing(monitor->logset,
			&(struct logset_packing){ .pack = pack, .unpack = unpack, .user = monitor });
	return 0;
}

static int need_set(struct monitor *monitor, struct err **reterr)
{
	monitor->log_ops = log_ops_find(monitor->launch.log.driver);
	return !monitor->log_ops || monitor->logset ? 0 : open_set(monitor, reterr);
}

int logs_open_reader(struct monitor *monitor, const struct logreader_options *options, struct logreader **ret,
	struct err **reterr)
{
	int r = monitor_need_launch(monitor, reterr);
	if (r == 0)
		r = need_set(monitor, reterr);
	if (r < 0)
		return r;
	if (!monitor->log_ops)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "configured logging driver does not support reading");
	r = logreader_new(monitor->logset, monitor->log_ops, options, ret);
	return r < 0 ? err_errno(reterr, r, "cannot read the container's log") : 0;
}

int logs_open_writer(struct monitor *monitor, struct err **reterr)
{
	/* The engine may have changed the limits; clients that still read the old files keep them. */
	if (monitor->logset && !logset_has_readers(monitor->logset)) {
		logset_free(monitor->logset);
		monitor->logset = NULL;
	}
	int ret = need_set(monitor, reterr);
	if (ret < 0 || !monitor->log_ops)
		return ret;
	ret = logwriter_new(monitor->logset, monitor->log_ops, monitor->launch.log.attrs, &monitor->logwriter);
	return ret < 0 ? err_errno(reterr, ret, "cannot write the log %s", monitor->launch.log.path) : 0;
}

void logs_close_writer(struct monitor *monitor)
{
	logwriter_free(monitor->logwriter);
	monitor->logwriter = NULL;
}

void logs_free(struct monitor *monitor)
{
	logs_close_writer(monitor);
	logset_free(monitor->logset);
	monitor->logset = NULL;
}

/* --- clients --- */

static void tell_now(void *data)
{
	struct monitor *monitor = data;
	struct logs *logs;

	monitor->log_news = false;
	list_foreach (logs, &monitor->followers, link)
		if (logs->follows && logs->reader)
			pump(logs);
}

void logs_tell_followers(struct monitor *monitor)
{
	if (monitor->log_news || list_is_empty(&monitor->followers))
		return;
	monitor->log_news = loop_defer(monitor->loop, tell_now, monitor) == 0;
}

void logs_end_followers(struct monitor *monitor)
{
	struct logs *logs;
	list_foreach (logs, &monitor->followers, link) {
		if (!logs->follows || !logs->reader)
			continue;
		logs->follows = false;
		pump(logs);
	}
}

static struct logreader_options options_from(const struct monitor *monitor, const struct handover_logs *wish)
{
	return (struct logreader_options){
		.tail = wish->tail,
		.since_ns = wish->since_ns.set ? wish->since_ns.value : INT64_MIN,
		.until_ns = wish->until_ns.set ? wish->until_ns.value : INT64_MAX,
		.want_stdout = wish->stdout_wanted,
		.want_stderr = wish->stderr_wanted,
		.follow = wish->follow && (monitor->phase == PHASE_RUNNING || monitor->phase == PHASE_ENDING),
	};
}

static void begin(struct logs *logs, const struct client *client)
{
	const char *type = "application/vnd.docker.raw-stream";
	if (logs->multiplexed && client->handover->api_minor >= 42)
		type = "application/vnd.docker.multiplexed-stream";
	client_answer_body(client, logs->session, type, &logs->body);
	list_append(&logs->monitor->followers, &logs->link);
	pump(logs);
}

int logs_handover(struct monitor *monitor, const struct client *client, struct err **reterr)
{
	const struct handover_logs *wish = client->handover->logs;
	const struct logreader_options options = options_from(monitor, wish);
	struct logs *logs = calloc(1, sizeof *logs);

	if (!logs)
		return err_oom(reterr);
	*logs = (struct logs){
		.monitor = monitor,
		.follows = options.follow,
		.timestamps = wish->timestamps,
		.details = wish->details,
	};
	int ret = logs_open_reader(monitor, &options, &logs->reader, reterr);
	if (ret == 0)
		ret = client_accept(monitor, client, &session_ops, logs, &logs->session, reterr);
	if (ret < 0) {
		logreader_free(logs->reader);
		free(logs);
		return ret;
	}
	logs->multiplexed = !monitor_has_terminal(monitor);
	begin(logs, client);
	return 0;
}
