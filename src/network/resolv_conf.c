#include "network/resolv_conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/io.h"
#include "base/strv.h"
#include "network/dns_door.h"

#define HOST_FILE     "/etc/resolv.conf"
#define RESOLVED_FILE "/run/systemd/resolve/resolv.conf"
#define RESOLVED_STUB "127.0.0.53"

static const char blanks[] = " \t\r";

/* ---- reading */

/* A zone behind % belongs to the host; it is a server's all the same. */
static bool is_address(const char *text, int *ret_family)
{
	char bare[INET6_ADDRSTRLEN];
	unsigned char address[sizeof(struct in6_addr)];
	size_t len = strcspn(text, "%");

	if (len >= sizeof(bare))
		return false;
	memcpy(bare, text, len);
	bare[len] = '\0';
	*ret_family = strchr(bare, ':') ? AF_INET6 : AF_INET;
	return inet_pton(*ret_family, bare, address) == 1 && (!text[len] || *ret_family == AF_INET6);
}

static bool is_loopback(const char *server)
{
	return strncmp(server, "127.", 4) == 0 || strcmp(server, "::1") == 0;
}

/* The words after a keyword, up to a comment. */
static int take_words(char *rest, char ***list)
{
	int r = 0;

	for (char *word = strtok_r(rest, blanks, &rest); word && r == 0 && *word != '#' && *word != ';';
		word = strtok_r(NULL, blanks, &rest))
		r = strv_append(list, word);
	return r;
}

static int take_line(struct resolv_conf *conf, char *line)
{
	char *rest = NULL, *keyword = strtok_r(line, blanks, &rest);
	int family;

	if (!keyword || *keyword == '#' || *keyword == ';')
		return 0;
	if (strcmp(keyword, "nameserver") == 0) {
		char *server = strtok_r(NULL, blanks, &rest);
		return server && is_address(server, &family) ? strv_append(&conf->servers, server) : 0;
	}
	if (strcmp(keyword, "search") == 0 || strcmp(keyword, "domain") == 0) { /* the last one counts */
		strv_free(conf->search);
		conf->search = NULL;
		return take_words(rest, &conf->search);
	}
	return strcmp(keyword, "options") == 0 ? take_words(rest, &conf->options) : 0;
}

int resolv_conf_parse(const char *text, size_t len, struct resolv_conf *ret)
{
	_cleanup_free_ char *copy = strndup(text, len);
	struct resolv_conf conf = { 0 };
	int r = copy ? 0 : -ENOMEM;

	for (char *rest = copy, *line; r == 0 && (line = strsep(&rest, "\n"));)
		r = take_line(&conf, line);
	if (r < 0)
		resolv_conf_finish(&conf);
	else
		*ret = conf;
	return r;
}

void resolv_conf_finish(struct resolv_conf *conf)
{
	strv_free(conf->servers);
	strv_free(conf->search);
	strv_free(conf->options);
	*conf = (struct resolv_conf){ 0 };
}

static int read_file(const char *path, struct resolv_conf *ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(RESOLV_CONF_MAX);
	/* Often a symbolic link, of the host's own making. */
	_autoclose_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = fd < 0 ? -errno : io_read_all(fd, &text);

	return r < 0 ? r : resolv_conf_parse(text.data ?: "", text.len, ret);
}

int resolv_conf_read_host(struct resolv_conf *ret)
{
	struct resolv_conf behind;
	int r = read_file(HOST_FILE, ret);

	if (r == -ENOENT) {
		*ret = (struct resolv_conf){ 0 };
		return 0;
	}
	if (r == 0 && strv_count(ret->servers) == 1 && strcmp(ret->servers[0], RESOLVED_STUB) == 0 &&
		read_file(RESOLVED_FILE, &behind) == 0) {
		resolv_conf_finish(ret);
		*ret = behind;
	}
	return r;
}

/* ---- changing */

static int replace(char ***list, char *const *with)
{
	if (!with || !*with)
		return 0;
	char **copy = strv_copy(with);
	if (!copy)
		return -ENOMEM;
	strv_free(*list);
	*list = copy;
	return 0;
}

int resolv_conf_override(struct resolv_conf *conf, char *const *servers, char *const *search, char *const *options)
{
	int r = replace(&conf->servers, servers) ?: replace(&conf->search, search) ?: replace(&conf->options, options);

	if (r == 0 && search && *search && strcmp(*search, ".") == 0) {
		strv_free(conf->search);
		conf->search = NULL;
	}
	return r;
}

int resolv_conf_for_bridge(struct resolv_conf *conf, bool has_ipv6)
{
	char **left = NULL;
	int r = 0, family;

	strv_foreach (server, conf->servers)
		if (r == 0 && !is_loopback(*server) && is_address(*server, &family) && (family == AF_INET || has_ipv6))
			r = strv_append(&left, *server);
	if (r == 0 && !left)
		r = strv_append(&left, "8.8.8.8") ?: strv_append(&left, "8.8.4.4");
	if (r < 0) {
		strv_free(left);
		return r;
	}
	strv_free(conf->servers);
	conf->servers = left;
	return 0;
}

bool resolv_conf_has_ndots(const struct resolv_conf *conf)
{
	strv_foreach (option, conf->options)
		if (strncmp(*option, "ndots:", strlen("ndots:")) == 0)
			return true;
	return false;
}

int resolv_conf_for_resolver(struct resolv_conf *conf)
{
	char *const servers[] = { (char *)DNS_DOOR_ADDRESS, NULL };
	int r = replace(&conf->servers, servers);

	/* Names of networks have no dots, and are to be asked for as they are first. */
	return r < 0 || resolv_conf_has_ndots(conf) ? r : strv_append(&conf->options, "ndots:0");
}

/* ---- writing */

static int print_list(struct buf *out, const char *keyword, char *const *words)
{
	int r = words && *words ? buf_puts(out, keyword) : 0;

	strv_foreach (word, words)
		r = r ?: buf_printf(out, " %s", *word);
	return r ?: words && *words ? buf_putc(out, '\n') : 0;
}

int resolv_conf_print(const struct resolv_conf *conf, struct buf *out)
{
	int r = 0;

	strv_foreach (server, conf->servers)
		r = r ?: buf_printf(out, "nameserver %s\n", *server);
	return r ?: print_list(out, "search", conf->search) ?: print_list(out, "options", conf->options);
}
