/* Every resource's routes; one file per resource. */
#pragma once

#include "api/route.h"

extern const struct route_table system_routes;
extern const struct route_table container_routes;
extern const struct route_table container_verb_routes;
extern const struct route_table archive_routes;
extern const struct route_table exec_routes;
extern const struct route_table image_routes;
extern const struct route_table registry_routes;
extern const struct route_table volume_routes;
extern const struct route_table network_routes;
extern const struct route_table event_routes;
extern const struct route_table absent_routes;
