/*
 * A column is a row of the table below: the names -o knows it by, its title, and a function that prints one cell. The
 * three fixed forms (-f, -l, aux) are lists of such names, so that there is one way through.
 */
#include "monitor/ps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/strv.h"

#define CELL_MAX 4096

typedef int cell_fn(struct buf *out, const struct ps_process *process, const struct ps_host *host);

/* Users and groups: the third field of the line "name:x:ID:..." */
static int print_name(struct buf *out, const char *table, unsigned long id)
{
	for (const char *line = table; line && *line;) {
		const char *end = strchrnul(line, '\n');
		const char *colon = memchr(line, ':', (size_t)(end - line));
		const char *second = colon ? memchr(colon + 1, ':', (size_t)(end - colon - 1)) : NULL;
		char *after = NULL;
		if (second && strtoul(second + 1, &after, 10) == id && after != second + 1 && *after == ':')
			return buf_append(out, line, (size_t)(colon - line));
		line = *end ? end + 1 : end;
	}
	return buf_printf(out, "%lu", id);
}

static int cell_user(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	return print_name(out, host->passwd, process->uid);
}

static int cell_uid(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	return buf_printf(out, "%u", process->uid);
}

static int cell_group(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	return print_name(out, host->group, process->gid);
}

static int cell_gid(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	return buf_printf(out, "%u", process->gid);
}

#define CELL_NUMBER(name, expression)                                                                  \
 static int cell_##name(struct buf *out, const struct ps_process *process, const struct ps_host *host) \
 {                                                                                                     \
  (void)host;                                                                                          \
  return buf_printf(out, "%lld", (long long)(expression));                                             \
 }

CELL_NUMBER(pid, process->pid)
CELL_NUMBER(ppid, process->ppid)
CELL_NUMBER(pgid, process->pgrp)
CELL_NUMBER(sid, process->session)
CELL_NUMBER(tpgid, process->tpgid)
CELL_NUMBER(threads, process->threads)
CELL_NUMBER(nice, process->nice)
CELL_NUMBER(priority, process->priority + 60) /* -l's scale */
CELL_NUMBER(pri, 39 - process->priority)
CELL_NUMBER(vsz, process->vsz_bytes / 1024)
CELL_NUMBER(size_pages, process->vsz_bytes / host->page_bytes)
CELL_NUMBER(rss, process->rss_pages * host->page_bytes / 1024)

static int cell_flags(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)process;
	(void)host;
	return buf_putc(out, '4');
}

static int64_t elapsed_s(const struct ps_process *process, const struct ps_host *host)
{
	int64_t elapsed = host->now_s - host->boot_s - process->start_ticks / host->ticks_per_s;
	return elapsed > 0 ? elapsed : 0;
}

static int64_t cpu_permille(const struct ps_process *process, const struct ps_host *host)
{
	int64_t elapsed = elapsed_s(process, host);
	return elapsed ? process->cpu_ticks * 1000 / host->ticks_per_s / elapsed : 0;
}

static int cell_c(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	int64_t percent = cpu_permille(process, host) / 10;
	return buf_printf(out, "%lld", (long long)(percent > 99 ? 99 : percent));
}

static int cell_pcpu(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	int64_t permille = cpu_permille(process, host);
	return buf_printf(out, "%lld.%lld", (long long)permille / 10, (long long)permille % 10);
}

static int cell_pmem(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	int64_t permille = host->memory_bytes ? process->rss_pages * host->page_bytes / (host->memory_bytes / 1000 + 1)
					      : 0;
	return buf_printf(out, "%lld.%lld", (long long)permille / 10, (long long)permille % 10);
}

static void start_time(const struct ps_process *process, const struct ps_host *host, struct tm *start, struct tm *now)
{
	time_t at = host->boot_s + process->start_ticks / host->ticks_per_s;
	time_t today = host->now_s;
	localtime_r(&at, start);
	localtime_r(&today, now);
}

/* The time of day if it started today, else the day, else the year. */
static int cell_stime(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	struct tm start, now;
	char text[32];
	start_time(process, host, &start, &now);
	if (start.tm_year != now.tm_year)
		strftime(text, sizeof text, "%Y", &start);
	else if (start.tm_yday != now.tm_yday)
		strftime(text, sizeof text, "%b%d", &start);
	else
		strftime(text, sizeof text, "%H:%M", &start);
	return buf_puts(out, text);
}

