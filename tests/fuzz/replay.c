/*
 * Runs a fuzz target over kept inputs: every file in the folders given, and the empty input. Each is copied to memory of
 * exactly its size, so that a sanitizer sees a read past its end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <sys/stat.h>

#include "base/io.h"

#include "fuzz.h"

#define INPUT_MAX (4 * 1024 * 1024)

static void run(const char *data, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	fuzz_check(copy);
	if (len)
		memcpy(copy, data, len);
	LLVMFuzzerTestOneInput(copy, len);
	free(copy);
}

static int replay_file(int folder, const char *name)
{
	_cleanup_(buf_finish) struct buf input = BUF_INIT(INPUT_MAX);
	_autoclose_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int ret = io_read_all(fd, &input);
	if (ret == 0) {
		fprintf(stderr, "%s\n", name); /* the last one told is the one that crashed */
		run(input.data, input.len);
	}
	return ret;
}

static int replay_folder(const char *path, unsigned *count)
{
	DIR *folder = opendir(path);
	if (!folder)
		return -errno;
	int ret = 0;
	for (struct dirent *entry; ret == 0 && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		ret = replay_file(dirfd(folder), entry->d_name);
		++*count;
	}
	closedir(folder);
	return ret;
}

int main(int argc, char **argv)
{
	unsigned count = 0;
	run("", 0);
	for (int i = 1; i < argc; i++) {
		int ret = replay_folder(argv[i], &count);
		if (ret < 0) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-ret));
			return 1;
		}
	}
	if (!count)
		fprintf(stderr, "no kept input\n");
	return count ? 0 : 1;
}
