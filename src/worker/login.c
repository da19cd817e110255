#include "worker/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/reference.h"
#include "registry/registry.h"

int login_run(struct task *task, const struct handover *handover, struct err **reterr)
{
	_autofree_(registry) struct registry *registry = NULL;
	_cleanup_free_ char *server = reference_registry(handover->auth->server_address), *repository = NULL;
	struct handover_registry settings = *handover->registry;

	if (!server || asprintf(&repository, "%s/", server) < 0) {
		repository = NULL;
		return err_oom(reterr);
	}
	settings.mirrors = NULL; /* they are not the registry that the user means */
	struct reference reference = { .repository = repository };
	struct registry_options options = {
		.reference = &reference,
		.settings = &settings,
		.cancelled = task_is_cancelled,
		.cancelled_user = task,
		.login = handover->auth,
	};
	int r = registry_open(&options, &registry, reterr);
	if (r == 0)
		r = registry_login(registry, reterr);
	if (r == 0)
		client_tell(task->client, json_pack("{s:s, s:s}", "Status", "Login Succeeded", "IdentityToken", ""));
	return r;
}
