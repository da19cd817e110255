/* --platform os[/arch[/variant]] as the API takes it where it wants JSON. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

/* Appends `key`={"os": ..., "architecture": ...} to a request's path. */
int platform_append(const char *text, const char *key, struct buf *path, struct err **reterr);
