/*
 * Read from the right: "@digest", then ":tag" (a colon after the last slash), and what is left is the repository. Its first
 * component is a domain if it has a dot, a colon or a capital letter, or is "localhost"; else the domain is Docker Hub's.
 */
#include "codec/reference.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "codec/digest.h"
#include "codec/hex.h"

#define LEGACY_DOMAIN "index.docker.io"
#define OFFICIAL      "library/"
#define PORT_DIGITS   5

#define PROBLEM_FORMAT "invalid reference format"
#define PROBLEM_CASE   "invalid reference format: repository name must be lowercase"
#define PROBLEM_LENGTH "invalid reference format: repository name must not be more than 255 characters"
#define PROBLEM_ID     "invalid reference format: cannot specify 64-byte hexadecimal strings"

/* Not ctype's: these must not depend on a locale. */
static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alphanumeric(char c)
{
	return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool tag_is_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (len == 0 || len > REFERENCE_TAG_MAX || !(is_alphanumeric(*tag) || *tag == '_'))
		return false;
	for (; *tag; tag++)
		if (!is_alphanumeric(*tag) && !strchr("_.-", *tag))
			return false;
	return true;
}

/* Between letters and digits: one dot, one or two underscores, any number of hyphens. */
static size_t separator_length(const char *text)
{
	if (*text == '.')
		return 1;
	if (*text == '_')
		return text[1] == '_' ? 2 : 1;
	return strspn(text, "-");
}

static bool path_is_valid(const char *path)
{
	for (;;) {
		size_t separator;

		if (!is_lower_or_digit(*path))
			return false;
		while (is_lower_or_digit(*path))
			path++;
		if (!*path)
			return true;
		separator = *path == '/' ? 1 : separator_length(path);
		if (separator == 0)
			return false;
		path += separator;
	}
}

static bool port_is_valid(const char *port, size_t len)
{
	if (len == 0 || len > PORT_DIGITS)
		return false;
	for (size_t i = 0; i < len; i++)
		if (port[i] < '0' || port[i] > '9')
			return false;
	return true;
}

static bool ipv6_is_valid(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (hex_value(text[i]) < 0 && text[i] != ':')
			return false;
	return len > 1;
}

static bool label_is_valid(const char *label, size_t len)
{
	if (len == 0 || !is_alphanumeric(label[0]) || !is_alphanumeric(label[len - 1]))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!is_alphanumeric(label[i]) && label[i] != '-')
			return false;
	return true;
}

/* Labels joined by dots. */
static bool host_is_valid(const char *host, size_t len)
{
	for (;;) {
		const char *dot = memchr(host, '.', len);
		size_t label = dot ? (size_t)(dot - host) : len;

		if (!label_is_valid(host, label))
			return false;
		if (!dot)
			return true;
		host += label + 1;
		len -= label + 1;
	}
}

static bool domain_is_valid(const char *domain, size_t len)
{
	const char *port;

	if (*domain == '[') {
		const char *end = memchr(domain, ']', len);
		size_t inner = end ? (size_t)(end - domain) - 1 : 0;

		if (!end || !ipv6_is_valid(domain + 1, inner))
			return false;
		return inner + 2 == len || (end[1] == ':' && port_is_valid(end + 2, len - inner - 3));
	}
	port = memchr(domain, ':', len);
	if (port && !port_is_valid(port + 1, len - (size_t)(port - domain) - 1))
		return false;
	return host_is_valid(domain, port ? (size_t)(port - domain) : len);
}

static bool is_domain(const char *name, size_t len)
{
	if (len == strlen("localhost") && strncmp(name, "localhost", len) == 0)
		return true;
	for (size_t i = 0; i < len; i++)
		if (name[i] == '.' || name[i] == ':' || (name[i] >= 'A' && name[i] <= 'Z'))
			return true;
	return false;
}

static bool has_upper(const char *text)
{
	while (*text && !(*text >= 'A' && *text <= 'Z'))
		text++;
	return *text != '\0';
}

