#include "codec/template_functions.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "codec/json.h"
#include "codec/utf8.h"

#define ARGS_MAX  64
#define WIDTH_MAX 4096 /* of a padded value */

static int problem(struct template_call *call, const char *sentence)
{
	call->problem = sentence;
	return -EINVAL;
}

static int return_value(json_t *value, json_t **ret)
{
	*ret = value;
	return value ? 0 : -ENOMEM;
}

static int return_buf(const struct buf *text, json_t **ret)
{
	_cleanup_free_ char *repaired = utf8_repair(text->data ? text->data : "");
	return return_value(repaired ? json_string(repaired) : NULL, ret);
}

bool template_is_true(const json_t *value)
{
	if (!value)
		return false;
	switch (json_typeof(value)) {
	case JSON_OBJECT: return json_object_size(value) > 0;
	case JSON_ARRAY: return json_array_size(value) > 0;
	case JSON_STRING: return json_string_length(value) > 0;
	case JSON_INTEGER: return json_integer_value(value) != 0;
	case JSON_REAL: return json_real_value(value) != 0;
	case JSON_TRUE: return true;
	case JSON_FALSE:
	case JSON_NULL: return false;
	}
	return false;
}

/* The shortest text that reads back as the same number; exponents as Go writes them, only for large or tiny ones. */
static int print_real(double real, struct buf *out)
{
	char text[64];
	double size = fabs(real);
	bool plain = size == 0 || (size >= 1e-4 && size < 1e21);
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*e", digits - 1, real);
		if (strtod(text, NULL) == real)
			break;
	}
	if (plain) {
		int digits = (int)strcspn(text, "e") - 1 - (*text == '-') - (strchr(text, '.') != NULL);
		int exponent = atoi(strchr(text, 'e') + 1);
		snprintf(text, sizeof text, "%.*f", digits > exponent ? digits - exponent : 0, real);
	}
	return buf_puts(out, text);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int print_inner(const json_t *value, struct buf *out, unsigned depth);

static int print_object(const json_t *object, struct buf *out, unsigned depth)
{
	size_t count = json_object_size(object), i = 0;
	_cleanup_free_ const char **names = calloc(count + 1, sizeof *names);
	if (!names)
		return -ENOMEM;
	const char *name;
	json_t *member;
	json_object_foreach ((json_t *)object, name, member)
		names[i++] = name;
	qsort(names, count, sizeof *names, compare_names);

	int ret = buf_puts(out, "map[");
	for (i = 0; ret == 0 && i < count; i++) {
		ret = buf_printf(out, "%s%s:", i ? " " : "", names[i]);
		if (ret == 0)
			ret = print_inner(json_object_get(object, names[i]), out, depth + 1);
	}
	return ret < 0 ? ret : buf_putc(out, ']');
}

static int print_array(const json_t *array, struct buf *out, unsigned depth)
{
	int ret = buf_putc(out, '[');
	for (size_t i = 0; ret == 0 && i < json_array_size(array); i++) {
		if (i)
			ret = buf_putc(out, ' ');
		if (ret == 0)
			ret = print_inner(json_array_get(array, i), out, depth + 1);
	}
	return ret < 0 ? ret : buf_putc(out, ']');
}

static int print_inner(const json_t *value, struct buf *out, unsigned depth)
{
	if (depth > JSON_DEPTH_MAX)
		return -EFBIG;
	switch (json_typeof(value)) {
	case JSON_OBJECT: return print_object(value, out, depth);
	case JSON_ARRAY: return print_array(value, out, depth);
	case JSON_STRING: return buf_append(out, json_string_value(value), json_string_length(value));
	case JSON_INTEGER: return buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	case JSON_REAL: return print_real(json_real_value(value), out);
	case JSON_TRUE: return buf_puts(out, "true");
	case JSON_FALSE: return buf_puts(out, "false");
	case JSON_NULL: return buf_puts(out, depth ? "<nil>" : "<no value>");
	}
	return -EINVAL;
}

