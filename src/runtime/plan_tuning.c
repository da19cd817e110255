/* The parts of the plan that say how the kernel schedules the process; their values were checked by spec/oci_validate.c. */
#include <errno.h>
#include <stdlib.h>

#include "base/strv.h"
#include "runtime/plan.h"
#include "spec/oci_check.h"

static int fill_scheduling(struct plan_tuning *tuning, const struct oci_scheduler *spec, struct err **reterr)
{
	struct scheduling *out = &tuning->scheduling;
	int policy = scheduling_policy(spec->policy);

	if (policy < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid scheduling policy %s", spec->policy);
	out->policy = (uint32_t)policy;
	strv_foreach (name, spec->flags) {
		int flag = scheduling_flag(*name);
		if (flag < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid scheduling flag %s", *name);
		out->flags |= (uint64_t)flag;
	}
	out->nice = (int32_t)spec->nice.value;
	out->priority = (uint32_t)spec->priority.value;
	out->runtime_ns = (uint64_t)spec->runtime.value;
	out->deadline_ns = (uint64_t)spec->deadline.value;
	out->period_ns = (uint64_t)spec->period.value;
	tuning->has_scheduling = true;
	return 0;
}

static int fill_set(const char *list, const char *what, bool *has, struct number_set *out, struct err **reterr)
{
	if (!list || !*list)
		return 0;
	*has = true;
	if (oci_number_list_bits(list, out->words, NUMBER_SET_BITS) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid list of %s \"%s\"", what, list);
	return 0;
}

static int fill_memory_policy(struct plan_tuning *tuning, const struct oci_memory_policy *spec, struct err **reterr)
{
	bool has_nodes = false;
	int mode = memory_policy_mode(spec->mode);

	if (mode < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid memory policy %s", spec->mode ? spec->mode : "");
	strv_foreach (name, spec->flags) {
		int flag = memory_policy_flag(*name);
		if (flag < 0)
			return err_set(reterr, ERR_INVALID, 0, "invalid memory policy flag %s", *name);
		mode |= flag;
	}
	tuning->memory_mode = mode;
	tuning->has_memory_policy = true;
	return fill_set(spec->nodes, "memory nodes", &has_nodes, &tuning->memory_nodes, reterr);
}

static int fill_io_priority(struct plan_tuning *tuning, const struct oci_io_priority *spec, struct err **reterr)
{
	tuning->io_class = io_priority_class(spec->io_class);
	if (tuning->io_class < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid ioPriority class %s", spec->io_class);
	tuning->io_level = (int)spec->priority;
	tuning->has_io_priority = true;
	return 0;
}

static int fill_personality(struct plan_tuning *tuning, const struct oci_personality *spec, struct err **reterr)
{
	int domain = personality_domain(spec->domain);

	if (domain < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid personality domain %s",
			spec->domain ? spec->domain : "");
	tuning->personality = (unsigned long)domain;
	tuning->has_personality = true;
	return 0;
}

int plan_tuning_fill(struct plan_process *process, const struct oci_process *spec, const struct oci_linux *config,
	bool is_exec, struct err **reterr)
{
	const struct oci_cpu_affinity *affinity = is_exec ? spec->exec_cpu_affinity : NULL;
	const struct oci_memory_policy *policy = config ? config->memory_policy : NULL;
	const struct oci_personality *personality = config ? config->personality : NULL;
	int r = 0;

	if (!spec->scheduler && !spec->io_priority && !affinity && !policy && !personality)
		return 0;
	struct plan_tuning *tuning = process->tuning = calloc(1, sizeof(*tuning));
	if (!tuning)
		return err_oom(reterr);
	if (spec->scheduler)
		r = fill_scheduling(tuning, spec->scheduler, reterr);
	if (r == 0 && spec->io_priority)
		r = fill_io_priority(tuning, spec->io_priority, reterr);
	if (r == 0 && affinity)
		r = fill_set(affinity->initial, "CPUs", &tuning->has_first_cpus, &tuning->first_cpus, reterr);
	if (r == 0 && affinity)
		r = fill_set(affinity->final, "CPUs", &tuning->has_cpus, &tuning->cpus, reterr);
	if (r == 0 && policy)
		r = fill_memory_policy(tuning, policy, reterr);
	return r < 0 || !personality ? r : fill_personality(tuning, personality, reterr);
}
