#include "worker/distribution.h"
#include "worker/login.h"
#include "worker/pull.h"
#include "worker/push.h"
#include "worker/search.h"
#include "worker/worker.h"

static const struct worker_job jobs[] = {
	{ HANDOVER_PULL, pull_run },
	{ HANDOVER_PUSH, push_run },
	{ HANDOVER_AUTH, login_run },
	{ HANDOVER_SEARCH, search_run },
	{ HANDOVER_DISTRIBUTION, distribution_run },
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
