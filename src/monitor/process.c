#include "monitor/process.h"

#include <stdlib.h>
#include <string.h>

#include "base/strv.h"
#include "monitor/monitor.h"
#include "sys/caps.h"

static int replace_strv(char ***v, char *const *with)
{
	char **copy = strv_copy(with);
	if (!copy)
		return -1;
	strv_free(*v);
	*v = copy;
	return 0;
}

static int replace_string(char **string, const char *with)
{
	char *copy = strdup(with);
	if (!copy)
		return -1;
	free(*string);
	*string = copy;
	return 0;
}

/* As `docker exec --privileged`: all that Linux has; what this machine's kernel or our own bounding set lacks is left out by the
 * runtime. */
static int grant_all(struct oci_process *process)
{
	if (!process->capabilities)
		process->capabilities = calloc(1, sizeof *process->capabilities);
	if (!process->capabilities)
		return -1;
	char ***const sets[] = { &process->capabilities->bounding, &process->capabilities->effective,
		&process->capabilities->permitted };
	for (size_t i = 0; i < ARRAY_SIZE(sets); i++) {
		strv_free(*sets[i]);
		*sets[i] = NULL;
		for (unsigned number = 0; cap_name(number); number++)
			if (strv_append(sets[i], cap_name(number)) < 0)
				return -1;
	}
	return 0;
}

static int change(struct oci_process *process, const struct exec_config *config)
{
	free(process->console_size); /* the container's, not this terminal's */
	process->console_size = NULL;
	process->terminal = config->tty;
	if (replace_strv(&process->args, config->cmd) < 0)
		return -1;
	if (config->working_dir && *config->working_dir && replace_string(&process->cwd, config->working_dir) < 0)
		return -1;
	if (config->tty && !strv_env_get(process->env, "TERM") && strv_env_set(&process->env, "TERM=xterm") < 0)
		return -1;
	strv_foreach (assignment, config->env)
		if (strv_env_set(&process->env, *assignment) < 0)
			return -1;
	return config->privileged ? grant_all(process) : 0;
}

int process_for_exec(const struct monitor *monitor, const struct exec_config *config, struct process *ret,
	struct err **reterr)
{
	const struct launch *launch = &monitor->launch;

	*ret = (struct process){
		.user = config->user && *config->user ? config->user : launch->user,
		.group_add = launch->group_add,
		.seccomp_fd = monitor->seccomp_fd,
	};
	if (json_clone(&oci_process_table, launch->oci.process, &ret->oci) < 0)
		return err_oom(reterr);
	if (change(&ret->oci, config) == 0)
		return 0;
	process_finish(ret);
	return err_oom(reterr);
}

void process_finish(struct process *process)
{
	json_finish(&oci_process_table, &process->oci);
}
