/*
 * What `ps` would print of some processes, from the text of their /proc files: titles and one row a process. Understands
 * the options that people give to `docker top`: -e -A -f -F -l, "aux" and the like, -o with a list ("pid,comm", "pid=ID"),
 * and ignores which processes were asked for, since the caller says that. Runs nothing, resolves user names from the
 * text of a passwd file.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sys/types.h>

#include "base/err.h"

#define PS_COLUMNS_MAX 64

/* The kernel's numbers for one process; strings are the struct's own. */
struct ps_process {
	pid_t pid, ppid, pgrp, session, tpgid;
	uid_t uid;
	gid_t gid;
	char state;
	char *comm;
	char *command; /* arguments joined by spaces, or [comm] */
	int64_t tty;   /* device number; 0: none */
	int64_t nice, priority, threads;
	int64_t cpu_ticks;   /* user and system */
	int64_t start_ticks; /* since boot */
	int64_t vsz_bytes, rss_pages;
};

/* The machine: what the numbers are relative to. */
struct ps_host {
	int64_t now_s;  /* wall clock */
	int64_t boot_s; /* wall clock at boot */
	int64_t ticks_per_s;
	int64_t page_bytes;
	int64_t memory_bytes;
	const char *passwd; /* text of /etc/passwd and /etc/group, borrowed; may be NULL */
	const char *group;
};

struct ps_format;

/* `args` as in "-o pid,comm" or "aux"; NULL or "" is "-ef". ERR_INVALID names the option it does not know. */
int ps_format_parse(const char *args, struct ps_format **ret, struct err **reterr);
void ps_format_free(struct ps_format *format);
DEFINE_AUTOFREE(ps_format, struct ps_format *, ps_format_free);

/* Heap vectors, the receiver's; NULL when out of memory. */
char **ps_titles(const struct ps_format *format);
char **ps_row(const struct ps_format *format, const struct ps_process *process, const struct ps_host *host);

/*
 * Fills `ret` from the texts of /proc/PID/stat, /proc/PID/status and /proc/PID/cmdline (with its NULs). 0, -EINVAL,
 * -ENOMEM.
 */
int ps_process_parse(const char *stat, const char *status, const char *cmdline, size_t cmdline_len,
	struct ps_process *ret);
void ps_process_finish(struct ps_process *process);
