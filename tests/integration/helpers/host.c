/*
 * host SCENARIO ROOTFS STATE GROUP [ARGUMENT]: a program that has containers, as the tests of libtare want it. Compiled against the
 * installed library, not by Meson. Ends 0 if all was as it should be; else says where not.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tare.h>
#include <unistd.h>

#include <sys/ioctl.h>
#include <sys/wait.h>

/* For what comes from a kernel and a machine that are busy: nothing waits longer. */
#define PATIENCE_MS 120000

static const char *rootfs, *state, *group, *argument;
static _Thread_local struct tare_error error;
static volatile sig_atomic_t child_signals;

#define CHECK(condition)                                                                                           \
 do {                                                                                                              \
  if (!(condition)) {                                                                                              \
   fprintf(stderr, "host.c:%d: %s (%d, %d: %s)\n", __LINE__, #condition, error.code, error.errnum, error.message); \
   exit(1);                                                                                                        \
  }                                                                                                                \
 } while (0)

#define ARGS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static tare_config *configure(const char *id, const char *const *args)
{
	char path[256];
	tare_config *config = tare_config_new(rootfs);

	snprintf(path, sizeof(path), "%s/%s", group, id);
	tare_config_set_args(config, args);
	tare_config_set_cgroup(config, path);
	return config;
}

static tare_container *create(const char *id, tare_config *config)
{
	const struct tare_options options = { .id = id, .root = state };
	tare_container *container = NULL;

	CHECK(tare_container_create(config, &options, &container, &error) == 0 && container);
	tare_config_free(config);
	return container;
}

static tare_container *run(const char *id, const char *const *args)
{
	tare_container *container = create(id, configure(id, args));

	CHECK(tare_container_start(container, &error) == 0);
	return container;
}

static struct tare_result end_of(tare_process *process)
{
	struct tare_result result = { .exit_code = -1 };

	CHECK(tare_process_wait(process, PATIENCE_MS, &result, &error) == 0);
	return result;
}

static struct tare_status status_of(tare_container *container)
{
	struct tare_status status = { .state = 0 };

	CHECK(tare_container_status(container, &status, &error) == 0);
	return status;
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd one = { .fd = fd, .events = POLLIN };

	return poll(&one, 1, timeout_ms) == 1 && one.revents & POLLIN;
}

static int run_in(tare_container *container, const struct tare_exec *exec)
{
	tare_process *process = NULL;

	CHECK(tare_container_exec(container, exec, &process, &error) == 0);
	int code = end_of(process).exit_code;
	tare_process_free(process);
	return code;
}

static void read_text(int fd, char *text, size_t size)
{
	size_t len = 0;
	ssize_t count;

	while (len < size - 1 && (count = read(fd, text + len, size - 1 - len)) > 0)
		len += (size_t)count;
	text[len] = '\0';
}

/* ---- scenarios ---- */

static void life(void)
{
	tare_container *container = create("life", configure("life", ARGS("sh", "-c", "exit 7")));
	struct tare_result result;

	CHECK(status_of(container).state == TARE_CREATED);
	CHECK(status_of(container).pid == tare_process_pid(tare_container_init(container)));
	CHECK(!is_readable(tare_container_event_fd(container), 0));
	CHECK(tare_process_wait(tare_container_init(container), 0, &result, &error) < 0 &&
		error.code == TARE_UNAVAILABLE);
	CHECK(error.errnum == ETIMEDOUT);
	CHECK(tare_container_start(container, &error) == 0);
	CHECK(is_readable(tare_container_event_fd(container), PATIENCE_MS));
	CHECK(end_of(tare_container_init(container)).exit_code == 7);
	CHECK(end_of(tare_container_init(container)).signal == 0); /* again */
	CHECK(status_of(container).state == TARE_STOPPED);
	CHECK(tare_container_start(container, &error) < 0 && error.code == TARE_CONFLICT);
	CHECK(tare_container_delete(container, &error) == 0);
	CHECK(tare_container_delete(container, &error) < 0 && error.code == TARE_NOT_FOUND);
	tare_container_free(container);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
	CHECK(child_signals == 0);
}

/* Where systemd is; the group is "SLICE:PREFIX:", and what systemd says is the caller's to look at, once there is a line. */
static void scope(void)
{
	const struct tare_options options = { .id = "scope", .root = state, .systemd_cgroup = true };
	const struct tare_exec exec = { .args = ARGS("true") };
	struct tare_limits limits = { .pids = 77 };
	tare_config *config = tare_config_new(rootfs);
	tare_container *container;
	char path[256];

	snprintf(path, sizeof(path), "%sscope", group);
	tare_config_set_args(config, ARGS("sleep", "1000"));
	tare_config_set_cgroup(config, path);
	tare_config_set_limits(config, &limits);
	CHECK(tare_container_create(config, &options, &container, &error) == 0);
	CHECK(tare_container_start(container, &error) == 0);
	CHECK(run_in(container, &exec) == 0);
	limits.pids = 66;
	CHECK(tare_container_update(container, &limits, &error) == 0);
	puts(tare_container_id(container));
	fflush(stdout);
	CHECK(getchar() == EOF);
	tare_container_free(container);
	tare_config_set_cgroup(config, "/plain");
	CHECK(tare_container_create(config, &options, &container, &error) < 0 && error.code == TARE_INVALID);
	tare_config_free(config);
}

static void mistakes(void)
{
	const struct tare_options taken = { .id = "taken", .root = state },
				  lost = { .id = "lost", .root = state, .runtime = "/nonexistent" };
	tare_container *first = create("taken", configure("taken", ARGS("true"))), *other = NULL;
	tare_config *config = configure("other", ARGS("nonexistent"));
	struct tare_limits limits = { .pids = 7 };

	CHECK(tare_container_create(config, &taken, &other, &error) < 0 && error.code == TARE_CONFLICT && !other);
	CHECK(status_of(first).state == TARE_CREATED); /* the failure did not end what it met */
	CHECK(tare_container_create(config, &lost, &other, &error) < 0 && error.code == TARE_HELPER_LOST &&
		error.errnum == ENOENT);
	CHECK(tare_container_create(config,
		      &(struct tare_options){ .id = "lost", .root = state, .runtime = "/bin/true" }, &other,
		      &error) < 0);
	CHECK(error.code == TARE_HELPER_LOST);
	CHECK(tare_container_create(config, &(struct tare_options){ .id = "../x", .root = state }, &other, &error) < 0);
	CHECK(tare_container_create(config, &(struct tare_options){ .id = "none", .root = state }, &other, &error) < 0);
	CHECK(error.code == TARE_COMMAND_NOT_FOUND);
	CHECK(tare_container_create(NULL, NULL, &other, &error) < 0 && error.code == TARE_INVALID);
	CHECK(tare_container_open(&(struct tare_options){ .id = "none", .root = state }, &other, &error) < 0);
	CHECK(error.code == TARE_NOT_FOUND);
	tare_config_free(config);
	config = tare_config_new("/nonexistent");
	CHECK(tare_container_create(config, NULL, &other, &error) < 0 && error.errnum == ENOENT);
	tare_config_free(config);
	config = tare_config_new_oci("{", 1, NULL);
	CHECK(tare_container_create(config, &(struct tare_options){ .root = state }, &other, &error) < 0 &&
		error.code == TARE_INVALID);
	tare_config_set_readonly(config, true);
	CHECK(tare_container_create(config, &(struct tare_options){ .root = state }, &other, &error) < 0 &&
		strstr(error.message, "setters"));
	tare_config_free(config);
	CHECK(tare_container_exec(first, &(struct tare_exec){ .args = NULL }, NULL, &error) < 0 &&
		error.code == TARE_INVALID);
	CHECK(tare_container_update_oci(first, "{\"pids\":[]}", 11, &error) < 0 && error.code == TARE_INVALID);
	CHECK(tare_container_signal(first, 999, TARE_SIGNAL_INIT, &error) < 0 && error.code == TARE_INVALID);
	CHECK(tare_container_update(first, &limits, &error) == 0);
	tare_container_free(first);
	tare_container_free(NULL);
	tare_process_free(NULL);
	tare_config_free(NULL);
}

static void inside(void)
{
	tare_container *container = run("inside", ARGS("sleep", "1000"));
	struct tare_exec exec = { .args = ARGS("sh", "-c", "exit $CODE"), .env = ARGS("CODE=5", "EMPTY=") };
	tare_process *process = NULL;
	int pipes[2];
	char text[4096];

	CHECK(run_in(container, &exec) == 5);
	/* Standard descriptors are those named; nothing of the host's own comes along. */
	CHECK(pipe2(pipes, 0) == 0 && open("/etc/passwd", O_RDONLY) >= 0);
	setenv("FOREIGN", "yes", 1);
	exec = (struct tare_exec){
		.args = ARGS("sh", "-c",
			"id -u; id -g; pwd; for f in /proc/self/fd/*; do echo $f; done; env; echo bad >&2"),
		.cwd = "/tmp",
		.user = "7:8",
		.has_stdio = true,
		.stdio = { -1, pipes[1], -1 }
	};
	CHECK(run_in(container, &exec) == 0);
	close(pipes[1]);
	read_text(pipes[0], text, sizeof(text));
	close(pipes[0]);
	CHECK(strncmp(text, "7\n8\n/tmp\n", 9) == 0);
	CHECK(!strstr(text, "FOREIGN") && !strstr(text, "bad") && !strstr(text, "/fd/4"));
	/* By names, of the container's own file. */
	CHECK(run_in(container,
		      &(struct tare_exec){ .args = ARGS("sh", "-c", "test $(id -u) = 1000"), .user = "web" }) == 0);
	CHECK(tare_container_exec(container, &(struct tare_exec){ .args = ARGS("nonexistent") }, &process, &error) <
			0 &&
		!process);
	CHECK(error.code == TARE_COMMAND_NOT_FOUND);
	CHECK(tare_container_exec(container, &(struct tare_exec){ .args = ARGS("/etc/passwd") }, &process, &error) < 0);
	CHECK(error.code == TARE_COMMAND_NOT_EXEC);
	/* One that is signalled alone; one that nobody waits for; one that the container's end takes along. */
	exec = (struct tare_exec){ .args = ARGS("sleep", "1000") };
	CHECK(tare_container_exec(container, &exec, &process, &error) == 0);
	CHECK(tare_process_signal(process, SIGTERM, &error) == 0);
	CHECK(end_of(process).signal == SIGTERM && end_of(process).exit_code == 128 + SIGTERM);
	CHECK(tare_process_signal(process, SIGTERM, &error) < 0 && error.code == TARE_CONFLICT);
	tare_process_free(process);
	CHECK(tare_container_exec(container, &exec, &process, &error) == 0);
	tare_process_free(process);
	CHECK(tare_container_exec(container, &exec, &process, &error) == 0);
	CHECK(tare_container_signal(container, SIGKILL, TARE_SIGNAL_INIT, &error) == 0);
	CHECK(end_of(tare_container_init(container)).signal == SIGKILL && end_of(process).signal == SIGKILL);
	tare_process_free(process);
	CHECK(tare_container_signal(container, SIGTERM, TARE_SIGNAL_INIT, &error) < 0 && error.code == TARE_CONFLICT);
	tare_container_free(container);
}

static void oom(void)
{
	const struct tare_limits limits = { .memory_bytes = 16 << 20, .memory_swap_bytes = 16 << 20 };
	tare_config *config = configure("oom",
		ARGS("sh", "-c", "read x; exec dd if=/dev/zero of=/dev/null bs=200M count=1"));
	struct tare_options options = { .id = "oom", .root = state, .has_stdio = true, .stdio = { -1, -1, -1 } };
	tare_container *container = NULL;
	int pipes[2];

	CHECK(pipe2(pipes, O_CLOEXEC) == 0);
	options.stdio[0] = pipes[0];
	tare_config_set_limits(config, &limits);
	CHECK(tare_container_create(config, &options, &container, &error) == 0);
	tare_config_free(config);
	CHECK(tare_container_start(container, &error) == 0 && status_of(container).oom_kills == 0);
	CHECK(write(pipes[1], "x\n", 2) == 2);
	while (status_of(container).oom_kills == 0)
		CHECK(is_readable(tare_container_event_fd(container), PATIENCE_MS));
	CHECK(end_of(tare_container_init(container)).signal == SIGKILL);
	tare_container_free(container);
}

static void limits(void)
{
	const struct tare_limits first = { .memory_bytes = 64 << 20, .pids = 50, .cpu_quota_us = 50000 };
	const struct tare_limits second = { .memory_bytes = 32 << 20, .pids = 3 }, bad = { .pids = 40, .cpus = "4000" };
	tare_config *config = configure("limits",
		ARGS("sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; exec sleep 1000"));
	struct tare_stats stats;

	tare_config_set_limits(config, &first);
	tare_container *container = create("limits", config);
	CHECK(tare_container_stats(container, &stats, &error) == 0);
	CHECK(stats.memory_limit_bytes == 64 << 20 && stats.pids_limit == 50 && stats.pids == 1 &&
		stats.memory_bytes > 0);
	CHECK(tare_container_start(container, &error) == 0);
	for (uint64_t before = stats.cpu_ns; stats.cpu_ns < before + 1000000;) /* it will have used a millisecond */
		CHECK(tare_container_stats(container, &stats, &error) == 0);
	CHECK(tare_container_update(container, &second, &error) == 0);
	CHECK(tare_container_stats(container, &stats, &error) == 0);
	CHECK(stats.memory_limit_bytes == 32 << 20 && stats.pids_limit == 3 &&
		(stats.memory_peak_bytes >= stats.memory_bytes || stats.memory_peak_bytes == 0));
	CHECK(tare_container_update(container, &bad, &error) < 0); /* all or none */
	CHECK(tare_container_stats(container, &stats, &error) == 0 && stats.pids_limit == 3);
	CHECK(tare_container_update_oci(container, "{\"pids\":{\"limit\":-1}}", 21, &error) == 0);
	CHECK(tare_container_stats(container, &stats, &error) == 0 &&
		(stats.pids_limit == 0 || stats.pids_limit > 1 << 20));
	tare_container_free(container);
}

static void pauses(void)
{
	tare_container *container = run("pauses", ARGS("sleep", "1000"));

	CHECK(status_of(container).state == TARE_RUNNING);
	CHECK(tare_container_pause(container, &error) == 0);
	CHECK(is_readable(tare_container_event_fd(container), PATIENCE_MS));
	CHECK(status_of(container).state == TARE_PAUSED && !is_readable(tare_container_event_fd(container), 0));
	CHECK(tare_container_exec(container, &(struct tare_exec){ .args = ARGS("true") }, &(tare_process *){ NULL },
		      &error) < 0);
	CHECK(error.code == TARE_CONFLICT);
	CHECK(tare_container_resume(container, &error) == 0 && status_of(container).state == TARE_RUNNING);
	CHECK(tare_container_resume(container, &error) < 0 && error.code == TARE_CONFLICT);
	CHECK(tare_container_signal(container, SIGKILL, TARE_SIGNAL_ALL, &error) == 0);
	CHECK(end_of(tare_container_init(container)).signal == SIGKILL);
	CHECK(is_readable(tare_container_event_fd(container), PATIENCE_MS) &&
		status_of(container).state == TARE_STOPPED);
	tare_container_free(container);
}

static void terminal(void)
{
	tare_config *config = configure("terminal", ARGS("sh", "-c", "read x; stty size; exit 3"));
	const struct winsize size = { .ws_row = 33, .ws_col = 77 };
	tare_process *process = NULL;
	char text[4096];

	tare_config_set_terminal(config, true);
	tare_container *container = create("terminal", config);
	int console = tare_process_console(tare_container_init(container));
	CHECK(console >= 0 && ioctl(console, TIOCSWINSZ, &size) == 0);
	CHECK(tare_container_start(container, &error) == 0);
	struct tare_exec exec = { .args = ARGS("tty"), .terminal = true };
	CHECK(tare_container_exec(container, &exec, &process, &error) == 0 && tare_process_console(process) >= 0);
	read_text(tare_process_console(process), text, sizeof(text)); /* EIO is its end */
	CHECK(strncmp(text, "/dev/", 5) == 0 && strstr(text, "\r\n"));
	CHECK(end_of(process).exit_code == 0);
	tare_process_free(process);
	CHECK(write(console, "\n", 1) == 1);
	read_text(console, text, sizeof(text));
	CHECK(strstr(text, "33 77"));
	CHECK(end_of(tare_container_init(container)).exit_code == 3);
	tare_container_free(container);
}

/* What a document of one's own can say, and what the builder can. */
static void documents(void)
{
	tare_config *config = configure("documents",
		ARGS("sh", "-c",
			"[ $(hostname) = nutshell ] && [ $(id -u):$(id -g) = 7:8 ] && [ $PWD = /made/here ] && [ \"$A\" = 'b \"c\"' ] && [ -e /given/bin/sh ] && "
			"! touch /given/x && ! touch /x && touch /new/x && [ ! -e /sys/class/net/eth0 ] && exit 9"));
	const struct tare_options options = { .id = "documents", .root = state };
	tare_container *container = NULL;

	tare_config_set_hostname(config, "nutshell");
	tare_config_set_user(config, 7, 8);
	tare_config_set_cwd(config, "/made/here");
	tare_config_add_env(config, "A=b \"c\"");
	tare_config_add_bind(config, rootfs, "/given", TARE_MOUNT_READONLY);
	tare_config_add_tmpfs(config, "/new", 1 << 20, TARE_MOUNT_NOEXEC);
	tare_config_set_readonly(config, false);
	char *json = tare_config_json(config, "documents");
	CHECK(json && strstr(json, "nutshell"));
	/* The same by way of its text, with the builder's own set apart. */
	tare_config *own = tare_config_new_oci(json, strlen(json), NULL);
	free(json);
	tare_config_free(config);
	CHECK(tare_container_create(own, &options, &container, &error) == 0 &&
		tare_container_start(container, &error) == 0);
	tare_config_free(own);
	CHECK(end_of(tare_container_init(container)).exit_code == 9);
	tare_container_free(container);

	config = configure("documents", ARGS("sh", "-c", "readlink /proc/self/ns/net; ! touch /x"));
	tare_config_set_network(config, TARE_NETWORK_HOST);
	tare_config_set_network(config, TARE_NETWORK_NONE);
	tare_config_set_network(config, TARE_NETWORK_HOST);
	tare_config_set_readonly(config, true);
	int pipes[2];
	char text[256], here[256] = "";
	CHECK(pipe2(pipes, O_CLOEXEC) == 0 && readlink("/proc/self/ns/net", here, sizeof(here) - 1) > 0);
	const struct tare_options piped = {
		.id = "documents", .root = state, .has_stdio = true, .stdio = { -1, pipes[1], -1 }
	};
	CHECK(tare_container_create(config, &piped, &container, &error) == 0 &&
		tare_container_start(container, &error) == 0);
	tare_config_free(config);
	close(pipes[1]);
	read_text(pipes[0], text, sizeof(text));
	close(pipes[0]);
	CHECK(strncmp(text, here, strlen(here)) == 0);
	CHECK(end_of(tare_container_init(container)).exit_code == 0);
	tare_container_free(container);
}

/* Over the ceilings; and with standard descriptors that are none, in whose places the library's own must not be. */
static void extremes(void)
{
	static char large[5 << 20];
	const struct tare_options options = {
		.id = "extremes", .root = state, .has_stdio = true, .stdio = { 0, 1, 2 }
	};
	const char *const args[] = { "true", large, NULL };
	tare_container *container = NULL;
	tare_process *process = NULL;

	memset(large, 'x', sizeof(large) - 1);
	tare_config *config = tare_config_new_oci(large, sizeof(large), NULL);
	CHECK(tare_container_create(config, &options, &container, &error) < 0 && error.code == TARE_TOO_LARGE);
	tare_config_free(config);
	container = run("large", ARGS("sleep", "1000"));
	CHECK(tare_container_exec(container, &(struct tare_exec){ .args = args }, &process, &error) < 0 &&
		error.code == TARE_TOO_LARGE);
	large[100000] = '\0';
	CHECK(run_in(container, &(struct tare_exec){ .args = args }) == 0);
	tare_container_free(container);

	int kept = dup(2);
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	config = configure("extremes", ARGS("true"));
	int created = tare_container_create(config, &options, &container, &error), wrong = error.errnum;
	tare_config_free(config);
	container = run("bare", ARGS("sleep", "1000"));
	int fds[] = { tare_process_pidfd(tare_container_init(container)), tare_container_event_fd(container) };
	tare_container_free(container);
	dup2(kept, 2);
	CHECK(created < 0 && wrong == EBADF && fds[0] > 2 && fds[1] > 2);
}

static void network(void)
{
	tare_config *config = configure("network",
		ARGS("sh", "-c", "test -e /sys/class/net/lo && ! touch /sys/x && exit 9"));

	tare_config_set_network(config, TARE_NETWORK_HOST);
	tare_container *container = create("network", config);
	CHECK(tare_container_start(container, &error) == 0);
	CHECK(end_of(tare_container_init(container)).exit_code == 9);
	tare_container_free(container);
}

static int open_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void many(void)
{
	int before = open_fds();

	for (int i = 0, count = atoi(argument); i < count; i++) {
		tare_container *container = run("many", ARGS("true"));
		if (i % 10 == 0)
			CHECK(end_of(tare_container_init(container)).exit_code == 0);
		tare_container_free(container);
		CHECK(open_fds() == before);
	}
	CHECK(child_signals == 0 && waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
}

/* ---- threads ---- */

static void *own_containers(void *user)
{
	char id[32];

	for (int i = 0; i < 5; i++) {
		snprintf(id, sizeof(id), "thread%d-%d", *(int *)user, i);
		tare_container *container = run(id, ARGS("sh", "-c", "exit 4"));
		CHECK(end_of(tare_container_init(container)).exit_code == 4);
		tare_container_free(container);
	}
	return NULL;
}

static void *shared_container(void *user)
{
	tare_container *container = user;

	for (int i = 0; i < 5; i++) {
		CHECK(run_in(container, &(struct tare_exec){ .args = ARGS("sh", "-c", "exit 6") }) == 6);
		CHECK(status_of(container).state == TARE_RUNNING);
	}
	return NULL;
}

static void *wait_for_init(void *user)
{
	CHECK(end_of(tare_container_init(user)).signal == SIGKILL);
	return NULL;
}

static void threads(void)
{
	tare_container *container = run("shared", ARGS("sleep", "1000"));
	pthread_t own[4], sharing[4], waiting[2];
	int numbers[4];

	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		CHECK(pthread_create(&own[i], NULL, own_containers, &numbers[i]) == 0);
		CHECK(pthread_create(&sharing[i], NULL, shared_container, container) == 0);
		if (i < 2)
			CHECK(pthread_create(&waiting[i], NULL, wait_for_init, container) == 0);
	}
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(own[i], NULL) == 0 && pthread_join(sharing[i], NULL) == 0);
	CHECK(tare_container_signal(container, SIGKILL, TARE_SIGNAL_INIT, &error) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(waiting[i], NULL) == 0);
	tare_container_free(container);
	CHECK(child_signals == 0);
}

