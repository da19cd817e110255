/*
 * The arithmetic of restart policies, as Docker's: 100 ms before the first restart, doubled each time up to one minute,
 * back to 100 ms after a run of ten seconds or more.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum restart_kind { RESTART_NO, RESTART_ALWAYS, RESTART_UNLESS_STOPPED, RESTART_ON_FAILURE };

struct restart_policy {
	enum restart_kind kind;
	int64_t max_retries; /* ON_FAILURE: 0 is without end */
};

struct restart {
	struct restart_policy policy;
	int64_t count;    /* restarts so far, since the user's last start */
	int64_t delay_ms; /* before the last one; 0: none yet */
	bool is_canceled; /* the user ended the container: its next end is final */
};

/* Docker's names: "", "no", "always", "unless-stopped", "on-failure". 0 or -EINVAL. */
int restart_policy_parse(const char *name, int64_t max_retries, struct restart_policy *ret);

/* A start by the user: counts from the beginning. */
void restart_reset(struct restart *restart);

/*
 * After the container ended: whether it is to be started again, and then after how long. `stopped_by_user`: by stop or
 * kill, at any time since its start.
 */
bool restart_decide(struct restart *restart, int exit_code, bool stopped_by_user, int64_t ran_ms,
	int64_t *ret_delay_ms);
