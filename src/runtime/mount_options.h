/* mount(8)'s option words, as the OCI document's mounts use them. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "runtime/plan.h"

struct mount_words {
	struct mount_attrs attrs;           /* of the mount itself */
	struct mount_attrs recursive_attrs; /* of it and everything below: rro, rnosuid ... */
	unsigned long named;                /* the first as mount(2)'s flags: asked for, and asked not to be */
	unsigned long unnamed;
	bool is_bind;
	bool is_recursive_bind;
	bool is_idmapped;
	bool is_idmapped_recursively;
	bool copies_up; /* tmpcopyup */
	bool is_remount;
	bool source_nofollow; /* a symlink is what is bound, as the next: where it is bound on */
	bool target_nofollow;
	bool copies_link;          /* copy-symlink: a source that is one is made once more instead of bound */
	struct mount_option *data; /* the filesystem's own; heap, strings in `strings` or borrowed */
	size_t data_count;
};

/* Cut-up "key=value" copies go into *strings. On failure nothing is to be freed. */
int mount_words_parse(char *const *options, char ***strings, struct mount_words *ret, struct err **reterr);

/*
 * Attributes for a bind as mount(2) has them, and runc: if any flag is named, those named and no other, but for times of access, which
 * stay if none is; if none is named at all, `attrs` stays. `tree`: the bind, with its source's. In a user namespace these are locked: they
 * stay, and what would take one away is -EPERM.
 */
int mount_words_as_named(const struct mount_words *asked, int tree, bool is_locked, struct mount_attrs *attrs);

/* All words known, NULL-terminated, for the `features` document. */
const char *const *mount_words_known(void);
