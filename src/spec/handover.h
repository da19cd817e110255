/*
 * The request document of a hand-over: what the engine has read and understood of a client's request before it gives the
 * client's socket away. The receiver (a monitor, a worker) parses no HTTP head; it answers the client, and needs nothing
 * but this, the socket and the surplus.
 *
 * On the channel it is the member `request` of a message with op `handover` (messages.h). Of the structs behind the
 * pointers exactly the one that belongs to `kind` is there; attach, wait, logs, stats and exec-start are read by monitors, all
 * others by workers. What names a registry has `registry` too.
 */
#pragma once

#include "spec/messages.h"

/* POST /containers/ID/attach */
struct handover_attach {
	bool stream; /* what comes from now on */
	bool logs;   /* what was written before */
	bool stdin_wanted;
	bool stdout_wanted;
	bool stderr_wanted;
	char *detach_keys; /* "ctrl-p,ctrl-q" unless given; "" is none */
};

/* POST /containers/ID/wait */
struct handover_wait {
	char *condition; /* not-running, next-exit, removed */
};

/* GET /containers/ID/logs */
struct handover_logs {
	bool follow;
	bool stdout_wanted;
	bool stderr_wanted;
	bool timestamps;
	bool details;
	struct json_opt_int since_ns; /* nanoseconds since 1970 */
	struct json_opt_int until_ns;
	int64_t tail; /* lines from the end; -1: all */
};

/* GET /containers/ID/stats */
struct handover_stats {
	bool stream;
	bool one_shot; /* once: without a sample before to compare with */
};

/* POST /exec/ID/start */
struct handover_exec_start {
	char *exec;
	bool detach;
	bool tty;
	int64_t console_height;
	int64_t console_width;
	char *detach_keys; /* from the exec's creation */
};

/* POST /images/load */
struct handover_load {
	bool quiet;
	char *platform; /* "linux/amd64"; NULL: all that the archive has */
};

/* POST /images/create?fromSrc=- */
struct handover_import {
	char *repo;
	char *tag;
	char *message;
	char **changes; /* Dockerfile lines */
	char *platform;
};

/* POST /images/create?fromImage= */
struct handover_pull {
	char *reference; /* as the user wrote it, with its tag or digest */
	bool all_tags;
	char *platform; /* "linux/arm64/v8"; NULL: the machine's */
};

/* POST /images/NAME/push */
struct handover_push {
	char *repository; /* as the user wrote it */
	char *tag;        /* NULL: all tags */
	char *platform;
};

/* POST /auth: checks what it is given and says so; nothing is kept. */
struct handover_auth {
	char *username;
	char *password;
	char *identity_token;
	char *server_address;
};

/* GET /images/search */
struct handover_search {
	char *term;
	int64_t limit;
	struct json_opt_bool is_official;
	struct json_opt_int stars; /* at least */
};

/* GET /distribution/NAME/json */
struct handover_distribution {
	char *reference;
};

/* GET /images/get, GET /images/NAME/get */
struct handover_save {
	char **names;
	char *platform;
};

/* Something mounted into a container: where, and what. */
struct handover_mount {
	char *destination; /* in the container */
	char *source;      /* on the host */
	char *subpath;     /* in the source, and never out of it; or NULL */
	bool recursive;
	bool read_only;
};

/*
 * /containers/ID/archive, export and changes: a container's tree. With the client's come two descriptors of a container that
 * runs, what its monitor lends (monitor/lend.h); of another the worker mounts the root itself.
 */
struct handover_tree {
	char *folder;  /* the container's, absolute */
	char **lowers; /* as in launch.json */
	bool read_only;
	bool is_volatile;
	struct handover_mount *mounts; /* a place below another comes after it */
	size_t mount_count;
	char *path;  /* archive: absolute and without "..", but with the "/" or "/." at the end that the client wrote */
	char *named; /* the same, and the container, as the client named them: for messages */
	char *container_named;
	bool no_overwrite_dir_non_dir;
	bool copy_owner; /* what comes in belongs to the container's user */
	char *user;
};

/* POST /commit; with `tree`, and perhaps what keeps the container paused. */
struct handover_commit {
	char *repo;
	char *tag;
	char *comment;
	char *author;
	char **changes;
	char *image;    /* ID of the container's */
	json_t *config; /* of the new image, before the changes: struct oci_image_run as a document */
};

/* What the machine's administrator and the client say of registries. */
struct handover_registry {
	char *auth;                 /* the X-Registry-Auth header as it came; a secret: never logged */
	char **insecure;            /* "host:port" or a CIDR: plain HTTP and unknown certificates are taken */
	char **mirrors;             /* base URLs, for docker.io alone */
	char **certificate_folders; /* each may have HOST[:PORT]/ca.crt, *.crt, client.cert, client.key */
};

/* How the rest of the request is framed, and what the client agreed to. */
struct handover_body {
	struct json_opt_int content_length; /* of the whole body, surplus included */
	bool chunked;
	bool expect_continue; /* nothing has been answered yet */
	bool upgrade;         /* the client asked to go on with a raw stream: 101 */
	int64_t http_minor;   /* 0: HTTP/1.0, which knows no chunks */
};

struct handover {
	char *kind; /* handover_kind_name */
	char *method;
	int64_t api_minor; /* of version 1.x that the client speaks */
	char *container;   /* its full ID */
	char *container_name;
	struct handover_body body;
	int64_t peer_uid; /* -1: not known */
	struct handover_attach *attach;
	struct handover_wait *wait;
	struct handover_logs *logs;
	struct handover_stats *stats;
	struct handover_exec_start *exec_start;
	struct handover_load *load;
	struct handover_import *import;
	struct handover_pull *pull;
	struct handover_push *push;
	struct handover_auth *auth;
	struct handover_search *search;
	struct handover_distribution *distribution;
	struct handover_save *save;
	struct handover_tree *tree;
	struct handover_commit *commit;
	struct handover_registry *registry; /* pull, push, auth, search, distribution */
};

extern const struct json_table handover_table;

enum handover_kind {
	HANDOVER_ATTACH,
	HANDOVER_WAIT,
	HANDOVER_LOGS,
	HANDOVER_EXEC_START,
	HANDOVER_STATS,
	HANDOVER_LOAD,
	HANDOVER_IMPORT,
	HANDOVER_PULL,
	HANDOVER_PUSH,
	HANDOVER_AUTH,
	HANDOVER_SEARCH,
	HANDOVER_DISTRIBUTION,
	HANDOVER_SAVE,
	HANDOVER_ARCHIVE_STAT,
	HANDOVER_ARCHIVE_GET,
	HANDOVER_ARCHIVE_PUT,
	HANDOVER_EXPORT,
	HANDOVER_CHANGES,
	HANDOVER_COMMIT,
	HANDOVER_KIND_COUNT, /* a kind that this build does not know */
};

const char *handover_kind_name(enum handover_kind kind);
/* From `kind`'s word. */
enum handover_kind handover_kind(const struct handover *handover);

/* The whole message, a new reference; NULL when out of memory. */
json_t *handover_message(int64_t id, const struct handover *handover);
/*
 * The receiver's side. ERR_UNSUPPORTED for an unknown kind (a newer engine), ERR_INVALID when the kind's parameters are
 * missing or a value is out of range.
 */
int handover_read(const struct message *message, struct handover *out, struct err **reterr);
void handover_finish(struct handover *handover);
