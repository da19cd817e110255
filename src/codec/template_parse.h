/* Text of a template to its syntax tree. */
#pragma once

#include "codec/template_node.h"

/* Returns the list of the outermost block in *ret (NULL for an empty template). */
int template_parse_block(const char *text, struct node **ret, struct err **reterr);
