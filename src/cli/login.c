/* login and logout: the engine asks the registry, what is kept is the client's (credentials.h). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <sys/signalfd.h>

#include "base/cleanup.h"
#include "base/io.h"
#include "cli/client.h"
#include "cli/credentials.h"
#include "cli/verbs.h"
#include "codec/json.h"
#include "codec/reference.h"

#define SECRET_BYTES_MAX (64 * 1024)

struct login_options {
	const char *username;
	const char *password;
	bool password_stdin;
};

#define OPTION(...) OPTION_IN(struct login_options, __VA_ARGS__)
static const struct option_spec specs[] = {
	OPTION("password", 'p', OPTION_STRING, password,
		"Password or access token; others see it in the list of processes"),
	OPTION("password-stdin", 0, OPTION_BOOL, password_stdin, "Read the password from standard input"),
	OPTION("username", 'u', OPTION_STRING, username, "Name of the user"),
};
static const struct option_table table = OPTION_TABLE(specs);

/* Under which its credentials are kept. */
static char *server_of(const struct invocation *invocation)
{
	_cleanup_free_ char *registry = reference_registry(invocation->args[0]);

	return registry ? strdup(credentials_server(registry)) : NULL;
}

/* ---- asking the user */

/* One line; -EINTR if Ctrl-C was typed, which waits for whoever lets it through. */
static int read_line(const sigset_t *interrupt, char **ret)
{
	_autoclose_ int signal_fd = signalfd(-1, interrupt, SFD_CLOEXEC);
	struct pollfd wanted[] = { { signal_fd, POLLIN, 0 }, { STDIN_FILENO, POLLIN, 0 } };
	char *line = NULL;
	size_t size = 0;

	if (signal_fd < 0 || poll(wanted, ARRAY_SIZE(wanted), -1) < 0)
		return -errno;
	if (wanted[0].revents)
		return -EINTR;
	if (getline(&line, &size, stdin) < 0) {
		free(line);
		return -ENODATA;
	}
	line[strcspn(line, "\r\n")] = '\0';
	*ret = line;
	return 0;
}

/* The terminal is put back before Ctrl-C has its usual end. */
static int ask(const char *prompt, bool secret, char **ret, struct err **reterr)
{
	struct termios shown, hidden;
	bool hide = secret && tcgetattr(STDIN_FILENO, &shown) == 0;
	sigset_t interrupt, before;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	sigprocmask(SIG_BLOCK, &interrupt, &before);
	if (hide) {
		hidden = shown;
		hidden.c_lflag &= ~(tcflag_t)ECHO;
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
	}
	printf("%s: ", prompt); /* last: whoever answers at once is not shown or flushed away */
	fflush(stdout);
	int r = read_line(&interrupt, ret);
	if (hide) {
		tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
		putchar('\n');
	}
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r < 0 ? err_set(reterr, ERR_INVALID, EINVAL, "%s: nothing was given", prompt) : 0;
}

static int password_from_stdin(char **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECRET_BYTES_MAX);
	int r = io_read_all(STDIN_FILENO, &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot read the password from standard input");
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.data[--text.len] = '\0';
	*ret = strdup(text.data ?: "");
	if (text.data)
		explicit_bzero(text.data, text.len);
	return *ret ? 0 : err_oom(reterr);
}

