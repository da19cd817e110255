/* What is small enough to be held in memory: manifests and configs. */
#include "registry/content.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "codec/query.h"
#include "codec/sha256.h"
#include "registry/exchange.h"
#include "spec/oci_image.h"

#define ACCEPT_MANIFESTS \
 OCI_MEDIA_TYPE_INDEX ", " DOCKER_MEDIA_TYPE_INDEX ", " OCI_MEDIA_TYPE_MANIFEST ", " DOCKER_MEDIA_TYPE_MANIFEST
#define WAIT_MS         1000
#define SEARCH_PATH_MAX 8192

struct collect {
	struct buf *out;
	const struct buf *in; /* what is sent, and how far that is */
	size_t sent;
	struct registry_content *content; /* NULL: a blob */
	char **next;                      /* NULL: not asked for */
	bool done;
	struct err *err;
};

static int collect_begin(struct exchange *exchange, int64_t offset)
{
	const struct collect *collect = exchange->user;

	(void)offset;
	buf_reset(collect->out);
	return 0;
}

static int collect_data(struct exchange *exchange, const void *data, size_t len)
{
	const struct collect *collect = exchange->user;
	int r = buf_append(collect->out, data, len);

	if (r == -EFBIG)
		err_set(&exchange->failure, ERR_TOO_LARGE, 0, "%s: an answer is larger than %zu bytes",
			exchange->registry->host, collect->out->max);
	return r;
}

static void take_head(const struct answer *answer, struct registry_content *content)
{
	const char *type = answer->content_type ?: "";
	size_t len = strcspn(type, "; \t");

	snprintf(content->media_type, sizeof(content->media_type), "%.*s",
		(int)(len < sizeof(content->media_type) ? len : 0), type);
	for (char *c = content->media_type; *c; c++) /* case means nothing in them */
		*c = (char)tolower((unsigned char)*c);
	if (answer->content_digest && oci_digest_is_valid(answer->content_digest))
		snprintf(content->digest, sizeof(content->digest), "%s", answer->content_digest);
}

static void collect_done(struct exchange *exchange, const struct err *err)
{
	struct collect *collect = exchange->user;

	collect->done = true;
	if (err)
		err_set(&collect->err, err->kind, err->errnum, "%s", err_message(err));
	else if (collect->content)
		take_head(&exchange->answer, collect->content);
	else if (collect->next)
		*collect->next = TAKE(exchange->answer.next);
}

static const struct exchange_sink collect_sink = { collect_begin, collect_data, collect_done, NULL };

/* One exchange, to its end; others go on meanwhile. `path` is below the registry's address. */
static int ask(struct registry *registry, struct exchange_request *request, const char *path, struct collect *collect,
	struct err **reterr)
{
	_cleanup_free_ char *url = NULL;
	struct exchange *exchange;

	if (asprintf(&url, "%s%s", registry->endpoints[registry->chosen].base, path) < 0) {
		url = NULL;
		return err_oom(reterr);
	}
	collect->done = false;
	request->url = url;
	int r = exchange_start(registry, request, &collect_sink, collect, &exchange, reterr);
	while (r == 0 && !collect->done) {
		r = registry_wait(registry, WAIT_MS, reterr);
		if (r < 0 && !collect->done)
			exchange_free(exchange);
	}
	if (r < 0) {
		err_free(collect->err);
		return r;
	}
	if (!collect->err)
		return 0;
	r = -collect->err->errnum;
	if (reterr)
		*reterr = TAKE(collect->err);
	err_free(collect->err);
	return r;
}

int content_page(struct registry *registry, const char *path, struct buf *out, char **ret_next, struct err **reterr)
{
	struct exchange_request request = { 0 };
	struct collect collect = { .out = out, .next = ret_next };

	return ask(registry, &request, path, &collect, reterr);
}

/* Something of the repository. */
static int ask_for(struct registry *registry, struct exchange_request *request, const char *kind, const char *what,
	struct collect *collect, struct err **reterr)
{
	_cleanup_free_ char *path = NULL;
	int r = session_probe(registry, reterr);

	if (r < 0)
		return r;
	if (asprintf(&path, "/v2/%s/%s/%s", registry->path, kind, what) < 0) {
		path = NULL;
		return err_oom(reterr);
	}
	return ask(registry, request, path, collect, reterr);
}

static int fetch(struct registry *registry, const char *kind, const char *what, const char *accept,
	struct collect *collect, struct err **reterr)
{
	struct exchange_request request = { .accept = accept };

	return ask_for(registry, &request, kind, what, collect, reterr);
}

static int check_digest(const struct buf *text, const char *wanted, char ret[static DIGEST_SIZE], const char *host,
	struct err **reterr)
{
	struct digest digest;

	if (sha256_of(text->data ?: "", text->len, &digest) < 0)
		return err_oom(reterr);
	digest_format(&digest, ret);
	if (wanted && strcmp(wanted, ret) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "%s sent other content (%s) than that of the digest %s",
			host, ret, wanted);
	return 0;
}

