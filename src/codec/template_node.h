/*
 * The syntax tree of a template. Nodes are owned by their parent; `next` chains siblings.
 *
 *	block     = node list of TEXT, ACTION, IF, WITH, RANGE, BREAK, CONTINUE
 *	pipeline  = PIPELINE: `names` assigned ($i, $e := ...), `body` a list of COMMAND
 *	command   = COMMAND: `body` a list of operands
 *	operand   = DOT, VARIABLE, FUNCTION, LITERAL or PARENTHESIS, each with `fields` taken from it
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

enum node_kind {
	NODE_TEXT,
	NODE_ACTION,
	NODE_IF,
	NODE_WITH,
	NODE_RANGE,
	NODE_BREAK,
	NODE_CONTINUE,
	NODE_PIPELINE,
	NODE_COMMAND,
	NODE_DOT,
	NODE_VARIABLE,
	NODE_FUNCTION,
	NODE_LITERAL,
	NODE_PARENTHESIS,
};

struct node {
	enum node_kind kind;
	size_t offset; /* in the template's text, for messages */
	struct node *next;
	struct node *pipeline;  /* ACTION, IF, WITH, RANGE, PARENTHESIS */
	struct node *body;      /* IF, WITH, RANGE, PIPELINE, COMMAND */
	struct node *otherwise; /* IF, WITH, RANGE */
	char *text;             /* TEXT; the name of VARIABLE and FUNCTION */
	char **fields;          /* operands: names to look up, in order */
	char **names;           /* PIPELINE: variables set, at most two */
	bool declares;          /* PIPELINE: ":=", not "=" */
	json_t *value;          /* LITERAL */
};

void node_free(struct node *node);
DEFINE_AUTOFREE(node, struct node *, node_free);

/* ERR_INVALID with the position of `offset` in `text` before the sentence. */
int template_error(struct err **reterr, const char *text, size_t offset, const char *format, ...) printf_like(4, 5);
