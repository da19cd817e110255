#include "engine/network_names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/io.h"
#include "base/log.h"
#include "base/strv.h"
#include "engine/endpoints.h"
#include "network/dns_names.h"

static int open_root(const struct engine *engine)
{
	if (mkdirat(engine->exec_fd, "networks", 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(engine->exec_fd, "networks", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* A monitor that needed it first may have made it. */
static int open_folder(const struct network *network)
{
	_autoclose_ int root = open_root(network->engine);
	if (root < 0)
		return root;
	if (mkdirat(root, network->info.id, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(root, network->info.id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int print_container(const struct container *container, const struct network *network, struct buf *out)
{
	const struct record_leg *leg = endpoints_leg(container, network);
	const struct endpoint_settings *asked = endpoints_asked(container, network);
	_autofree_(strv) char **names = NULL;
	if (!leg || !asked || !endpoints_are_live(container))
		return 0;
	const struct run_place *place = endpoints_place(container, network);
	int r = endpoints_names(container, asked, &names);
	if (r == 0 && place)
		return dns_names_print_endpoint(out, place->ipv4.address, place->ipv6.address, names);
	return r < 0 ? r : dns_names_print_endpoint(out, leg->ipv4, leg->ipv6, names);
}

static int print(const struct network *network, struct buf *out)
{
	struct container *container;
	int r = dns_names_print_network(out, network->info.name);
	for (size_t cursor = 0; r == 0 && (container = containers_next(network->engine->containers, &cursor));)
		r = print_container(container, network, out);
	return r;
}

void network_names_write(const struct network *network)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(DNS_NAMES_BYTES_MAX);
	if (network->predefined)
		return;
	_autoclose_ int folder = open_folder(network);
	int r = folder < 0 ? folder : print(network, &text);
	if (r == 0)
		r = io_replace_file(folder, DNS_NAMES_FILE, text.data, text.len, false);
	if (r < 0)
		log_error("the names on network %s are not up to date: %s", network->info.name, strerrordesc_np(-r));
}

void network_names_changed(const struct container *container)
{
	for (size_t i = 0; i < container->record.leg_count; i++) {
		const struct network *network = networks_by_id(container->engine->networks,
			container->record.legs[i].network_id);
		if (network)
			network_names_write(network);
	}
}

static void remove_folder(int root, const char *id)
{
	_autoclose_ int folder = openat(root, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (folder < 0)
		return;
	unlinkat(folder, DNS_NAMES_FILE, 0);
	unlinkat(folder, DNS_NAMES_FILE ".tmp", 0);
	if (unlinkat(root, id, AT_REMOVEDIR) < 0)
		log_warn("cannot remove the folder of network %s: %m", id);
}

void network_names_remove(const struct network *network)
{
	_autoclose_ int root = open_root(network->engine);
	if (root >= 0)
		remove_folder(root, network->info.id);
}

static void remove_strange(struct engine *engine)
{
	int root = open_root(engine);
	DIR *folder = root < 0 ? NULL : fdopendir(root);
	const struct dirent *entry;
	if (!folder) {
		fd_close(&root);
		return;
	}
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.' && !networks_by_id(engine->networks, entry->d_name))
			remove_folder(root, entry->d_name);
	closedir(folder);
}

void network_names_boot(struct engine *engine)
{
	const struct network *network;
	remove_strange(engine);
	for (size_t cursor = 0; (network = networks_next(engine->networks, &cursor));)
		network_names_write(network);
}
