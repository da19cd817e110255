#include "store/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"
#include "spec/oci_image.h"
#include "store/handle.h"
#include "store/names.h"
#include "store/store.h"

#define ID_HEX_DIGITS 64

/* ---- reading one */

static int read_names(struct store *store, struct store_image *image, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT repository, tag, digest FROM names WHERE image = ?1 ORDER BY repository, tag, digest", "s",
		image->id);

	while (r >= 0) {
		const char *digest;
		char *text;

		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			break;
		digest = db_text(statement, 2);
		text = name_format(db_text(statement, 0), db_text(statement, 1), digest);
		if (strv_append_take(*digest ? &image->repo_digests : &image->repo_tags, text) < 0)
			r = err_oom(reterr);
	}
	return r;
}

static int read_layers(struct store *store, struct store_image *image, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r;

	image->layer_sizes = calloc(STORE_LAYERS_MAX, sizeof(*image->layer_sizes));
	if (!image->layer_sizes)
		return err_oom(reterr);
	r = db_prepare(store->db, &statement, reterr,
		"SELECT diff_id, size FROM image_layers JOIN layers USING (diff_id) WHERE image = ?1 ORDER BY position",
		"s", image->id);
	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0 || image->layer_count == STORE_LAYERS_MAX)
			break;
		if (strv_append(&image->diff_ids, db_text(statement, 0)) < 0)
			return err_oom(reterr);
		image->layer_sizes[image->layer_count] = sqlite3_column_int64(statement, 1);
		image->size_bytes += image->layer_sizes[image->layer_count++];
	}
	return r;
}

static int read_config(struct store_image *image, const void *text, size_t len, struct err **reterr)
{
	image->config_text = malloc(len + 1);
	image->config = calloc(1, sizeof(*image->config));
	if (!image->config_text || !image->config)
		return err_oom(reterr);
	memcpy(image->config_text, text, len);
	image->config_text[len] = '\0';
	image->config_len = len;
	return oci_image_config_parse(image->config_text, len, image->config, reterr);
}

#define IMAGE_COLUMNS "id, config, created, tagged, COALESCE(parent, '')"

/* From a row of IMAGE_COLUMNS. */
static int read_row_alone(sqlite3_stmt *row, struct store_image **ret, struct err **reterr)
{
	_autofree_(store_image) struct store_image *image = calloc(1, sizeof(*image));

	if (!image)
		return err_oom(reterr);
	snprintf(image->id, sizeof(image->id), "%s", db_text(row, 0));
	image->created_ns = sqlite3_column_int64(row, 2);
	image->last_tagged_ns = sqlite3_column_int64(row, 3);
	snprintf(image->parent, sizeof(image->parent), "%s", db_text(row, 4));
	int r = read_config(image, sqlite3_column_blob(row, 1), (size_t)sqlite3_column_bytes(row, 1), reterr);
	if (r < 0)
		return err_wrap(reterr, r, "image %s", image->id);
	*ret = TAKE(image);
	return 0;
}

