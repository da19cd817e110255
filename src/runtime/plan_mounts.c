/*
 * Mounts, from the creator's side: bind sources are opened here, once, before anything that a container controls is entered,
 * as detached trees with their attributes set. The root too: an overlay made here belongs to no mount table, and dies with
 * the descriptor or the container's mount namespace.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/mount.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "runtime/id_maps.h"
#include "runtime/mount_options.h"
#include "runtime/overlay.h"
#include "runtime/plan.h"
#include "sys/lsm.h"
#include "sys/procfs.h"

#define MOUNTINFO_MAX (4 << 20)

static const char *const proc_allowed[] = { "/proc/cpuinfo", "/proc/diskstats", "/proc/meminfo", "/proc/stat",
	"/proc/swaps", "/proc/uptime", "/proc/loadavg", "/proc/slabinfo", "/proc/net/dev",
	"/proc/sys/kernel/ns_last_pid", "/proc/sys/crypto/fips_enabled" };

static const char *const sys_allowed[] = { "/sys/fs/cgroup", "/sys/fs/bpf", "/sys/fs/fuse/connections",
	"/sys/fs/pstore", "/sys/fs/selinux", "/sys/firmware", "/sys/firmware/efi/efivars", "/sys/kernel/config",
	"/sys/kernel/debug", "/sys/kernel/debug/tracing", "/sys/kernel/security", "/sys/kernel/tracing",
	"/sys/devices/system/cpu", "/sys/devices/system/cpu/online" };

static bool is_listed(const char *path, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], path) == 0)
			return true;
	return false;
}

/* Lexically: no "." or empty components, ".." taken back, never above "/". In place. */
static void clean_path(char *path)
{
	char *out = path;

	for (const char *at = path; *at;) {
		at += strspn(at, "/");
		size_t len = strcspn(at, "/");
		if (len == 2 && at[0] == '.' && at[1] == '.') {
			while (out > path && *--out != '/')
				;
		} else if (len && !(len == 1 && at[0] == '.')) {
			*out++ = '/';
			memmove(out, at, len);
			out += len;
		}
		at += len;
	}
	if (out == path)
		*out++ = '/';
	*out = '\0';
}

static bool is_bind(const struct oci_mount *spec, const struct mount_words *words)
{
	return words->is_bind || (spec->type && strcmp(spec->type, "bind") == 0);
}

static bool is_cgroup_type(const char *type)
{
	return type && (strcmp(type, "cgroup") == 0 || strcmp(type, "cgroup2") == 0);
}

/* What lies in procfs or sysfs may only be covered where that can't fake what a privileged process relies on. */
static int not_proc(const char *destination, struct err **reterr)
{
	return err_set(reterr, ERR_FORBIDDEN, 0, "\"%s\" cannot be mounted because it is not of type proc",
		destination);
}

static bool is_in_sys(const char *destination)
{
	return strncmp(destination, "/sys/", 5) == 0 && !is_listed(destination, sys_allowed, ARRAY_SIZE(sys_allowed));
}

static int not_in_sys(const char *destination, struct err **reterr)
{
	return err_set(reterr, ERR_FORBIDDEN, 0, "\"%s\" cannot be mounted because it is inside /sys", destination);
}

/* The whole of a procfs: the host's, where a user without rights shares the host's processes and may mount none. */
static int check_destination(const char *destination, const struct oci_mount *spec, bool bind, struct err **reterr)
{
	bool in_proc = strcmp(destination, "/proc") == 0 || strncmp(destination, "/proc/", 6) == 0;

	if (strcmp(destination, "/") == 0 && !bind)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid mount destination \"/\": the root is not to be mounted over, but by a bind");
	if (strcmp(destination, "/proc") == 0) {
		if (bind || (spec->type && strcmp(spec->type, "proc") == 0))
			return 0; /* what is bound is looked at when it is open */
		return not_proc(destination, reterr);
	}
	if (in_proc && !is_listed(destination, proc_allowed, ARRAY_SIZE(proc_allowed)))
		return err_set(reterr, ERR_FORBIDDEN, 0, "\"%s\" cannot be mounted because it is inside /proc",
			destination);
	/* What is bound is looked at when it is open. */
	if (!bind && is_in_sys(destination) &&
		!(is_cgroup_type(spec->type) && strncmp(destination, "/sys/fs/cgroup/", 15) == 0))
		return not_in_sys(destination, reterr);
	return 0;
}

