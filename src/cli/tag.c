#include "cli/client.h"
#include "cli/verbs.h"
#include "codec/query.h"
#include "codec/reference.h"

static int tag_run(const struct invocation *invocation, struct err **reterr)
{
	const char *problem = NULL;
	_cleanup_(reference_finish) struct reference target = { NULL };
	int ret = reference_parse(invocation->args[1], &target, &problem);
	if (ret < 0)
		return err_set(reterr, ERR_INVALID, -ret,
			"Error parsing reference: \"%s\" is not a valid repository/tag: %s", invocation->args[1],
			problem ? problem : "out of memory");
	if (target.digest)
		return err_set(reterr, ERR_INVALID, 0, "refusing to create a tag with a digest reference");

	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	ret = client_path(&path, "/images/", invocation->args[0], "/tag");
	if (ret == 0)
		ret = query_append(&path, "repo", reference_familiar(target.repository));
	if (ret == 0)
		ret = query_append(&path, "tag", target.tag ? target.tag : REFERENCE_DEFAULT_TAG);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	return client_call(invocation->client, "POST", path.data, NULL, NULL, reterr);
}

const struct command tag_command = {
	.names = { "image tag", "tag" },
	.usage = "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
	.summary = "Give an image another name",
	.min_args = 2,
	.max_args = 2,
	.arguments = ARGUMENTS_IMAGES,
	.flags = COMMAND_ENGINE,
	.run = tag_run,
};
