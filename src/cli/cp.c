/*
 * cp: files between a container and this machine. The engine knows archives that go out of, or into, a folder; which folder
 * that is and what the archive's top is called there follows from what there is on both sides (Docker's rules):
 *
 *	destination         source is a folder                         source is anything else
 *	a folder            into it, under its own name                into it, under its own name
 *	a file              refused                                    in its place
 *	not there           becomes the folder, so called              is called so; with a "/" at the end refused
 *
 * "SRC/." stands for what is in a folder, which then goes into the destination without a name of its own.
 *
 * The side that writes, or reads, archives beside the connection is a child process, with a pipe between.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "archive/extract.h"
#include "archive/pack.h"
#include "base/io.h"
#include "cli/client.h"
#include "cli/humanize.h"
#include "cli/print.h"
#include "cli/values.h"
#include "cli/verbs.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/query.h"

#define STAT_HEADER   "X-Docker-Container-Path-Stat"
#define GO_MODE_DIR   (1LL << 31)
#define GO_MODE_LINK  (1LL << 27)
#define MESSAGE_BYTES 1024
#define SIZE_DIGITS   3

struct cp_options {
	bool archive;
	bool follow;
	bool quiet;
};

#define OPTION(...) OPTION_IN(struct cp_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("archive", 'a', OPTION_BOOL, archive, "What is copied into a container belongs to its user"),
	OPTION("follow-link", 'L', OPTION_BOOL, follow, "If the source is a symbolic link, copy what it leads to"),
	OPTION("quiet", 'q', OPTION_BOOL, quiet, "Don't say how much was copied"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* ---- paths */

/* Lexically clean; "/." at the end stays. NULL when out of memory. */
static char *clean_path(const char *path)
{
	size_t size = strlen(path);
	bool inside = strcmp(path, ".") == 0 || (size > 1 && strcmp(path + size - 2, "/.") == 0);
	char *out = malloc(size + 4);
	size_t len = 0;

	if (!out)
		return NULL;
	if (*path == '/')
		out[len++] = '/';
	for (const char *at = path; *at;) {
		size_t part = strcspn(at, "/");
		bool up = part == 2 && at[0] == '.' && at[1] == '.';
		if (up && len > 1) {
			while (len > 1 && out[len - 1] != '/')
				len--;
			len -= len > 1;
		} else if (!up && part > 0 && !(part == 1 && at[0] == '.')) {
			if (len > 0 && out[len - 1] != '/')
				out[len++] = '/';
			memcpy(out + len, at, part);
			len += part;
		}
		at += part;
		at += strspn(at, "/");
	}
	strcpy(out + len, inside ? (len > 0 && out[len - 1] == '/' ? "." : "/.") : "");
	return out;
}

/* The folder and the last component: "." of "a/.", "/" of "/". Both heap. */
static int split_path(const char *path, char **ret_folder, char **ret_base)
{
	_cleanup_free_ char *clean = clean_path(path);
	char *slash = clean ? strrchr(clean, '/') : NULL;

	if (!clean)
		return -ENOMEM;
	if (strcmp(clean, "/") == 0) {
		*ret_folder = strdup("/");
		*ret_base = strdup("/");
	} else if (slash) {
		*ret_base = strdup(slash + 1);
		slash[slash == clean] = '\0';
		*ret_folder = strdup(clean);
	} else {
		*ret_folder = strdup(".");
		*ret_base = strdup(clean);
	}
	if (*ret_folder && *ret_base)
		return 0;
	free(*ret_folder);
	free(*ret_base);
	*ret_folder = *ret_base = NULL;
	return -ENOMEM;
}

/* Absolute, with the "/" or "/." that it ends in. */
static char *absolute_path(const char *path)
{
	_cleanup_free_ char *cwd = *path == '/' ? strdup("") : getcwd(NULL, 0), *joined = NULL, *clean = NULL;
	size_t len = strlen(path);
	char *out;

	if (!cwd || asprintf(&joined, "%s/%s", cwd, path) < 0) {
		joined = NULL;
		return NULL;
	}
	clean = clean_path(joined);
	if (!clean)
		return NULL;
	bool slash = len > 1 && path[len - 1] == '/' && strcmp(clean, "/") != 0;
	return asprintf(&out, "%s%s", clean, slash ? "/" : "") < 0 ? NULL : out;
}

