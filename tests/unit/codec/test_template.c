#include <errno.h>
#include <string.h>

#include "../unit.h"
#include "base/strv.h"
#include "codec/json.h"
#include "codec/template.h"

static const char data_text[] =
	"{\"Id\":\"abc\",\"Name\":\"/web\",\"Config\":{\"Env\":[\"A=b\",\"C=d\"],\"Labels\":{\"z\":\"1\",\"a\":\"2\"},\"Cmd\":null},"
	"\"State\":{\"Running\":true,\"Pid\":42,\"ExitCode\":0},\"Load\":0.25,\"Big\":1e21,\"Empty\":\"\",\"None\":[],"
	"\"Net\":{\"80/tcp\":[{\"HostPort\":\"8080\"}]},\"Words\":\"one two\"}";

static int run(const char *text, enum template_mode mode, size_t max, char **ret, struct err **reterr)
{
	_autofree_(template) struct template *template = NULL;
	int r = template_parse(text, &template, reterr);
	if (r < 0)
		return r;
	_autojson_ json_t *data = json_loads(data_text, 0, NULL);
	_autojson_ json_t *labels = json_pack("{s:s}", "com.x", "y");
	const struct template_input input = { .data = data, .labels = labels, .mode = mode };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(max);
	r = template_run(template, &input, &out, reterr);
	if (r == 0)
		*ret = buf_take(&out);
	return r;
}

static void check(const char *text, const char *expected)
{
	_autofree_(err) struct err *err = NULL;
	_cleanup_free_ char *out = NULL;
	if (run(text, TEMPLATE_VALUES, 4096, &out, &err) < 0)
		fail_msg("%s: %s", text, err_message(err));
	assert_string_equal(out, expected);
}

static void check_fails(const char *text, const char *message)
{
	_autofree_(err) struct err *err = NULL;
	_cleanup_free_ char *out = NULL;
	assert_true(run(text, TEMPLATE_VALUES, 4096, &out, &err) < 0);
	if (!strstr(err->message, message))
		fail_msg("%s: \"%s\" does not hold \"%s\"", text, err->message, message);
}

static void fields_and_values(void **state)
{
	(void)state;
	check("", "");
	check("plain {text}", "plain {text}");
	check("{{.Id}} {{ .Name }}", "abc /web");
	check("{{.ID}}", "abc");
	check("{{.State.Running}}/{{.State.Pid}}/{{.Load}}/{{.Big}}", "true/42/0.25/1e+21");
	check("{{.Config.Env}}", "[A=b C=d]");
	check("{{.Config.Labels}}", "map[a:2 z:1]");
	check("{{.Config.Cmd}}", "<no value>");
	check("{{json .Config.Env}}", "[\"A=b\",\"C=d\"]");
	check("{{json .Config.Cmd}}", "null");
	check("{{$.Id}}", "abc");
	check("{{(index .Net \"80/tcp\" 0).HostPort}}", "8080");
	check("{{(index (index .Net \"80/tcp\") 0).HostPort}}", "8080");
	check("{{index .Config.Env 1}}", "C=d");
	check("[{{index .Config.Labels \"none\"}}]", "[]");
	check("{{len .Config.Env}} {{len .Id}} {{len .Config.Cmd}}", "2 3 0");
	check("{{\"a\\tb\\u00e9\\\"\"}}{{`raw\\n`}}{{'a'}}{{-3}}{{0x10}}{{1.5}}", "a\tb\xc3\xa9\"raw\\n97-3161.5");
	check("{{true}}{{false}}{{nil}}", "truefalse<no value>");
	check("{{.Label \"com.x\"}}[{{.Label \"other\"}}]", "y[]");
}

