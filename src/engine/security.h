/* --security-opt: seccomp, no-new-privileges, writable-cgroups, label, apparmor. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "codec/json.h"

struct security {
	bool no_new_privileges;
	bool writable_cgroups;
	bool seccomp_unconfined;
	json_t *seccomp_profile; /* NULL: the default, unless unconfined */
	const char *apparmor;    /* borrowed; NULL: none asked for */
};

/* ERR_INVALID in Docker's words. The profile is a new reference. */
int security_parse(char *const *options, struct security *ret, struct err **reterr);
/* What inspect says: the profile asked for, "unconfined" too, or "". Borrowed. */
const char *security_apparmor(char *const *options);
void security_finish(struct security *security);
int security_validate(char *const *options, struct err **reterr);
