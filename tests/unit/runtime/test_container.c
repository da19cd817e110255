/*
 * Containers through the library, as a monitor makes them: an overlay, a user looked up inside, an init above the command,
 * files of ours, another container's network. Needs root and a cgroup hierarchy; skipped without.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "runtime/container.h"
#include "spec/oci_runtime.h"
#include "sys/namespaces.h"

#define INIT_PROGRAM "src/main/tare-init" /* from the build folder, where tests run */

struct fixture {
	char path[64];
	int top;
	int upper;
	struct oci_spec spec;
	struct container_options options;
	const char *lowers[3];
	char id[32];
	char cgroup[64];
	int out[2];
	char **groups;
	char warning[512];
};

static const char document[] =
	"{\"ociVersion\":\"1.2.0\",\"hostname\":\"box\",\"root\":{\"path\":\"unused\"},"
	"\"process\":{\"cwd\":\"/\",\"args\":[\"sh\",\"-c\",\"true\"],\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}},"
	"\"mounts\":[{\"destination\":\"/proc\",\"type\":\"proc\",\"source\":\"proc\"},"
	"{\"destination\":\"/dev\",\"type\":\"tmpfs\",\"source\":\"tmpfs\",\"options\":[\"nosuid\",\"mode=755\"]},"
	"{\"destination\":\"/dev/pts\",\"type\":\"devpts\",\"source\":\"devpts\",\"options\":[\"newinstance\",\"ptmxmode=0666\"]}],"
	"\"linux\":{\"namespaces\":[{\"type\":\"mount\"},{\"type\":\"pid\"},{\"type\":\"uts\"},{\"type\":\"ipc\"},"
	"{\"type\":\"network\"},{\"type\":\"cgroup\"}]}}";

static void must(int r)
{
	if (r < 0)
		fail_msg("%s", strerror(errno));
}

static void write_text(int dir, const char *name, const char *text)
{
	_autoclose_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	must(fd);
	assert_int_equal(io_write_full(fd, text, strlen(text)), 0);
}

static void copy_busybox(int dir)
{
	static const char *const applets[] = { "sh", "id", "cat", "sleep", "hostname", "ls", "echo", "ps", "kill",
		"tty" };
	_autoclose_ int from = open("/bin/busybox", O_RDONLY | O_CLOEXEC);
	_autoclose_ int to = openat(dir, "busybox", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char bytes[65536];
	ssize_t len;

	must(to);
	while ((len = read(from, bytes, sizeof(bytes))) > 0)
		assert_int_equal(io_write_full(to, bytes, (size_t)len), 0);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++)
		must(symlinkat("busybox", dir, applets[i]));
}

static int note_groups(char *const *folders, void *user)
{
	struct fixture *fixture = user;

	strv_free(fixture->groups);
	fixture->groups = strv_copy(folders);
	return access(folders[0], F_OK) < 0 ? 0 : -EEXIST; /* told before the first is made */
}

static void note_warning(const char *message, void *user)
{
	struct fixture *fixture = user;

	snprintf(fixture->warning, sizeof(fixture->warning), "%s", message);
}