int template_print_value(const json_t *value, struct buf *out)
{
	return value ? print_inner(value, out, 0) : buf_puts(out, "<no value>");
}

/* Text */

static int call_json(struct template_call *call, json_t **ret)
{
	json_t *value = call->args[0];
	if (value && call->mode == TEMPLATE_HEADER)
		return return_value(json_incref(value), ret);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = value ? json_print_value(value, &text) : buf_puts(&text, "null");
	return r < 0 ? r : return_buf(&text, ret);
}

/* Applies `change` to each ASCII character; others are left as they are. */
static int map_text(struct template_call *call, int (*change)(int c, int previous), json_t **ret)
{
	const json_t *value = call->args[0];
	if (!json_is_string(value))
		return problem(call, "wants a string");
	if (call->mode == TEMPLATE_HEADER)
		return return_value(json_incref(call->args[0]), ret);

	_cleanup_free_ char *text = strdup(json_string_value(value));
	if (!text)
		return -ENOMEM;
	int previous = ' ';
	for (char *p = text; *p; p++) {
		int original = (unsigned char)*p;
		if (original < 0x80)
			*p = (char)change(original, previous);
		previous = original;
	}
	return return_value(json_string(text), ret);
}

static int to_upper(int c, int previous)
{
	(void)previous;
	return toupper(c);
}

static int to_lower(int c, int previous)
{
	(void)previous;
	return tolower(c);
}

static int to_title(int c, int previous)
{
	return isalnum(previous) || previous == '_' || previous == '\'' || previous >= 0x80 ? c : toupper(c);
}

static int call_upper(struct template_call *call, json_t **ret)
{
	return map_text(call, to_upper, ret);
}

static int call_lower(struct template_call *call, json_t **ret)
{
	return map_text(call, to_lower, ret);
}

static int call_title(struct template_call *call, json_t **ret)
{
	return map_text(call, to_title, ret);
}

/* split TEXT SEPARATOR; an empty separator gives the characters. */
static int call_split(struct template_call *call, json_t **ret)
{
	const char *text = json_string_value(call->args[0]);
	const char *separator = json_string_value(call->args[1]);
	if (!text || !separator || !*separator)
		return problem(call, "wants a string and a separator");
	_autojson_ json_t *parts = json_array();
	for (const char *end; (end = strstr(text, separator)); text = end + strlen(separator)) {
		if (json_array_append_new(parts, json_stringn(text, (size_t)(end - text))) < 0)
			return -ENOMEM;
	}
	if (json_array_append_new(parts, json_string(text)) < 0)
		return -ENOMEM;
	return return_value(json_incref(parts), ret);
}

/* join LIST SEPARATOR */
static int call_join(struct template_call *call, json_t **ret)
{
	const json_t *list = call->args[0];
	const char *separator = json_string_value(call->args[1]);
	if (list && json_is_string(list) && call->mode == TEMPLATE_HEADER)
		return return_value(json_incref(call->args[0]), ret);
	if ((list && !json_is_array(list) && !json_is_null(list)) || !separator)
		return problem(call, "wants a list and a separator");

	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		if (i)
			r = buf_puts(&text, separator);
		if (r == 0)
			r = template_print_value(json_array_get(list, i), &text);
	}
	return r < 0 ? r : return_buf(&text, ret);
}

/* truncate TEXT LENGTH, in bytes, but never inside a character. */
static int call_truncate(struct template_call *call, json_t **ret)
{
	if (!json_is_string(call->args[0]) || !json_is_integer(call->args[1]) || json_integer_value(call->args[1]) < 0)
		return problem(call, "wants a string and a length");
	const char *text = json_string_value(call->args[0]);
	size_t len = json_string_length(call->args[0]), want = (size_t)json_integer_value(call->args[1]);
	if (call->mode == TEMPLATE_HEADER || len <= want)
		want = len;
	while (want < len && want && ((unsigned char)text[want] & 0xc0) == 0x80)
		want--;
	return return_value(json_stringn(text, want), ret);
}

