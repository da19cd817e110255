#include "runtime/rdt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/strv.h"

#define MOUNTS_MAX   (4 * 1024 * 1024)
#define SCHEMATA_MAX (64 * 1024)
#define STATUS_MAX   512
#define ROOT_CLOS    "/"

int rdt_find_root(char **ret, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(MOUNTS_MAX);
	_autoclose_ int fd = open("/proc/self/mounts", O_RDONLY | O_CLOEXEC);
	char *save = NULL;
	int r = fd < 0 ? -errno : io_read_all(fd, &text);

	if (r < 0)
		return err_errno(reterr, r, "cannot look at the host's mounts");
	/* "resctrl /sys/fs/resctrl resctrl rw,... 0 0" */
	for (char *line = text.data ? strtok_r(text.data, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		char *fields[3], *words = NULL;
		for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
			fields[i] = strtok_r(i == 0 ? line : NULL, " ", &words);
		if (!fields[2] || strcmp(fields[2], "resctrl") != 0)
			continue;
		*ret = strdup(fields[1]);
		return *ret ? 0 : err_oom(reterr);
	}
	return err_set(reterr, ERR_UNSUPPORTED, ENODEV,
		"intelRdt is specified in config, but Intel RDT is not supported or enabled: no resctrl filesystem is mounted");
}

/* ---- names ---- */

static bool is_named(const struct oci_intel_rdt *rdt)
{
	return rdt->clos_id && *rdt->clos_id;
}

static bool has_shares(const struct oci_intel_rdt *rdt)
{
	return rdt->l3_cache_schema || rdt->mem_bw_schema || strv_count(rdt->schemata) > 0;
}

/* ROOT/CLOS, or ROOT itself; `monitor`: the monitoring group in it. */
static char *folder_of(const char *root, const struct oci_intel_rdt *rdt, const char *id, bool monitor)
{
	const char *name = is_named(rdt) ? rdt->clos_id : id;
	bool is_root = strcmp(name, ROOT_CLOS) == 0;
	char *path;

	return asprintf(&path, "%s%s%s%s%s", root, is_root ? "" : "/", is_root ? "" : name,
		       monitor ? "/mon_groups/" : "", monitor ? id : "") < 0
		       ? NULL
		       : path;
}

static bool exists(const char *folder, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", folder, name) < (int)sizeof(path) && access(path, F_OK) == 0;
}

static int mark(char ***marks, const char *folder)
{
	return folder ? strv_appendf(marks, RDT_MARK "%s", folder) : -ENOMEM;
}

int rdt_plan(const char *root, const struct oci_intel_rdt *rdt, const char *id, char ***marks, struct err **reterr)
{
	_cleanup_free_ char *clos = folder_of(root, rdt, id, false), *monitor = folder_of(root, rdt, id, true);
	bool is_there = clos && access(clos, F_OK) == 0;

	if (!clos || !monitor)
		return err_oom(reterr);
	if (rdt->l3_cache_schema && !exists(root, "info/L3") && !exists(root, "info/L3CODE"))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"intelRdt.l3CacheSchema is specified in config, but Intel RDT/CAT is not enabled");
	if (rdt->mem_bw_schema && !exists(root, "info/MB"))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"intelRdt.memBwSchema is specified in config, but Intel RDT/MBA is not enabled");
	if (rdt->enable_monitoring && !exists(root, "mon_groups"))
		return err_set(reterr, ERR_UNSUPPORTED, 0,
			"intelRdt.enableMonitoring is specified in config, but this host can't monitor");
	if (is_named(rdt) && !has_shares(rdt) && !is_there)
		return err_set(reterr, ERR_NOT_FOUND, ENOENT,
			"clos directory %s does not exist, and there is no schema to make it with", clos);
	if (!is_named(rdt) && is_there)
		return err_set(reterr, ERR_CONFLICT, EEXIST,
			"there is a class of service already that is called as the container: %s", clos);
	int r = is_named(rdt) ? 0 : mark(marks, clos);
	if (r == 0 && rdt->enable_monitoring)
		r = mark(marks, monitor);
	return r < 0 ? err_oom(reterr) : 0;
}

/* ---- files ---- */

