/* One answer of text, for the files of this folder that want more than a manifest or a blob. */
#pragma once

#include "registry/session.h"

/* `path` of the registry, up to the buffer's ceiling. *ret_next: what its Link says is next, as it stands; NULL if nothing. */
int content_page(struct registry *registry, const char *path, struct buf *out, char **ret_next, struct err **reterr);
