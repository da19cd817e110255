/*
 * serve: libtare's helper (spec/serve.h). Not in the list of commands: it is for the library alone.
 *
 * A request is one of our own command lines, done in this process, so that it is the parent of what is made and can say how that ended.
 * Every one opens the container anew by its folder: what anybody else does to it with tare-runtime is seen.
 *
 * The end is the host's: its connection's end of file, its pidfd (a child that it forked may hold the connection still), or SIGTERM.
 * A container made here ends with it, unless --keep said otherwise. If this process is killed, the folder says what there is, and
 * `delete --force` clears it.
 */
#include "runtime/command_serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/strv.h"
#include "runtime/command.h"
#include "runtime/command_line.h"
#include "runtime/command_state.h"
#include "runtime/usage.h"
#include "spec/serve.h"
#include "sys/channel.h"

#define CHILDREN_MAX 4096

/* v1 tells of an OOM kill before it counts it. */
#define LOOK_MS      1000
#define LOOK_STEP_MS 20

struct child {
	pid_t pid;
	int wait_status;
	bool has_ended;
};

struct server {
	struct command *command;
	const char *id;
	bool is_made; /* by us, and not deleted */
	pid_t init;
	int signals;
	int null_fd;
	int oom_fd;
	uint64_t oom_kills;
	int64_t look_until_ms;
	struct child *children;
	size_t child_count;
	char *message; /* CHANNEL_MESSAGE_MAX */
	struct served served;
};

struct serve_values {
	bool keep;
};

static const struct flag serve_flags[] = { FLAG(struct serve_values, keep, "keep", 0, FLAG_BOOL,
	.help = "the container outlives the host") };
static const struct verb_line serve_line = { "serve", "CONTAINER", "libtare's helper", serve_flags,
	ARRAY_SIZE(serve_flags), 1, 1 };

void served_take(struct served *served, const struct container_process *made)
{
	served->pid = made->pid;
	served->pidfd = made->pidfd;
	served->console_fd = made->console_fd;
}

static void tell_news(void)
{
	const uint64_t one = 1;

	if (write(SERVE_NEWS_FD, &one, sizeof(one)) < 0)
		errno = 0; /* full: it is readable then */
}

/* ---- processes ---- */

static struct child *find_child(struct server *self, pid_t pid)
{
	for (size_t i = 0; i < self->child_count; i++)
		if (self->children[i].pid == pid)
			return &self->children[i];
	return NULL;
}

static void forget_child(struct server *self, pid_t pid)
{
	struct child *child = find_child(self, pid);

	if (child)
		*child = self->children[--self->child_count];
}

/* Also what a container without a pid namespace of its own left to us. */
static void reap(struct server *self)
{
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct child *child = find_child(self, pid);
		if (child) {
			child->has_ended = true;
			child->wait_status = status;
		}
		if (pid == self->init)
			tell_news();
	}
}

/* Before there is a process, so that there is nothing to undo. */
static int make_room(struct server *self, struct err **reterr)
{
	if (self->child_count >= CHILDREN_MAX)
		return err_set(reterr, ERR_TOO_LARGE, EAGAIN,
			"container %s has %d processes that nobody has waited for or freed", self->id, CHILDREN_MAX);
	struct child *grown = reallocarray(self->children, self->child_count + 1, sizeof(*grown));
	if (!grown)
		return err_oom(reterr);
	self->children = grown;
	return 0;
}

/* ---- requests ---- */

static int split_words(const char *text, size_t len, char ***ret, struct err **reterr)
{
	_autofree_(strv) char **words = NULL;

	for (size_t at = 0; at < len; at += strlen(text + at) + 1)
		if (strv_append(&words, text + at) < 0)
			return err_oom(reterr);
	if (!words)
		return err_set(reterr, ERR_INVALID, 0, "a request without words");
	*ret = TAKE(words);
	return 0;
}

