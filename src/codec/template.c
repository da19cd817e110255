/*
 * Evaluation. A value is a counted json_t; NULL stands for a member that is missing, and is turned into an error only
 * where it is used for more than a condition: `missing` remembers the last one for the message.
 */
#include "codec/template.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/strv.h"
#include "codec/json.h"
#include "codec/template_functions.h"
#include "codec/template_parse.h"

#define ARGS_MAX      66 /* a function, its arguments, and what a pipe hands on */
#define VARIABLES_MAX 256

struct template
{
	char *text;
	struct node *block;
};

struct variable {
	const char *name;
	json_t *value;
};

struct run {
	const struct template *template;
	const struct template_input *input;
	struct buf *out;
	struct err **reterr;
	size_t steps;
	struct variable variables[VARIABLES_MAX];
	size_t variable_count;
	struct {
		const char *name;
		size_t offset;
	} missing;
};

/* What a block ended with. */
enum flow { FLOW_ON, FLOW_BREAK, FLOW_CONTINUE };

static int run_block(struct run *run, const struct node *block, json_t *dot, enum flow *flow);
static int eval_pipeline(struct run *run, const struct node *pipeline, json_t *dot, json_t **ret);

#define fail(run, node, ...) template_error((run)->reterr, (run)->template->text, (node)->offset, __VA_ARGS__)

int template_parse(const char *text, struct template **ret, struct err **reterr)
{
	_autofree_(template) struct template *template = calloc(1, sizeof *template);
	if (!template || !(template->text = strdup(text)))
		return err_oom(reterr);
	int r = template_parse_block(template->text, &template->block, reterr);
	if (r < 0)
		return r;
	*ret = TAKE(template);
	return 0;
}

void template_free(struct template *template)
{
	if (!template)
		return;
	node_free(template->block);
	free(template->text);
	free(template);
}

static int count_step(struct run *run, const struct node *node)
{
	if (++run->steps > TEMPLATE_STEPS_MAX)
		return fail(run, node, "the template takes too long");
	return 0;
}

static int fail_out(struct run *run, const struct node *node, int ret)
{
	if (ret == -ENOMEM)
		return err_oom(run->reterr);
	return fail(run, node, "the output is longer than %zu bytes", run->out->max);
}

static int fail_missing(struct run *run, const struct node *node)
{
	struct node place = { .offset = run->missing.name ? run->missing.offset : node->offset };
	return fail(run, &place, "map has no entry for key \"%s\"", run->missing.name ? run->missing.name : "");
}

/* Variables */

static struct variable *find_variable(struct run *run, const char *name)
{
	for (size_t i = run->variable_count; i > 0; i--) {
		if (strcmp(run->variables[i - 1].name, name) == 0)
			return &run->variables[i - 1];
	}
	return NULL;
}

static int set_variable(struct run *run, const struct node *pipeline, const char *name, json_t *value)
{
	if (pipeline->declares) {
		if (run->variable_count == VARIABLES_MAX)
			return fail(run, pipeline, "more than %d variables", VARIABLES_MAX);
		run->variables[run->variable_count++] = (struct variable){ .name = name, .value = json_incref(value) };
		return 0;
	}
	struct variable *variable = find_variable(run, name);
	if (!variable)
		return fail(run, pipeline, "undefined variable \"$%s\"", name);
	json_t *old = variable->value;
	variable->value = json_incref(value);
	json_decref(old);
	return 0;
}

static void drop_variables(struct run *run, size_t count)
{
	while (run->variable_count > count)
		json_decref(run->variables[--run->variable_count].value);
}

/* Operands */

/* Exactly, else without regard to case: the names of Go's fields and of JSON's members differ in it ("ID", "Id"). */
static json_t *find_member(const json_t *object, const char *name)
{
	json_t *member = json_object_get(object, name);
	if (member)
		return member;
	const char *key;
	json_object_foreach ((json_t *)object, key, member) {
		if (strcasecmp(key, name) == 0)
			return member;
	}
	return NULL;
}

