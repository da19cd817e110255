/*
 * Blobs, upwards. One after the other, each step a request whose answer says what the next one is:
 *
 *	LOOK   HEAD .../blobs/DIGEST            it is there already, or
 *	MOUNT  POST .../uploads/?mount=&from=   another repository has it, or that opens an upload as well as
 *	OPEN   POST .../uploads/                does; its place is the Location, which every later answer may move
 *	SEND   PATCH                            the bytes
 *	CLOSE  PUT ?digest=                     and now it is a blob
 *
 * When SEND or CLOSE fails in a way that may pass, ASK (GET of the place) says how much has arrived, and SEND goes on from
 * there; a registry that does not know is sent all of it once more. What a failure leaves open is closed by DROP (DELETE).
 * The place may be on another host: it is sent the bytes, and no credentials (exchange.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "registry/exchange.h"
#include "spec/oci_image.h"

#define DROP_MS       3000
#define STEPS_MAX     200 /* of one blob: whatever the registry says, that is the end of it */
#define LOCATION_MAX  8192
#define MEDIA_TYPE    "application/octet-stream"
#define MOUNT_FORMAT  "%s/v2/%s/blobs/uploads/?mount=%s&from=%s"
#define UPLOAD_FORMAT "%s/v2/%s/blobs/uploads/"

enum step {
	STEP_LOOK,
	STEP_MOUNT,
	STEP_OPEN,
	STEP_SEND,
	STEP_ASK,
	STEP_CLOSE,
	STEP_DROP,
};

struct upload {
	struct registry *registry;
	struct registry_upload wish; /* its texts are ours */
	char *digest;                /* of what is read: NULL until known */
	char *instead;               /* what is looked for as long as it is not */
	char *mount_from;
	unsigned exchanges; /* that have it: it goes with the last one */
	enum step step;
	char *location;   /* of what is open */
	int64_t offset;   /* where the piece under way begins */
	int64_t position; /* of the next byte that is read */
	int64_t arrived;  /* as the registry has said, at most so far */
	unsigned failures;
	unsigned steps;
	struct err *err; /* what DROP follows */
};

static void release(void *user)
{
	struct upload *upload = user;

	if (--upload->exchanges > 0)
		return;
	err_free(upload->err);
	free(upload->location);
	free(upload->digest);
	free(upload->instead);
	free(upload->mount_from);
	free(upload);
}

/* ---- the bytes */

static ssize_t body_read(struct exchange *exchange, void *data, size_t len)
{
	struct upload *upload = exchange->user;
	ssize_t n = upload->wish.on_read(data, len, upload->wish.user);

	if (n > 0)
		upload->position += n;
	return n == 0 && upload->position < upload->wish.size ? -ENODATA : n;
}

static int seek_to(struct upload *upload, int64_t offset)
{
	int r = upload->position == offset ? 0 : upload->wish.on_seek(offset, upload->wish.user);

	if (r == 0)
		upload->position = offset;
	return r;
}

static int body_rewind(struct exchange *exchange)
{
	struct upload *upload = exchange->user;

	return seek_to(upload, upload->offset);
}

static int body_fd(struct exchange *exchange)
{
	const struct upload *upload = exchange->user;

	return upload->wish.on_fd ? upload->wish.on_fd(upload->wish.user) : -1;
}

static ssize_t nothing_read(struct exchange *exchange, void *data, size_t len)
{
	(void)exchange, (void)data, (void)len;
	return 0;
}

static int nothing_rewind(struct exchange *exchange)
{
	(void)exchange;
	return 0;
}

static const struct exchange_body body = { body_read, body_rewind, body_fd };
static const struct exchange_body nothing = { nothing_read, nothing_rewind, NULL };

/* ---- steps */

static void on_step(struct exchange *exchange, const struct err *err);
static const struct exchange_sink sink = { NULL, exchange_ignore, on_step, release };

/* The digest is asked for when the last byte has been read. */
static int closing_url(struct upload *upload, char **ret)
{
	if (!upload->digest) {
		const char *digest = upload->wish.on_digest(upload->wish.user);
		upload->digest = digest ? strdup(digest) : NULL;
	}
	if (!upload->digest)
		return -ENOMEM;
	return asprintf(ret, "%s%cdigest=%s", upload->location, strchr(upload->location, '?') ? '&' : '?',
		upload->digest);
}

static int url_of(struct upload *upload, enum step step, char **ret)
{
	struct registry *registry = upload->registry;
	const char *base = registry->endpoints[registry->chosen].base;
	const char *looked_for = upload->digest ?: upload->instead;
	int r = 0;

	switch (step) {
	case STEP_LOOK: r = asprintf(ret, "%s/v2/%s/blobs/%s", base, registry->path, looked_for); break;
	case STEP_MOUNT: r = asprintf(ret, MOUNT_FORMAT, base, registry->path, looked_for, upload->mount_from); break;
	case STEP_OPEN: r = asprintf(ret, UPLOAD_FORMAT, base, registry->path); break;
	case STEP_CLOSE: r = closing_url(upload, ret); break;
	case STEP_SEND:
	case STEP_ASK:
	case STEP_DROP:
	default: r = asprintf(ret, "%s", upload->location);
	}
	if (r < 0)
		*ret = NULL;
	return r < 0 ? -ENOMEM : 0;
}

