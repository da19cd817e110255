/* The folders of the engine's: there, ours, writable, and with room. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "doctor/report.h"

#define SECTION  "folders"
#define FREE_LOW (1024LL * 1024 * 1024)
#define PART_LOW 20 /* 5 % */
#define GIB      1073741824.0

static void examine_room(struct examination *examination, const char *path, int fd, int64_t enough)
{
	struct statvfs fs;
	if (fstatvfs(fd, &fs) < 0)
		return;
	int64_t free_bytes = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize,
		all = (int64_t)fs.f_blocks * (int64_t)fs.f_frsize;
	double free_gib = (double)free_bytes / GIB, all_gib = (double)all / GIB;
	if (fs.f_flag & ST_RDONLY)
		report_mend(examination, SECTION, "mount it writable, and see in the kernel's log why it is not",
			"%s is on a filesystem that is read-only", path);
	if (free_bytes < enough)
		report_mend(examination, SECTION, "tare system prune", "%s: %.1f GiB of %.1f GiB are free", path,
			free_gib, all_gib);
	else if (fs.f_files > 0 && fs.f_favail < fs.f_files / PART_LOW)
		report_mend(examination, SECTION, "tare system prune", "%s: only %llu inodes are free", path,
			(unsigned long long)fs.f_favail);
	else
		report_ok(examination, SECTION, "%s: %.1f GiB of %.1f GiB are free", path, free_gib, all_gib);
}

/* Who may write in it may be root. */
static void examine_owner(struct examination *examination, const char *path, int fd)
{
	char remedy[512];
	struct stat status;
	if (fstat(fd, &status) < 0 || (status.st_uid == 0 && (status.st_mode & 022) == 0))
		return;
	snprintf(remedy, sizeof(remedy), "chown root %s && chmod go-w %s", path, path);
	report_mend(examination, SECTION, remedy, "%s can be written by others than root (owner %u, mode %o)", path,
		status.st_uid, status.st_mode & 07777);
}

/* A descriptor, or -1 and it has been told. */
static int open_folder(struct examination *examination, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		report_note(examination, SECTION, "%s is not there: no engine has run with it", path);
	else if (fd < 0 && errno == EACCES)
		report_note(examination, SECTION, "%s can only be looked into by root", path);
	else if (fd < 0)
		report_mend(examination, SECTION, "make it a folder of root's", "%s can't be opened: %s", path,
			strerror(errno));
	return fd;
}

static void examine_store(struct examination *examination, int fd)
{
	const char *const pairs[][2] = { { "engine.db", "engine.id" }, { "store.db", "store.id" } };
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		bool has_data = faccessat(fd, pairs[i][0], F_OK, 0) == 0,
		     has_id = faccessat(fd, pairs[i][1], F_OK, 0) == 0;
		if (has_data && has_id)
			report_ok(examination, SECTION, "%s is there", pairs[i][0]);
		else if (has_data != has_id)
			report_mend(examination, SECTION, "bring the data root back from a backup",
				"of %s and %s only one is there: the folder is not whole", pairs[i][0], pairs[i][1]);
	}
}

void examine_folders(struct examination *examination)
{
	const struct doctor_options *options = examination->options;
	_autoclose_ int data = open_folder(examination, options->data_root);
	_autoclose_ int run = open_folder(examination, options->exec_root);
	struct statfs fs;
	if (data >= 0) {
		examine_owner(examination, options->data_root, data);
		examine_store(examination, data);
		examine_room(examination, options->data_root, data, FREE_LOW);
	}
	if (run >= 0) {
		examine_owner(examination, options->exec_root, run);
		examine_room(examination, options->exec_root, run, FREE_LOW / 64);
	}
	if (run >= 0 && fstatfs(run, &fs) == 0 && fs.f_type != TMPFS_MAGIC)
		report_note(examination, SECTION,
			"%s is not on a tmpfs: each start writes to a disk, and what is there outlives a reboot",
			options->exec_root);
}
