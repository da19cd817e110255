#include "store/identity.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"

#define IDENTITY_BYTES_MAX 256

/* Returns 1, or 0 if nothing is noted. */
static int read_note(int data_root_fd, const char *file, struct buf *noted, struct err **reterr)
{
	int r = io_read_file(data_root_fd, file, noted);

	if (r == -ENOENT)
		return 0;
	return r < 0 ? err_errno(reterr, r, "cannot read %s", file) : 1;
}

static int refuse(const char *name, struct err **reterr)
{
	return err_set(reterr, ERR_CONFLICT, EUCLEAN,
		"%s.db is not the database that this data root had: it was lost, emptied or replaced. Put the right one back; "
		"or remove %s.id to go on with this one, and lose what it doesn't name",
		name, name);
}

int identity_expect(int data_root_fd, const char *name, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf noted = BUF_INIT(IDENTITY_BYTES_MAX);
	char file[NAME_MAX];
	struct stat st = { .st_size = 0 };
	int r;

	snprintf(file, sizeof(file), "%s.id", name);
	r = read_note(data_root_fd, file, &noted, reterr);
	if (r <= 0)
		return r;
	snprintf(file, sizeof(file), "%s.db", name);
	if (fstatat(data_root_fd, file, &st, 0) < 0 && errno != ENOENT)
		return err_errno(reterr, -errno, "cannot look at %s", file);
	return st.st_size > 0 ? 0 : refuse(name, reterr);
}

int identity_check(int data_root_fd, const char *name, const char *identity, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf noted = BUF_INIT(IDENTITY_BYTES_MAX);
	char file[NAME_MAX];
	int r;

	snprintf(file, sizeof(file), "%s.id", name);
	r = read_note(data_root_fd, file, &noted, reterr);
	if (r < 0)
		return r;
	if (r > 0)
		return strcmp(noted.data ?: "", identity) == 0 ? 0 : refuse(name, reterr);
	r = io_replace_file(data_root_fd, file, identity, strlen(identity), true);
	return r < 0 ? err_errno(reterr, r, "cannot write %s", file) : 0;
}
