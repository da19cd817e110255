#include "archive/tar.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "archive/limits.h"
#include "codec/utf8.h"

#define PAX_NAME       "PaxHeaders/entry"
#define PAX_BYTES      (2 * LIMIT_XATTRS_BYTES) /* of one entry's records */
#define XATTR_PREFIX   "SCHILY.xattr."
#define FILE_MODE_BITS 07777
#define TIME_DIGITS    32

/* POSIX's layout. */
struct ustar {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6];
	char version[2];
	char user[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char rest[12];
};
_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "a header is one block");

size_t tar_padding(int64_t size)
{
	return (size_t)(-size & (TAR_BLOCK_BYTES - 1));
}

/* ---- numbers: octal, with a NUL at the end */

static bool fits(uint64_t value, size_t field)
{
	return value >> (3 * (field - 1)) == 0;
}

/* What does not fit stands in the extended header, and here as zero. */
static void put_number(char *field, size_t size, uint64_t value)
{
	if (!fits(value, size))
		value = 0;
	field[size - 1] = '\0';
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

#define PUT(field, value) put_number(field, sizeof(field), (uint64_t)(value))

static void put_text(char *field, size_t size, const char *text)
{
	size_t len = strnlen(text, size);

	memcpy(field, text, len);
}

/* The sum of all bytes, its own field read as spaces. */
static void put_checksum(struct ustar *header)
{
	unsigned sum = 0;

	memset(header->checksum, ' ', sizeof(header->checksum));
	for (size_t i = 0; i < sizeof(*header); i++)
		sum += ((const unsigned char *)header)[i];
	put_number(header->checksum, 7, sum);
}

static int put_header(struct ustar *header, struct buf *out)
{
	memcpy(header->magic, "ustar", sizeof(header->magic));
	memcpy(header->version, "00", sizeof(header->version));
	put_checksum(header);
	return buf_append(out, header, sizeof(*header));
}

/* ---- the extended header */

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static int put_record(struct buf *out, const char *key, const void *value, size_t size)
{
	size_t rest = strlen(key) + size + 3; /* " ", "=", "\n" */
	size_t len = rest, digits;
	int r;

	do {
		digits = (size_t)snprintf(NULL, 0, "%zu", len);
		len = rest + digits;
	} while (digits != (size_t)snprintf(NULL, 0, "%zu", len));
	r = buf_printf(out, "%zu %s=", len, key);
	if (r == 0 && size > 0)
		r = buf_append(out, value, size);
	return r < 0 ? r : buf_putc(out, '\n');
}

static int put_number_record(struct buf *out, const char *key, uint64_t value)
{
	char text[TIME_DIGITS];
	int len = snprintf(text, sizeof(text), "%llu", (unsigned long long)value);

	return put_record(out, key, text, (size_t)len);
}

static bool is_ascii(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static bool needs_record(const char *text, size_t field)
{
	return text && (strlen(text) > field || !is_ascii(text));
}

static bool is_binary(const char *text)
{
	return text && !utf8_is_valid(text, strlen(text));
}

static int put_name_records(struct buf *out, const struct tar_entry *entry, const char *link)
{
	int r = 0;

	if (is_binary(entry->path) || is_binary(link))
		r = put_record(out, "hdrcharset", "BINARY", strlen("BINARY"));
	if (r == 0 && needs_record(entry->path, sizeof(((struct ustar *)0)->name)))
		r = put_record(out, "path", entry->path, strlen(entry->path));
	if (r == 0 && needs_record(link, sizeof(((struct ustar *)0)->link)))
		r = put_record(out, "linkpath", link, strlen(link));
	return r;
}

/* A time before 1970 counts backwards, fraction included. */
static int put_time_record(struct buf *out, const struct timespec *time)
{
	char text[TIME_DIGITS];
	long long seconds = (long long)time->tv_sec;
	long fraction = time->tv_nsec;
	bool negative = seconds < 0;
	int len;

	if (fraction == 0 && !negative && fits((uint64_t)seconds, sizeof(((struct ustar *)0)->mtime)))
		return 0;
	if (negative && fraction > 0) {
		seconds++;
		fraction = 1000000000L - fraction;
	}
	if (fraction == 0)
		len = snprintf(text, sizeof(text), "%lld", seconds);
	else
		len = snprintf(text, sizeof(text), "%s%lld.%09ld", negative ? "-" : "", negative ? -seconds : seconds,
			fraction);
	return put_record(out, "mtime", text, (size_t)len);
}

static int put_records(struct buf *out, const struct tar_entry *entry, const char *link)
{
	int r = put_name_records(out, entry, link);

	if (r == 0 && !fits((uint64_t)entry->size, sizeof(((struct ustar *)0)->size)))
		r = put_number_record(out, "size", (uint64_t)entry->size);
	if (r == 0 && !fits(entry->uid, sizeof(((struct ustar *)0)->uid)))
		r = put_number_record(out, "uid", entry->uid);
	if (r == 0 && !fits(entry->gid, sizeof(((struct ustar *)0)->gid)))
		r = put_number_record(out, "gid", entry->gid);
	if (r == 0)
		r = put_time_record(out, &entry->mtime);
	for (size_t i = 0; r == 0 && i < entry->xattr_count; i++) {
		char key[sizeof(XATTR_PREFIX) + LIMIT_COMPONENT_BYTES];

		snprintf(key, sizeof(key), "%s%s", XATTR_PREFIX, entry->xattrs[i].name);
		r = put_record(out, key, entry->xattrs[i].value, entry->xattrs[i].size);
	}
	return r;
}

static int put_extended(const struct tar_entry *entry, const char *link, struct buf *out)
{
	static const char zeros[TAR_BLOCK_BYTES];
	_cleanup_(buf_finish) struct buf records = BUF_INIT(PAX_BYTES);
	struct ustar header = { .type = 'x' };
	int r = put_records(&records, entry, link);

	if (r < 0 || records.len == 0)
		return r;
	put_text(header.name, sizeof(header.name), PAX_NAME);
	PUT(header.mode, 0644);
	PUT(header.uid, 0);
	PUT(header.gid, 0);
	PUT(header.size, records.len);
	PUT(header.mtime, 0);
	r = put_header(&header, out);
	if (r == 0)
		r = buf_append(out, records.data, records.len);
	return r < 0 ? r : buf_append(out, zeros, tar_padding((int64_t)records.len));
}

/* ---- the header */

static char type_of(const struct tar_entry *entry)
{
	if (entry->hardlink)
		return '1';
	switch (entry->mode & S_IFMT) {
	case S_IFREG: return '0';
	case S_IFLNK: return '2';
	case S_IFCHR: return '3';
	case S_IFBLK: return '4';
	case S_IFDIR: return '5';
	case S_IFIFO: return '6';
	default: return '\0';
	}
}

int tar_header(const struct tar_entry *entry, struct buf *out)
{
	struct ustar header = { .type = type_of(entry) };
	const char *link = entry->hardlink ? entry->hardlink : S_ISLNK(entry->mode) ? entry->symlink : NULL;
	int r;

	if (!header.type)
		return -EINVAL;
	r = put_extended(entry, link, out);
	if (r < 0)
		return r;
	put_text(header.name, sizeof(header.name), entry->path);
	if (link)
		put_text(header.link, sizeof(header.link), link);
	PUT(header.mode, entry->mode & FILE_MODE_BITS);
	PUT(header.uid, entry->uid);
	PUT(header.gid, entry->gid);
	PUT(header.size, entry->size);
	PUT(header.mtime, entry->mtime.tv_sec < 0 ? 0 : entry->mtime.tv_sec);
	if (S_ISCHR(entry->mode) || S_ISBLK(entry->mode)) {
		PUT(header.major, major(entry->device));
		PUT(header.minor, minor(entry->device));
	}
	return put_header(&header, out);
}