/* "CONTAINER:PATH"; what begins with "/" or "." is of this machine. *ret_container is NULL then. */
static int split_argument(const char *argument, char **ret_container, const char **ret_path)
{
	const char *colon = strchr(argument, ':');

	*ret_path = argument;
	if (!colon || *argument == '/' || *argument == '.')
		return 0;
	*ret_path = colon + 1;
	*ret_container = strndup(argument, (size_t)(colon - argument));
	return *ret_container ? 0 : -ENOMEM;
}

/* ---- what is there */

struct place {
	char *path;
	bool exists;
	bool is_folder;
	bool is_link;
	char *target; /* of a link */
	int64_t size;
};

static void place_finish(struct place *place)
{
	free(place->path);
	free(place->target);
}

static int archive_path(const char *container, const char *path, struct buf *out)
{
	int ret = client_path(out, "/containers/", container, "/archive");
	return ret < 0 ? ret : query_append(out, "path", path);
}

static int read_stat(const struct response *response, struct place *place)
{
	const char *header = response_header(response, STAT_HEADER);
	_cleanup_free_ char *text = NULL;
	_autojson_ json_t *stat = NULL;
	size_t len;
	if (!header || base64_decode(header, strlen(header), &text, &len) < 0 || json_load(text, len, &stat, NULL) < 0)
		return -EPROTO;
	int64_t mode = value_int(stat, "mode");
	free(place->target);
	place->target = strdup(value_string(stat, "linkTarget"));
	place->exists = true;
	place->is_folder = mode & GO_MODE_DIR;
	place->is_link = mode & GO_MODE_LINK;
	place->size = value_int(stat, "size");
	return place->target ? 0 : -ENOMEM;
}

/* What is not there, or can't be asked for, is found out by the request that follows. */
static int stat_in_container(struct client *client, const char *container, struct place *place, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autofree_(err) struct err *err = NULL;
	_autofree_(response) struct response *response = NULL;
	if (archive_path(container, place->path, &path) < 0)
		return err_oom(reterr);
	const struct request request = { .method = "HEAD", .path = path.data };
	place->exists = false;
	if (client_request(client, &request, &response, &err) < 0)
		return 0;
	int ret = read_stat(response, place);
	return ret < 0 ? err_errno(reterr, ret, "unable to decode container path stat header") : 0;
}

/* The destination, through the link that it may be. */
static int find_in_container(struct client *client, const char *container, struct place *place, struct err **reterr)
{
	int ret = stat_in_container(client, container, place, reterr);
	if (ret < 0 || !place->exists || !place->is_link)
		return ret;
	free(place->path);
	place->path = TAKE(place->target);
	return stat_in_container(client, container, place, reterr);
}

static int stat_here(struct place *place, bool follow)
{
	struct stat st;
	int r = follow ? stat(place->path, &st) : lstat(place->path, &st);

	place->exists = r == 0;
	if (r < 0)
		return -errno;
	place->is_folder = S_ISDIR(st.st_mode);
	place->is_link = S_ISLNK(st.st_mode);
	place->size = st.st_size;
	return 0;
}

/* ---- Docker's rules */

/* What the archive's top is called at its destination, and in which folder there. */
struct landing {
	char *folder;
	char *name; /* NULL: as the source is called */
};

static void landing_finish(struct landing *landing)
{
	free(landing->folder);
	free(landing->name);
}

static int find_landing(bool from_folder, const struct place *to, struct landing *ret, struct err **reterr)
{
	size_t len = strlen(to->path);

	if (to->exists && to->is_folder) {
		ret->folder = strdup(to->path);
		return ret->folder ? 0 : err_oom(reterr);
	}
	if (to->exists && from_folder)
		return err_set(reterr, ERR_INVALID, 0, "cannot copy directory");
	if (!to->exists && !from_folder && len > 0 && to->path[len - 1] == '/')
		return err_set(reterr, ERR_INVALID, 0, "no such directory");
	return split_path(to->path, &ret->folder, &ret->name) < 0 ? err_oom(reterr) : 0;
}

