/*
 * A value in GVariant's text form ("true", "uint64 90000000", "'inactive-or-failed'", "['a', 'b']"), which is how an annotation
 * org.systemd.property.NAME has it, into a D-Bus variant. Taken: booleans, numbers, strings, arrays, tuples, with or without a
 * type before ("uint32", "@as []"); no dictionaries, no variants in it.
 */
#pragma once

#include "codec/dbus.h"

#define DBUS_TEXT_MAX 65536

/* Appends signature and value. -EINVAL: not such a text; -ERANGE: a number beyond its type. */
int dbus_put_variant_text(struct dbus_body *body, const char *text);
