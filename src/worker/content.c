#include "worker/content.h"

#include <errno.h>
#include <stdlib.h>

#include "codec/sha256.h"
#include "spec/oci_image.h"
#include "store/layer.h"
#include "worker/inflate.h"

/* The last two have no registered name; readers look at the bytes, or say that they can't. */
static const char *media_type_of(enum compression compression)
{
	switch (compression) {
	case COMPRESSION_GZIP: return OCI_MEDIA_TYPE_LAYER_GZIP;
	case COMPRESSION_ZSTD: return OCI_MEDIA_TYPE_LAYER_ZSTD;
	case COMPRESSION_XZ: return OCI_MEDIA_TYPE_LAYER "+xz";
	case COMPRESSION_BZIP2: return OCI_MEDIA_TYPE_LAYER "+bzip2";
	case COMPRESSION_NONE:
	default: return OCI_MEDIA_TYPE_LAYER;
	}
}

static int read_media_type(struct store *store, const struct layer_blob *blob, const char **ret, struct err **reterr)
{
	_autoclose_ int fd = -1;
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n;
	int r = store_blob_open(store, blob, &fd, reterr);

	if (r < 0)
		return r;
	n = pread(fd, magic, sizeof(magic), 0);
	if (n < 0)
		return err_errno(reterr, -errno, "cannot read blob %s", blob->digest);
	*ret = media_type_of(compression_detect(magic, (size_t)n));
	return 0;
}

static int read_layers(struct store *store, struct content *content, struct err **reterr)
{
	size_t count = content->image->layer_count;
	int r = 0;

	content->layers = calloc(count + 1, sizeof(*content->layers));
	content->media_types = calloc(count + 1, sizeof(*content->media_types));
	if (!content->layers || !content->media_types)
		return err_oom(reterr);
	for (size_t i = 0; r >= 0 && i < count; i++) {
		r = store_layer_blob(store, content->image->diff_ids[i], &content->layers[i], reterr);
		if (r >= 0)
			r = read_media_type(store, &content->layers[i], &content->media_types[i], reterr);
	}
	return r;
}

static int write_manifest(struct content *content, struct err **reterr)
{
	_cleanup_free_ struct oci_descriptor *layers = calloc(content->image->layer_count + 1, sizeof(*layers));
	struct oci_manifest manifest = {
		.schema_version = 2,
		.media_type = (char *)OCI_MEDIA_TYPE_MANIFEST,
		.config = { .media_type = (char *)OCI_MEDIA_TYPE_CONFIG,
			.digest = content->image->id,
			.size = (int64_t)content->image->config_len },
		.layers = layers,
		.layer_count = content->image->layer_count,
	};
	struct digest digest;
	int r = layers ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < manifest.layer_count; i++)
		layers[i] = (struct oci_descriptor){
			.media_type = (char *)content->media_types[i],
			.digest = content->layers[i].digest,
			.size = content->layers[i].size_bytes,
		};
	if (r == 0)
		r = json_print(&oci_manifest_table, &manifest, &content->manifest);
	if (r == 0)
		r = sha256_of(content->manifest.data, content->manifest.len, &digest);
	if (r < 0)
		return err_errno(reterr, r, "cannot write the manifest of image %s", content->image->id);
	digest_format(&digest, content->manifest_digest);
	return 0;
}

int content_open(struct job *job, const char *name, struct content *out, struct err **reterr)
{
	*out = (struct content){ .manifest = BUF_INIT(OCI_MANIFEST_MAX) };
	int r = store_image_find(job_store(job), name, &out->image, reterr);

	if (r >= 0)
		r = layer_hold_image(job, out->image->id, reterr);
	if (r >= 0)
		r = read_layers(job_store(job), out, reterr);
	if (r >= 0)
		r = write_manifest(out, reterr);
	if (r < 0)
		content_finish(out);
	return r < 0 ? r : 0;
}

void content_finish(struct content *content)
{
	store_image_free(content->image);
	free(content->layers);
	free(content->media_types);
	buf_finish(&content->manifest);
	*content = (struct content){ 0 };
}
