#include "runtime/mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mount.h>

#include "base/strv.h"

struct word {
	const char *name;
	uint64_t set;
	uint64_t clear;
};

/* Each also exists with an "r" before it (rro, rnosuid), for the whole tree. */
static const struct word words[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0 },
	{ "rw", 0, MOUNT_ATTR_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
	{ "atime", 0, MOUNT_ATTR__ATIME },
	{ "relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME },
	{ "norelatime", 0, MOUNT_ATTR__ATIME },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME },
	{ "nostrictatime", 0, MOUNT_ATTR__ATIME },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW },
};

static const struct {
	const char *name;
	uint64_t propagation;
	bool recursive;
} propagations[] = {
	{ "private", MS_PRIVATE, false },
	{ "rprivate", MS_PRIVATE, true },
	{ "slave", MS_SLAVE, false },
	{ "rslave", MS_SLAVE, true },
	{ "shared", MS_SHARED, false },
	{ "rshared", MS_SHARED, true },
	{ "unbindable", MS_UNBINDABLE, false },
	{ "runbindable", MS_UNBINDABLE, true },
};

/* Words for mount(8) alone, or the default. */
static const char *const ignored[] = { "defaults", "auto", "noauto", "user", "nouser", "users", "_netdev", "nofail",
	"loud", "nosync", "async", "nomand", "noiversion", "nolazytime" };

/* Asked for and not there: refused, since leaving it out changes what the container sees. */
static const char *const refused[] = { "remount", "move" };

static bool is_listed(const char *word, const char *const *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(list[i], word) == 0)
			return true;
	return false;
}

static bool take_attribute(struct mount_words *out, const char *name)
{
	for (int recursive = 0; recursive < 2; recursive++) {
		struct mount_attrs *attrs = recursive ? &out->recursive_attrs : &out->attrs;
		if (recursive && *name++ != 'r')
			return false;
		for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
			if (strcmp(words[i].name, name) != 0)
				continue;
			/* The later word wins. */
			attrs->set = (attrs->set & ~(words[i].clear | words[i].set)) | words[i].set;
			attrs->clear = (attrs->clear & ~words[i].set) | words[i].clear;
			attrs->recursive = recursive;
			return true;
		}
	}
	return false;
}

static bool take_propagation(struct mount_words *out, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(propagations); i++) {
		if (strcmp(propagations[i].name, name) != 0)
			continue;
		struct mount_attrs *attrs = propagations[i].recursive ? &out->recursive_attrs : &out->attrs;
		out->attrs.propagation = out->recursive_attrs.propagation = 0;
		attrs->propagation = propagations[i].propagation;
		attrs->recursive = propagations[i].recursive;
		return true;
	}
	return false;
}

static int take_data(struct mount_words *out, const char *option, char ***strings)
{
	int r = strv_append(strings, option);

	if (r < 0)
		return r;
	char *key = (*strings)[strv_count(*strings) - 1];
	char *value = strchr(key, '=');
	if (value)
		*value++ = '\0';
	out->data[out->data_count++] = (struct mount_option){ .key = key, .value = value };
	return 0;
}

static int take_word(struct mount_words *out, const char *option, char ***strings, struct err **reterr)
{
	if (is_listed(option, refused, ARRAY_SIZE(refused)) || strncmp(option, "idmap=", 6) == 0 ||
		strncmp(option, "ridmap=", 7) == 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "mount option %s is not supported yet", option);
	if (is_listed(option, ignored, ARRAY_SIZE(ignored)))
		return 0;
	if (strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0) {
		out->is_bind = true;
		out->is_recursive_bind = out->is_recursive_bind || option[0] == 'r';
		return 0;
	}
	if (strcmp(option, "idmap") == 0 || strcmp(option, "ridmap") == 0) {
		out->is_idmapped = true;
		out->is_idmapped_recursively = option[0] == 'r';
		return 0;
	}
	if (strcmp(option, "tmpcopyup") == 0) {
		out->copies_up = true;
		return 0;
	}
	if (take_attribute(out, option) || take_propagation(out, option))
		return 0;
	return take_data(out, option, strings) < 0 ? err_oom(reterr) : 0;
}

int mount_words_parse(char *const *options, char ***strings, struct mount_words *ret, struct err **reterr)
{
	struct mount_words out = { .data = calloc(strv_count(options) + 1, sizeof(struct mount_option)) };

	if (!out.data)
		return err_oom(reterr);
	strv_foreach (option, options) {
		int r = take_word(&out, *option, strings, reterr);
		if (r < 0) {
			free(out.data);
			return r;
		}
	}
	*ret = out;
	return 0;
}

const char *const *mount_words_known(void)
{
	static const char *const known[] = { "async", "atime", "bind", "defaults", "dev", "diratime", "dirsync", "exec",
		"idmap", "iversion", "lazytime", "loud", "mand", "noatime", "nodev", "nodiratime", "noexec",
		"noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow", "private",
		"ratime", "rbind", "rdev", "rdiratime", "relatime", "rexec", "ridmap", "rnoatime", "rnodev",
		"rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate",
		"rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable",
		"rw", "shared", "silent", "slave", "strictatime", "suid", "symfollow", "sync", "tmpcopyup",
		"unbindable", NULL };

	return known;
}