/* Of what is bound, once it is open. Elsewhere in sysfs may be what the kernel itself says: a device's folder of the host's, or a
 * group's, as engines give to a systemd. */
static int check_source(const char *destination, bool is_proc_root, bool is_of_sys, struct err **reterr)
{
	if (strcmp(destination, "/proc") == 0 && !is_proc_root)
		return not_proc(destination, reterr);
	return is_in_sys(destination) && !is_of_sys ? not_in_sys(destination, reterr) : 0;
}

/* First the whole tree, then the mount itself. */
int plan_mount_change(int tree, const struct mount_attrs *recursive, const struct mount_attrs *own)
{
	struct mount_attrs alone = *own;

	alone.recursive = false;
	int r = mount_change(tree, recursive);
	return r < 0 ? r : mount_change(tree, &alone);
}

/* Without a source, `dir_fd` is the mount. */
static int bind_tree(int dir_fd, const char *source, bool recursive, struct plan_mount *out)
{
	struct stat st;

	/* Looked at first: "stat X: no such file" is what people know, and open_tree says the same. */
	out->tree_fd = source ? mount_clone(dir_fd, source, recursive) : fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
	if (out->tree_fd < 0)
		return source ? out->tree_fd : -errno;
	if (fstat(out->tree_fd, &st) < 0)
		return -errno;
	out->kind = PLAN_MOUNT_TREE;
	out->is_dir = S_ISDIR(st.st_mode);
	return 0;
}

static int find_source(const struct container_options *options, const char *destination)
{
	for (size_t i = 0; i < options->source_count; i++)
		if (strcmp(options->sources[i].destination, destination) == 0)
			return options->sources[i].fd;
	return -1;
}

static bool has_maps(const struct oci_mount *mount, const struct mount_words *words)
{
	return words->is_idmapped || mount->uid_mapping_count;
}

static int map_owners(int tree, const struct oci_mount *mount, const struct oci_spec *spec, bool recursively,
	struct err **reterr)
{
	_autoclose_ int user = id_map_for_mount(mount, spec, reterr);
	if (user < 0)
		return user;
	int r = mount_idmap(tree, user, recursively);
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return err_set(reterr, ERR_UNSUPPORTED, -r,
			"failed to set MOUNT_ATTR_IDMAP on %s: invalid argument (maybe the filesystem used doesn't support "
			"idmap mounts on this kernel?)",
			mount->source);
	return r < 0 ? err_errno(reterr, r, "failed to set MOUNT_ATTR_IDMAP on %s", mount->source) : 0;
}

/* In the child, the container's own root is mounted over it. */
static bool is_root(int tree)
{
	struct stat st, root;

	return fstat(tree, &st) < 0 || stat("/", &root) < 0 || (st.st_ino == root.st_ino && st.st_dev == root.st_dev);
}

/* Whether mounts of the host's hand on what is mounted on them. The child has only private copies of those. */
static bool host_has_ties(void)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(MOUNTINFO_MAX);

	return io_read_file(AT_FDCWD, "/proc/self/mountinfo", &text) < 0 ||
	       memmem(text.data, text.len, " shared:", 8) || memmem(text.data, text.len, " master:", 8);
}

static bool is_tied(const struct mount_attrs *own, const struct mount_attrs *recursive)
{
	uint64_t ties = (own->propagation | recursive->propagation) & (MS_SHARED | MS_SLAVE);

	return ties && host_has_ties();
}

static int fill_bind(const struct plan *plan, struct plan_mount *out, const struct oci_mount *spec,
	const struct mount_words *words, const struct oci_spec *document, const struct container_options *options,
	struct err **reterr)
{
	int bundle_fd = options->bundle_fd, source_fd = find_source(options, spec->destination);
	out->source = spec->source;
	struct mount_words applied = *words;

