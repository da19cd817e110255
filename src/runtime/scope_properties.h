/* A container's limits as systemd's words for them. Shared by scope.c and its tests alone. */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

#include "base/err.h"
#include "base/map.h"
#include "codec/dbus.h"
#include "spec/oci_runtime.h"

/* Each appends elements of an a(sv); the array is the caller's to begin and end. */
void property_text(struct dbus_body *body, const char *name, const char *value);
void property_bool(struct dbus_body *body, const char *name, bool value);
void property_u64(struct dbus_body *body, const char *name, uint64_t value);
void property_pid(struct dbus_body *body, pid_t pid); /* PIDs */

/*
 * What systemd can keep of the limits. It writes the same files as we do, now and whenever it reads its units anew, so that what it
 * does not know of would be undone then. `new_devices`: also closes the unit to all devices but those listed and the usual ones.
 * The limit itself is in the files, which are written afterwards; systemd's is never closer than that.
 */
void scope_put_resources(struct dbus_body *body, const struct oci_resources *resources, bool is_v2, bool new_devices);

/* org.systemd.property.NAME: GVariant's text; a NAME that ends in Sec and has seconds is NAME's USec. */
int scope_put_annotations(struct dbus_body *body, const struct map *annotations, struct err **reterr);