static void control(void **state)
{
	(void)state;
	check("{{if .State.Running}}up{{else}}down{{end}}", "up");
	check("{{if .Empty}}a{{else if .None}}b{{else if .State.Pid}}c{{else}}d{{end}}", "c");
	check("{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}", "none");
	check("{{with .State}}{{.Pid}}{{end}}{{with .Empty}}x{{else}}y{{end}}", "42y");
	check("{{with .Empty}}x{{else with .Id}}{{.}}{{end}}", "abc");
	check("{{range .Config.Env}}{{.}};{{end}}", "A=b;C=d;");
	check("{{range $i, $e := .Config.Env}}{{$i}}={{$e}} {{end}}", "0=A=b 1=C=d ");
	check("{{range $k, $v := .Config.Labels}}{{$k}}{{$v}}{{end}}", "a2z1");
	check("{{range .None}}x{{else}}empty{{end}}", "empty");
	check("{{range .Config.Env}}{{if eq . \"A=b\"}}{{continue}}{{end}}{{.}}{{break}}{{end}}", "C=d");
	check("{{$x := .Id}}{{if true}}{{$x = \"new\"}}{{$y := 1}}{{$y}}{{end}}{{$x}}", "1new");
	check("a {{- .Id -}} b{{/* comment */}}c{{- /* c */ -}} d", "aabcbcd");
	check("{{range $p, $c := .Net}}{{$p}} -> {{(index $c 0).HostPort}}{{end}}", "80/tcp -> 8080");
}

static void functions(void **state)
{
	(void)state;
	check("{{eq 1 1}}{{eq .Id \"x\" \"abc\"}}{{ne 1 2}}{{eq .Config.Cmd nil}}", "truetruetruetrue");
	check("{{lt 1 2}}{{le 2 2}}{{gt \"b\" \"a\"}}{{ge 1.5 2}}", "truetruetruefalse");
	check("{{and .Id .State.Pid}}{{and .Empty .Missing.X}}{{or .Empty \"z\"}}{{not .Id}}", "42zfalse");
	check("{{or .Id .Missing.X}}", "abc");
	check("{{upper .Id}}{{lower \"ABC\"}}{{title .Words}}", "ABCabcOne Two");
	check("{{join .Config.Env \", \"}}", "A=b, C=d");
	check("{{split .Words \" \"}}{{index (split .Words \" \") 1}}", "[one two]two");
	check("{{.Id | upper | printf \"%s-%s\" \"x\"}}", "x-ABC");
	check("{{printf \"%5d|%-5s|%05d|%x|%q|%v|%t|%.2f|%%\" 42 \"ab\" 7 255 \"a\\\"b\" .Config.Env true 1.5}}",
		"   42|ab   |00007|ff|\"a\\\"b\"|[A=b C=d]|true|1.50|%");
	check("{{printf \"%d %s\" \"x\"}}", "%!d(string=x) %!s(MISSING)");
	check("{{print 1 2 \"a\" 3}}{{println 1 \"a\"}}", "1 2a31 a\n");
	check("{{truncate \"abcdef\" 3}}{{pad \"x\" 1 2}}|{{pad \"\" 1 2}}{{slice \"abcdef\" 1 3}}{{slice .Config.Env 1}}",
		"abc x  |bc[C=d]");
}

static void errors_say_where(void **state)
{
	(void)state;
	check_fails("{{.Nothing}}", "template: :1:3: map has no entry for key \"Nothing\"");
	check_fails("{{.Nothing.X}}", "map has no entry for key \"Nothing\"");
	check_fails("{{.Id.X}}", "can't evaluate field X");
	check_fails("{{.Config.Cmd.X}}", "nil pointer evaluating .X");
	check_fails("a\n{{ .Id", "template: :2:7: unclosed action");
	check_fails("{{if .Id}}x", "{{end}} is missing");
	check_fails("{{end}}", "unexpected {{end}}");
	check_fails("{{if .Id}}{{else}}{{else}}{{end}}", "expected end; found {{else}}");
	check_fails("{{nofunction .Id}}", "function \"nofunction\" not defined");
	check_fails("{{$x}}", "undefined variable \"$x\"");
	check_fails("{{range .None}}{{$y := 1}}{{end}}{{$y}}", "undefined variable \"$y\"");
	check_fails("{{index .Config.Env 2}}", "error calling index: index out of range");
	check_fails("{{eq 1 \"a\"}}", "incompatible types for comparison");
	check_fails("{{len 3}}", "error calling len");
	check_fails("{{upper}}", "wrong number of args for upper: want 1 got 0");
	check_fails("{{break}}", "{{break}} outside {{range}}");
	check_fails("{{template \"x\"}}", "{{template}} is not supported");
	check_fails("{{\"abc}}", "unterminated quoted string");
	check_fails("{{(.Id}}", "unclosed left parenthesis");
	check_fails("{{1 | 2}}", "non executable command in pipeline");
	check_fails("{{}}", "missing value for command");
	check_fails("{{.Id.}}", "unexpected");
	check_fails("{{/* x }}", "unclosed comment");
	check_fails("{{.Method 1}}", ".Method is not a function");
	check_fails("{{99999999999999999999999999999e999}}", "bad number");
}