	if (!spec->source || !*spec->source)
		return err_set(reterr, ERR_INVALID, 0, "the bind mount at %s has no source", spec->destination);
	int dir_fd = spec->source[0] == '/' || bundle_fd < 0 ? AT_FDCWD : bundle_fd;
	_autoclose_ int link_fd = words->source_nofollow && source_fd < 0
					  ? openat(dir_fd, spec->source, O_PATH | O_NOFOLLOW | O_CLOEXEC)
					  : -1;
	if (link_fd >= 0)
		source_fd = link_fd;
	int r = source_fd >= 0 ? bind_tree(source_fd, "", words->is_recursive_bind, out)
			       : bind_tree(dir_fd, spec->source, words->is_recursive_bind, out);
	if (r < 0)
		return err_errno(reterr, r, "error mounting \"%s\" to rootfs at \"%s\"", spec->source,
			spec->destination);
	r = check_source(out->destination, procfs_is_root(out->tree_fd), plan_is_of_sys(out->tree_fd), reterr);
	if (r < 0)
		return r;
	r = options->binds_as_named ? mount_words_as_named(words, out->tree_fd, plan->becomes_root, &applied.attrs) : 0;
	if (r < 0)
		return err_errno(reterr, r, "error during container init: error mounting \"%s\" to rootfs at \"%s\"",
			spec->source, spec->destination);
	/* Not to share by accident what the host shares. */
	if (!applied.attrs.propagation && !applied.recursive_attrs.propagation) {
		applied.recursive_attrs.propagation = MS_PRIVATE;
		applied.recursive_attrs.recursive = true;
	}
	applied.recursive_attrs.recursive = true;
	out->is_plain_bind = source_fd < 0 && spec->source[0] == '/' && !has_maps(spec, words) &&
			     !is_root(out->tree_fd) && !is_tied(&applied.attrs, &applied.recursive_attrs);
	out->is_recursive = words->is_recursive_bind;
	out->attrs = applied.attrs;
	out->recursive_attrs = applied.recursive_attrs;
	r = plan_mount_change(out->tree_fd, &applied.recursive_attrs, &applied.attrs);
	if (r < 0)
		return err_errno(reterr, r, "error setting the options of the mount of \"%s\" at \"%s\"", spec->source,
			spec->destination);
	return has_maps(spec, words) ? map_owners(out->tree_fd, spec, document, words->is_idmapped_recursively, reterr)
				     : 0;
}

int plan_map_owners(const struct plan *plan, size_t mount, int tree, const struct oci_spec *spec, struct err **reterr)
{
	if (mount >= plan->mount_count || mount >= spec->mount_count || !plan->mounts[mount].is_idmapped)
		return err_set(reterr, ERR_INTERNAL, EPROTO, "the container's process asked for an unknown mount");
	return map_owners(tree, &spec->mounts[mount], spec, plan->mounts[mount].is_idmapped_recursively, reterr);
}

/* ---- what lies in the container's own root ---- */

/* "" if `path` is `folder`, what follows it if it is below; else NULL. Both clean. */
static const char *below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (!path[len] || path[len] == '/') ? path + len : NULL;
}

/* The host's path of the root, as far as it is known here; NULL. */
static int host_root(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	const char **ret)
{
	const char *path = spec->root ? spec->root->path : NULL, *bundle = options->bundle_path;

	*ret = NULL;
	if (!path || !bundle || options->rootfs.path || options->rootfs.kind != CONTAINER_ROOTFS_PATH)
		return 0;
	int r = strv_appendf(&plan->strings, "%s/%s", path[0] == '/' ? "" : bundle, path);
	if (r < 0)
		return r;
	char *root = plan->strings[strv_count(plan->strings) - 1];
	clean_path(root);
	*ret = root[1] ? root : NULL;
	return 0;
}

/* The host shows there what an earlier mount covers, or not yet: such a source is found when its turn comes. */
static int find_inner_source(struct plan *plan, struct plan_mount *out, const char *source, const char *root)
{
	int r = source && source[0] == '/' && root ? strv_append(&plan->strings, source) : -ENOENT;

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	char *path = plan->strings[strv_count(plan->strings) - 1];
	clean_path(path);
	const char *inside = below(path, root);
	for (const struct plan_mount *other = plan->mounts; inside && *inside && other < out; other++)
		if (below(inside, other->destination) || below(other->destination, inside))
			out->inner_source = inside;
	return 0;
}

