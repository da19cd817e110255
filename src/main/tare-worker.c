#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker/commit.h"
#include "worker/copy_in.h"
#include "worker/copy_out.h"
#include "worker/deflate.h"
#include "worker/diff.h"
#include "worker/import.h"
#include "worker/inflate.h"
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

/* Standard input to standard output, for monitors: a rotated log, whose plain form goes when this is on disk. */
static int filter(bool packs)
{
	int r = packs ? deflate_stream(STDIN_FILENO, STDOUT_FILENO)
		      : inflate_stream(COMPRESSION_GZIP, STDIN_FILENO, STDOUT_FILENO);
	if (r == 0 && packs && fsync(STDOUT_FILENO) < 0)
		r = -errno;
	return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--gzip") == 0 || strcmp(argv[1], "--gunzip") == 0))
		return filter(strcmp(argv[1], "--gzip") == 0);
	return worker_main(argc, argv, jobs, sizeof(jobs) / sizeof(jobs[0]));
}
