#include "cli/create_container.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "cli/client.h"
#include "cli/print.h"
#include "cli/pull.h"
#include "cli/values.h"
#include "codec/json.h"
#include "codec/query.h"

#define SOCKET_IN_CONTAINER "/var/run/docker.sock"

int create_fail(const struct invocation *invocation, const struct err *err, int code)
{
	print_error("tare: %s\n\nRun 'tare %s --help' for more information", err_message(err), invocation->name);
	return code;
}

static int check_pull(const char *pull, struct err **reterr)
{
	static const char *const values[] = { "always", "missing", "never", "" };
	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (strcmp(values[i], pull) == 0)
			return 0;
	}
	return err_set(reterr, ERR_INVALID, 0,
		"invalid pull option: '%s': must be one of \"always\", \"missing\" or \"never\"", pull);
}

int create_prepare(const struct invocation *invocation, struct container_streams *ret_streams, json_t **ret,
	struct err **reterr)
{
	const struct container_options *options = invocation->options;
	int r = check_pull(options->pull, reterr);
	if (r == 0)
		r = container_streams(options, ret_streams, reterr);
	return r < 0 ? r : container_config(options, invocation->args, ret_streams, ret, reterr);
}

/* The file must be new, and is gone again if there is no container in the end. */
struct cidfile {
	int fd;
	const char *path;
	bool written;
};

static void cidfile_finish(struct cidfile *file)
{
	if (file->fd >= 0 && !file->written)
		unlink(file->path);
	fd_close(&file->fd);
}

static int cidfile_open(struct cidfile *file, const char *path, struct err **reterr)
{
	if (!path || !*path)
		return 0;
	file->path = path;
	file->fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file->fd >= 0)
		return 0;
	if (errno == EEXIST)
		return err_set(reterr, ERR_CONFLICT, EEXIST,
			"container ID file found, make sure the other container isn't running or delete %s", path);
	return err_errno(reterr, -errno, "failed to create the container ID file");
}

static int cidfile_write(struct cidfile *file, const char *id, struct err **reterr)
{
	if (file->fd < 0)
		return 0;
	int ret = io_write_full(file->fd, id, strlen(id));
	if (ret < 0)
		return err_errno(reterr, ret, "failed to write the container ID to %s", file->path);
	file->written = true;
	return 0;
}

static int pull(const struct invocation *invocation, struct err **reterr)
{
	const struct container_options *options = invocation->options;
	_autoclose_ int quiet_fd = options->quiet ? open("/dev/null", O_WRONLY | O_CLOEXEC) : -1;
	return pull_image(invocation->client, invocation->args[0], options->platform,
		options->quiet ? quiet_fd : STDERR_FILENO, reterr);
}

static int send_create(const struct invocation *invocation, const json_t *body, json_t **ret, struct err **reterr)
{
	const struct container_options *options = invocation->options;
	_cleanup_(buf_finish) struct buf path = BUF_INIT(CLIENT_PATH_MAX);
	int r = buf_puts(&path, "/containers/create");
	if (r == 0 && options->name)
		r = query_append(&path, "name", options->name);
	if (r == 0 && options->platform)
		r = query_append(&path, "platform", options->platform);
	if (r < 0)
		return err_errno(reterr, r, "cannot make the request");
	return client_call(invocation->client, "POST", path.data, body, ret, reterr);
}

static bool is_missing_image(const struct err *err)
{
	return err && err->kind == ERR_NOT_FOUND && strstr(err->message, "No such image");
}

/* Without the image: pulls it and tries once more. An engine that can't pull leaves the first error standing. */
static int create_or_pull(const struct invocation *invocation, const json_t *body, json_t **ret, struct err **reterr)
{
	const struct container_options *options = invocation->options;
	struct err *err = NULL;
	int r = send_create(invocation, body, ret, &err);
	if (r == 0 || strcmp(options->pull, "missing") != 0 || !is_missing_image(err)) {
		*reterr = err;
		return r;
	}
	if (!options->quiet)
		print_error("Unable to find image '%s' locally", invocation->args[0]);
	struct err *pull_err = NULL;
	if (pull(invocation, &pull_err) < 0) {
		bool cannot = !pull_err || pull_err->kind == ERR_UNSUPPORTED;
		*reterr = cannot ? err : pull_err;
		err_free(cannot ? pull_err : err);
		return r;
	}
	err_free(err);
	return send_create(invocation, body, ret, reterr);
}

/* Gives the container the socket that we talk to. */
static int add_socket(const struct invocation *invocation, json_t *body, struct err **reterr)
{
	json_t *host = json_object_get(body, "HostConfig"), *mounts = json_object_get(host, "Mounts");
	if (!mounts) {
		mounts = json_array();
		if (json_object_set_new(host, "Mounts", mounts) < 0)
			return err_oom(reterr);
	}
	json_t *mount = json_pack("{s:s,s:s,s:s}", "Type", "bind", "Source",
		client_host(invocation->client) + strlen("unix://"), "Target", SOCKET_IN_CONTAINER);
	return json_array_append_new(mounts, mount) < 0 ? err_oom(reterr) : 0;
}

int create_container(const struct invocation *invocation, json_t *body, char **ret_id, struct err **reterr)
{
	const struct container_options *options = invocation->options;
	_cleanup_(cidfile_finish) struct cidfile file = { .fd = -1 };
	_autojson_ json_t *answer = NULL;
	int ret = cidfile_open(&file, options->cidfile, reterr);
	if (ret == 0 && options->use_api_socket)
		ret = add_socket(invocation, body, reterr);
	if (ret == 0 && strcmp(options->pull, "always") == 0)
		ret = pull(invocation, reterr);
	if (ret == 0)
		ret = create_or_pull(invocation, body, &answer, reterr);
	if (ret < 0)
		return ret;

	size_t i;
	const json_t *warning;
	json_array_foreach (value_at(answer, "Warnings"), i, warning)
		print_error("WARNING: %s", json_string_value(warning));
	*ret_id = strdup(value_string(answer, "Id"));
	if (!*ret_id)
		return err_oom(reterr);
	return cidfile_write(&file, *ret_id, reterr);
}