static int fill_inner(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec,
	const struct mount_words *words, struct err **reterr)
{
	out->is_idmapped = has_maps(spec, words);
	out->is_idmapped_recursively = words->is_idmapped_recursively;
	if (out->is_idmapped && plan->has_no_right)
		return err_set(reterr, ERR_FORBIDDEN, EPERM, "the mount at %s: idmapped mounts need root's rights",
			spec->destination);
	plan->asks_for_owners = plan->asks_for_owners || out->is_idmapped;
	out->kind = PLAN_MOUNT_TREE;
	out->source = spec->source;
	out->is_recursive = words->is_recursive_bind;
	out->attrs = words->attrs;
	out->recursive_attrs = words->recursive_attrs;
	out->recursive_attrs.recursive = true;
	return 0;
}

/* The same, where the child has to make the tree. */
static int fill_bind_late(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec,
	const struct mount_words *words, const struct container_options *options, struct err **reterr)
{
	struct plan_late *late;
	mode_t mode;

	if (!spec->source || !*spec->source)
		return err_set(reterr, ERR_INVALID, 0, "the bind mount at %s has no source", spec->destination);
	if (has_maps(spec, words))
		return err_set(reterr, ERR_FORBIDDEN, EPERM, "the mount at %s: idmapped mounts need root's rights",
			spec->destination);
	int r = plan_late_tree(plan, spec->source, options, &out->tree_fd, &mode, &late, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "error mounting \"%s\" to rootfs at \"%s\"", spec->source,
			spec->destination);
	r = check_source(out->destination, late->is_proc_root, late->is_of_sys, reterr);
	if (r < 0)
		return r;
	out->kind = PLAN_MOUNT_TREE;
	out->source = spec->source;
	out->is_dir = S_ISDIR(mode);
	late->is_recursive = words->is_recursive_bind;
	late->attrs = words->attrs;
	late->recursive_attrs = words->recursive_attrs;
	late->recursive_attrs.recursive = true;
	return 0;
}

/* procfs and sysfs label their files themselves; the kernel made mqueue's instance before us, with labels of its own. */
static bool takes_label(const char *type)
{
	return strcmp(type, "proc") != 0 && strcmp(type, "sysfs") != 0 && strcmp(type, "mqueue") != 0;
}

static int add_options(struct plan_mount *out, const struct mount_option *more, size_t count, struct err **reterr)
{
	if (!count)
		return 0;
	struct mount_option *options = reallocarray(out->options, out->option_count + count, sizeof(*options));
	if (!options)
		return err_oom(reterr);
	memcpy(options + out->option_count, more, count * sizeof(*more));
	out->options = options;
	out->option_count += count;
	return 0;
}

/* SELinux: what is on a new instance is the container's. */
static int add_label(struct plan_mount *out, const char *label, struct err **reterr)
{
	if (!label || !*label || out->kind != PLAN_MOUNT_NEW || !takes_label(out->type))
		return 0;
	const struct mount_option option = { .key = "context", .value = label };
	return add_options(out, &option, 1, reterr);
}

/* What a tmpfs covers it takes its mode from, if it has none of its own. */
static int inherit_mode(struct plan *plan, struct plan_mount *out, struct err **reterr)
{
	static const char its_own[] = "1777";

	for (size_t i = 0; i < out->option_count; i++)
		if (strcmp(out->options[i].key, "mode") == 0)
			return 0;
	if (strv_append(&plan->strings, its_own) < 0)
		return err_oom(reterr);
	out->mode_text = plan->strings[strv_count(plan->strings) - 1];
	const struct mount_option option = { .key = "mode", .value = out->mode_text };
	return add_options(out, &option, 1, reterr);
}

static int fill_new(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec,
	const struct mount_words *words, struct err **reterr)
{
	bool is_tmpfs = spec->type && strcmp(spec->type, "tmpfs") == 0;

	if (has_maps(spec, words))
		return err_set(reterr, ERR_INVALID, 0, "the mount at %s: only bind mounts can be idmapped",
			out->destination);
	if (words->copies_up && !is_tmpfs)
		return err_set(reterr, ERR_INVALID, 0, "the mount at %s: tmpcopyup is for tmpfs alone",
			out->destination);
	out->copies_up = words->copies_up;
	if (!spec->type || !*spec->type)
		return err_set(reterr, ERR_INVALID, 0, "the mount at %s has no type", out->destination);
	out->kind = is_cgroup_type(spec->type) ? PLAN_MOUNT_CGROUP : PLAN_MOUNT_NEW;
	out->type = spec->type;
	out->source = spec->source && *spec->source ? spec->source : spec->type;
	out->is_dir = true;
	/* A new instance has nothing below it: both sorts are its own. */
	out->attrs = words->attrs;
	out->attrs.set |= words->recursive_attrs.set;
	out->attrs.propagation = words->attrs.propagation ? words->attrs.propagation
							  : words->recursive_attrs.propagation;
	out->attrs.recursive = false;
	return is_tmpfs ? inherit_mode(plan, out, reterr) : 0;
}

