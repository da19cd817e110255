#include "api/sizes.h"

#include <stdlib.h>

struct waiting {
	struct request *request;
	sized_fn *answer;
};

static void on_counted(void *user, const struct sizes *sizes, const struct err *err)
{
	struct waiting waiting = *(struct waiting *)user;
	free(user);
	if (err)
		respond_error(waiting.request, err);
	else
		waiting.answer(waiting.request, sizes);
}

void with_sizes(struct request *request, const struct sizes_wish *wish, sized_fn *answer)
{
	_autofree_(err) struct err *err = NULL;
	struct waiting *waiting = malloc(sizeof(*waiting));
	int r = waiting ? 0 : err_oom(&err);
	if (r == 0) {
		*waiting = (struct waiting){ request, answer };
		r = sizes_count(request->engine, wish, on_counted, waiting, &err);
	}
	if (r < 0) {
		free(waiting);
		respond_error(request, err);
	}
}
