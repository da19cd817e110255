#include "worker/commit.h"
#include "worker/copy_in.h"
#include "worker/copy_out.h"
#include "worker/diff.h"
#include "worker/import.h"
#include "worker/load.h"
#include "worker/save.h"
#include "worker/worker.h"

static const struct worker_job jobs[] = {
	{ HANDOVER_LOAD, load_run, load_check },
	{ HANDOVER_IMPORT, import_run },
	{ HANDOVER_SAVE, save_run },
	{ HANDOVER_COMMIT, commit_run },
	{ HANDOVER_ARCHIVE_STAT, copy_stat_run, .without_store = true },
	{ HANDOVER_ARCHIVE_GET, copy_out_run, .without_store = true },
	{ HANDOVER_ARCHIVE_PUT, copy_in_run, .without_store = true },
	{ HANDOVER_EXPORT, export_run, .without_store = true },
	{ HANDOVER_CHANGES, diff_run, .without_store = true },
};

int main(int argc, char **argv)
{
	return worker_main(argc, argv, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
