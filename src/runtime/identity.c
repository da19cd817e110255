#include "runtime/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/parse.h"
#include "sys/inroot.h"

struct line_reader {
	int fd; /* -1: no such file, no lines */
	size_t total;
	size_t start;
	size_t end;
	bool at_end;
	char buf[IDENTITY_LINE_MAX];
};

static int say(char *why, int r, const char *format, const char *what)
{
	/* The only formats are the literals in this file, each with one %s. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(why, IDENTITY_WHY_MAX, format, what);
#pragma GCC diagnostic pop
	return r;
}

/* A missing file is an empty one. */
static int reader_open(struct line_reader *reader, int root_fd, const char *path)
{
	struct stat st;
	_autoclose_ int fd = inroot_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);

	reader->fd = -1;
	reader->total = reader->start = reader->end = 0;
	reader->at_end = false;
	if (fd == -ENOENT || fd == -ENOTDIR)
		return 0;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	reader->fd = TAKE_FD(fd);
	return 0;
}

static int reader_fill(struct line_reader *reader)
{
	memmove(reader->buf, reader->buf + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	if (reader->end == sizeof(reader->buf) || reader->total > IDENTITY_FILE_MAX)
		return -EFBIG;
	ssize_t count = read(reader->fd, reader->buf + reader->end, sizeof(reader->buf) - reader->end);
	if (count < 0)
		return -errno;
	reader->at_end = count == 0;
	reader->end += (size_t)count;
	reader->total += (size_t)count;
	return 0;
}

/* 1 and the next line (NUL-terminated in place), 0 at the end, -errno. */
static int reader_next(struct line_reader *reader, char **ret)
{
	if (reader->fd < 0)
		return 0;
	for (;;) {
		char *line = reader->buf + reader->start;
		size_t len = reader->end - reader->start;
		char *newline = memchr(line, '\n', len);
		if (newline) {
			*newline = '\0';
			reader->start += (size_t)(newline - line) + 1;
			*ret = line;
			return 1;
		}
		if (reader->at_end) {
			if (len == 0)
				return 0;
			/* One byte is always free: a full buffer without a newline is refused before the end shows. */
			line[len] = '\0';
			reader->start = reader->end;
			*ret = line;
			return 1;
		}
		int r = reader_fill(reader);
		if (r < 0)
			return r;
	}
}

/* Cuts "a:b:c" in place; missing fields are "". */
static void split_fields(char *line, char **fields, size_t count)
{
	static char empty[] = "";

	for (size_t i = 0; i < count; i++) {
		fields[i] = line ? line : empty;
		char *colon = line && i + 1 < count ? strchr(line, ':') : NULL;
		if (line && i + 1 == count)
			line[strcspn(line, ":")] = '\0';
		if (colon)
			*colon++ = '\0';
		line = colon;
	}
}

static bool parse_id(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (parse_u64(text, IDENTITY_ID_MAX, &value) < 0)
		return false;
	*ret = (uint32_t)value;
	return true;
}

/* Looks like a number to a person: an optional sign and digits. */
static bool is_numeric(const char *text)
{
	const char *digits = text + (*text == '-' || *text == '+');

	return *digits && digits[strspn(digits, "0123456789")] == '\0';
}

static int check_number(const char *text, uint32_t *ret, char *why)
{
	if (parse_id(text, ret))
		return 0;
	return say(why, -ERANGE, "uids and gids must be in range 0-2147483647, not %.100s", text);
}

static int add_group(struct identity *out, gid_t gid)
{
	for (size_t i = 0; i < out->group_count; i++)
		if (out->groups[i] == gid)
			return 0;
	if (out->group_count == IDENTITY_GROUPS_MAX)
		return -E2BIG;
	out->groups[out->group_count++] = gid;
	return 0;
}

/* The first line for the name or number. 1 found, 0 not, -errno. `name` gets the line's own. */
static int find_user(struct line_reader *reader, int root_fd, const char *want, bool by_number, struct identity *out,
	char name[static 256])
{
	char *line, *fields[6];
	uint32_t uid, gid;
	int r = reader_open(reader, root_fd, "etc/passwd");

	while (r == 0 && (r = reader_next(reader, &line)) == 1) {
		split_fields(line, fields, ARRAY_SIZE(fields));
		bool is_match = parse_id(fields[2], &uid) && parse_id(fields[3], &gid) && fields[0][0] &&
				(by_number ? uid == out->uid : strcmp(fields[0], want) == 0);
		r = 0;
		if (!is_match)
			continue;
		out->uid = uid;
		out->gid = gid;
		snprintf(out->home, sizeof(out->home), "%s", fields[5][0] == '/' ? fields[5] : "/");
		snprintf(name, 256, "%s", fields[0]);
		r = 1;
		break;
	}
	fd_close(&reader->fd);
	return r;
}

static bool lists_member(char *members, const char *name)
{
	char *save = NULL;

	for (char *member = strtok_r(members, ",", &save); member; member = strtok_r(NULL, ",", &save))
		if (strcmp(member, name) == 0)
			return true;
	return false;
}

/* All groups that list `name`. */
static int add_memberships(struct line_reader *reader, int root_fd, const char *name, struct identity *out)
{
	char *line, *fields[4];
	uint32_t gid;
	int r = reader_open(reader, root_fd, "etc/group");

	while (r == 0 && (r = reader_next(reader, &line)) == 1) {
		split_fields(line, fields, ARRAY_SIZE(fields));
		r = 0;
		if (parse_id(fields[2], &gid) && lists_member(fields[3], name))
			r = add_group(out, gid);
	}
	fd_close(&reader->fd);
	return r;
}

/* A group by name. 1 found, 0 not, -errno. */
static int find_group(struct line_reader *reader, int root_fd, const char *want, uint32_t *ret)
{
	char *line, *fields[4];
	int r = reader_open(reader, root_fd, "etc/group");

	while (r == 0 && (r = reader_next(reader, &line)) == 1) {
		split_fields(line, fields, ARRAY_SIZE(fields));
		r = 0;
		if (strcmp(fields[0], want) == 0 && parse_id(fields[2], ret)) {
			r = 1;
			break;
		}
	}
	fd_close(&reader->fd);
	return r;
}

static int file_failed(char *why, int r, const char *file)
{
	if (why[0])
		return r;
	if (r == -EFBIG)
		return say(why, r, "%s in the container is too large", file);
	return say(why, r, "%s in the container can't be read, or is not a regular file", file);
}

static int resolve_group(struct line_reader *reader, int root_fd, const char *group, uint32_t *ret, char *why)
{
	if (is_numeric(group))
		return check_number(group, ret, why);
	int r = find_group(reader, root_fd, group, ret);
	if (r == 0)
		return say(why, -ENOENT, "unable to find group %.200s: no matching entries in group file", group);
	return r < 0 ? file_failed(why, r, "/etc/group") : 0;
}

/* "user" or "user:group" into two strings; both must be sound. */
static int split_user_string(const char *text, char user[static 256], char group[static 256], char *why)
{
	const char *colon = strchr(text, ':');
	size_t user_len = colon ? (size_t)(colon - text) : strlen(text);

	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return say(why, -EINVAL, "the user holds a control character%s", "");
	if (user_len > 255 || (colon && strlen(colon + 1) > 255))
		return say(why, -ENAMETOOLONG, "the user %.40s... is too long", text);
	if (colon && (user_len == 0 || strchr(colon + 1, ':')))
		return say(why, -EINVAL, "invalid user %.100s: expected NAME, UID, or either followed by :GROUP", text);
	snprintf(user, 256, "%.*s", (int)user_len, text);
	snprintf(group, 256, "%s", colon ? colon + 1 : "");
	return 0;
}

static int resolve_user(struct line_reader *reader, int root_fd, const char *user, struct identity *out,
	char name[static 256], char *why)
{
	bool by_number = *user == '\0' || is_numeric(user);
	int r = by_number && *user ? check_number(user, &out->uid, why) : 0;

	if (r == 0)
		r = find_user(reader, root_fd, user, by_number, out, name);
	if (r < 0)
		return file_failed(why, r, "/etc/passwd");
	if (r == 0 && !by_number)
		return say(why, -ENOENT, "unable to find user %.200s: no matching entries in passwd file", user);
	return 0;
}

int identity_resolve(int root_fd, const char *user, char *const *group_add, struct identity *out,
	char why[static IDENTITY_WHY_MAX])
{
	struct line_reader reader;
	char user_part[256], group_part[256], name[256] = "";
	uint32_t gid;

	out->uid = 0;
	out->gid = 0;
	out->group_count = 0;
	strcpy(out->home, "/");
	why[0] = '\0';
	int r = split_user_string(user, user_part, group_part, why);
	if (r == 0)
		r = resolve_user(&reader, root_fd, user_part, out, name, why);
	if (r == 0 && group_part[0]) {
		r = resolve_group(&reader, root_fd, group_part, &gid, why);
		if (r == 0)
			out->gid = gid;
	}
	if (r == 0)
		r = add_group(out, out->gid);
	/* Naming a group takes the place of the memberships, as in Docker. */
	if (r == 0 && !group_part[0] && name[0]) {
		r = add_memberships(&reader, root_fd, name, out);
		if (r < 0)
			return file_failed(why, r, "/etc/group");
	}
	for (char *const *extra = group_add; r == 0 && extra && *extra; extra++) {
		r = resolve_group(&reader, root_fd, *extra, &gid, why);
		if (r == 0)
			r = add_group(out, gid);
	}
	if (r < 0 && !why[0])
		say(why, r, "more groups than the kernel takes%s", "");
	return r;
}

void identity_home(int root_fd, uid_t uid, char home[static PATH_MAX])
{
	struct line_reader reader;
	static const char root[] = "/";
	char *line, *fields[6];
	uint32_t found;
	int r = reader_open(&reader, root_fd, "etc/passwd");

	snprintf(home, PATH_MAX, "%s", root);
	while (r == 0 && (r = reader_next(&reader, &line)) == 1) {
		r = 0;
		split_fields(line, fields, ARRAY_SIZE(fields));
		if (!parse_id(fields[2], &found) || found != uid || fields[5][0] != '/')
			continue;
		snprintf(home, PATH_MAX, "%s", fields[5]);
		break;
	}
	fd_close(&reader.fd);
}
