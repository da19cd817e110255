#include "sys/sealed.h"

#include <errno.h>
#include <fcntl.h>

#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "base/cleanup.h"

/* Since Linux 6.3; older ones make every memfd executable and can't seal the mode. */
#ifndef MFD_EXEC
# define MFD_EXEC 0x0010U
#endif
#ifndef F_SEAL_EXEC
# define F_SEAL_EXEC 0x0020
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static int sealed_create(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

static int copy_contents(int from_fd, int to_fd)
{
	struct stat st;
	if (fstat(from_fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES; /* as execve says */
	for (off_t offset = 0; offset < st.st_size;) {
		ssize_t n = sendfile(to_fd, from_fd, &offset, (size_t)(st.st_size - offset));
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0)
			return -ETXTBSY; /* somebody is replacing it */
	}
	return 0;
}

int sealed_copy(int program_fd, const char *name, int *ret_fd)
{
	int created = sealed_create(name);
	if (created < 0)
		return created;
	_autoclose_ int fd = created;
	int r = copy_contents(program_fd, fd);
	if (r < 0)
		return r;
	if (fchmod(fd, 0500) < 0)
		return -errno;
	if (fcntl(fd, F_ADD_SEALS, SEALS | F_SEAL_EXEC) < 0 && fcntl(fd, F_ADD_SEALS, SEALS) < 0)
		return -errno;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
