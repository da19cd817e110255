#include "runtime/scope_properties.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/parse.h"
#include "codec/dbus_text.h"
#include "runtime/resources_internal.h"

#define UNLIMITED         UINT64_MAX
#define USEC_PER_SEC      1000000
#define CPU_PERIOD_US     100000
#define QUOTA_STEP_US     10000
#define ANNOTATION_PREFIX "org.systemd.property."
#define MASK_BYTES        1024 /* of 8,192 CPUs: more than resources_check lets through */

static void property_begin(struct dbus_body *body, const char *name, const char *signature)
{
	dbus_put_align(body, 8);
	dbus_put_string(body, name);
	if (signature)
		dbus_put_signature(body, signature);
}

void property_text(struct dbus_body *body, const char *name, const char *value)
{
	property_begin(body, name, "s");
	dbus_put_string(body, value);
}

void property_bool(struct dbus_body *body, const char *name, bool value)
{
	property_begin(body, name, "b");
	dbus_put_u32(body, value);
}

void property_u64(struct dbus_body *body, const char *name, uint64_t value)
{
	property_begin(body, name, "t");
	dbus_put_u64(body, value);
}

void property_pid(struct dbus_body *body, pid_t pid)
{
	property_begin(body, "PIDs", "au");
	size_t array = dbus_array_begin(body, 4);
	dbus_put_u32(body, (uint32_t)pid);
	dbus_array_end(body, array, 4);
}

static void put_limit(struct dbus_body *body, const char *name, const struct json_opt_int *limit)
{
	if (limit->set && limit->value)
		property_u64(body, name, limit->value < 0 ? UNLIMITED : (uint64_t)limit->value);
}

/* ---- processors ---- */

/* A bit for each number of "0-3,7", the first in the lowest place of the first byte. */
static void put_mask(struct dbus_body *body, const char *name, const char *list)
{
	uint8_t mask[MASK_BYTES] = { 0 };
	size_t used = 0;

	if (!list || !*list)
		return;
	for (const char *at = list; *at; at += *at == ',') {
		char *end;
		unsigned long low = strtoul(at, &end, 10), high = *end == '-' ? strtoul(end + 1, &end, 10) : low;
		if (end == at || high >= 8 * sizeof(mask))
			return; /* the files' own check says why */
		for (unsigned long cpu = low; cpu <= high; cpu++)
			mask[cpu / 8] |= (uint8_t)(1U << cpu % 8);
		used = high / 8 + 1 > used ? high / 8 + 1 : used;
		at = end;
		if (*at && *at != ',' && *at != '\n')
			return;
		at += *at == '\n';
	}
	property_begin(body, name, "ay");
	size_t array = dbus_array_begin(body, 1);
	for (size_t i = 0; i < used; i++)
		dbus_put_byte(body, mask[i]);
	dbus_array_end(body, array, 1);
}

/* systemd keeps hundredths of a processor, so a little more is given to it than to the kernel. */
static void put_quota(struct dbus_body *body, int64_t quota, int64_t period)
{
	uint64_t per_second = UNLIMITED;

	if (period <= 0)
		period = CPU_PERIOD_US;
	if (quota > 0 && quota < INT64_MAX / USEC_PER_SEC / 2 && period < INT64_MAX / QUOTA_STEP_US / 2) {
		int64_t step = period * QUOTA_STEP_US;
		per_second = (uint64_t)((quota * USEC_PER_SEC + step - 1) / step * QUOTA_STEP_US);
	}
	property_u64(body, "CPUQuotaPeriodUSec", (uint64_t)period);
	property_u64(body, "CPUQuotaPerSecUSec", per_second);
}

