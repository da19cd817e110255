#include "spec/platform.h"

#include <stdio.h>
#include <string.h>

#include <sys/utsname.h>

#include "base/cleanup.h"

static const struct {
	const char *machine;
	const char *architecture;
	const char *variant;
} machines[] = {
	{ "x86_64", "amd64", "" },
	{ "aarch64", "arm64", "" },
	{ "armv7l", "arm", "v7" },
	{ "armv6l", "arm", "v6" },
	{ "i686", "386", "" },
	{ "i386", "386", "" },
	{ "ppc64le", "ppc64le", "" },
	{ "riscv64", "riscv64", "" },
	{ "s390x", "s390x", "" },
	{ "loongarch64", "loong64", "" },
};

static void normalize(const char *machine, struct platform *ret)
{
	snprintf(ret->architecture, sizeof(ret->architecture), "%s", machine);
	for (size_t i = 0; i < ARRAY_SIZE(machines); i++) {
		if (strcmp(machines[i].machine, machine) != 0)
			continue;
		snprintf(ret->architecture, sizeof(ret->architecture), "%s", machines[i].architecture);
		if (!*ret->variant)
			snprintf(ret->variant, sizeof(ret->variant), "%s", machines[i].variant);
	}
}

void platform_of_host(struct platform *ret)
{
	struct utsname name;

	*ret = (struct platform){ .os = "linux" };
	if (uname(&name) == 0)
		normalize(name.machine, ret);
}

/* One word of letters, digits, "_", "-", "."; returns what follows its slash, or NULL for a bad one. */
static const char *word(const char *text, char out[static PLATFORM_WORD_SIZE])
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.");

	if (len == 0 || len >= PLATFORM_WORD_SIZE || (text[len] && (text[len] != '/' || !text[len + 1])))
		return NULL;
	memcpy(out, text, len);
	out[len] = '\0';
	return text + len + (text[len] == '/');
}

static int invalid(const char *text, struct err **reterr)
{
	return err_set(reterr, ERR_INVALID, 0, "\"%s\": unknown operating system or architecture: invalid argument",
		text);
}

static int parse_text(const char *text, struct platform *ret, struct err **reterr)
{
	char first[PLATFORM_WORD_SIZE], machine[PLATFORM_WORD_SIZE];
	const char *rest = text;

	ret->variant[0] = '\0';
	rest = word(rest, first);
	if (rest && !*rest && strcmp(first, "linux") == 0) {
		platform_of_host(ret);
		return 0;
	}
	if (rest && !*rest) {
		normalize(first, ret);
		return 0;
	}
	snprintf(ret->os, sizeof(ret->os), "%s", rest ? first : "");
	rest = rest ? word(rest, machine) : NULL;
	if (rest && *rest)
		rest = word(rest, ret->variant);
	if (!rest || *rest)
		return invalid(text, reterr);
	normalize(machine, ret);
	return 0;
}

static int parse_json(const char *json, struct platform *ret, struct err **reterr)
{
	struct oci_platform parsed = { 0 };
	char text[3 * PLATFORM_WORD_SIZE];
	int r = json_parse(&oci_platform_table, json, strlen(json), &parsed, reterr);

	if (r < 0)
		return err_wrap(reterr, r, "failed to parse platform");
	r = snprintf(text, sizeof(text), "%s%s%s%s%s", parsed.os ?: "", parsed.architecture ? "/" : "",
		parsed.architecture ?: "", parsed.variant ? "/" : "", parsed.variant ?: "");
	json_finish(&oci_platform_table, &parsed);
	return r >= (int)sizeof(text) ? invalid(json, reterr) : parse_text(text, ret, reterr);
}

int platform_parse(const char *text, struct platform *ret, struct err **reterr)
{
	platform_of_host(ret);
	if (!text || !*text)
		return 0;
	return *text == '{' ? parse_json(text, ret, reterr) : parse_text(text, ret, reterr);
}

bool platform_matches(const struct platform *platform, const struct oci_image_config *config)
{
	return config->os && strcmp(config->os, platform->os) == 0 && config->architecture &&
	       strcmp(config->architecture, platform->architecture) == 0 &&
	       (!*platform->variant || !config->variant || !*config->variant ||
		       strcmp(config->variant, platform->variant) == 0);
}

static bool is_unset(const char *text)
{
	return !text || !*text;
}

int platform_check(const struct platform *platform, const struct oci_image_config *config, const char *name,
	struct err **reterr)
{
	struct platform host;
	struct oci_image_config said = *config;

	platform_of_host(&host);
	said.os = is_unset(config->os) ? host.os : config->os;
	said.architecture = is_unset(config->architecture) ? host.architecture : config->architecture;
	if (platform_matches(platform, &said))
		return 0;
	return err_set(reterr, ERR_NOT_FOUND, 0,
		"image with reference %s was found but its platform (%s/%s) does not match the specified platform (%s/%s%s%s)",
		name, said.os, said.architecture, platform->os, platform->architecture, *platform->variant ? "/" : "",
		platform->variant);
}
