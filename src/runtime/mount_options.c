#include "runtime/mount_options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mount.h>
#include <sys/statvfs.h>

#include "base/strv.h"

struct word {
	const char *name;
	uint64_t set;
	uint64_t clear;
	unsigned long named; /* mount(2)'s flag, where it is asked for, and where it is asked not to be */
	unsigned long unnamed;
};

/* Each also exists with an "r" before it (rro, rnosuid), for the whole tree. */
static const struct word words[] = {
	{ "ro", MOUNT_ATTR_RDONLY, 0, MS_RDONLY, 0 },
	{ "rw", 0, MOUNT_ATTR_RDONLY, 0, MS_RDONLY },
	{ "nosuid", MOUNT_ATTR_NOSUID, 0, MS_NOSUID, 0 },
	{ "suid", 0, MOUNT_ATTR_NOSUID, 0, MS_NOSUID },
	{ "nodev", MOUNT_ATTR_NODEV, 0, MS_NODEV, 0 },
	{ "dev", 0, MOUNT_ATTR_NODEV, 0, MS_NODEV },
	{ "noexec", MOUNT_ATTR_NOEXEC, 0, MS_NOEXEC, 0 },
	{ "exec", 0, MOUNT_ATTR_NOEXEC, 0, MS_NOEXEC },
	{ "noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, MS_NOATIME, 0 },
	{ "atime", 0, MOUNT_ATTR__ATIME, 0, MS_NOATIME },
	{ "relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, MS_RELATIME, 0 },
	{ "norelatime", 0, MOUNT_ATTR__ATIME, 0, MS_RELATIME },
	{ "strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, MS_STRICTATIME, 0 },
	{ "nostrictatime", 0, MOUNT_ATTR__ATIME, 0, MS_STRICTATIME },
	{ "nodiratime", MOUNT_ATTR_NODIRATIME, 0, MS_NODIRATIME, 0 },
	{ "diratime", 0, MOUNT_ATTR_NODIRATIME, 0, MS_NODIRATIME },
	{ "nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, MS_NOSYMFOLLOW, 0 },
	{ "symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, 0, MS_NOSYMFOLLOW },
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
			if (!recursive) {
				out->named = (out->named & ~words[i].unnamed) | words[i].named;
				out->unnamed = (out->unnamed & ~words[i].named) | words[i].unnamed;
			}
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

static bool take_switch(struct mount_words *out, const char *name)
{
	const struct {
		const char *name;
		bool *value;
	} switches[] = {
		{ "tmpcopyup", &out->copies_up },
		{ "remount", &out->is_remount },
		{ "src-nofollow", &out->source_nofollow },
		{ "dest-nofollow", &out->target_nofollow },
		{ "copy-symlink", &out->copies_link },
	};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (strcmp(switches[i].name, name) == 0)
			return *switches[i].value = true;
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
	/* Asked for and not there: refused, since leaving it out changes what the container sees. */
	if (strcmp(option, "move") == 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "mount option %s is not supported yet", option);
	if (is_listed(option, ignored, ARRAY_SIZE(ignored)))
		return 0;
	if (strcmp(option, "bind") == 0 || strcmp(option, "rbind") == 0) {
		out->is_bind = true;
		out->is_recursive_bind = out->is_recursive_bind || option[0] == 'r';
		return 0;
	}
	const char *idmap = option + (option[0] == 'r');
	if (strncmp(idmap, "idmap", 5) == 0 && (!idmap[5] || idmap[5] == '=')) {
		out->is_idmapped = true;
		out->is_idmapped_recursively = option[0] == 'r';
		return 0;
	}
	if (take_switch(out, option) || take_attribute(out, option) || take_propagation(out, option))
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
	static const char *const known[] = { "async", "atime", "bind", "copy-symlink", "defaults", "dest-nofollow",
		"dev", "diratime", "dirsync", "exec", "idmap", "iversion", "lazytime", "loud", "mand", "noatime",
		"nodev", "nodiratime", "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime",
		"nosuid", "nosymfollow", "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount",
		"rexec", "ridmap", "rnoatime", "rnodev", "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime",
		"rnosuid", "rnosymfollow", "ro", "rprivate", "rrelatime", "rro", "rrw", "rshared", "rslave",
		"rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw", "shared", "silent", "slave", "src-nofollow",
		"strictatime", "suid", "symfollow", "sync", "tmpcopyup", "unbindable", NULL };

	return known;
}

/* The times of access are one of three, and of folders besides. */
static uint64_t access_times(unsigned long flags)
{
	uint64_t attrs = flags & MS_STRICTATIME ? MOUNT_ATTR_STRICTATIME
			 : flags & MS_NOATIME   ? MOUNT_ATTR_NOATIME
						: MOUNT_ATTR_RELATIME;

	return attrs | (flags & MS_NODIRATIME ? MOUNT_ATTR_NODIRATIME : 0);
}

static unsigned long mounted_flags(unsigned long seen)
{
	static const unsigned long same = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME;
	unsigned long flags = seen & same;

	/* Neither of the two is what the kernel shows of strictatime. */
	if (!(seen & (ST_NOATIME | ST_RELATIME)))
		flags |= MS_STRICTATIME;
	return flags;
}

int mount_words_as_named(const struct mount_words *asked, int tree, bool is_locked, struct mount_attrs *attrs)
{
	static const unsigned long times = MS_NOATIME | MS_NODIRATIME | MS_RELATIME | MS_STRICTATIME;
	static const unsigned long lockable = MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC;
	static const struct {
		unsigned long flag;
		uint64_t attr;
	} plain[] = { { MS_RDONLY, MOUNT_ATTR_RDONLY }, { MS_NOSUID, MOUNT_ATTR_NOSUID },
		{ MS_NODEV, MOUNT_ATTR_NODEV }, { MS_NOEXEC, MOUNT_ATTR_NOEXEC },
		{ MS_NOSYMFOLLOW, MOUNT_ATTR_NOSYMFOLLOW } };
	unsigned long named = asked->named, unnamed = asked->unnamed;
	struct statvfs seen;

	if (!named && !unnamed)
		return 0;
	if (fstatvfs(tree, &seen) < 0)
		return -errno;
	unsigned long there = mounted_flags(seen.f_flag);
	if (is_locked) {
		if (there & unnamed & lockable || (named & times && access_times(named) != access_times(there)))
			return -EPERM;
		named |= there & lockable;
	}
	attrs->set = attrs->clear = 0;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		*(named & plain[i].flag ? &attrs->set : &attrs->clear) |= plain[i].attr;
	if (named & times) {
		attrs->set |= access_times(named);
		attrs->clear |= (MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME) & ~attrs->set;
	}
	return 0;
}
