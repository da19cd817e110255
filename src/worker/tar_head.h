/* Heads of tar members that we make ourselves: folders and regular files of root's, of no time and with short names. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define TAR_BLOCK_BYTES 512
#define TAR_NAME_MAX    100

/* `name` of at most TAR_NAME_MAX bytes; a folder's ends with a slash. POSIX's ustar; sizes from 8 GiB on are in base 256, as GNU's. */
void tar_head(const char *name, int64_t size_bytes, char out[static TAR_BLOCK_BYTES]);
/* What fills up the last block of so many bytes. */
unsigned tar_padding(int64_t size_bytes);