static int cell_tty(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	unsigned long device = (unsigned long)process->tty;
	unsigned long major = (device >> 8) & 0xfff;
	unsigned long minor = (device & 0xff) | ((device >> 12) & 0xfff00);
	if (!device)
		return buf_puts(out, "?");
	if (major >= 136 && major <= 143)
		return buf_printf(out, "pts/%lu", minor + (major - 136) * 256);
	if (major == 4)
		return minor < 64 ? buf_printf(out, "tty%lu", minor) : buf_printf(out, "ttyS%lu", minor - 64);
	return buf_puts(out, "?");
}

static int cell_time(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	long long seconds = process->cpu_ticks / host->ticks_per_s;
	long long days = seconds / 86400;
	int ret = days ? buf_printf(out, "%lld-", days) : 0;
	return ret ?: buf_printf(out, "%02lld:%02lld:%02lld", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static int cell_bsd_time(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	long long seconds = process->cpu_ticks / host->ticks_per_s;
	return buf_printf(out, "%lld:%02lld", seconds / 60, seconds % 60);
}

static int cell_etime(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	long long seconds = elapsed_s(process, host);
	int ret = seconds >= 86400 ? buf_printf(out, "%lld-", seconds / 86400) : 0;
	if (ret == 0 && seconds >= 3600)
		ret = buf_printf(out, "%02lld:", seconds / 3600 % 24);
	return ret ?: buf_printf(out, "%02lld:%02lld", seconds / 60 % 60, seconds % 60);
}

static int cell_etimes(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	return buf_printf(out, "%lld", (long long)elapsed_s(process, host));
}

static int cell_state(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	return buf_putc(out, process->state);
}

static int cell_stat(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	char text[8];
	size_t n = 0;
	text[n++] = process->state;
	if (process->nice)
		text[n++] = process->nice < 0 ? '<' : 'N';
	if (process->session == process->pid)
		text[n++] = 's';
	if (process->threads > 1)
		text[n++] = 'l';
	if (process->tpgid > 0 && process->tpgid == process->pgrp)
		text[n++] = '+';
	return buf_append(out, text, n);
}

static int cell_comm(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	return buf_puts(out, process->comm);
}

static int cell_command(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)host;
	return buf_puts(out, process->command);
}

static int cell_dash(struct buf *out, const struct ps_process *process, const struct ps_host *host)
{
	(void)process;
	(void)host;
	return buf_putc(out, '-');
}

struct column {
	const char *names; /* separated by spaces, with one at either end */
	const char *title;
	cell_fn *print;
};

static const struct column columns[] = {
	{ " f-user ", "UID", cell_user },
	{ " user euser uname ruser ", "USER", cell_user },
	{ " uid euid ruid ", "UID", cell_uid },
	{ " group egroup rgroup ", "GROUP", cell_group },
	{ " gid egid rgid ", "GID", cell_gid },
	{ " pid tgid ", "PID", cell_pid },
	{ " ppid ", "PPID", cell_ppid },
	{ " pgid pgrp ", "PGID", cell_pgid },
	{ " sid sess session ", "SID", cell_sid },
	{ " tpgid ", "TPGID", cell_tpgid },
	{ " c ", "C", cell_c },
	{ " pcpu %cpu ", "%CPU", cell_pcpu },
	{ " pmem %mem ", "%MEM", cell_pmem },
	{ " stime ", "STIME", cell_stime },
	{ " start start_time bsdstart ", "START", cell_stime },
	{ " tty ", "TTY", cell_tty },
	{ " tname tt ", "TT", cell_tty },
	{ " time cputime ", "TIME", cell_time },
	{ " bsdtime ", "TIME", cell_bsd_time },
	{ " etime ", "ELAPSED", cell_etime },
	{ " etimes ", "ELAPSED", cell_etimes },
	{ " state s ", "S", cell_state },
	{ " stat ", "STAT", cell_stat },
	{ " nlwp thcount ", "NLWP", cell_threads },
	{ " ni nice ", "NI", cell_nice },
	{ " pri ", "PRI", cell_pri },
	{ " l-pri ", "PRI", cell_priority },
	{ " vsz vsize ", "VSZ", cell_vsz },
	{ " rss rssize rsz ", "RSS", cell_rss },
	{ " sz ", "SZ", cell_size_pages },
	{ " f flag flags ", "F", cell_flags },
	{ " addr ", "ADDR", cell_dash },
	{ " wchan ", "WCHAN", cell_dash },
	{ " comm ucmd ucomm ", "COMMAND", cell_comm },
	{ " l-comm ", "CMD", cell_comm },
	{ " f-cmd cmd ", "CMD", cell_command },
	{ " args command ", "COMMAND", cell_command },
};

static const char full_form[] = "f-user,pid,ppid,c,stime,tty,time,f-cmd";
static const char extra_full_form[] = "f-user,pid,ppid,c,sz,rss,stime,tty,time,f-cmd";
static const char long_form[] = "f,s,uid,pid,ppid,c,l-pri,ni,addr,sz,wchan,tty,time,l-comm";
static const char short_form[] = "pid,tty,time,l-comm";
static const char bsd_user_form[] = "user,pid,pcpu,pmem,vsz,rss,tty,stat,start,bsdtime,args";
static const char bsd_short_form[] = "pid,tty,stat,bsdtime,args";

struct ps_format {
	size_t count;
	struct {
		const struct column *column;
		char *title; /* NULL: the column's own */
	} items[PS_COLUMNS_MAX];
};

void ps_format_free(struct ps_format *format)
{
	if (!format)
		return;
	for (size_t i = 0; i < format->count; i++)
		free(format->items[i].title);
	free(format);
}

static const struct column *column_find(const char *name, size_t len)
{
	char key[32];
	if (len == 0 || len + 3 > sizeof key || memchr(name, ' ', len))
		return NULL;
	snprintf(key, sizeof key, " %.*s ", (int)len, name);
	for (size_t i = 0; i < ARRAY_SIZE(columns); i++)
		if (strstr(columns[i].names, key))
			return &columns[i];
	return NULL;
}

/* A list of "name" or "name=TITLE"; a title takes all that follows, commas included, as in ps. */
static int add_list(struct ps_format *format, const char *list, struct err **reterr)
{
	for (const char *at = list;;) {
		size_t len = strcspn(at, ",=");
		const struct column *column = column_find(at, len);
		if (!column)
			return err_set(reterr, ERR_INVALID, 0, "unknown user-defined format specifier \"%.*s\"",
				(int)len, at);
		if (format->count == PS_COLUMNS_MAX)
			return err_set(reterr, ERR_TOO_LARGE, 0, "more than %d columns", PS_COLUMNS_MAX);
		format->items[format->count].column = column;
		if (at[len] == '=') {
			format->items[format->count].title = strdup(at + len + 1);
			if (!format->items[format->count].title)
				return err_oom(reterr);
		}
		format->count++;
		if (at[len] != ',')
			return 0;
		at += len + 1;
	}
}

/* What the letters of all words asked for. */
struct ps_wish {
	bool full, extra_full, is_long, bsd, bsd_user;
};

/* One word of letters; *ret_list is set to an -o list that begins in it, or to "" if that is the next word. */
static int read_letters(const char *word, struct ps_wish *wish, const char **ret_list, struct err **reterr)
{
	bool is_bsd = word[0] != '-';
	wish->bsd |= is_bsd;
	for (const char *letter = is_bsd ? word : word + 1; *letter; letter++) {
		switch (*letter) {
		case 'f': wish->full |= !is_bsd; break;
		case 'F': wish->extra_full = true; break;
		case 'l': wish->is_long |= !is_bsd; break;
		case 'u': wish->bsd_user |= is_bsd; break;
		case 'e':
		case 'A':
		case 'a':
		case 'x':
		case 'd':
		case 'w':
		case 'y':
		case 'H':
		case 'N':
		case 'j': break;
		case 'o': *ret_list = letter + 1; return 0;
		default:
			return err_set(reterr, ERR_INVALID, 0, "ps: unsupported option \"%c\" in \"%s\"", *letter,
				word);
		}
	}
	return 0;
}

static const char *fixed_form(const struct ps_wish *wish)
{
	if (wish->bsd_user)
		return bsd_user_form;
	if (wish->extra_full)
		return extra_full_form;
	if (wish->full)
		return full_form;
	if (wish->is_long)
		return long_form;
	return wish->bsd ? bsd_short_form : short_form;
}

/* The list of "-o LIST", "-oLIST" or "--format=LIST" at words[*at], NULL if that word holds none. */
static int read_word(char **words, size_t *at, struct ps_wish *wish, const char **ret_list, struct err **reterr)
{
	static const char long_option[] = "--format";
	const char *word = words[*at];

	*ret_list = NULL;
	if (strncmp(word, long_option, sizeof long_option - 1) == 0) {
		const char *rest = word + sizeof long_option - 1;
		*ret_list = *rest == '=' ? rest + 1 : rest;
	} else {
		int ret = read_letters(word, wish, ret_list, reterr);
		if (ret < 0)
			return ret;
	}
	if (*ret_list && !**ret_list) {
		if (!words[*at + 1])
			return err_set(reterr, ERR_INVALID, 0, "format specification must follow -o");
		*ret_list = words[++*at];
	}
	return 0;
}

int ps_format_parse(const char *args, struct ps_format **ret, struct err **reterr)
{
	_autofree_(ps_format) struct ps_format *format = calloc(1, sizeof *format);
	_autofree_(strv) char **words = strv_split(args && *args ? args : "-ef", ' ');
	struct ps_wish wish = { 0 };
	int r = 0;

	if (!format || !words)
		return err_oom(reterr);
	for (size_t i = 0; words[i] && r >= 0; i++) {
		const char *list = NULL;
		if (!*words[i])
			continue;
		r = read_word(words, &i, &wish, &list, reterr);
		if (r >= 0 && list)
			r = add_list(format, list, reterr);
	}
	if (r >= 0 && !format->count)
		r = add_list(format, fixed_form(&wish), reterr);
	if (r < 0)
		return r;
	*ret = TAKE(format);
	return 0;
}

char **ps_titles(const struct ps_format *format)
{
	_autofree_(strv) char **titles = NULL;
	for (size_t i = 0; i < format->count; i++)
		if (strv_append(&titles, format->items[i].title ?: format->items[i].column->title) < 0)
			return NULL;
	return TAKE(titles);
}

char **ps_row(const struct ps_format *format, const struct ps_process *process, const struct ps_host *host)
{
	_autofree_(strv) char **row = NULL;
	for (size_t i = 0; i < format->count; i++) {
		_cleanup_(buf_finish) struct buf cell = BUF_INIT(CELL_MAX);
		int ret = format->items[i].column->print(&cell, process, host);
		if ((ret < 0 && ret != -EFBIG) || strv_append(&row, cell.data ?: "") < 0)
			return NULL;
	}
	return TAKE(row);
}

/* The numbers of /proc/PID/stat from field 3 on, which is the first behind the command's closing parenthesis. */
static int parse_stat(const char *stat, struct ps_process *ret)
{
	const char *open = strchr(stat, '(');
	const char *close = strrchr(stat, ')');
	long long utime, stime, priority, nice, threads, start, vsize, rss;
	int ppid, pgrp, session, tty, tpgid;

	if (!open || !close || close < open)
		return -EINVAL;
	int n = sscanf(close + 1,
		" %c %d %d %d %d %d %*u %*u %*u %*u %*u %lld %lld %*d %*d %lld %lld %lld %*d %lld %lld %lld",
		&ret->state, &ppid, &pgrp, &session, &tty, &tpgid, &utime, &stime, &priority, &nice, &threads, &start,
		&vsize, &rss);
	if (n != 14)
		return -EINVAL;
	ret->pid = (pid_t)strtol(stat, NULL, 10);
	ret->ppid = ppid;
	ret->pgrp = pgrp;
	ret->session = session;
	ret->tpgid = tpgid;
	ret->tty = tty;
	ret->cpu_ticks = utime + stime;
	ret->priority = priority;
	ret->nice = nice;
	ret->threads = threads;
	ret->start_ticks = start;
	ret->vsz_bytes = vsize;
	ret->rss_pages = rss;
	ret->comm = strndup(open + 1, (size_t)(close - open - 1));
	return ret->comm ? 0 : -ENOMEM;
}

/* The effective ID: the second number behind "Uid:" or "Gid:". */
static unsigned status_id(const char *status, const char *key)
{
	const char *line = strstr(status, key);
	unsigned real = 0, effective = 0;
	if (line && sscanf(line + strlen(key), "%u %u", &real, &effective) == 2)
		return effective;
	return 0;
}

/* Arguments joined by spaces; what would break a line or a terminal becomes '?'. */
static char *join_command(const char *comm, const char *cmdline, size_t len)
{
	char *command = NULL;
	while (len && !cmdline[len - 1])
		len--;
	if (!len)
		return asprintf(&command, "[%s]", comm) < 0 ? NULL : command;
	command = malloc(len + 1);
	if (!command)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)cmdline[i];
		command[i] = c == 0 ? ' ' : c < 32 || c == 127 ? '?' : (char)c;
	}
	command[len] = '\0';
	return command;
}

int ps_process_parse(const char *stat, const char *status, const char *cmdline, size_t cmdline_len,
	struct ps_process *ret)
{
	*ret = (struct ps_process){ 0 };
	int r = parse_stat(stat, ret);
	if (r < 0)
		return r;
	ret->uid = status_id(status, "\nUid:");
	ret->gid = status_id(status, "\nGid:");
	ret->command = join_command(ret->comm, cmdline, cmdline_len);
	if (ret->command)
		return 0;
	ps_process_finish(ret);
	return -ENOMEM;
}

void ps_process_finish(struct ps_process *process)
{
	free(process->comm);
	free(process->command);
	process->comm = process->command = NULL;
}
