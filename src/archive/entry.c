#include "archive/entry.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <sys/stat.h>

#define WHITEOUT_PREFIX ".wh."
#define WHITEOUT_META   ".wh..wh."
#define WHITEOUT_OPAQUE ".wh..wh..opq"

#define MTIME_MAX 15032385535LL /* ext4's last second */

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Appends "/component"; the first one without the slash. */
static int push(char *out, size_t *len, const char *component, size_t component_len)
{
	size_t slash = *len > 0;

	if (component_len > LIMIT_COMPONENT_BYTES || *len + slash + component_len > LIMIT_PATH_BYTES)
		return -ENAMETOOLONG;
	if (slash)
		out[(*len)++] = '/';
	memcpy(out + *len, component, component_len);
	*len += component_len;
	out[*len] = '\0';
	return 0;
}

static int pop(char *out, size_t *len)
{
	if (*len == 0)
		return -EXDEV;
	while (*len > 0 && out[*len - 1] != '/')
		(*len)--;
	if (*len > 0)
		(*len)--;
	out[*len] = '\0';
	return 0;
}

int entry_clean_path(const char *raw, char out[static LIMIT_PATH_BYTES + 1])
{
	size_t len = 0;
	int r = 0;

	if (!*raw)
		return -EINVAL;
	out[0] = '\0';
	while (r == 0 && *raw) {
		size_t component = strcspn(raw, "/");

		if (component == 2 && raw[0] == '.' && raw[1] == '.')
			r = pop(out, &len);
		else if (component > 1 || (component == 1 && raw[0] != '.'))
			r = push(out, &len, raw, component);
		raw += component;
		raw += *raw == '/';
	}
	return r;
}

enum entry_mark entry_mark(const char *path, const char **ret_hidden)
{
	const char *component = path;

	for (const char *slash; (slash = strchr(component, '/')); component = slash + 1) {
		if (has_prefix(component, WHITEOUT_META))
			return ENTRY_IGNORED;
		if (has_prefix(component, WHITEOUT_PREFIX))
			return ENTRY_REFUSED;
	}
	if (strcmp(component, WHITEOUT_OPAQUE) == 0)
		return ENTRY_OPAQUE;
	if (has_prefix(component, WHITEOUT_META))
		return ENTRY_IGNORED;
	if (!has_prefix(component, WHITEOUT_PREFIX))
		return ENTRY_PLAIN;
	*ret_hidden = component + strlen(WHITEOUT_PREFIX);
	if (!**ret_hidden || strcmp(*ret_hidden, ".") == 0 || strcmp(*ret_hidden, "..") == 0)
		return ENTRY_REFUSED;
	return ENTRY_WHITEOUT;
}

bool entry_xattr_is_allowed(const char *name)
{
	if (strcmp(name, "security.capability") == 0)
		return true;
	if (strcmp(name, "system.posix_acl_access") == 0 || strcmp(name, "system.posix_acl_default") == 0)
		return true;
	return has_prefix(name, "user.") && !has_prefix(name, "user.overlay.") && name[strlen("user.")];
}

bool entry_id_is_valid(int64_t id)
{
	return id >= 0 && id < UINT32_MAX;
}

int64_t entry_clamp_mtime(int64_t seconds)
{
	if (seconds < 0)
		return 0;
	return seconds > MTIME_MAX ? MTIME_MAX : seconds;
}

bool entry_is_hidden_whiteout(mode_t type, dev_t device)
{
	return S_ISCHR(type) && device == 0;
}
