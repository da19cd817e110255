#include "registry/origin.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <libpsl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "base/parse.h"

#define HUB          "docker.io"
#define HUB_ENDPOINT "https://registry-1.docker.io"

void origin_finish(struct origin *origin)
{
	free(origin->scheme);
	free(origin->host);
	free(origin->port);
	memset(origin, 0, sizeof(*origin));
}

static void curlu_free(CURLU **url)
{
	curl_url_cleanup(*url);
}

/* libcurl's strings are its own to free. */
static int part(CURLU *url, CURLUPart what, unsigned flags, char **ret)
{
	char *text = NULL;
	CURLUcode code = curl_url_get(url, what, &text, flags);

	if (code != CURLUE_OK)
		return code == CURLUE_OUT_OF_MEMORY ? -ENOMEM : -EINVAL;
	*ret = strdup(text);
	curl_free(text);
	return *ret ? 0 : -ENOMEM;
}

static bool has_part(CURLU *url, CURLUPart what)
{
	char *text = NULL;
	bool has = curl_url_get(url, what, &text, 0) == CURLUE_OK;
	curl_free(text);
	return has;
}

static int fill_origin(CURLU *url, struct origin *out)
{
	int r = part(url, CURLUPART_SCHEME, 0, &out->scheme);

	if (r == 0 && strcmp(out->scheme, "https") != 0 && strcmp(out->scheme, "http") != 0)
		return -EINVAL;
	if (r == 0 && (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD)))
		return -EINVAL;
	if (r == 0)
		r = part(url, CURLUPART_HOST, 0, &out->host);
	if (r == 0)
		r = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT, &out->port);
	if (r < 0)
		return r;
	size_t len = strlen(out->host);
	if (len > 2 && *out->host == '[') {
		memmove(out->host, out->host + 1, len - 2);
		out->host[len - 2] = '\0';
	}
	for (char *c = out->host; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	/* It names a folder of certificates too. */
	return *out->host == '.' ? -EINVAL : 0;
}

int origin_of(const char *text, struct origin *out)
{
	__attribute__((cleanup(curlu_free))) CURLU *url = curl_url();

	memset(out, 0, sizeof(*out));
	if (!url)
		return -ENOMEM;
	int r = curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK ? fill_origin(url, out) : -EINVAL;
	if (r < 0)
		origin_finish(out);
	return r;
}

bool origin_equal(const struct origin *a, const struct origin *b)
{
	return strcmp(a->scheme, b->scheme) == 0 && strcmp(a->host, b->host) == 0 && strcmp(a->port, b->port) == 0;
}

int origin_resolve(const char *base, const char *reference, char **ret)
{
	__attribute__((cleanup(curlu_free))) CURLU *url = curl_url();

	if (!url)
		return -ENOMEM;
	if (curl_url_set(url, CURLUPART_URL, base, 0) != CURLUE_OK ||
		curl_url_set(url, CURLUPART_URL, reference, 0) != CURLUE_OK)
		return -EINVAL;
	return part(url, CURLUPART_URL, 0, ret);
}

bool host_is_loopback(const char *host)
{
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_pton(AF_INET, host, &v4) == 1)
		return ntohl(v4.s_addr) >> 24 == 127;
	if (inet_pton(AF_INET6, host, &v6) == 1)
		return IN6_IS_ADDR_LOOPBACK(&v6);
	return strcasecmp(host, "localhost") == 0;
}

static bool is_address(const char *host)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

bool host_is_related(const char *a, const char *b)
{
	if (strcasecmp(a, b) == 0)
		return true;
	if (is_address(a) || is_address(b))
		return false;
	const char *of_a = psl_registrable_domain(psl_builtin(), a), *of_b = psl_registrable_domain(psl_builtin(), b);
	return of_a && of_b && strcasecmp(of_a, of_b) == 0;
}

