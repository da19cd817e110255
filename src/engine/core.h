/* What the files of this folder share: the engine itself. Others see engine.h. */
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "engine/engine.h"
#include "engine/settings.h"
#include "store/store.h"

struct containers;
struct events;
struct execs;
struct holder_link;
struct networks;
struct records;
struct network_sweep;
struct egress_watch;
struct rules_watch;
struct spare;
struct volumes;
struct workers;

struct engine {
	struct loop *loop;
	char *data_root;
	char *exec_root;
	char *cgroup_parent;
	struct settings settings;
	char *id; /* of this installation, for GET /info */
	int data_fd;
	int exec_fd;
	int lock_fd;            /* flock on data-root/engine.lock: one engine per data root */
	int containers_fd;      /* data-root/containers */
	int volumes_fd;         /* data-root/volumes */
	int exec_containers_fd; /* exec-root/containers */
	struct records *records;
	struct store *store;
	struct events *events;
	struct volumes *volumes;
	struct networks *networks;
	struct network_sweep *network_sweep;
	struct egress_watch *egress_watch;
	struct rules_watch *rules_watch;
	struct containers *containers;
	struct execs *execs;
	struct holder_link *holder;
	struct spare *spare; /* NULL: none */
	struct list removed; /* links of monitors whose containers are no more, until they have ended */
	struct workers *workers;
};
