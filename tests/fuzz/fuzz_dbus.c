/*
 * As a peer's message: what is accepted lies within it, and its body can be read to its end and no further. As an annotation's
 * text: what is written is within its limits.
 */
#include <string.h>

#include "base/cleanup.h"
#include "codec/dbus.h"
#include "codec/dbus_text.h"

#include "fuzz.h"

static void check_text(const char *text, const uint8_t *data, size_t size)
{
	fuzz_check(!text || ((const uint8_t *)text >= data && (const uint8_t *)text + strlen(text) < data + size));
}

static void check_message(const uint8_t *data, size_t size)
{
	struct dbus_message message;
	struct dbus_reader reader;
	size_t whole;

	if (size < DBUS_FIXED_BYTES || dbus_message_size(data, &whole) < 0)
		return;
	fuzz_check(whole >= DBUS_FIXED_BYTES && whole <= DBUS_MESSAGE_MAX);
	if (dbus_message_parse(data, size, &message) < 0)
		return;
	fuzz_check(size == whole && message.serial);
	const char *texts[] = { message.path, message.interface, message.member, message.error_name,
		*message.signature ? message.signature : NULL };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		check_text(texts[i], data, size);
	fuzz_check(message.body >= data && message.body + message.body_len == data + size);
	dbus_reader_init(&reader, &message);
	for (const char *type = message.signature; *type && reader.r == 0; type++)
		if (*type == 's' || *type == 'o')
			check_text(dbus_get_string(&reader), data, size);
		else if (*type == 'g' || *type == 'v')
			check_text(dbus_get_signature(&reader), data, size);
		else
			dbus_get_u32(&reader);
	fuzz_check(reader.at <= reader.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_(dbus_body_finish) struct dbus_body body = DBUS_BODY_INIT;
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_cleanup_free_ uint8_t *copy = malloc(size + 1); /* so that a byte too far is seen */

	memcpy(copy, data, size);
	check_message(copy, size);
	if (dbus_put_variant_text(&body, text) < 0)
		return 0;
	size_t len = (uint8_t)body.bytes.data[0];
	fuzz_check(len && len < body.bytes.len && strlen(body.bytes.data + 1) == len);
	fuzz_check(body.bytes.len <= 8 * strlen(text) + 2 * len + 16);
	return 0;
}
