/* Compressed streams of every kind, the first byte choosing one: an end, and no more than an error. */
#include <fcntl.h>
#include <unistd.h>

#include <sys/mman.h>

#include "base/io.h"
#include "worker/inflate.h"

#include "fuzz.h"

#define INPUT_MAX (64 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int in_fd, out_fd;

	if (size < 1 || size > INPUT_MAX)
		return 0;
	in_fd = memfd_create("in", MFD_CLOEXEC);
	out_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	fuzz_check(io_write_full(in_fd, data + 1, size - 1) == 0);
	lseek(in_fd, 0, SEEK_SET);
	fuzz_check(inflate_stream(data[0] % (COMPRESSION_BZIP2 + 1), in_fd, out_fd) <= 0);
	close(in_fd);
	close(out_fd);
	return 0;
}