static void make_layers(struct fixture *fixture)
{
	static const char *const folders[] = { "base", "base/bin", "base/etc", "top", "top/etc", "box", "box/upper",
		"box/work" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		must(mkdirat(fixture->top, folders[i], 0755));
	_autoclose_ int bin = openat(fixture->top, "base/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	copy_busybox(bin);
	write_text(fixture->top, "base/etc/which", "base\n");
	write_text(fixture->top, "base/etc/passwd", "root:x:0:0::/root:\nweb:x:1000:1001::/home/web:\n");
	write_text(fixture->top, "base/etc/group", "extra:x:50:web\n");
	write_text(fixture->top, "top/etc/which", "top\n");
	write_text(fixture->top, "hosts", "127.0.0.1 box\n");
}

static bool can_run(void)
{
	return geteuid() == 0 && access("/sys/fs/cgroup", F_OK) == 0 && access("/bin/busybox", X_OK) == 0;
}

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	static unsigned count;

	*state = fixture;
	if (!can_run())
		return 0;
	strcpy(fixture->path, "/tmp/tare-container-XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->top = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* overlay needs an upper on a filesystem that can hold one */
	make_layers(fixture);
	fixture->upper = openat(fixture->top, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(oci_spec_parse(document, sizeof(document) - 1, &fixture->spec, NULL), 0);
	snprintf(fixture->id, sizeof(fixture->id), "u%d-%u", getpid(), count++);
	snprintf(fixture->cgroup, sizeof(fixture->cgroup), "tare-unit-%s", fixture->id);
	fixture->spec.linux_config.cgroups_path = strdup(fixture->cgroup);
	fixture->lowers[0] = "top";
	fixture->lowers[1] = "base";
	must(pipe2(fixture->out, O_CLOEXEC));
	struct container_options options = CONTAINER_OPTIONS_INIT;
	fixture->options = options;
	fixture->options.id = fixture->id;
	fixture->options.rootfs.kind = CONTAINER_ROOTFS_OVERLAY;
	fixture->options.rootfs.layers_fd = fixture->top;
	fixture->options.rootfs.lowers = fixture->lowers;
	fixture->options.rootfs.upper_fd = fixture->upper;
	fixture->options.stdio.fds[1] = fixture->options.stdio.fds[2] = fixture->out[1];
	fixture->options.on_groups = note_groups;
	fixture->options.on_warn = note_warning;
	fixture->options.user_data = fixture;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->path[0]) {
		/* What a failed test left running. */
		_autofree_(container) struct container *rest = NULL;
		if (fixture->groups && container_adopt(fixture->id, fixture->groups, -1, -1, &rest, NULL) == 0)
			container_destroy(rest, 5000, NULL);
		fd_close(&fixture->out[0]);
		fd_close(&fixture->out[1]);
		fd_close(&fixture->upper);
		fd_close(&fixture->top);
		oci_spec_finish(&fixture->spec);
		nftw(fixture->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
		strv_foreach (group, fixture->groups)
			assert_int_not_equal(access(*group, F_OK), 0);
		strv_free(fixture->groups);
	}
	free(fixture);
	return 0;
}

static void set_command(struct fixture *fixture, const char *script)
{
	strv_free(fixture->spec.process->args);
	fixture->spec.process->args = NULL;
	assert_int_equal(strv_append(&fixture->spec.process->args, "sh"), 0);
	assert_int_equal(strv_append(&fixture->spec.process->args, "-c"), 0);
	assert_int_equal(strv_append(&fixture->spec.process->args, script), 0);
}

static struct container *create(struct fixture *fixture)
{
	_autofree_(err) struct err *error = NULL;
	struct container *container = NULL;

	if (container_create(&fixture->spec, &fixture->options, &container, &error) < 0)
		fail_msg("%s", err_message(error));
	return container;
}

static void start(struct container *container)
{
	_autofree_(err) struct err *error = NULL;

	if (container_start(container, &error) < 0)
		fail_msg("%s", err_message(error));
}

static int wait_end(struct container *container)
{
	int status;

	assert_int_equal(waitpid(container_pid(container), &status, 0), container_pid(container));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* What it printed, up to its end. */
static char *read_output(struct fixture *fixture)
{
	struct buf text = BUF_INIT(1024 * 1024);

	fd_close(&fixture->out[1]);
	assert_int_equal(io_read_all(fixture->out[0], &text), 0);
	return buf_take(&text);
}

static char *run(struct fixture *fixture, const char *script, int want)
{
	set_command(fixture, script);
	_autofree_(container) struct container *container = create(fixture);
	start(container);
	char *text = read_output(fixture);
	assert_int_equal(wait_end(container), want);
	assert_int_equal(container_destroy(container, 5000, NULL), 0);
	return text;
}

static void test_overlay(void **state)
{
	struct fixture *fixture = *state;

	if (!can_run())
		skip();
	_cleanup_free_ char *text = run(fixture,
		"cat /etc/which; hostname; echo new > /etc/which; cat /proc/mounts; exit 4", 4);
	assert_true(strncmp(text, "top\nbox\n", 8) == 0);
	assert_non_null(strstr(text, "overlay / overlay rw"));
	/* It went up, and the host's mount table never knew. */
	assert_int_equal(faccessat(fixture->upper, "upper/etc/which", F_OK, 0), 0);
	_cleanup_(buf_finish) struct buf mounts = BUF_INIT(1024 * 1024);
	_autoclose_ int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	assert_int_equal(io_read_all(fd, &mounts), 0);
	assert_null(strstr(mounts.data, fixture->path));
}

static void test_user_and_files(void **state)
{
	struct fixture *fixture = *state;
	char *groups[] = { (char *)"77", NULL };

	if (!can_run())
		skip();
	const struct container_file file = {
		.source = "hosts", .source_fd = fixture->top, .target = "/etc/hosts", .readonly = true
	};
	fixture->options.user = "web";
	fixture->options.group_add = groups;
	fixture->options.files = &file;
	fixture->options.file_count = 1;
	free(fixture->spec.process->cwd);
	fixture->spec.process->cwd = strdup("/made/for/it");
	_cleanup_free_ char *text = run(fixture,
		"id -u; id -g; id -G; echo $HOME; pwd; cat /etc/hosts; echo x 2>/dev/null >/etc/hosts || echo ro", 0);
	assert_true(strncmp(text, "1000\n1001\n", 10) == 0);
	assert_non_null(strstr(text, "50"));
	assert_non_null(strstr(text, "77"));
	assert_non_null(strstr(text, "/home/web\n/made/for/it\n127.0.0.1 box\nro\n"));

	must(pipe2(fixture->out, O_CLOEXEC));
}

static void test_unknown_user(void **state)
{
	struct fixture *fixture = *state;
	_autofree_(err) struct err *error = NULL;
	struct container *container = NULL;

	if (!can_run())
		skip();
	fixture->options.user = "ghost";
	assert_true(container_create(&fixture->spec, &fixture->options, &container, &error) < 0);
	assert_string_equal(err_message(error), "unable to find user ghost: no matching entries in passwd file");
	assert_int_equal(error->kind, ERR_INVALID);
	assert_null(container);
}

static void test_command_kinds(void **state)
{
	static const struct {
		const char *command;
		enum err_kind kind;
	} cases[] = { { "nosuch", ERR_CMD_NOT_FOUND }, { "/nosuch", ERR_CMD_NOT_FOUND }, { "/etc", ERR_CMD_NOT_EXEC },
		{ "/etc/which", ERR_CMD_NOT_EXEC } };
	struct fixture *fixture = *state;

	if (!can_run())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_autofree_(err) struct err *error = NULL;
		struct container *container = NULL;
		set_command(fixture, "");
		free(fixture->spec.process->args[0]);
		fixture->spec.process->args[0] = strdup(cases[i].command);
		assert_true(container_create(&fixture->spec, &fixture->options, &container, &error) < 0);
		assert_int_equal(error->kind, cases[i].kind);
	}
}

/* PID 1 is the init; orphans are reaped, signals forwarded, the command's code kept, and its failure to start known. */
static void test_init(void **state)
{
	struct fixture *fixture = *state;

	if (!can_run() || access(INIT_PROGRAM, X_OK) < 0)
		skip();
	_autoclose_ int init = open(INIT_PROGRAM, O_RDONLY | O_CLOEXEC);
	fixture->options.init_fd = init;
	set_command(fixture,
		"cat /proc/1/cmdline; (sleep 0.05 & ) ; sleep 0.5; ps; trap 'exit 9' USR1; echo; echo ready; while :; do sleep 0.05; done");
	_autofree_(container) struct container *container = create(fixture);
	start(container);
	char seen[4096] = "";
	size_t used = 0;
	while (!memmem(seen, used, "\nready\n", 7)) {
		ssize_t len = read(fixture->out[0], seen + used, sizeof(seen) - used);
		assert_true(len > 0);
		used += (size_t)len;
	}
	assert_memory_equal(seen, "/sbin/docker-init\0-p\0002\0--\0sh\0-c", 32);
	for (size_t i = 0; i + 7 < used; i++)
		assert_memory_not_equal(seen + i, "[sleep]", 7); /* no zombie */
	assert_int_equal(container_kill(container, SIGUSR1, NULL), 0);
	assert_int_equal(wait_end(container), 9);
	assert_int_equal(container_destroy(container, 5000, NULL), 0);
}

static void test_readonly_overlay_without_upper(void **state)
{
	struct fixture *fixture = *state;

	if (!can_run())
		skip();
	fixture->options.rootfs.upper_fd = -1;
	/* Mount points must exist below then. */
	must(mkdirat(fixture->top, "base/proc", 0755));
	must(mkdirat(fixture->top, "base/dev", 0755));
	_cleanup_free_ char *text = run(fixture, "echo x > /etc/which || echo refused", 0);
	assert_non_null(strstr(text, "refused"));
}

static void test_joined_network_and_exec(void **state)
{
	struct fixture *fixture = *state;

	if (!can_run())
		skip();
	set_command(fixture, "sleep 1000");
	_autofree_(container) struct container *first = create(fixture);
	start(first);

	/* exec */
	struct oci_process process;
	static const char text[] =
		"{\"cwd\":\"/etc\",\"args\":[\"sh\",\"-c\",\"exit 6\"],\"env\":[\"PATH=/bin\"],\"user\":{\"uid\":0,\"gid\":0}}";
	struct container_exec_options options = CONTAINER_EXEC_OPTIONS_INIT;
	struct container_process started;
	int status;
	assert_int_equal(oci_process_parse(text, sizeof(text) - 1, &process, NULL), 0);
	assert_int_equal(container_exec(first, &process, &options, &started, NULL), 0);
	assert_int_equal(waitpid(started.pid, &status, 0), started.pid);
	assert_int_equal(WEXITSTATUS(status), 6);
	close(started.pidfd);
	oci_process_finish(&process);

	/* another in its network */
	void *second_state;
	assert_int_equal(setup(&second_state), 0);
	const struct container_join join = { .clone_flag = CLONE_NEWNET, .pidfd = container_pidfd(first) };
	struct fixture *other = second_state;
	other->options.joins = &join;
	other->options.join_count = 1;
	_cleanup_free_ char *link = run(other, "ls -l /proc/self/ns/net", 0);
	char path[64], want[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/ns/net", container_pid(first));
	assert_true(readlink(path, want, sizeof(want) - 1) > 0);
	assert_non_null(strstr(link, want));
	teardown(&second_state);

	/* adopted by its groups alone, as after a crash */
	container_pause(first, NULL);
	assert_true(container_is_paused(first));
	_autofree_(container) struct container *adopted = NULL;
	assert_int_equal(container_adopt("again", fixture->groups, -1, -1, &adopted, NULL), 0);
	assert_int_equal(container_destroy(adopted, 5000, NULL), 0);
	assert_int_equal(wait_end(first), 128 + SIGKILL);
	assert_int_equal(container_destroy(adopted, 5000, NULL), 0); /* once more is no failure */
}

static void give_user_namespace(struct fixture *fixture)
{
	struct oci_linux *config = &fixture->spec.linux_config;
	struct oci_id_mapping **const maps[] = { &config->uid_mappings, &config->gid_mappings };

	config->namespaces = reallocarray(config->namespaces, config->namespace_count + 1, sizeof(*config->namespaces));
	config->namespaces[config->namespace_count++] = (struct oci_namespace){ .type = strdup("user") };
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++) {
		*maps[i] = calloc(1, sizeof(**maps[i]));
		(*maps[i])->size = 65536;
	}
	config->uid_mapping_count = config->gid_mapping_count = 1;
}

/* One that nobody has used is as good as one that is made for the container; but a user namespace has to own its own. */
static void test_network_made_ahead(void **state)
{
	struct fixture *fixture = *state;
	char path[64], home[64] = "", ahead[64] = "", now[64] = "";

	if (!can_run())
		skip();
	must((int)readlink("/proc/self/ns/net", home, sizeof(home) - 1));
	_autoclose_ int network = namespace_new_network();
	must(network);
	must((int)readlink("/proc/self/ns/net", now, sizeof(now) - 1));
	assert_string_equal(home, now);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", network);
	must((int)readlink(path, ahead, sizeof(ahead) - 1));
	assert_string_not_equal(home, ahead);

	fixture->options.network_fd = network;
	_cleanup_free_ char *text = run(fixture, "ls -l /proc/self/ns/net; cat /proc/net/fib_trie", 0);
	assert_non_null(strstr(text, ahead));
	assert_non_null(strstr(text, "127.0.0.1"));

	void *second_state;
	assert_int_equal(setup(&second_state), 0);
	struct fixture *other = second_state;
	other->options.network_fd = network;
	give_user_namespace(other);
	_cleanup_free_ char *own = run(other, "ls -l /proc/self/ns/net; cat /proc/net/fib_trie", 0);
	assert_null(strstr(own, ahead));
	assert_null(strstr(own, home));
	assert_non_null(strstr(own, "127.0.0.1"));
	teardown(&second_state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = { TEST(test_overlay), TEST(test_user_and_files), TEST(test_unknown_user),
		TEST(test_command_kinds), TEST(test_init), TEST(test_readonly_overlay_without_upper),
		TEST(test_joined_network_and_exec), TEST(test_network_made_ahead) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