/* Fills in domain and "library/", and checks both halves. */
static int repository_normalize(const char *name, char **ret, const char **problem)
{
	size_t first = strcspn(name, "/");
	bool explicit_domain = name[first] == '/' && is_domain(name, first);
	const char *domain = explicit_domain ? name : REFERENCE_HUB;
	size_t domain_len = explicit_domain ? first : strlen(REFERENCE_HUB);
	const char *path = explicit_domain ? name + first + 1 : name;
	const char *official = "";

	if (domain_len == strlen(LEGACY_DOMAIN) && strncmp(domain, LEGACY_DOMAIN, domain_len) == 0) {
		domain = REFERENCE_HUB;
		domain_len = strlen(REFERENCE_HUB);
	}
	if (domain_len == strlen(REFERENCE_HUB) && strncmp(domain, REFERENCE_HUB, domain_len) == 0 &&
		!strchr(path, '/'))
		official = OFFICIAL;
	if (!domain_is_valid(domain, domain_len) || !path_is_valid(path)) {
		*problem = domain_is_valid(domain, domain_len) && has_upper(path) ? PROBLEM_CASE : PROBLEM_FORMAT;
		return -EINVAL;
	}
	if (asprintf(ret, "%.*s/%s%s", (int)domain_len, domain, official, path) < 0) {
		*ret = NULL;
		return -ENOMEM;
	}
	if (strlen(*ret) > REFERENCE_NAME_MAX) {
		*problem = PROBLEM_LENGTH;
		return -EINVAL;
	}
	return 0;
}

/* Cuts `name` at its tag and digest. */
static int split(char *name, struct reference *out, const char **problem)
{
	struct digest digest;
	char *at = strchr(name, '@');
	char *slash, *colon;

	*problem = PROBLEM_FORMAT;
	if (at) {
		*at = '\0';
		if (digest_parse(at + 1, &digest) < 0)
			return -EINVAL;
		out->digest = strdup(at + 1);
		if (!out->digest)
			return -ENOMEM;
	}
	slash = strrchr(name, '/');
	colon = strchr(slash ? slash : name, ':');
	if (colon) {
		*colon = '\0';
		if (!tag_is_valid(colon + 1))
			return -EINVAL;
		out->tag = strdup(colon + 1);
		if (!out->tag)
			return -ENOMEM;
	}
	return 0;
}

int reference_parse(const char *text, struct reference *out, const char **ret_problem)
{
	_cleanup_free_ char *name = strdup(text);
	const char *problem = PROBLEM_FORMAT;
	int r;

	*out = (struct reference){ 0 };
	if (!name)
		return -ENOMEM;
	if (strlen(text) == DIGEST_HEX_LEN && is_hex(text, DIGEST_HEX_LEN)) {
		problem = PROBLEM_ID;
		r = -EINVAL;
	} else {
		r = split(name, out, &problem);
		if (r == 0)
			r = repository_normalize(name, &out->repository, &problem);
	}
	if (r < 0)
		reference_finish(out);
	if (r == -EINVAL && ret_problem)
		*ret_problem = problem;
	return r;
}

void reference_finish(struct reference *reference)
{
	free(reference->repository);
	free(reference->tag);
	free(reference->digest);
	*reference = (struct reference){ 0 };
}

const char *reference_familiar(const char *repository)
{
	size_t domain = strlen(REFERENCE_HUB "/");

	if (strncmp(repository, REFERENCE_HUB "/", domain) != 0)
		return repository;
	repository += domain;
	if (strncmp(repository, OFFICIAL, strlen(OFFICIAL)) == 0 && !strchr(repository + strlen(OFFICIAL), '/'))
		repository += strlen(OFFICIAL);
	return repository;
}

char *reference_registry(const char *address)
{
	static const char *const hub_names[] = { "", "index." REFERENCE_HUB, "registry-1." REFERENCE_HUB };
	const char *scheme = address ? strstr(address, "://") : NULL;
	const char *host = scheme ? scheme + strlen("://") : address ?: "";
	size_t len = strcspn(host, "/");

	for (size_t i = 0; i < ARRAY_SIZE(hub_names); i++)
		if (strlen(hub_names[i]) == len && strncmp(host, hub_names[i], len) == 0)
			return strdup(REFERENCE_HUB);
	return strndup(host, len);
}
