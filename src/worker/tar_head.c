#include "worker/tar_head.h"

#include <stdio.h>
#include <string.h>

#define OCTAL_SIZE_MAX 077777777777

struct ustar {
	char name[TAR_NAME_MAX];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char link_name[100];
	char magic[6];
	char version[2];
	char owner[32];
	char group[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char unused[12];
};

static void put_size(char out[static 12], int64_t size)
{
	if (size <= OCTAL_SIZE_MAX) {
		snprintf(out, 12, "%011llo", (long long)size);
		return;
	}
	out[0] = (char)0x80;
	for (int i = 11; i > 0; i--, size >>= 8)
		out[i] = (char)(size & 0xff);
}

void tar_head(const char *name, int64_t size_bytes, char out[static TAR_BLOCK_BYTES])
{
	size_t len = strnlen(name, TAR_NAME_MAX);
	bool is_folder = len > 0 && name[len - 1] == '/';
	struct ustar head = { .type = is_folder ? '5' : '0', .magic = "ustar", .version = { '0', '0' } };
	unsigned sum = 0;

	memcpy(head.name, name, len);
	snprintf(head.mode, sizeof(head.mode), "%07o", is_folder ? 0755U : 0644U);
	snprintf(head.uid, sizeof(head.uid), "%07o", 0U);
	snprintf(head.gid, sizeof(head.gid), "%07o", 0U);
	snprintf(head.mtime, sizeof(head.mtime), "%011o", 0U);
	put_size(head.size, size_bytes);
	/* Of the head with blanks in its own place. */
	memset(head.checksum, ' ', sizeof(head.checksum));
	memcpy(out, &head, sizeof(head));
	for (size_t i = 0; i < sizeof(head); i++)
		sum += (unsigned char)out[i];
	snprintf(head.checksum, sizeof(head.checksum), "%06o", sum);
	memcpy(out, &head, sizeof(head));
}

unsigned tar_padding(int64_t size_bytes)
{
	return (unsigned)(-size_bytes & (TAR_BLOCK_BYTES - 1));
}
