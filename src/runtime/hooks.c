#include "runtime/hooks.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/io.h"
#include "sys/spawn.h"

char *hooks_state_json(const char *id, const char *status, int64_t pid, const char *bundle,
	const struct map *annotations)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	struct oci_state state = { .version = (char *)OCI_VERSION,
		.id = (char *)id,
		.status = (char *)status,
		.pid = pid,
		.bundle = (char *)(bundle ? bundle : ""),
		.annotations = (struct map *)annotations };

	return json_print(&oci_state_table, &state, &text) < 0 ? NULL : buf_take(&text);
}

/* A memory file rather than a pipe: a hook that does not read can't hold us. */
static int state_file(const char *state)
{
	_autoclose_ int fd = memfd_create("state", MFD_CLOEXEC);

	if (fd < 0)
		return -errno;
	int r = io_write_full(fd, state, strlen(state));
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	return r < 0 ? r : TAKE_FD(fd);
}

/* The wait status, or -ETIMEDOUT after killing it. */
static int wait_hook(pid_t pid, int pidfd, const struct oci_hook *hook)
{
	int64_t timeout = hook->timeout_s.set && hook->timeout_s.value > 0 ? hook->timeout_s.value : 0;
	int64_t deadline = timeout && timeout < INT_MAX / 1000 ? clock_monotonic_ms() + timeout * 1000 : INT64_MAX;
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int status = 0, r = 0;

	while (r == 0) {
		int64_t left = deadline - clock_monotonic_ms();
		if (left <= 0)
			break;
		r = poll(&ended, 1, left > 60000 ? 60000 : (int)left);
		if (r < 0 && errno == EINTR)
			r = 0;
	}
	if (r <= 0)
		kill(-pid, SIGKILL); /* it leads a session of its own */
	waitpid(pid, &status, 0);
	return r <= 0 ? -ETIMEDOUT : status;
}

static int run_hook(const struct oci_hook *hook, const char *name, size_t index, const char *state, const char *folder,
	struct err **reterr)
{
	char *args[] = { hook->path, NULL };
	_autoclose_ int input = state_file(state);
	_autoclose_ int pidfd = -1;
	pid_t pid;

	if (!hook->path || hook->path[0] != '/')
		return err_set(reterr, ERR_INVALID, 0, "error running %s hook #%zu: its path must be absolute", name,
			index);
	if (input < 0)
		return err_errno(reterr, input, "error running %s hook #%zu", name, index);
	const struct spawn spawn = { .program_fd = -1,
		.path = hook->path,
		.argv = hook->args && hook->args[0] ? hook->args : args,
		.env = hook->env ?: environ, /* as every runtime does */
		.folder = folder,
		.stdio = { input, 1, 2 } };
	int r = spawn_program(&spawn, &pid, &pidfd);
	if (r < 0)
		return err_errno(reterr, r, "error running %s hook #%zu: %s", name, index, hook->path);
	int status = wait_hook(pid, pidfd, hook);
	if (status == -ETIMEDOUT)
		return err_set(reterr, ERR_INTERNAL, ETIMEDOUT, "error running %s hook #%zu: %s timed out", name, index,
			hook->path);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(reterr, ERR_INTERNAL, ECANCELED,
			"error running %s hook #%zu: %s hook failed with exit code %d", name, index, name,
			WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	return 0;
}

int hooks_run(const struct oci_hook *hooks, size_t count, const char *name, const char *state, const char *folder,
	struct err **reterr)
{
	for (size_t i = 0; i < count; i++) {
		int r = run_hook(&hooks[i], name, i, state, folder, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

void hooks_run_poststop(const struct oci_hooks *hooks, const char *state, const char *folder,
	void (*warn)(const char *message, void *user), void *user)
{
	for (size_t i = 0; i < hooks->poststop_count; i++) {
		_autofree_(err) struct err *error = NULL;
		if (run_hook(&hooks->poststop[i], "poststop", i, state, folder, &error) < 0)
			warn(err_message(error), user);
	}
}