static void put_cpu(struct dbus_body *body, const struct oci_cpu *cpu, bool is_v2)
{
	if (is_v2 && cpu->idle.set && cpu->idle.value)
		property_u64(body, "CPUWeight", 0);
	else if (is_v2 && cpu->shares.set && cpu->shares.value)
		property_u64(body, "CPUWeight", resources_cpu_weight(cpu->shares.value));
	else if (!is_v2)
		put_limit(body, "CPUShares", &cpu->shares);
	if ((cpu->quota.set && cpu->quota.value) || (cpu->period.set && cpu->period.value))
		put_quota(body, cpu->quota.value, cpu->period.value);
	if (is_v2) { /* of v1's sets it knows nothing */
		put_mask(body, "AllowedCPUs", cpu->cpus);
		put_mask(body, "AllowedMemoryNodes", cpu->mems);
	}
}

/* ---- memory, and v2's own words ---- */

static void put_memory(struct dbus_body *body, const struct oci_memory *memory, bool is_v2)
{
	const struct json_opt_int *swap = &memory->swap, *limit = &memory->limit;

	put_limit(body, is_v2 ? "MemoryMax" : "MemoryLimit", limit);
	if (!is_v2)
		return;
	put_limit(body, "MemoryLow", &memory->reservation);
	if (swap->set && swap->value < 0)
		property_u64(body, "MemorySwapMax", UNLIMITED);
	else if (swap->set && swap->value && limit->set && limit->value > 0 && swap->value >= limit->value)
		property_u64(body, "MemorySwapMax", (uint64_t)(swap->value - limit->value));
}

static void put_unified(struct dbus_body *body, const struct map *unified)
{
	static const struct {
		const char *file;
		const char *property;
	} plain[] = { { "memory.min", "MemoryMin" }, { "memory.low", "MemoryLow" }, { "memory.high", "MemoryHigh" },
		{ "memory.max", "MemoryMax" }, { "memory.swap.max", "MemorySwapMax" }, { "pids.max", "TasksMax" },
		{ "cpu.weight", "CPUWeight" } };
	const char *value;
	uint64_t number;
	long long quota, period = CPU_PERIOD_US;

	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		value = map_get(unified, plain[i].file);
		if (value && strcmp(value, "max") == 0)
			property_u64(body, plain[i].property, UNLIMITED);
		else if (value && parse_u64(value, UINT64_MAX, &number) == 0)
			property_u64(body, plain[i].property, number);
	}
	put_mask(body, "AllowedCPUs", map_get(unified, "cpuset.cpus"));
	put_mask(body, "AllowedMemoryNodes", map_get(unified, "cpuset.mems"));
	value = map_get(unified, "cpu.max");
	if (value && strncmp(value, "max", 3) == 0) {
		sscanf(value + 3, "%lld", &period);
		put_quota(body, -1, period);
	} else if (value && sscanf(value, "%lld %lld", &quota, &period) >= 1) {
		put_quota(body, quota, period);
	}
}

/* ---- devices ---- */

static bool is_all(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->major == DEVICE_ANY && rule->minor == DEVICE_ANY &&
	       rule->access == DEVICE_ALL;
}

/* Its list has no exceptions and no minor numbers of every major: what it can't say it leaves to ours. */
static bool can_say(const struct device_rule *rule)
{
	return !rule->allow || rule->minor == DEVICE_ANY || (rule->major != DEVICE_ANY && rule->type != 'a');
}

static void put_device(struct dbus_body *body, const struct device_rule *rule, char type)
{
	const char *class = type == 'c' ? "char" : "block";
	char name[64], access[4];

	if (rule->major == DEVICE_ANY)
		snprintf(name, sizeof(name), "%s-*", class);
	else if (rule->minor == DEVICE_ANY)
		snprintf(name, sizeof(name), "%s-%lld", class, (long long)rule->major);
	else
		snprintf(name, sizeof(name), "/dev/%s/%lld:%lld", class, (long long)rule->major,
			(long long)rule->minor);
	snprintf(access, sizeof(access), "%s%s%s", rule->access & DEVICE_READ ? "r" : "",
		rule->access & DEVICE_WRITE ? "w" : "", rule->access & DEVICE_MKNOD ? "m" : "");
	dbus_put_align(body, 8);
	dbus_put_string(body, name);
	dbus_put_string(body, access);
}

