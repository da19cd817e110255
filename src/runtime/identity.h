/*
 * Who a process in a container is: Docker's user string ("", "name", "1000", "name:group", "1000:1000") resolved with the
 * container's own etc/passwd and etc/group.
 *
 * These files belong to the image's author. They are opened in-root, must be regular files, are read in pieces up to
 * IDENTITY_FILE_MAX and by lines up to IDENTITY_LINE_MAX. A number is a number: it never falls back to a name, and one out
 * of range is refused (CVE-2016-3697, CVE-2024-40635, CVE-2026-46680). Nothing allocates: runs between clone and exec.
 */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <sys/types.h>

#define IDENTITY_FILE_MAX   (32 * 1024 * 1024)
#define IDENTITY_LINE_MAX   (64 * 1024)
#define IDENTITY_ID_MAX     2147483647 /* Docker's */
#define IDENTITY_GROUPS_MAX 65536      /* the kernel's NGROUPS_MAX */
#define IDENTITY_WHY_MAX    384

struct identity {
	uid_t uid;
	gid_t gid;
	char home[PATH_MAX];
	size_t group_count;
	gid_t groups[IDENTITY_GROUPS_MAX]; /* supplementary, the primary one first */
};

/* On failure `why` is a sentence with Docker's wording where it has one. Returns 0 or -errno. */
int identity_resolve(int root_fd, const char *user, char *const *group_add, struct identity *out,
	char why[static IDENTITY_WHY_MAX]);

/* The home folder of `uid` ("/" where the files do not tell). */
void identity_home(int root_fd, uid_t uid, char home[static PATH_MAX]);