/* What the kernel says of the last write, in words, where it refused one. */
static int refused(const char *root, int r, const char *what, struct err **reterr)
{
	char path[PATH_MAX], status[STATUS_MAX];
	_autoclose_ int fd = -1;
	ssize_t len = -1;

	if (snprintf(path, sizeof(path), "%s/info/last_cmd_status", root) < (int)sizeof(path))
		fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		len = read(fd, status, sizeof(status) - 1);
	if (len <= 0)
		return err_errno(reterr, r, "%s", what);
	status[len] = '\0';
	status[strcspn(status, "\n")] = '\0';
	return err_errno(reterr, r, "%s, last_cmd_status: %s", what, status);
}

static int add_lines(struct buf *text, const char *lines)
{
	int r = lines && *lines ? buf_puts(text, lines) : 0;

	return r == 0 && text->len && text->data[text->len - 1] != '\n' ? buf_putc(text, '\n') : r;
}

/* In one write: the cache, the bandwidth, the rest. */
static int write_shares(const char *root, const char *clos, const struct oci_intel_rdt *rdt, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SCHEMATA_MAX);
	char path[PATH_MAX];
	int r = add_lines(&text, rdt->l3_cache_schema);

	if (r == 0)
		r = add_lines(&text, rdt->mem_bw_schema);
	strv_foreach (line, rdt->schemata)
		r = r == 0 ? add_lines(&text, *line) : r;
	if (r == 0 && snprintf(path, sizeof(path), "%s/schemata", clos) >= (int)sizeof(path))
		r = -ENAMETOOLONG;
	_autoclose_ int fd = r == 0 ? open(path, O_WRONLY | O_CLOEXEC) : -1;
	if (r == 0 && (fd < 0 || write(fd, text.data, text.len) != (ssize_t)text.len))
		r = errno ? -errno : -EIO;
	return r < 0 ? refused(root, r, "unable to set Intel RDT schemata", reterr) : 0;
}

static int make_folder(const char *root, const char *folder, struct err **reterr)
{
	if (mkdir(folder, 0755) == 0 || errno == EEXIST)
		return 0;
	if (errno == ENOSPC)
		return refused(root, -errno,
			"unable to make the Intel RDT group: all classes of service or monitoring groups are in use",
			reterr);
	return refused(root, -errno, "unable to make the Intel RDT group", reterr);
}

int rdt_make(const char *root, const struct oci_intel_rdt *rdt, const char *id, struct err **reterr)
{
	_cleanup_free_ char *clos = folder_of(root, rdt, id, false), *monitor = folder_of(root, rdt, id, true);

	if (!clos || !monitor)
		return err_oom(reterr);
	int r = make_folder(root, clos, reterr);
	if (r == 0 && has_shares(rdt))
		r = write_shares(root, clos, rdt, reterr);
	if (r == 0 && rdt->enable_monitoring)
		r = make_folder(root, monitor, reterr);
	return r;
}

int rdt_open_tasks(const char *root, const struct oci_intel_rdt *rdt, const char *id, int fds[2], struct err **reterr)
{
	int count = 0;

	/* The class first: who goes into another leaves the monitoring groups of the one before. */
	for (int i = 0; i < (rdt->enable_monitoring ? 2 : 1); i++) {
		_cleanup_free_ char *folder = folder_of(root, rdt, id, i == 1);
		char path[PATH_MAX];
		if (!folder || snprintf(path, sizeof(path), "%s/tasks", folder) >= (int)sizeof(path))
			errno = ENOMEM;
		else
			fds[i] = open(path, O_WRONLY | O_CLOEXEC);
		if (!folder || fds[i] < 0) {
			int r = -errno;
			while (count > 0)
				fd_close(&fds[--count]);
			return err_errno(reterr, r, "cannot open the tasks of the Intel RDT group %s",
				folder ? folder : "");
		}
		count++;
	}
	return count;
}

int rdt_update(const char *root, const struct oci_intel_rdt *rdt, const char *id, struct err **reterr)
{
	_cleanup_free_ char *clos = folder_of(root, rdt, id, false);

	return clos ? write_shares(root, clos, rdt, reterr) : err_oom(reterr);
}

/* The last first: a monitoring group is in its class. */
int rdt_remove(char *const *marks)
{
	int result = 0;

	for (size_t i = strv_count(marks); i-- > 0;)
		if (strncmp(marks[i], RDT_MARK, strlen(RDT_MARK)) == 0 && rmdir(marks[i] + strlen(RDT_MARK)) < 0 &&
			errno != ENOENT)
			result = result ? result : -errno;
	return result;
}