/* The counter's file, from the moment that the groups are there. */
static void watch_oom(struct server *self)
{
	struct opened opened = { .folder = -1 };

	if (self->oom_fd >= 0 || state_open(self->command->root, self->id, &opened, NULL) < 0)
		return;
	self->oom_fd = container_oom_open(opened.container);
	container_oom_kills(opened.container, &self->oom_kills);
	state_close(&opened);
}

static int run_command(struct server *self, const char *text, size_t len, struct err **reterr)
{
	_autofree_(strv) char **words = NULL;
	int r = split_words(text, len, &words, reterr);

	if (r < 0 || !words)
		return r;
	/* The parser puts words in another order: what is freed is the list, and nothing is lost from it. */
	const bool creates = strcmp(words[0], "create") == 0, deletes = strcmp(words[0], "delete") == 0;
	if (creates || strcmp(words[0], "exec") == 0)
		r = make_room(self, reterr);
	if (r < 0)
		return r;
	self->command->argv = words;
	self->command->argc = (int)strv_count(words);
	r = command_dispatch(self->command, reterr);
	if (r < 0)
		return r;
	if (creates) {
		self->is_made = true;
		self->init = self->served.pid;
		watch_oom(self);
	}
	self->is_made = self->is_made && !deletes;
	if (deletes)
		fd_close(&self->oom_fd);
	if (self->served.pid > 0)
		self->children[self->child_count++] = (struct child){ .pid = self->served.pid };
	tell_news();
	return 0;
}

static int state_number(enum state_status status)
{
	static const int numbers[] = {
		[STATE_CREATING] = 0, [STATE_CREATED] = 1, [STATE_RUNNING] = 2, [STATE_PAUSED] = 3, [STATE_STOPPED] = 4
	};

	return numbers[status];
}

static int answer_status(struct server *self, enum serve_op op, struct serve_answer *out, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	int r = state_open(self->command->root, self->id, &opened, reterr);

	if (r < 0)
		return r;
	out->state = state_number(opened.status);
	out->pid = opened.status == STATE_STOPPED ? 0 : (pid_t)opened.state.pid;
	container_oom_kills(opened.container, &out->stats.oom_kills);
	if (op != SERVE_OPEN)
		return 0;
	if (opened.status != STATE_STOPPED) {
		self->served.pid = out->pid;
		self->served.pidfd = fcntl(container_pidfd(opened.container), F_DUPFD_CLOEXEC, 0);
	}
	watch_oom(self);
	return 0;
}

static void add_block(const struct container_block_usage *block, struct serve_stats *out)
{
	bool reads = strcasecmp(block->op, "read") == 0;

	if (!reads && strcasecmp(block->op, "write") != 0)
		return;
	*(block->is_bytes ? reads ? &out->io_read_bytes : &out->io_write_bytes
		: reads   ? &out->io_reads
			  : &out->io_writes) += block->value;
}

static int answer_stats(struct server *self, struct serve_stats *out, struct err **reterr)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	struct container_usage usage;
	int r = state_open(self->command->root, self->id, &opened, reterr);

	if (r < 0)
		return r;
	if (container_usage_read(opened.container, &usage) < 0)
		return err_oom(reterr);
	*out = (struct serve_stats){ .cpu_ns = usage.cpu_total_ns,
		.cpu_user_ns = usage.cpu_user_ns,
		.cpu_kernel_ns = usage.cpu_kernel_ns,
		.throttled_periods = usage.throttled_periods,
		.throttled_ns = usage.throttled_ns,
		.memory_bytes = usage.memory,
		.memory_peak_bytes = usage.memory_peak,
		.memory_limit_bytes = usage.memory_limit,
		.pids = usage.pids,
		.pids_limit = usage.pids_limit };
	for (size_t i = 0; i < usage.block_count; i++)
		add_block(&usage.blocks[i], out);
	container_oom_kills(opened.container, &out->oom_kills);
	container_usage_finish(&usage);
	return 0;
}

