/*
 * Started by tared alone, which gives descriptor 3, its own channel, and the listening sockets from 4 on. Clients may queue
 * in those sockets already: the engine takes them once its state is read. A signal to end leaves every container, monitor
 * and worker as it is; the end of the channel to tared has the same meaning and is seen to by engine/.
 */
#include "api/serve.h"

#include <getopt.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/prctl.h>
#include <sys/socket.h>

#include "api/server.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/engine.h"
#include "spec/engine_flags.h"

#define HOLDER_FD          3
#define FIRST_LISTENING_FD 4
#define EXIT_USAGE         64

enum { FLAG_FIRST = 256 }; /* and on: engine_flags */

static const struct option own_options[] = {
	{ "data-root", required_argument, NULL, 'd' },
	{ "exec-root", required_argument, NULL, 'e' },
	{ "cgroup-parent", required_argument, NULL, 'c' },
	{ "config-file", required_argument, NULL, 'f' },
	{ "log-level", required_argument, NULL, 'l' },
	{ "version", no_argument, NULL, 'v' },
};

static void add_flags(struct option *table)
{
	for (int i = 0; engine_flags[i].name; i++)
		table[i] = (struct option){ engine_flags[i].name,
			engine_flags[i].value ? required_argument : optional_argument, NULL, FLAG_FIRST + i };
}

/* base=SUBNET,size=BITS; NULL */
static json_t *pool_of(const char *text)
{
	_autofree_(strv) char **words = strv_split(text, ',');
	const char *base = NULL;
	uint64_t size = 0;
	strv_foreach (word, words) {
		if (strncmp(*word, "base=", 5) == 0)
			base = *word + 5;
		else if (strncmp(*word, "size=", 5) != 0 || parse_u64(*word + 5, 128, &size) < 0)
			return NULL;
	}
	return base ? json_pack("{s:s, s:I}", "base", base, "size", (json_int_t)size) : NULL;
}

/* WORD=KEY=VALUE; NULL */
static json_t *nested_of(const char *text)
{
	const char *key = strchr(text, '='), *value = key ? strchr(key + 1, '=') : NULL;
	if (!value || key == text || value == key + 1)
		return NULL;
	_cleanup_free_ char *word = strndup(text, (size_t)(key - text));
	_cleanup_free_ char *name = strndup(key + 1, (size_t)(value - key - 1));
	return word && name ? json_pack("{s:{s:s}}", word, name, value + 1) : NULL;
}

static json_t *value_of(const struct engine_flag *flag, const char *text)
{
	uint64_t number;
	bool truth = true;
	switch (flag->kind) {
	case ENGINE_FLAG_NUMBER:
		return parse_u64(text, INT32_MAX, &number) < 0 ? NULL : json_integer((json_int_t)number);
	case ENGINE_FLAG_TRUTH: return text && parse_bool(text, &truth) < 0 ? NULL : json_boolean(truth);
	case ENGINE_FLAG_POOL: return pool_of(text);
	case ENGINE_FLAG_NESTED: return nested_of(text);
	case ENGINE_FLAG_TEXT:
	case ENGINE_FLAG_LIST: return json_string(text);
	default: return NULL;
	}
}

/* Takes `value`, of which each object is brought in. */
static int add_nested(json_t *settings, const char *key, json_t *value)
{
	_autojson_ json_t *owned = value;
	json_t *all = json_object_get(settings, key);
	return (all ? json_object_update_recursive(all, owned) : json_object_set(settings, key, owned)) < 0
		       ? EXIT_FAILURE
		       : 0;
}

static int take_flag(struct engine_options *options, const struct engine_flag *flag, const char *text)
{
	json_t *value = value_of(flag, text);
	if (!value) {
		fprintf(stderr, "tare-engine: --%s: \"%s\" is not understood\n", flag->name, text ? text : "");
		return ENGINE_EXIT_CANNOT_START;
	}
	if (!options->settings)
		options->settings = json_object();
	if (flag->kind == ENGINE_FLAG_NESTED)
		return add_nested(options->settings, flag->key, value);
	if (flag->kind != ENGINE_FLAG_LIST && flag->kind != ENGINE_FLAG_POOL)
		return json_object_set_new(options->settings, flag->key, value) < 0 ? EXIT_FAILURE : 0;
	json_t *list = json_object_get(options->settings, flag->key);
	if (!list && (list = json_array()))
		json_object_set_new(options->settings, flag->key, list);
	return json_array_append_new(list, value) < 0 ? EXIT_FAILURE : 0;
}

