#include "spec/messages.h"

#include <errno.h>
#include <string.h>

#include "base/strv.h"
#include "spec/oci_check.h"

/* --- reading --- */

static int read_envelope(struct message *out, struct err **reterr)
{
	json_t *id = json_object_get(out->body, "id");
	out->op = json_string_value(json_object_get(out->body, "op"));
	out->version = json_integer_value(json_object_get(out->body, "v"));
	out->id = json_is_integer(id) ? json_integer_value(id) : MESSAGE_NO_ID;
	if (!out->op)
		return err_set(reterr, ERR_INVALID, 0, "message without an op");
	if (out->version < 1)
		return err_set(reterr, ERR_INVALID, 0, "message without a version");
	if (id && (!json_is_integer(id) || out->id < 0))
		return err_set(reterr, ERR_INVALID, 0, "message %s with an id that is not a number",
			oci_printable(out->op));
	return 0;
}

int message_parse(const char *data, size_t len, struct message *out, struct err **reterr)
{
	*out = (struct message){ .id = MESSAGE_NO_ID };
	const char *end = memchr(data, '\0', len);
	size_t text_len = end ? (size_t)(end - data) : len;
	int r = json_load(data, text_len, &out->body, reterr);
	if (r < 0)
		return r;
	r = json_is_object(out->body) ? read_envelope(out, reterr)
				      : err_set(reterr, ERR_INVALID, 0, "message is not an object");
	if (r < 0) {
		message_finish(out);
		return r;
	}
	if (end && text_len + 1 < len) {
		out->surplus = end + 1;
		out->surplus_len = len - text_len - 1;
	}
	return 0;
}

void message_finish(struct message *message)
{
	json_decref(message->body);
	*message = (struct message){ .id = MESSAGE_NO_ID };
}

const char *message_string(const struct message *message, const char *key)
{
	return json_string_value(json_object_get(message->body, key));
}

int64_t message_int(const struct message *message, const char *key, int64_t if_absent)
{
	const json_t *value = json_object_get(message->body, key);
	return json_is_integer(value) ? json_integer_value(value) : if_absent;
}

bool message_bool(const struct message *message, const char *key)
{
	return json_is_true(json_object_get(message->body, key));
}

int message_document(const struct message *message, const char *key, const struct json_table *table, void *out,
	struct err **reterr)
{
	memset(out, 0, table->size);
	json_t *value = json_object_get(message->body, key);
	if (!value)
		return err_set(reterr, ERR_INVALID, 0, "message %s without %s", oci_printable(message->op), key);
	int r = json_read(table, value, out, reterr);
	return r < 0 ? err_wrap(reterr, r, "message %s: %s", oci_printable(message->op), key) : 0;
}

/* --- writing --- */

int message_add(json_t *body, const char *key, json_t *value)
{
	if (body && value)
		return json_object_set_new(body, key, value) < 0 ? -ENOMEM : 0;
	json_decref(value);
	return -ENOMEM;
}

json_t *message_new(const char *op, int64_t id)
{
	_autojson_ json_t *body = json_object();
	if (message_add(body, "v", json_integer(MESSAGE_VERSION)) < 0 || message_add(body, "op", json_string(op)) < 0)
		return NULL;
	if (id != MESSAGE_NO_ID && message_add(body, "id", json_integer(id)) < 0)
		return NULL;
	return TAKE(body);
}

int message_pack(const json_t *body, const void *surplus, size_t surplus_len, struct buf *out)
{
	int r = body ? json_print_value(body, out) : -ENOMEM;
	if (r == 0 && surplus_len)
		r = buf_putc(out, '\0');
	if (r == 0 && surplus_len)
		r = buf_append(out, surplus, surplus_len);
	return r;
}

/* --- answers --- */

json_t *message_done(int64_t id)
{
	return message_new("done", id);
}

json_t *message_ack(int64_t id)
{
	return message_new("ack", id);
}

static json_t *error_new(int64_t id, enum err_kind kind, int errnum, json_t *text)
{
	_autojson_ json_t *body = message_new("error", id);
	if (message_add(body, "message", text) < 0 || message_add(body, "kind", json_string(err_kind_name(kind))) < 0 ||
		message_add(body, "errno", json_integer(errnum)) < 0)
		return NULL;
	return TAKE(body);
}

json_t *message_error(int64_t id, const struct err *err)
{
	enum err_kind kind = err ? err->kind : ERR_INTERNAL;
	const char *text = err_message(err);
	json_t *value = json_string(text);
	/* A name that is no UTF-8 must not turn an error into silence. */
	if (!value)
		value = json_string("error whose text is not valid UTF-8");
	return error_new(id, kind, err ? err->errnum : EIO, value);
}

json_t *message_unsupported(int64_t id, const char *op)
{
	json_t *text = json_sprintf("this version does not know the operation %s", oci_printable(op));
	return error_new(id, ERR_UNSUPPORTED, err_kind_errno(ERR_UNSUPPORTED), text);
}

int message_outcome(const struct message *answer, struct err **reterr)
{
	if (strcmp(answer->op, "done") == 0 || strcmp(answer->op, "ack") == 0)
		return 0;
	if (strcmp(answer->op, "error") != 0)
		return err_set(reterr, ERR_INTERNAL, 0, "unexpected answer %s", oci_printable(answer->op));

	const char *kind_name = message_string(answer, "kind");
	const char *text = message_string(answer, "message");
	enum err_kind kind = err_kind_from_name(kind_name ? kind_name : "");
	int64_t errnum = message_int(answer, "errno", 0);
	if (errnum < 0 || errnum > 4095)
		errnum = 0;
	return err_set(reterr, kind, (int)errnum, "%s", text ? text : "error without a message");
}

/* --- engine and monitor --- */

json_t *message_hello(int64_t id, int64_t acked)
{
	_autojson_ json_t *body = message_new("hello", id);
	return message_add(body, "acked", json_integer(acked)) < 0 ? NULL : TAKE(body);
}

static json_t *string_array(char *const *strings)
{
	_autojson_ json_t *array = json_array();
	strv_foreach (string, strings)
		if (!array || json_array_append_new(array, json_string(*string)) < 0)
			return NULL;
	return TAKE(array);
}

json_t *message_hello_answer(int64_t id, const struct runstate *state, char *const *execs)
{
	_autojson_ json_t *body = message_new("hello", id);
	if (message_add(body, "state", json_write(&runstate_table, state)) < 0 ||
		message_add(body, "execs", string_array(execs)) < 0)
		return NULL;
	return TAKE(body);
}

json_t *message_event(const struct run_event *event, const struct runstate *state)
{
	_autojson_ json_t *members = json_write(&run_event_table, event);
	_autojson_ json_t *body = message_new("event", MESSAGE_NO_ID);
	if (!members || !body || json_object_update(body, members) < 0)
		return NULL;
	return message_add(body, "state", json_write(&runstate_table, state)) < 0 ? NULL : TAKE(body);
}

json_t *message_acked(int64_t seq)
{
	_autojson_ json_t *body = message_new("acked", MESSAGE_NO_ID);
	return message_add(body, "seq", json_integer(seq)) < 0 ? NULL : TAKE(body);
}