/* In the words that tools look for. */
static int refused(const struct registry *registry, const char *what, int r, struct err **reterr)
{
	const char *name = strcmp(registry->host, "docker.io") == 0 ? reference_familiar(registry->path) : NULL;
	bool is_digest = oci_digest_is_valid(what);

	if (!reterr || !*reterr)
		return r;
	enum err_kind kind = (*reterr)->kind;
	if (kind == ERR_NOT_FOUND)
		return err_wrap(reterr, r, "manifest for %s%s%s%s%s not found", name ? "" : registry->host,
			name ? "" : "/", name ?: registry->path, is_digest ? "@" : ":", what);
	if (kind == ERR_UNAUTHORIZED || kind == ERR_FORBIDDEN) {
		r = err_wrap(reterr, r,
			"pull access denied for %s%s%s, repository does not exist or may require 'docker login'",
			name ? "" : registry->host, name ? "" : "/", name ?: registry->path);
		(*reterr)->kind = ERR_NOT_FOUND;
	}
	return r;
}

static int fetch_manifest(struct registry *registry, const char *what, struct registry_content *ret,
	struct err **reterr)
{
	for (;;) {
		_autofree_(err) struct err *err = NULL;
		struct collect collect = { .out = &ret->text, .content = ret };
		int r = fetch(registry, "manifests", what, ACCEPT_MANIFESTS, &collect, &err);
		if (r < 0 && r != -ECANCELED && session_next_endpoint(registry) == 0)
			continue;
		if (r < 0)
			r = refused(registry, what, r, &err);
		if (reterr)
			*reterr = TAKE(err);
		return r;
	}
}

int registry_manifest(struct registry *registry, const char *what, struct registry_content *ret, struct err **reterr)
{
	*ret = (struct registry_content){ .text = BUF_INIT(OCI_MANIFEST_MAX) };
	int r = fetch_manifest(registry, what, ret, reterr);
	if (r == 0)
		r = check_digest(&ret->text, oci_digest_is_valid(what) ? what : NULL, ret->digest, registry->host,
			reterr);
	if (r < 0)
		registry_content_finish(ret);
	return r;
}

void registry_content_finish(struct registry_content *content)
{
	buf_finish(&content->text);
	memset(content, 0, sizeof(*content));
}

int registry_blob(struct registry *registry, const char *digest, int64_t size, struct buf *out, struct err **reterr)
{
	struct collect collect = { .out = out };
	char have[DIGEST_SIZE];
	int r = fetch(registry, "blobs", digest, NULL, &collect, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "cannot get the blob %s", digest);
	if (size >= 0 && (int64_t)out->len != size)
		return err_set(reterr, ERR_INVALID, EBADMSG, "%s sent %zu bytes of the blob %s, which has %lld",
			registry->host, out->len, digest, (long long)size);
	return check_digest(out, digest, have, registry->host, reterr);
}

int registry_search(struct registry *registry, const char *term, int64_t limit, struct buf *out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf path = BUF_INIT(SEARCH_PATH_MAX);
	struct exchange_request request = { .accept = "application/json" };
	struct collect collect = { .out = out };
	char number[24];
	int r = session_probe(registry, reterr);

	if (r < 0)
		return r;
	snprintf(number, sizeof(number), "%lld", (long long)limit);
	r = buf_puts(&path, "/v1/search");
	if (r == 0)
		r = query_append(&path, "q", term);
	if (r == 0)
		r = query_append(&path, "n", number);
	if (r < 0)
		return err_errno(reterr, r, "cannot ask for \"%.100s\"", term);
	return ask(registry, &request, path.data, &collect, reterr);
}

/* ---- upwards */

static ssize_t text_read(struct exchange *exchange, void *data, size_t len)
{
	struct collect *collect = exchange->user;
	size_t left = collect->in->len - collect->sent;

	if (len > left)
		len = left;
	memcpy(data, collect->in->data + collect->sent, len);
	collect->sent += len;
	return (ssize_t)len;
}

static int text_rewind(struct exchange *exchange)
{
	struct collect *collect = exchange->user;

	collect->sent = 0;
	return 0;
}

static const struct exchange_body text_body = { text_read, text_rewind, NULL };

int registry_put_manifest(struct registry *registry, const char *what, const char *media_type, const struct buf *text,
	const char *digest, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf answer = BUF_INIT(OCI_MANIFEST_MAX);
	struct registry_content content = { .digest = "" };
	struct collect collect = { .out = &answer, .content = &content, .in = text };
	struct exchange_request request = {
		.method = "PUT",
		.content_type = media_type,
		.body = &text_body,
		.body_size = (int64_t)text->len,
		.range_first = -1,
	};
	int r = ask_for(registry, &request, "manifests", what, &collect, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "cannot put the manifest %s", what);
	return !*content.digest || strcmp(content.digest, digest) == 0
		       ? 0
		       : err_set(reterr, ERR_UNAVAILABLE, EBADMSG,
				 "%s says that it has the manifest %s as another (%s)", registry->host, digest,
				 content.digest);
}
