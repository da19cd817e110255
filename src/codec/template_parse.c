/*
 * A recursive descent parser without a separate lexer: `pos` walks over the text, parse_x() expects x at `pos`. Blocks
 * are parsed by parse_list, which returns at the first {{else}} or {{end}} and leaves it to whoever opened the block.
 */
#include "codec/template_parse.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/strv.h"
#include "codec/template.h"
#include "codec/template_functions.h"

struct parser {
	const char *text;
	size_t len;
	size_t pos;
	unsigned depth;
	unsigned ranges;  /* open ones: break and continue need one */
	char **variables; /* names in scope */
	struct err **reterr;
};

/* What ended a list. */
enum ending { ENDING_TEXT, ENDING_END, ENDING_ELSE };

static int parse_list(struct parser *parser, struct node **ret, enum ending *ret_ending);
static int parse_pipeline(struct parser *parser, const char *context, struct node **ret);

#define fail(parser, at, ...) template_error((parser)->reterr, (parser)->text, (at), __VA_ARGS__)

static struct node *new_node(struct parser *parser, enum node_kind kind)
{
	struct node *node = calloc(1, sizeof *node);
	if (!node) {
		err_oom(parser->reterr);
		return NULL;
	}
	node->kind = kind;
	node->offset = parser->pos;
	return node;
}

static bool at(const struct parser *parser, const char *token)
{
	return strncmp(parser->text + parser->pos, token, strlen(token)) == 0;
}

static bool accept(struct parser *parser, const char *token)
{
	if (!at(parser, token))
		return false;
	parser->pos += strlen(token);
	return true;
}

static void skip_space(struct parser *parser)
{
	while (isspace((unsigned char)parser->text[parser->pos]))
		parser->pos++;
}

/* "}}" or " -}}", spaces before it included. */
static bool at_action_end(const struct parser *parser)
{
	const char *p = parser->text + parser->pos;
	const char *q = p;
	while (isspace((unsigned char)*q))
		q++;
	return strncmp(q, "}}", 2) == 0 || (q > p && strncmp(q, "-}}", 3) == 0);
}

static int accept_action_end(struct parser *parser, const char *context)
{
	if (!at_action_end(parser)) {
		skip_space(parser);
		if (!parser->text[parser->pos])
			return fail(parser, parser->pos, "unclosed action");
		return fail(parser, parser->pos, "unexpected \"%.16s\" in %s", parser->text + parser->pos, context);
	}
	skip_space(parser);
	if (accept(parser, "-}}"))
		skip_space(parser);
	else
		parser->pos += 2;
	return 0;
}

static bool is_name_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

/* Letters, digits and underscores at `pos`; NULL when out of memory, "" when there is none. */
static char *take_name(struct parser *parser)
{
	size_t start = parser->pos;
	while (is_name_char(parser->text[parser->pos]))
		parser->pos++;
	char *name = strndup(parser->text + start, parser->pos - start);
	if (!name)
		err_oom(parser->reterr);
	return name;
}

/* A word that isn't the beginning of a longer one. */
static bool accept_word(struct parser *parser, const char *word)
{
	if (!at(parser, word) || is_name_char(parser->text[parser->pos + strlen(word)]))
		return false;
	parser->pos += strlen(word);
	return true;
}

/* Literals */

static int append_utf8(struct buf *out, unsigned long code)
{
	char text[4];
	size_t len;
	if (code < 0x80) {
		text[0] = (char)code;
		len = 1;
	} else if (code < 0x800) {
		text[0] = (char)(0xc0 | code >> 6);
		len = 2;
	} else if (code < 0x10000) {
		text[0] = (char)(0xe0 | code >> 12);
		len = 3;
	} else {
		text[0] = (char)(0xf0 | code >> 18);
		len = 4;
	}
	for (size_t i = 1; i < len; i++)
		text[i] = (char)(0x80 | ((code >> (6 * (len - 1 - i))) & 0x3f));
	return buf_append(out, text, len);
}

static int parse_hex_escape(struct parser *parser, size_t digits, struct buf *out)
{
	char hex[9] = "";
	for (size_t i = 0; i < digits; i++) {
		if (!isxdigit((unsigned char)parser->text[parser->pos]))
			return fail(parser, parser->pos, "bad hexadecimal escape in a string");
		hex[i] = parser->text[parser->pos++];
	}
	unsigned long code = strtoul(hex, NULL, 16);
	if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) || (digits == 2 && code >= 0x80))
		return fail(parser, parser->pos, "a string can't hold the character \\%s", hex);
	return append_utf8(out, code);
}

