#include "holder/workers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/list.h"

struct worker {
	struct list link;
	enum holder_kind kind;
	pid_t pid;
	char id[];
};

struct workers {
	struct programs *programs;
	worker_ended_fn *on_ended;
	void *user;
	struct list list;
};

int workers_new(struct programs *programs, worker_ended_fn *on_ended, void *user, struct workers **ret,
	struct err **reterr)
{
	struct workers *workers = calloc(1, sizeof *workers);
	if (!workers)
		return err_oom(reterr);
	workers->programs = programs;
	workers->on_ended = on_ended;
	workers->user = user;
	list_init(&workers->list);
	*ret = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	struct worker *worker, *following;
	list_foreach_safe (worker, following, &workers->list, link)
		free(worker);
	free(workers);
}

int workers_start(struct workers *workers, enum holder_kind kind, const char *id, char *const *argv, const int *fds,
	size_t fd_count, pid_t *ret_pid)
{
	size_t size = strlen(id) + 1;
	struct worker *worker = malloc(sizeof *worker + size);
	if (!worker)
		return -ENOMEM;
	memcpy(worker->id, id, size);
	worker->kind = kind;
	int r = programs_spawn(workers->programs, kind, argv, fds, fd_count, &worker->pid);
	if (r < 0) {
		free(worker);
		return r;
	}
	list_append(&workers->list, &worker->link);
	*ret_pid = worker->pid;
	return 0;
}

bool workers_reaped(struct workers *workers, pid_t pid, int status)
{
	struct worker *worker, *following;
	list_foreach_safe (worker, following, &workers->list, link) {
		if (worker->pid != pid)
			continue;
		list_remove(&worker->link);
		workers->on_ended(worker->kind, worker->id, pid, status, workers->user);
		free(worker);
		return true;
	}
	return false;
}
