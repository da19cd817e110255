/*
 * The distribution client: one repository on one registry, spoken to over HTTP(S) as the OCI distribution specification and
 * Docker's registries have it. It knows nothing of the store: manifests come back as bytes, blobs are streamed to
 * callbacks, and what is right by digest is the caller's to decide (I16) - except for manifests, which are small and verified
 * here.
 *
 * One thread, many transfers: everything runs inside registry_wait, on libcurl's multi interface; the calls that answer at
 * once (registry_manifest...) wait in there themselves, so other transfers of the same session go on meanwhile.
 *
 * Credentials belong to (scheme, host, port) and to a token realm that this host named and that is allowed to see them; they
 * are stripped on each redirect, foreign URL, upload location and realm of another origin (security.md, F). TLS never falls
 * back; plain HTTP is for loopback and for what the administrator named insecure. Each answer's head and body have a ceiling,
 * each wait a limit, each error a sentence that names host and cause and no secret.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "codec/digest.h"
#include "codec/reference.h"
#include "spec/handover.h"

struct registry;

/* Whether the work is to be given up (the client went away); asked at least every 200 ms. */
typedef bool registry_cancelled_fn(void *user);

struct registry_options {
	const struct reference *reference; /* borrowed for the call: repository, of which the host is the first part */
	const struct handover_registry *settings; /* borrowed as long as the session lives */
	registry_cancelled_fn *cancelled;
	void *cancelled_user;
	const struct handover_auth *login; /* borrowed for the call: for registry_login, instead of settings->auth */
	bool pushes;                       /* rights to write are asked for too */
	char *const *sources; /* borrowed as long as the session lives: what blobs are mounted from ("team/app") */
};

/* No connection is made yet. ERR_INVALID for an X-Registry-Auth that can't be read. */
int registry_open(const struct registry_options *options, struct registry **ret, struct err **reterr);
/* Ends what goes on; callbacks are not called any more. */
void registry_stop(struct registry *registry);
/* The same, and the session. */
void registry_close(struct registry *registry);
DEFINE_AUTOFREE(registry, struct registry *, registry_close);

/* "docker.io", "host:5000": as people write it. Borrowed. */
const char *registry_host(const struct registry *registry);

/* Whether it takes `login`. ERR_UNAUTHORIZED if not; ERR_FORBIDDEN if it wants that said to somebody else. */
int registry_login(struct registry *registry, struct err **reterr);

/* ---- manifests and indexes */

struct registry_content {
	struct buf text; /* the bytes that `digest` is of; at most OCI_MANIFEST_MAX */
	char digest[DIGEST_SIZE];
	char media_type[256]; /* as the answer's head says, without parameters; "" if it does not */
};
void registry_content_finish(struct registry_content *content);

/* `what`: a tag or a digest; then the bytes are verified against it. ERR_NOT_FOUND "manifest unknown" in Docker's words. */
int registry_manifest(struct registry *registry, const char *what, struct registry_content *ret, struct err **reterr);

/* What the registry finds for words, as it says it, up to the buffer's ceiling (the search of Docker's first protocol). */
int registry_search(struct registry *registry, const char *term, int64_t limit, struct buf *out, struct err **reterr);

/* All tags of the repository, as they come: nothing is checked in them. Freed by the caller with strv_free. */
#define REGISTRY_TAGS_MAX      10000
#define REGISTRY_TAG_PAGES_MAX 1000
int registry_tags(struct registry *registry, char ***ret, struct err **reterr);

/* ---- blobs down */

/* A small blob (a config), whole and verified, up to the buffer's ceiling. `size` -1: not known. */
int registry_blob(struct registry *registry, const char *digest, int64_t size, struct buf *out, struct err **reterr);

struct registry_download {
	const char *digest; /* copied */
	int64_t size;       /* what the descriptor says; more is an error, and -1 is not known */
	int64_t offset;     /* how much of it is there already */
	const char *etag;   /* what the server called it then; NULL or "": not known */
	/* Before bytes come that start at `offset`: where they ended before, or at 0, if all comes again (there is no Range, or it
	 * has another version now, of this `etag`; "" if it does not say). 0 or -errno. */
	int (*on_begin)(int64_t offset, const char *etag, void *user);
	/* Bytes in their order. Returns 0, or -errno: then the transfer fails with that. */
	int (*on_data)(const void *data, size_t len, void *user);
	/* Once; err is NULL on success, which means that `size` bytes were given (their digest is the caller's to check). */
	void (*on_done)(const struct err *err, void *user);
	void *user;
};

/*
 * Starts one. A connection that is lost, stalls (no byte for 30 s), or is answered 429 or 5xx is tried again by Range, with
 * a growing pause and Retry-After obeyed within bounds; a few attempts without any new byte are the end of it.
 */
int registry_download(struct registry *registry, const struct registry_download *download, struct err **reterr);

/* ---- blobs up */

enum registry_uploaded {
	REGISTRY_SENT,
	REGISTRY_EXISTED,
	REGISTRY_MOUNTED, /* it was in mount_from */
};

struct registry_upload {
	const char *digest;  /* copied; NULL: not known before its end */
	int64_t size;        /* -1: likewise */
	const char *instead; /* copied: if the digest is not known, one that will do if it is there already; or NULL */
	const char *
		mount_from; /* copied: another repository of this registry that may have it, one of `sources`; or NULL */
	/* The next bytes: their count, 0 at the end, -EAGAIN if there are none yet, or another -errno, which ends it. */
	ssize_t (*on_read)(void *data, size_t len, void *user);
	/* All anew, from `offset` of what was read before. 0 or -errno. */
	int (*on_seek)(int64_t offset, void *user);
	int (*on_fd)(void *user);             /* readable when there is more, after -EAGAIN; may be NULL */
	const char *(*on_digest)(void *user); /* after the end, if `digest` was not known; NULL out of memory */
	void (*on_done)(enum registry_uploaded how, const struct err *err, void *user); /* once */
	void *user;
};

/*
 * Starts one: looks whether the repository has it, asks for it from another one, sends it. After a cut it goes on from where
 * the registry says it is, else from the beginning; a few attempts that lead no further are the end of it. What it had
 * opened it closes again.
 */
int registry_upload(struct registry *registry, const struct registry_upload *upload, struct err **reterr);

/* Puts a manifest there, under a tag or its digest. */
int registry_put_manifest(struct registry *registry, const char *what, const char *media_type, const struct buf *text,
	const char *digest, struct err **reterr);

/* ---- waiting */

/* Moves all transfers along until something happened to one of them, or the time is over. ERR with ECANCELED if cancelled. */
int registry_wait(struct registry *registry, int timeout_ms, struct err **reterr);
/* The same, but also until there are new bytes, or one of the descriptors (at most REGISTRY_FDS_MAX) is ready. */
#define REGISTRY_FDS_MAX 16
struct pollfd;
int registry_wait_with(struct registry *registry, const struct pollfd *fds, size_t count, int timeout_ms,
	struct err **reterr);