/* 1: it is one. A link that is not there is for the bind to tell of. */
static int fill_link(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec, int bundle_fd)
{
	char text[PATH_MAX];
	int dir_fd = bundle_fd < 0 ? AT_FDCWD : bundle_fd;
	ssize_t len = spec->source ? readlinkat(dir_fd, spec->source, text, sizeof(text) - 1) : -1;

	if (len < 0)
		return 0;
	text[len] = '\0';
	if (strv_append(&plan->strings, text) < 0)
		return -ENOMEM;
	out->kind = PLAN_MOUNT_LINK;
	out->source = plan->strings[strv_count(plan->strings) - 1];
	return 1;
}

static void change_attrs(struct mount_attrs *to, const struct mount_attrs *by)
{
	to->set = (to->set & ~(by->clear | by->set)) | by->set;
	to->clear = (to->clear & ~by->set) | by->clear;
	to->propagation = by->propagation ?: to->propagation;
}

/*
 * Nothing is mounted yet: what was said of the mount before is what changes. So it can't be the host's, whose filesystem a remount
 * would change for the host, too.
 */
static int fill_remount(struct plan *plan, struct plan_mount *out, struct mount_words *words, struct err **reterr)
{
	struct plan_mount *earlier = out;

	while (earlier >= plan->mounts &&
		(earlier->kind > PLAN_MOUNT_CGROUP || strcmp(earlier->destination, out->destination) != 0))
		earlier--;
	if (earlier < plan->mounts)
		return err_set(reterr, ERR_INVALID, 0,
			"the mount at %s: no other that could be remounted goes before it", out->destination);
	words->recursive_attrs.recursive = true;
	change_attrs(&earlier->attrs, &words->attrs);
	change_attrs(earlier->kind == PLAN_MOUNT_TREE ? &earlier->recursive_attrs : &earlier->attrs,
		&words->recursive_attrs);
	if (earlier->kind == PLAN_MOUNT_NEW)
		return add_options(earlier, words->data, words->data_count, reterr);
	if (earlier->kind != PLAN_MOUNT_TREE || earlier->inner_source)
		return 0;
	if (plan->has_no_right)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "the mount at %s: a remount of a bind needs root's rights",
			out->destination);
	int r = plan_mount_change(earlier->tree_fd, &words->recursive_attrs, &words->attrs);
	return r < 0 ? err_errno(reterr, r, "cannot remount what is at %s", out->destination) : 0;
}

/* What is to lie over the root takes its place, before anything is mounted or masked in it. */
static int take_root(struct plan *plan, struct plan_mount *out, const struct container_options *options,
	struct err **reterr)
{
	if (out != plan->mounts)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid mount destination \"/\": it would cover the mounts before it");
	if (plan->joins_mounts || plan->has_no_right || options->rootfs.kind != CONTAINER_ROOTFS_PATH)
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"invalid mount destination \"/\": this root is not to be mounted over");
	if (!out->is_dir)
		return err_set(reterr, ERR_INVALID, ENOTDIR, "error mounting \"%s\" to rootfs at \"/\"", out->source);
	fd_close(&plan->root_fd);
	plan->root_fd = TAKE_FD(out->tree_fd);
	out->kind = PLAN_MOUNT_DONE;
	return 0;
}

static int fill_root(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec, struct mount_words *words,
	const struct oci_spec *document, const struct container_options *options, struct err **reterr)
{
	/* Mounts and their places come first. */
	plan->root_readonly = plan->root_readonly || words->attrs.set & MOUNT_ATTR_RDONLY;
	words->attrs.set &= ~(uint64_t)MOUNT_ATTR_RDONLY;
	int r = fill_bind(plan, out, spec, words, document, options, reterr);
	return r < 0 ? r : take_root(plan, out, options, reterr);
}

