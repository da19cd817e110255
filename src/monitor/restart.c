#include "monitor/restart.h"

#include <errno.h>
#include <string.h>

#define RESTART_DELAY_FIRST_MS 100
#define RESTART_DELAY_MAX_MS   (60 * 1000)
#define RESTART_RAN_WELL_MS    (10 * 1000)

int restart_policy_parse(const char *name, int64_t max_retries, struct restart_policy *ret)
{
	static const struct {
		const char *name;
		enum restart_kind kind;
	} kinds[] = {
		{ "", RESTART_NO },
		{ "no", RESTART_NO },
		{ "always", RESTART_ALWAYS },
		{ "unless-stopped", RESTART_UNLESS_STOPPED },
		{ "on-failure", RESTART_ON_FAILURE },
	};

	if (!name)
		name = "";
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(name, kinds[i].name) != 0)
			continue;
		*ret = (struct restart_policy){ kinds[i].kind, max_retries };
		return 0;
	}
	return -EINVAL;
}

void restart_reset(struct restart *restart)
{
	restart->count = 0;
	restart->delay_ms = 0;
	restart->is_canceled = false;
}

static bool policy_wants(const struct restart *restart, int exit_code, bool stopped_by_user)
{
	switch (restart->policy.kind) {
	case RESTART_NO: return false;
	case RESTART_ALWAYS: return true;
	case RESTART_UNLESS_STOPPED: return !stopped_by_user;
	case RESTART_ON_FAILURE:
		return exit_code != 0 &&
		       (restart->policy.max_retries == 0 || restart->count < restart->policy.max_retries);
	}
	return false;
}

static int64_t next_delay_ms(int64_t delay_ms, int64_t ran_ms)
{
	if (delay_ms == 0 || ran_ms >= RESTART_RAN_WELL_MS)
		return RESTART_DELAY_FIRST_MS;
	return delay_ms >= RESTART_DELAY_MAX_MS / 2 ? RESTART_DELAY_MAX_MS : delay_ms * 2;
}

bool restart_decide(struct restart *restart, int exit_code, bool stopped_by_user, int64_t ran_ms, int64_t *ret_delay_ms)
{
	if (restart->is_canceled || restart->policy.kind == RESTART_NO)
		return false;
	restart->delay_ms = next_delay_ms(restart->delay_ms, ran_ms);
	if (!policy_wants(restart, exit_code, stopped_by_user))
		return false;
	restart->count++;
	*ret_delay_ms = restart->delay_ms;
	return true;
}
