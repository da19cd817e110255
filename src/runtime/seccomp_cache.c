/*
 * A file's name is a 128-bit hash of the request's text. It need not withstand an attacker: the text itself is in the file
 * and compared. Two compilers at once write the same; the last rename wins. A crash leaves at most a "....tmp".
 */
#include "runtime/seccomp_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/strv.h"
#include "codec/json.h"
#include "runtime/seccomp_file.h"
#include "sys/spawn.h"

#define NAME_MAX_BYTES 48
#define COMPLAINT_MAX  2048
#define RESULT_MAX     (SECCOMP_REQUEST_MAX + 64 * 1024)

static int request_text(const struct seccomp_request *request, struct buf *out)
{
	_autojson_ json_t *caps = json_array();
	_autofree_(strv) char **sorted = strv_copy(request->capabilities);

	if (!caps || (request->capabilities && !sorted))
		return -ENOMEM;
	strv_sort(sorted);
	strv_foreach (cap, sorted)
		if (json_array_append_new(caps, json_string(*cap)) < 0)
			return -ENOMEM;
	int r = buf_puts(out, "{\"capabilities\":");
	if (r == 0)
		r = json_print_value(caps, out);
	if (r == 0)
		r = buf_puts(out, ",\"profile\":");
	if (r == 0)
		r = request->profile ? json_print_value(request->profile, out) : buf_puts(out, "null");
	return r < 0 ? r : buf_puts(out, "}");
}

static uint64_t fnv1a(const char *text, size_t len, uint64_t hash)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3ULL;
	return hash;
}

static void file_name(const struct buf *text, char name[static NAME_MAX_BYTES])
{
	uint64_t first = fnv1a(text->data, text->len, 0xcbf29ce484222325ULL);
	uint64_t second = fnv1a(text->data, text->len, first ^ 0x9e3779b97f4a7c15ULL);

	snprintf(name, NAME_MAX_BYTES, "%016llx%016llx.bpf", (unsigned long long)first, (unsigned long long)second);
}

static int open_cached(int cache_fd, const char *name, const struct buf *text)
{
	_autoclose_ int fd = openat(cache_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	int r = seccomp_file_is_of(fd, text->data, text->len);
	return r == 1 ? TAKE_FD(fd) : -ENOENT;
}

static int memory_file(const struct buf *content, int *ret)
{
	_autoclose_ int fd = memfd_create("seccomp", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : 0;

	if (r == 0 && content)
		r = io_write_full(fd, content->data, content->len);
	if (r == 0 && lseek(fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		*ret = TAKE_FD(fd);
	return r;
}

static int complaint(int fd, struct err **reterr)
{
	char text[COMPLAINT_MAX];
	ssize_t len = pread(fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return err_set(reterr, ERR_INVALID, 0, "%s", text[0] ? text : "the seccomp profile can't be compiled");
}

/* Through memory files: neither side waits for the other. */
static int compile(const char *compiler, const struct buf *text, int *ret_fd, struct err **reterr)
{
	_autoclose_ int input = -1, output = -1, errors = -1, pidfd = -1;
	char *argv[] = { (char *)"tare-runtime", (char *)"seccomp-compile", NULL };
	struct seccomp_file_header header;
	pid_t pid;
	int status = 0;
	int r = memory_file(text, &input);

	if (r == 0)
		r = memory_file(NULL, &output);
	if (r == 0)
		r = memory_file(NULL, &errors);
	if (r < 0)
		return err_errno(reterr, r, "cannot make a memory file");
	const struct spawn spawn = {
		.program_fd = -1, .path = compiler, .argv = argv, .stdio = { input, output, errors }
	};
	r = spawn_program(&spawn, &pid, &pidfd);
	if (r < 0)
		return err_errno(reterr, r, "cannot run %s", compiler);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return complaint(errors, reterr);
	_cleanup_free_ struct sock_filter *program = NULL;
	r = seccomp_file_read(output, &header, &program);
	if (r < 0)
		return err_errno(reterr, r, "%s gave no seccomp filter", compiler);
	*ret_fd = TAKE_FD(output);
	return 0;
}

/* Not being able to keep it costs time, not the container. */
static void keep(int cache_fd, const char *name, int fd)
{
	_cleanup_(buf_finish) struct buf content = BUF_INIT(RESULT_MAX);

	if (lseek(fd, 0, SEEK_SET) == 0 && io_read_all(fd, &content) == 0)
		io_replace_file(cache_fd, name, content.data, content.len, false);
}

int seccomp_cache_open(int cache_fd, const char *compiler, const struct seccomp_request *request, int *ret_fd,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECCOMP_REQUEST_MAX);
	char name[NAME_MAX_BYTES];
	int r = request_text(request, &text);

	if (r == -EFBIG)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "the seccomp profile is larger than %d bytes",
			SECCOMP_REQUEST_MAX);
	if (r < 0)
		return err_oom(reterr);
	file_name(&text, name);
	int fd = cache_fd >= 0 ? open_cached(cache_fd, name, &text) : -ENOENT;
	if (fd < 0) {
		r = compile(compiler, &text, &fd, reterr);
		if (r < 0)
			return r;
		if (cache_fd >= 0)
			keep(cache_fd, name, fd);
	}
	*ret_fd = fd;
	return 0;
}