/* pad TEXT BEFORE AFTER: so many spaces around a text that is not empty. */
static int call_pad(struct template_call *call, json_t **ret)
{
	if (!json_is_string(call->args[0]) || !json_is_integer(call->args[1]) || !json_is_integer(call->args[2]))
		return problem(call, "wants a string and two numbers");
	json_int_t before = json_integer_value(call->args[1]), after = json_integer_value(call->args[2]);
	if (before < 0 || before > WIDTH_MAX || after < 0 || after > WIDTH_MAX)
		return problem(call, "can't pad by so much");
	if (!json_string_length(call->args[0]))
		return return_value(json_incref(call->args[0]), ret);
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = buf_printf(&text, "%*s%s%*s", (int)before, "", json_string_value(call->args[0]), (int)after, "");
	return r < 0 ? r : return_buf(&text, ret);
}

static int call_println(struct template_call *call, json_t **ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < call->count; i++) {
		if (i)
			r = buf_putc(&text, ' ');
		if (r == 0)
			r = template_print_value(call->args[i], &text);
	}
	if (r == 0)
		r = buf_putc(&text, '\n');
	return r < 0 ? r : return_buf(&text, ret);
}

/* A space goes between two neighbours neither of which is a string. */
static int call_print(struct template_call *call, json_t **ret)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int r = 0;
	for (size_t i = 0; r == 0 && i < call->count; i++) {
		if (i && !json_is_string(call->args[i - 1]) && !json_is_string(call->args[i]))
			r = buf_putc(&text, ' ');
		if (r == 0)
			r = template_print_value(call->args[i], &text);
	}
	return r < 0 ? r : return_buf(&text, ret);
}

/* printf */

struct verb {
	bool left, zero, plus, sharp;
	size_t width;
	int precision; /* -1: none */
	char letter;
};

/* Reads what stands between "%" and the letter, and the letter. Returns its end, or NULL if it is malformed. */
static const char *verb_parse(const char *p, struct verb *ret)
{
	*ret = (struct verb){ .precision = -1 };
	for (;; p++) {
		if (*p == '-')
			ret->left = true;
		else if (*p == '0')
			ret->zero = true;
		else if (*p == '+')
			ret->plus = true;
		else if (*p == '#')
			ret->sharp = true;
		else if (*p != ' ')
			break;
	}
	for (; isdigit((unsigned char)*p) && ret->width <= WIDTH_MAX; p++)
		ret->width = ret->width * 10 + (size_t)(*p - '0');
	if (*p == '.') {
		ret->precision = 0;
		for (p++; isdigit((unsigned char)*p) && ret->precision <= WIDTH_MAX; p++)
			ret->precision = ret->precision * 10 + (*p - '0');
	}
	if (ret->width > WIDTH_MAX || ret->precision > WIDTH_MAX || !*p)
		return NULL;
	ret->letter = *p;
	return p + 1;
}

static int print_padded(const struct verb *verb, const char *text, size_t len, struct buf *out)
{
	size_t width = 0;
	for (size_t i = 0; i < len; i++)
		width += ((unsigned char)text[i] & 0xc0) != 0x80;
	size_t missing = verb->width > width ? verb->width - width : 0;
	int ret = 0;
	for (size_t i = 0; !verb->left && ret == 0 && i < missing; i++)
		ret = buf_putc(out, verb->zero ? '0' : ' ');
	if (ret == 0)
		ret = buf_append(out, text, len);
	for (size_t i = 0; verb->left && ret == 0 && i < missing; i++)
		ret = buf_putc(out, ' ');
	return ret;
}

static int print_quoted(const char *text, struct buf *out)
{
	int ret = buf_putc(out, '"');
	for (const unsigned char *p = (const unsigned char *)text; ret == 0 && *p; p++) {
		if (*p == '"' || *p == '\\')
			ret = buf_printf(out, "\\%c", *p);
		else if (*p == '\n')
			ret = buf_puts(out, "\\n");
		else if (*p == '\t')
			ret = buf_puts(out, "\\t");
		else if (*p == '\r')
			ret = buf_puts(out, "\\r");
		else if (*p < 0x20 || *p == 0x7f)
			ret = buf_printf(out, "\\x%02x", *p);
		else
			ret = buf_putc(out, (char)*p);
	}
	return ret < 0 ? ret : buf_putc(out, '"');
}

