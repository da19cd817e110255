/* Blobs, streamed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "registry/exchange.h"

struct registry_transfer {
	struct exchange *exchange;
	struct registry_download download; /* its strings are ours */
	char *digest;
};

static int download_begin(struct exchange *exchange, int64_t offset)
{
	struct registry_transfer *transfer = exchange->user;
	const struct registry_download *download = &transfer->download;
	int64_t size = exchange->answer.content_length;

	if (download->size >= 0 && size >= 0 && offset + size != download->size) {
		err_set(&exchange->failure, ERR_INVALID, EBADMSG,
			"%s: the blob %s is said to be of %lld bytes, and not of %lld", exchange->registry->host,
			transfer->digest, (long long)(offset + size), (long long)download->size);
		return -EBADMSG;
	}
	/* Bytes that the caller has, and the registry begins anew. */
	return offset == 0 && transfer->download.offset > 0 ? download->on_restart(download->user) : 0;
}

static int download_data(struct exchange *exchange, const void *data, size_t len)
{
	struct registry_transfer *transfer = exchange->user;
	const struct registry_download *download = &transfer->download;

	if (download->size >= 0 && exchange->received + (int64_t)len > download->size) {
		err_set(&exchange->failure, ERR_INVALID, EBADMSG, "%s sends more of the blob %s than its %lld bytes",
			exchange->registry->host, transfer->digest, (long long)download->size);
		return -EBADMSG;
	}
	int r = download->on_data(data, len, download->user);
	if (r == 0)
		transfer->download.offset = exchange->received + (int64_t)len;
	return r;
}

static void download_done(struct exchange *exchange, const struct err *err)
{
	struct registry_transfer *transfer = exchange->user;
	const struct registry_download *download = &transfer->download;
	_autofree_(err) struct err *cut = NULL;

	if (!err && download->size >= 0 && exchange->received != download->size) {
		err_set(&cut, ERR_UNAVAILABLE, EBADMSG, "%s: the blob %s ended after %lld of its %lld bytes",
			exchange->registry->host, transfer->digest, (long long)exchange->received,
			(long long)download->size);
		err = cut;
	}
	download->on_done(err, download->user);
	free(transfer->digest);
	free(transfer);
}

static const struct exchange_sink download_sink = { download_begin, download_data, download_done };

int registry_download(struct registry *registry, const struct registry_download *download,
	struct registry_transfer **ret, struct err **reterr)
{
	struct registry_transfer *transfer = calloc(1, sizeof(*transfer));
	_cleanup_free_ char *url = NULL;
	int r = session_probe(registry, reterr);

	if (r == 0 && (!transfer || !(transfer->digest = strdup(download->digest)) ||
			      asprintf(&url, "%s/v2/%s/blobs/%s", registry->endpoints[registry->chosen].base,
				      registry->path, download->digest) < 0)) {
		url = NULL;
		r = err_oom(reterr);
	}
	if (r == 0) {
		transfer->download = *download;
		transfer->download.digest = transfer->digest;
		r = exchange_start_at(registry, url, download->offset, &download_sink, transfer, &transfer->exchange,
			reterr);
	}
	if (r < 0) {
		if (transfer)
			free(transfer->digest);
		free(transfer);
		return r;
	}
	*ret = transfer;
	return 0;
}

void registry_transfer_resume(struct registry_transfer *transfer)
{
	exchange_resume(transfer->exchange);
}
