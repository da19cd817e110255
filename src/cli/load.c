#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/platform.h"
#include "cli/progress.h"
#include "cli/verbs.h"

struct load_options {
	const char *input;
	const char *platform;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct load_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("input", 'i', OPTION_STRING, input, "Read this file in place of standard input"),
	OPTION("platform", 0, OPTION_STRING, platform, "Load this variant only (os[/arch[/variant]])"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Don't show progress"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int open_input(const char *path, int *ret_fd, struct err **reterr)
{
	if (!path) {
		if (isatty(STDIN_FILENO))
			return err_set(reterr, ERR_INVALID, 0, "requested load from stdin, but stdin is empty");
		*ret_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	} else {
		*ret_fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	return *ret_fd < 0 ? err_errno(reterr, -errno, "open %s", path ? path : "standard input") : 0;
}

static int load_run(const struct invocation *invocation, struct err **reterr)
{
	const struct load_options *options = invocation->options;
	_autoclose_ int fd = -1;
	int ret = open_input(options->input, &fd, reterr);
	if (ret < 0)
		return ret;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	ret = buf_printf(&path, "/images/load?quiet=%d", options->quiet || !isatty(STDOUT_FILENO));
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	if (options->platform)
		ret = platform_append(options->platform, "platform", &path, reterr);
	if (ret < 0)
		return ret;
	const struct request request = { .method = "POST", .path = path.data, .upload = true, .upload_fd = fd };
	_autofree_(response) struct response *response = NULL;
	ret = client_request(invocation->client, &request, &response, reterr);
	return ret < 0 ? ret : progress_show(response, STDOUT_FILENO, reterr);
}

const struct command load_command = {
	.names = { "image load", "load" },
	.usage = "[OPTIONS]",
	.summary = "Load images from an archive",
	.description =
		"Reads what `save` wrote, or what other tools wrote in the same form or as an OCI layout, packed by tar and "
		"perhaps compressed.",
	.options = { { &table } },
	.options_size = sizeof(struct load_options),
	.flags = COMMAND_ENGINE,
	.run = load_run,
};
