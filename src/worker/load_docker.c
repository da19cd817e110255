#include "worker/load_docker.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "codec/sha256.h"
#include "spec/oci_image.h"
#include "worker/files.h"
#include "worker/layers.h"

#define HEX_DIGITS 64

/* "HEX.json", "blobs/sha256/HEX", "HEX": the digest that the name claims, or NULL. */
static const char *claimed_hex(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char hex[HEX_DIGITS + 1];

	if (strlen(name) < HEX_DIGITS || (name[HEX_DIGITS] && strcmp(name + HEX_DIGITS, ".json") != 0))
		return NULL;
	memcpy(hex, name, HEX_DIGITS);
	hex[HEX_DIGITS] = '\0';
	return is_hex(hex, HEX_DIGITS) ? name : NULL;
}

static int check_config_name(const char *path, const struct buf *config, struct err **reterr)
{
	_autofree_(sha256) struct sha256 *hash = sha256_new();
	const char *hex = claimed_hex(path);
	char digest[STORE_DIGEST_SIZE];

	if (!hash)
		return err_oom(reterr);
	if (!hex)
		return 0;
	sha256_update(hash, config->data, config->len);
	sha256_digest(hash, digest);
	if (strncmp(strchr(digest, ':') + 1, hex, HEX_DIGITS) != 0)
		return err_set(reterr, ERR_INVALID, EBADMSG, "image config %s is corrupt: its content's digest is %s",
			path, digest);
	return 0;
}

struct source {
	struct load_archive *archive;
	const struct docker_archive_image *image;
};

static int open_layer(size_t index, struct layer_file *ret, void *data, struct err **reterr)
{
	const struct source *source = data;

	ret->fd = archive_file_open(source->archive->fd, source->image->layers[index], reterr);
	return ret->fd < 0 ? ret->fd : 0;
}

static int load_layers(struct load_archive *archive, const struct docker_archive_image *image,
	const struct oci_image_config *config, struct err **reterr)
{
	size_t want = strv_count(config->rootfs.diff_ids), have = strv_count(image->layers);
	struct source source = { archive, image };

	if (want != have)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid manifest, layers length mismatch: expected %zu, got %zu", want, have);
	return layers_obtain(archive->task, config->rootfs.diff_ids, open_layer, &source, reterr);
}

static bool is_of_platform(const struct load_archive *archive, const struct oci_image_config *config)
{
	return !archive->platform_asked || platform_matches(&archive->platform, config);
}

static int load_one(struct load_archive *archive, const struct docker_archive_image *image, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_IMAGE_CONFIG_MAX);
	struct oci_image_config config;
	int r;

	r = load_check_names(image->repo_tags, reterr);
	if (r >= 0)
		r = archive_file_read(archive->fd, image->config, &text, reterr);
	if (r >= 0)
		r = check_config_name(image->config, &text, reterr);
	if (r < 0)
		return r;
	r = oci_image_config_parse(text.data ? text.data : "", text.len, &config, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid image config %s", image->config);
	if (is_of_platform(archive, &config)) {
		r = load_layers(archive, image, &config, reterr);
		if (r >= 0)
			r = load_image(archive, text.data, text.len, image->repo_tags, reterr);
	}
	oci_image_config_finish(&config);
	return r;
}

int load_docker_archive(struct load_archive *archive, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(DOCKER_ARCHIVE_INDEX_MAX);
	struct docker_archive_image *images;
	size_t count;
	int r;

	r = archive_file_read(archive->fd, "manifest.json", &text, reterr);
	if (r < 0)
		return r;
	r = docker_archive_parse(text.data ? text.data : "", text.len, &images, &count, reterr);
	if (r < 0)
		return r;
	if (count > LIMIT_IMAGES)
		r = err_set(reterr, ERR_TOO_LARGE, 0, "the archive has more than %d images", LIMIT_IMAGES);
	for (size_t i = 0; r >= 0 && i < count; i++)
		r = load_one(archive, &images[i], reterr);
	docker_archive_free(images, count);
	if (r >= 0 && archive->loaded == 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "the archive has no image%s%s%s%s",
			archive->platform_asked ? " for " : "", archive->platform_asked ? archive->platform.os : "",
			archive->platform_asked ? "/" : "",
			archive->platform_asked ? archive->platform.architecture : "");
	return r;
}
