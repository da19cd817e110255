/*
 * The layers of an image that is pulled: those that the store has not are downloaded and, while their bytes still arrive,
 * hashed, inflated, hashed again and unpacked; a few at a time.
 *
 *	network ─→ hash ─→ partial/HEX ─→ [unpacker: inflate ─→ hash ─→ extract] ─→ tree
 *
 * The file is the buffer between the two halves, and becomes the layer's blob: it is written once and, out of the page cache,
 * read once. A layer is committed when both digests are right. In between it is a partial blob (store/partial.h): after a
 * lost connection, or the death or cancellation of whoever was at it, the next one goes on by Range, also one that was
 * waiting for this layer meanwhile. What goes on where somebody else ended and turns out wrong is begun anew, once.
 *
 * All claims are made at first, and nothing waits for another job's layer while it holds up one of its own.
 */
#pragma once

#include "registry/registry.h"
#include "spec/oci_image.h"
#include "worker/task.h"

/* What the client is told of one layer, or (id NULL) of the image. */
void fetch_tell(struct task *task, const char *id, const char *format, ...) printf_like(3, 4);

/* All layers are held by the task's job afterwards. `diff_ids`: one per layer of the manifest. */
int fetch_layers(struct task *task, struct registry *registry, const struct oci_manifest *manifest,
	char *const *diff_ids, struct err **reterr);
