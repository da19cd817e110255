/*
 * What foreign archives may ask for. Each is far above what real images hold and far below what hurts; tests stand at
 * each limit, below it and above it.
 */
#pragma once

#include "archive/limits.h"

/* Of a stream after inflating: in all, and in relation to what came in once it is past the slack. */
#define LIMIT_STREAM_BYTES (256LL << 30)
#define LIMIT_RATIO        1000
#define LIMIT_RATIO_SLACK  (100LL << 20)

/* The outer archive of a load: it holds few files, and none of them needs more than this. */
#define LIMIT_ARCHIVE_ENTRIES 20000

#define LIMIT_MANIFEST_BYTES (4 * 1024 * 1024) /* manifest.json, index.json, manifests */
#define LIMIT_CONFIG_BYTES   (4 * 1024 * 1024)
#define LIMIT_IMAGES         1000 /* in one archive */
#define LIMIT_NAMES          10000

/* A child that moves no byte for so long is ended. */
#define LIMIT_STALL_MS     (300 * 1000)
#define LIMIT_BODY_IDLE_MS (300 * 1000)
#define LIMIT_CHILD_MEMORY (768LL << 20)
#define LIMIT_CHILD_CPU_S  7200
