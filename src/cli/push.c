#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/credentials.h"
#include "cli/platform.h"
#include "cli/progress.h"
#include "cli/verbs.h"
#include "codec/query.h"
#include "codec/reference.h"

struct push_options {
	bool all_tags;
	bool disable_content_trust;
	const char *platform;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct push_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("all-tags", 'a', OPTION_BOOL, all_tags, "Push every tag that the repository has here"),
	OPTION("disable-content-trust", 0, OPTION_BOOL, disable_content_trust,
		"Don't sign the image (nothing else is done)", .fallback = "true"),
	OPTION("platform", 0, OPTION_STRING, platform,
		"Push only if the image is for this platform (os[/arch[/variant]])"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Print the image's name alone"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int read_name(const char *image, bool all_tags, struct reference *ret, struct err **reterr)
{
	const char *problem = NULL;
	int r = reference_parse(image, ret, &problem);

	if (r < 0)
		return err_set(reterr, ERR_INVALID, -r, "%s", problem ? problem : "out of memory");
	if (ret->digest)
		return err_set(reterr, ERR_INVALID, 0, "cannot push a digest reference");
	return all_tags && ret->tag ? err_set(reterr, ERR_INVALID, 0, "tag can't be used with --all-tags/-a") : 0;
}

static int push_path(const struct push_options *options, const struct reference *name, const char *tag,
	struct buf *path, struct err **reterr)
{
	int r = client_path(path, "/images/", reference_familiar(name->repository), "/push");

	if (r == 0 && tag)
		r = query_append(path, "tag", tag);
	if (r < 0)
		return err_errno(reterr, r, "cannot make the request");
	return options->platform ? platform_append(options->platform, "platform", path, reterr) : 0;
}

static int push_run(const struct invocation *invocation, struct err **reterr)
{
	const struct push_options *options = invocation->options;
	_cleanup_(reference_finish) struct reference name = { NULL };
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX), auth = BUF_INIT(CREDENTIALS_HEADER_MAX);
	_autofree_(response) struct response *response = NULL;
	_autoclose_ int quiet_fd = options->quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	int r = read_name(invocation->args[0], options->all_tags, &name, reterr);

	if (r < 0)
		return r;
	const char *tag = options->all_tags ? NULL : name.tag ?: REFERENCE_DEFAULT_TAG;
	if (tag && !name.tag && !options->quiet)
		printf("Using default tag: %s\n", tag);
	fflush(stdout);
	r = push_path(options, &name, tag, &path, reterr);
	if (r == 0)
		r = credentials_of_image(invocation->args[0], &auth, reterr);
	if (r < 0)
		return r;
	/* The header has to be there, whatever is known. */
	const struct request request = {
		.method = "POST", .path = path.data, .registry_auth = auth.len > 0 ? auth.data : "e30="
	};
	r = client_request(invocation->client, &request, &response, reterr);
	if (r == 0)
		r = progress_show(response, options->quiet ? quiet_fd : STDOUT_FILENO, reterr);
	if (r == 0 && options->quiet)
		printf("%s%s%s\n", name.repository, tag ? ":" : "", tag ?: "");
	return r;
}

const struct command push_command = {
	.names = { "image push", "push" },
	.usage = "[OPTIONS] NAME[:TAG]",
	.summary = "Upload an image to a registry",
	.description =
		"Sends the layers that the registry does not have yet. Which registry that is, the image's name says.",
	.min_args = 1,
	.max_args = 1,
	.arguments = ARGUMENTS_IMAGES,
	.options = { { &table } },
	.options_size = sizeof(struct push_options),
	.flags = COMMAND_ENGINE,
	.run = push_run,
};
