/*
 * /etc/hostname, /etc/hosts and /etc/resolv.conf, as Docker writes them, in the container's own folder. Written anew at each
 * start; the container may write to them while it runs. No value with a line end or other control character gets in: a
 * line of somebody's choice in these files is somebody's own host name or server.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/strv.h"
#include "monitor/monitor.h"
#include "monitor/prepare.h"

#define NAMES_FILE_MAX (256 * 1024)

static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 32 || *text == 127)
			return false;
	return true;
}

static int print_hostname(const struct launch *launch, struct buf *out)
{
	return buf_printf(out, "%s\n", launch->oci.hostname ?: "");
}

static const char loopback_hosts[] = "127.0.0.1\tlocalhost\n"
				     "::1\tlocalhost ip6-localhost ip6-loopback\n"
				     "fe00::\tip6-localnet\n"
				     "ff00::\tip6-mcastprefix\n"
				     "ff02::1\tip6-allnodes\n"
				     "ff02::2\tip6-allrouters\n";

static int print_own_host(const struct launch *launch, const char *address, struct buf *out)
{
	const char *hostname = launch->oci.hostname ?: "", *domain = launch->oci.domainname ?: "";
	if (!*hostname || !address)
		return 0;
	if (*domain)
		return buf_printf(out, "%s\t%s.%s %s\n", address, hostname, domain, hostname);
	return buf_printf(out, "%s\t%s\n", address, hostname);
}

/* Without an interface of its own, a container finds itself on the loopback. */
static int print_own_hosts(const struct launch *launch, struct buf *out)
{
	const struct launch_network *network = &launch->network;
	int ret = network->endpoint_count ? 0 : print_own_host(launch, "127.0.1.1", out);
	for (size_t i = 0; ret == 0 && i < network->endpoint_count; i++) {
		ret = print_own_host(launch, network->endpoints[i].ipv4.address, out);
		if (ret == 0)
			ret = print_own_host(launch, network->endpoints[i].ipv6.address, out);
	}
	return ret;
}

/* In the host's own network its names are the host's. */
static int print_hosts(const struct launch *launch, struct buf *out)
{
	int ret = -ENOENT;
	if (launch->network.mode && strcmp(launch->network.mode, "host") == 0)
		ret = io_read_file(AT_FDCWD, "/etc/hosts", out);
	if (ret == -ENOENT)
		ret = buf_puts(out, loopback_hosts);
	if (ret == 0)
		ret = print_own_hosts(launch, out);
	strv_foreach (host, launch->names.extra_hosts) {
		const char *colon = strchr(*host, ':');
		if (ret == 0 && colon)
			ret = buf_printf(out, "%s\t%.*s\n", colon + 1, (int)(colon - *host), *host);
	}
	return ret;
}

static int print_list(struct buf *out, const char *keyword, char *const *words)
{
	int ret = words && *words ? buf_puts(out, keyword) : 0;
	strv_foreach (word, words)
		ret = ret ?: buf_printf(out, " %s", *word);
	return ret ?: words && *words ? buf_putc(out, '\n') : 0;
}

/* Lines of the host's file whose keyword is not set by us. */
static int copy_host_resolv(const struct launch_names *names, struct buf *out)
{
	_cleanup_(buf_finish) struct buf host = BUF_INIT(NAMES_FILE_MAX);
	int ret = io_read_file(AT_FDCWD, "/etc/resolv.conf", &host);
	if (ret == -ELOOP) { /* often a symbolic link, of the host's own making */
		_autoclose_ int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		ret = fd < 0 ? -errno : io_read_all(fd, &host);
	}
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret;
	for (char *line = host.data, *next; line && *line && ret == 0; line = next) {
		size_t len = strcspn(line, "\n");
		next = line + len + (line[len] == '\n');
		bool ours = (names->dns && *names->dns && strncmp(line, "nameserver", 10) == 0) ||
			    (names->dns_search && *names->dns_search &&
				    (strncmp(line, "search", 6) == 0 || strncmp(line, "domain", 6) == 0)) ||
			    (names->dns_options && *names->dns_options && strncmp(line, "options", 7) == 0);
		if (!ours && *line != '#' && len)
			ret = buf_append(out, line, len) ?: buf_putc(out, '\n');
	}
	return ret;
}

static int print_resolv(const struct launch *launch, struct buf *out)
{
	const struct launch_names *names = &launch->names;
	int ret = copy_host_resolv(names, out);
	strv_foreach (server, names->dns)
		ret = ret ?: buf_printf(out, "nameserver %s\n", *server);
	ret = ret ?: print_list(out, "search", names->dns_search);
	return ret ?: print_list(out, "options", names->dns_options);
}

static const struct names_file {
	const char *name;
	const char *target;
	int (*print)(const struct launch *launch, struct buf *out);
} names_files[] = {
	{ "hostname", "/etc/hostname", print_hostname },
	{ "hosts", "/etc/hosts", print_hosts },
	{ "resolv.conf", "/etc/resolv.conf", print_resolv },
};

static int check_names(const struct launch *launch, struct err **reterr)
{
	char *const *const lists[] = { launch->names.extra_hosts, launch->names.dns, launch->names.dns_search,
		launch->names.dns_options };
	bool fine = !launch->oci.hostname || is_one_line(launch->oci.hostname);

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_foreach (word, lists[i])
			fine &= is_one_line(*word);
	return fine ? 0 : err_set(reterr, ERR_INVALID, 0, "a host name or DNS setting has a control character in it");
}

static int write_file(struct prepared *prepared, const struct names_file *file, const struct launch *launch)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(NAMES_FILE_MAX);
	int ret = file->print(launch, &text);
	if (ret == 0)
		ret = io_replace_file(prepared->rootfs.dir_fd, file->name, text.data ?: "", text.len, false);
	if (ret == 0 && fchmodat(prepared->rootfs.dir_fd, file->name, 0644, 0) < 0)
		ret = -errno;
	return ret;
}

static void add_file(struct prepared *prepared, const struct names_file *file, int folder_fd)
{
	prepared->files[prepared->options.file_count++] = (struct container_file){
		.source = file->name,
		.source_fd = folder_fd,
		.target = file->target,
	};
}

/* With another container's network come its files, but for those that it has none of itself. */
static int share_files(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	_cleanup_free_ char *folder = NULL;
	if (asprintf(&folder, "../%s", monitor->launch.join.network) < 0)
		return err_oom(reterr);
	int fd = openat(prepared->rootfs.dir_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_errno(reterr, -errno, "cannot open the folder of container %s",
			monitor->launch.join.network);
	prepared->joined_dir_fd = fd;
	for (size_t i = 0; i < ARRAY_SIZE(names_files); i++) {
		const struct names_file *file = &names_files[i];
		if (!prepare_has_mount(monitor, file->target) && faccessat(fd, file->name, F_OK, 0) == 0)
			add_file(prepared, file, fd);
	}
	return 0;
}

int prepare_files(struct monitor *monitor, struct prepared *prepared, struct err **reterr)
{
	const struct launch *launch = &monitor->launch;
	int ret = check_names(launch, reterr);

	if (ret < 0)
		return ret;
	if (launch->join.network)
		return share_files(monitor, prepared, reterr);
	for (size_t i = 0; i < ARRAY_SIZE(names_files); i++) {
		const struct names_file *file = &names_files[i];
		if (prepare_has_mount(monitor, file->target))
			continue;
		ret = write_file(prepared, file, launch);
		if (ret < 0)
			return err_errno(reterr, ret, "cannot write the container's %s", file->target);
		add_file(prepared, file, prepared->rootfs.dir_fd);
	}
	return 0;
}