/* "10.0.0.0/8" */
static bool address_in(const char *host, const char *cidr)
{
	unsigned char address[sizeof(struct in6_addr)], network[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	const char *slash = strchr(cidr, '/');
	uint64_t bits;

	if (!slash || (size_t)(slash - cidr) >= sizeof(text) || parse_u64(slash + 1, 128, &bits) < 0)
		return false;
	snprintf(text, sizeof(text), "%.*s", (int)(slash - cidr), cidr);
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(family, text, network) != 1 || inet_pton(family, host, address) != 1 ||
		bits > (family == AF_INET ? 32 : 128))
		return false;
	unsigned char mask = (unsigned char)(0xff00 >> (bits % 8));
	return memcmp(address, network, bits / 8) == 0 &&
	       (bits % 8 == 0 || ((address[bits / 8] ^ network[bits / 8]) & mask) == 0);
}

bool host_is_listed(const char *host, const char *host_port, char *const *list)
{
	for (; list && *list; list++)
		if (strcasecmp(*list, host) == 0 || strcasecmp(*list, host_port) == 0 || address_in(host, *list))
			return true;
	return false;
}

/* ---- endpoints */

struct found {
	struct endpoint *all;
	size_t count;
};

static int add(struct found *found, const char *scheme, const char *where, bool verify, bool is_mirror)
{
	struct endpoint *all = reallocarray(found->all, found->count + 1, sizeof(*all));
	char *base;

	if (!all)
		return -ENOMEM;
	found->all = all;
	if (asprintf(&base, "%s%s", scheme, where) < 0)
		return -ENOMEM;
	for (size_t len = strlen(base); len > 0 && base[len - 1] == '/'; len--)
		base[len - 1] = '\0';
	all[found->count++] = (struct endpoint){ base, verify, is_mirror };
	return 0;
}

static bool is_insecure(const char *host, const char *host_port, const struct handover_registry *settings)
{
	return host_is_loopback(host) || (settings && host_is_listed(host, host_port, settings->insecure));
}

static int add_mirror(struct found *found, const char *url, const struct handover_registry *settings,
	struct err **reterr)
{
	struct origin origin;
	char host_port[512];
	int r = origin_of(url, &origin);

	if (r < 0)
		return err_set(reterr, ERR_INVALID, 0, "the registry mirror \"%s\" is not an http or https URL", url);
	snprintf(host_port, sizeof(host_port), "%s:%s", origin.host, origin.port);
	r = add(found, "", url, !is_insecure(origin.host, host_port, settings), true);
	origin_finish(&origin);
	return r < 0 ? err_oom(reterr) : 0;
}

static int add_registry(struct found *found, const char *registry, const struct handover_registry *settings,
	struct err **reterr)
{
	_cleanup_free_ char *url = NULL;
	struct origin origin;

	if (asprintf(&url, "https://%s", registry) < 0) {
		url = NULL;
		return err_oom(reterr);
	}
	if (origin_of(url, &origin) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid registry name: %s", registry);
	bool insecure = is_insecure(origin.host, registry, settings);
	origin_finish(&origin);
	int r = add(found, "https://", registry, !insecure, false);
	if (r == 0 && insecure)
		r = add(found, "http://", registry, false, false);
	return r < 0 ? err_oom(reterr) : 0;
}

int endpoints_of(const char *registry, const struct handover_registry *settings, struct endpoint **ret,
	size_t *ret_count, struct err **reterr)
{
	struct found found = { 0 };
	bool hub = strcmp(registry, HUB) == 0;
	int r = 0;

	for (char **mirror = hub && settings ? settings->mirrors : NULL; r == 0 && mirror && *mirror; mirror++)
		r = add_mirror(&found, *mirror, settings, reterr);
	if (r == 0 && hub)
		r = add(&found, "", HUB_ENDPOINT, true, false) < 0 ? err_oom(reterr) : 0;
	else if (r == 0)
		r = add_registry(&found, registry, settings, reterr);
	if (r < 0) {
		endpoints_free(found.all, found.count);
		return r;
	}
	*ret = found.all;
	*ret_count = found.count;
	return 0;
}

void endpoints_free(struct endpoint *endpoints, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(endpoints[i].base);
	free(endpoints);
}
