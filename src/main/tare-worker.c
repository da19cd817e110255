#include "worker/import.h"
#include "worker/load.h"
#include "worker/save.h"
#include "worker/worker.h"

static const struct worker_job jobs[] = {
	{ HANDOVER_LOAD, load_run, load_check },
	{ HANDOVER_IMPORT, import_run },
	{ HANDOVER_SAVE, save_run },
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
