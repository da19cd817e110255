/* The one of /images/create's two meanings that is about registries; the others' routes are a table (routes.h). */
#pragma once

#include "api/request.h"

/* POST /images/create?fromImage= */
void registry_pull(struct request *request);