static int print_integer(const struct verb *verb, const json_t *value, struct buf *text)
{
	long long n = json_integer_value(value);
	switch (verb->letter) {
	case 'd': return buf_printf(text, verb->plus ? "%+lld" : "%lld", n);
	case 'x': return buf_printf(text, verb->sharp ? "%#llx" : "%llx", n);
	case 'X': return buf_printf(text, verb->sharp ? "%#llX" : "%llX", n);
	case 'o': return buf_printf(text, "%llo", n);
	default: return -EINVAL;
	}
}

static int print_float(const struct verb *verb, double real, struct buf *text)
{
	int precision = verb->precision < 0 ? 6 : verb->precision;
	switch (verb->letter) {
	case 'f': return buf_printf(text, "%.*f", precision, real);
	case 'e': return buf_printf(text, "%.*e", precision, real);
	default: return verb->precision < 0 ? print_real(real, text) : buf_printf(text, "%.*g", precision, real);
	}
}

/* -EINVAL: the letter does not fit the value. */
static int print_verb(const struct verb *verb, const json_t *value, struct buf *text)
{
	char letter = verb->letter;
	if (letter == 'v')
		return template_print_value(value, text);
	if (strchr("dxXo", letter) && json_is_integer(value))
		return print_integer(verb, value, text);
	if (strchr("feg", letter) && json_is_number(value))
		return print_float(verb, json_number_value(value), text);
	if (letter == 't' && json_is_boolean(value))
		return template_print_value(value, text);
	if (letter == 'q' && json_is_string(value))
		return print_quoted(json_string_value(value), text);
	if (letter == 's' && (json_is_string(value) || json_is_array(value) || json_is_object(value)))
		return template_print_value(value, text);
	if (letter == 'c' && json_is_integer(value) && json_integer_value(value) > 0 &&
		json_integer_value(value) < 0x80)
		return buf_putc(text, (char)json_integer_value(value));
	return -EINVAL;
}

/* Go prints a verb that does not fit as "%!d(string=hi)"; here the type's name is JSON's. */
static int print_misfit(const struct verb *verb, const json_t *value, struct buf *out)
{
	static const char *const names[] = { [JSON_OBJECT] = "map",
		[JSON_ARRAY] = "list",
		[JSON_STRING] = "string",
		[JSON_INTEGER] = "int",
		[JSON_REAL] = "float64",
		[JSON_TRUE] = "bool",
		[JSON_FALSE] = "bool",
		[JSON_NULL] = "nil" };
	int ret = buf_printf(out, "%%!%c(%s=", verb->letter, value ? names[json_typeof(value)] : "nil");
	if (ret == 0)
		ret = template_print_value(value, out);
	return ret < 0 ? ret : buf_putc(out, ')');
}

static int print_argument(const struct verb *verb, const json_t *value, struct buf *out)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	int ret = print_verb(verb, value, &text);
	if (ret == -EINVAL)
		return print_misfit(verb, value, out);
	if (ret < 0)
		return ret;
	size_t len = text.len;
	if (verb->precision >= 0 && strchr("sv", verb->letter) && json_is_string(value) &&
		(size_t)verb->precision < len)
		len = (size_t)verb->precision;
	return print_padded(verb, text.data ? text.data : "", len, out);
}

