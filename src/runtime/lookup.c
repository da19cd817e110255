#include "runtime/lookup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

/* The kernel's words, as Go prints them: in lower case and without glibc's tables. */
static const char *errno_text(int errnum)
{
	switch (errnum) {
	case ENOENT: return "no such file or directory";
	case ENOTDIR: return "not a directory";
	case EACCES: return "permission denied";
	case EISDIR: return "is a directory: permission denied";
	case ELOOP: return "too many levels of symbolic links";
	case ENAMETOOLONG: return "file name too long";
	default: return strerror(errnum);
	}
}

/* 0 if it can be executed; -errno, and whether it was stat that failed. */
static int check_executable(const char *path, int *stat_failed)
{
	struct stat st;

	*stat_failed = stat(path, &st) < 0;
	if (*stat_failed)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	/* Root may enter and read anything, but not execute what has no x bit at all. */
	if (!(st.st_mode & 0111) || faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0)
		return -EACCES;
	return 0;
}

static int lookup_path(const char *command, char out[static PATH_MAX], char *why)
{
	int stat_failed;
	int r = check_executable(command, &stat_failed);

	if (r == 0 && snprintf(out, PATH_MAX, "%s", command) >= PATH_MAX)
		r = -ENAMETOOLONG;
	if (r == 0)
		return 0;
	if (stat_failed)
		snprintf(why, LOOKUP_WHY_MAX, "exec: \"%.200s\": stat %.200s: %s", command, command, errno_text(-r));
	else
		snprintf(why, LOOKUP_WHY_MAX, "exec: \"%.400s\": %s", command, errno_text(-r));
	return r;
}

int lookup_command(const char *command, const char *path_list, char out[static PATH_MAX],
	char why[static LOOKUP_WHY_MAX])
{
	int stat_failed;

	if (strchr(command, '/'))
		return lookup_path(command, out, why);
	for (const char *at = path_list; at && *command;) {
		size_t len = strcspn(at, ":");
		/* An empty element is the working folder, in the shell's tradition. */
		int total = snprintf(out, PATH_MAX, "%.*s/%s", len ? (int)len : 1, len ? at : ".", command);
		if (total < PATH_MAX && check_executable(out, &stat_failed) == 0)
			return 0;
		at = at[len] ? at + len + 1 : NULL;
	}
	snprintf(why, LOOKUP_WHY_MAX, "exec: \"%.400s\": executable file not found in $PATH", command);
	return -ENOENT;
}
