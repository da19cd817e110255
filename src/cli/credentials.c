#include "cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/io.h"
#include "base/parse.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "codec/reference.h"

#define CONFIG_FILE       "config.json"
#define CONFIG_BYTES_MAX  (16 * 1024 * 1024)
#define ANSWER_BYTES_MAX  (1024 * 1024)
#define HELPER_PREFIX     "docker-credential-"
#define TOKEN_USER        "<token>" /* a helper's word for: the secret is an identity token */
#define NOT_FOUND_MESSAGE "credentials not found in native keychain"

extern char **environ;

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

void credentials_finish(struct credentials *credentials)
{
	free(credentials->username);
	wipe(credentials->password);
	wipe(credentials->identity_token);
	*credentials = (struct credentials){ NULL };
}

/* ---- the file */

static int folder_path(char **ret, struct err **reterr)
{
	const char *config = getenv("DOCKER_CONFIG"), *home = getenv("HOME");
	int n = config && *config ? asprintf(ret, "%s", config)
				  : asprintf(ret, "%s/.docker", home && *home ? home : "/root");

	if (n < 0) {
		*ret = NULL;
		return err_oom(reterr);
	}
	return 0;
}

/* Where the file is, behind a link if it is one. */
static int config_path(char **ret, struct err **reterr)
{
	_cleanup_free_ char *folder = NULL, *path = NULL;
	int r = folder_path(&folder, reterr);

	if (r < 0)
		return r;
	if (asprintf(&path, "%s/" CONFIG_FILE, folder) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	*ret = realpath(path, NULL);
	if (!*ret && errno == ENOENT)
		*ret = TAKE(path);
	return *ret ? 0 : err_errno(reterr, -errno, "cannot find %s", path);
}

static int config_read(const char *path, json_t **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(CONFIG_BYTES_MAX);
	_autofree_(err) struct err *err = NULL;
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? -errno : io_read_all(fd, &text);

	if (r == -ENOENT || (r >= 0 && text.len == 0)) {
		*ret = json_object();
		return *ret ? 0 : err_oom(reterr);
	}
	if (r < 0)
		return err_errno(reterr, r, "cannot read %s", path);
	r = json_load(text.data, text.len, ret, &err);
	explicit_bzero(text.data, text.len);
	if (r < 0)
		return err_set(reterr, ERR_INVALID, -r, "%s: %s", path, err_message(err));
	if (json_is_object(*ret))
		return 0;
	json_decref(TAKE(*ret));
	return err_set(reterr, ERR_INVALID, EINVAL, "%s: expected an object", path);
}

static int config_write(const char *path, const json_t *config, struct err **reterr)
{
	char *slash = strrchr(path, '/'), *text = json_dumps(config, JSON_INDENT(8));
	_cleanup_free_ char *folder = strndup(path, (size_t)(slash - path));
	_autoclose_ int fd = -1;
	int r = -ENOMEM;

	if (text && folder) {
		(void)mkdir(folder, 0700);
		fd = open(*folder ? folder : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = fd < 0 ? -errno : io_replace_file(fd, slash + 1, text, strlen(text), false);
	}
	wipe(text);
	return r < 0 ? err_errno(reterr, r, "cannot write %s", path) : 0;
}

static bool is_same_registry(const char *a, const char *b)
{
	_cleanup_free_ char *a_name = reference_registry(a), *b_name = reference_registry(b);

	return a_name && b_name && strcmp(a_name, b_name) == 0;
}

/* The name that the file has for `server`: that itself, or an older one of the same registry. */
static const char *key_of(const json_t *auths, const char *server)
{
	const char *key;
	json_t *value;

	if (json_object_get(auths, server))
		return server;
	json_object_foreach ((json_t *)auths, key, value)
		if (is_same_registry(key, server))
			return key;
	return NULL;
}

static int decode_auth(const char *text, struct credentials *ret)
{
	_cleanup_free_ char *pair = NULL;
	size_t len;
	int r = base64_decode(text, strlen(text), &pair, &len);
	char *colon = r < 0 ? NULL : strchr(pair, ':');

	if (r == 0 && colon) {
		ret->username = strndup(pair, (size_t)(colon - pair));
		ret->password = strdup(colon + 1);
	}
	if (r == 0)
		explicit_bzero(pair, len);
	return r < 0 ? r : !colon ? -EINVAL : ret->username && ret->password ? 0 : -ENOMEM;
}

static int read_entry(const json_t *entry, const char *path, const char *key, struct credentials *ret,
	struct err **reterr)
{
	const char *auth = json_string_value(json_object_get(entry, "auth"));
	const char *token = json_string_value(json_object_get(entry, "identitytoken"));
	int r = auth && *auth ? decode_auth(auth, ret) : 0;

	if (r == -EINVAL)
		return err_set(reterr, ERR_INVALID, EINVAL, "%s: the auth of %s is no base64 of user:password", path,
			key);
	if (r == 0 && token && *token) {
		ret->identity_token = strdup(token);
		if (!ret->username)
			ret->username = strdup("");
		r = ret->identity_token && ret->username ? 0 : -ENOMEM;
	}
	return r < 0 ? err_oom(reterr) : 0;
}

static json_t *entry_of(const struct credentials *credentials)
{
	_cleanup_(buf_finish) struct buf encoded = BUF_INIT(ANSWER_BYTES_MAX);
	_cleanup_free_ char *pair = NULL;
	json_t *entry = NULL;

	if (asprintf(&pair, "%s:%s", credentials->username, credentials->password ?: "") < 0) {
		pair = NULL;
		return NULL;
	}
	if (base64_encode(&encoded, pair, strlen(pair), false) == 0)
		entry = json_pack("{s:s}", "auth", encoded.data);
	if (entry && credentials->identity_token)
		json_object_set_new(entry, "identitytoken", json_string(credentials->identity_token));
	explicit_bzero(pair, strlen(pair));
	return entry;
}

/* ---- helpers */

/* The one that keeps those of `server`; NULL: the file does. Borrowed from `config`. */
static const char *helper_of(const json_t *config, const char *server)
{
	const json_t *helpers = json_object_get(config, "credHelpers");
	const char *key = key_of(helpers, server);
	const char *name = json_string_value(key ? json_object_get(helpers, key)
						 : json_object_get(config, "credsStore"));

	return name && *name ? name : NULL;
}

static int spawn_helper(const char *program, const char *verb, const int stdio[2], pid_t *ret)
{
	char *const argv[] = { (char *)program, (char *)verb, NULL };
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawn_file_actions_adddup2(&actions, stdio[0], 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, stdio[1], 1);
	if (r == 0)
		r = posix_spawnp(ret, program, &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* Files in memory and no pipes: nobody waits for the other's half. */
static int run_helper(const char *program, const char *verb, const char *input, struct buf *answer, int *ret_status)
{
	_autoclose_ int in_fd = memfd_create("input", MFD_CLOEXEC), out_fd = memfd_create("answer", MFD_CLOEXEC);
	pid_t pid;
	int r = in_fd < 0 || out_fd < 0 ? -errno : io_write_full(in_fd, input, strlen(input));

	if (r == 0 && lseek(in_fd, 0, SEEK_SET) < 0)
		r = -errno;
	if (r == 0)
		r = spawn_helper(program, verb, (int[]){ in_fd, out_fd }, &pid);
	if (r < 0)
		return r;
	while (waitpid(pid, ret_status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return lseek(out_fd, 0, SEEK_SET) < 0 ? -errno : io_read_all(out_fd, answer);
}

/* Returns 1, or 0 if it has nothing for that server. */
static int ask_helper(const char *name, const char *verb, const char *input, struct buf *answer, struct err **reterr)
{
	char program[NAME_MAX];
	int status = 0, r;

	if (strchr(name, '/') || snprintf(program, sizeof(program), HELPER_PREFIX "%s", name) >= (int)sizeof(program))
		return err_set(reterr, ERR_INVALID, EINVAL, "\"%s\" is no name of a credential helper", name);
	r = run_helper(program, verb, input, answer, &status);
	if (r < 0)
		return err_errno(reterr, r, "cannot run the credential helper %s", program);
	while (answer->len > 0 && answer->data[answer->len - 1] == '\n')
		answer->data[--answer->len] = '\0';
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 1;
	if (strcmp(answer->data ?: "", NOT_FOUND_MESSAGE) == 0)
		return 0;
	return err_set(reterr, ERR_INTERNAL, EIO, "the credential helper %s failed to %s: %s", program, verb,
		answer->len ? answer->data : "it did not say why");
}

static int get_from_helper(const char *name, const char *server, struct credentials *ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf answer = BUF_INIT(ANSWER_BYTES_MAX);
	_autojson_ json_t *document = NULL;
	int r = ask_helper(name, "get", server, &answer, reterr);

	if (r <= 0)
		return r;
	r = json_load(answer.data ?: "", answer.len, &document, NULL);
	const char *username = json_string_value(json_object_get(document, "Username"));
	const char *secret = json_string_value(json_object_get(document, "Secret"));
	if (r < 0 || !username || !secret)
		return err_set(reterr, ERR_INVALID, EINVAL,
			"the credential helper %s gave an answer that can't be read", name);
	bool token = strcmp(username, TOKEN_USER) == 0;
	ret->username = strdup(token ? "" : username);
	*(token ? &ret->identity_token : &ret->password) = strdup(secret);
	explicit_bzero(answer.data, answer.len);
	return ret->username && (ret->password || ret->identity_token) ? 0 : err_oom(reterr);
}

static int give_to_helper(const char *name, const char *server, const struct credentials *credentials,
	struct err **reterr)
{
	_cleanup_(buf_finish) struct buf answer = BUF_INIT(ANSWER_BYTES_MAX);
	const char *token = credentials->identity_token;
	_autojson_ json_t *document = json_pack("{s:s, s:s, s:s}", "ServerURL", server, "Username",
		token ? TOKEN_USER : credentials->username, "Secret", token ?: credentials->password ?: "");
	char *input = document ? json_dumps(document, JSON_COMPACT) : NULL;

	if (!input)
		return err_oom(reterr);
	int r = ask_helper(name, "store", input, &answer, reterr);
	wipe(input);
	return r < 0 ? r : 0;
}

/* ---- all of it */

const char *credentials_server(const char *registry)
{
	return strcmp(registry, REFERENCE_HUB) == 0 ? "https://index.docker.io/v1/" : registry;
}

static int config_open(char **ret_path, json_t **ret, struct err **reterr)
{
	int r = config_path(ret_path, reterr);

	return r < 0 ? r : config_read(*ret_path, ret, reterr);
}

int credentials_get(const char *server, struct credentials *ret, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	_autojson_ json_t *config = NULL;
	int r = config_open(&path, &config, reterr);

	*ret = (struct credentials){ NULL };
	if (r < 0)
		return r;
	const char *helper = helper_of(config, server);
	const json_t *auths = json_object_get(config, "auths");
	const char *key = key_of(auths, server);
	if (helper)
		r = get_from_helper(helper, server, ret, reterr);
	else if (key)
		r = read_entry(json_object_get(auths, key), path, key, ret, reterr);
	if (r < 0)
		credentials_finish(ret);
	return r;
}

/* With a helper the file only notes that there is something: other clients look there. */
int credentials_store(const char *server, const struct credentials *credentials, char **ret_plain, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	_autojson_ json_t *config = NULL;
	int r = config_open(&path, &config, reterr);

	*ret_plain = NULL;
	if (r < 0)
		return r;
	const char *helper = helper_of(config, server);
	if (helper)
		r = give_to_helper(helper, server, credentials, reterr);
	if (r < 0)
		return r;
	json_t *auths = json_object_get(config, "auths");
	if (!json_is_object(auths)) {
		auths = json_object();
		json_object_set_new(config, "auths", auths);
	}
	if (json_object_set_new(auths, server, helper ? json_object() : entry_of(credentials)) < 0)
		return err_oom(reterr);
	r = config_write(path, config, reterr);
	if (r == 0 && !helper)
		*ret_plain = TAKE(path);
	return r;
}

int credentials_erase(const char *server, bool *ret_known, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf answer = BUF_INIT(ANSWER_BYTES_MAX);
	_cleanup_free_ char *path = NULL;
	_autojson_ json_t *config = NULL;
	int r = config_open(&path, &config, reterr);

	*ret_known = false;
	if (r < 0)
		return r;
	json_t *auths = json_object_get(config, "auths");
	const char *helper = helper_of(config, server), *key = key_of(auths, server);
	if (helper) {
		r = ask_helper(helper, "erase", server, &answer, reterr);
		*ret_known = r > 0;
	}
	if (r < 0 || !key)
		return r < 0 ? r : 0;
	*ret_known = true;
	json_object_del(auths, key);
	return config_write(path, config, reterr);
}

int credentials_header(const char *registry, struct buf *out, struct err **reterr)
{
	const char *server = credentials_server(registry);
	_cleanup_(credentials_finish) struct credentials known = { NULL };
	int r = credentials_get(server, &known, reterr);

	if (r < 0 || !known.username)
		return r;
	_autojson_ json_t *document = json_pack("{s:s, s:s*, s:s*, s:s}", "username", known.username, "password",
		known.password, "identitytoken", known.identity_token, "serveraddress", server);
	char *text = document ? json_dumps(document, JSON_COMPACT) : NULL;
	r = text ? base64_encode(out, text, strlen(text), true) : -ENOMEM;
	wipe(text);
	return r < 0 ? err_oom(reterr) : 0;
}

int credentials_of_image(const char *image, struct buf *out, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	const char *problem = NULL;
	int ret = reference_parse(image, &reference, &problem);

	if (ret < 0)
		return err_set(reterr, ERR_INVALID, -ret, "%s", problem ? problem : "out of memory");
	reference.repository[strcspn(reference.repository, "/")] = '\0';
	return credentials_header(reference.repository, out, reterr);
}
