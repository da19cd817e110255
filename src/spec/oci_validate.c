#include "spec/oci_validate.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/strv.h"
#include "spec/oci_check.h"
#include "spec/oci_linux_check.h"

#define HOSTNAME_MAX 64

/* --- process --- */

static int check_user(const struct oci_user *user, struct err **reterr)
{
	static const char problem[] = "is not between 0 and 4294967294";
	if (!oci_is_id(user->uid))
		return oci_bad(reterr, problem, "process.user.uid");
	if (!oci_is_id(user->gid))
		return oci_bad(reterr, problem, "process.user.gid");
	for (size_t i = 0; i < user->additional_gid_count; i++)
		if (!oci_is_id(user->additional_gids[i]))
			return oci_bad(reterr, problem, "process.user.additionalGids[%zu]", i);
	if (user->umask.set && (user->umask.value < 0 || user->umask.value > 0777))
		return oci_bad(reterr, "is not between 0 and 0777", "process.user.umask");
	return 0;
}

static bool is_rlimit(const char *type)
{
	return OCI_IS_ONE_OF(type, "RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE",
		"RLIMIT_LOCKS", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_NOFILE", "RLIMIT_NPROC",
		"RLIMIT_RSS", "RLIMIT_RTPRIO", "RLIMIT_RTTIME", "RLIMIT_SIGPENDING", "RLIMIT_STACK");
}

static int check_rlimits(const struct oci_process *process, struct err **reterr)
{
	for (size_t i = 0; i < process->rlimit_count; i++) {
		const struct oci_rlimit *rlimit = &process->rlimits[i];
		if (!is_rlimit(rlimit->type))
			return oci_bad(reterr, "is no resource limit", "process.rlimits[%zu].type", i);
		if (rlimit->soft > rlimit->hard)
			return oci_bad(reterr, "is above hard", "process.rlimits[%zu].soft", i);
		for (size_t k = 0; k < i; k++)
			if (strcmp(rlimit->type, process->rlimits[k].type) == 0)
				return oci_bad(reterr, "is there twice", "process.rlimits[%zu].type", i);
	}
	return 0;
}

/* One that is not known here may be a newer kernel's: whoever uses them leaves it out, and says so. */
static int check_capability_set(const char *set, char *const *names, struct err **reterr)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
	strv_foreach (name, names)
		if (!**name || (*name)[strspn(*name, letters)])
			return oci_bad(reterr, "has a name that is no capability", "process.capabilities.%s", set);
	return 0;
}

static int check_capabilities(const struct oci_capabilities *sets, struct err **reterr)
{
	int r = sets ? check_capability_set("bounding", sets->bounding, reterr) : 0;
	if (sets && r == 0)
		r = check_capability_set("effective", sets->effective, reterr);
	if (sets && r == 0)
		r = check_capability_set("permitted", sets->permitted, reterr);
	if (sets && r == 0)
		r = check_capability_set("inheritable", sets->inheritable, reterr);
	if (sets && r == 0)
		r = check_capability_set("ambient", sets->ambient, reterr);
	return r;
}

#define DEADLINE_SHORTEST_NS 1024 /* the kernel's */