static int start(struct upload *upload, enum step step, int64_t delay_ms, struct err **reterr)
{
	static const char *const methods[] = { "HEAD", "POST", "POST", "PATCH", "GET", "PUT", "DELETE" };
	bool sends = step == STEP_SEND, once = sends || step >= STEP_ASK;
	int64_t size = upload->wish.size;
	_cleanup_free_ char *url = NULL;
	struct exchange *exchange;

	if (++upload->steps > STEPS_MAX && step != STEP_DROP)
		return err_set(reterr, ERR_UNAVAILABLE, ELOOP, "%s leads an upload on and on", upload->registry->host);
	if (url_of(upload, step, &url) < 0)
		return err_oom(reterr);
	if (sends) {
		int r = seek_to(upload, upload->offset);
		if (r < 0)
			return err_errno(reterr, r, "cannot read what is to be uploaded");
	}
	struct exchange_request request = {
		.url = url,
		.method = methods[step],
		.content_type = sends || step == STEP_CLOSE ? MEDIA_TYPE : NULL,
		.body = sends                                                        ? &body
			: step == STEP_LOOK || step == STEP_ASK || step == STEP_DROP ? NULL
										     : &nothing,
		.body_size = !sends     ? 0
			     : size < 0 ? -1
					: size - upload->offset,
		.range_first = upload->offset > 0 ? upload->offset : -1, /* an old one need not know it */
		.once = once,
		.delay_ms = delay_ms,
		.limit_ms = step == STEP_DROP ? DROP_MS : 0,
	};
	upload->step = step;
	upload->exchanges++;
	return exchange_start(upload->registry, &request, &sink, upload, &exchange, reterr);
}

static void finish(struct upload *upload, enum registry_uploaded how, const struct err *err)
{
	upload->wish.on_done(how, err, upload->wish.user);
}

/* `err` is copied; the registry gets the open upload back first. */
static void give_up(struct upload *upload, const struct err *err)
{
	if (upload->location && !upload->err && err->errnum != ECANCELED) {
		err_set(&upload->err, err->kind, err->errnum, "%s", err_message(err));
		if (start(upload, STEP_DROP, 0, NULL) == 0)
			return;
	}
	finish(upload, REGISTRY_SENT, err);
}

static void go_to(struct upload *upload, enum step step, int64_t delay_ms)
{
	_autofree_(err) struct err *err = NULL;

	if (start(upload, step, delay_ms, &err) < 0)
		give_up(upload, err);
}

/* ---- answers */

/* Where the upload is now; an answer that does not say leaves it where it was. */
static int take_location(struct upload *upload, const struct exchange *exchange, struct err **reterr)
{
	const char *host = upload->registry->host;
	struct origin from = { 0 }, to = { 0 };
	char *location = NULL;

	if (!exchange->answer.location)
		return upload->location ? 0
					: err_set(reterr, ERR_UNAVAILABLE, EPROTO,
						  "%s opens an upload and does not say where", host);
	int r = strlen(exchange->answer.location) > LOCATION_MAX
			? -EINVAL
			: origin_resolve(exchange->url, exchange->answer.location, &location);
	if (r == 0)
		r = origin_of(location, &to);
	if (r == 0)
		r = origin_of(exchange->url, &from);
	if (r < 0)
		r = err_set(reterr, ERR_FORBIDDEN, 0, "%s wants an upload at what is not an http or https address",
			host);
	else if (strcmp(from.scheme, "https") == 0 && strcmp(to.scheme, "http") == 0)
		r = err_set(reterr, ERR_FORBIDDEN, 0, "%s wants an upload over plain http (%s)", host, to.host);
	origin_finish(&from);
	origin_finish(&to);
	if (r < 0) {
		free(location);
		return r;
	}
	free(upload->location);
	upload->location = location;
	return 0;
}

/* The registry gets an open upload back first. What was lost may have been the answer alone: then the blob is there. */
static void begin_anew(struct upload *upload)
{
	upload->offset = 0;
	if (upload->location)
		go_to(upload, STEP_DROP, 0);
	else
		go_to(upload, upload->digest ? STEP_LOOK : STEP_OPEN, 0);
}

static void dropped(struct upload *upload)
{
	free(TAKE(upload->location));
	if (upload->err)
		finish(upload, REGISTRY_SENT, upload->err);
	else
		begin_anew(upload);
}

static void opened(struct upload *upload, const struct exchange *exchange)
{
	_autofree_(err) struct err *err = NULL;

	if (upload->step == STEP_MOUNT && !exchange->answer.location)
		go_to(upload, STEP_OPEN, 0);
	else if (take_location(upload, exchange, &err) < 0)
		give_up(upload, err);
	else
		go_to(upload, upload->wish.size == 0 ? STEP_CLOSE : STEP_SEND, 0);
}

