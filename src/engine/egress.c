#include "engine/egress.h"

#include <string.h>

#include "base/strv.h"
#include "spec/egress.h"

/* Their namespace is somebody else's, whose policy counts. */
static int check_mode(const char *mode, struct err **reterr)
{
	const char *other = mode && strcmp(mode, "host") == 0              ? "host"
			    : mode && strncmp(mode, "container:", 10) == 0 ? "container"
									   : NULL;
	return other ? err_set(reterr, ERR_INVALID, 0, "conflicting options: egress policy and the %s network mode",
			       other)
		     : 0;
}

int egress_settle(char *const *words, const struct host_config *host, char ***ret, struct err **reterr)
{
	struct egress egress;
	*ret = NULL;
	int r = egress_parse(words, &egress, reterr);
	if (r == 0 && egress_is_set(&egress)) {
		r = check_mode(host->network_mode, reterr);
		if (r == 0 && egress_print(&egress, ret) < 0)
			r = err_oom(reterr);
	}
	egress_finish(&egress);
	return r;
}

int egress_complete(struct container_record *record, struct err **reterr)
{
	struct host_config *host = &record->host;
	_autofree_(strv) char **words = TAKE(host->egress);
	const char *label = record->config.labels ? map_get(record->config.labels, EGRESS_LABEL) : NULL;
	if (!words && label && egress_split(label, &words) < 0)
		return err_oom(reterr);
	return egress_settle(words, host, &host->egress, reterr);
}