static int fill_mount(struct plan *plan, struct plan_mount *out, const struct oci_mount *spec,
	const struct oci_spec *document, const struct container_options *options, const char *root, struct err **reterr)
{
	struct mount_words words;
	int r;

	if (!spec->destination || !*spec->destination || strlen(spec->destination) >= PATH_MAX - 1)
		return err_set(reterr, ERR_INVALID, 0, "a mount has no valid destination");
	/* Relative ones count from "/", as runc takes them. */
	if (strv_appendf(&plan->strings, "/%s", spec->destination) < 0)
		return err_oom(reterr);
	char *destination = plan->strings[strv_count(plan->strings) - 1];
	clean_path(destination);
	/* One that names the root as the host sees it is meant to be in it. */
	const char *inside = root ? below(destination, root) : NULL;
	out->destination = destination = inside && *inside ? (char *)inside : destination;
	r = mount_words_parse(spec->options, &plan->strings, &words, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "the mount at %s", destination);
	out->options = words.data;
	out->option_count = words.data_count;

	bool bind = is_bind(spec, &words);
	if (words.is_remount) {
		out->kind = PLAN_MOUNT_DONE;
		return fill_remount(plan, out, &words, reterr);
	}
	r = check_destination(destination, spec, bind, reterr);
	if (r < 0)
		return r;
	out->target_nofollow = words.target_nofollow;
	if (strcmp(destination, "/") == 0)
		return fill_root(plan, out, spec, &words, document, options, reterr);
	r = words.copies_link ? fill_link(plan, out, spec, options->bundle_fd) : 0;
	if (r != 0)
		return r < 0 ? err_oom(reterr) : 0;
	if (bind && strcmp(destination, "/proc") != 0 && find_inner_source(plan, out, spec->source, root) < 0)
		return err_oom(reterr);
	if (out->inner_source && is_in_sys(destination))
		return not_in_sys(destination, reterr);
	if (out->inner_source)
		return fill_inner(plan, out, spec, &words, reterr);
	if (bind && plan->has_no_right)
		return fill_bind_late(plan, out, spec, &words, options, reterr);
	return bind ? fill_bind(plan, out, spec, &words, document, options, reterr)
		    : fill_new(plan, out, spec, &words, reterr);
}

static int fill_file(struct plan_mount *out, const struct container_file *file, struct err **reterr)
{
	struct mount_attrs attrs = { .set = file->readonly ? MOUNT_ATTR_RDONLY : 0, .propagation = MS_PRIVATE };

	out->destination = file->target;
	int r = bind_tree(file->source_fd, file->source, false, out);
	if (r == 0)
		r = mount_change(out->tree_fd, &attrs);
	if (r < 0)
		return err_errno(reterr, r, "error mounting \"%s\" to rootfs at \"%s\"", file->source ?: file->target,
			file->target);
	return 0;
}

static bool covers_dev_with_bind(const struct plan *plan)
{
	for (size_t i = 0; i < plan->mount_count; i++)
		if (plan->mounts[i].kind == PLAN_MOUNT_TREE && strcmp(plan->mounts[i].destination, "/dev") == 0)
			return true;
	return false;
}

int plan_mounts(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr)
{
	const char *label = spec->linux_config.mount_label;
	if (label && *label && !lsm_has_selinux()) {
		/* Nobody looks at labels here; a process's own, which would confine it, is refused instead. */
		if (options->on_warn)
			options->on_warn("SELinux is not enabled: linux.mountLabel is without effect",
				options->user_data);
		label = NULL;
	}
	const char *root;
	if (host_root(plan, spec, options, &root) < 0)
		return err_oom(reterr);
	plan->mounts = calloc(spec->mount_count + options->file_count + 1, sizeof(*plan->mounts));
	if (!plan->mounts)
		return err_oom(reterr);
	for (size_t i = 0; i < spec->mount_count + options->file_count; i++) {
		struct plan_mount *mount = &plan->mounts[plan->mount_count++];
		mount->tree_fd = -1;
		int r = i < spec->mount_count ? fill_mount(plan, mount, &spec->mounts[i], spec, options, root, reterr)
					      : fill_file(mount, &options->files[i - spec->mount_count], reterr);
		if (r == 0)
			r = label ? add_label(mount, label, reterr) : 0;
		if (r < 0)
			return r;
	}
	plan->setup_dev = !covers_dev_with_bind(plan);
	return 0;
}

