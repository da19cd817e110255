/* The part of oci_spec_validate that looks at `linux` (see oci_validate.h, which callers include). */
#pragma once

#include "spec/oci_runtime.h"

int oci_linux_check(const struct oci_spec *spec, struct err **reterr);

/* ID mappings of a namespace or mount: ranges that fit and don't overlap on either side. The format makes their path. */
int oci_check_mappings(const struct oci_id_mapping *mappings, size_t count, struct err **reterr,
	const char *path_format, ...) printf_like(4, 5);
