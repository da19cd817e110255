#include "spec/image_inspect.h"

static const struct json_field image_rootfs_fields[] = {
	JSON_FIELD(struct image_rootfs, type, "Type", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_rootfs, layers, "Layers", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table image_rootfs_table = JSON_TABLE(struct image_rootfs, image_rootfs_fields);

static const struct json_field image_metadata_fields[] = {
	JSON_FIELD(struct image_metadata, last_tag_time, "LastTagTime", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
};
static const struct json_table image_metadata_table = JSON_TABLE(struct image_metadata, image_metadata_fields);

static const struct json_field image_inspect_fields[] = {
	JSON_FIELD(struct image_inspect, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, repo_tags, "RepoTags", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, repo_digests, "RepoDigests", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, parent, "Parent", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, comment, "Comment", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, created, "Created", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_inspect, docker_version, "DockerVersion", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, author, "Author", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, config, "Config", JSON_OBJECT_PTR, .table = &oci_image_run_table),
	JSON_FIELD(struct image_inspect, architecture, "Architecture", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, variant, "Variant", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_inspect, os, "Os", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_inspect, os_version, "OsVersion", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_inspect, size, "Size", JSON_INT),
	JSON_FIELD(struct image_inspect, virtual_size, "VirtualSize", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_inspect, graph_driver, "GraphDriver", JSON_OBJECT_FIELD, .table = &graph_driver_table),
	JSON_FIELD(struct image_inspect, rootfs, "RootFS", JSON_OBJECT_FIELD, .table = &image_rootfs_table),
	JSON_FIELD(struct image_inspect, metadata, "Metadata", JSON_OBJECT_FIELD, .table = &image_metadata_table),
};
const struct json_table image_inspect_table = JSON_TABLE(struct image_inspect, image_inspect_fields);

static const struct json_field image_summary_fields[] = {
	JSON_FIELD(struct image_summary, containers, "Containers", JSON_INT),
	JSON_FIELD(struct image_summary, created, "Created", JSON_INT),
	JSON_FIELD(struct image_summary, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_summary, labels, "Labels", JSON_STRMAP),
	JSON_FIELD(struct image_summary, parent_id, "ParentId", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_summary, repo_digests, "RepoDigests", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_summary, repo_tags, "RepoTags", JSON_STRV, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_summary, shared_size, "SharedSize", JSON_INT),
	JSON_FIELD(struct image_summary, size, "Size", JSON_INT),
	JSON_FIELD(struct image_summary, virtual_size, "VirtualSize", JSON_INT, .flags = JSON_OMITEMPTY),
};
const struct json_table image_summary_table = JSON_TABLE(struct image_summary, image_summary_fields);

static const struct json_field image_history_item_fields[] = {
	JSON_FIELD(struct image_history_item, comment, "Comment", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_history_item, created, "Created", JSON_INT),
	JSON_FIELD(struct image_history_item, created_by, "CreatedBy", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_history_item, id, "Id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct image_history_item, size, "Size", JSON_INT),
	JSON_FIELD(struct image_history_item, tags, "Tags", JSON_STRV),
};
const struct json_table image_history_item_table = JSON_TABLE(struct image_history_item, image_history_item_fields);

static const struct json_field image_delete_item_fields[] = {
	JSON_FIELD(struct image_delete_item, deleted, "Deleted", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct image_delete_item, untagged, "Untagged", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
const struct json_table image_delete_item_table = JSON_TABLE(struct image_delete_item, image_delete_item_fields);

static const struct json_field images_prune_answer_fields[] = {
	JSON_FIELD_ARRAY(struct images_prune_answer, deleted, deleted_count, "ImagesDeleted", JSON_OBJECTS,
		.table = &image_delete_item_table),
	JSON_FIELD(struct images_prune_answer, space_reclaimed, "SpaceReclaimed", JSON_UINT),
};
const struct json_table images_prune_answer_table = JSON_TABLE(struct images_prune_answer, images_prune_answer_fields);
