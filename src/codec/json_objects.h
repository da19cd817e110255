/* Field types that hold other structs: embedded, by pointer, as an array, and as a map. */
#pragma once

#include "codec/json_types.h"

extern const struct json_type_ops json_embedded_ops;
extern const struct json_type_ops json_pointer_ops;
extern const struct json_type_ops json_array_ops;
extern const struct json_type_ops json_map_ops;
