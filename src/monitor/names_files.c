#include "monitor/names_files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "network/resolv_conf.h"

#define NAMES_FILE_MAX RESOLV_CONF_MAX

static bool is_one_line(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 32 || *text == 127)
			return false;
	return true;
}

static bool is_set(const char *text)
{
	return text && *text;
}

static bool is_mode(const struct launch_network *network, const char *mode)
{
	return network->mode && strcmp(network->mode, mode) == 0;
}

/* --- hostname --- */

static int print_hostname(const struct launch *launch, const struct launch_network *network, struct buf *out)
{
	(void)network;
	return buf_printf(out, "%s\n", launch->oci.hostname ?: "");
}

/* --- hosts --- */

static const char loopback_hosts[] = "127.0.0.1\tlocalhost\n"
				     "::1\tlocalhost ip6-localhost ip6-loopback\n"
				     "fe00::\tip6-localnet\n"
				     "ff00::\tip6-mcastprefix\n"
				     "ff02::1\tip6-allnodes\n"
				     "ff02::2\tip6-allrouters\n";

static int print_own_host(const struct launch *launch, const char *address, struct buf *out)
{
	const char *hostname = launch->oci.hostname, *domain = launch->oci.domainname;

	if (!is_set(address) || !is_set(hostname))
		return 0;
	if (is_set(domain))
		return buf_printf(out, "%s\t%s.%s %s\n", address, hostname, domain, hostname);
	return buf_printf(out, "%s\t%s\n", address, hostname);
}

/* A line for each address that it has. */
static int print_own_hosts(const struct launch *launch, const struct launch_network *network, struct buf *out)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < network->endpoint_count; i++) {
		const struct lease_endpoint *endpoint = &network->endpoints[i];
		ret = print_own_host(launch, endpoint->ipv4.address, out)
			      ?: print_own_host(launch, endpoint->ipv6.address, out);
	}
	/* Without an interface of its own, a container finds itself on the loopback. */
	if (network->endpoint_count == 0)
		ret = print_own_host(launch, "127.0.1.1", out);
	return ret;
}

/* In the host's own network its names are the host's. */
static int print_hosts(const struct launch *launch, const struct launch_network *network, struct buf *out)
{
	int ret = is_mode(network, "host") ? io_read_file(AT_FDCWD, "/etc/hosts", out) : -ENOENT;

	if (ret == -ENOENT)
		ret = buf_puts(out, loopback_hosts);
	strv_foreach (host, launch->names.extra_hosts) {
		const char *colon = strchr(*host, ':');
		if (ret == 0 && colon)
			ret = buf_printf(out, "%s\t%.*s\n", colon + 1, (int)(colon - *host), *host);
	}
	return ret ?: print_own_hosts(launch, network, out);
}

/* --- resolv.conf --- */

static bool has_ipv6(const struct launch_network *network)
{
	for (size_t i = 0; i < network->endpoint_count; i++)
		if (is_set(network->endpoints[i].ipv6.address))
			return true;
	return false;
}

static int print_resolv(const struct launch *launch, const struct launch_network *network, struct buf *out)
{
	const struct launch_names *names = &launch->names;
	struct resolv_conf conf;
	int ret = resolv_conf_read_host(&conf);

	if (ret < 0)
		return ret;
	ret = resolv_conf_override(&conf, names->dns, names->dns_search, names->dns_options);
	if (ret == 0 && launch_network_resolves(network))
		ret = resolv_conf_for_resolver(&conf);
	else if (ret == 0 && network->endpoint_count)
		ret = resolv_conf_for_bridge(&conf, has_ipv6(network));
	if (ret == 0)
		ret = resolv_conf_print(&conf, out);
	resolv_conf_finish(&conf);
	return ret;
}

/* --- the files --- */

const struct names_file names_files[NAMES_FILES] = {
	{ "hostname", "/etc/hostname", print_hostname },
	{ "hosts", "/etc/hosts", print_hosts },
	{ "resolv.conf", "/etc/resolv.conf", print_resolv },
};

int names_files_check(const struct launch *launch, struct err **reterr)
{
	char *const *const lists[] = { launch->names.extra_hosts, launch->names.dns, launch->names.dns_search,
		launch->names.dns_options };
	bool fine = !launch->oci.hostname || is_one_line(launch->oci.hostname);

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_foreach (word, lists[i])
			fine &= is_one_line(*word);
	return fine ? 0 : err_set(reterr, ERR_INVALID, 0, "a host name or DNS setting has a control character in it");
}

int names_file_write(int folder_fd, const struct names_file *file, const struct launch *launch)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(NAMES_FILE_MAX);
	int ret = file->print(launch, &launch->network, &text);
	if (ret == 0)
		ret = io_replace_file(folder_fd, file->name, text.data ?: "", text.len, false);
	if (ret == 0 && fchmodat(folder_fd, file->name, 0644, 0) < 0)
		ret = -errno;
	return ret;
}

/* --- changes --- */

/* The container may be reading: what is there is never shorter than both the old and the new but for the moment of the cut. */
static int overwrite(int folder_fd, const char *name, const struct buf *text)
{
	_autoclose_ int fd = openat(folder_fd, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
	int ret = fd < 0 ? -errno : io_write_full(fd, text->data ?: "", text->len);

	return ret == 0 && ftruncate(fd, (off_t)text->len) < 0 ? -errno : ret;
}

/* Lines that were ours are replaced where they are; what the container wrote stays. */
static int change_hosts(int folder_fd, const struct launch *launch, const struct launch_network *before)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(NAMES_FILE_MAX), old = BUF_INIT(NAMES_FILE_MAX),
					 out = BUF_INIT(NAMES_FILE_MAX);
	int ret = io_read_file(folder_fd, "hosts", &text);

	ret = ret ?: print_own_hosts(launch, before, &old);
	if (ret < 0)
		return ret;
	const char *found = old.len && text.len ? strstr(text.data, old.data) : NULL;
	size_t kept = found ? (size_t)(found - text.data) : text.len;
	ret = buf_append(&out, text.data ?: "", kept) ?: print_own_hosts(launch, &launch->network, &out);
	if (ret == 0 && found)
		ret = buf_append(&out, found + old.len, text.len - kept - old.len);
	return ret ?: overwrite(folder_fd, "hosts", &out);
}

static int change_resolv(int folder_fd, const struct launch *launch, const struct launch_network *before)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(NAMES_FILE_MAX), old = BUF_INIT(NAMES_FILE_MAX),
					 out = BUF_INIT(NAMES_FILE_MAX);
	int ret = io_read_file(folder_fd, "resolv.conf", &text);

	ret = ret ?: print_resolv(launch, before, &old);
	if (ret < 0 || strcmp(text.data ?: "", old.data ?: "") != 0)
		return ret;
	ret = print_resolv(launch, &launch->network, &out);
	return ret ?: overwrite(folder_fd, "resolv.conf", &out);
}

void names_files_change(const struct launch *launch, const struct launch_network *before)
{
	_autoclose_ int folder = open(launch->rootfs.container_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret = folder < 0 ? -errno : change_hosts(folder, launch, before);

	if (ret == 0 || ret == -ENOENT) /* the user has mounted a file of his own there */
		ret = change_resolv(folder, launch, before);
	if (ret < 0 && ret != -ENOENT)
		log_error("cannot change the container's names: %s", strerrordesc_np(-ret));
}
