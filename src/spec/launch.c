#include "spec/launch.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "spec/egress.h"
#include "spec/oci_check.h"

static const struct json_field launch_restart_policy_fields[] = {
	JSON_FIELD(struct launch_restart_policy, name, "name", JSON_STRING_FIELD),
	JSON_FIELD(struct launch_restart_policy, max_retry, "max_retry", JSON_INT, .flags = JSON_OMITEMPTY),
};
const struct json_table launch_restart_policy_table = JSON_TABLE(struct launch_restart_policy,
	launch_restart_policy_fields);

static const struct json_field launch_log_fields[] = {
	JSON_FIELD(struct launch_log, driver, "driver", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_log, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_log, max_size_bytes, "max_size_bytes", JSON_INT),
	JSON_FIELD(struct launch_log, max_file, "max_file", JSON_INT),
	JSON_FIELD(struct launch_log, compress, "compress", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_log, attrs, "attrs", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_log_table = JSON_TABLE(struct launch_log, launch_log_fields);

static const struct json_field launch_rootfs_fields[] = {
	JSON_FIELD(struct launch_rootfs, lowers, "lowers", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_rootfs, path, "path", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_rootfs, container_dir, "container_dir", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_rootfs, is_volatile, "volatile", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_rootfs_table = JSON_TABLE(struct launch_rootfs, launch_rootfs_fields);

static const struct json_field launch_network_fields[] = {
	JSON_FIELD(struct launch_network, mode, "mode", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD_ARRAY(struct launch_network, endpoints, endpoint_count, "endpoints", JSON_OBJECTS,
		.table = &lease_endpoint_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_network, egress, "egress", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_network, bandwidth_in, "bandwidth_in", JSON_INT, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_network, bandwidth_out, "bandwidth_out", JSON_INT, .flags = JSON_OMITEMPTY),
};
const struct json_table launch_network_table = JSON_TABLE(struct launch_network, launch_network_fields);

static const struct json_field launch_join_fields[] = {
	JSON_FIELD(struct launch_join, network, "network", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_join, ipc, "ipc", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_join, pid, "pid", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_join_table = JSON_TABLE(struct launch_join, launch_join_fields);

static const struct json_field launch_names_fields[] = {
	JSON_FIELD(struct launch_names, extra_hosts, "extra_hosts", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_names, dns, "dns", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_names, dns_search, "dns_search", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_names, dns_options, "dns_options", JSON_STRV, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_names_table = JSON_TABLE(struct launch_names, launch_names_fields);

static const struct json_field launch_seccomp_fields[] = {
	JSON_FIELD(struct launch_seccomp, mode, "mode", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_seccomp, profile, "profile", JSON_RAW, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_seccomp_table = JSON_TABLE(struct launch_seccomp, launch_seccomp_fields);

static const struct json_field launch_device_fields[] = {
	JSON_FIELD(struct launch_device, host_path, "host_path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_device, container_path, "container_path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_device, permissions, "permissions", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
};
static const struct json_table launch_device_table = JSON_TABLE(struct launch_device, launch_device_fields);

static const struct json_field launch_block_fields[] = {
	JSON_FIELD(struct launch_block, path, "path", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_block, limit, "limit", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_block, value, "value", JSON_INT),
};
static const struct json_table launch_block_table = JSON_TABLE(struct launch_block, launch_block_fields);

static const struct json_field launch_source_fields[] = {
	JSON_FIELD(struct launch_source, destination, "destination", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch_source, create, "create", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_source, copy_up, "copy_up", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_source, subpath, "subpath", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch_source, volume, "volume", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
};
static const struct json_table launch_source_table = JSON_TABLE(struct launch_source, launch_source_fields);

static const struct json_field launch_fields[] = {
	JSON_FIELD(struct launch, version, "v", JSON_INT),
	JSON_FIELD(struct launch, id, "id", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, refused, "refused", JSON_STRING_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, name, "name", JSON_STRING_FIELD, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, image_id, "image_id", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct launch, oci, "oci", JSON_OBJECT_FIELD, .table = &oci_spec_table, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, user, "user", JSON_STRING_FIELD, .flags = JSON_EMPTYNULL),
	JSON_FIELD(struct launch, group_add, "group_add", JSON_STRV, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, open_stdin, "open_stdin", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, stdin_once, "stdin_once", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, init, "init", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, systemd_cgroup, "systemd_cgroup", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, writable_cgroups, "writable_cgroups", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, privileged, "privileged", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, auto_remove, "auto_remove", JSON_BOOL_FIELD, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, restart_policy, "restart_policy", JSON_OBJECT_FIELD,
		.table = &launch_restart_policy_table, .flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, stop_signal, "stop_signal", JSON_INT),
	JSON_FIELD(struct launch, stop_timeout_s, "stop_timeout", JSON_INT),
	JSON_FIELD(struct launch, healthcheck, "healthcheck", JSON_OBJECT_PTR, .table = &healthcheck_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, log, "log", JSON_OBJECT_FIELD, .table = &launch_log_table, .flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, rootfs, "rootfs", JSON_OBJECT_FIELD, .table = &launch_rootfs_table,
		.flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, network, "network", JSON_OBJECT_FIELD, .table = &launch_network_table,
		.flags = JSON_REQUIRED),
	JSON_FIELD(struct launch, join, "join", JSON_OBJECT_FIELD, .table = &launch_join_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, names, "names", JSON_OBJECT_FIELD, .table = &launch_names_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD(struct launch, seccomp, "seccomp", JSON_OBJECT_FIELD, .table = &launch_seccomp_table,
		.flags = JSON_REQUIRED),
	JSON_FIELD_ARRAY(struct launch, devices, device_count, "devices", JSON_OBJECTS, .table = &launch_device_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct launch, blocks, block_count, "blocks", JSON_OBJECTS, .table = &launch_block_table,
		.flags = JSON_OMITEMPTY),
	JSON_FIELD_ARRAY(struct launch, sources, source_count, "sources", JSON_OBJECTS, .table = &launch_source_table,
		.flags = JSON_OMITEMPTY),
};
const struct json_table launch_table = JSON_TABLE(struct launch, launch_fields);

static int bad(struct err **reterr, const char *path, const char *what, const char *value)
{
	return err_set(reterr, ERR_INVALID, 0, "invalid launch document: %s: %s \"%s\"", path, what,
		oci_printable(value));
}

static bool is_container_id(const char *id)
{
	return id && is_hex(id, 64);
}

static int check_words(const struct launch *launch, struct err **reterr)
{
	const char *policy = launch->restart_policy.name;
	if (policy && !OCI_IS_ONE_OF(policy, "", "no", "always", "unless-stopped", "on-failure"))
		return bad(reterr, "restart_policy.name", "unknown policy", policy);
	if (!OCI_IS_ONE_OF(launch->log.driver, "json-file", "local", "none"))
		return bad(reterr, "log.driver", "unknown driver", launch->log.driver);
	const char *attrs = launch->log.attrs;
	if (attrs && (attrs[0] != '{' || strchr(attrs, '\n') || strlen(attrs) > LAUNCH_LOG_ATTRS_MAX))
		return bad(reterr, "log.attrs", "too long, or not a line of JSON:", attrs);
	if (!OCI_IS_ONE_OF(launch->network.mode, "none", "host", "private", "container", "bridge"))
		return bad(reterr, "network.mode", "unknown mode", launch->network.mode);
	for (size_t i = 0; i < launch->block_count; i++)
		if (!OCI_IS_ONE_OF(launch->blocks[i].limit, "weight", "read_bps", "write_bps", "read_iops",
			    "write_iops") ||
			launch->blocks[i].path[0] != '/')
			return bad(reterr, "blocks", "unknown limit, or no path:", launch->blocks[i].limit);
	if (!OCI_IS_ONE_OF(launch->seccomp.mode, "default", "unconfined", "profile"))
		return bad(reterr, "seccomp.mode", "unknown mode", launch->seccomp.mode);
	return 0;
}

static int check_ids(const struct launch *launch, struct err **reterr)
{
	const struct launch_join *join = &launch->join;
	if (!is_container_id(launch->id))
		return bad(reterr, "id", "not a container ID:", launch->id);
	if (join->network && !is_container_id(join->network))
		return bad(reterr, "join.network", "not a container ID:", join->network);
	if (join->ipc && !is_container_id(join->ipc))
		return bad(reterr, "join.ipc", "not a container ID:", join->ipc);
	if (join->pid && !is_container_id(join->pid))
		return bad(reterr, "join.pid", "not a container ID:", join->pid);
	if ((strcmp(launch->network.mode, "container") == 0) != (join->network != NULL))
		return bad(reterr, "join.network", "does not agree with network.mode", launch->network.mode);
	return 0;
}

static int check_endpoints(const struct launch_network *network, struct err **reterr)
{
	if (network->endpoint_count > LEASE_ENDPOINTS_MAX)
		return bad(reterr, "network.endpoints", "too many for mode", network->mode);
	if (network->endpoint_count > 0 && strcmp(network->mode, "bridge") != 0)
		return bad(reterr, "network.endpoints", "do not agree with network.mode", network->mode);
	for (size_t i = 0; i < network->endpoint_count; i++) {
		int r = lease_endpoint_validate(&network->endpoints[i], "network.endpoints", reterr);
		if (r < 0)
			return err_wrap(reterr, r, "invalid launch document");
	}
	if (network->bandwidth_in < 0 || network->bandwidth_out < 0)
		return bad(reterr, "network.bandwidth", "negative for mode", network->mode);
	struct egress egress;
	int r = egress_parse(network->egress, &egress, reterr);
	egress_finish(&egress);
	return r;
}

bool launch_network_resolves(const struct launch_network *network)
{
	struct egress egress;
	for (size_t i = 0; i < network->endpoint_count; i++)
		if (network->endpoints[i].resolves)
			return true;
	bool has_names = network->endpoint_count > 0 && egress_parse(network->egress, &egress, NULL) == 0 &&
			 egress_has_names(&egress);
	if (network->endpoint_count > 0)
		egress_finish(&egress);
	return has_names;
}

static int check_paths(const struct launch *launch, struct err **reterr)
{
	const struct launch_rootfs *rootfs = &launch->rootfs;
	strv_foreach (lower, rootfs->lowers)
		if (**lower != '/')
			return bad(reterr, "rootfs.lowers", "not an absolute path:", *lower);
	if (rootfs->container_dir[0] != '/')
		return bad(reterr, "rootfs.container_dir", "not an absolute path:", rootfs->container_dir);
	if (rootfs->path && rootfs->path[0] != '/')
		return bad(reterr, "rootfs.path", "not an absolute path:", rootfs->path);
	if (!rootfs->path == !strv_count(rootfs->lowers))
		return bad(reterr, "rootfs", "needs either lowers or path, for container", launch->id);
	if (launch->log.path && launch->log.path[0] != '/')
		return bad(reterr, "log.path", "not an absolute path:", launch->log.path);
	if (strcmp(launch->log.driver, "none") != 0 && !launch->log.path)
		return bad(reterr, "log.path", "is required for driver", launch->log.driver);
	for (size_t i = 0; i < launch->device_count; i++)
		if (launch->devices[i].host_path[0] != '/' || launch->devices[i].container_path[0] != '/')
			return bad(reterr, "devices", "not an absolute path in", launch->devices[i].host_path);
	return 0;
}

int launch_validate(const struct launch *launch, struct err **reterr)
{
	int r = check_words(launch, reterr);
	if (r == 0)
		r = check_ids(launch, reterr);
	if (r == 0)
		r = check_endpoints(&launch->network, reterr);
	if (r == 0)
		r = check_paths(launch, reterr);
	return r;
}

int launch_parse(const char *text, size_t len, struct launch *out, struct err **reterr)
{
	memset(out, 0, sizeof *out);
	if (len > LAUNCH_MAX)
		return err_set(reterr, ERR_TOO_LARGE, EFBIG, "launch document is larger than %d bytes", LAUNCH_MAX);
	int r = json_parse(&launch_table, text, len, out, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "invalid launch document");
	r = launch_validate(out, reterr);
	if (r < 0)
		launch_finish(out);
	return r;
}

int launch_print(const struct launch *launch, struct buf *out)
{
	return json_print(&launch_table, launch, out);
}

void launch_finish(struct launch *launch)
{
	json_finish(&launch_table, launch);
}