/* After the backslash. */
static int parse_escape(struct parser *parser, struct buf *out)
{
	static const char names[] = "abfnrtv\\\"'";
	static const char codes[] = "\a\b\f\n\r\t\v\\\"'";
	char c = parser->text[parser->pos];
	const char *found = c ? strchr(names, c) : NULL;
	if (found) {
		parser->pos++;
		return buf_putc(out, codes[found - names]);
	}
	if (c != 'x' && c != 'u' && c != 'U')
		return fail(parser, parser->pos, "unknown escape in a string");
	parser->pos++;
	return parse_hex_escape(parser, c == 'x' ? 2 : c == 'u' ? 4 : 8, out);
}

static int finish_string(struct parser *parser, size_t start, struct buf *content, struct node *node)
{
	node->value = json_stringn(content->data ? content->data : "", content->len);
	if (!node->value)
		return fail(parser, start, "a string is not valid UTF-8");
	return 0;
}

static int parse_quoted(struct parser *parser, struct node *node)
{
	_cleanup_(buf_finish) struct buf content = BUF_INIT(TEMPLATE_TEXT_MAX);
	size_t start = parser->pos++;
	while (parser->text[parser->pos] != '"') {
		char c = parser->text[parser->pos];
		if (!c || c == '\n')
			return fail(parser, start, "unterminated quoted string");
		parser->pos++;
		int ret = c == '\\' ? parse_escape(parser, &content) : buf_putc(&content, c);
		if (ret < 0)
			return ret;
	}
	parser->pos++;
	return finish_string(parser, start, &content, node);
}

static int parse_raw_string(struct parser *parser, struct node *node)
{
	const char *end = strchr(parser->text + parser->pos + 1, '`');
	if (!end)
		return fail(parser, parser->pos, "unterminated raw quoted string");
	_cleanup_(buf_finish) struct buf content = BUF_INIT(TEMPLATE_TEXT_MAX);
	size_t start = parser->pos++;
	int ret = buf_append(&content, parser->text + parser->pos, (size_t)(end - parser->text) - parser->pos);
	if (ret < 0)
		return ret;
	parser->pos = (size_t)(end - parser->text) + 1;
	return finish_string(parser, start, &content, node);
}

/* 'x': its code. */
static int parse_character(struct parser *parser, struct node *node)
{
	size_t start = parser->pos++;
	_cleanup_(buf_finish) struct buf content = BUF_INIT(8);
	char c = parser->text[parser->pos];
	if (!c || c == '\n' || c == '\'')
		return fail(parser, start, "unterminated character constant");
	parser->pos++;
	int ret = c == '\\' ? parse_escape(parser, &content) : buf_putc(&content, c);
	if (ret < 0)
		return ret;
	if (content.len != 1 || !accept(parser, "'"))
		return fail(parser, start, "a character constant is one ASCII character");
	node->value = json_integer((unsigned char)content.data[0]);
	return node->value ? 0 : err_oom(parser->reterr);
}

static int parse_number(struct parser *parser, struct node *node)
{
	const char *start = parser->text + parser->pos;
	size_t len = strspn(start, "+-.0123456789abcdefxABCDEFXopOP_");
	_cleanup_free_ char *text = strndup(start, len);
	if (!text)
		return err_oom(parser->reterr);

	char *end;
	errno = 0;
	long long integer = strtoll(text, &end, 0);
	if (!*end && !errno) {
		node->value = json_integer(integer);
	} else {
		errno = 0;
		double real = strtod(text, &end);
		if (*end || errno || real > 1e300 || real < -1e300)
			return fail(parser, parser->pos, "bad number: \"%s\"", text);
		node->value = json_real(real);
	}
	parser->pos += len;
	return node->value ? 0 : err_oom(parser->reterr);
}

/* Operands */

static int parse_fields(struct parser *parser, struct node *node)
{
	while (parser->text[parser->pos] == '.' && is_name_char(parser->text[parser->pos + 1])) {
		parser->pos++;
		char *name = take_name(parser);
		if (!name || strv_append_take(&node->fields, name) < 0)
			return err_oom(parser->reterr);
	}
	return 0;
}

static int parse_variable(struct parser *parser, struct node *node)
{
	size_t start = parser->pos++;
	node->kind = NODE_VARIABLE;
	node->text = take_name(parser);
	if (!node->text)
		return -ENOMEM;
	if (*node->text && !strv_has(parser->variables, node->text))
		return fail(parser, start, "undefined variable \"$%s\"", node->text);
	return 0;
}

