#include "worker/save.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

#include "archive/tar.h"
#include "base/map.h"
#include "base/strv.h"
#include "spec/oci_image.h"
#include "spec/platform.h"
#include "store/names.h"
#include "worker/content.h"
#include "worker/limits.h"

#define DOCUMENT_MAX (64 * 1024 * 1024)
#define NAME_BYTES   100
#define HEAD_BYTES   (64 * 1024)

static const char oci_layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
static const char zeros[TAR_END_BYTES];

struct saved {
	struct content content;
	char **tags; /* "debian:12": those that were asked for */
};

/* A file of the archive: one of the two, or none for a folder. */
struct member {
	char name[NAME_BYTES + 1];
	const struct layer_blob *blob;
	const char *data;
	int64_t size_bytes;
};

struct save {
	struct task *task;
	struct platform platform;
	bool platform_asked;
	struct saved *images;
	size_t image_count;
	struct map *names; /* of members: a blob that several images have is there once */
	struct member *members;
	size_t member_count;
	struct buf manifest, index, repositories; /* texts of the three documents */
};

static void save_finish(struct save *save)
{
	for (size_t i = 0; i < save->image_count; i++) {
		content_finish(&save->images[i].content);
		strv_free(save->images[i].tags);
	}
	free(save->images);
	free(save->members);
	map_free(save->names);
	buf_finish(&save->manifest);
	buf_finish(&save->index);
	buf_finish(&save->repositories);
}

/* ---- which images */

static int check_platform(const struct save *save, const char *name, const struct oci_image_config *config,
	struct err **reterr)
{
	return save->platform_asked ? platform_check(&save->platform, config, name, reterr) : 0;
}

/* The image's place in the archive, made if it has none yet. */
static int add_image(struct save *save, const char *name, struct saved **ret, struct err **reterr)
{
	struct content content;
	struct saved *images;
	int r = content_open(save->task->job, name, &content, reterr);

	if (r < 0)
		return r;
	r = check_platform(save, name, content.image->config, reterr);
	for (size_t i = 0; r == 0 && i < save->image_count; i++) {
		*ret = &save->images[i];
		if (strcmp((*ret)->content.image->id, content.image->id) != 0)
			continue;
		content_finish(&content);
		return 0;
	}
	images = r < 0 ? NULL : reallocarray(save->images, save->image_count + 1, sizeof(*images));
	if (!images) {
		content_finish(&content);
		return r < 0 ? r : err_oom(reterr);
	}
	save->images = images;
	*ret = &images[save->image_count++];
	**ret = (struct saved){ .content = content };
	return 0;
}

/* `name`, and the tag that it is of the image; none if it was found by its ID or digest. */
static int add_named(struct save *save, const char *name, const struct reference *reference, struct err **reterr)
{
	_cleanup_free_ char *tag = NULL;
	struct saved *saved;
	int r = add_image(save, name, &saved, reterr);

	if (r < 0 || reference->digest)
		return r;
	tag = name_format(reference->repository, reference->tag ?: REFERENCE_DEFAULT_TAG, "");
	if (!tag)
		return err_oom(reterr);
	if (!strv_has(saved->content.image->repo_tags, tag) || strv_has(saved->tags, tag))
		return 0;
	return strv_append(&saved->tags, tag) < 0 ? err_oom(reterr) : 0;
}

/* A repository alone stands for all of its tags. */
static int add_repository(struct save *save, const char *repository, bool *ret_any, struct err **reterr)
{
	_autofree_(strv) char **names = NULL;
	int r = names_of_repository(job_store(save->task->job), repository, &names, reterr);

	strv_foreach (name, names) {
		_cleanup_(reference_finish) struct reference reference = { NULL };

		r = r < 0 ? r : name_parse(*name, &reference, reterr);
		r = r < 0 ? r : add_named(save, *name, &reference, reterr);
	}
	*ret_any = names != NULL;
	return r;
}

static int add(struct save *save, const char *name, struct err **reterr)
{
	_cleanup_(reference_finish) struct reference reference = { NULL };
	bool any = false;
	int r;

	/* A full ID is no reference. */
	if (reference_parse(name, &reference, NULL) == -EINVAL)
		return add_image(save, name, &(struct saved *){ NULL }, reterr);
	if (!reference.repository)
		return err_oom(reterr);
	r = reference.tag || reference.digest ? 0 : add_repository(save, reference.repository, &any, reterr);
	return r < 0 || any ? r : add_named(save, name, &reference, reterr);
}

/* ---- what is in the archive */

