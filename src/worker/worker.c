#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "archive/rmtree.h"
#include "base/io.h"
#include "base/log.h"
#include "spec/handover.h"
#include "spec/messages.h"
#include "store/store.h"
#include "store/trash.h"
#include "sys/channel.h"
#include "worker/measure.h"

#define CHANNEL_FD 3

struct worker {
	const struct worker_job *jobs;
	size_t job_count;
	const char *data_root;
	struct store *store;
	bool leaves;         /* what the engine has to sweep */
	int lent[TASK_LENT]; /* descriptors beside the client's */
};

/* ---- messages */

/* Takes `body`. The engine may be gone: whoever did the work says so to the client too. */
static void send_message(json_t *body)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CHANNEL_MESSAGE_MAX);
	_autojson_ json_t *taken = body;

	if (message_pack(taken, NULL, 0, &text) == 0)
		(void)message_send(CHANNEL_FD, text.data, text.len, NULL, 0);
}

/* ---- jobs on a container */

void worker_tell_container(const char *type, const char *container, const char *image, const char *reference,
	const char *comment)
{
	json_t *body = message_new("event", MESSAGE_NO_ID);

	message_add(body, "type", json_string(type));
	message_add(body, "container", json_string(container));
	if (image) {
		message_add(body, "imageID", json_string(image));
		message_add(body, "imageRef", json_string(reference));
		message_add(body, "comment", json_string(comment));
	}
	send_message(body);
}

static void tell_event(const char *type, const char *image, const char *name, void *data)
{
	json_t *body = message_new("event", MESSAGE_NO_ID);

	(void)data;
	message_add(body, "type", json_string(type));
	message_add(body, "image", json_string(image));
	if (*name)
		message_add(body, "name", json_string(name));
	send_message(body);
}