static void put_devices(struct dbus_body *body, const struct oci_resources *resources)
{
	_cleanup_free_ struct device_rule *rules = NULL;
	size_t count = 0, first = 0;
	bool is_open = false;

	if (resources_device_rules(resources, &rules, &count, NULL) < 0)
		return; /* what is wrong with them is said where the files are written */
	for (size_t i = 0; i < count; i++)
		if (is_all(&rules[i])) {
			is_open = rules[i].allow;
			first = i;
		}
	for (size_t i = first; i < count; i++)
		is_open |= !can_say(&rules[i]);
	property_text(body, "DevicePolicy", is_open ? "auto" : "strict");
	property_begin(body, "DeviceAllow", "a(ss)");
	size_t array = dbus_array_begin(body, 8);
	dbus_array_end(body, array, 8); /* an empty one forgets those of before */
	if (is_open)
		return;
	property_begin(body, "DeviceAllow", "a(ss)");
	array = dbus_array_begin(body, 8);
	for (size_t i = first; i < count; i++) {
		if (rules[i].allow && rules[i].type != 'b')
			put_device(body, &rules[i], 'c');
		if (rules[i].allow && rules[i].type != 'c')
			put_device(body, &rules[i], 'b');
	}
	dbus_array_end(body, array, 8);
}

void scope_put_resources(struct dbus_body *body, const struct oci_resources *resources, bool is_v2, bool new_devices)
{
	if (new_devices || (resources && resources->device_count))
		put_devices(body, resources);
	if (!resources)
		return;
	put_cpu(body, &resources->cpu, is_v2);
	put_memory(body, &resources->memory, is_v2);
	put_limit(body, "TasksMax", &resources->pids.limit);
	put_limit(body, is_v2 ? "IOWeight" : "BlockIOWeight", &resources->block_io.weight);
	if (is_v2 && resources->unified)
		put_unified(body, resources->unified);
}

/* ---- annotations ---- */

static int put_seconds(struct dbus_body *body, const char *name, const char *text)
{
	_cleanup_free_ char *whole = NULL;
	const char *number = text + (strspn(text, "abcdefghijklmnopqrstuvwxyz") ? strcspn(text, " ") : 0);
	char *end;
	double seconds = strtod(number, &end);

	if (end == number || *end || !isfinite(seconds) || seconds < 0 ||
		seconds > (double)INT64_MAX / USEC_PER_SEC / 2)
		return -EINVAL;
	if (asprintf(&whole, "%.*sUSec", (int)(strlen(name) - 3), name) < 0)
		return -ENOMEM;
	property_u64(body, whole, (uint64_t)(seconds * USEC_PER_SEC));
	return body->r;
}

int scope_put_annotations(struct dbus_body *body, const struct map *annotations, struct err **reterr)
{
	struct map_entry *entry;

	if (!annotations)
		return 0;
	map_foreach (entry, annotations) {
		if (strncmp(entry->key, ANNOTATION_PREFIX, strlen(ANNOTATION_PREFIX)) != 0)
			continue;
		const char *name = entry->key + strlen(ANNOTATION_PREFIX), *text = entry->value;
		size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
		int r = len < 3 || name[len] ? -EINVAL : 0;
		if (r < 0)
			return err_set(reterr, ERR_INVALID, 0, "annotation %s: not the name of a property of systemd's",
				entry->key);
		bool is_seconds = len > 4 && strcmp(name + len - 3, "Sec") == 0 && name[len - 4] != 'U';
		if (is_seconds) {
			r = put_seconds(body, name, text);
		} else {
			property_begin(body, name, NULL);
			r = dbus_put_variant_text(body, text);
		}
		if (r < 0)
			return err_set(reterr, ERR_INVALID, 0,
				"annotation %s: \"%.100s\" is not a value in GVariant's text form", entry->key, text);
	}
	return 0;
}
