#include "monitor/program.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/socket.h>

#include "base/log.h"
#include "monitor/monitor.h"

#define ENGINE_FD  3
#define EXIT_USAGE 2

static const char usage[] = "Usage: tare-monitor --data-root FOLDER --exec-root FOLDER --id ID [OPTION]...\n"
			    "\n"
			    "Runs one container and serves its clients. Started by tared.\n"
			    "\n"
			    "      --data-root FOLDER  images, containers, volumes\n"
			    "      --exec-root FOLDER  run state\n"
			    "      --id ID             the container's full ID\n"
			    "      --recover           an earlier monitor of this container has died\n"
			    "      --log-level LEVEL   debug, info, warn or error (default info)\n"
			    "      --version           print the version\n"
			    "      --help              print this\n";

enum option_code {
	OPTION_DATA_ROOT = 256,
	OPTION_EXEC_ROOT,
	OPTION_ID,
	OPTION_RECOVER,
	OPTION_LOG_LEVEL,
	OPTION_VERSION,
	OPTION_HELP
};

static const struct option long_options[] = {
	{ "data-root", required_argument, NULL, OPTION_DATA_ROOT },
	{ "exec-root", required_argument, NULL, OPTION_EXEC_ROOT },
	{ "id", required_argument, NULL, OPTION_ID },
	{ "recover", no_argument, NULL, OPTION_RECOVER },
	{ "log-level", required_argument, NULL, OPTION_LOG_LEVEL },
	{ "version", no_argument, NULL, OPTION_VERSION },
	{ "help", no_argument, NULL, OPTION_HELP },
	{ NULL, 0, NULL, 0 },
};

struct command_line {
	struct monitor_options monitor;
	enum log_level log_level;
	bool print_version, print_help;
};

static int take_option(struct command_line *line, int code)
{
	switch (code) {
	case OPTION_DATA_ROOT: line->monitor.data_root = optarg; return 0;
	case OPTION_EXEC_ROOT: line->monitor.exec_root = optarg; return 0;
	case OPTION_ID: line->monitor.id = optarg; return 0;
	case OPTION_RECOVER: line->monitor.recover = true; return 0;
	case OPTION_VERSION: line->print_version = true; return 0;
	case OPTION_HELP: line->print_help = true; return 0;
	case OPTION_LOG_LEVEL: return log_level_parse(optarg, &line->log_level);
	default: return -EINVAL; /* getopt has said so */
	}
}

static int parse_command_line(int argc, char **argv, struct command_line *ret)
{
	int code, r = 0;
	while (r == 0 && (code = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		r = take_option(ret, code);
	if (r < 0 || ret->print_version || ret->print_help)
		return r;
	const struct monitor_options *options = &ret->monitor;
	bool is_complete = options->data_root && options->data_root[0] == '/' && options->exec_root &&
			   options->exec_root[0] == '/' && options->id && *options->id && !strchr(options->id, '/') &&
			   options->id[0] != '.' && optind == argc;
	return is_complete ? 0 : -EINVAL;
}

/* Whoever spawned us may have put a connection to the engine there. */
static int find_engine(void)
{
	int type = 0;
	socklen_t len = sizeof type;
	if (getsockopt(ENGINE_FD, SOL_SOCKET, SO_TYPE, &type, &len) < 0 || type != SOCK_SEQPACKET)
		return -1;
	return fcntl(ENGINE_FD, F_SETFD, FD_CLOEXEC) < 0 ? -1 : ENGINE_FD;
}

/* Memory that was needed for a moment goes back to the system: there is one of us for each container. */
static void keep_small(void)
{
	mallopt(M_MMAP_THRESHOLD, 32 * 1024);
	mallopt(M_TRIM_THRESHOLD, 32 * 1024);
	mallopt(M_TOP_PAD, 0);
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MXFAST, 0);
}

static int run(struct command_line *line)
{
	_autofree_(monitor) struct monitor *monitor = NULL;
	_autofree_(err) struct err *err = NULL;
	const char *program_dir = getenv("TARE_LIBEXEC");

	line->monitor.program_dir = program_dir ? program_dir : TARE_PROGRAM_DIR;
	line->monitor.engine_fd = find_engine();
	if (monitor_new(&line->monitor, &monitor, &err) < 0) {
		log_error("%s", err_message(err));
		return EXIT_FAILURE;
	}
	int status = monitor_run(monitor);
	return status < 0 ? EXIT_FAILURE : status;
}

int program_main(int argc, char **argv)
{
	struct command_line line = { .log_level = LOG_LEVEL_INFO };
	if (parse_command_line(argc, argv, &line) < 0) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	if (line.print_help || line.print_version)
		return (line.print_help ? fputs(usage, stdout) : puts("tare-monitor " TARE_VERSION)) < 0 ? EXIT_FAILURE
													 : 0;
	log_setup("tare-monitor", line.log_level);
	keep_small();
	_autoclose_ int view = -1;
	int ret = container_process_prepare(ENGINE_FD + 1, argv, &view);
	if (ret < 0) {
		log_error("cannot protect the monitor's program: %s", strerrordesc_np(-ret));
		return EXIT_FAILURE;
	}
	return run(&line);
}