static int need_store(struct worker *worker, struct err **reterr)
{
	_autoclose_ int fd = open(worker->data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open %s", worker->data_root);
	return store_open(fd, STORE_WORKER, &worker->store, reterr);
}

/* ---- emptying trash/ */

static void empty_trash(struct worker *worker)
{
	int r = worker->store ? rmtree_content(store_trash_folder(worker->store)) : 0;

	if (r < 0)
		log_warn("trash could not be emptied: %s", strerror(-r));
}

/* ---- jobs for a client */

static const struct worker_job *job_of(const struct worker *worker, const struct handover *handover)
{
	for (size_t i = 0; i < worker->job_count; i++)
		if (worker->jobs[i].kind == handover_kind(handover))
			return &worker->jobs[i];
	return NULL;
}

static int run_job(struct worker *worker, const struct worker_job *job, struct client *client,
	const struct handover *handover, struct err **reterr)
{
	struct task task = { .client = client,
		.empty_fd = -1,
		.lent = worker->lent,
		.event = tell_event,
		.data_root = worker->data_root };
	int r = job->check ? job->check(handover, reterr) : 0;

	if (r < 0)
		return r;
	if (job->check)
		client_stream_errors(client);
	if (job->without_store)
		return job->run(&task, handover, reterr);
	r = need_store(worker, reterr);
	if (r < 0)
		return r;
	r = job_begin(worker->store, &task.job, reterr);
	if (r < 0) {
		worker->leaves = true; /* perhaps its folder */
		return r;
	}
	task.empty_fd = task_folder(&task, "empty", 0700);
	r = task.empty_fd < 0 ? err_errno(reterr, task.empty_fd, "cannot make a folder")
			      : job->run(&task, handover, reterr);
	fd_close(&task.empty_fd);
	worker->leaves = job_end(task.job) < 0 || task.leaves;
	return r;
}

/* The space is given back before a failure is told: who reads "no space left" finds it there again. */
static void serve(struct worker *worker, const struct worker_job *job, struct client *client,
	const struct handover *handover)
{
	_autofree_(err) struct err *err = NULL;
	int r = run_job(worker, job, client, handover, &err);

	if (r < 0)
		empty_trash(worker);
	if (r < 0 && !client_is_gone(client))
		client_tell_error(client, err);
	if (r < 0)
		log_info("%s: %s", handover->kind, err_message(err));
	client_free(client);
	if (r >= 0)
		empty_trash(worker);
}

static int handle_handover(struct worker *worker, const struct message *message, int *fd)
{
	_cleanup_(handover_finish) struct handover handover = { 0 };
	_autofree_(err) struct err *err = NULL;
	struct client *client;
	const struct worker_job *job = NULL;
	int r = handover_read(message, &handover, &err);

	if (r >= 0)
		job = job_of(worker, &handover);
	if (r >= 0 && !job)
		r = err_set(&err, ERR_UNSUPPORTED, 0, "%s is not supported yet", handover.kind);
	if (r >= 0 && *fd < 0)
		r = err_set(&err, ERR_INVALID, 0, "the hand-over came without a connection");
	if (r >= 0)
		r = client_new(TAKE_FD(*fd), &handover.body, message->surplus, message->surplus_len, &client, &err);
	if (r < 0) {
		send_message(message_error(message->id, err));
		return EXIT_FAILURE;
	}
	if (strcmp(handover.method, "HEAD") == 0)
		client_head_only(client);
	send_message(message_ack(message->id));
	serve(worker, job, client, &handover);
	if (worker->leaves)
		return EXIT_FAILURE;
	return EXIT_SUCCESS;
}

/* A folder that is not there has nothing in it: a container that was never started has written nothing. */
static int64_t size_of(int data_root_fd, const char *folder)
{
	int64_t bytes = 0;
	int r = measure(data_root_fd, folder, &bytes);

	return r == 0 || r == -ENOENT ? bytes : -1;
}

static int measure_folders(struct worker *worker, const struct message *message)
{
	_autoclose_ int fd = open(worker->data_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	json_t *sizes = json_array(), *body = message_done(message->id), *folder;
	size_t i;

	json_array_foreach (json_object_get(message->body, "folders"), i, folder)
		json_array_append_new(sizes, json_integer(size_of(fd, json_string_value(folder) ?: "")));
	message_add(body, "sizes", sizes);
	send_message(body);
	return EXIT_SUCCESS;
}

static int handle_job(struct worker *worker, const struct message *message)
{
	const char *kind = message_string(message, "kind");
	_autofree_(err) struct err *err = NULL;

	if (kind && strcmp(kind, "measure") == 0)
		return measure_folders(worker, message);
	if (!kind || strcmp(kind, "remove") != 0) {
		send_message(message_unsupported(message->id, kind ? kind : "job"));
		return EXIT_FAILURE;
	}
	send_message(message_ack(message->id));
	if (need_store(worker, &err) < 0) {
		log_error("%s", err_message(err));
		return EXIT_FAILURE;
	}
	empty_trash(worker);
	return EXIT_SUCCESS;
}

static int handle(struct worker *worker, const struct message *message, int *fd)
{
	if (strcmp(message->op, "handover") == 0)
		return handle_handover(worker, message, fd);
	if (strcmp(message->op, "job") == 0)
		return handle_job(worker, message);
	send_message(message_unsupported(message->id, message->op));
	return EXIT_FAILURE;
}

/* ---- start */

/* An engine that died before it sent anything is no fault of this process. */
static int one_message(struct worker *worker)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(WORKER_MESSAGE_MAX);
	_autofree_(err) struct err *err = NULL;
	struct message message;
	int fds[CHANNEL_FDS_MAX], status;
	size_t count;

	if (message_receive_long(CHANNEL_FD, &text, fds, &count) < 0)
		return EXIT_FAILURE;
	if (!text.len)
		return EXIT_SUCCESS;
	if (message_parse(text.data, text.len, &message, &err) < 0) {
		log_error("the engine's message: %s", err_message(err));
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < TASK_LENT; i++)
		worker->lent[i] = TAKE_FD(fds[1 + i]);
	status = handle(worker, &message, &fds[0]);
	for (size_t i = 0; i < CHANNEL_FDS_MAX; i++)
		fd_close(&fds[i]);
	for (size_t i = 0; i < TASK_LENT; i++)
		fd_close(&worker->lent[i]);
	message_finish(&message);
	return status;
}

static int parse_options(struct worker *worker, int argc, char **argv)
{
	static const struct option options[] = {
		{ "data-root", required_argument, NULL, 'd' },
		{ "exec-root", required_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'd')
			worker->data_root = optarg;
		else if (c != 'e')
			return -EINVAL;
	}
	return worker->data_root && optind == argc ? 0 : -EINVAL;
}

int worker_main(int argc, char **argv, const struct worker_job *jobs, size_t job_count)
{
	struct worker worker = { .jobs = jobs, .job_count = job_count };
	int status;

	log_setup(program_invocation_short_name, LOG_LEVEL_INFO);
	if (parse_options(&worker, argc, argv) < 0) {
		fprintf(stderr, "usage: %s --data-root PATH [--exec-root PATH], started by tared\n",
			program_invocation_short_name);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	umask(077);
	fcntl(CHANNEL_FD, F_SETFD, FD_CLOEXEC);
	status = one_message(&worker);
	store_free(worker.store);
	return status;
}