static int parse_parenthesis(struct parser *parser, struct node *node)
{
	node->kind = NODE_PARENTHESIS;
	parser->pos++;
	int ret = parse_pipeline(parser, "parenthesized pipeline", &node->pipeline);
	if (ret < 0)
		return ret;
	skip_space(parser);
	if (!accept(parser, ")"))
		return fail(parser, node->offset, "unclosed left parenthesis");
	return 0;
}

static int parse_word(struct parser *parser, struct node *node)
{
	static const struct {
		const char *word;
		json_t *(*make)(void);
	} constants[] = { { "true", json_true }, { "false", json_false }, { "nil", json_null } };

	for (size_t i = 0; i < ARRAY_SIZE(constants); i++) {
		if (accept_word(parser, constants[i].word)) {
			node->value = constants[i].make();
			return 0;
		}
	}
	node->kind = NODE_FUNCTION;
	node->text = take_name(parser);
	if (!node->text)
		return -ENOMEM;
	if (!template_function_find(node->text))
		return fail(parser, node->offset, "function \"%s\" not defined", node->text);
	return 0;
}

static int parse_operand_start(struct parser *parser, struct node *node)
{
	char c = parser->text[parser->pos];
	char following = c ? parser->text[parser->pos + 1] : '\0';
	if (c == '"')
		return parse_quoted(parser, node);
	if (c == '`')
		return parse_raw_string(parser, node);
	if (c == '\'')
		return parse_character(parser, node);
	if (c == '$')
		return parse_variable(parser, node);
	if (c == '(')
		return parse_parenthesis(parser, node);
	if (isdigit((unsigned char)c) || ((c == '-' || c == '+' || c == '.') && isdigit((unsigned char)following)))
		return parse_number(parser, node);
	if (c == '.') {
		node->kind = NODE_DOT;
		parser->pos += !is_name_char(following);
		return 0;
	}
	if (is_name_char(c))
		return parse_word(parser, node);
	if (!c)
		return fail(parser, parser->pos, "unclosed action");
	return fail(parser, parser->pos, "unexpected \"%c\" in operand", c);
}

static int parse_operand(struct parser *parser, struct node **ret)
{
	_autofree_(node) struct node *node = new_node(parser, NODE_LITERAL);
	if (!node)
		return -ENOMEM;
	int r = parse_operand_start(parser, node);
	if (r == 0)
		r = parse_fields(parser, node);
	if (r < 0)
		return r;

	char c = parser->text[parser->pos];
	if (c && !isspace((unsigned char)c) && !strchr(")|", c) && !at(parser, "}}"))
		return fail(parser, parser->pos, "unexpected \"%.16s\" in operand", parser->text + parser->pos);
	*ret = TAKE(node);
	return 0;
}

/* Operands up to "|", ")" or the end of the action. */
static int parse_command(struct parser *parser, const char *context, struct node **ret)
{
	_autofree_(node) struct node *command = new_node(parser, NODE_COMMAND);
	if (!command)
		return -ENOMEM;
	struct node **tail = &command->body;
	for (;;) {
		if (at_action_end(parser))
			break;
		skip_space(parser);
		if (at(parser, "|") || at(parser, ")"))
			break;
		int r = parse_operand(parser, tail);
		if (r < 0)
			return r;
		tail = &(*tail)->next;
	}
	if (!command->body)
		return fail(parser, command->offset, "missing value for %s", context);
	*ret = TAKE(command);
	return 0;
}

/* "$x :=", "$x =", "$i, $e :=": leaves `pos` alone if the pipeline begins with no assignment. */
static int parse_assignment(struct parser *parser, struct node *pipeline)
{
	size_t start = parser->pos;
	while (at(parser, "$") && strv_count(pipeline->names) < 2) {
		parser->pos++;
		char *name = take_name(parser);
		if (!name || strv_append_take(&pipeline->names, name) < 0)
			return err_oom(parser->reterr);
		skip_space(parser);
		if (!accept(parser, ","))
			break;
		skip_space(parser);
	}
	if (pipeline->names && accept(parser, ":=")) {
		pipeline->declares = true;
		return 0;
	}
	if (pipeline->names && at(parser, "=") && !at(parser, "==")) {
		parser->pos++;
		return 0;
	}
	parser->pos = start;
	strv_free(TAKE(pipeline->names));
	return 0;
}

static int enter_names(struct parser *parser, const struct node *pipeline)
{
	strv_foreach (name, pipeline->names) {
		if (!pipeline->declares && !strv_has(parser->variables, *name))
			return fail(parser, pipeline->offset, "undefined variable \"$%s\"", *name);
		if (pipeline->declares && strv_append(&parser->variables, *name) < 0)
			return err_oom(parser->reterr);
	}
	return 0;
}

