#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/io.h"

#define RANDOM_BYTES 6

struct output {
	int fd;
	const char *path; /* borrowed */
	char *temporary;  /* NULL: nothing to be renamed */
};

static int open_standard(struct output *output, struct err **reterr)
{
	if (isatty(STDOUT_FILENO))
		return err_set(reterr, ERR_INVALID, 0,
			"cowardly refusing to save to a terminal. Use the -o flag or redirect");
	output->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return output->fd < 0 ? err_errno(reterr, -errno, "cannot write to standard output") : 0;
}

static int open_new(const char *path, struct output *output, struct err **reterr)
{
	char random[2 * RANDOM_BYTES + 1];

	io_random_hex(random, RANDOM_BYTES);
	if (asprintf(&output->temporary, "%s.%s.tmp", path, random) < 0) {
		output->temporary = NULL;
		return err_oom(reterr);
	}
	output->fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (output->fd >= 0)
		return 0;
	int r = -errno;
	free(output->temporary);
	output->temporary = NULL;
	return err_errno(reterr, r, "cannot write %s", path);
}

static int output_open(const char *path, struct output *ret, struct err **reterr)
{
	struct stat st;

	*ret = (struct output){ .fd = -1, .path = path };
	if (!path || !*path)
		return open_standard(ret, reterr);
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return open_new(path, ret, reterr);
	ret->fd = open(path, O_WRONLY | O_CLOEXEC);
	return ret->fd < 0 ? err_errno(reterr, -errno, "cannot write %s", path) : 0;
}

static int output_commit(struct output *output, struct err **reterr)
{
	if (output->temporary && rename(output->temporary, output->path) < 0)
		return err_errno(reterr, -errno, "cannot write %s", output->path);
	free(output->temporary);
	output->temporary = NULL;
	return 0;
}

/* Removes what was not committed. */
static void output_finish(struct output *output)
{
	if (output->temporary)
		unlink(output->temporary);
	free(output->temporary);
	fd_close(&output->fd);
}

int output_get(struct client *client, const char *request_path, const char *path, struct err **reterr)
{
	_cleanup_(output_finish) struct output output;
	_autofree_(response) struct response *response = NULL;
	const struct request request = { .method = "GET", .path = request_path };
	int ret = output_open(path, &output, reterr);

	if (ret == 0)
		ret = client_request(client, &request, &response, reterr);
	if (ret == 0)
		ret = response_copy(response, output.fd, reterr);
	return ret < 0 ? ret : output_commit(&output, reterr);
}
