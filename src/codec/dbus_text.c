/* Twice over the text: an array's elements are aligned by their type, which only the text tells. */
#include "codec/dbus_text.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define NUMBER_MAX 64

static const struct {
	const char *word;
	char type;
} prefixes[] = { { "boolean", 'b' }, { "byte", 'y' }, { "int16", 'n' }, { "uint16", 'q' }, { "int32", 'i' },
	{ "uint32", 'u' }, { "int64", 'x' }, { "uint64", 't' }, { "double", 'd' }, { "string", 's' },
	{ "objectpath", 'o' }, { "signature", 'g' } };

static void skip_blanks(const char **at)
{
	*at += strspn(*at, " \t\n");
}

static size_t word_len(const char *at)
{
	size_t len = 0;

	while (isalnum((unsigned char)at[len]))
		len++;
	return len;
}

/* "uint32 ": 'u'. */
static char take_prefix(const char **at)
{
	size_t len = word_len(*at);

	for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
		if (strlen(prefixes[i].word) == len && strncmp(prefixes[i].word, *at, len) == 0) {
			*at += len;
			skip_blanks(at);
			return prefixes[i].type;
		}
	return '\0';
}

static size_t number_len(const char *at)
{
	return strspn(at, "+-.0123456789abcdefxABCDEFX");
}

/* The type of a bare literal; *at is behind it afterwards. */
static char scan_literal(const char **at)
{
	if (**at == '\'' || **at == '"') {
		char quote = *(*at)++;
		while (**at && **at != quote)
			*at += **at == '\\' && (*at)[1] ? 2 : 1;
		if (!**at)
			return '\0';
		++*at;
		return 's';
	}
	size_t len = word_len(*at);
	if ((len == 4 && strncmp(*at, "true", 4) == 0) || (len == 5 && strncmp(*at, "false", 5) == 0)) {
		*at += len;
		return 'b';
	}
	len = number_len(*at);
	bool is_hex = strncmp(*at, "0x", 2) == 0;
	bool is_double = !is_hex && memchr(*at, '.', len);
	*at += len;
	return len == 0 || len >= NUMBER_MAX ? '\0' : is_double ? 'd' : 'i';
}

/* ---- the signature ---- */

static int find_type(const char **at, struct buf *signature, unsigned depth);

static int find_elements(const char **at, char end, struct buf *signature, unsigned depth)
{
	bool is_array = end == ']';
	size_t first_end = 0;
	int r = 0;

	for (bool any = false; r == 0; any = true) {
		skip_blanks(at);
		if (any && **at == ',')
			++*at;
		else if (any && **at != end)
			return -EINVAL;
		skip_blanks(at);
		if (**at == end)
			break;
		r = find_type(at, signature, depth + 1);
		if (!any)
			first_end = signature->len;
		else if (is_array)
			signature->len = first_end;
	}
	if (r < 0)
		return r;
	++*at;
	return first_end ? 0 : -EINVAL; /* of what, nobody can tell; and there is no empty struct */
}

/* "@as": what follows is of that type, and not looked at but for its end. */
static int find_said(const char **at, struct buf *signature, unsigned depth)
{
	_cleanup_(buf_finish) struct buf scratch = BUF_INIT(DBUS_SIGNATURE_MAX);
	size_t len = strspn(++*at, "abynqiuxtdsog()");
	int r = len ? buf_append(signature, *at, len) : -EINVAL;

	*at += len;
	skip_blanks(at);
	if (r < 0 || strncmp(*at, "[]", 2) != 0)
		return r < 0 ? r : find_type(at, &scratch, depth + 1);
	*at += 2;
	return 0;
}

static int find_type(const char **at, struct buf *signature, unsigned depth)
{
	if (depth > DBUS_DEPTH_MAX)
		return -EINVAL;
	skip_blanks(at);
	if (**at == '@')
		return find_said(at, signature, depth);
	if (**at == '[') {
		++*at;
		int r = buf_putc(signature, 'a');
		return r < 0 ? r : find_elements(at, ']', signature, depth);
	}
	if (**at == '(') {
		++*at;
		int r = buf_putc(signature, '(');
		if (r == 0)
			r = find_elements(at, ')', signature, depth);
		return r < 0 ? r : buf_putc(signature, ')');
	}
	char said = take_prefix(at), found = scan_literal(at);
	if (!found)
		return -EINVAL;
	return buf_putc(signature, said ? said : found);
}

/* ---- the value ---- */

static int put_value(const char **at, const char **type, struct dbus_body *body, unsigned depth);

/* The next whole type of a signature. */
static const char *type_end(const char *type)
{
	while (*type == 'a')
		type++;
	if (*type != '(')
		return *type ? type + 1 : type;
	for (unsigned open = 0; *type; type++) {
		open += *type == '(';
		if (*type == ')' && --open == 0)
			return type + 1;
	}
	return type;
}

static int put_array(const char **at, const char **type, struct dbus_body *body, unsigned depth)
{
	const char *element = *type + 1, *end = type_end(element);
	size_t alignment = dbus_alignment(*element);

	if (*(*at)++ != '[' || end == element)
		return -EINVAL;
	size_t mark = dbus_array_begin(body, alignment);
	int r = 0;
	for (;;) {
		const char *one = element;
		*at += strspn(*at, " \t\n,");
		if (**at == ']')
			break;
		r = put_value(at, &one, body, depth + 1);
		if (r < 0)
			return r;
	}
	++*at;
	dbus_array_end(body, mark, alignment);
	*type = end;
	return body->r;
}

