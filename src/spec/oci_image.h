/*
 * Images as documents: the OCI image specification 1.1 (config, manifest, index, layout file) with Docker's additions, and
 * what `docker save` writes beside them (manifest.json, repositories).
 *
 * Everything here comes from whoever made the image. Parsing checks all that later steps rely on: digests by grammar, so
 * that they may stand in a path; counts within bounds; and that a document has one meaning only. A manifest is what its
 * bytes say and what its descriptor said, or it is refused (CVE-2021-41190). What a config holds never selects what is done
 * on the host: labels, annotations, names and health checks are data for the container and for people.
 *
 * A config is kept as the bytes it came in, since its digest is the image's ID; these structs are for reading it, and for
 * writing the configs of images that we make.
 */
#pragma once

#include "spec/health.h"

/* Ceilings of the files, and of what they hold. */
#define OCI_MANIFEST_MAX         (4 * 1024 * 1024)
#define OCI_IMAGE_CONFIG_MAX     (4 * 1024 * 1024)
#define OCI_LAYOUT_MAX           4096
#define DOCKER_ARCHIVE_INDEX_MAX (1024 * 1024)
#define OCI_IMAGE_LAYERS_MAX     500 /* the kernel's limit on an overlay's lower folders */
#define OCI_INDEX_DEPTH_MAX      4   /* an index in an index ...: for those who follow them */

#define OCI_MEDIA_TYPE_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define OCI_MEDIA_TYPE_INDEX       "application/vnd.oci.image.index.v1+json"
#define OCI_MEDIA_TYPE_CONFIG      "application/vnd.oci.image.config.v1+json"
#define OCI_MEDIA_TYPE_LAYER       "application/vnd.oci.image.layer.v1.tar"
#define OCI_MEDIA_TYPE_LAYER_GZIP  "application/vnd.oci.image.layer.v1.tar+gzip"
#define OCI_MEDIA_TYPE_LAYER_ZSTD  "application/vnd.oci.image.layer.v1.tar+zstd"
#define DOCKER_MEDIA_TYPE_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DOCKER_MEDIA_TYPE_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define DOCKER_MEDIA_TYPE_CONFIG   "application/vnd.docker.container.image.v1+json"
#define DOCKER_MEDIA_TYPE_LAYER    "application/vnd.docker.image.rootfs.diff.tar.gzip"

/* Names of images in a layout's index. */
#define OCI_ANNOTATION_REF_NAME        "org.opencontainers.image.ref.name"
#define CONTAINERD_ANNOTATION_REF_NAME "io.containerd.image.name"

/* What a container of the image runs with unless it says otherwise; Docker's members are the last ones. */
struct oci_image_run {
	char *user;
	char **exposed_ports; /* "80/tcp" */
	char **env;
	char **entrypoint;
	char **cmd;
	char **volumes;
	char *working_dir;
	struct map *labels;
	char *stop_signal;
	bool args_escaped;
	struct healthcheck *healthcheck;
	char **on_build;
	char **shell;
};

struct oci_image_rootfs {
	char *type;      /* "layers" */
	char **diff_ids; /* "sha256:HEX" of the uncompressed tars, the lowest first */
};

struct oci_image_history {
	char *created; /* RFC 3339 */
	char *created_by;
	char *author;
	char *comment;
	bool empty_layer;
};

struct oci_image_config {
	char *created;
	char *author;
	char *architecture;
	char *variant;
	char *os;
	char *os_version;
	char **os_features;
	struct oci_image_run config;
	struct oci_image_rootfs rootfs;
	struct oci_image_history *history; /* may be shorter or longer than the layers are many */
	size_t history_count;
	char *docker_version;
	char *parent;
	char *comment;
};

struct oci_platform {
	char *architecture;
	char *os;
	char *os_version;
	char **os_features;
	char *variant;
};

struct oci_descriptor {
	char *media_type; /* docker-archives of old leave it out */
	char *digest;
	int64_t size;
	char **urls;
	struct map *annotations;
	struct oci_platform *platform;
	char *artifact_type;
};

struct oci_manifest {
	int64_t schema_version;
	char *media_type;
	char *artifact_type;
	struct oci_descriptor config;
	struct oci_descriptor *layers;
	size_t layer_count;
	struct oci_descriptor *subject;
	struct map *annotations;
};

struct oci_index {
	int64_t schema_version;
	char *media_type;
	char *artifact_type;
	struct oci_descriptor *manifests;
	size_t manifest_count;
	struct oci_descriptor *subject;
	struct map *annotations;
};

/* One image of a docker-archive's manifest.json: names of files in the archive. */
struct docker_archive_image {
	char *config;
	char **repo_tags;
	char **layers;
	char *parent;
};

extern const struct json_table oci_image_config_table;
extern const struct json_table oci_image_run_table;
extern const struct json_table oci_manifest_table;
extern const struct json_table oci_index_table;
extern const struct json_table oci_descriptor_table;
extern const struct json_table oci_platform_table;
extern const struct json_table docker_archive_image_table;

/* "sha256:" and 64 lower-case hex digits. NULL is not one. */
bool oci_digest_is_valid(const char *digest);

/* `out` is overwritten, and finished already on failure; ERR_INVALID says what is wrong. */
int oci_image_config_parse(const char *text, size_t len, struct oci_image_config *out, struct err **reterr);
void oci_image_config_finish(struct oci_image_config *config);

/* A manifest or an index, whichever the bytes are. */
struct oci_content {
	bool is_index;
	union {
		struct oci_manifest manifest;
		struct oci_index index;
	};
};

/* `media_type`: what the descriptor or the registry called it; NULL or "" if nobody did. */
int oci_content_parse(const char *text, size_t len, const char *media_type, struct oci_content *out,
	struct err **reterr);
void oci_content_finish(struct oci_content *content);

/* Each layer of the manifest has its diff ID. */
int oci_manifest_check_config(const struct oci_manifest *manifest, const struct oci_image_config *config,
	struct err **reterr);

/* The index's entry for a platform: os and architecture equal; variant equal if `variant` is not NULL, else the first.
 * Entries without a platform count when nothing better is there. Borrows; NULL if there is none. */
const struct oci_descriptor *oci_index_select(const struct oci_index *index, const char *os, const char *architecture,
	const char *variant);

enum oci_layer_format {
	OCI_LAYER_TAR,
	OCI_LAYER_GZIP,
	OCI_LAYER_ZSTD,
};
/* Returns 0, or -EINVAL for a media type that is no layer of ours. */
int oci_layer_format(const char *media_type, enum oci_layer_format *ret);

/* The layout file: a version of 1.x. */
int oci_layout_check(const char *text, size_t len, struct err **reterr);

/* manifest.json of a docker-archive. File names are checked: relative, without "..". */
int docker_archive_parse(const char *text, size_t len, struct docker_archive_image **ret, size_t *ret_count,
	struct err **reterr);
void docker_archive_free(struct docker_archive_image *images, size_t count);

/* repositories of a docker-archive: name to (map of tag to layer ID), which the caller frees. */
int docker_repositories_parse(const char *text, size_t len, struct map **ret, struct err **reterr);