static void everything_is_bounded(void **state)
{
	(void)state;
	_cleanup_(buf_finish) struct buf text = BUF_INIT(TEMPLATE_TEXT_MAX * 2);
	_autofree_(err) struct err *err = NULL;
	_cleanup_free_ char *out = NULL;
	struct template *template = NULL;

	for (int depth = TEMPLATE_DEPTH_MAX - 1; depth <= TEMPLATE_DEPTH_MAX; depth++) {
		buf_reset(&text);
		buf_puts(&text, "{{");
		for (int i = 0; i < depth; i++)
			buf_putc(&text, '(');
		buf_puts(&text, "1");
		for (int i = 0; i < depth; i++)
			buf_putc(&text, ')');
		buf_puts(&text, "}}");
		if (depth < TEMPLATE_DEPTH_MAX)
			check(text.data, "1");
		else
			check_fails(text.data, "nested more than");
	}

	buf_reset(&text);
	for (size_t i = 0; i < TEMPLATE_TEXT_MAX; i++)
		buf_putc(&text, 'x');
	assert_int_equal(template_parse(text.data, &template, NULL), 0);
	template_free(template);
	buf_putc(&text, 'x');
	assert_true(template_parse(text.data, &template, &err) < 0);
	assert_int_equal(err->kind, ERR_TOO_LARGE);

	assert_int_equal(run("{{.Id}}", TEMPLATE_VALUES, 3, &out, NULL), 0);
	check("{{.Id}}", "abc");
	_autofree_(err) struct err *long_err = NULL;
	assert_true(run("{{.Id}}", TEMPLATE_VALUES, 2, &out, &long_err) < 0);
	assert_non_null(strstr(long_err->message, "longer than 2 bytes"));
}

static void ranges_in_ranges_end(void **state)
{
	(void)state;
	_autofree_(template) struct template *template = NULL;
	assert_int_equal(template_parse("{{range .}}{{range $}}{{range $}}{{range $}}{{end}}{{end}}{{end}}{{end}}",
				 &template, NULL),
		0);
	_autojson_ json_t *data = json_array();
	for (int i = 0; i < 1000; i++)
		json_array_append_new(data, json_integer(i));
	const struct template_input input = { .data = data };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(100);
	_autofree_(err) struct err *err = NULL;
	assert_true(template_run(template, &input, &out, &err) < 0);
	assert_non_null(strstr(err->message, "takes too long"));
}

static void headings(void **state)
{
	(void)state;
	_autofree_(template) struct template *template = NULL;
	assert_int_equal(
		template_parse("{{upper .ID}}\t{{truncate .ID 2}}\t{{json .ID}}\t{{.Label \"com.example.some-name\"}}",
			&template, NULL),
		0);
	_autojson_ json_t *data = json_pack("{s:s}", "ID", "Container id");
	const struct template_input input = { .data = data, .mode = TEMPLATE_HEADER };
	_cleanup_(buf_finish) struct buf out = BUF_INIT(1000);
	assert_int_equal(template_run(template, &input, &out, NULL), 0);
	assert_string_equal(out.data, "Container id\tContainer id\tContainer id\tsome name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields_and_values),
		cmocka_unit_test(control),
		cmocka_unit_test(functions),
		cmocka_unit_test(errors_say_where),
		cmocka_unit_test(everything_is_bounded),
		cmocka_unit_test(ranges_in_ranges_end),
		cmocka_unit_test(headings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
