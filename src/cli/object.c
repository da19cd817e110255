#include "cli/object.h"

#include "base/strv.h"
#include "cli/text.h"
#include "codec/utf8.h"

void object_init(struct object *object)
{
	*object = (struct object){ .json = json_object() };
	object->failed = !object->json;
}

void object_finish(struct object *object)
{
	json_decref(object->json);
	object->json = NULL;
}

json_t *object_string(const char *text)
{
	json_t *string = json_string(text);
	if (string)
		return string;
	_cleanup_free_ char *repaired = utf8_repair(text);
	return repaired ? json_string(repaired) : NULL;
}

void object_put(struct object *object, const char *key, json_t *value)
{
	if (json_object_set_new(object->json, key, value) < 0)
		object->failed = true;
}

void object_put_filled(struct object *object, const char *key, json_t *value)
{
	if (json_is_array(value) ? !json_array_size(value) : json_is_object(value) && !json_object_size(value))
		json_decref(value);
	else
		object_put(object, key, value);
}

void object_put_string(struct object *object, const char *key, const char *value)
{
	if (value)
		object_put(object, key, object_string(value));
}

void object_put_int(struct object *object, const char *key, int64_t value)
{
	if (value)
		object_put(object, key, json_integer(value));
}

void object_put_bool(struct object *object, const char *key, bool value)
{
	if (value)
		object_put(object, key, json_true());
}

void object_put_array(struct object *object, const char *key, char *const *strings)
{
	object_put_filled(object, key, text_array(strings));
}

void object_put_map(struct object *object, const char *key, char *const *assignments)
{
	object_put_filled(object, key, text_map(assignments));
}

int object_take(struct object *object, json_t **ret, struct err **reterr)
{
	if (object->failed)
		return err_oom(reterr);
	*ret = object->json;
	object->json = NULL;
	return 0;
}
