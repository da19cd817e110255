/* tared's command line and environment. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/log.h"

struct options {
	char *data_root; /* absolute */
	char *exec_root; /* absolute */
	char *libexec;   /* absolute: where the other programs are */
	char *group;     /* name or number, of the sockets */
	char *pidfile;   /* absolute or NULL */
	char **hosts;    /* as given to -H; empty: the default */
	char **engine;   /* options that are the engine's: passed on as they stand */
	char *log_name;
	enum log_level log_level;
	bool version;
	bool help;
	bool cleanup; /* networks, for good */
	bool man;     /* not for people: the manual page is made of it */
};

int options_parse(int argc, char **argv, struct options *ret, struct err **reterr);
void options_finish(struct options *options);

/* Prints the help to stdout. */
void options_help(void);
/* The manual page, for the build. */
void options_man(void);