static int add_member(struct save *save, const char *name, const struct layer_blob *blob, const char *data,
	size_t data_len)
{
	struct member *members = reallocarray(save->members, save->member_count + 1, sizeof(*members));

	if (!members)
		return -ENOMEM;
	save->members = members;
	struct member *member = &members[save->member_count];
	*member = (struct member){
		.blob = blob,
		.data = data,
		.size_bytes = blob ? blob->size_bytes : (int64_t)data_len,
	};
	snprintf(member->name, sizeof(member->name), "%s", name);
	if (map_has(save->names, name))
		return 0;
	save->member_count++;
	return map_set(save->names, name, save);
}

static int blob_name(const char *digest, char **ret)
{
	if (asprintf(ret, "blobs/sha256/%s", digest + strlen(DIGEST_PREFIX)) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int add_blob(struct save *save, const char *digest, const struct layer_blob *blob, const char *data, size_t len)
{
	_cleanup_free_ char *name = NULL;
	int r = blob_name(digest, &name);

	return r < 0 ? r : add_member(save, name, blob, data, len);
}

static int add_blobs(struct save *save)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < save->image_count; i++) {
		const struct content *content = &save->images[i].content;

		r = add_blob(save, content->manifest_digest, NULL, content->manifest.data, content->manifest.len);
		if (r == 0)
			r = add_blob(save, content->image->id, NULL, content->image->config_text,
				content->image->config_len);
	}
	for (size_t i = 0; r == 0 && i < save->image_count; i++) {
		const struct content *content = &save->images[i].content;

		for (size_t k = 0; r == 0 && k < content->image->layer_count; k++)
			r = add_blob(save, content->layers[k].digest, &content->layers[k], NULL, 0);
	}
	return r;
}

/* ---- the documents */

static int write_manifest_entry(const struct saved *saved, json_t *manifest)
{
	_autofree_(strv) char **layers = NULL;
	_cleanup_free_ char *config = NULL;
	struct docker_archive_image entry = { .repo_tags = saved->tags };
	int r = blob_name(saved->content.image->id, &config);

	for (size_t i = 0; r == 0 && i < saved->content.image->layer_count; i++) {
		char *name;

		r = blob_name(saved->content.layers[i].digest, &name);
		if (r == 0)
			r = strv_append_take(&layers, name);
	}
	entry.config = config;
	entry.layers = layers;
	return r < 0 ? r : json_array_append_new(manifest, json_write(&docker_archive_image_table, &entry));
}

/* The last layer stands for the image, as it did in archives of old. */
static int write_repository(const struct saved *saved, const struct reference *reference, json_t *repositories)
{
	const char *name = reference_familiar(reference->repository);
	size_t count = saved->content.image->layer_count;
	json_t *tags = json_object_get(repositories, name);

	if (count == 0)
		return 0;
	if (!tags && json_object_set_new(repositories, name, tags = json_object()) < 0)
		return -ENOMEM;
	return json_object_set_new(tags, reference->tag,
		json_string(saved->content.layers[count - 1].digest + strlen(DIGEST_PREFIX)));
}

static int write_descriptor(const struct saved *saved, const struct reference *reference, json_t *manifests)
{
	_cleanup_free_ char *name = NULL;
	json_t *entry = json_pack("{s:s, s:s, s:I}", "mediaType", OCI_MEDIA_TYPE_MANIFEST, "digest",
		saved->content.manifest_digest, "size", (json_int_t)saved->content.manifest.len);

	if (json_array_append_new(manifests, entry) < 0)
		return -ENOMEM;
	if (!reference)
		return 0;
	if (asprintf(&name, "%s:%s", reference->repository, reference->tag) < 0) {
		name = NULL;
		return -ENOMEM;
	}
	return json_object_set_new(entry, "annotations",
		json_pack("{s:s, s:s}", CONTAINERD_ANNOTATION_REF_NAME, name, OCI_ANNOTATION_REF_NAME, reference->tag));
}

static int write_names(const struct saved *saved, json_t *manifests, json_t *repositories)
{
	int r = saved->tags ? 0 : write_descriptor(saved, NULL, manifests);

	strv_foreach (tag, saved->tags) {
		_cleanup_(reference_finish) struct reference reference = { NULL };

		r = r < 0 ? r : reference_parse(*tag, &reference, NULL);
		r = r < 0 ? r : write_descriptor(saved, &reference, manifests);
		r = r < 0 ? r : write_repository(saved, &reference, repositories);
	}
	return r;
}

static int write_documents(struct save *save)
{
	_autojson_ json_t *manifest = json_array(), *manifests = json_array(), *repositories = json_object();
	_autojson_ json_t *index = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType", OCI_MEDIA_TYPE_INDEX,
		"manifests", manifests);
	int r = manifest && repositories && index ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < save->image_count; i++) {
		r = write_manifest_entry(&save->images[i], manifest);
		if (r == 0)
			r = write_names(&save->images[i], manifests, repositories);
	}
	if (r == 0)
		r = json_print_value(manifest, &save->manifest);
	if (r == 0)
		r = json_print_value(index, &save->index);
	if (r == 0 && json_object_size(repositories) > 0)
		r = json_print_value(repositories, &save->repositories);
	return r;
}

