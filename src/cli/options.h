/*
 * Option tables: one table says what a verb accepts, and drives parsing, --help, completion and the manual page.
 *
 * Values land in the verb's own struct by offset; strings are borrowed from the command line. The form is that of GNU
 * and of Docker: --name VALUE, --name=VALUE, -n VALUE, -nVALUE, -n=VALUE, -abc; a boolean takes a value only after "=";
 * "--" ends the options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

enum option_type {
	OPTION_BOOL,     /* bool */
	OPTION_OPT_BOOL, /* struct option_bool */
	OPTION_STRING,   /* const char *: NULL unless given */
	OPTION_LIST,     /* char **: one element per use */
	OPTION_STRINGS,  /* char **: the same, and commas separate */
	OPTION_INT,      /* int64_t */
	OPTION_OPT_INT,  /* struct option_int */
	OPTION_UINT16,   /* int64_t */
	OPTION_UINT,     /* int64_t */
	OPTION_BYTES,    /* int64_t: "64m"; "-1" is allowed */
	OPTION_BITS,     /* struct option_int: "10m" of bits, in units of a thousand */
	OPTION_DECIMAL,  /* int64_t: thousand-millionths of the number */
	OPTION_DURATION, /* int64_t: nanoseconds of "1m30s" */
};

struct option_bool {
	bool set;
	bool value;
};

struct option_int {
	bool set;
	int64_t value;
};

struct option_spec {
	const char *name;
	const char *help;
	size_t offset;
	enum option_type type;
	char letter;
	bool hidden;          /* accepted, but not shown */
	const char *word;     /* what the value is called; NULL: as the type */
	const char *fallback; /* the default, as text; NULL: zero */
};

struct option_table {
	const struct option_spec *specs;
	size_t count;
};

#define OPTION_TABLE(array)                      \
 {                                               \
  .specs = (array), .count = ARRAY_SIZE((array)) \
 }

/* One entry of a table whose values go into `struct_`; what follows are designated initialisers. */
#define OPTION_IN(struct_, name_, letter_, type_, member_, help_, ...)                                          \
 {                                                                                                              \
  .name = (name_), .letter = (letter_), .type = (type_), .offset = offsetof(struct_, member_), .help = (help_), \
  __VA_ARGS__                                                                                                   \
 }

/* A verb may have two: its own, and one shared with others. Either may be NULL. */
#define OPTION_TABLES 2
struct option_tables {
	const struct option_table *table[OPTION_TABLES];
};

struct option_arguments {
	char **args; /* NULL-terminated; the strings are borrowed from argv */
	size_t count;
	bool help; /* --help was given; nothing after it is read */
};

/* Sets defaults in the zeroed struct `values`. */
void options_defaults(const struct option_tables *tables, void *values);

/*
 * Reads argv[0..argc). With `options_first` the first argument ends the options: the rest belongs to a command to be
 * run. On failure `values` and `ret` still want options_finish.
 */
int options_parse(const struct option_tables *tables, bool options_first, int argc, char **argv, void *values,
	struct option_arguments *ret, struct err **reterr);

/* Frees lists and arguments. */
void options_finish(const struct option_tables *tables, void *values, struct option_arguments *arguments);

/* The next option in alphabetical order after `previous` (NULL: the first), hidden ones left out; NULL at the end. */
const struct option_spec *options_next(const struct option_tables *tables, const struct option_spec *previous);
const struct option_spec *options_find(const struct option_tables *tables, const char *name);

/* What the value is called: "string", "list"; "" for a boolean. And whether the option takes a value at all. */
const char *option_word(const struct option_spec *spec);
const char *option_type_word(const struct option_spec *spec);
bool option_takes_value(const struct option_spec *spec);