static int call_printf(struct template_call *call, json_t **ret)
{
	const char *format = json_string_value(call->args[0]);
	if (!format)
		return problem(call, "wants a format string");

	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_OUTPUT_MAX);
	size_t used = 1;
	int r = 0;
	while (r == 0 && *format) {
		size_t len = strcspn(format, "%");
		r = buf_append(&text, format, len);
		format += len;
		if (r < 0 || !*format)
			break;
		struct verb verb;
		format = verb_parse(format + 1, &verb);
		if (!format)
			return problem(call, "has a malformed format");
		if (verb.letter == '%')
			r = buf_putc(&text, '%');
		else if (used >= call->count)
			r = buf_printf(&text, "%%!%c(MISSING)", verb.letter);
		else
			r = print_argument(&verb, call->args[used++], &text);
	}
	return r < 0 ? r : return_buf(&text, ret);
}

/* Lists and comparison */

static int call_len(struct template_call *call, json_t **ret)
{
	const json_t *value = call->args[0];
	if (json_is_string(value))
		return return_value(json_integer((json_int_t)json_string_length(value)), ret);
	if (json_is_array(value))
		return return_value(json_integer((json_int_t)json_array_size(value)), ret);
	if (json_is_object(value))
		return return_value(json_integer((json_int_t)json_object_size(value)), ret);
	if (!value || json_is_null(value))
		return return_value(json_integer(0), ret);
	return problem(call, "wants a string, a list or a map");
}

static int index_one(struct template_call *call, json_t *value, json_t *key, json_t **ret)
{
	if (json_is_object(value) && json_is_string(key)) {
		json_t *member = json_object_get(value, json_string_value(key));
		*ret = member ? json_incref(member) : json_string("");
		return *ret ? 0 : -ENOMEM;
	}
	if (!json_is_integer(key))
		return problem(call, json_is_array(value) ? "wants a number to look into a list"
							  : "looks into what is neither a list nor a map");
	json_int_t i = json_integer_value(key);
	if (json_is_array(value)) {
		if (i < 0 || (size_t)i >= json_array_size(value))
			return problem(call, "index out of range");
		*ret = json_incref(json_array_get(value, (size_t)i));
		return 0;
	}
	if (json_is_string(value)) {
		if (i < 0 || (size_t)i >= json_string_length(value))
			return problem(call, "index out of range");
		return return_value(json_integer((unsigned char)json_string_value(value)[i]), ret);
	}
	return problem(call, "looks into what is neither a list nor a map");
}

static int call_index(struct template_call *call, json_t **ret)
{
	json_t *value = json_incref(call->args[0]);
	for (size_t i = 1; i < call->count; i++) {
		json_t *found = NULL;
		int r = index_one(call, value, call->args[i], &found);
		json_decref(value);
		if (r < 0)
			return r;
		value = found;
	}
	*ret = value;
	return 0;
}

/* slice X [FROM [TO]] of a list or a string. */
static int call_slice(struct template_call *call, json_t **ret)
{
	const json_t *value = call->args[0];
	if (!json_is_string(value) && !json_is_array(value))
		return problem(call, "wants a string or a list");
	size_t len = json_is_string(value) ? json_string_length(value) : json_array_size(value);
	size_t bounds[2] = { 0, len };
	for (size_t i = 1; i < call->count; i++) {
		json_int_t bound = json_integer_value(call->args[i]);
		if (!json_is_integer(call->args[i]) || bound < 0 || (size_t)bound > len)
			return problem(call, "index out of range");
		bounds[i - 1] = (size_t)bound;
	}
	if (bounds[0] > bounds[1])
		return problem(call, "index out of range");
	if (json_is_string(value)) {
		*ret = json_stringn(json_string_value(value) + bounds[0], bounds[1] - bounds[0]);
		return *ret ? 0 : problem(call, "cuts a character in two");
	}
	_autojson_ json_t *part = json_array();
	for (size_t i = bounds[0]; i < bounds[1]; i++) {
		if (json_array_append(part, json_array_get(value, i)) < 0)
			return -ENOMEM;
	}
	return return_value(json_incref(part), ret);
}

static int call_not(struct template_call *call, json_t **ret)
{
	return return_value(json_boolean(!template_is_true(call->args[0])), ret);
}

static bool is_nothing(const json_t *value)
{
	return !value || json_is_null(value);
}

