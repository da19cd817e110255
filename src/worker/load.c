#include "worker/load.h"

#include <errno.h>

#include "worker/files.h"
#include "worker/inflate.h"
#include "worker/load_docker.h"
#include "worker/load_oci.h"
#include "worker/unpack.h"

#define ARCHIVE_FOLDER "archive"

/* A compressed upload is kept first, so that inflating has one shape for everything; a plain one is unpacked as it comes. */
static int upload_open(struct task *task, int *ret_fd, struct err **reterr)
{
	_autoclose_ int link_fd = -1;
	char magic[COMPRESSION_MAGIC_BYTES];
	ssize_t n = client_peek(task->client, magic, sizeof(magic), reterr);

	if (n < 0)
		return (int)n;
	if (n == 0)
		return err_set(reterr, ERR_INVALID, ENODATA, "the archive is empty");
	if (compression_detect(magic, (size_t)n) == COMPRESSION_NONE)
		return 0;
	return task_spool(task, ret_fd, &link_fd, reterr);
}

static int unpack_archive(struct task *task, int *ret_fd, struct err **reterr)
{
	_autoclose_ int upload_fd = -1, folder_fd = -1;
	struct unpacked unpacked;
	int r;

	r = upload_open(task, &upload_fd, reterr);
	if (r < 0)
		return r;
	folder_fd = task_folder(task, ARCHIVE_FOLDER, 0700);
	if (folder_fd < 0)
		return err_errno(reterr, folder_fd, "cannot make a folder for the archive");
	r = unpack(
		&(struct unpack){
			.file_fd = upload_fd,
			.client = task->client,
			.folder_fd = folder_fd,
			.empty_fd = task->empty_fd,
			.options = { .mode = EXTRACT_FILES, .entries_max = LIMIT_ARCHIVE_ENTRIES },
			.needs_end_marker = true,
		},
		&unpacked, reterr);
	if (r < 0)
		return r;
	*ret_fd = TAKE_FD(folder_fd);
	return 0;
}

static int load_archive(struct load_archive *archive, struct err **reterr)
{
	if (archive_file_exists(archive->fd, "manifest.json"))
		return load_docker_archive(archive, reterr);
	if (archive_file_exists(archive->fd, "index.json"))
		return load_oci_layout(archive, reterr);
	return err_set(reterr, ERR_INVALID, 0,
		"the archive holds no images: it has neither manifest.json nor index.json");
}

int load_check(const struct handover *handover, struct err **reterr)
{
	struct platform platform;

	return platform_parse(handover->load->platform, &platform, reterr);
}

int load_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	const struct handover_load *load = handover->load;
	struct load_archive archive = { .task = task, .fd = -1, .platform_asked = load->platform && *load->platform };
	int r;

	task->quiet = load->quiet;
	r = platform_parse(load->platform, &archive.platform, reterr);
	if (r == 0)
		r = unpack_archive(task, &archive.fd, reterr);
	if (r == 0)
		r = load_archive(&archive, reterr);
	fd_close(&archive.fd);
	return r;
}
