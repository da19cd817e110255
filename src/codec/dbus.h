/*
 * D-Bus messages (D-Bus Specification 0.43, "Message Protocol"): what a client that makes a few calls needs, and no more. A body
 * is written value by value, errors are sticky; a received message is checked as a whole before anything of it is given out.
 * Only the machine's own byte order is taken: peers are on this machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define DBUS_MESSAGE_MAX   (1024 * 1024)
#define DBUS_FIXED_BYTES   16
#define DBUS_SIGNATURE_MAX 255
#define DBUS_DEPTH_MAX     16

enum dbus_type { DBUS_CALL = 1, DBUS_RETURN = 2, DBUS_ERROR = 3, DBUS_SIGNAL = 4 };

/* ---- writing ---- */

/* Offsets are from the body's start, which is at a multiple of 8 in its message. */
struct dbus_body {
	struct buf bytes;
	int r; /* of the first that failed: 0 or -errno */
};

#define DBUS_BODY_INIT                                               \
 {                                                                   \
  .bytes = BUF_INIT(DBUS_MESSAGE_MAX - DBUS_MESSAGE_MAX / 4), .r = 0 \
 }

void dbus_body_finish(struct dbus_body *body);

void dbus_put_align(struct dbus_body *body, size_t alignment); /* 8 before a struct */
void dbus_put_byte(struct dbus_body *body, uint8_t value);
void dbus_put_u16(struct dbus_body *body, uint16_t value);
void dbus_put_u32(struct dbus_body *body, uint32_t value); /* i, too; and b: 0 or 1 */
void dbus_put_u64(struct dbus_body *body, uint64_t value); /* x, too */
void dbus_put_double(struct dbus_body *body, double value);
void dbus_put_string(struct dbus_body *body, const char *value);    /* s and o */
void dbus_put_signature(struct dbus_body *body, const char *value); /* g; and before a variant's value */
/* Returns what dbus_array_end wants. `alignment` is that of the elements. */
size_t dbus_array_begin(struct dbus_body *body, size_t alignment);
void dbus_array_end(struct dbus_body *body, size_t mark, size_t alignment);
/* Of the type that a signature begins with. */
size_t dbus_alignment(char type);

struct dbus_call {
	const char *destination; /* NULL where no bus is in between */
	const char *path;
	const char *interface;
	const char *member;
	const char *signature;
};

/* The whole message. */
int dbus_call_print(const struct dbus_call *call, uint32_t serial, const struct dbus_body *body, struct buf *out);

/* ---- reading ---- */

/* Strings point into the message's bytes. */
struct dbus_message {
	uint8_t type;
	uint32_t serial;
	uint32_t reply_serial; /* 0: none */
	const char *path;
	const char *interface;
	const char *member;
	const char *error_name;
	const char *signature; /* "" without a body */
	const uint8_t *body;
	size_t body_len;
};

/* From the first DBUS_FIXED_BYTES: the length of all. -EBADMSG, or -EMSGSIZE over DBUS_MESSAGE_MAX. */
int dbus_message_size(const uint8_t *data, size_t *ret);
/* `len` as dbus_message_size said. -EBADMSG. */
int dbus_message_parse(const uint8_t *data, size_t len, struct dbus_message *ret);

/* Over a body, in its signature's order; the first that does not fit makes all later ones fail. */
struct dbus_reader {
	const uint8_t *data;
	size_t len;
	size_t at;
	int r;
};

void dbus_reader_init(struct dbus_reader *reader, const struct dbus_message *message);
uint32_t dbus_get_u32(struct dbus_reader *reader);
const char *dbus_get_string(struct dbus_reader *reader); /* NULL if it fails */
const char *dbus_get_signature(struct dbus_reader *reader);