/* 1 equal, 0 not, -EINVAL: of different types. */
static int equal(struct template_call *call, const json_t *a, const json_t *b)
{
	if (is_nothing(a) || is_nothing(b))
		return is_nothing(a) && is_nothing(b);
	if (json_is_number(a) && json_is_number(b)) {
		if (json_is_integer(a) && json_is_integer(b))
			return json_integer_value(a) == json_integer_value(b);
		return json_number_value(a) == json_number_value(b);
	}
	if (json_is_boolean(a) && json_is_boolean(b))
		return json_is_true(a) == json_is_true(b);
	if (json_typeof(a) != json_typeof(b))
		return problem(call, "incompatible types for comparison");
	return json_equal(a, b);
}

static int call_eq(struct template_call *call, json_t **ret)
{
	for (size_t i = 1; i < call->count; i++) {
		int r = equal(call, call->args[0], call->args[i]);
		if (r < 0)
			return r;
		if (r)
			return return_value(json_true(), ret);
	}
	return return_value(json_false(), ret);
}

static int call_ne(struct template_call *call, json_t **ret)
{
	int r = equal(call, call->args[0], call->args[1]);
	return r < 0 ? r : return_value(json_boolean(!r), ret);
}

/* *ret_order: below, at or above 0. */
static int order(struct template_call *call, int *ret_order)
{
	const json_t *a = call->args[0], *b = call->args[1];
	if (json_is_string(a) && json_is_string(b)) {
		*ret_order = strcmp(json_string_value(a), json_string_value(b));
		return 0;
	}
	if (!json_is_number(a) || !json_is_number(b))
		return problem(call, "incompatible types for comparison");
	if (json_is_integer(a) && json_is_integer(b)) {
		json_int_t x = json_integer_value(a), y = json_integer_value(b);
		*ret_order = (x > y) - (x < y);
		return 0;
	}
	double x = json_number_value(a), y = json_number_value(b);
	*ret_order = (x > y) - (x < y);
	return 0;
}

static int call_lt(struct template_call *call, json_t **ret)
{
	int o, r = order(call, &o);
	return r < 0 ? r : return_value(json_boolean(o < 0), ret);
}

static int call_le(struct template_call *call, json_t **ret)
{
	int o, r = order(call, &o);
	return r < 0 ? r : return_value(json_boolean(o <= 0), ret);
}

static int call_gt(struct template_call *call, json_t **ret)
{
	int o, r = order(call, &o);
	return r < 0 ? r : return_value(json_boolean(o > 0), ret);
}

static int call_ge(struct template_call *call, json_t **ret)
{
	int o, r = order(call, &o);
	return r < 0 ? r : return_value(json_boolean(o >= 0), ret);
}

const struct template_function *template_function_find(const char *name)
{
	static const struct template_function functions[] = {
		{ "and", 1, ARGS_MAX, NULL },
		{ "or", 1, ARGS_MAX, NULL },
		{ "not", 1, 1, call_not },
		{ "eq", 2, ARGS_MAX, call_eq },
		{ "ne", 2, 2, call_ne },
		{ "lt", 2, 2, call_lt },
		{ "le", 2, 2, call_le },
		{ "gt", 2, 2, call_gt },
		{ "ge", 2, 2, call_ge },
		{ "len", 1, 1, call_len },
		{ "index", 1, ARGS_MAX, call_index },
		{ "slice", 1, 3, call_slice },
		{ "json", 1, 1, call_json },
		{ "join", 2, 2, call_join },
		{ "split", 2, 2, call_split },
		{ "lower", 1, 1, call_lower },
		{ "upper", 1, 1, call_upper },
		{ "title", 1, 1, call_title },
		{ "pad", 3, 3, call_pad },
		{ "truncate", 2, 2, call_truncate },
		{ "print", 0, ARGS_MAX, call_print },
		{ "printf", 1, ARGS_MAX, call_printf },
		{ "println", 0, ARGS_MAX, call_println },
	};
	for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
		if (strcmp(functions[i].name, name) == 0)
			return &functions[i];
	}
	return NULL;
}