static int answer_exit(struct server *self, pid_t pid, struct serve_answer *out, struct err **reterr)
{
	reap(self);
	const struct child *child = find_child(self, pid);

	if (!child)
		return err_set(reterr, ERR_UNSUPPORTED, ECHILD,
			"how process %d ended is known to whoever started it, and that was not this handle", pid);
	if (!child->has_ended)
		return err_set(reterr, ERR_UNAVAILABLE, EAGAIN, "process %d has not ended", pid);
	out->wait_status = child->wait_status;
	forget_child(self, pid);
	return 0;
}

static int serve(struct server *self, const struct serve_request *request, const char *text, size_t len,
	struct serve_answer *out, struct err **reterr)
{
	switch ((enum serve_op)request->op) {
	case SERVE_COMMAND: return run_command(self, text, len, reterr);
	case SERVE_OPEN:
	case SERVE_STATUS: return answer_status(self, (enum serve_op)request->op, out, reterr);
	case SERVE_STATS: return answer_stats(self, &out->stats, reterr);
	case SERVE_EXIT: return answer_exit(self, request->pid, out, reterr);
	case SERVE_FORGET: forget_child(self, request->pid); return 0;
	}
	return err_set(reterr, ERR_UNSUPPORTED, 0, "this tare-runtime is older than the library that asks it");
}

/* ---- the connection ---- */

/* Standard descriptors and document of one request; without `fds`, of none. */
static void place(const struct server *self, uint32_t mask, const int *fds)
{
	static const int places[] = { 0, 1, 2, SERVE_DOCUMENT_FD };

	for (size_t i = 0, next = 0; i < ARRAY_SIZE(places); i++) {
		int fd = mask & 1U << i ? fds[next++] : self->null_fd;
		if (places[i] < 3)
			dup2(fd, places[i]);
		else
			dup3(fd, places[i], O_CLOEXEC);
	}
}

static void append(char *out, size_t *len, const char *text)
{
	size_t count = strnlen(text, SERVE_TEXT_MAX - 1);

	memcpy(out + *len, text, count);
	out[*len + count] = '\0';
	*len += count + 1;
}

static int send_answer(struct server *self, struct serve_answer *answer, const struct err *error)
{
	char message[sizeof(*answer) + 2 * SERVE_TEXT_MAX];
	size_t len = sizeof(*answer), fd_count = 0;
	int fds[2];

	answer->size = sizeof(*answer);
	answer->kind = -1;
	if (error) {
		answer->kind = error->kind;
		answer->errnum = error->errnum;
	} else if (self->served.pid > 0) {
		answer->pid = self->served.pid;
		if (self->served.pidfd >= 0) {
			answer->fds |= SERVE_PIDFD;
			fds[fd_count++] = self->served.pidfd;
		}
		if (self->served.console_fd >= 0) {
			answer->fds |= SERVE_CONSOLE;
			fds[fd_count++] = self->served.console_fd;
		}
	}
	memcpy(message, answer, sizeof(*answer));
	append(message, &len, error ? err_message(error) : "");
	append(message, &len, self->served.warnings.data ? self->served.warnings.data : "");
	return message_send(SERVE_CHANNEL_FD, message, len, fds, fd_count);
}

/* False at the end of the connection. */
static bool serve_one(struct server *self)
{
	struct serve_request request = { 0 };
	struct serve_answer answer = { 0 };
	_autofree_(err) struct err *error = NULL;
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
	ssize_t len = message_receive(SERVE_CHANNEL_FD, self->message, CHANNEL_MESSAGE_MAX - 1, fds, &fd_count);

	if (len <= 0)
		return false;
	self->message[len] = '\0';
	memcpy(&request, self->message, (size_t)len < sizeof(request) ? (size_t)len : sizeof(request));
	bool fits = request.size >= sizeof(request) && request.size <= (size_t)len &&
		    (size_t)__builtin_popcount(request.fds & 15) == fd_count;
	if (fits) {
		place(self, request.fds, fds);
		serve(self, &request, self->message + request.size, (size_t)len - request.size, &answer, &error);
		place(self, 0, NULL);
	}
	for (size_t i = 0; i < fd_count; i++)
		fd_close(&fds[i]);
	int r = fits ? send_answer(self, &answer, error) : -EPROTO;
	fd_close(&self->served.pidfd);
	fd_close(&self->served.console_fd);
	self->served.pid = 0;
	buf_finish(&self->served.warnings);
	return r == 0;
}

