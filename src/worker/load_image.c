#include "worker/load_image.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/strv.h"
#include "codec/reference.h"
#include "store/image_add.h"
#include "worker/limits.h"

int load_check_names(char *const *names, struct err **reterr)
{
	if (strv_count(names) > LIMIT_NAMES)
		return err_set(reterr, ERR_TOO_LARGE, 0, "an image has more than %d names", LIMIT_NAMES);
	strv_foreach (name, names) {
		struct reference reference;
		const char *problem = NULL;
		int r = reference_parse(*name, &reference, &problem);

		if (r == -ENOMEM)
			return err_oom(reterr);
		if (r < 0 || reference.digest) {
			if (r == 0)
				reference_finish(&reference);
			return err_set(reterr, ERR_INVALID, 0, "invalid name of an image in the archive: %s",
				problem ? problem : "a digest can't be a tag");
		}
		reference_finish(&reference);
	}
	return 0;
}

static void tell_renamed(struct task *task, const struct image_added *added)
{
	strv_foreach (renamed, added->renamed) {
		const char *blank = strchr(*renamed, ' ');

		task_say(task, "The image %.*s already exists, renaming the old one with ID %s to empty string\n",
			(int)(blank - *renamed), *renamed, blank + 1);
	}
}

static void tell_loaded(struct task *task, const struct image_added *added, char *const *names)
{
	if (!names || !*names) {
		task_say(task, "Loaded image ID: %s\n", added->id);
		task->event("load", added->id, "", task->event_data);
	}
	strv_foreach (name, names) {
		struct reference reference;
		char text[REFERENCE_NAME_MAX + REFERENCE_TAG_MAX + 2];

		if (reference_parse(*name, &reference, NULL) < 0)
			continue;
		snprintf(text, sizeof(text), "%s:%s", reference_familiar(reference.repository),
			reference.tag ? reference.tag : REFERENCE_DEFAULT_TAG);
		reference_finish(&reference);
		task_say(task, "Loaded image: %s\n", text);
		task->event("load", added->id, text, task->event_data);
	}
}

int load_image(struct load_archive *archive, const char *config, size_t config_len, char *const *names,
	struct err **reterr)
{
	struct image_added added;
	int r = store_image_add(archive->task->job, config, config_len, names, &added, reterr);

	if (r < 0)
		return r;
	tell_renamed(archive->task, &added);
	tell_loaded(archive->task, &added, names);
	image_added_finish(&added);
	archive->loaded++;
	return 0;
}
