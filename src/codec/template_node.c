#include "codec/template_node.h"

#include <stdarg.h>

#include "base/buf.h"
#include "base/strv.h"

#define MESSAGE_MAX 4096

void node_free(struct node *node)
{
	while (node) {
		struct node *next = node->next;
		node_free(node->pipeline);
		node_free(node->body);
		node_free(node->otherwise);
		free(node->text);
		strv_free(node->fields);
		strv_free(node->names);
		json_decref(node->value);
		free(node);
		node = next;
	}
}

int template_error(struct err **reterr, const char *text, size_t offset, const char *format, ...)
{
	size_t line = 1, column = 1;
	for (size_t i = 0; i < offset && text[i]; i++) {
		column = text[i] == '\n' ? 1 : column + 1;
		line += text[i] == '\n';
	}
	_cleanup_(buf_finish) struct buf sentence = BUF_INIT(MESSAGE_MAX);
	va_list args;
	va_start(args, format);
	int ret = buf_vprintf(&sentence, format, args);
	va_end(args);
	return err_set(reterr, ERR_INVALID, 0, "template parsing error: template: :%zu:%zu: %s", line, column,
		ret < 0 ? "the sentence is too long" : sentence.data);
}
