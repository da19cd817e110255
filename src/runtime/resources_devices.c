#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/io.h"
#include "runtime/resources_internal.h"
#include "sys/device_filter.h"

/* After the spec's own rules, as every runtime does: making nodes harms nobody, and these few are /dev's. */
static const struct device_rule always_allowed[] = {
	{ true, 'c', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD }, { true, 'b', DEVICE_ANY, DEVICE_ANY, DEVICE_MKNOD },
	{ true, 'c', 1, 3, DEVICE_ALL },            /* null */
	{ true, 'c', 1, 5, DEVICE_ALL },            /* zero */
	{ true, 'c', 1, 7, DEVICE_ALL },            /* full */
	{ true, 'c', 1, 8, DEVICE_ALL },            /* random */
	{ true, 'c', 1, 9, DEVICE_ALL },            /* urandom */
	{ true, 'c', 5, 0, DEVICE_ALL },            /* tty */
	{ true, 'c', 5, 1, DEVICE_ALL },            /* console */
	{ true, 'c', 5, 2, DEVICE_ALL },            /* ptmx */
	{ true, 'c', 136, DEVICE_ANY, DEVICE_ALL }, /* pts */
};

static int parse_access(const char *text, unsigned *ret)
{
	*ret = text && *text ? 0 : DEVICE_ALL;
	for (; text && *text; text++) {
		if (*text == 'r')
			*ret |= DEVICE_READ;
		else if (*text == 'w')
			*ret |= DEVICE_WRITE;
		else if (*text == 'm')
			*ret |= DEVICE_MKNOD;
		else if (*text != 'a') /* some write "rwa": for runc it says nothing more */
			return -EINVAL;
	}
	return 0;
}

static int parse_number(const struct json_opt_int *value, int64_t *ret)
{
	*ret = value->set ? value->value : DEVICE_ANY;
	return *ret < DEVICE_ANY || *ret > UINT32_MAX / 2 ? -EINVAL : 0;
}

static int parse_rule(const struct oci_device_rule *spec, struct device_rule *out, struct err **reterr)
{
	const char *type = spec->type && *spec->type ? spec->type : "a";

	*out = (struct device_rule){ .allow = spec->allow, .type = type[0] };
	if (type[1] || !strchr("abc", type[0]) || parse_access(spec->access, &out->access) < 0 ||
		parse_number(&spec->major, &out->major) < 0 || parse_number(&spec->minor, &out->minor) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid device rule: type \"%s\", access \"%s\"", type,
			spec->access ? spec->access : "");
	return 0;
}

static void format_number(int64_t number, char out[static 24])
{
	if (number == DEVICE_ANY)
		strcpy(out, "*");
	else
		snprintf(out, 24, "%lld", (long long)number);
}

/* The two files of v1's device list, which take one rule with each write. */
static const char *const list_names[] = { "devices.deny", "devices.allow" };

struct v1_list {
	int fds[2];
};

static void v1_list_close(struct v1_list *list)
{
	for (size_t i = 0; i < ARRAY_SIZE(list->fds); i++)
		fd_close(&list->fds[i]);
}

static int v1_list_open(struct cgroup *group, struct v1_list *list, struct err **reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(list->fds); i++) {
		list->fds[i] = cgroup_open(group, "devices", list_names[i], O_WRONLY);
		if (list->fds[i] < 0)
			return err_errno(reterr, list->fds[i], "cannot open cgroup file %s", list_names[i]);
	}
	return 0;
}

static int v1_list_write(const struct v1_list *list, bool allow, const char *text, struct err **reterr)
{
	if (write(list->fds[allow], text, strlen(text)) >= 0)
		return 0;
	return err_errno(reterr, -errno, "failed to write \"%s\" to cgroup file %s", text, list_names[allow]);
}

