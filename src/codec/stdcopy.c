#include "codec/stdcopy.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define HEADER_BROKEN UINT32_MAX

void stdcopy_header(unsigned char out[static STDCOPY_HEADER_SIZE], enum stdcopy_stream stream, uint32_t len)
{
	uint32_t wire = htobe32(len);
	memset(out, 0, STDCOPY_HEADER_SIZE);
	out[0] = (unsigned char)stream;
	memcpy(out + 4, &wire, sizeof wire);
}

void stdcopy_init(struct stdcopy *stdcopy)
{
	*stdcopy = (struct stdcopy){ 0 };
}

/* Past a header that can't be one there is no way to find the next. */
static int take_header_byte(struct stdcopy *stdcopy, unsigned char byte)
{
	if (stdcopy->header_len < 4 && byte > (stdcopy->header_len ? 0 : STDCOPY_SYSTEM_ERROR))
		stdcopy->header_len = HEADER_BROKEN;
	if (stdcopy->header_len == HEADER_BROKEN)
		return -EINVAL;
	stdcopy->header[stdcopy->header_len++] = byte;
	if (stdcopy->header_len == STDCOPY_HEADER_SIZE) {
		uint32_t wire;
		memcpy(&wire, stdcopy->header + 4, sizeof wire);
		stdcopy->left = be32toh(wire);
		if (!stdcopy->left)
			stdcopy->header_len = 0;
	}
	return 0;
}

ssize_t stdcopy_decode(struct stdcopy *stdcopy, const char *data, size_t len, struct stdcopy_piece *ret_piece)
{
	size_t used = 0;
	while (used < len && !stdcopy->left) {
		int ret = take_header_byte(stdcopy, (unsigned char)data[used]);
		if (ret < 0)
			return ret;
		used++;
	}

	size_t piece = len - used < stdcopy->left ? len - used : stdcopy->left;
	*ret_piece = (struct stdcopy_piece){ (enum stdcopy_stream)stdcopy->header[0], data + used, piece };
	stdcopy->left -= (uint32_t)piece;
	if (!stdcopy->left && piece)
		stdcopy->header_len = 0;
	return (ssize_t)(used + piece);
}

int stdcopy_end(const struct stdcopy *stdcopy)
{
	return stdcopy->header_len ? -ENODATA : 0;
}
