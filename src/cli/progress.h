/* The streams of JSON messages that load, import and the like answer with. */
#pragma once

#include "base/err.h"
#include "cli/client.h"

/*
 * Shows them on `fd` until the end: on a terminal with a bar for each layer, elsewhere without bars. An error
 * among them is this function's.
 */
int progress_show(struct response *response, int fd, struct err **reterr);

/* "[====>     ]  1.5MB/3MB"; "" if neither number is known. `columns` of the terminal: the bar needs room. */
int progress_bar(int64_t current, int64_t total, unsigned columns, struct buf *out);