static int put_tuple(const char **at, const char **type, struct dbus_body *body, unsigned depth)
{
	if (*(*at)++ != '(')
		return -EINVAL;
	++*type;
	dbus_put_align(body, 8);
	while (**type != ')') {
		*at += strspn(*at, " \t\n,");
		int r = **type ? put_value(at, type, body, depth + 1) : -EINVAL;
		if (r < 0)
			return r;
	}
	++*type;
	*at += strspn(*at, " \t\n,");
	return *(*at)++ == ')' ? 0 : -EINVAL;
}

static int put_string(const char **at, char type, struct dbus_body *body)
{
	static const char escapes[][2] = { { 'n', '\n' }, { 't', '\t' }, { 'r', '\r' } };
	_cleanup_(buf_finish) struct buf text = BUF_INIT(DBUS_TEXT_MAX);
	char quote = *(*at)++;
	int r = buf_puts(&text, "");

	for (; r == 0 && **at && **at != quote; ++*at) {
		char c = **at;
		if (c == '\\' && (*at)[1]) {
			c = *++*at;
			for (size_t i = 0; i < ARRAY_SIZE(escapes); i++)
				if (escapes[i][0] == c) {
					c = escapes[i][1];
					break;
				}
		}
		r = buf_putc(&text, c);
	}
	if (r < 0 || *(*at)++ != quote)
		return r < 0 ? r : -EINVAL;
	if (type == 'g')
		dbus_put_signature(body, text.data);
	else
		dbus_put_string(body, text.data);
	return body->r;
}

static int put_unsigned(const char *text, int bytes, struct dbus_body *body)
{
	char *end;

	errno = 0;
	unsigned long long value = strtoull(text, &end, 0);
	if (*end || end == text || *text == '-')
		return -EINVAL;
	if (errno || (bytes < 8 && value >> (8 * bytes)))
		return -ERANGE;
	if (bytes == 1)
		dbus_put_byte(body, (uint8_t)value);
	else if (bytes == 2)
		dbus_put_u16(body, (uint16_t)value);
	else if (bytes == 4)
		dbus_put_u32(body, (uint32_t)value);
	else
		dbus_put_u64(body, value);
	return body->r;
}

static int put_signed(const char *text, int bytes, struct dbus_body *body)
{
	char *end;

	errno = 0;
	long long value = strtoll(text, &end, 0), limit = bytes < 8 ? 1LL << (8 * bytes - 1) : 0;
	if (*end || end == text)
		return -EINVAL;
	if (errno || (limit && (value >= limit || value < -limit)))
		return -ERANGE;
	if (bytes == 2)
		dbus_put_u16(body, (uint16_t)value);
	else if (bytes == 4)
		dbus_put_u32(body, (uint32_t)value);
	else
		dbus_put_u64(body, (uint64_t)value);
	return body->r;
}

static int put_number(const char **at, char type, struct dbus_body *body)
{
	char text[NUMBER_MAX], *end;
	size_t len = number_len(*at);

	if (len == 0 || len >= sizeof(text))
		return -EINVAL;
	memcpy(text, *at, len);
	text[len] = '\0';
	*at += len;
	switch (type) {
	case 'y': return put_unsigned(text, 1, body);
	case 'q': return put_unsigned(text, 2, body);
	case 'u': return put_unsigned(text, 4, body);
	case 't': return put_unsigned(text, 8, body);
	case 'n': return put_signed(text, 2, body);
	case 'i': return put_signed(text, 4, body);
	case 'x': return put_signed(text, 8, body);
	case 'd': break;
	default: return -EINVAL;
	}
	double value = strtod(text, &end);
	if (*end || end == text)
		return -EINVAL;
	dbus_put_double(body, value);
	return body->r;
}

static int put_value(const char **at, const char **type, struct dbus_body *body, unsigned depth)
{
	if (depth > DBUS_DEPTH_MAX)
		return -EINVAL;
	skip_blanks(at);
	if (**at == '@') {
		size_t len = strspn(++*at, "abynqiuxtdsog()");
		if (strncmp(*at, *type, len) != 0 || type_end(*type) != *type + len)
			return -EINVAL;
		*at += len;
		skip_blanks(at);
	}
	if (**type == 'a')
		return put_array(at, type, body, depth);
	if (**type == '(')
		return put_tuple(at, type, body, depth);
	char said = take_prefix(at), expected = *(*type)++;
	if (said && said != expected)
		return -EINVAL;
	if (strchr("sog", expected))
		return **at == '\'' || **at == '"' ? put_string(at, expected, body) : -EINVAL;
	if (expected != 'b')
		return put_number(at, expected, body);
	size_t len = word_len(*at);
	bool is_true = len == 4 && strncmp(*at, "true", 4) == 0;
	if (!is_true && !(len == 5 && strncmp(*at, "false", 5) == 0))
		return -EINVAL;
	*at += len;
	dbus_put_u32(body, is_true);
	return body->r;
}

int dbus_put_variant_text(struct dbus_body *body, const char *text)
{
	_cleanup_(buf_finish) struct buf signature = BUF_INIT(DBUS_SIGNATURE_MAX);
	const char *at = text;
	int r = strlen(text) > DBUS_TEXT_MAX ? -EINVAL : find_type(&at, &signature, 0);

	if (r < 0) /* what stopped half way may stand behind the end */
		return r == -ENOMEM ? r : -EINVAL;
	skip_blanks(&at);
	if (*at)
		return -EINVAL;
	signature.data[signature.len] = '\0'; /* an array's later elements wrote behind it */
	const char *type = signature.data;
	if (!*type || *type_end(type))
		return -EINVAL;
	dbus_put_signature(body, type);
	at = text;
	r = put_value(&at, &type, body, 0);
	if (r < 0)
		return r;
	skip_blanks(&at);
	return *at ? -EINVAL : body->r;
}