static int parse_pipeline_content(struct parser *parser, const char *context, struct node *pipeline)
{
	skip_space(parser);
	int ret = parse_assignment(parser, pipeline);
	struct node **tail = &pipeline->body;
	while (ret == 0) {
		ret = parse_command(parser, context, tail);
		if (ret < 0)
			return ret;
		const struct node *first = (*tail)->body;
		if (tail != &pipeline->body && first->kind != NODE_FUNCTION)
			return fail(parser, first->offset, "non executable command in pipeline");
		tail = &(*tail)->next;
		if (at_action_end(parser))
			break;
		skip_space(parser);
		if (!accept(parser, "|"))
			break;
	}
	return ret < 0 ? ret : enter_names(parser, pipeline);
}

static int parse_pipeline(struct parser *parser, const char *context, struct node **ret)
{
	if (parser->depth >= TEMPLATE_DEPTH_MAX)
		return fail(parser, parser->pos, "nested more than %d deep", TEMPLATE_DEPTH_MAX);
	parser->depth++;
	_autofree_(node) struct node *pipeline = new_node(parser, NODE_PIPELINE);
	if (!pipeline)
		return -ENOMEM;
	int r = parse_pipeline_content(parser, context, pipeline);
	if (r < 0)
		return r;
	parser->depth--;
	*ret = TAKE(pipeline);
	return 0;
}

/* Blocks */

static void forget_variables(struct parser *parser, size_t count)
{
	for (size_t i = strv_count(parser->variables); i > count; i--) {
		free(parser->variables[i - 1]);
		parser->variables[i - 1] = NULL;
	}
}

static int parse_control(struct parser *parser, enum node_kind kind, const char *word, struct node **ret);

/* After "{{else": "}}", or " if X}}", " with X}}", which open a block that shares our {{end}}. */
static int parse_else(struct parser *parser, struct node *node, const char *word)
{
	if (!at_action_end(parser)) {
		skip_space(parser);
		if (node->kind != NODE_RANGE && accept_word(parser, "if"))
			return parse_control(parser, NODE_IF, "if", &node->otherwise);
		if (node->kind == NODE_WITH && accept_word(parser, "with"))
			return parse_control(parser, NODE_WITH, "with", &node->otherwise);
	}
	int ret = accept_action_end(parser, "else");
	if (ret < 0)
		return ret;
	enum ending ending;
	ret = parse_list(parser, &node->otherwise, &ending);
	if (ret < 0)
		return ret;
	if (ending == ENDING_TEXT)
		return fail(parser, node->offset, "unclosed {{%s}}: {{end}} is missing", word);
	if (ending == ENDING_ELSE)
		return fail(parser, parser->pos, "expected end; found {{else}}");
	return accept_action_end(parser, "end");
}

static int parse_control_content(struct parser *parser, struct node *node, const char *word)
{
	int ret = parse_pipeline(parser, word, &node->pipeline);
	if (ret == 0)
		ret = accept_action_end(parser, word);
	if (ret < 0)
		return ret;

	enum ending ending;
	parser->ranges += node->kind == NODE_RANGE;
	ret = parse_list(parser, &node->body, &ending);
	parser->ranges -= node->kind == NODE_RANGE;
	if (ret < 0)
		return ret;
	if (ending == ENDING_TEXT)
		return fail(parser, node->offset, "unclosed {{%s}}: {{end}} is missing", word);
	if (ending == ENDING_ELSE)
		return parse_else(parser, node, word);
	return accept_action_end(parser, "end");
}

static int parse_control(struct parser *parser, enum node_kind kind, const char *word, struct node **ret)
{
	if (parser->depth >= TEMPLATE_DEPTH_MAX)
		return fail(parser, parser->pos, "nested more than %d deep", TEMPLATE_DEPTH_MAX);
	parser->depth++;
	_autofree_(node) struct node *node = new_node(parser, kind);
	if (!node)
		return -ENOMEM;
	size_t variables = strv_count(parser->variables);
	int r = parse_control_content(parser, node, word);
	forget_variables(parser, variables);
	parser->depth--;
	if (r == 0)
		*ret = TAKE(node);
	return r;
}

static int parse_loop_control(struct parser *parser, enum node_kind kind, const char *word, struct node **ret)
{
	if (!parser->ranges)
		return fail(parser, parser->pos, "{{%s}} outside {{range}}", word);
	_autofree_(node) struct node *node = new_node(parser, kind);
	if (!node)
		return -ENOMEM;
	int r = accept_action_end(parser, word);
	if (r == 0)
		*ret = TAKE(node);
	return r;
}