static int say_copied(const struct cp_options *options, int64_t bytes, const char *container, const char *path)
{
	char size[HUMAN_MAX];

	human_size((double)bytes, SIZE_DIGITS, size);
	if (!options->quiet && isatty(STDOUT_FILENO))
		print_error("Successfully copied %s to %s%s%s", size, container ? container : "", container ? ":" : "",
			path);
	return 0;
}

/* ---- into a container */

/* The child's part: its last words go to `message_fd`. */
_Noreturn static void pack_and_exit(const char *source, const char *name, int out_fd, int message_fd)
{
	_autofree_(pack) struct pack *pack = pack_new(PACK_TREE, out_fd);
	_cleanup_free_ char *folder = NULL, *base = NULL;
	int r = pack && split_path(source, &folder, &base) == 0 ? 0 : -ENOMEM;
	int fd = r < 0 ? -1 : open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (r == 0 && fd < 0)
		dprintf(message_fd, "open %s: %s", folder, strerror(errno));
	else if (r == 0)
		r = pack_entry(pack, fd, strcmp(base, "/") == 0 ? "." : base, name ? name : base);
	if (r == 0 && fd >= 0)
		r = pack_end(pack);
	if (r < 0)
		dprintf(message_fd, "%s", pack && *pack_message(pack) ? pack_message(pack) : strerror(-r));
	_exit(r < 0 || fd < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
}

struct helper {
	pid_t pid;
	int data_fd;    /* our end of the pipe */
	int message_fd; /* to be read */
};

static int helper_start(struct helper *helper, const char *source, const char *name, struct err **reterr)
{
	int data[2], message[2];

	if (pipe2(data, O_CLOEXEC) < 0 || pipe2(message, O_CLOEXEC) < 0)
		return err_errno(reterr, -errno, "cannot make a pipe");
	helper->pid = fork();
	if (helper->pid == 0)
		pack_and_exit(source, name, data[1], message[1]);
	fd_close(&data[1]);
	fd_close(&message[1]);
	helper->data_fd = data[0];
	helper->message_fd = message[0];
	return helper->pid < 0 ? err_errno(reterr, -errno, "cannot fork") : 0;
}

/* What the engine said goes before what the child said: the child fails, too, when nobody reads any more. */
static int helper_finish(struct helper *helper, int ret, struct err **reterr)
{
	char text[MESSAGE_BYTES];
	int status = 0;
	ssize_t len;

	fd_close(&helper->data_fd);
	len = read(helper->message_fd, text, sizeof(text) - 1);
	fd_close(&helper->message_fd);
	while (helper->pid > 0 && waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ret < 0 || status == 0)
		return ret;
	return err_set(reterr, ERR_INTERNAL, EIO, "%.*s", len > 0 ? (int)len : 0, text);
}

static int upload(const struct invocation *invocation, const char *container, const char *folder, int fd,
	struct err **reterr)
{
	const struct cp_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_autofree_(response) struct response *response = NULL;
	int ret = archive_path(container, folder, &path);
	if (ret == 0)
		ret = query_append(&path, "noOverwriteDirNonDir", "true");
	if (ret == 0 && options->archive)
		ret = query_append(&path, "copyUIDGID", "true");
	if (ret < 0)
		return err_errno(reterr, ret, "cannot make the request");
	const struct request request = { .method = "PUT", .path = path.data, .upload = true, .upload_fd = fd };
	return client_request(invocation->client, &request, &response, reterr);
}

/* Standard input is an archive itself, and can only go into a folder. */
static int copy_stdin(const struct invocation *invocation, const char *container, const char *named,
	const struct place *to, struct err **reterr)
{
	if (!to->exists || !to->is_folder)
		return err_set(reterr, ERR_INVALID, 0, "destination \"%s:%s\" must be a directory", container, named);
	_autoclose_ int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_errno(reterr, -errno, "cannot read standard input")
		      : upload(invocation, container, to->path, fd, reterr);
}

/* With -L the source is what the link leads to, but is called as the link is. */
static int find_source(struct place *from, bool follow, char **ret_name, struct err **reterr)
{
	_cleanup_free_ char *folder = NULL;
	size_t len = strlen(from->path);
	bool through = follow || (len > 1 && (from->path[len - 1] == '/' || strcmp(from->path + len - 2, "/.") == 0));
	int ret = stat_here(from, through);

	if (ret < 0)
		return err_errno(reterr, ret, "lstat %s", from->path);
	if (len > 1 && from->path[len - 1] == '/' && !from->is_folder)
		return err_set(reterr, ERR_INVALID, ENOTDIR, "not a directory");
	if (split_path(from->path, &folder, ret_name) < 0)
		return err_oom(reterr);
	if (!through || strcmp(*ret_name, ".") == 0)
		return 0;
	char *resolved = realpath(from->path, NULL);
	if (!resolved)
		return err_errno(reterr, -errno, "lstat %s", from->path);
	free(from->path);
	from->path = resolved;
	return 0;
}

static int copy_in(const struct invocation *invocation, const char *source, const char *container,
	const char *destination, struct err **reterr)
{
	const struct cp_options *options = invocation->options;
	_cleanup_(place_finish) struct place from = { .path = absolute_path(source) },
					     to = { .path = strdup(destination) };
	_cleanup_(landing_finish) struct landing landing = { 0 };
	_cleanup_free_ char *name = NULL;
	struct helper helper = { .pid = -1, .data_fd = -1, .message_fd = -1 };
	int ret = from.path && to.path ? 0 : err_oom(reterr);

	if (ret == 0)
		ret = find_in_container(invocation->client, container, &to, reterr);
	if (ret == 0 && strcmp(source, "-") == 0)
		return copy_stdin(invocation, container, destination, &to, reterr);
	if (ret == 0)
		ret = find_source(&from, options->follow, &name, reterr);
	if (ret == 0)
		ret = find_landing(from.is_folder, &to, &landing, reterr);
	if (ret < 0)
		return ret;
	ret = helper_start(&helper, from.path, landing.name ? landing.name : name, reterr);
	if (ret == 0)
		ret = upload(invocation, container, landing.folder, helper.data_fd, reterr);
	ret = helper_finish(&helper, ret, reterr);
	return ret < 0 ? ret : say_copied(options, from.size, container, to.path);
}

/* ---- out of one */

static int check_output(const char *path, struct err **reterr)
{
	_cleanup_free_ char *folder = NULL, *base = NULL;
	struct stat st;

	if (split_path(path, &folder, &base) < 0)
		return err_oom(reterr);
	if (stat(folder, &st) < 0 && errno == ENOENT)
		return err_set(reterr, ERR_INVALID, ENOENT, "invalid output path: directory \"%s\" does not exist",
			folder);
	if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid output path: \"%s\" must be a directory or a regular file: got a device", path);
	return 0;
}