/* What the kernel would say no more of than that it is invalid, in crun's words. */
static int check_deadline(const struct oci_scheduler *scheduler, struct err **reterr)
{
	int64_t runtime = scheduler->runtime.value, deadline = scheduler->deadline.value;
	int64_t period = scheduler->period.value;

	if (!scheduler->runtime.set)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` requires `runtime`", "process.scheduler");
	if (!scheduler->deadline.set)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` requires `deadline`", "process.scheduler");
	if (runtime == 0)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` runtime must be greater than 0",
			"process.scheduler");
	if (runtime < DEADLINE_SHORTEST_NS)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` runtime must be between 1024 and 2^63",
			"process.scheduler");
	if (runtime > deadline)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` runtime must be <= deadline",
			"process.scheduler");
	if (period && deadline > period)
		return oci_bad(reterr, "sched_setattr: `SCHED_DEADLINE` deadline must be <= period",
			"process.scheduler");
	return 0;
}

static int check_scheduler(const struct oci_scheduler *scheduler, struct err **reterr)
{
	if (!scheduler)
		return 0;
	if (!OCI_IS_ONE_OF(scheduler->policy, "SCHED_OTHER", "SCHED_FIFO", "SCHED_RR", "SCHED_BATCH", "SCHED_ISO",
		    "SCHED_IDLE", "SCHED_DEADLINE"))
		return oci_bad(reterr, "is no scheduling policy", "process.scheduler.policy");
	if (scheduler->nice.set && (scheduler->nice.value < -20 || scheduler->nice.value > 19))
		return oci_bad(reterr, "is not between -20 and 19", "process.scheduler.nice");
	if (scheduler->priority.set && (scheduler->priority.value < 0 || scheduler->priority.value > 99))
		return oci_bad(reterr, "is not between 0 and 99", "process.scheduler.priority");
	if (scheduler->priority.value && !OCI_IS_ONE_OF(scheduler->policy, "SCHED_FIFO", "SCHED_RR"))
		return oci_bad(reterr, "can only be specified for SCHED_FIFO or SCHED_RR policy",
			"process.scheduler.priority");
	if ((scheduler->runtime.value || scheduler->deadline.value || scheduler->period.value) &&
		strcmp(scheduler->policy, "SCHED_DEADLINE") != 0)
		return oci_bad(reterr, "can only have runtime, deadline and period with SCHED_DEADLINE policy",
			"process.scheduler");
	if (scheduler->runtime.value < 0 || scheduler->deadline.value < 0 || scheduler->period.value < 0)
		return oci_bad(reterr, "has a time that is negative", "process.scheduler");
	strv_foreach (flag, scheduler->flags)
		if (!OCI_IS_ONE_OF(*flag, "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN",
			    "SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN",
			    "SCHED_FLAG_UTIL_CLAMP_MAX"))
			return oci_bad(reterr, "has a word that is no flag", "process.scheduler.flags");
	return strcmp(scheduler->policy, "SCHED_DEADLINE") == 0 ? check_deadline(scheduler, reterr) : 0;
}

static int check_io_priority(const struct oci_io_priority *priority, struct err **reterr)
{
	if (!priority)
		return 0;
	if (!OCI_IS_ONE_OF(priority->io_class, "IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"))
		return oci_bad(reterr, "is no class", "process.ioPriority.class");
	if (priority->priority < 0 || priority->priority > 7)
		return oci_bad(reterr, "is not between 0 and 7", "process.ioPriority.priority");
	return 0;
}

static int check_tuning(const struct oci_process *process, struct err **reterr)
{
	const struct json_opt_int *score = &process->oom_score_adj;
	if (score->set && (score->value < -1000 || score->value > 1000))
		return oci_bad(reterr, "is not between -1000 and 1000", "process.oomScoreAdj");
	const struct oci_cpu_affinity *affinity = process->exec_cpu_affinity;
	if (affinity && affinity->initial && !oci_is_number_list(affinity->initial))
		return oci_bad(reterr, "is no list of CPUs", "process.execCPUAffinity.initial");
	if (affinity && affinity->final && !oci_is_number_list(affinity->final))
		return oci_bad(reterr, "is no list of CPUs", "process.execCPUAffinity.final");
	const struct oci_console_size *console = process->console_size;
	if (console && (console->height < 0 || console->height > UINT16_MAX || console->width < 0 ||
			       console->width > UINT16_MAX))
		return oci_bad(reterr, "is not between 0 and 65535", "process.consoleSize");
	int r = check_scheduler(process->scheduler, reterr);
	return r < 0 ? r : check_io_priority(process->io_priority, reterr);
}

static int check_words(const struct oci_process *process, struct err **reterr)
{
	size_t i = 0;
	if (!process->args || !process->args[0])
		return oci_bad(reterr, "must not be empty", "process.args");
	if (!oci_is_absolute(process->cwd))
		return oci_bad(reterr, "is not an absolute path", "process.cwd");
	strv_foreach (assignment, process->env) {
		const char *equals = strchr(*assignment, '=');
		if (!equals || equals == *assignment)
			return oci_bad(reterr, "is not of the form NAME=VALUE", "process.env[%zu]", i);
		i++;
	}
	if (process->apparmor_profile && !oci_is_one_line(process->apparmor_profile))
		return oci_bad(reterr, "has a control character", "process.apparmorProfile");
	if (process->selinux_label && !oci_is_one_line(process->selinux_label))
		return oci_bad(reterr, "has a control character", "process.selinuxLabel");
	return 0;
}

int oci_process_validate(const struct oci_process *process, struct err **reterr)
{
	int r = check_words(process, reterr);
	if (r == 0)
		r = check_user(&process->user, reterr);
	if (r == 0)
		r = check_rlimits(process, reterr);
	if (r == 0)
		r = check_capabilities(process->capabilities, reterr);
	return r < 0 ? r : check_tuning(process, reterr);
}

/* --- the rest --- */

static int check_version(const char *version, struct err **reterr)
{
	size_t digits = strspn(version, "0123456789");
	if (!digits || version[digits] != '.' || !oci_is_one_line(version))
		return oci_bad(reterr, "is no version", "ociVersion");
	if (strncmp(version, "1.", 2) != 0)
		return err_set(reterr, ERR_UNSUPPORTED, 0, "ociVersion: %s is not supported, only 1.x is",
			oci_printable(version));
	return 0;
}

/* Both names end up in lines of files, and in the kernel's 64 bytes. */
static int check_name(const struct oci_spec *spec, const char *key, const char *name, struct err **reterr)
{
	if (!name || !*name)
		return 0;
	if (!oci_is_one_line(name) || strchr(name, ' '))
		return oci_bad(reterr, "has a space or control character", "%s", key);
	if (strlen(name) > HOSTNAME_MAX)
		return oci_bad(reterr, "is longer than 64 bytes", "%s", key);
	if (!oci_spec_namespace(spec, "uts"))
		return oci_bad(reterr, "can't be set without a private UTS namespace", "%s", key);
	return 0;
}

static bool is_bind(const struct oci_mount *mount)
{
	return (mount->type && strcmp(mount->type, "bind") == 0) || strv_has(mount->options, "bind") ||
	       strv_has(mount->options, "rbind");
}

static int check_mounts(const struct oci_spec *spec, struct err **reterr)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		const struct oci_mount *mount = &spec->mounts[i];
		if (!mount->destination || !*mount->destination) /* a relative one counts from "/" */
			return oci_bad(reterr, "must not be empty", "mounts[%zu].destination", i);
		if (is_bind(mount) && (!mount->source || !*mount->source))
			return oci_bad(reterr, "is required for a bind mount", "mounts[%zu].source", i);
		int r = oci_check_mappings(mount->uid_mappings, mount->uid_mapping_count, reterr,
			"mounts[%zu].uidMappings", i);
		if (r == 0)
			r = oci_check_mappings(mount->gid_mappings, mount->gid_mapping_count, reterr,
				"mounts[%zu].gidMappings", i);
		if (r < 0)
			return r;
		if (!mount->uid_mapping_count != !mount->gid_mapping_count)
			return oci_bad(reterr, "has mappings of one kind only", "mounts[%zu]", i);
	}
	return 0;
}

static int check_hook_list(const char *name, const struct oci_hook *hooks, size_t count, struct err **reterr)
{
	for (size_t i = 0; i < count; i++) {
		if (!oci_is_absolute(hooks[i].path))
			return oci_bad(reterr, "is not an absolute path", "hooks.%s[%zu].path", name, i);
		if (hooks[i].timeout_s.set &&
			(hooks[i].timeout_s.value < 1 || hooks[i].timeout_s.value > INT_MAX / 1000))
			return oci_bad(reterr, "is not a number of seconds above 0", "hooks.%s[%zu].timeout", name, i);
	}
	return 0;
}

static int check_hooks(const struct oci_hooks *hooks, struct err **reterr)
{
	const struct {
		const char *name;
		const struct oci_hook *hooks;
		size_t count;
	} lists[] = {
		{ "prestart", hooks->prestart, hooks->prestart_count },
		{ "createRuntime", hooks->create_runtime, hooks->create_runtime_count },
		{ "createContainer", hooks->create_container, hooks->create_container_count },
		{ "startContainer", hooks->start_container, hooks->start_container_count },
		{ "poststart", hooks->poststart, hooks->poststart_count },
		{ "poststop", hooks->poststop, hooks->poststop_count },
	};
	int r = 0;
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++)
		r = check_hook_list(lists[i].name, lists[i].hooks, lists[i].count, reterr);
	return r;
}

int oci_spec_validate(const struct oci_spec *spec, struct err **reterr)
{
	int r = check_version(spec->version, reterr);
	if (r == 0 && !spec->root)
		r = oci_bad(reterr, "is required", "root");
	if (r == 0 && spec->process)
		r = oci_process_validate(spec->process, reterr);
	if (r == 0)
		r = check_name(spec, "hostname", spec->hostname, reterr);
	if (r == 0)
		r = check_name(spec, "domainname", spec->domainname, reterr);
	if (r == 0)
		r = check_mounts(spec, reterr);
	if (r == 0)
		r = check_hooks(&spec->hooks, reterr);
	return r < 0 ? r : oci_linux_check(spec, reterr);
}
