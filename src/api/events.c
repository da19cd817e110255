/* GET /events: the journal's past and whatever happens, a JSON document a line, until the client leaves. */
#include "engine/events.h"

#include "api/params.h"
#include "api/request.h"
#include "api/routes.h"

struct event_stream {
	struct request *request; /* NULL: the client is gone */
	struct event_subscription *subscription;
	bool subscribing; /* the past is being told: the subscription is not ours yet */
};

static void on_client_gone(void *user)
{
	struct event_stream *stream = user;
	stream->request = NULL;
	if (stream->subscribing)
		return;
	event_subscription_free(stream->subscription);
	free(stream);
}

static void on_text(const char *text, size_t len, void *user)
{
	struct event_stream *stream = user;
	if (stream->request)
		stream_write(stream->request, text, len); /* a slow client is dropped by this: on_client_gone */
}

static void end_stream(struct event_stream *stream)
{
	event_subscription_free(stream->subscription);
	if (stream->request)
		stream_end(stream->request);
	free(stream);
}

static void on_end(void *user)
{
	end_stream(user);
}

static int read_wish(struct request *request, struct event_wish *wish, struct err **reterr)
{
	int r = filters_parse(query_get(request->query, "filters"), events_filter_keys, &wish->filters, reterr);
	r = r ?: param_time(request->query, "since", INT64_MAX, &wish->since_ns, reterr);
	return r ?: param_time(request->query, "until", INT64_MAX, &wish->until_ns, reterr);
}

static void get_events(struct request *request)
{
	struct event_wish wish = { .listen = on_text, .end = on_end };
	_autofree_(err) struct err *err = NULL;
	struct event_stream *stream = calloc(1, sizeof *stream);
	int r = stream ? read_wish(request, &wish, &err) : err_oom(&err);
	if (r < 0) {
		filters_free(wish.filters);
		free(stream);
		respond_error(request, err);
		return;
	}
	stream->request = request;
	stream->subscribing = true;
	wish.user = stream;
	stream_begin(request, "application/json", on_client_gone, stream);
	r = events_subscribe(request->engine->events, &wish, &stream->subscription, NULL);
	stream->subscribing = false;
	if (r < 0 || !stream->request)
		end_stream(stream);
}

static const struct route routes[] = {
	{ "GET", "/events", 0, 0, get_events },
};
const struct route_table event_routes = ROUTE_TABLE(routes);
