/*
 * OCI layout. Each entry of index.json is an image, or an index with one image per platform, perhaps in an index of its own
 * (OCI_INDEX_DEPTH_MAX). Its names are annotations. Every document is checked against the digest and the size by which it
 * was named; attestations and the like, which are for the platform "unknown", are passed over.
 */
#pragma once

#include "worker/load_image.h"

int load_oci_layout(struct load_archive *archive, struct err **reterr);
