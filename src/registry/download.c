/* Blobs, streamed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "registry/exchange.h"

struct download {
	struct registry_download wish; /* its digest is ours */
	char *digest;
};

static void download_free(struct download *download)
{
	if (!download)
		return;
	free(download->digest);
	free(download);
}
DEFINE_AUTOFREE(download, struct download *, download_free);

static int wrong_size(struct exchange *exchange, const struct download *download, int64_t size)
{
	return err_set(&exchange->failure, ERR_INVALID, EBADMSG,
		"%s: the blob %s is of %lld bytes or more, and not of %lld", exchange->registry->host, download->digest,
		(long long)size, (long long)download->wish.size);
}

static int download_begin(struct exchange *exchange, int64_t offset)
{
	const struct download *download = exchange->user;
	int64_t length = exchange->answer.content_length, size = download->wish.size;

	if (size >= 0 && length >= 0 && offset + length != size)
		return wrong_size(exchange, download, offset + length);
	return download->wish.on_begin(offset, exchange->etag ?: "", download->wish.user);
}

static int download_data(struct exchange *exchange, const void *data, size_t len)
{
	const struct download *download = exchange->user;
	int64_t after = exchange->received + (int64_t)len;

	if (download->wish.size >= 0 && after > download->wish.size)
		return wrong_size(exchange, download, after);
	return download->wish.on_data(data, len, download->wish.user);
}

static void download_done(struct exchange *exchange, const struct err *err)
{
	struct download *download = exchange->user;
	_autofree_(err) struct err *cut = NULL;

	if (!err && download->wish.size >= 0 && exchange->received != download->wish.size) {
		err_set(&cut, ERR_UNAVAILABLE, EBADMSG, "%s: the blob %s ended after %lld of its %lld bytes",
			exchange->registry->host, download->digest, (long long)exchange->received,
			(long long)download->wish.size);
		err = cut;
	}
	download->wish.on_done(err, download->wish.user);
}

static void download_release(void *user)
{
	download_free(user);
}

static const struct exchange_sink download_sink = { download_begin, download_data, download_done, download_release };

static struct download *download_new(const struct registry_download *wish)
{
	_autofree_(download) struct download *download = calloc(1, sizeof(*download));

	if (!download)
		return NULL;
	download->wish = *wish;
	download->digest = strdup(wish->digest);
	return download->digest ? TAKE(download) : NULL;
}

int registry_download(struct registry *registry, const struct registry_download *wish, struct err **reterr)
{
	_cleanup_free_ char *url = NULL;
	struct exchange *exchange;
	int r = session_probe(registry, reterr);

	if (r < 0)
		return r;
	if (asprintf(&url, "%s/v2/%s/blobs/%s", registry->endpoints[registry->chosen].base, registry->path,
		    wish->digest) < 0) {
		url = NULL;
		return err_oom(reterr);
	}
	struct download *download = download_new(wish);
	if (!download)
		return err_oom(reterr);
	struct exchange_request request = { .url = url, .resumable = true, .offset = wish->offset, .etag = wish->etag };
	return exchange_start(registry, &request, &download_sink, download, &exchange, reterr);
}
