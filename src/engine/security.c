#include "engine/security.h"

#include <errno.h>
#include <string.h>

#include "base/parse.h"
#include "base/strv.h"
#include "sys/lsm.h"

static int parse_seccomp(const char *value, struct security *ret, struct err **reterr)
{
	json_decref(ret->seccomp_profile);
	ret->seccomp_profile = NULL;
	ret->seccomp_unconfined = strcmp(value, "unconfined") == 0;
	if (ret->seccomp_unconfined || strcmp(value, "builtin") == 0)
		return 0;
	int r = json_load(value, strlen(value), &ret->seccomp_profile, reterr);
	if (r < 0)
		return err_wrap(reterr, r, "decoding seccomp profile failed");
	return json_is_object(ret->seccomp_profile)
		       ? 0
		       : err_set(reterr, ERR_INVALID, 0, "decoding seccomp profile failed: expected an object");
}

static int parse_apparmor(const char *value, struct security *ret, struct err **reterr)
{
	if (strcmp(value, "unconfined") != 0 && !lsm_has_apparmor())
		return err_set(reterr, ERR_INVALID, 0,
			"cannot use AppArmor profile \"%s\": AppArmor is not enabled on this host", value);
	ret->apparmor = value;
	return 0;
}

/* "key=value" or the older "key:value". */
static int parse_pair(const char *option, const char *separator, struct security *ret, struct err **reterr)
{
	const char *value = separator + 1;
	size_t len = (size_t)(separator - option);
	if (len == 7 && strncmp(option, "seccomp", len) == 0)
		return parse_seccomp(value, ret, reterr);
	if (len == 8 && strncmp(option, "apparmor", len) == 0)
		return parse_apparmor(value, ret, reterr);
	if (len == 5 && strncmp(option, "label", len) == 0)
		return strcmp(value, "disable") == 0
			       ? 0
			       : err_set(reterr, ERR_INVALID, 0,
					 "invalid --security-opt 2: \"%s\": SELinux labels are not supported", option);
	bool *flag = len == 17 && strncmp(option, "no-new-privileges", len) == 0  ? &ret->no_new_privileges
		     : len == 16 && strncmp(option, "writable-cgroups", len) == 0 ? &ret->writable_cgroups
										  : NULL;
	if (flag && parse_bool(value, flag) == 0)
		return 0;
	return err_set(reterr, ERR_INVALID, 0, "invalid --security-opt 2: \"%s\"", option);
}

int security_parse(char *const *options, struct security *ret, struct err **reterr)
{
	*ret = (struct security){ 0 };
	strv_foreach (option, options) {
		int r = 0;
		const char *separator = strchr(*option, '=');
		if (!separator)
			separator = strchr(*option, ':');
		if (strcmp(*option, "no-new-privileges") == 0)
			ret->no_new_privileges = true;
		else if (!separator)
			r = err_set(reterr, ERR_INVALID, 0, "invalid --security-opt 1: \"%s\"", *option);
		else
			r = parse_pair(*option, separator, ret, reterr);
		if (r < 0) {
			security_finish(ret);
			return r;
		}
	}
	return 0;
}

const char *security_apparmor(char *const *options)
{
	const char *profile = "";
	strv_foreach (option, options)
		if (strncmp(*option, "apparmor", 8) == 0 && ((*option)[8] == '=' || (*option)[8] == ':'))
			profile = *option + 9;
	return profile;
}

void security_finish(struct security *security)
{
	json_decref(security->seccomp_profile);
	security->seccomp_profile = NULL;
}

int security_validate(char *const *options, struct err **reterr)
{
	struct security security;
	int r = security_parse(options, &security, reterr);
	if (r == 0)
		security_finish(&security);
	return r;
}
