#include "base/strv.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/query.h"
#include "codec/reference.h"

struct commit_options {
	const char *author;
	char **changes;
	const char *message;
	bool pause;
};

#define OPTION(...) OPTION_IN(struct commit_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("author", 'a', OPTION_STRING, author, "Who made it (\"Ada Lovelace <ada@example.org>\")"),
	OPTION("change", 'c', OPTION_LIST, changes, "Apply a Dockerfile's instruction to the image (\"CMD /bin/sh\")"),
	OPTION("message", 'm', OPTION_STRING, message, "What to note in the image's history"),
	OPTION("pause", 'p', OPTION_BOOL, pause, "Keep the container paused meanwhile", .fallback = "true"),
};
static const struct option_table table = OPTION_TABLE(specs);

static int append_name(const char *name, struct buf *path, struct err **reterr)
{
	const char *problem = NULL;
	_cleanup_(reference_finish) struct reference target = { NULL };
	int ret = reference_parse(name, &target, &problem);
	if (ret < 0)
		return err_set(reterr, ERR_INVALID, -ret,
			"Error parsing reference: \"%s\" is not a valid repository/tag: %s", name,
			problem ? problem : "out of memory");
	if (target.digest)
		return err_set(reterr, ERR_INVALID, 0, "refusing to create a tag with a digest reference");
	ret = query_append(path, "repo", reference_familiar(target.repository));
	if (ret == 0)
		ret = query_append(path, "tag", target.tag ? target.tag : REFERENCE_DEFAULT_TAG);
	return ret < 0 ? err_errno(reterr, ret, "cannot make the request") : 0;
}

static int build_path(const struct invocation *invocation, struct buf *path, struct err **reterr)
{
	const struct commit_options *options = invocation->options;
	int ret = buf_puts(path, "/commit");
	if (ret == 0)
		ret = query_append(path, "container", invocation->args[0]);
	if (ret == 0 && options->author)
		ret = query_append(path, "author", options->author);
	if (ret == 0 && options->message)
		ret = query_append(path, "comment", options->message);
	if (ret == 0)
		ret = query_append(path, "pause", options->pause ? "1" : "0");
	strv_foreach (change, options->changes) {
		if (ret == 0)
			ret = query_append(path, "changes", *change);
	}
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	return invocation->arg_count > 1 ? append_name(invocation->args[1], path, reterr) : 0;
}

static int commit_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autojson_ json_t *answer = NULL;
	int ret = build_path(invocation, &path, reterr);
	if (ret == 0)
		ret = client_call(invocation->client, "POST", path.data, NULL, &answer, reterr);
	return ret < 0 ? ret : print_line(reterr, "%s", value_string(answer, "Id"));
}

const struct command commit_command = {
	.names = { "container commit", "commit" },
	.usage = "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
	.summary = "Make an image of what a container is now",
	.options = { { &table } },
	.options_size = sizeof(struct commit_options),
	.min_args = 1,
	.max_args = 2,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = commit_run,
};