/* ---- ends ---- */

/* Says which process it has, and waits to be killed; a child has the connection too, and outlives it. */
static void hold(void)
{
	const struct tare_options options = {
		.id = "held", .root = state, .outlives_host = strcmp(argument, "outlives") == 0
	};
	tare_config *config = configure("held", ARGS("sleep", "1000"));
	tare_container *container = NULL;

	CHECK(tare_container_create(config, &options, &container, &error) == 0 &&
		tare_container_start(container, &error) == 0);
	pid_t child = fork();
	if (child == 0) {
		char byte;
		(void)!read(0, &byte, 1); /* until the test ends */
		_exit(0);
	}
	printf("%d %d\n", tare_process_pid(tare_container_init(container)), child);
	fflush(stdout);
	pause();
}

/* A handle on what somebody else made, and its end by the other's hand. */
static void opened(void)
{
	const struct tare_options options = { .id = argument, .root = state };
	tare_container *container = NULL;
	struct tare_result result;

	CHECK(tare_container_open(&options, &container, &error) == 0);
	CHECK(status_of(container).state == TARE_RUNNING);
	CHECK(run_in(container, &(struct tare_exec){ .args = ARGS("sh", "-c", "exit 8") }) == 8);
	CHECK(tare_container_signal(container, SIGKILL, TARE_SIGNAL_INIT, &error) == 0);
	CHECK(tare_process_wait(tare_container_init(container), PATIENCE_MS, &result, &error) < 0 &&
		error.code == TARE_UNSUPPORTED);
	tare_container_free(container);
	CHECK(tare_container_open(&options, &container, &error) == 0 && status_of(container).state == TARE_STOPPED);
	CHECK(!tare_container_init(container));
	CHECK(tare_container_delete(container, &error) == 0);
	tare_container_free(container);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], line[256];
	int parent = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *file = fopen(path, "r");
	CHECK(file);
	while (parent < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "PPid: %d", &parent);
	fclose(file);
	return parent;
}

