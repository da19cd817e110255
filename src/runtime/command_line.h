/*
 * Options in the form of runc's parser (Go's urfave/cli): --name VALUE, --name=VALUE, -n VALUE, one or two dashes alike; they
 * end at the first argument. Values land in a struct by offset.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

enum flag_type {
	FLAG_BOOL,    /* bool; also --name=false */
	FLAG_STRING,  /* const char * */
	FLAG_LIST,    /* char **: heap, one element a use */
	FLAG_INT,     /* struct json_opt_int: digits, or a negative number */
	FLAG_BYTES,   /* struct json_opt_int: "64m", -1 */
	FLAG_IGNORED, /* takes a value, does nothing */
};

struct flag {
	const char *name;
	char letter;
	enum flag_type type;
	size_t offset;
	const char *word; /* of the value, in the help */
	const char *help;
};

#define FLAG(struct_, member, name_, letter_, type_, ...)                                                 \
 {                                                                                                        \
  .name = (name_), .letter = (letter_), .type = (type_), .offset = offsetof(struct_, member), __VA_ARGS__ \
 }

struct verb_line {
	const char *name;
	const char *arguments; /* "CONTAINER [signal]" */
	const char *summary;
	const struct flag *flags;
	size_t flag_count;
	int min_args;
	int max_args; /* -1: any, and what follows the first is not looked at: it is another command's */
};

/* Reads argv[1...]; argv[0] is the verb. *ret_first is the index of the first argument, or -1: --help was printed. */
int verb_line_parse(const struct verb_line *line, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr);

/* The same for options alone, stopping at the first argument. */
int flags_parse(const struct flag *flags, size_t count, int argc, char **argv, void *values, int *ret_first,
	struct err **reterr);
void flags_print(const struct flag *flags, size_t count);
