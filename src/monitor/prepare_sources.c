/*
 * Sources of binds that are to be made (-v of a folder that does not exist), and new volumes that get what the image has at
 * their place. The image is looked at through an overlay of its own layers that is mounted nowhere.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "monitor/fill.h"
#include "monitor/monitor.h"
#include "monitor/prepare.h"
#include "runtime/overlay.h"
#include "sys/inroot.h"

static const char *source_of(const struct monitor *monitor, const char *destination)
{
	const struct oci_spec *oci = &monitor->launch.oci;
	for (size_t i = 0; i < oci->mount_count; i++)
		if (oci->mounts[i].destination && strcmp(oci->mounts[i].destination, destination) == 0)
			return oci->mounts[i].source;
	return NULL;
}

/* A path that the administrator gave: his symbolic links count. */
static int make_folders(const char *path)
{
	_cleanup_free_ char *copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	for (char *slash = copy; (slash = strchr(slash + 1, '/')) != NULL;) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return mkdir(copy, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int create_source(const char *source, struct err **reterr)
{
	struct stat st;
	int ret = stat(source, &st) == 0 ? 0 : errno == ENOENT ? make_folders(source) : -errno;
	return ret < 0 ? err_errno(reterr, ret, "error while creating mount source path '%s'", source) : 0;
}

static int open_image(const struct prepared *prepared, struct err **reterr)
{
	struct container_rootfs rootfs = prepared->options.rootfs;
	int fd = -1;

	if (rootfs.kind == CONTAINER_ROOTFS_PATH) {
		fd = open(rootfs.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_errno(reterr, -errno, "cannot open the root %s", rootfs.path) : fd;
	}
	/* The kernel makes no overlay of one layer, nor is there a need. */
	if (rootfs.lowers[0] && !rootfs.lowers[1]) {
		fd = openat(rootfs.layers_fd, rootfs.lowers[0], O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? err_errno(reterr, -errno, "cannot open the layer %s", rootfs.lowers[0]) : fd;
	}
	rootfs.upper_fd = -1;
	int ret = overlay_mount(&rootfs, &fd, reterr);
	return ret < 0 ? ret : fd;
}

/* Takes both descriptors. */
static int add_filling(struct prepared *prepared, const char *destination, int *image_fd, int *volume_fd)
{
	struct filling *grown = reallocarray(prepared->fillings, prepared->filling_count + 1,
		sizeof *prepared->fillings);
	if (!grown)
		return -ENOMEM;
	prepared->fillings = grown;
	grown[prepared->filling_count++] = (struct filling){
		.destination = destination,
		.image_fd = TAKE_FD(*image_fd),
		.volume_fd = TAKE_FD(*volume_fd),
	};
	return 0;
}

static int find_filling(struct prepared *prepared, const char *destination, const char *source, struct err **reterr)
{
	_autoclose_ int volume = open(source, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (volume < 0 && errno == ENOTDIR)
		return 0; /* the device of a volume may be a file */
	int ret = volume < 0 ? -errno : fill_is_due(volume);
	if (ret < 0)
		return err_errno(reterr, ret, "cannot look into the volume's folder %s", source);
	if (ret == 0)
		return 0; /* filled before: by a container, or by a start that failed later */
	_autoclose_ int root = open_image(prepared, reterr);
	if (root < 0)
		return root;
	_autoclose_ int image = inroot_open(root, destination, O_RDONLY | O_DIRECTORY);
	if (image == -ENOENT || image == -ENOTDIR)
		return 0;
	ret = image < 0 ? image : add_filling(prepared, destination, &image, &volume);
	return ret < 0 ? err_errno(reterr, ret, "cannot copy %s of the image into its volume", destination) : 0;
}

/* What lies in the volume is its containers' doing: resolved inside of it, once, and held. */
static int open_subpath(struct prepared *prepared, const struct launch_source *wish, const char *source,
	struct err **reterr)
{
	_autoclose_ int volume = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (volume < 0)
		return err_errno(reterr, -errno, "cannot open the volume's folder %s", source);
	_autoclose_ int inner = inroot_open_beneath(volume, wish->subpath, O_PATH);
	if (inner == -EXDEV)
		return err_set(reterr, ERR_INVALID, EXDEV,
			"path concatenation escapes the base directory, base: %s, subpath: %s", source, wish->subpath);
	if (inner < 0)
		return err_errno(reterr, inner, "cannot access path %s/%s", source, wish->subpath);
	size_t count = prepared->options.source_count;
	struct container_source *grown = reallocarray(prepared->sources, count + 1, sizeof *grown);
	if (!grown)
		return err_oom(reterr);
	prepared->sources = grown;
	grown[count] = (struct container_source){ .destination = wish->destination, .fd = TAKE_FD(inner) };
	prepared->options.source_count++;
	return 0;
}

static int check_device(const struct launch_source *wish, const char *source, struct err **reterr)
{
	struct stat st;
	if (stat(source, &st) == 0)
		return 0;
	return err_errno(reterr, -errno, "error while mounting volume '%s': failed to mount local volume: mount %s:%s",
		wish->volume, source, wish->volume);
}

/* Docker's words, since the number alone would name the place in the container too. */
static int check_source(const struct oci_mount *mount, struct err **reterr)
{
	struct stat st;
	if (!mount->type || strcmp(mount->type, "bind") != 0 || !mount->source || stat(mount->source, &st) == 0 ||
		errno != ENOENT)
		return 0; /* what else may be wrong with it, mounting it says */
	return err_set(reterr, ERR_INVALID, 0,
		"invalid mount config for type \"bind\": bind source path does not exist: %s", mount->source);
}

int prepare_sources(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch *launch = &monitor->launch;

	for (size_t i = 0; i < launch->source_count; i++) {
		const struct launch_source *wish = &launch->sources[i];
		const char *source = source_of(monitor, wish->destination);
		if (!source)
			return err_set(reterr, ERR_INVALID, 0, "no mount has the destination %s", wish->destination);
		int ret = wish->create ? create_source(source, reterr) : 0;
		if (wish->volume)
			ret = check_device(wish, source, reterr);
		if (ret == 0 && wish->subpath)
			ret = open_subpath(prepared, wish, source, reterr);
		if (ret == 0 && wish->copy_up)
			ret = find_filling(prepared, wish->destination, source, reterr);
		if (ret < 0)
			return ret;
	}
	int ret = 0;
	for (size_t i = 0; ret == 0 && i < launch->oci.mount_count; i++)
		ret = check_source(&launch->oci.mounts[i], reterr);
	return ret;
}