static int write_v1(const struct v1_list *list, const struct device_rule *rule, struct err **reterr)
{
	char major[24], minor[24], text[64];

	/* "a" alone replaces the whole list. */
	if (rule->type == 'a' && rule->major == DEVICE_ANY && rule->minor == DEVICE_ANY && rule->access == DEVICE_ALL)
		return v1_list_write(list, rule->allow, "a", reterr);
	format_number(rule->major, major);
	format_number(rule->minor, minor);
	for (const char *type = rule->type == 'a' ? "bc" : "x"; *type; type++) {
		snprintf(text, sizeof(text), "%c %s:%s %s%s%s", *type == 'x' ? rule->type : *type, major, minor,
			rule->access & DEVICE_READ ? "r" : "", rule->access & DEVICE_WRITE ? "w" : "",
			rule->access & DEVICE_MKNOD ? "m" : "");
		int r = v1_list_write(list, rule->allow, text, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_same(const struct device_rule *one, const struct device_rule *other)
{
	return one->allow == other->allow && one->type == other->type && one->major == other->major &&
	       one->minor == other->minor && one->access == other->access;
}

static bool may_meet(int64_t one, int64_t other)
{
	return one == other || one == DEVICE_ANY || other == DEVICE_ANY;
}

/* An earlier rule says the same, and none between can have taken it back: Docker's rules and ours name the same few devices. */
static bool is_said(const struct device_rule *rules, size_t at)
{
	const struct device_rule *rule = &rules[at];

	for (size_t i = at; i-- > 0;) {
		const struct device_rule *other = &rules[i];
		bool same_type = other->type == rule->type || other->type == 'a' || rule->type == 'a';
		if (is_same(rule, other))
			return true;
		if (rule->allow != other->allow && same_type && may_meet(rule->major, other->major) &&
			may_meet(rule->minor, other->minor))
			return false;
	}
	return false;
}

static int apply_v1(struct cgroup *group, const struct device_rule *rules, size_t count, struct err **reterr)
{
	_cleanup_(v1_list_close) struct v1_list list = { { -1, -1 } };
	int r = v1_list_open(group, &list, reterr);

	for (size_t i = 0; i < count && r == 0; i++)
		r = is_said(rules, i) ? 0 : write_v1(&list, &rules[i], reterr);
	return r;
}

static int apply_v2(struct cgroup *group, const struct device_rule *rules, size_t count, struct err **reterr)
{
	_autoclose_ int fd = open(cgroup_folder_of(group, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int r = fd < 0 ? -errno : device_filter_attach(fd, rules, count);

	return r < 0 ? err_errno(reterr, r, "cannot restrict the container's devices") : 0;
}

int resources_device_rules(const struct oci_resources *resources, struct device_rule **ret, size_t *ret_count,
	struct err **reterr)
{
	size_t spec_count = resources ? resources->device_count : 0;
	size_t count = 1;

	if (spec_count > DEVICE_RULES_MAX / 2)
		return err_set(reterr, ERR_INVALID, 0, "more than %d device rules", DEVICE_RULES_MAX / 2);
	_cleanup_free_ struct device_rule *rules = calloc(1 + spec_count + ARRAY_SIZE(always_allowed),
		sizeof(struct device_rule));
	if (!rules)
		return err_oom(reterr);
	/* An empty list denies everything (GHSA-g54h). */
	rules[0] = (struct device_rule){ .type = 'a', .major = DEVICE_ANY, .minor = DEVICE_ANY, .access = DEVICE_ALL };
	for (size_t i = 0; i < spec_count; i++) {
		int r = parse_rule(&resources->devices[i], &rules[count++], reterr);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(always_allowed); i++)
		rules[count++] = always_allowed[i];
	*ret = TAKE(rules);
	*ret_count = count;
	return 0;
}

int resources_devices(struct cgroup *group, const struct oci_resources *resources, struct err **reterr)
{
	_cleanup_free_ struct device_rule *rules = NULL;
	size_t count = 0;
	int r = resources_device_rules(resources, &rules, &count, reterr);

	if (r < 0)
		return r;
	if (cgroup_folder_of(group, "devices"))
		return apply_v1(group, rules, count, reterr);
	if (cgroup_folder_of(group, ""))
		return apply_v2(group, rules, count, reterr);
	return err_set(reterr, ERR_UNSUPPORTED, ENODEV,
		"this host has no devices cgroup to restrict the container with");
}