/* Nobody should kill a helper, but the kernel may. */
static void orphaned(void)
{
	tare_container *container = run("orphaned", ARGS("sleep", "1000"));
	tare_process *init = tare_container_init(container);
	pid_t helper = parent_of(tare_process_pid(init));
	struct tare_status status;

	CHECK(helper > 1 && helper != getpid() && kill(helper, SIGKILL) == 0);
	while (parent_of(tare_process_pid(init)) == helper)
		usleep(1000);
	CHECK(tare_container_status(container, &status, &error) < 0 && error.code == TARE_HELPER_LOST);
	CHECK(!is_readable(tare_process_pidfd(init), 0));
	int pidfd = dup(tare_process_pidfd(init));
	tare_container_free(container);
	CHECK(is_readable(pidfd, PATIENCE_MS));
	close(pidfd);
}

static void count_child(int signo)
{
	(void)signo;
	child_signals++;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} scenarios[] = { { "life", life }, { "mistakes", mistakes }, { "scope", scope }, { "inside", inside },
		{ "oom", oom }, { "limits", limits }, { "pauses", pauses }, { "terminal", terminal },
		{ "documents", documents }, { "network", network }, { "extremes", extremes }, { "many", many },
		{ "threads", threads }, { "hold", hold }, { "opened", opened }, { "orphaned", orphaned } };

	if (argc < 5)
		return 2;
	rootfs = argv[2];
	state = argv[3];
	group = argv[4];
	argument = argc > 5 ? argv[5] : "";
	signal(SIGCHLD, count_child);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(argv[1], scenarios[i].name) == 0) {
			scenarios[i].run();
			return 0;
		}
	return 2;
}
