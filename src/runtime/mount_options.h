/* mount(8)'s option words, as the OCI document's mounts use them. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "runtime/plan.h"

struct mount_words {
	struct mount_attrs attrs;           /* of the mount itself */
	struct mount_attrs recursive_attrs; /* of it and everything below: rro, rnosuid ... */
	bool is_bind;
	bool is_recursive_bind;
	bool is_idmapped;
	bool is_idmapped_recursively;
	bool copies_up;            /* tmpcopyup */
	struct mount_option *data; /* the filesystem's own; heap, strings in `strings` or borrowed */
	size_t data_count;
};

/* Cut-up "key=value" copies go into *strings. On failure nothing is to be freed. */
int mount_words_parse(char *const *options, char ***strings, struct mount_words *ret, struct err **reterr);

/* All words known, NULL-terminated, for the `features` document. */
const char *const *mount_words_known(void);
