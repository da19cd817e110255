#include "runtime/id_maps.h"

#include <errno.h>
#include <sched.h>
#include <string.h>

#include "base/strv.h"
#include "sys/namespaces.h"

int id_map_text(const struct oci_id_mapping *maps, size_t count, struct buf *out, struct err **reterr)
{
	for (size_t i = 0; i < count; i++) {
		if (maps[i].container_id < 0 || maps[i].host_id < 0 || maps[i].size <= 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid id mapping");
		if (buf_printf(out, "%lld %lld %lld\n", (long long)maps[i].container_id, (long long)maps[i].host_id,
			    (long long)maps[i].size) < 0)
			return err_set(reterr, ERR_INVALID, EFBIG, "too many id mappings");
	}
	return 0;
}

int64_t id_map_host(const struct oci_id_mapping *maps, size_t count, uint32_t id)
{
	for (size_t i = 0; i < count; i++)
		if (id >= maps[i].container_id && id - maps[i].container_id < maps[i].size)
			return maps[i].host_id + (id - maps[i].container_id);
	return count ? -1 : (int64_t)id;
}

/* What crun takes in an option, and Podman hands on: "idmap=uids=0-1-10#10-100-1;gids=0-1-10". */
static const char *maps_in_option(const struct oci_mount *mount)
{
	strv_foreach (option, mount->options) {
		const char *word = **option == 'r' ? *option + 1 : *option;
		if (strncmp(word, "idmap=", 6) == 0)
			return word + 6;
	}
	return NULL;
}

/* "0-1-10#10-100-1", up to a semicolon. */
static int triplets_text(const char *at, struct buf *out)
{
	for (;;) {
		for (int i = 0; i < 3; i++) {
			size_t digits = strspn(at, "0123456789");
			if (!digits || (i < 2 && at[digits] != '-') ||
				buf_printf(out, "%.*s%c", (int)digits, at, i < 2 ? ' ' : '\n') < 0)
				return -EINVAL;
			at += digits + (i < 2);
		}
		if (*at != '#')
			return !*at || *at == ';' ? 0 : -EINVAL;
		at++;
	}
}

static int option_text(const struct oci_mount *mount, const char *text, struct buf *uids, struct buf *gids,
	struct err **reterr)
{
	int r = 0;

	while (r == 0 && *text) {
		struct buf *kind = strncmp(text, "uids=", 5) == 0 ? uids : strncmp(text, "gids=", 5) == 0 ? gids : NULL;
		r = kind && !kind->len ? triplets_text(text + 5, kind) : -EINVAL;
		text += strcspn(text, ";");
		text += *text == ';';
	}
	if (r < 0 || !uids->len || !gids->len)
		return err_set(reterr, ERR_INVALID, 0,
			"the mount at %s: idmap= takes uids=INSIDE-OUTSIDE-SIZE#...;gids=...", mount->destination);
	return 0;
}

int id_map_for_mount(const struct oci_mount *mount, const struct oci_spec *spec, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf uids = BUF_INIT(ID_MAP_TEXT_MAX), gids = BUF_INIT(ID_MAP_TEXT_MAX);
	const struct oci_linux *config = &spec->linux_config;
	const struct oci_namespace *user = oci_spec_namespace(spec, "user");
	const char *in_option = maps_in_option(mount);
	bool own = mount->uid_mapping_count || in_option;
	int r;

	if (!own && user && user->path && *user->path)
		r = namespace_open(user->path, CLONE_NEWUSER);
	else if (!own && !config->uid_mapping_count)
		return err_set(reterr, ERR_INVALID, 0,
			"the mount at %s: idmap needs mappings: of its own, or the container's user namespace's",
			mount->destination);
	else {
		r = in_option ? option_text(mount, in_option, &uids, &gids, reterr) : 0;
		if (r == 0 && !in_option)
			r = id_map_text(own ? mount->uid_mappings : config->uid_mappings,
				own ? mount->uid_mapping_count : config->uid_mapping_count, &uids, reterr);
		if (r == 0 && !in_option)
			r = id_map_text(own ? mount->gid_mappings : config->gid_mappings,
				own ? mount->gid_mapping_count : config->gid_mapping_count, &gids, reterr);
		if (r < 0)
			return r;
		r = namespace_new_user(uids.data, gids.data);
	}
	return r < 0 ? err_errno(reterr, r, "the mount at %s: cannot make a user namespace for its mappings",
			       mount->destination)
		     : r;
}
