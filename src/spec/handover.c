#include "spec/handover.h"

#include <errno.h>
#include <string.h>

#include "spec/oci_check.h"

static const struct json_field handover_attach_fields[] = {
	JSON_FIELD(struct handover_attach, stream, "stream", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_attach, logs, "logs", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_attach, stdin_wanted, "stdin", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_attach, stdout_wanted, "stdout", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_attach, stderr_wanted, "stderr", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_attach, detach_keys, "detach_keys", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_attach_table = JSON_TABLE(struct handover_attach, handover_attach_fields);

static const struct json_field handover_wait_fields[] = {
	JSON_FIELD(struct handover_wait, condition, "condition", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
};
static const struct json_table handover_wait_table = JSON_TABLE(struct handover_wait, handover_wait_fields);

static const struct json_field handover_logs_fields[] = {
	JSON_FIELD(struct handover_logs, follow, "follow", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, stdout_wanted, "stdout", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, stderr_wanted, "stderr", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, timestamps, "timestamps", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, details, "details", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, since_ns, "since", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, until_ns, "until", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_logs, tail, "tail", JSON_INT),
};
static const struct json_table handover_logs_table = JSON_TABLE(struct handover_logs, handover_logs_fields);

static const struct json_field handover_stats_fields[] = {
	JSON_FIELD(struct handover_stats, stream, "stream", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_stats, one_shot, "one_shot", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_stats_table = JSON_TABLE(struct handover_stats, handover_stats_fields);

static const struct json_field handover_exec_start_fields[] = {
	JSON_FIELD(struct handover_exec_start, exec, "exec", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_exec_start, detach, "detach", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_exec_start, tty, "tty", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_exec_start, console_height, "console_height", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_exec_start, console_width, "console_width", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_exec_start, detach_keys, "detach_keys", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_exec_start_table = JSON_TABLE(struct handover_exec_start,
	handover_exec_start_fields);

static const struct json_field handover_load_fields[] = {
	JSON_FIELD(struct handover_load, quiet, "quiet", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_load, platform, "platform", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_load_table = JSON_TABLE(struct handover_load, handover_load_fields);

static const struct json_field handover_import_fields[] = {
	JSON_FIELD(struct handover_import, repo, "repo", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_import, tag, "tag", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_import, message, "message", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_import, changes, "changes", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_import, platform, "platform", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_import_table = JSON_TABLE(struct handover_import, handover_import_fields);

static const struct json_field handover_pull_fields[] = {
	JSON_FIELD(struct handover_pull, reference, "reference", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_pull, all_tags, "all_tags", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_pull, platform, "platform", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_pull_table = JSON_TABLE(struct handover_pull, handover_pull_fields);

static const struct json_field handover_push_fields[] = {
	JSON_FIELD(struct handover_push, repository, "repository", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_push, tag, "tag", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_push, platform, "platform", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_push_table = JSON_TABLE(struct handover_push, handover_push_fields);

static const struct json_field handover_auth_fields[] = {
	JSON_FIELD(struct handover_auth, username, "username", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_auth, password, "password", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_auth, identity_token, "identity_token", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_auth, server_address, "server_address", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_auth_table = JSON_TABLE(struct handover_auth, handover_auth_fields);

static const struct json_field handover_search_fields[] = {
	JSON_FIELD(struct handover_search, term, "term", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_search, limit, "limit", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_search, is_official, "is_official", JSON_OPT_BOOL, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_search, stars, "stars", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_search_table = JSON_TABLE(struct handover_search, handover_search_fields);

static const struct json_field handover_distribution_fields[] = {
	JSON_FIELD(struct handover_distribution, reference, "reference", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
};
static const struct json_table handover_distribution_table = JSON_TABLE(struct handover_distribution,
	handover_distribution_fields);

static const struct json_field handover_save_fields[] = {
	JSON_FIELD(struct handover_save, names, "names", JSON_STRV),
	JSON_FIELD(struct handover_save, platform, "platform", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_save_table = JSON_TABLE(struct handover_save, handover_save_fields);

static const struct json_field handover_mount_fields[] = {
	JSON_FIELD(struct handover_mount, destination, "destination", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_mount, source, "source", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_mount, subpath, "subpath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_mount, recursive, "recursive", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_mount, read_only, "read_only", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_mount_table = JSON_TABLE(struct handover_mount, handover_mount_fields);

static const struct json_field handover_tree_fields[] = {
	JSON_FIELD(struct handover_tree, folder, "folder", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, lowers, "lowers", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, read_only, "read_only", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, is_volatile, "volatile", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct handover_tree, mounts, mount_count, "mounts", JSON_OBJECTS,
		.table = &handover_mount_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, named, "named", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, container_named, "container_named", JSON_STRING_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, no_overwrite_dir_non_dir, "no_overwrite_dir_non_dir", JSON_BOOL_FIELD,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, copy_owner, "copy_owner", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_tree, user, "user", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table handover_tree_table = JSON_TABLE(struct handover_tree, handover_tree_fields);

static const struct json_field handover_commit_fields[] = {
	JSON_FIELD(struct handover_commit, repo, "repo", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_commit, tag, "tag", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_commit, comment, "comment", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_commit, author, "author", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_commit, changes, "changes", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_commit, image, "image", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover_commit, config, "config", JSON_RAW, .flags = JSON_REQUIRED),
};
static const struct json_table handover_commit_table = JSON_TABLE(struct handover_commit, handover_commit_fields);

static const struct json_field handover_registry_fields[] = {
	JSON_FIELD(struct handover_registry, auth, "auth", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_registry, insecure, "insecure", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_registry, mirrors, "mirrors", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_registry, certificate_folders, "certificate_folders", JSON_STRV,
		.flags = JSON_OMITEMPTY),
};
static const struct json_table handover_registry_table = JSON_TABLE(struct handover_registry, handover_registry_fields);

static const struct json_field handover_body_fields[] = {
	JSON_FIELD(struct handover_body, content_length, "content_length", JSON_OPT_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_body, chunked, "chunked", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_body, expect_continue, "expect_continue", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_body, upgrade, "upgrade", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover_body, http_minor, "http_minor", JSON_INT),
};
static const struct json_table handover_body_table = JSON_TABLE(struct handover_body, handover_body_fields);

static const struct json_field handover_fields[] = {
	JSON_FIELD(struct handover, kind, "kind", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover, method, "method", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct handover, api_minor, "api_minor", JSON_INT),
	JSON_FIELD(struct handover, container, "container", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, container_name, "container_name", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, body, "body", JSON_OBJECT_FIELD, .table = &handover_body_table),
	JSON_FIELD(struct handover, peer_uid, "peer_uid", JSON_INT),
	JSON_FIELD(struct handover, attach, "attach", JSON_OBJECT_PTR, .table = &handover_attach_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, wait, "wait", JSON_OBJECT_PTR, .table = &handover_wait_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, logs, "logs", JSON_OBJECT_PTR, .table = &handover_logs_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, stats, "stats", JSON_OBJECT_PTR, .table = &handover_stats_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, exec_start, "exec_start", JSON_OBJECT_PTR, .table = &handover_exec_start_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, load, "load", JSON_OBJECT_PTR, .table = &handover_load_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, import, "import", JSON_OBJECT_PTR, .table = &handover_import_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, pull, "pull", JSON_OBJECT_PTR, .table = &handover_pull_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, push, "push", JSON_OBJECT_PTR, .table = &handover_push_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, auth, "auth", JSON_OBJECT_PTR, .table = &handover_auth_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, search, "search", JSON_OBJECT_PTR, .table = &handover_search_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, distribution, "distribution", JSON_OBJECT_PTR,
		.table = &handover_distribution_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, save, "save", JSON_OBJECT_PTR, .table = &handover_save_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, tree, "tree", JSON_OBJECT_PTR, .table = &handover_tree_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, commit, "commit", JSON_OBJECT_PTR, .table = &handover_commit_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct handover, registry, "registry", JSON_OBJECT_PTR, .table = &handover_registry_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table handover_table = JSON_TABLE(struct handover, handover_fields);

static const struct {
	const char *name;
	size_t offset; /* of the pointer to its parameters */
} kinds[] = {
	[HANDOVER_ATTACH] = { "attach", offsetof(struct handover, attach) },
	[HANDOVER_WAIT] = { "wait", offsetof(struct handover, wait) },
	[HANDOVER_LOGS] = { "logs", offsetof(struct handover, logs) },
	[HANDOVER_STATS] = { "stats", offsetof(struct handover, stats) },
	[HANDOVER_EXEC_START] = { "exec-start", offsetof(struct handover, exec_start) },
	[HANDOVER_LOAD] = { "load", offsetof(struct handover, load) },
	[HANDOVER_IMPORT] = { "import", offsetof(struct handover, import) },
	[HANDOVER_PULL] = { "pull", offsetof(struct handover, pull) },
	[HANDOVER_PUSH] = { "push", offsetof(struct handover, push) },
	[HANDOVER_AUTH] = { "auth", offsetof(struct handover, auth) },
	[HANDOVER_SEARCH] = { "search", offsetof(struct handover, search) },
	[HANDOVER_DISTRIBUTION] = { "distribution", offsetof(struct handover, distribution) },
	[HANDOVER_SAVE] = { "save", offsetof(struct handover, save) },
	[HANDOVER_ARCHIVE_STAT] = { "archive-stat", offsetof(struct handover, tree) },
	[HANDOVER_ARCHIVE_GET] = { "archive-get", offsetof(struct handover, tree) },
	[HANDOVER_ARCHIVE_PUT] = { "archive-put", offsetof(struct handover, tree) },
	[HANDOVER_EXPORT] = { "export", offsetof(struct handover, tree) },
	[HANDOVER_CHANGES] = { "changes", offsetof(struct handover, tree) },
	[HANDOVER_COMMIT] = { "commit", offsetof(struct handover, commit) },
};

const char *handover_kind_name(enum handover_kind kind)
{
	return kinds[kind].name;
}

enum handover_kind handover_kind(const struct handover *handover)
{
	enum handover_kind kind = 0;
	while (kind < HANDOVER_KIND_COUNT && strcmp(handover->kind, kinds[kind].name) != 0)
		kind++;
	return kind;
}

json_t *handover_message(int64_t id, const struct handover *handover)
{
	_autojson_ json_t *message = message_new("handover", id);
	if (message_add(message, "request", json_write(&handover_table, handover)) < 0)
		return NULL;
	return TAKE(message);
}

static int check_wait(const struct handover_wait *wait, struct err **reterr)
{
	static const char *const conditions[] = { "not-running", "next-exit", "removed" };
	for (size_t i = 0; i < ARRAY_SIZE(conditions); i++)
		if (strcmp(wait->condition, conditions[i]) == 0)
			return 0;
	return err_set(reterr, ERR_INVALID, 0, "invalid condition: \"%s\"", oci_printable(wait->condition));
}

static int check(const struct handover *handover, struct err **reterr)
{
	enum handover_kind kind = handover_kind(handover);
	if (kind == HANDOVER_KIND_COUNT)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "hand-over of unknown kind \"%s\"",
			oci_printable(handover->kind));
	const void *parameters = *(void *const *)(const void *)((const char *)handover + kinds[kind].offset);
	if (!parameters)
		return err_set(reterr, ERR_INVALID, 0, "hand-over of kind %s without its parameters", handover->kind);
	const struct json_opt_int *length = &handover->body.content_length;
	if (length->set && (length->value < 0 || handover->body.chunked))
		return err_set(reterr, ERR_INVALID, 0, "hand-over with a senseless body length");
	const struct handover_tree *tree = handover->tree;
	if (tree && (!tree->folder || tree->folder[0] != '/' || !tree->lowers || !tree->lowers[0] ||
			    (tree->path && tree->path[0] != '/')))
		return err_set(reterr, ERR_INVALID, 0, "hand-over with a senseless tree");
	if (!tree && (kind == HANDOVER_COMMIT))
		return err_set(reterr, ERR_INVALID, 0, "hand-over of a commit without its tree");
	return handover->wait ? check_wait(handover->wait, reterr) : 0;
}

int handover_read(const struct message *message, struct handover *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	json_t *request = json_object_get(message->body, "request");
	if (!request)
		return err_set(reterr, ERR_INVALID, 0, "hand-over without a request");
	int r = json_read(&handover_table, request, out, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid hand-over");
	r = check(out, reterr);
	if (r < 0)
		handover_finish(out);
	return r;
}

void handover_finish(struct handover *handover)
{
	json_finish(&handover_table, handover);
}