/* Follows the names of `node` from `value` (borrowed), all but the last `skip` of them. */
static int follow_fields(struct run *run, const struct node *node, json_t *value, size_t skip, json_t **ret)
{
	size_t count = strv_count(node->fields) - skip;
	for (size_t i = 0; i < count; i++) {
		const char *name = node->fields[i];
		if (!value)
			return fail_missing(run, node);
		if (json_is_null(value))
			return fail(run, node, "nil pointer evaluating .%s", name);
		if (!json_is_object(value))
			return fail(run, node, "can't evaluate field %s in a value that has no fields", name);
		value = find_member(value, name);
		if (!value) {
			run->missing.name = name;
			run->missing.offset = node->offset;
		}
	}
	*ret = json_incref(value);
	return 0;
}

static int eval_base(struct run *run, const struct node *node, json_t *dot, json_t **ret)
{
	switch ((int)node->kind) {
	case NODE_LITERAL: *ret = json_incref(node->value); return 0;
	case NODE_PARENTHESIS: return eval_pipeline(run, node->pipeline, dot, ret);
	case NODE_VARIABLE: {
		if (!*node->text) {
			*ret = json_incref(run->input->data);
			return 0;
		}
		const struct variable *variable = find_variable(run, node->text);
		if (!variable)
			return fail(run, node, "undefined variable \"$%s\"", node->text);
		*ret = json_incref(variable->value);
		return 0;
	}
	default: *ret = json_incref(dot); return 0;
	}
}

static int call_function(struct run *run, const struct node *node, json_t *const *args, size_t count, json_t **ret);

static int eval_operand(struct run *run, const struct node *node, json_t *dot, json_t **ret)
{
	int r = count_step(run, node);
	if (r < 0)
		return r;
	_autojson_ json_t *base = NULL;
	if (node->kind == NODE_FUNCTION)
		r = call_function(run, node, NULL, 0, &base);
	else
		r = eval_base(run, node, dot, &base);
	return r < 0 ? r : follow_fields(run, node, base, 0, ret);
}

/* Functions */

static int call_function(struct run *run, const struct node *node, json_t *const *args, size_t count, json_t **ret)
{
	const struct template_function *function = template_function_find(node->text);
	if (count < function->min_args || count > function->max_args)
		return fail(run, node, "wrong number of args for %s: want %s%zu got %zu", node->text,
			function->max_args > function->min_args ? "at least " : "", function->min_args, count);
	struct template_call call = { .args = args, .count = count, .mode = run->input->mode };
	int r = function->fn(&call, ret);
	if (r == -EINVAL)
		return fail(run, node, "error calling %s: %s", node->text, call.problem);
	return r < 0 ? fail_out(run, node, r) : 0;
}

/* `and` gives its first argument that is false, `or` the first that is true, else the last; later ones are not
 * evaluated. `piped` is the last argument if there is one. */
static int eval_junction(struct run *run, const struct node *function, json_t *dot, json_t *piped, json_t **ret)
{
	bool want = strcmp(function->text, "or") == 0;
	if (!function->next && !piped)
		return fail(run, function, "wrong number of args for %s: want at least 1 got 0", function->text);
	_autojson_ json_t *value = NULL;
	for (const struct node *node = function->next; node; node = node->next) {
		json_decref(value);
		value = NULL;
		int r = eval_operand(run, node, dot, &value);
		if (r < 0)
			return r;
		if (template_is_true(value) == want) {
			*ret = TAKE(value);
			return 0;
		}
	}
	*ret = piped ? json_incref(piped) : TAKE(value);
	return 0;
}

static void args_finish(json_t *(*args)[ARGS_MAX])
{
	for (size_t i = 0; i < ARGS_MAX; i++)
		json_decref((*args)[i]);
}

