/*
 * Which database the folders of a data root belong to.
 *
 * What a database doesn't name is a leftover, and goes. One that was lost, emptied or brought from elsewhere names nothing of
 * what is here, so before anything is cleared away its identity, drawn when it was made, must be the one noted beside it.
 */
#pragma once

#include "base/err.h"

/*
 * Before `name`.db is opened, which would make it: EUCLEAN if there should be one (`name`.id notes it) and it is missing or
 * empty. Nothing is written, so the right one can be put back beside the log that it left.
 */
int identity_expect(int data_root_fd, const char *name, struct err **reterr);
/*
 * `name`.db, now open, has `identity`: EUCLEAN if `name`.id notes another. Where there is no note one is written: a new data
 * root, or somebody's consent to go on with this database.
 */
int identity_check(int data_root_fd, const char *name, const char *identity, struct err **reterr);