static int read_options(int argc, char **argv, struct engine_options *options)
{
	struct option table[ARRAY_SIZE(own_options) + ENGINE_FLAGS_MAX] = { 0 };
	enum log_level level = LOG_LEVEL_INFO;
	int c, r;
	memcpy(table, own_options, sizeof(own_options));
	add_flags(table + ARRAY_SIZE(own_options));
	while ((c = getopt_long(argc, argv, "", table, NULL)) != -1) {
		switch (c) {
		case 'd': options->data_root = optarg; break;
		case 'e': options->exec_root = optarg; break;
		case 'c': options->cgroup_parent = optarg; break;
		case 'f': options->config_file = optarg; break;
		case 'l':
			if (log_level_parse(optarg, &level) == 0)
				break;
			fprintf(stderr, "tare-engine: --log-level: \"%s\" is none of debug, info, warn, error\n",
				optarg);
			return EXIT_USAGE;
		case 'v': puts("tare-engine " TARE_VERSION); return -1;
		default:
			r = c < FLAG_FIRST ? EXIT_USAGE : take_flag(options, &engine_flags[c - FLAG_FIRST], optarg);
			if (r)
				return r;
		}
	}
	log_setup("tare-engine", level);
	if (options->data_root && options->exec_root && optind == argc)
		return 0;
	fprintf(stderr, "tare-engine is started by tared, with --data-root and --exec-root\n");
	return EXIT_USAGE;
}

static bool is_listening(int fd)
{
	int value = 0;
	socklen_t len = sizeof value;
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 && value;
}

static void on_signal(struct loop_source *source, int signo, void *data)
{
	(void)source;
	(void)signo;
	loop_quit(data, 0);
}

static int serve(struct loop *loop, const struct engine_options *options, struct err **reterr)
{
	_autofree_(engine) struct engine *engine = NULL;
	_autofree_(server) struct server *server = NULL;
	_autofree_(loop_source) struct loop_source *terminate = NULL, *interrupt = NULL;
	int r = loop_add_signal(loop, SIGTERM, on_signal, loop, &terminate);
	r = r ?: loop_add_signal(loop, SIGINT, on_signal, loop, &interrupt);
	if (r < 0)
		return err_errno(reterr, r, "cannot watch signals");

	r = engine_new(loop, options, &engine, reterr);
	r = r ?: server_new(loop, engine, &server, reterr);
	for (int fd = FIRST_LISTENING_FD; r == 0 && is_listening(fd); fd++)
		r = server_listen(server, fd, reterr);
	if (r == 0)
		log_info("serving API 1.24 to 1.50");
	return r ?: loop_run(loop);
}

static void options_finish(struct engine_options *options)
{
	json_decref(options->settings);
}

int serve_main(int argc, char **argv)
{
	_cleanup_(options_finish) struct engine_options options = { .holder_fd = HOLDER_FD };
	_autofree_(err) struct err *err = NULL;
	int code = read_options(argc, argv, &options);
	if (code)
		return code < 0 ? 0 : code;

	/* Nothing of the engine is for a container's processes to look into, nor for a core file. */
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	/* A request's memory is many small pieces and a buffer: none to be merged for the buffer's sake, no page fetched each time. */
	mallopt(M_MXFAST, 0);
	mallopt(M_TRIM_THRESHOLD, 512 * 1024);
	_autofree_(loop) struct loop *loop = NULL;
	int r = loop_new(&loop);
	r = r < 0 ? err_errno(&err, r, "cannot make an event loop") : serve(loop, &options, &err);
	if (r >= 0)
		return r;
	log_error("%s", err_message(err));
	return err && (err->kind == ERR_CONFLICT || err->kind == ERR_INVALID) ? ENGINE_EXIT_CANNOT_START : 1;
}