static int eval_function(struct run *run, const struct node *function, json_t *dot, json_t *piped, bool has_piped,
	json_t **ret)
{
	if (!template_function_find(function->text)->fn)
		return eval_junction(run, function, dot, has_piped ? piped : NULL, ret);

	_cleanup_(args_finish) json_t *args[ARGS_MAX] = { NULL };
	size_t count = 0;
	for (const struct node *node = function->next; node; node = node->next) {
		if (count == ARGS_MAX - 1)
			return fail(run, node, "too many arguments");
		int r = eval_operand(run, node, dot, &args[count++]);
		if (r < 0)
			return r;
	}
	if (has_piped)
		args[count++] = json_incref(piped);
	return call_function(run, function, args, count, ret);
}

/* The heading of a column of labels: "com.example.some-name" is "some name". */
static json_t *label_heading(const char *name)
{
	const char *dot = strrchr(name, '.');
	_cleanup_free_ char *text = strdup(dot ? dot + 1 : name);
	if (!text)
		return NULL;
	for (char *p = text; *p; p++) {
		if (*p == '-' || *p == '_')
			*p = ' ';
	}
	return json_string(text);
}

/* `.Label "name"`, the one method there is. */
static int eval_method(struct run *run, const struct node *operand, json_t *dot, json_t **ret)
{
	size_t count = strv_count(operand->fields);
	const char *method = count ? operand->fields[count - 1] : "";
	if (strcmp(method, "Label") != 0 || operand->next->next)
		return fail(run, operand, "%s%s is not a function", count ? "." : "a value", method);

	_autojson_ json_t *name = NULL;
	int r = eval_operand(run, operand->next, dot, &name);
	if (r < 0)
		return r;
	if (!json_is_string(name))
		return fail(run, operand, "error calling Label: wants a string");
	if (run->input->mode == TEMPLATE_HEADER) {
		*ret = label_heading(json_string_value(name));
	} else {
		json_t *label = json_object_get(run->input->labels, json_string_value(name));
		*ret = label ? json_incref(label) : json_string("");
	}
	return *ret ? 0 : err_oom(run->reterr);
}

static int eval_command(struct run *run, const struct node *command, json_t *dot, json_t *piped, bool has_piped,
	json_t **ret)
{
	const struct node *first = command->body;
	if (first->kind == NODE_FUNCTION && !first->fields) {
		int r = count_step(run, first);
		return r < 0 ? r : eval_function(run, first, dot, piped, has_piped, ret);
	}
	if (first->next)
		return eval_method(run, first, dot, ret);
	return eval_operand(run, first, dot, ret);
}

/* The value, without setting the pipeline's variables. */
static int eval_commands(struct run *run, const struct node *pipeline, json_t *dot, json_t **ret)
{
	_autojson_ json_t *value = NULL;
	for (const struct node *command = pipeline->body; command; command = command->next) {
		json_t *next = NULL;
		int r = eval_command(run, command, dot, value, command != pipeline->body, &next);
		if (r < 0)
			return r;
		json_decref(value);
		value = next;
	}
	*ret = TAKE(value);
	return 0;
}

static int eval_pipeline(struct run *run, const struct node *pipeline, json_t *dot, json_t **ret)
{
	_autojson_ json_t *value = NULL;
	int r = eval_commands(run, pipeline, dot, &value);
	if (r < 0)
		return r;
	if (pipeline->names) {
		if (strv_count(pipeline->names) > 1)
			return fail(run, pipeline, "two variables are set only by range");
		r = set_variable(run, pipeline, pipeline->names[0], value);
		if (r < 0)
			return r;
	}
	*ret = TAKE(value);
	return 0;
}

/* Blocks */

static int run_action(struct run *run, const struct node *node, json_t *dot)
{
	_autojson_ json_t *value = NULL;
	int r = eval_pipeline(run, node->pipeline, dot, &value);
	if (r < 0 || node->pipeline->names)
		return r;
	if (!value)
		return fail_missing(run, node);
	r = template_print_value(value, run->out);
	return r < 0 ? fail_out(run, node, r) : 0;
}

