#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/strv.h"
#include "cli/client.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "codec/query.h"

struct import_options {
	char **changes;
	const char *message;
	const char *platform;
};

#define OPTION(...) OPTION_IN(struct import_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("change", 'c', OPTION_LIST, changes, "Apply a Dockerfile's instruction to the image (\"CMD /bin/sh\")"),
	OPTION("message", 'm', OPTION_STRING, message, "What to note in the image's history"),
	OPTION("platform", 0, OPTION_STRING, platform, "Platform of the image (os[/arch[/variant]])"),
};
static const struct option_table table = OPTION_TABLE(specs);

static bool is_url(const char *source)
{
	return strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0;
}

static int build_path(const struct invocation *invocation, struct buf *path)
{
	const struct import_options *options = invocation->options;
	const char *source = invocation->args[0];
	int ret = buf_puts(path, "/images/create");
	if (ret == 0)
		ret = query_append(path, "fromSrc", is_url(source) ? source : "-");
	if (ret == 0 && invocation->arg_count > 1)
		ret = query_append(path, "repo", invocation->args[1]);
	if (ret == 0 && options->message)
		ret = query_append(path, "message", options->message);
	if (ret == 0 && options->platform)
		ret = query_append(path, "platform", options->platform);
	for (char **change = options->changes; ret == 0 && change && *change; change++)
		ret = query_append(path, "changes", *change);
	return ret;
}

static int import_run(const struct invocation *invocation, struct err **reterr)
{
	const char *source = invocation->args[0];
	bool upload = !is_url(source);
	_autoclose_ int fd = -1;
	if (upload) {
		fd = strcmp(source, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					      : open(source, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return err_errno(reterr, -errno, "open %s", source);
	}
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int ret = build_path(invocation, &path);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	const struct request request = { .method = "POST", .path = path.data, .upload = upload, .upload_fd = fd };
	_autofree_(response) struct response *response = NULL;
	ret = client_request(invocation->client, &request, &response, reterr);
	return ret < 0 ? ret : progress_show(response, STDOUT_FILENO, reterr);
}

const struct command import_command = {
	.names = { "image import", "import" },
	.usage = "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
	.summary = "Make an image of one layer from an archive of a file system",
	.options = { { &table } },
	.options_size = sizeof(struct import_options),
	.min_args = 1,
	.max_args = 2,
	.arguments = ARGUMENTS_FILES,
	.flags = COMMAND_ENGINE,
	.run = import_run,
};
