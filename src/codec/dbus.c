#include "codec/dbus.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define NATIVE_ORDER     (__BYTE_ORDER == __LITTLE_ENDIAN ? 'l' : 'B')
#define PROTOCOL_VERSION 1
#define FIELDS_MAX       (64 * 1024)

enum field {
	FIELD_PATH = 1,
	FIELD_INTERFACE,
	FIELD_MEMBER,
	FIELD_ERROR,
	FIELD_REPLY,
	FIELD_DESTINATION,
	FIELD_SENDER,
	FIELD_SIGNATURE
};

/* ---- writing ---- */

void dbus_body_finish(struct dbus_body *body)
{
	buf_finish(&body->bytes);
}

static void put(struct dbus_body *body, const void *data, size_t len)
{
	if (body->r == 0)
		body->r = buf_append(&body->bytes, data, len);
}

void dbus_put_align(struct dbus_body *body, size_t alignment)
{
	static const char zeros[8];
	size_t over = body->bytes.len % alignment;

	if (over)
		put(body, zeros, alignment - over);
}

void dbus_put_byte(struct dbus_body *body, uint8_t value)
{
	put(body, &value, 1);
}

void dbus_put_u16(struct dbus_body *body, uint16_t value)
{
	dbus_put_align(body, sizeof(value));
	put(body, &value, sizeof(value));
}

void dbus_put_u32(struct dbus_body *body, uint32_t value)
{
	dbus_put_align(body, sizeof(value));
	put(body, &value, sizeof(value));
}

void dbus_put_u64(struct dbus_body *body, uint64_t value)
{
	dbus_put_align(body, sizeof(value));
	put(body, &value, sizeof(value));
}

void dbus_put_double(struct dbus_body *body, double value)
{
	dbus_put_align(body, sizeof(value));
	put(body, &value, sizeof(value));
}

void dbus_put_string(struct dbus_body *body, const char *value)
{
	size_t len = strlen(value);

	if (len > DBUS_MESSAGE_MAX) {
		body->r = body->r ? body->r : -EFBIG;
		return;
	}
	dbus_put_u32(body, (uint32_t)len);
	put(body, value, len + 1);
}

void dbus_put_signature(struct dbus_body *body, const char *value)
{
	size_t len = strlen(value);

	if (len > DBUS_SIGNATURE_MAX) {
		body->r = body->r ? body->r : -EFBIG;
		return;
	}
	dbus_put_byte(body, (uint8_t)len);
	put(body, value, len + 1);
}

/* The length goes to where the mark is; padding before the first element does not count. */
size_t dbus_array_begin(struct dbus_body *body, size_t alignment)
{
	dbus_put_u32(body, 0);
	size_t mark = body->bytes.len - sizeof(uint32_t);
	dbus_put_align(body, alignment);
	return mark;
}

void dbus_array_end(struct dbus_body *body, size_t mark, size_t alignment)
{
	if (body->r < 0)
		return;
	size_t begin = mark + sizeof(uint32_t);
	begin += (alignment - begin % alignment) % alignment;
	uint32_t len = (uint32_t)(body->bytes.len - begin);
	memcpy(body->bytes.data + mark, &len, sizeof(len));
}

size_t dbus_alignment(char type)
{
	switch (type) {
	case 'y':
	case 'g':
	case 'v': return 1;
	case 'n':
	case 'q': return 2;
	case 'x':
	case 't':
	case 'd':
	case '(':
	case '{': return 8;
	default: return 4;
	}
}

static void put_field(struct dbus_body *head, enum field field, const char *signature, const char *value)
{
	if (!value || !*value)
		return;
	dbus_put_align(head, 8);
	dbus_put_byte(head, (uint8_t)field);
	dbus_put_signature(head, signature);
	if (*signature == 'g')
		dbus_put_signature(head, value);
	else
		dbus_put_string(head, value);
}

int dbus_call_print(const struct dbus_call *call, uint32_t serial, const struct dbus_body *body, struct buf *out)
{
	_cleanup_(dbus_body_finish) struct dbus_body head = DBUS_BODY_INIT;

	dbus_put_byte(&head, NATIVE_ORDER);
	dbus_put_byte(&head, DBUS_CALL);
	dbus_put_byte(&head, 0);
	dbus_put_byte(&head, PROTOCOL_VERSION);
	dbus_put_u32(&head, body ? (uint32_t)body->bytes.len : 0);
	dbus_put_u32(&head, serial);
	size_t fields = dbus_array_begin(&head, 8);
	put_field(&head, FIELD_PATH, "o", call->path);
	put_field(&head, FIELD_INTERFACE, "s", call->interface);
	put_field(&head, FIELD_MEMBER, "s", call->member);
	put_field(&head, FIELD_DESTINATION, "s", call->destination);
	put_field(&head, FIELD_SIGNATURE, "g", call->signature);
	dbus_array_end(&head, fields, 8);
	dbus_put_align(&head, 8);
	int r = head.r < 0 ? head.r : body ? body->r : 0;
	if (r == 0)
		r = buf_append(out, head.bytes.data, head.bytes.len);
	if (r == 0 && body && body->bytes.len)
		r = buf_append(out, body->bytes.data, body->bytes.len);
	return r;
}