static int add_members(struct save *save)
{
	int r = write_documents(save);

	if (r == 0)
		r = add_member(save, "oci-layout", NULL, oci_layout, strlen(oci_layout));
	if (r == 0)
		r = add_member(save, "index.json", NULL, save->index.data, save->index.len);
	if (r == 0)
		r = add_member(save, "manifest.json", NULL, save->manifest.data, save->manifest.len);
	if (r == 0 && save->repositories.len > 0)
		r = add_member(save, "repositories", NULL, save->repositories.data, save->repositories.len);
	if (r == 0)
		r = add_member(save, "blobs/", NULL, NULL, 0);
	if (r == 0)
		r = add_member(save, "blobs/sha256/", NULL, NULL, 0);
	return r < 0 ? r : add_blobs(save);
}

/* ---- sending */

/* Folders and regular files of root's, of no time. */
static int member_head(const struct member *member, struct buf *out)
{
	bool is_folder = member->name[strlen(member->name) - 1] == '/';
	const struct tar_entry entry = {
		.path = member->name,
		.mode = is_folder ? S_IFDIR | 0755 : S_IFREG | 0644,
		.size = member->size_bytes,
	};

	return tar_header(&entry, out);
}

static int64_t archive_length(const struct save *save)
{
	int64_t length = TAR_END_BYTES;

	for (size_t i = 0; i < save->member_count; i++) {
		_cleanup_(buf_finish) struct buf head = BUF_INIT(HEAD_BYTES);

		if (member_head(&save->members[i], &head) < 0)
			return -ENOMEM;
		length += (int64_t)head.len + save->members[i].size_bytes +
			  (int64_t)tar_padding(save->members[i].size_bytes);
	}
	return length;
}

static int send_blob(struct save *save, const struct layer_blob *blob, struct err **reterr)
{
	_autoclose_ int fd = -1;
	int r = store_blob_open(job_store(save->task->job), blob, &fd, reterr);

	if (r < 0)
		return r;
	r = client_send_file(save->task->client, fd, blob->size_bytes);
	return r < 0 ? err_errno(reterr, r, "cannot send blob %s", blob->digest) : 0;
}

static int send_member(struct save *save, const struct member *member, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf head = BUF_INIT(HEAD_BYTES);
	int r = member_head(member, &head);

	if (r == 0)
		r = client_write(save->task->client, head.data, head.len);
	if (r == 0 && member->data)
		r = client_write(save->task->client, member->data, (size_t)member->size_bytes);
	if (r == 0 && member->blob) {
		r = send_blob(save, member->blob, reterr);
		if (r < 0)
			return r;
	}
	if (r == 0)
		r = client_write(save->task->client, zeros, tar_padding(member->size_bytes));
	return r < 0 ? err_errno(reterr, r, "cannot send the archive") : 0;
}

static void answer_head(struct save *save)
{
	static const struct client_header headers[] = { { "Content-Type", "application/x-tar" } };

	client_answer_bytes(save->task->client, headers, ARRAY_SIZE(headers), archive_length(save));
}

static int send_archive(struct save *save, struct err **reterr)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < save->member_count; i++)
		r = send_member(save, &save->members[i], reterr);
	if (r == 0 && client_write(save->task->client, zeros, TAR_END_BYTES) < 0)
		r = err_errno(reterr, -EPIPE, "cannot send the archive");
	return r;
}

static void tell_saved(const struct save *save)
{
	for (size_t i = 0; i < save->image_count; i++)
		save->task->event("save", save->images[i].content.image->id, "", save->task->event_data);
}

int save_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	const struct handover_save *wish = handover->save;
	_cleanup_(save_finish) struct save save = {
		.task = task,
		.platform_asked = wish->platform && *wish->platform,
		.names = map_new(NULL),
		.manifest = BUF_INIT(DOCUMENT_MAX),
		.index = BUF_INIT(DOCUMENT_MAX),
		.repositories = BUF_INIT(DOCUMENT_MAX),
	};
	int r = save.names ? platform_parse(wish->platform, &save.platform, reterr) : err_oom(reterr);

	if (r == 0 && strv_count(wish->names) > LIMIT_IMAGES)
		r = err_set(reterr, ERR_TOO_LARGE, 0, "more than %d images can't be saved at once", LIMIT_IMAGES);
	strv_foreach (name, wish->names)
		r = r < 0 ? r : add(&save, *name, reterr);
	if (r < 0)
		return r;
	r = add_members(&save);
	if (r < 0)
		return err_errno(reterr, r, "cannot describe the archive");
	answer_head(&save);
	if (strcmp(handover->method, "HEAD") == 0)
		return 0;
	r = send_archive(&save, reterr);
	if (r == 0)
		tell_saved(&save);
	return r;
}
