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
	OPTION("all-tags", 'a', OPTION_BOOL, all_tags, "Pull every tag of the repository (not supported yet)"),
	OPTION("disable-content-trust", 0, OPTION_BOOL, disable_content_trust,
		"Don't verify the image's signature (nothing else is done)", .fallback = "true"),
	OPTION("platform", 0, OPTION_STRING, platform, "Pull this variant (os[/arch[/variant]])"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print the image's name alone"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int pull_path(const char *image, const char *platform, struct buf *path, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	const char *problem = NULL;
	int ret = reference_parse(image, &reference, &problem);
	if (ret < 0)
		return err_set(reterr, ERR_INVALID, -ret, "%s", problem ? problem : "out of memory");
	const char *tag = reference.digest ?: reference.tag ?: REFERENCE_DEFAULT_TAG;
	ret = buf_puts(path, "/images/create");
	if (ret == 0)
		ret = query_append(path, "fromImage", reference.repository);
	if (ret == 0)
		ret = query_append(path, "tag", tag);
	if (ret == 0 && platform)
		ret = query_append(path, "platform", platform);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the request") : 0;
}

int pull_image(struct client *client, const char *image, const char *platform, int fd, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX), auth = BUF_INIT(CREDENTIALS_HEADER_MAX);
	_autofree_(response) struct response *response = NULL;
	int ret = pull_path(image, platform, &path, reterr);

	if (ret < 0)
		return ret;
	ret = credentials_of_image(image, &auth, reterr);
	if (ret < 0)
		return ret;
	const struct request request = { .method = "POST", .path = path.data, .registry_auth = auth.data };
	ret = client_request(client, &request, &response, reterr);
	return ret < 0 ? ret : progress_show(response, fd, reterr);
}

/* As people may go on to use it: "docker.io/library/debian:12". */
static int print_name(const char *image, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };

	if (reference_parse(image, &reference, NULL) < 0)
		return err_oom(reterr);
	printf("%s%s%s\n", reference.repository, reference.digest ? "@" : ":",
		reference.digest ?: reference.tag ?: REFERENCE_DEFAULT_TAG);
	return 0;
}

static int pull_run(const struct invocation *invocation, struct err **reterr)
{
	const struct pull_options *options = invocation->options;
	const char *image = invocation->args[0];
	_cleanup_(reference_finish) struct reference reference = { NULL };
	_autoclose_ int quiet_fd = options->quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;

	if (options->all_tags)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"pulling all tags is not supported yet: name them one by one");
	if (!options->quiet && reference_parse(image, &reference, NULL) == 0 && !reference.tag && !reference.digest)
		printf("Using default tag: %s\n", REFERENCE_DEFAULT_TAG);
	fflush(stdout);
	int ret = pull_image(invocation->client, image, options->platform, options->quiet ? quiet_fd : STDOUT_FILENO,
		reterr);
	return ret < 0 ? ret : print_name(image, reterr);
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
