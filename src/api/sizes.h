/* For answers that tell how much things have on disk, which is counted first. */
#pragma once

#include "api/request.h"
#include "engine/sizes.h"

/* `answer` answers the request, once the sizes are there; it may look anew at what may have gone meanwhile. */
typedef void sized_fn(struct request *request, const struct sizes *sizes);
void with_sizes(struct request *request, const struct sizes_wish *wish, sized_fn *answer);