/* ---- the root ---- */

static const struct {
	const char *name;
	uint64_t flag;
} root_propagations[] = { { "private", MS_PRIVATE }, { "rprivate", MS_PRIVATE }, { "slave", MS_SLAVE },
	{ "rslave", MS_SLAVE }, { "shared", MS_SHARED }, { "rshared", MS_SHARED }, { "unbindable", MS_UNBINDABLE },
	{ "runbindable", MS_UNBINDABLE } };

static int fill_propagation(struct plan *plan, const char *name, struct err **reterr)
{
	if (!name || !*name)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(root_propagations); i++)
		if (strcmp(root_propagations[i].name, name) == 0) {
			plan->root_propagation = root_propagations[i].flag;
			return 0;
		}
	return err_set(reterr, ERR_INVALID, 0, "rootfsPropagation=%s is not supported", name);
}

/* A hook that enters the mount namespace finds the root where the document says, below the host's. */
static int keep_root_path(struct plan *plan, const char *path, const char *bundle, struct err **reterr)
{
	if (path[0] != '/' && !bundle)
		return 0;
	if (asprintf(&plan->root_path, "%s%s%s", path[0] == '/' ? "" : bundle, path[0] == '/' ? "" : "/", path) < 0) {
		plan->root_path = NULL;
		return err_oom(reterr);
	}
	return 0;
}

static uint64_t joined_namespaces(const struct plan *plan)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < plan->join_count; i++)
		flags |= plan->joins[i].flag;
	return flags;
}

static int clone_path_root(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr)
{
	const char *path = options->rootfs.path;
	struct stat st;

	if (!path)
		path = spec->root ? spec->root->path : NULL;
	if (!path || !*path)
		return err_set(reterr, ERR_INVALID, 0, "the spec has no root");
	if (plan->has_no_right) {
		struct plan_late *late;
		int r = plan_late_tree(plan, path, options, &plan->root_fd, &st.st_mode, &late, reterr);
		if (r == 0 && !S_ISDIR(st.st_mode))
			r = err_set(reterr, ERR_INVALID, ENOTDIR, "invalid rootfs %s: not a folder", path);
		return r;
	}
	int dir_fd = path[0] == '/' || options->bundle_fd < 0 ? AT_FDCWD : options->bundle_fd;
	plan->root_fd = mount_clone(dir_fd, path, true);
	if (plan->root_fd < 0)
		return err_errno(reterr, plan->root_fd, "invalid rootfs %s", path);
	if (fstat(plan->root_fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err_set(reterr, ERR_INVALID, ENOTDIR, "invalid rootfs %s: not a folder", path);
	plan->joins_mounts = joined_namespaces(plan) & CLONE_NEWNS;
	return plan->wants_hook_stop || plan->joins_mounts ? keep_root_path(plan, path, options->bundle_path, reterr)
							   : 0;
}

int plan_rootfs(struct plan *plan, const struct oci_spec *spec, const struct container_options *options,
	struct err **reterr)
{
	int r = fill_propagation(plan, spec->linux_config.rootfs_propagation, reterr);

	if (r < 0)
		return r;
	plan->root_readonly = spec->root && spec->root->readonly;
	if (options->rootfs.kind == CONTAINER_ROOTFS_OVERLAY)
		r = overlay_mount(&options->rootfs, &plan->root_fd, reterr);
	else
		r = clone_path_root(plan, spec, options, reterr);
	if (r < 0 || plan->root_fd < 0)
		return r;

	/* Shared roots stay peers of the host's mount, slaves stay its slaves; else nothing goes either way. */
	uint64_t propagation = plan->root_propagation == MS_SHARED  ? 0
			       : plan->root_propagation == MS_SLAVE ? MS_SLAVE
								    : MS_PRIVATE;
	const struct mount_attrs attrs = { .propagation = propagation, .recursive = true };
	r = mount_change(plan->root_fd, &attrs);
	return r < 0 ? err_errno(reterr, r, "cannot set the propagation of the root filesystem") : 0;
}