static void look_for_kills(struct server *self)
{
	_cleanup_(state_close) struct opened opened = { .folder = -1 };
	uint64_t kills = self->oom_kills;

	if (state_open(self->command->root, self->id, &opened, NULL) < 0)
		return;
	container_oom_kills(opened.container, &kills);
	if (kills == self->oom_kills)
		return;
	self->oom_kills = kills;
	tell_news();
}

/* False on SIGTERM. */
static bool read_signals(struct server *self)
{
	struct signalfd_siginfo info;

	if (read(self->signals, &info, sizeof(info)) == sizeof(info) && info.ssi_signo == SIGTERM)
		return false;
	reap(self);
	return true;
}

static void serve_host(struct server *self)
{
	for (bool goes_on = true; goes_on;) {
		struct pollfd fds[] = { { .fd = SERVE_CHANNEL_FD, .events = POLLIN },
			{ .fd = SERVE_HOST_FD, .events = POLLIN }, { .fd = self->signals, .events = POLLIN },
			{ .fd = self->oom_fd, .events = POLLIN } };
		bool looks = self->oom_fd >= 0 && self->look_until_ms > clock_monotonic_ms();
		int ready = poll(fds, ARRAY_SIZE(fds), looks ? LOOK_STEP_MS : -1);
		if (ready < 0 && errno != EINTR)
			return;
		if (ready > 0 && fds[3].revents) {
			container_oom_drain(self->oom_fd);
			self->look_until_ms = clock_monotonic_ms() + LOOK_MS;
			looks = true;
		}
		if (looks)
			look_for_kills(self);
		if (ready > 0 && fds[2].revents)
			goes_on = read_signals(self);
		if (ready > 0 && fds[1].revents)
			return;
		if (ready > 0 && fds[0].revents && goes_on)
			goes_on = serve_one(self);
	}
}

/* The container's processes are not ours to wait for when we are gone. */
static int server_init(struct server *self)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	self->message = malloc(CHANNEL_MESSAGE_MAX);
	self->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (!self->message || self->null_fd < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	self->null_fd = fcntl(self->null_fd, F_DUPFD_CLOEXEC, SERVE_DOCUMENT_FD + 1);
	place(self, 0, NULL);
	self->signals = signalfd(-1, &set, SFD_CLOEXEC);
	return self->signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static void end_container(struct server *self)
{
	char *words[] = { (char *)"delete", (char *)"--force", (char *)"--", (char *)self->id, NULL };

	self->command->argv = words;
	self->command->argc = 4;
	command_dispatch(self->command, NULL);
}

int command_serve(struct command *command, struct err **reterr)
{
	struct serve_values values = { 0 };
	struct server self = { .command = command,
		.oom_fd = -1,
		.served = { .pidfd = -1, .console_fd = -1, .warnings = BUF_INIT(SERVE_TEXT_MAX) } };
	int first;
	int r = verb_line_parse(&serve_line, command->argc, command->argv, &values, &first, reterr);

	if (r < 0 || first < 0)
		return r;
	self.id = command->argv[first];
	r = state_check_id(self.id, reterr);
	if (r < 0)
		return r;
	r = server_init(&self);
	if (r < 0)
		return err_errno(reterr, r, "cannot serve");
	command->served = &self.served;
	serve_host(&self);
	if (self.is_made && !values.keep)
		end_container(&self);
	command->served = NULL;
	return 0;
}
