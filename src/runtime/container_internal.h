/* What a container handle holds; for what of the runtime has to do with its groups, and for tests. */
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
	struct scope *scope; /* while it is begun: systemd's */
	char *rdt_root;      /* while it is begun, if it has a class of service; or NULL */
	bool groups_made;
	bool start_is_said;         /* before anybody asked: it is read when the child gets there */
	struct oci_spec hooks_spec; /* poststart hooks and annotations */
	bool hooks_copied;
	container_warn_fn *on_warn;
	void *user_data;
};

/* In runc's form: one descriptor with a name. */
int descriptor_send(int socket, const char *name, int fd);
/* The pty's master goes to whoever listens on the console socket, with its name as runc's message; without one (-1), into `keep`.
 * Takes `master`. */
int console_deliver(int console_socket, int master, int *keep, struct err **reterr);