static void sent(struct upload *upload, const struct exchange *exchange)
{
	_autofree_(err) struct err *err = NULL;

	if (take_location(upload, exchange, &err) < 0)
		give_up(upload, err);
	else
		go_to(upload, STEP_CLOSE, 0);
}

static void closed(struct upload *upload, const struct exchange *exchange)
{
	const char *digest = exchange->answer.content_digest;
	_autofree_(err) struct err *err = NULL;

	free(TAKE(upload->location));
	if (digest && strcmp(digest, upload->digest) != 0) {
		err_set(&err, ERR_UNAVAILABLE, EBADMSG, "%s says that it has the blob %s as another (%.100s)",
			upload->registry->host, upload->digest, oci_digest_is_valid(digest) ? digest : "no digest");
		give_up(upload, err);
	} else {
		finish(upload, REGISTRY_SENT, NULL);
	}
}

/* What it has goes up to here. The offset 0 and a size of 1 look alike: then all is sent anew. */
static void asked(struct upload *upload, const struct exchange *exchange)
{
	int64_t arrived = exchange->answer.range_end + 1;
	_autofree_(err) struct err *err = NULL;

	if (arrived <= 1 || arrived > upload->position || (upload->wish.size >= 0 && arrived > upload->wish.size)) {
		begin_anew(upload);
		return;
	}
	if (arrived > upload->arrived) {
		upload->arrived = arrived;
		upload->failures = 0;
	}
	upload->offset = arrived;
	if (take_location(upload, exchange, &err) < 0)
		give_up(upload, err);
	else
		go_to(upload, arrived == upload->wish.size ? STEP_CLOSE : STEP_SEND, 0);
}

static void step_done(struct upload *upload, const struct exchange *exchange)
{
	switch (upload->step) {
	case STEP_LOOK: finish(upload, upload->position > 0 ? REGISTRY_SENT : REGISTRY_EXISTED, NULL); break;
	case STEP_MOUNT:
		if (exchange->answer.status == 201)
			finish(upload, REGISTRY_MOUNTED, NULL);
		else
			opened(upload, exchange);
		break;
	case STEP_OPEN: opened(upload, exchange); break;
	case STEP_SEND: sent(upload, exchange); break;
	case STEP_ASK: asked(upload, exchange); break;
	case STEP_CLOSE: closed(upload, exchange); break;
	case STEP_DROP:
	default: dropped(upload);
	}
}

/* SEND, CLOSE or ASK has failed, and not for good. */
static void recover(struct upload *upload, const struct exchange *exchange, const struct err *err)
{
	if (upload->step == STEP_ASK) {
		if (exchange->answer.status == 404)
			free(TAKE(upload->location));
		begin_anew(upload);
		return;
	}
	if (++upload->failures >= EXCHANGE_ATTEMPTS) {
		give_up(upload, err);
		return;
	}
	go_to(upload, STEP_ASK, exchange_pause_ms(upload->failures, exchange->answer.retry_after_ms));
}

/* A place that is not known any more, or not in this state: what a lost answer to an earlier try leaves. */
static bool may_pass(const struct exchange *exchange, const struct err *err)
{
	long status = exchange->answer.status;

	return err->kind == ERR_UNAVAILABLE || status == 404 || status == 416;
}

static void step_failed(struct upload *upload, const struct exchange *exchange, const struct err *err)
{
	switch (upload->step) {
	case STEP_LOOK: /* whether it may be written is said, and in words, by what follows */
		if (exchange->answer.status == 0 || err->kind == ERR_UNAVAILABLE)
			give_up(upload, err);
		else
			go_to(upload, upload->mount_from ? STEP_MOUNT : STEP_OPEN, 0);
		break;
	case STEP_MOUNT:
		free(TAKE(upload->mount_from));
		if (exchange->answer.status == 0)
			give_up(upload, err);
		else
			go_to(upload, STEP_OPEN, 0);
		break;
	case STEP_SEND:
	case STEP_CLOSE:
	case STEP_ASK:
		if (upload->step == STEP_ASK || may_pass(exchange, err))
			recover(upload, exchange, err);
		else
			give_up(upload, err);
		break;
	case STEP_DROP: dropped(upload); break;
	case STEP_OPEN:
	default: give_up(upload, err);
	}
}

static void on_step(struct exchange *exchange, const struct err *err)
{
	if (err)
		step_failed(exchange->user, exchange, err);
	else
		step_done(exchange->user, exchange);
}

static int copy(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

int registry_upload(struct registry *registry, const struct registry_upload *wish, struct err **reterr)
{
	int r = session_probe(registry, reterr);

	if (r < 0)
		return r;
	struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload)
		return err_oom(reterr);
	upload->registry = registry;
	upload->wish = *wish;
	upload->exchanges = 1; /* this call, for its time */
	r = copy(wish->digest, &upload->digest) + copy(wish->instead, &upload->instead) +
	    copy(wish->mount_from, &upload->mount_from);
	if (r < 0)
		r = err_oom(reterr);
	else
		r = start(upload, upload->digest || upload->instead ? STEP_LOOK : STEP_OPEN, 0, reterr);
	release(upload);
	return r;
}
