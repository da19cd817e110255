#include "fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/strv.h"
#include "codec/sha256.h"

int fixture_setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	snprintf(fixture->path, sizeof(fixture->path), "/tmp/tare-store-XXXXXX");
	assert_non_null(mkdtemp(fixture->path));
	fixture->root_fd = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fixture->root_fd >= 0);
	assert_int_equal(store_open(fixture->root_fd, STORE_ENGINE, &fixture->store, NULL), 0);
	*state = fixture;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *fixture = *state;
	char command[128];

	store_free(fixture->store);
	close(fixture->root_fd);
	snprintf(command, sizeof(command), "rm -rf %s", fixture->path);
	assert_int_equal(system(command), 0);
	free(fixture);
	return 0;
}

void fixture_reopen(struct fixture *fixture)
{
	store_free(fixture->store);
	fixture->store = NULL;
	assert_int_equal(store_open(fixture->root_fd, STORE_ENGINE, &fixture->store, NULL), 0);
}

void fixture_abandon(struct job *job)
{
	/* The lock is the descriptor's; the struct is all that a kill would take with it besides. */
	close(job_folder(job));
	free(job);
}

const char *fixture_diff_id(char digit)
{
	static _Thread_local char ids[8][STORE_DIGEST_SIZE];
	static _Thread_local unsigned next;
	char *id = ids[next++ % 8];

	strcpy(id, "sha256:");
	memset(id + 7, digit, 64);
	id[71] = '\0';
	return id;
}

/* The blob's content is the digit. */
static int blob_make(struct job *job, char digit, char digest[static STORE_DIGEST_SIZE])
{
	struct sha256 *hash = sha256_new();
	int fd = openat(job_folder(job), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &digit, 1), 1);
	sha256_update(hash, &digit, 1);
	sha256_digest(hash, digest);
	sha256_free(hash);
	return fd;
}

void fixture_make_layer(struct fixture *fixture, struct job *job, char digit)
{
	char digest[STORE_DIGEST_SIZE];
	struct layer_content content = {
		.folder = "layer", .size_bytes = 100, .blob_digest = digest, .blob_size_bytes = 1
	};
	enum layer_claim claim;

	(void)fixture;
	assert_int_equal(layer_claim(job, fixture_diff_id(digit), &claim, NULL), 0);
	if (claim == LAYER_READY)
		return;
	assert_int_equal(claim, LAYER_MINE);
	assert_int_equal(mkdirat(job_folder(job), "layer", 0755), 0);
	content.blob_fd = blob_make(job, digit, digest);
	assert_int_equal(layer_commit(job, fixture_diff_id(digit), &content, NULL), 0);
	close(content.blob_fd);
}

static void config_make(const char *layers, const char *author, struct buf *out)
{
	buf_printf(out,
		"{\"created\":\"2026-01-02T03:04:05Z\",\"author\":\"%s\",\"architecture\":\"amd64\",\"os\":\"linux\","
		"\"config\":{\"Env\":[\"A=b\"]},\"history\":[{\"created_by\":\"first\"},{\"created_by\":\"none\",\"empty_layer\":true},"
		"{\"created_by\":\"second\",\"comment\":\"c\"}],\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[",
		author);
	for (size_t i = 0; layers[i]; i++)
		buf_printf(out, "%s\"%s\"", i ? "," : "", fixture_diff_id(layers[i]));
	buf_puts(out, "]}}");
}

void fixture_make_image(struct fixture *fixture, const char *layers, const char *author, const char *names,
	char ret_id[static STORE_DIGEST_SIZE])
{
	_cleanup_(buf_finish) struct buf config = BUF_INIT(65536);
	_autofree_(strv) char **list = *names ? strv_split(names, ' ') : NULL;
	struct image_added added;
	struct job *job;

	assert_int_equal(job_begin(fixture->store, &job, NULL), 0);
	for (size_t i = 0; layers[i]; i++)
		fixture_make_layer(fixture, job, layers[i]);
	config_make(layers, author, &config);
	assert_int_equal(store_image_add(job, config.data, config.len, list, &added, NULL), 0);
	strcpy(ret_id, added.id);
	image_added_finish(&added);
	job_end(job);
}

bool fixture_exists(struct fixture *fixture, const char *path)
{
	return faccessat(fixture->root_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

unsigned fixture_count(struct fixture *fixture, const char *folder)
{
	DIR *dir = fdopendir(openat(fixture->root_fd, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	unsigned count = 0;

	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		count += entry->d_name[0] != '.';
	closedir(dir);
	return count;
}