static int check_options(const struct login_options *options, struct err **reterr)
{
	if (options->password && options->password_stdin)
		return err_set(reterr, ERR_INVALID, EINVAL, "--password and --password-stdin are mutually exclusive");
	if (options->password_stdin && (!options->username || !*options->username))
		return err_set(reterr, ERR_INVALID, EINVAL, "Must provide --username with --password-stdin");
	if (options->password)
		fprintf(stderr, "WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
	return 0;
}

static int ask_for(const struct login_options *options, const char *server, struct credentials *ret,
	struct err **reterr)
{
	int r = 0;

	if (!(options->password || options->password_stdin) && !isatty(STDIN_FILENO))
		return err_set(reterr, ERR_INVALID, EINVAL,
			"Cannot perform an interactive login from a non TTY device (use --username and --password-stdin)");
	if (options->username && *options->username) {
		ret->username = strdup(options->username);
		r = ret->username ? 0 : err_oom(reterr);
	} else {
		printf("Log in to %s\n", server);
		r = ask("Username", false, &ret->username, reterr);
	}
	if (r < 0)
		return r;
	if (options->password_stdin)
		return password_from_stdin(&ret->password, reterr);
	if (!options->password)
		return ask("Password", true, &ret->password, reterr);
	ret->password = strdup(options->password);
	return ret->password ? 0 : err_oom(reterr);
}

/* ---- */

static int try(struct client *client, const char *server, struct credentials *credentials, char **ret_status,
	struct err **reterr)
{
	_autojson_ json_t *answer = NULL, *body = json_pack("{s:s, s:s*, s:s*, s:s}", "username", credentials->username,
						  "password", credentials->password, "identitytoken",
						  credentials->identity_token, "serveraddress", server);

	if (!body)
		return err_oom(reterr);
	int r = client_call(client, "POST", "/auth", body, &answer, reterr);
	if (r < 0)
		return r;
	const char *token = json_string_value(json_object_get(answer, "IdentityToken"));
	if (token && *token) {
		free(credentials->identity_token);
		credentials->identity_token = strdup(token);
	}
	*ret_status = strdup(json_string_value(json_object_get(answer, "Status")) ?: "Login Succeeded");
	return *ret_status ? 0 : err_oom(reterr);
}

static int keep(const char *server, const struct credentials *credentials, struct err **reterr)
{
	_cleanup_free_ char *plain = NULL;
	int r = credentials_store(server, credentials, &plain, reterr);

	if (plain)
		fprintf(stderr,
			"WARNING! Your credentials are stored unencrypted in '%s'.\n"
			"Configure a credential helper to remove this warning.\n",
			plain);
	return r < 0 ? err_wrap(reterr, r, "cannot keep the credentials") : 0;
}

/* What is known already is tried first; false if there is nothing, or it is no longer good. */
static bool try_known(const struct invocation *invocation, const char *server, char **ret_status)
{
	const struct login_options *options = invocation->options;
	_cleanup_(credentials_finish) struct credentials known = { NULL };
	_autofree_(err) struct err *err = NULL;

	if (options->username || options->password || options->password_stdin)
		return false;
	if (credentials_get(server, &known, &err) == 0 && known.username) {
		printf("Authenticating with existing credentials...\n");
		fflush(stdout);
		if (try(invocation->client, server, &known, ret_status, &err) == 0)
			return true;
	}
	if (err)
		fprintf(stderr, "%s\n", err_message(err));
	return false;
}

static int login_run(const struct invocation *invocation, struct err **reterr)
{
	const struct login_options *options = invocation->options;
	_cleanup_(credentials_finish) struct credentials credentials = { NULL };
	_cleanup_free_ char *server = server_of(invocation), *status = NULL;
	int r = server ? check_options(options, reterr) : err_oom(reterr);

	if (r < 0)
		return r;
	if (!try_known(invocation, server, &status)) {
		r = ask_for(options, server, &credentials, reterr);
		if (r == 0)
			r = try(invocation->client, server, &credentials, &status, reterr);
		if (r == 0)
			r = keep(server, &credentials, reterr);
	}
	if (r < 0)
		return r;
	printf("%s\n", status);
	return 0;
}

const struct command login_command = {
	.names = { "login" },
	.usage = "[OPTIONS] [SERVER]",
	.summary = "Log in to a registry",
	.description =
		"Asks the registry whether it takes the name and password, and keeps them for pulls. Without SERVER it is Docker "
		"Hub. They are kept where Docker's command keeps them: with the credential helper that config.json names in "
		"credHelpers or credsStore, else unencrypted in that file, in $DOCKER_CONFIG or ~/.docker.",
	.max_args = 1,
	.options = { { &table } },
	.options_size = sizeof(struct login_options),
	.flags = COMMAND_ENGINE,
	.run = login_run,
};

static int logout_run(const struct invocation *invocation, struct err **reterr)
{
	_cleanup_free_ char *server = server_of(invocation);
	bool known;

	if (!server)
		return err_oom(reterr);
	int r = credentials_erase(server, &known, reterr);
	if (r < 0)
		return r;
	printf(known ? "Removing login credentials for %s\n" : "Not logged in to %s\n", server);
	return 0;
}

const struct command logout_command = {
	.names = { "logout" },
	.usage = "[SERVER]",
	.summary = "Forget the name and password for a registry",
	.max_args = 1,
	.run = logout_run,
};
