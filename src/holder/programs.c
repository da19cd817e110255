#include "holder/programs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "sys/sealed.h"
#include "sys/selfexe.h"
#include "sys/spawn.h"

#define OOM_FILE      "/proc/self/oom_score_adj"
#define OOM_PROTECTED "-500"
#define OOM_TEXT_MAX  16

#define PROGRAM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static const char *const program_names[PROGRAM_KINDS] = {
	[HOLDER_ENGINE] = "tare-engine",
	[HOLDER_MONITOR] = "tare-monitor",
	[HOLDER_WORKER] = "tare-worker",
	[HOLDER_TRANSFER] = "tare-transfer",
	[HOLDER_NETWORK] = "tare-network",
};

/* All of our environment that reaches a child: what an administrator sets for transfers, and for sanitizers. */
static const char *const passed_variables[] = { "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy",
	"no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR", "TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS" };

static int programs_set_env(struct programs *programs, const struct options *options)
{
	int r = strv_append(&programs->env, PROGRAM_PATH);
	if (r == 0)
		r = strv_appendf(&programs->env, "TARE_LIBEXEC=%s", options->libexec);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(passed_variables); i++) {
		const char *value = getenv(passed_variables[i]);
		if (value)
			r = strv_appendf(&programs->env, "%s=%s", passed_variables[i], value);
	}
	return r;
}

/* Children must not inherit the protection: a container would. */
static int protect_from_oom(struct programs *programs)
{
	_cleanup_(buf_finish) struct buf had = BUF_INIT(OOM_TEXT_MAX);
	_autoclose_ int fd = open(OOM_FILE, O_RDWR | O_CLOEXEC);
	int r = fd < 0 ? -errno : io_read_all(fd, &had);
	if (r == 0 && had.len == 0)
		r = -ENODATA;
	if (r == 0)
		r = io_write_full(fd, OOM_PROTECTED, strlen(OOM_PROTECTED));
	if (r < 0) {
		log_warn("cannot protect tared from the OOM killer: %s", strerror(-r));
		return 0;
	}
	programs->oom_score_adj = buf_take(&had);
	return programs->oom_score_adj ? 0 : -ENOMEM;
}

int programs_init(struct programs *programs, const struct options *options, struct err **reterr)
{
	*programs = (struct programs){ 0 };
	for (int kind = 0; kind < PROGRAM_KINDS; kind++) {
		struct program *program = &programs->items[kind];
		program->kept_fd = -1;
		if (program_names[kind] &&
			asprintf(&program->path, "%s/%s", options->libexec, program_names[kind]) < 0) {
			program->path = NULL;
			return err_oom(reterr);
		}
	}
	int r = programs_set_env(programs, options);
	if (r == 0)
		r = protect_from_oom(programs);
	return r < 0 ? err_oom(reterr) : 0;
}

void programs_finish(struct programs *programs)
{
	for (int kind = 0; kind < PROGRAM_KINDS; kind++) {
		fd_close(&programs->items[kind].kept_fd);
		free(programs->items[kind].path);
	}
	strv_free(programs->env);
	free(programs->oom_score_adj);
}

static bool program_is_current(const struct program *program, const struct stat *st)
{
	return program->kept_fd >= 0 && program->device == st->st_dev && program->inode == st->st_ino &&
	       program->size == st->st_size && program->modified.tv_sec == st->st_mtim.tv_sec &&
	       program->modified.tv_nsec == st->st_mtim.tv_nsec;
}

/* A sealed copy serves where no mount can be made; its pages count as every monitor's own. */
static int program_view(int file_fd, const char *name)
{
	int fd = selfexe_readonly_view(file_fd);
	int r = fd < 0 ? sealed_copy(file_fd, name, &fd) : 0;
	return r < 0 ? r : fd;
}

static int program_keep(struct program *program, const char *name)
{
	_autoclose_ int file_fd = open(program->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (file_fd < 0 || fstat(file_fd, &st) < 0)
		return -errno;
	if (program_is_current(program, &st))
		return 0;
	if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
		return -EACCES;
	int kept_fd = program_view(file_fd, name);
	if (kept_fd < 0)
		return kept_fd;
	fd_close(&program->kept_fd);
	program->kept_fd = kept_fd;
	program->device = st.st_dev;
	program->inode = st.st_ino;
	program->size = st.st_size;
	program->modified = st.st_mtim;
	return 0;
}

int programs_spawn(struct programs *programs, enum holder_kind kind, char *const *argv, const int *fds, size_t fd_count,
	pid_t *ret_pid)
{
	struct program *program = &programs->items[kind];
	if (kind == HOLDER_MONITOR) {
		int r = program_keep(program, program_names[kind]);
		if (r < 0 && program->kept_fd < 0)
			return r;
		if (r < 0)
			log_warn("cannot read %s, going on with the one kept: %s", program->path, strerror(-r));
	}
	const struct spawn spawn = {
		.program_fd = program->kept_fd,
		.path = program->path,
		.argv = argv,
		.env = programs->env,
		.stdio = { -1, STDERR_FILENO, STDERR_FILENO },
		.oom_score_adj = programs->oom_score_adj,
		.fds = fds,
		.fd_count = fd_count,
	};
	return spawn_program(&spawn, ret_pid, NULL);
}
