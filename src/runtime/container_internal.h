/* What a container handle holds; for container.c alone and its tests. */
#pragma once

#include "runtime/birth.h"
#include "runtime/container.h"
#include "spec/oci_runtime.h"
#include "sys/cgroup.h"

struct container {
	char *id;
	char *bundle_path;
	struct birth init;
	int console_fd;
	struct cgroup *group;
	bool groups_made;
	bool start_is_said;         /* before anybody asked: it is read when the child gets there */
	struct oci_spec hooks_spec; /* poststart hooks and annotations */
	bool hooks_copied;
	container_warn_fn *on_warn;
	void *user_data;
};