static int read_row(struct store *store, sqlite3_stmt *row, struct store_image **ret, struct err **reterr)
{
	_autofree_(store_image) struct store_image *image = NULL;
	int r = read_row_alone(row, &image, reterr);

	if (r == 0)
		r = read_names(store, image, reterr);
	if (r >= 0)
		r = read_layers(store, image, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(image);
	return 0;
}

void store_image_free(struct store_image *image)
{
	if (!image)
		return;
	strv_free(image->repo_tags);
	strv_free(image->repo_digests);
	strv_free(image->diff_ids);
	free(image->layer_sizes);
	if (image->config)
		oci_image_config_finish(image->config);
	free(image->config);
	free(image->config_text);
	free(image);
}

/* ---- finding one */

static int no_such_image(const char *name, const struct reference *reference, struct err **reterr)
{
	if (!reference || reference->tag || reference->digest)
		return err_set(reterr, ERR_NOT_FOUND, 0, "No such image: %s", name);
	return err_set(reterr, ERR_NOT_FOUND, 0, "No such image: %s:%s", reference_familiar(reference->repository),
		REFERENCE_DEFAULT_TAG);
}

/* The ID that begins so; "" if none does. */
static int find_prefix(struct store *store, const char *prefix, char ret_id[static STORE_DIGEST_SIZE],
	struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	char low[STORE_DIGEST_SIZE], high[STORE_DIGEST_SIZE + 1];
	int r;

	*ret_id = '\0';
	if (strncmp(prefix, DIGEST_PREFIX, strlen(DIGEST_PREFIX)) == 0)
		prefix += strlen(DIGEST_PREFIX);
	if (!*prefix || strlen(prefix) > ID_HEX_DIGITS || !is_hex(prefix, strlen(prefix)))
		return 0;
	snprintf(low, sizeof(low), DIGEST_PREFIX "%s", prefix);
	snprintf(high, sizeof(high), DIGEST_PREFIX "%sg", prefix);
	r = db_prepare(store->db, &statement, reterr, "SELECT id FROM images WHERE id >= ?1 AND id < ?2 LIMIT 2", "ss",
		low, high);
	if (r < 0)
		return r;
	r = db_step(store->db, statement, reterr);
	if (r <= 0)
		return r;
	snprintf(ret_id, STORE_DIGEST_SIZE, "%s", db_text(statement, 0));
	r = db_step(store->db, statement, reterr);
	if (r > 0)
		return err_set(reterr, ERR_INVALID, 0, "Multiple IDs found with provided prefix: %s", prefix);
	return r;
}

/* A digest names the image of that ID too, whatever stands before it: that is how one asks for exactly this image. */
static int find_digest(struct store *store, const struct reference *reference, char ret_id[static STORE_DIGEST_SIZE],
	struct err **reterr)
{
	int64_t known = 0;
	int r = db_get_int(store->db, 0, &known, reterr, "SELECT 1 FROM images WHERE id = ?1", "s", reference->digest);

	if (r < 0)
		return r;
	if (!known)
		return name_lookup(store, reference->repository, "", reference->digest, ret_id, reterr);
	snprintf(ret_id, STORE_DIGEST_SIZE, "%s", reference->digest);
	return 0;
}

static bool is_full_id(const char *name)
{
	return oci_digest_is_valid(name) || (strlen(name) == ID_HEX_DIGITS && is_hex(name, ID_HEX_DIGITS));
}

/* Names before prefixes: an image called "cafe" is found by its name. */
static int find_named(struct store *store, const char *name, char ret_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	struct reference reference;
	int r = name_parse(name, &reference, reterr);

	if (r < 0)
		return r;
	if (reference.digest)
		r = find_digest(store, &reference, ret_id, reterr);
	else
		r = name_lookup(store, reference.repository, reference.tag ? reference.tag : REFERENCE_DEFAULT_TAG, "",
			ret_id, reterr);
	if (r >= 0 && !*ret_id)
		r = find_prefix(store, name, ret_id, reterr);
	if (r >= 0 && !*ret_id)
		r = no_such_image(name, &reference, reterr);
	reference_finish(&reference);
	return r;
}

int store_image_id(struct store *store, const char *name, char ret_id[static STORE_DIGEST_SIZE], struct err **reterr)
{
	int r;

	*ret_id = '\0';
	if (!is_full_id(name))
		return find_named(store, name, ret_id, reterr);
	r = find_prefix(store, name, ret_id, reterr);
	if (r >= 0 && !*ret_id)
		r = no_such_image(name, NULL, reterr);
	return r;
}

static int find_row(struct store *store, const char *name, bool alone, struct store_image **ret, struct err **reterr)
{
	_autorest_ sqlite3_stmt *statement = NULL;
	char id[STORE_DIGEST_SIZE];
	int r = store_image_id(store, name, id, reterr);

	if (r < 0)
		return r;
	r = db_prepare_kept(store->db, &statement, reterr, "SELECT " IMAGE_COLUMNS " FROM images WHERE id = ?1", "s",
		id);
	if (r < 0)
		return r;
	r = db_step(store->db, statement, reterr);
	if (r < 0)
		return r;
	if (r == 0) /* another process may have removed it since */
		return no_such_image(name, NULL, reterr);
	return alone ? read_row_alone(statement, ret, reterr) : read_row(store, statement, ret, reterr);
}

int store_image_find(struct store *store, const char *name, struct store_image **ret, struct err **reterr)
{
	return find_row(store, name, false, ret, reterr);
}

int store_image_find_config(struct store *store, const char *name, struct store_image **ret, struct err **reterr)
{
	return find_row(store, name, true, ret, reterr);
}

/* ---- all of them */

void store_images_free(struct store_image **images, size_t count)
{
	for (size_t i = 0; i < count; i++)
		store_image_free(images[i]);
	free(images);
}

static int read_rows(struct store *store, sqlite3_stmt *rows, struct store_image **images, size_t size, size_t *count,
	struct err **reterr)
{
	while (*count < size) {
		int r = db_step(store->db, rows, reterr);

		if (r <= 0)
			return r;
		r = read_row(store, rows, &images[*count], reterr);
		if (r < 0)
			return r;
		(*count)++;
	}
	return 0;
}

int store_image_list(struct store *store, struct store_image ***ret, size_t *ret_count, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	struct store_image **images;
	int64_t size = 0;
	size_t count = 0;
	int r;

	r = db_get_int(store->db, 0, &size, reterr, "SELECT COUNT(*) FROM images", "");
	if (r < 0)
		return r;
	images = calloc((size_t)size + 1, sizeof(struct store_image *));
	if (!images)
		return err_oom(reterr);
	r = db_prepare(store->db, &statement, reterr, "SELECT " IMAGE_COLUMNS " FROM images ORDER BY created DESC, id",
		"");
	if (r >= 0)
		r = read_rows(store, statement, images, (size_t)size, &count, reterr);
	if (r < 0) {
		store_images_free(images, count);
		return r;
	}
	*ret = images;
	*ret_count = count;
	return 0;
}

/* ---- history */

/* `layer` counts the layers met so far, from the lowest; entries beyond the layers have no size. */
static void history_entry(const struct store_image *image, const struct oci_image_history *from, size_t *layer,
	struct store_history *to)
{
	to->id = "<missing>";
	to->created_by = from->created_by ? from->created_by : "";
	to->comment = from->comment ? from->comment : "";
	if (!from->created || clock_parse_rfc3339(from->created, &to->created_ns) < 0)
		to->created_ns = CLOCK_NEVER;
	if (!from->empty_layer && *layer < image->layer_count)
		to->size_bytes = image->layer_sizes[(*layer)++];
}

int store_image_history(const struct store_image *image, struct store_history **ret, size_t *ret_count,
	struct err **reterr)
{
	size_t count = image->config->history_count, layer = 0;
	struct store_history *entries = calloc(count + 1, sizeof(*entries));

	if (!entries)
		return err_oom(reterr);
	for (size_t i = 0; i < count; i++)
		history_entry(image, &image->config->history[i], &layer, &entries[count - 1 - i]);
	if (count > 0)
		entries[0].id = image->id;
	*ret = entries;
	*ret_count = count;
	return 0;
}

/* ---- tagging */

int store_image_tags(struct store *store, const char *repository, char ***ret, struct err **reterr)
{
	_autostatement_ sqlite3_stmt *statement = NULL;
	int r = db_prepare(store->db, &statement, reterr,
		"SELECT tag FROM names WHERE repository = ?1 AND digest = '' ORDER BY tag", "s", repository);

	while (r >= 0) {
		r = db_step(store->db, statement, reterr);
		if (r <= 0)
			return r;
		if (strv_append(ret, db_text(statement, 0)) < 0)
			r = err_oom(reterr);
	}
	return r;
}

static int point(struct store *store, const char *name, const struct reference *reference, struct err **reterr)
{
	_cleanup_(db_transaction_end) struct db_transaction transaction = { 0 };
	char id[STORE_DIGEST_SIZE];
	int r = db_begin(store->db, &transaction, reterr);

	if (r < 0)
		return r;
	r = store_image_id(store, name, id, reterr);
	if (r < 0)
		return r;
	r = name_point(store, reference, id, reterr);
	if (r < 0)
		return r;
	return db_commit(&transaction, reterr);
}

int store_image_tag(struct store *store, const char *name, const char *reference_text, struct err **reterr)
{
	struct reference reference;
	int r = name_parse_tag(reference_text, &reference, reterr);

	if (r < 0)
		return r;
	r = point(store, name, &reference, reterr);
	reference_finish(&reference);
	return r;
}