static int run_condition(struct run *run, const struct node *node, json_t *dot, enum flow *flow)
{
	size_t variables = run->variable_count;
	_autojson_ json_t *value = NULL;
	int r = eval_pipeline(run, node->pipeline, dot, &value);
	if (r == 0) {
		bool holds = template_is_true(value);
		json_t *inner = holds && node->kind == NODE_WITH ? value : dot;
		r = run_block(run, holds ? node->body : node->otherwise, inner, flow);
	}
	drop_variables(run, variables);
	return r;
}

/* One turn: sets "$element" or "$key, $element", and the dot. */
static int run_turn(struct run *run, const struct node *node, json_t *key, json_t *element, enum flow *flow)
{
	const struct node *pipeline = node->pipeline;
	size_t variables = run->variable_count, count = strv_count(pipeline->names);
	int r = 0;
	if (count == 2)
		r = set_variable(run, pipeline, pipeline->names[0], key);
	if (r == 0 && count)
		r = set_variable(run, pipeline, pipeline->names[count - 1], element);
	if (r == 0)
		r = run_block(run, node->body, element, flow);
	drop_variables(run, variables);
	return r;
}

static int range_array(struct run *run, const struct node *node, json_t *array, enum flow *flow)
{
	int r = 0;
	for (size_t i = 0; r == 0 && *flow != FLOW_BREAK && i < json_array_size(array); i++) {
		_autojson_ json_t *key = json_integer((json_int_t)i);
		*flow = FLOW_ON;
		r = key ? run_turn(run, node, key, json_array_get(array, i), flow) : err_oom(run->reterr);
	}
	return r;
}

static int range_object(struct run *run, const struct node *node, json_t *object, enum flow *flow)
{
	_autofree_(strv) char **names = NULL;
	const char *name;
	json_t *member;
	json_object_foreach (object, name, member) {
		if (strv_append(&names, name) < 0)
			return err_oom(run->reterr);
	}
	strv_sort(names);
	int r = 0;
	for (char **p = names; r == 0 && *flow != FLOW_BREAK && p && *p; p++) {
		_autojson_ json_t *key = json_string(*p);
		*flow = FLOW_ON;
		r = key ? run_turn(run, node, key, json_object_get(object, *p), flow) : err_oom(run->reterr);
	}
	return r;
}

static int run_range(struct run *run, const struct node *node, json_t *dot, enum flow *flow)
{
	_autojson_ json_t *value = NULL;
	int r = eval_commands(run, node->pipeline, dot, &value);
	if (r < 0)
		return r;
	if (value && !json_is_array(value) && !json_is_object(value) && !json_is_null(value))
		return fail(run, node, "range can't iterate over a value that is neither a list nor a map");
	if (!template_is_true(value))
		return run_block(run, node->otherwise, dot, flow);
	enum flow inner = FLOW_ON;
	return json_is_array(value) ? range_array(run, node, value, &inner) : range_object(run, node, value, &inner);
}

static int run_node(struct run *run, const struct node *node, json_t *dot, enum flow *flow)
{
	int r = count_step(run, node);
	if (r < 0)
		return r;
	switch ((int)node->kind) {
	case NODE_TEXT: r = buf_puts(run->out, node->text); return r < 0 ? fail_out(run, node, r) : 0;
	case NODE_ACTION: return run_action(run, node, dot);
	case NODE_RANGE: return run_range(run, node, dot, flow);
	case NODE_BREAK: *flow = FLOW_BREAK; return 0;
	case NODE_CONTINUE: *flow = FLOW_CONTINUE; return 0;
	default: return run_condition(run, node, dot, flow);
	}
}

static int run_block(struct run *run, const struct node *block, json_t *dot, enum flow *flow)
{
	int r = 0;
	for (const struct node *node = block; r == 0 && *flow == FLOW_ON && node; node = node->next)
		r = run_node(run, node, dot, flow);
	return r;
}

int template_run(const struct template *template, const struct template_input *input, struct buf *out,
	struct err **reterr)
{
	struct run run = { .template = template, .input = input, .out = out, .reterr = reterr };
	enum flow flow = FLOW_ON;
	int r = run_block(&run, template->block, input->data, &flow);
	drop_variables(&run, 0);
	return r;
}
