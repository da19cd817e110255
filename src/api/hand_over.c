#include "api/hand_over.h"

#include "engine/core.h"
#include "engine/monitor_link.h"
#include "engine/tree.h"
#include "engine/workers.h"

static void on_answer(void *user, const struct message *answer, const struct err *err)
{
	struct request *request = user;
	(void)answer;
	if (err)
		respond_error(request, err);
	else
		request_handed_over(request);
}

void hand_over_to_monitor(struct request *request, struct container *container, struct handover *handover)
{
	_autofree_(err) struct err *err = NULL;
	size_t surplus_len;
	const char *surplus = request_surplus(request, &surplus_len);

	request_describe(request, handover);
	handover->method = (char *)request->method;
	handover->container = container->id;
	handover->container_name = container->name;
	if (monitor_handover(container, handover, request_fd(request), surplus, surplus_len, on_answer, request, &err) <
		0)
		respond_error(request, err);
}

void hand_over_to_worker(struct request *request, struct handover *handover)
{
	_autofree_(err) struct err *err = NULL;
	size_t surplus_len;
	const char *surplus = request_surplus(request, &surplus_len);

	request_describe(request, handover);
	handover->method = (char *)request->method;
	if (workers_handover(request->engine->workers, handover, request_fd(request), surplus, surplus_len, NULL,
		    on_answer, request, &err) < 0)
		respond_error(request, err);
}

void hand_over_tree(struct request *request, struct container *container, struct handover *handover, bool pause)
{
	_autofree_(err) struct err *err = NULL;
	struct tree_job job = {
		.handover = handover, .fd = request_fd(request), .pause = pause, .on_answer = on_answer, .user = request
	};

	job.surplus = request_surplus(request, &job.surplus_len);
	request_describe(request, handover);
	handover->method = (char *)request->method;
	if (tree_handover(container, &job, &err) < 0)
		respond_error(request, err);
}

void respond_done(void *user, json_t *result, const struct err *err)
{
	struct request *request = user;
	(void)result;
	if (err)
		respond_error(request, err);
	else
		respond_empty(request, 204);
}