/* ---- reading ---- */

static const void *get(struct dbus_reader *reader, size_t alignment, size_t len)
{
	size_t at = reader->at + (alignment - reader->at % alignment) % alignment;

	if (reader->r < 0 || at > reader->len || len > reader->len - at) {
		reader->r = -EBADMSG;
		return NULL;
	}
	reader->at = at + len;
	return reader->data + at;
}

static uint8_t get_byte(struct dbus_reader *reader)
{
	const uint8_t *byte = get(reader, 1, 1);

	return byte ? *byte : 0;
}

uint32_t dbus_get_u32(struct dbus_reader *reader)
{
	const void *bytes = get(reader, sizeof(uint32_t), sizeof(uint32_t));
	uint32_t value = 0;

	if (bytes)
		memcpy(&value, bytes, sizeof(value));
	return value;
}

/* `len` bytes without a NUL, and one behind. */
static const char *get_text(struct dbus_reader *reader, size_t len)
{
	const char *text = reader->r < 0 || len >= reader->len ? NULL : get(reader, 1, len + 1);

	if (text && !memchr(text, '\0', len) && text[len] == '\0')
		return text;
	reader->r = -EBADMSG;
	return NULL;
}

const char *dbus_get_string(struct dbus_reader *reader)
{
	return get_text(reader, dbus_get_u32(reader));
}

const char *dbus_get_signature(struct dbus_reader *reader)
{
	return get_text(reader, get_byte(reader));
}

void dbus_reader_init(struct dbus_reader *reader, const struct dbus_message *message)
{
	*reader = (struct dbus_reader){ .data = message->body, .len = message->body_len };
}

int dbus_message_size(const uint8_t *data, size_t *ret)
{
	struct dbus_reader reader = { .data = data, .len = DBUS_FIXED_BYTES, .at = 4 };
	size_t body = dbus_get_u32(&reader);
	uint32_t serial = dbus_get_u32(&reader);
	size_t fields = dbus_get_u32(&reader);

	if (data[0] != NATIVE_ORDER || data[3] != PROTOCOL_VERSION || serial == 0)
		return -EBADMSG;
	if (body > DBUS_MESSAGE_MAX || fields > FIELDS_MAX)
		return -EMSGSIZE;
	*ret = DBUS_FIXED_BYTES + (fields + 7) / 8 * 8 + body;
	return *ret > DBUS_MESSAGE_MAX ? -EMSGSIZE : 0;
}

/* Those of a type that nobody here asked for are plain strings, a number, or not of this version: then the message is refused. */
static void get_field(struct dbus_reader *reader, struct dbus_message *out)
{
	get(reader, 8, 0);
	uint8_t field = get_byte(reader);
	const char *signature = dbus_get_signature(reader);

	if (!signature || !*signature || signature[1]) {
		reader->r = -EBADMSG;
		return;
	}
	uint32_t number = *signature == 'u' ? dbus_get_u32(reader) : 0;
	const char *text = *signature == 'g'                        ? dbus_get_signature(reader)
			   : *signature == 's' || *signature == 'o' ? dbus_get_string(reader)
								    : NULL;
	if (!text && *signature != 'u')
		reader->r = -EBADMSG;
	if (field == FIELD_PATH && *signature == 'o')
		out->path = text;
	else if (field == FIELD_INTERFACE && *signature == 's')
		out->interface = text;
	else if (field == FIELD_MEMBER && *signature == 's')
		out->member = text;
	else if (field == FIELD_ERROR && *signature == 's')
		out->error_name = text;
	else if (field == FIELD_SIGNATURE && *signature == 'g')
		out->signature = text;
	else if (field == FIELD_REPLY && *signature == 'u')
		out->reply_serial = number;
}

int dbus_message_parse(const uint8_t *data, size_t len, struct dbus_message *ret)
{
	size_t size;
	struct dbus_message message = { .signature = "" };
	int r = len < DBUS_FIXED_BYTES ? -EBADMSG : dbus_message_size(data, &size);

	if (r < 0 || size != len)
		return -EBADMSG;
	struct dbus_reader head = { .data = data, .len = len, .at = 4 };
	message.type = data[1];
	message.body_len = dbus_get_u32(&head);
	message.serial = dbus_get_u32(&head);
	size_t fields = dbus_get_u32(&head);
	head.len = DBUS_FIXED_BYTES + fields;
	while (head.r == 0 && head.at < head.len)
		get_field(&head, &message);
	if (head.r < 0 || (message.body_len && !*message.signature))
		return -EBADMSG;
	message.body = data + (len - message.body_len);
	bool is_whole = message.type == DBUS_RETURN   ? message.reply_serial != 0
			: message.type == DBUS_ERROR  ? message.reply_serial != 0 && message.error_name
			: message.type == DBUS_SIGNAL ? message.path && message.interface && message.member
						      : true;
	if (!is_whole)
		return -EBADMSG;
	*ret = message;
	return 0;
}
