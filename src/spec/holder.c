#include "spec/holder.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEADER_MAGIC   0x45524154 /* "TARE" */
#define HEADER_VERSION 1

/* All members have their natural alignment and leave no gap; both sides are on one machine. */
struct header {
	uint32_t magic;
	uint16_t version;
	uint16_t type;
	uint16_t kind;
	uint16_t argc;
	int32_t pid;
	int32_t status;
	uint32_t strings_len;
};
_Static_assert(sizeof(struct header) == 24, "the header is the same for ever");

static bool is_id(const char *id)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	size_t len = strlen(id);
	return len > 0 && len <= HOLDER_ID_MAX && strspn(id, allowed) == len;
}

static bool is_known(uint16_t type, uint16_t kind)
{
	return type >= HOLDER_SPAWN && type <= HOLDER_EXITED && kind >= HOLDER_ENGINE && kind <= HOLDER_NETWORK;
}

static bool has_argv_as_type_wants(uint16_t type, size_t argc)
{
	return type == HOLDER_SPAWN ? argc >= 1 && argc <= HOLDER_ARGV_MAX : argc == 0;
}

/* Appends the string and its NUL at *used; false if it does not fit. */
static bool append(char *out, size_t size, size_t *used, const char *string)
{
	size_t len = strlen(string) + 1;
	if (len > size - *used)
		return false;
	memcpy(out + *used, string, len);
	*used += len;
	return true;
}

int holder_message_encode(const struct holder_message *message, char *out, size_t size)
{
	if (!is_known((uint16_t)message->type, (uint16_t)message->kind) || !message->id || !is_id(message->id) ||
		!has_argv_as_type_wants((uint16_t)message->type, message->argc))
		return -EINVAL;
	if (size > HOLDER_MESSAGE_MAX)
		size = HOLDER_MESSAGE_MAX;
	if (size < sizeof(struct header))
		return -EMSGSIZE;

	size_t used = sizeof(struct header);
	bool fits = append(out, size, &used, message->id);
	for (size_t i = 0; fits && i < message->argc; i++) {
		if (!message->argv[i])
			return -EINVAL;
		fits = append(out, size, &used, message->argv[i]);
	}
	if (!fits)
		return -EMSGSIZE;

	const struct header header = {
		.magic = HEADER_MAGIC,
		.version = HEADER_VERSION,
		.type = (uint16_t)message->type,
		.kind = (uint16_t)message->kind,
		.argc = (uint16_t)message->argc,
		.pid = message->pid,
		.status = message->status,
		.strings_len = (uint32_t)(used - sizeof header),
	};
	memcpy(out, &header, sizeof header);
	return (int)used;
}

/* Takes one string off the front; NULL if no NUL ends it. */
static const char *take(const char **at, const char *end)
{
	const char *string = *at;
	const char *nul = string < end ? memchr(string, '\0', (size_t)(end - string)) : NULL;
	if (!nul)
		return NULL;
	*at = nul + 1;
	return string;
}

int holder_message_decode(const char *data, size_t len, struct holder_message *out)
{
	struct header header;
	if (len < sizeof header || len > HOLDER_MESSAGE_MAX)
		return -EBADMSG;
	memcpy(&header, data, sizeof header);
	if (header.magic != HEADER_MAGIC || header.version != HEADER_VERSION ||
		header.strings_len != len - sizeof header)
		return -EBADMSG;
	if (!is_known(header.type, header.kind))
		return -EPROTONOSUPPORT;
	if (!has_argv_as_type_wants(header.type, header.argc))
		return -EBADMSG;

	*out = (struct holder_message){
		.type = (enum holder_type)header.type,
		.kind = (enum holder_kind)header.kind,
		.pid = header.pid,
		.status = header.status,
		.argc = header.argc,
	};
	const char *at = data + sizeof header, *end = data + len;
	out->id = take(&at, end);
	if (!out->id || !is_id(out->id))
		return -EBADMSG;
	for (size_t i = 0; i < header.argc; i++) {
		out->argv[i] = take(&at, end);
		if (!out->argv[i])
			return -EBADMSG;
	}
	return at == end ? 0 : -EBADMSG;
}
