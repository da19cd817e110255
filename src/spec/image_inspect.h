/*
 * What the Engine API answers about images. Written only; a pointer may be borrowed where the writer does not finish the
 * struct.
 */
#pragma once

#include "spec/container_inspect.h"
#include "spec/oci_image.h"

struct image_rootfs {
	char *type;
	char **layers;
};

struct image_metadata {
	char *last_tag_time; /* "0001-01-01T00:00:00Z" if never */
};

/* GET /images/NAME/json */
struct image_inspect {
	char *id;
	char **repo_tags;
	char **repo_digests;
	char *parent;
	char *comment;
	char *created;
	char *docker_version;
	char *author;
	struct oci_image_run *config;
	char *architecture;
	char *variant;
	char *os;
	char *os_version;
	int64_t size;
	int64_t virtual_size; /* for clients before 1.44 */
	struct graph_driver graph_driver;
	struct image_rootfs rootfs;
	struct image_metadata metadata;
};

/* An entry of GET /images/json */
struct image_summary {
	int64_t containers; /* -1: not counted */
	int64_t created;    /* seconds */
	char *id;
	struct map *labels;
	char *parent_id;
	char **repo_digests;
	char **repo_tags;
	int64_t shared_size; /* -1: not counted */
	int64_t size;
	int64_t virtual_size; /* for clients before 1.44 */
};

/* An entry of GET /images/NAME/history */
struct image_history_item {
	char *comment;
	int64_t created; /* seconds */
	char *created_by;
	char *id; /* "<missing>" below the top */
	int64_t size;
	char **tags;
};

/* An entry of the answer to DELETE /images/NAME */
struct image_delete_item {
	char *deleted;
	char *untagged;
};

struct images_prune_answer {
	struct image_delete_item *deleted;
	size_t deleted_count;
	uint64_t space_reclaimed;
};

extern const struct json_table image_inspect_table;
extern const struct json_table image_summary_table;
extern const struct json_table image_history_item_table;
extern const struct json_table image_delete_item_table;
extern const struct json_table images_prune_answer_table;
