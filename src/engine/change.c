#include "engine/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/events.h"
#include "engine/network_names.h"

#define ALLOCATING_NAME "Error when allocating new name"

int change_name(struct container *container, const char *name, struct err **reterr)
{
	struct engine *engine = container->engine;
	if (!name || !name[0] || strcmp(name, "/") == 0)
		return err_set(reterr, ERR_INVALID, 0, "Neither old nor new names may be empty");
	name += name[0] == '/';
	int r = container_name_check(name, reterr);
	if (r < 0)
		return err_wrap(reterr, r, ALLOCATING_NAME);
	if (container->removing)
		return err_set(reterr, ERR_CONFLICT, 0, CONTAINER_REMOVING_TEXT, container->id);
	if (strcmp(container->name, name) == 0)
		return err_set(reterr, ERR_INVALID, 0, "Renaming a container with the same name as its current name");
	r = containers_check_name(engine->containers, name, reterr);
	if (r < 0)
		return err_wrap(reterr, r, ALLOCATING_NAME);
	/* The row first: what fails after it is memory alone, and that is put right below. */
	_cleanup_free_ char *old = strdup(container->name);
	bool auto_remove = container->record.host.auto_remove;
	if (!old)
		return err_oom(reterr);
	r = records_rename_container(engine->records, container->id, name, auto_remove, reterr);
	if (r < 0)
		return r;
	r = containers_rename(engine->containers, container, name, reterr);
	if (r < 0) {
		records_rename_container(engine->records, container->id, old, auto_remove, NULL);
		return r;
	}
	network_names_changed(container);
	char *shown;
	if (asprintf(&shown, "/%s", old) >= 0) {
		events_tell_container_with(container, "rename", "oldName", shown);
		free(shown);
	}
	return 0;
}