static int parse_plain_action(struct parser *parser, struct node **ret)
{
	_autofree_(node) struct node *node = new_node(parser, NODE_ACTION);
	if (!node)
		return -ENOMEM;
	int r = parse_pipeline(parser, "command", &node->pipeline);
	if (r == 0)
		r = accept_action_end(parser, "command");
	if (r == 0)
		*ret = TAKE(node);
	return r;
}

static int skip_comment(struct parser *parser)
{
	const char *end = strstr(parser->text + parser->pos, "*/");
	if (!end)
		return fail(parser, parser->pos, "unclosed comment");
	parser->pos = (size_t)(end - parser->text) + 2;
	if (!at_action_end(parser))
		return fail(parser, parser->pos, "comment ends before closing delimiter");
	return accept_action_end(parser, "comment");
}

/* After "{{". A comment leaves *ret NULL; {{else}} and {{end}} set *ret_ending and stop before the rest of the action.
 * */
static int parse_action(struct parser *parser, struct node **ret, enum ending *ret_ending)
{
	static const struct {
		const char *word;
		enum node_kind kind;
	} controls[] = { { "if", NODE_IF }, { "with", NODE_WITH }, { "range", NODE_RANGE } };
	static const char *const unsupported[] = { "define", "template", "block" };

	skip_space(parser);
	if (at(parser, "/*"))
		return skip_comment(parser);
	if (accept_word(parser, "end")) {
		*ret_ending = ENDING_END;
		return 0;
	}
	if (accept_word(parser, "else")) {
		*ret_ending = ENDING_ELSE;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(controls); i++) {
		if (accept_word(parser, controls[i].word))
			return parse_control(parser, controls[i].kind, controls[i].word, ret);
	}
	if (accept_word(parser, "break"))
		return parse_loop_control(parser, NODE_BREAK, "break", ret);
	if (accept_word(parser, "continue"))
		return parse_loop_control(parser, NODE_CONTINUE, "continue", ret);
	for (size_t i = 0; i < ARRAY_SIZE(unsupported); i++) {
		if (accept_word(parser, unsupported[i]))
			return fail(parser, parser->pos, "{{%s}} is not supported", unsupported[i]);
	}
	return parse_plain_action(parser, ret);
}

/* The text before the next action, its end trimmed if that begins with "{{- ". */
static int parse_text(struct parser *parser, struct node **ret)
{
	const char *start = parser->text + parser->pos;
	const char *action = strstr(start, "{{");
	size_t len = action ? (size_t)(action - start) : strlen(start);
	size_t skip = len;
	if (action) {
		bool trims = action[2] == '-' && isspace((unsigned char)action[3]);
		skip += trims ? 3 : 2;
		while (trims && len && isspace((unsigned char)start[len - 1]))
			len--;
	}
	if (len) {
		*ret = new_node(parser, NODE_TEXT);
		if (!*ret || !((*ret)->text = strndup(start, len)))
			return err_oom(parser->reterr);
	}
	parser->pos += skip;
	return action ? 1 : 0;
}

static int parse_list(struct parser *parser, struct node **ret, enum ending *ret_ending)
{
	struct node **tail = ret;
	*ret_ending = ENDING_TEXT;
	for (;;) {
		int r = parse_text(parser, tail);
		if (*tail)
			tail = &(*tail)->next;
		if (r <= 0)
			return r;
		r = parse_action(parser, tail, ret_ending);
		if (r < 0 || *ret_ending != ENDING_TEXT)
			return r;
		if (*tail)
			tail = &(*tail)->next;
	}
}

int template_parse_block(const char *text, struct node **ret, struct err **reterr)
{
	struct parser parser = { .text = text, .len = strlen(text), .reterr = reterr };
	if (parser.len > TEMPLATE_TEXT_MAX)
		return err_set(reterr, ERR_TOO_LARGE, 0, "template parsing error: longer than %d bytes",
			TEMPLATE_TEXT_MAX);

	_autofree_(node) struct node *block = NULL;
	enum ending ending;
	int r = parse_list(&parser, &block, &ending);
	if (r == 0 && ending != ENDING_TEXT)
		r = fail(&parser, parser.pos, "unexpected {{%s}}", ending == ENDING_END ? "end" : "else");
	strv_free(parser.variables);
	if (r < 0)
		return r;
	*ret = TAKE(block);
	return 0;
}
