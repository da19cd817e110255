#include "cli/each.h"

#include "cli/client.h"
#include "cli/print.h"

static int send_one(struct client *client, const struct each *each, const char *argument, struct response **ret,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	if (client_path(&path, each->before, argument, each->after) < 0)
		return err_set(reterr, ERR_TOO_LARGE, 0, "the name is too long: %.64s...", argument);
	const struct request request = { .method = each->method, .path = path.data };
	return client_send(client, &request, ret, reterr);
}

/* Returns whether it went well, or need not have. */
static bool finish_one(struct response *response, const struct each *each, const char *argument, struct err *err)
{
	_autofree_(err) struct err *failure = err;
	if (!failure && response_wait(response, &failure) >= 0)
		return print_line(&failure, "%s", argument) == 0;
	print_error("%s", err_message(failure));
	return each->missing_is_fine && failure && failure->kind == ERR_NOT_FOUND;
}

int each_argument(const struct invocation *invocation, const struct each *each, struct err **reterr)
{
	(void)reterr;
	bool good = true;
	for (size_t first = 0; first < invocation->arg_count; first += EACH_PARALLEL) {
		struct response *responses[EACH_PARALLEL] = { NULL };
		struct err *errors[EACH_PARALLEL] = { NULL };
		size_t count = invocation->arg_count - first < EACH_PARALLEL ? invocation->arg_count - first
									     : EACH_PARALLEL;
		for (size_t i = 0; i < count; i++)
			send_one(invocation->client, each, invocation->args[first + i], &responses[i], &errors[i]);
		for (size_t i = 0; i < count; i++) {
			good &= finish_one(responses[i], each, invocation->args[first + i], errors[i]);
			response_free(responses[i]);
		}
	}
	return good ? 0 : 1;
}
