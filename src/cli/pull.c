#include "cli/pull.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/credentials.h"
#include "cli/platform.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "codec/query.h"
#include "codec/reference.h"

struct pull_options {
	const char *platform;
	bool all_tags;
	bool disable_content_trust;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct pull_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("all-tags", 'a', OPTION_BOOL, all_tags, "Pull every tag of the repository"),
	OPTION("disable-content-trust", 0, OPTION_BOOL, disable_content_trust,
		"Don't verify the image's signature (nothing else is done)", .fallback = "true"),
	OPTION("platform", 0, OPTION_STRING, platform, "Pull this variant (os[/arch[/variant]])"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print the image's name alone"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* `tag`: a tag or a digest; NULL for all tags. */
static int pull_path(const char *repository, const char *tag, const char *platform, struct buf *path,
	struct err **reterr)
{
	int ret = buf_puts(path, "/images/create");

	if (ret == 0)
		ret = query_append(path, "fromImage", repository);
	if (ret == 0 && tag)
		ret = query_append(path, "tag", tag);
	if (ret == 0 && platform)
		ret = query_append(path, "platform", platform);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the request") : 0;
}

static int request_pull(struct client *client, const struct reference *name, const char *tag, const char *platform,
	int fd, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX), auth = BUF_INIT(CREDENTIALS_HEADER_MAX);
	_autofree_(response) struct response *response = NULL;
	int ret = pull_path(name->repository, tag, platform, &path, reterr);

	if (ret < 0)
		return ret;
	ret = credentials_of_image(name->repository, &auth, reterr);
	if (ret < 0)
		return ret;
	const struct request request = { .method = "POST", .path = path.data, .registry_auth = auth.data };
	ret = client_request(client, &request, &response, reterr);
	return ret < 0 ? ret : progress_show(response, fd, reterr);
}

static int read_name(const char *image, struct reference *ret, struct err **reterr)
{
	const char *problem = NULL;
	int r = reference_parse(image, ret, &problem);

	return r < 0 ? err_set(reterr, ERR_INVALID, -r, "%s", problem ? problem : "out of memory") : 0;
}

static const char *tag_of(const struct reference *name)
{
	return name->digest ?: name->tag ?: REFERENCE_DEFAULT_TAG;
}

int pull_image(struct client *client, const char *image, const char *platform, int fd, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference name = { NULL };
	int ret = read_name(image, &name, reterr);

	return ret < 0 ? ret : request_pull(client, &name, tag_of(&name), platform, fd, reterr);
}

static int pull_run(const struct invocation *invocation, struct err **reterr)
{
	const struct pull_options *options = invocation->options;
	_cleanup_(reference_finish) struct reference name = { NULL };
	_autoclose_ int quiet_fd = options->quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	int ret = read_name(invocation->args[0], &name, reterr);

	if (ret < 0)
		return ret;
	if (options->all_tags && (name.tag || name.digest))
		return err_set(reterr, ERR_INVALID, 0, "tag can't be used with --all-tags/-a");
	const char *tag = options->all_tags ? NULL : tag_of(&name);
	if (tag && !options->quiet && !name.tag && !name.digest)
		printf("Using default tag: %s\n", tag);
	fflush(stdout);
	ret = request_pull(invocation->client, &name, tag, options->platform, options->quiet ? quiet_fd : STDOUT_FILENO,
		reterr);
	/* As people may go on to use it: "docker.io/library/debian:12". */
	if (ret == 0)
		printf("%s%s%s\n", name.repository, !tag ? "" : name.digest ? "@" : ":", tag ?: "");
	return ret;
}

const struct command pull_command = {
	.names = { "image pull", "pull" },
	.usage = "[OPTIONS] NAME[:TAG|@DIGEST]",
	.summary = "Download an image from a registry",
	.description =
		"Gets the layers that are not here yet. A name without a registry's host is looked up on Docker Hub.",
	.min_args = 1,
	.max_args = 1,
	.options = { { &table } },
	.options_size = sizeof(struct pull_options),
	.flags = COMMAND_ENGINE,
	.run = pull_run,
};
