/*
 * launch.json: all that a monitor needs to start its container, and to start it again years later while no engine runs.
 * The engine writes it before it spawns a monitor, whose first client may want to attach or read the log, and again before
 * each `start` (it replaces the file, so the monitor reads the old or the new one); the monitor only reads it.
 *
 * What an OCI document can say is said in `oci` and nowhere else: arguments, environment, terminal and its first size,
 * hostname, capabilities, rlimits, no_new_privileges, LSM labels, mounts with their options (binds, volumes, tmpfs,
 * /dev/shm with its size), read-only root, masked paths, sysctls, resources, device rules, the cgroup's path, and which
 * namespaces are private (listed without a path) or the host's (not listed). It is complete but for what can only be
 * known at the start, which is the rest of this struct:
 *
 *	- process.user: `user` and `group_add` are looked up in the container's own files;
 *	- root.path: comes from `rootfs`; root.readonly counts;
 *	- linux.seccomp is absent: `seccomp` names the profile, compiled by way of runtime/seccomp_cache.h;
 *	- namespaces joined with another container: listed without a path in `oci`, the target in `join`;
 *	- `devices`, which are files of the host with numbers not known yet, and `sources` of binds that may have to be made;
 *	- /etc/hostname, /etc/hosts, /etc/resolv.conf: written by the monitor into `rootfs.container_dir` from oci.hostname and
 *	  `names`, and mounted, each unless oci.mounts has that destination or the network is another container's.
 */
#pragma once

#include "spec/health.h"
#include "spec/lease.h"
#include "spec/oci_runtime.h"

#define LAUNCH_VERSION 1
/* Ceiling of the file: a create body of 4 MiB fits with what the engine adds. */
#define LAUNCH_MAX (8 * 1024 * 1024)

#define LAUNCH_LOG_ATTRS_MAX (16 * 1024)

#define LAUNCH_STOP_TIMEOUT_DEFAULT_S 10

/* After an exit, `always` and `unless-stopped` mean the same to a monitor; they differ when an engine starts. */
struct launch_restart_policy {
	char *name;        /* NULL, "no", "always", "unless-stopped", "on-failure" */
	int64_t max_retry; /* on-failure: 0 is without limit */
};

struct launch_log {
	char *driver;           /* json-file, local, none */
	char *path;             /* absolute; rotated ones are path.1, path.2, ... */
	int64_t max_size_bytes; /* 0: never rotate */
	int64_t max_file;       /* at least 1 */
	bool compress;          /* rotated ones are path.1.gz, ... */
	char *attrs; /* a JSON object of strings, on one line: what each record says of the container; or NULL */
};

/* Either an overlay of `lowers` and container_dir/upper with container_dir/work, or the plain folder `path`. */
struct launch_rootfs {
	char **lowers; /* absolute paths of layers, the topmost first */
	char *path;
	char *container_dir; /* absolute, data-root/containers/ID */
	bool is_volatile;    /* upper is never needed after a power cut: no sync */
};

struct launch_network {
	char *mode; /* none, host, container, bridge: a namespace with the legs of `endpoints`; private: of an older engine's, with none */
	struct lease_endpoint *endpoints;
	size_t endpoint_count;
	char **egress;         /* what it may reach (spec/egress.h) */
	int64_t bandwidth_in;  /* bits a second that it receives at most, on each network; 0: no limit */
	int64_t bandwidth_out; /* and sends */
};

/* IDs of containers whose namespaces are entered: their init is found by their own state.json. */
struct launch_join {
	char *network;
	char *ipc; /* the namespace: System V and POSIX queues; and /dev/shm */
	char *pid;
};

/* For /etc/hosts and /etc/resolv.conf; unset ones are taken from the host's. */
struct launch_names {
	char **extra_hosts; /* "name:address" */
	char **dns;
	char **dns_search;
	char **dns_options;
};

struct launch_seccomp {
	char *mode;      /* default, unconfined, profile */
	json_t *profile; /* mode profile: the user's document, in Docker's form or OCI's */
};

struct launch_device {
	char *host_path; /* a device, or a folder of them */
	char *container_path;
	char *permissions; /* of r, w, m */
};

/* A limit of one block device, whose numbers are looked up at the start. */
struct launch_block {
	char *path;
	char *limit; /* weight, read_bps, write_bps, read_iops, write_iops */
	int64_t value;
};

/* What is to be done on the host's side for the entry of oci.mounts with this destination, before it is mounted. */
struct launch_source {
	char *destination;
	bool create;   /* make the source as a folder, with parents, if nothing is there (-v, not --mount) */
	bool copy_up;  /* the source is an empty volume: fill it from this place in the image */
	char *subpath; /* not the source, but what is there in it, which must not lead out of it; or NULL */
	char *volume; /* the source is the device of the volume with this mount point: for the message if it is missing */
};

struct launch {
	int64_t version;
	char *id;
	char *refused;  /* why it can't be started as things are; what it needs for that may be missing then */
	char *name;     /* without a leading slash */
	char *image_id; /* "sha256:HEX", "" without an image */
	struct oci_spec oci;
	char *user;       /* "", "1000", "name:group" */
	char **group_add; /* names or numbers */
	bool open_stdin;
	bool stdin_once; /* closed when the first attached client leaves */
	bool init;       /* our own init as PID 1 above the command */
	bool writable_cgroups;
	bool systemd_cgroup; /* oci.linux.cgroupsPath is "slice:prefix:name" */
	bool privileged;     /* all the host's devices; an exec with Privileged asks for capabilities itself */
	bool auto_remove;    /* no restart policy then; the engine removes */
	struct launch_restart_policy restart_policy;
	int64_t stop_signal;             /* number */
	int64_t stop_timeout_s;          /* -1: wait for ever */
	struct healthcheck *healthcheck; /* every inheritance resolved; CMD-SHELL spelt out with the image's shell */
	struct launch_log log;
	struct launch_rootfs rootfs;
	struct launch_network network;
	struct launch_join join;
	struct launch_names names;
	struct launch_seccomp seccomp;
	struct launch_device *devices;
	size_t device_count;
	struct launch_block *blocks;
	size_t block_count;
	struct launch_source *sources;
	size_t source_count;
};

extern const struct json_table launch_table;
extern const struct json_table launch_network_table;
extern const struct json_table launch_restart_policy_table;

/* Whether the container asks 127.0.0.11: a network of its has names, or its egress policy has some. */
bool launch_network_resolves(const struct launch_network *network);

/* Reads the text, and checks what a monitor relies on: grammar of the IDs, absolute paths, known words, a root. A document
 * with a greater version is read as far as this one knows it. */
int launch_parse(const char *text, size_t len, struct launch *out, struct err **reterr);
/* The same checks on a struct. */
int launch_validate(const struct launch *launch, struct err **reterr);
/* Appends the text. */
int launch_print(const struct launch *launch, struct buf *out);
void launch_finish(struct launch *launch);