/* Reads the archive out of the pipe that a child fills from the connection. */
static int extract_response(struct response *response, const char *folder, const struct extract_options *options,
	struct err **reterr)
{
	_autoclose_ int root_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(buf_finish) struct buf opaque = BUF_INIT(LIMIT_OPAQUE_BYTES);
	struct extract_report report;
	int data[2], status = 0;

	if (root_fd < 0)
		return err_errno(reterr, -errno, "open %s", folder);
	if (pipe2(data, O_CLOEXEC) < 0)
		return err_errno(reterr, -errno, "cannot make a pipe");
	pid_t pid = fork();
	if (pid == 0) {
		fd_close(&data[0]);
		_exit(response_copy(response, data[1], NULL) < 0 ? EXIT_FAILURE : EXIT_SUCCESS);
	}
	fd_close(&data[1]);
	/* libarchive gives names as they are where it knows them to be UTF-8. */
	setlocale(LC_CTYPE, "C.UTF-8");
	mode_t mask = umask(0);
	int r = extract(data[0], root_fd, options, &report, &opaque);
	umask(mask);
	fd_close(&data[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (r < 0)
		return err_set(reterr, ERR_INTERNAL, -r, "%s", report.message);
	return pid < 0 || status != 0 ? err_set(reterr, ERR_INTERNAL, EIO, "the archive is cut short: unexpected EOF")
				      : 0;
}

static int extract_to(struct response *response, const struct place *from, const char *top, const char *name,
	const struct place *to, struct err **reterr)
{
	_cleanup_(landing_finish) struct landing landing = { 0 };
	bool unnamed = strcmp(top, ".") == 0 || strcmp(top, "/") == 0;
	int ret = find_landing(from->is_folder, to, &landing, reterr);
	const char *place = landing.name ? landing.name : name;
	const struct extract_options options = {
		.mode = EXTRACT_COPY,
		.entries_max = LIMIT_ENTRIES,
		.place = place,
		.renames = place != NULL,
		.has_top = !unnamed,
		.no_overwrite = true,
		.owner = EXTRACT_OWNER_OURS,
	};

	return ret < 0 ? ret : extract_response(response, landing.folder, &options, reterr);
}

/* With -L: what the link leads to, called as the link is. */
static int follow_source(struct client *client, const char *container, struct place *from, char **ret_name,
	struct err **reterr)
{
	_cleanup_free_ char *folder = NULL;
	int ret = stat_in_container(client, container, from, reterr);

	if (ret < 0 || !from->exists || !from->is_link)
		return ret;
	if (split_path(from->path, &folder, ret_name) < 0)
		return err_oom(reterr);
	free(from->path);
	from->path = TAKE(from->target);
	return 0;
}

/* A link to a file is as good as the file. */
static int follow_here(struct place *to, struct err **reterr)
{
	char *resolved = realpath(to->path, NULL);

	if (!resolved)
		return err_errno(reterr, -errno, "stat %s", to->path);
	free(to->path);
	to->path = resolved;
	return 0;
}

static int copy_out(const struct invocation *invocation, const char *container, const char *source,
	const char *destination, struct err **reterr)
{
	const struct cp_options *options = invocation->options;
	_cleanup_(place_finish) struct place from = { .path = strdup(source) },
					     to = { .path = absolute_path(destination) };
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	_cleanup_free_ char *name = NULL, *folder = NULL, *top = NULL;
	_autofree_(response) struct response *response = NULL;
	bool to_stdout = strcmp(destination, "-") == 0;
	int ret = from.path && to.path ? 0 : err_oom(reterr);

	if (ret == 0 && !to_stdout)
		ret = check_output(to.path, reterr);
	if (ret == 0 && options->follow)
		ret = follow_source(invocation->client, container, &from, &name, reterr);
	if (ret == 0 && archive_path(container, from.path, &path) < 0)
		ret = err_oom(reterr);
	const struct request request = { .method = "GET", .path = path.data };
	if (ret == 0)
		ret = client_request(invocation->client, &request, &response, reterr);
	if (ret < 0)
		return ret;
	if (to_stdout)
		return response_copy(response, STDOUT_FILENO, reterr);
	if (read_stat(response, &from) < 0 || split_path(from.path, &folder, &top) < 0)
		return err_set(reterr, ERR_INTERNAL, EPROTO, "unable to decode container path stat header");
	if (stat_here(&to, true) == 0 && !to.is_folder)
		ret = follow_here(&to, reterr);
	if (ret == 0)
		ret = extract_to(response, &from, top, name, &to, reterr);
	return ret < 0 ? ret : say_copied(options, from.size, NULL, to.path);
}

static int cp_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_free_ char *from = NULL, *to = NULL;
	const char *source, *destination;

	if (!*invocation->args[0])
		return err_set(reterr, ERR_INVALID, 0, "source can not be empty");
	if (!*invocation->args[1])
		return err_set(reterr, ERR_INVALID, 0, "destination can not be empty");
	if (split_argument(invocation->args[0], &from, &source) < 0 ||
		split_argument(invocation->args[1], &to, &destination) < 0)
		return err_oom(reterr);
	if (from && to)
		return err_set(reterr, ERR_INVALID, 0, "copying between containers is not supported");
	if (!from && !to)
		return err_set(reterr, ERR_INVALID, 0, "must specify at least one container source");
	return from ? copy_out(invocation, from, source, destination, reterr)
		    : copy_in(invocation, source, to, destination, reterr);
}

const struct command cp_command = {
	.names = { "container cp", "cp" },
	.usage = "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|- | [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
	.summary = "Copy files between a container and this machine",
	.description =
		"The container may run or not. `-` as the source reads a tar archive from standard input and unpacks it in a "
		"folder of the container; as the destination it writes one to standard output. SRC_PATH/. is what is in a "
		"folder, without the folder.",
	.options = { { &table } },
	.options_size = sizeof(struct cp_options),
	.min_args = 2,
	.max_args = 2,
	.arguments = ARGUMENTS_CONTAINERS,
	.flags = COMMAND_ENGINE,
	.run = cp_run,
};
