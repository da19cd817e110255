#include "engine/egress.h"

#include <string.h>

#include "base/strv.h"
#include "engine/monitor_link.h"
#include "engine/operation.h"
#include "network/shape.h"
#include "spec/egress.h"

/* Their namespace is somebody else's, whose policy counts. */
static int check_mode(const char *mode, const char *what, struct err **reterr)
{
	const char *other = mode && strcmp(mode, "host") == 0              ? "host"
			    : mode && strncmp(mode, "container:", 10) == 0 ? "container"
									   : NULL;
	return other ? err_set(reterr, ERR_INVALID, 0, "conflicting options: %s and the %s network mode", what, other)
		     : 0;
}

int egress_settle(char *const *words, const struct host_config *host, char ***ret, struct err **reterr)
{
	struct egress egress;
	*ret = NULL;
	int r = egress_parse(words, &egress, reterr);
	if (r == 0 && egress_is_set(&egress)) {
		r = check_mode(host->network_mode, "egress policy", reterr);
		if (r == 0 && egress_print(&egress, ret) < 0)
			r = err_oom(reterr);
	}
	egress_finish(&egress);
	return r;
}

int egress_check_bandwidth(int64_t bits, const struct host_config *host, struct err **reterr)
{
	if (bits != 0 && (bits < SHAPE_BITS_MIN || bits > SHAPE_BITS_MAX))
		return err_set(reterr, ERR_INVALID, 0, "invalid bandwidth limit: it is from %d to %lld bits per second",
			SHAPE_BITS_MIN, (long long)SHAPE_BITS_MAX);
	return bits ? check_mode(host->network_mode, "bandwidth limit", reterr) : 0;
}

int egress_complete(struct container_record *record, struct err **reterr)
{
	struct host_config *host = &record->host;
	_autofree_(strv) char **words = TAKE(host->egress);
	const char *label = record->config.labels ? map_get(record->config.labels, EGRESS_LABEL) : NULL;
	if (!words && label && egress_split(label, &words) < 0)
		return err_oom(reterr);
	int r = egress_check_bandwidth(host->bandwidth_in, host, reterr);
	if (r == 0)
		r = egress_check_bandwidth(host->bandwidth_out, host, reterr);
	return r < 0 ? r : egress_settle(words, host, &host->egress, reterr);
}

/* --- what it came to --- */

static int answer(struct operation *operation, const json_t *seen, bool is_cut, struct err **reterr)
{
	const struct container *container = operation->container;
	json_t *words = json_array();
	strv_foreach (word, container->record.host.egress)
		json_array_append_new(words, json_string(*word));
	operation->result = json_pack("{s:o, s:o, s:b}", "Policy", words, "Seen",
		seen ? json_incref((json_t *)seen) : json_array(), "Truncated", is_cut);
	return operation->result ? STEP_NEXT : err_oom(reterr);
}

static int ask(struct operation *operation, struct err **reterr)
{
	if (!container_is_running(operation->container) || !monitor_link_is_up(operation->container))
		return answer(operation, NULL, false, reterr);
	return operation_ask(operation, message_new("egress", 0), MONITOR_ANSWER_MS, reterr);
}

static int take(struct operation *operation, const struct message *message, struct err **reterr)
{
	return answer(operation, json_object_get(message->body, "seen"), message_bool(message, "truncated"), reterr);
}

void egress_show(struct container *container, engine_done_fn *done, void *user)
{
	static const struct step steps[] = { { ask, take, NULL, 0 } };
	static const struct verb verb = { "egress", steps, ARRAY_SIZE(steps) };
	operation_begin(container, &verb, NULL, done, user);
}
