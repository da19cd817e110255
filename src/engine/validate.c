#include "engine/validate.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/parse.h"
#include "base/strv.h"
#include "engine/logopts.h"
#include "engine/ports.h"
#include "engine/rules.h"
#include "engine/security.h"
#include "sys/caps.h"
#include "sys/signals.h"

#define HOSTNAME_MAX    64 /* of the kernel */
#define OOM_SCORE_MAX   1000
#define HEALTH_MIN_NS   NS_PER_MS
#define ENV_ENTRIES_MAX 100000

bool validate_is_plain(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}

static bool is_set(const char *text)
{
	return text && text[0];
}

/* --- the container's own part --- */

static int validate_names(const struct container_config *config, struct err **reterr)
{
	const struct {
		const char *what, *value;
	} names[] = { { "hostname", config->hostname }, { "domainname", config->domainname } };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *value = names[i].value ? names[i].value : "";
		if (strlen(value) > HOSTNAME_MAX || !validate_is_plain(value) || strpbrk(value, " /"))
			return err_set(reterr, ERR_INVALID, 0,
				"invalid %s: at most %d characters, without blanks, slashes and control characters",
				names[i].what, HOSTNAME_MAX);
	}
	if (is_set(config->working_dir) && config->working_dir[0] != '/')
		return err_set(reterr, ERR_INVALID, 0,
			"the working directory '%s' is invalid, it needs to be an absolute path", config->working_dir);
	if (config->user && !validate_is_plain(config->user))
		return err_set(reterr, ERR_INVALID, 0, "invalid user: it has a control character");
	return 0;
}

static int validate_env(const struct container_config *config, struct err **reterr)
{
	size_t count = 0;
	strv_foreach (entry, config->env) {
		if ((*entry)[0] == '=' || (*entry)[0] == '\0')
			return err_set(reterr, ERR_INVALID, 0, "invalid environment variable: %s", *entry);
		if (++count > ENV_ENTRIES_MAX)
			return err_set(reterr, ERR_INVALID, 0, "more than %d environment variables", ENV_ENTRIES_MAX);
	}
	return 0;
}

static int validate_stop(const struct container_config *config, struct err **reterr)
{
	if (is_set(config->stop_signal) && signal_parse(config->stop_signal) < 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid signal: %s", config->stop_signal);
	if (config->stop_timeout_s.set &&
		(config->stop_timeout_s.value < -1 || config->stop_timeout_s.value > INT32_MAX))
		return err_set(reterr, ERR_INVALID, 0,
			"invalid stop timeout: it is -1 (no limit) or a number of seconds");
	return 0;
}

static int validate_health(const struct healthcheck *check, struct err **reterr)
{
	if (!check)
		return 0;
	const struct {
		const char *what;
		int64_t value_ns;
	} times[] = { { "Interval", check->interval_ns }, { "Timeout", check->timeout_ns },
		{ "StartPeriod", check->start_period_ns }, { "StartInterval", check->start_interval_ns } };
	for (size_t i = 0; i < ARRAY_SIZE(times); i++) {
		if (times[i].value_ns != 0 && times[i].value_ns < HEALTH_MIN_NS)
			return err_set(reterr, ERR_INVALID, 0, "%s in Healthcheck cannot be less than 1ms",
				times[i].what);
	}
	if (check->retries < 0)
		return err_set(reterr, ERR_INVALID, 0, "Retries in Healthcheck cannot be negative");
	const char *kind = check->test ? check->test[0] : NULL;
	if (is_set(kind) && strcmp(kind, "NONE") != 0 && strcmp(kind, "CMD") != 0 && strcmp(kind, "CMD-SHELL") != 0)
		return err_set(reterr, ERR_INVALID, 0, "Unknown healthcheck type '%s' (expected 'CMD')", kind);
	return 0;
}

/* "80", "80/tcp", "8000-8010/udp". */
static bool is_port(const char *text)
{
	char port[16];
	const char *protocol = strchrnul(text, '/');
	size_t len = (size_t)(protocol - text);
	if (*protocol && strcmp(protocol, "/tcp") != 0 && strcmp(protocol, "/udp") != 0 &&
		strcmp(protocol, "/sctp") != 0)
		return false;
	if (len >= sizeof(port))
		return false;
	memcpy(port, text, len);
	port[len] = '\0';
	char *dash = strchr(port, '-');
	uint64_t first, last;
	if (dash)
		*dash = '\0';
	if (parse_u64(port, UINT16_MAX, &first) < 0)
		return false;
	last = first;
	return (!dash || parse_u64(dash + 1, UINT16_MAX, &last) == 0) && last >= first;
}

static int validate_exposed(const struct container_config *config, struct err **reterr)
{
	strv_foreach (port, config->exposed_ports) {
		if (!is_port(*port))
			return err_set(reterr, ERR_INVALID, 0, "invalid port specification: \"%s\"", *port);
	}
	return 0;
}

int validate_config(const struct container_config *config, struct err **reterr)
{
	int r = validate_names(config, reterr);
	if (r == 0)
		r = validate_env(config, reterr);
	if (r == 0)
		r = validate_stop(config, reterr);
	if (r == 0)
		r = validate_health(config->healthcheck, reterr);
	return r < 0 ? r : validate_exposed(config, reterr);
}

/* --- the host's part --- */

int validate_restart_policy(const struct restart_policy *policy, bool auto_remove, struct err **reterr)
{
	const char *name = policy->name ? policy->name : "";
	bool is_none = !name[0] || strcmp(name, "no") == 0;
	bool is_failure = strcmp(name, "on-failure") == 0;
	if (!is_none && !is_failure && strcmp(name, "always") != 0 && strcmp(name, "unless-stopped") != 0)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid restart policy: unknown policy '%s'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'",
			name);
	if (policy->maximum_retry_count < 0)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid restart policy: maximum retry count cannot be negative");
	if (policy->maximum_retry_count > 0 && !is_failure)
		return err_set(reterr, ERR_INVALID, 0,
			"invalid restart policy: maximum retry count can only be used with 'on-failure'");
	if (auto_remove && !is_none)
		return err_set(reterr, ERR_INVALID, 0, "can't create 'AutoRemove' container with restart policy");
	return 0;
}

/* Named as the kernel would, whichever way it was written. */
static int refuse_capability(const char *member, const char *name, struct err **reterr)
{
	bool prefixed = strncasecmp(name, "CAP_", 4) == 0;
	_cleanup_free_ char *shown = NULL;
	if (asprintf(&shown, "%s%s", prefixed ? "" : "CAP_", name) < 0)
		return err_oom(reterr);
	for (char *c = shown; *c; c++)
		*c = (char)toupper((unsigned char)*c);
	return err_set(reterr, ERR_INVALID, 0, "invalid %s: unknown capability: \"%s\"", member, shown);
}

static int validate_capabilities(char *const *names, const char *member, struct err **reterr)
{
	strv_foreach (name, names) {
		if (strcasecmp(*name, "ALL") != 0 && cap_from_name(*name) < 0)
			return refuse_capability(member, *name, reterr);
	}
	return 0;
}

static int validate_addresses(const struct host_config *host, struct err **reterr)
{
	unsigned char address[sizeof(struct in6_addr)];
	strv_foreach (server, host->dns) {
		if (inet_pton(AF_INET, *server, address) != 1 && inet_pton(AF_INET6, *server, address) != 1)
			return err_set(reterr, ERR_INVALID, 0, "invalid IP address: %s", *server);
	}
	char *const *const texts[] = { host->dns_search, host->dns_options };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		strv_foreach (text, texts[i]) {
			if (!validate_is_plain(*text) || strchr(*text, ' '))
				return err_set(reterr, ERR_INVALID, 0, "invalid DNS search domain or option");
		}
	}
	strv_foreach (entry, host->extra_hosts) {
		const char *colon = strchr(*entry, ':');
		if (!colon || colon == *entry || !validate_is_plain(*entry))
			return err_set(reterr, ERR_INVALID, 0, "bad format for add-host: \"%s\"", *entry);
		const char *value = colon + 1;
		char bare[INET6_ADDRSTRLEN + 2];
		size_t len = strlen(value);
		if (strcmp(value, "host-gateway") == 0)
			continue;
		if (len > 2 && value[0] == '[' && value[len - 1] == ']' && len - 2 < sizeof(bare)) {
			memcpy(bare, value + 1, len - 2);
			bare[len - 2] = '\0';
			value = bare;
		}
		if (inet_pton(AF_INET, value, address) != 1 && inet_pton(AF_INET6, value, address) != 1)
			return err_set(reterr, ERR_INVALID, 0, "invalid IP address in add-host: \"%s\"", colon + 1);
	}
	return 0;
}

static bool is_one_of(const char *word, const char *const *words)
{
	for (; *words; words++) {
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

static bool is_container_mode(const char *mode)
{
	return strncmp(mode, "container:", 10) == 0 && mode[10];
}

static int validate_modes(const struct host_config *host, struct err **reterr)
{
	static const char *const ipc[] = { "", "private", "shareable", "host", "none", NULL };
	static const char *const host_only[] = { "", "host", NULL };
	static const char *const cgroupns[] = { "", "private", "host", NULL };
	const struct {
		const char *value, *what;
		const char *const *words;
		bool container;
	} modes[] = {
		{ host->ipc_mode, "IPC", ipc, true },
		{ host->pid_mode, "PID", host_only, true },
		{ host->uts_mode, "UTS", host_only, false },
		{ host->userns_mode, "user namespace", host_only, false },
		{ host->cgroupns_mode, "cgroup namespace", cgroupns, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		const char *value = modes[i].value ? modes[i].value : "";
		if (!is_one_of(value, modes[i].words) && !(modes[i].container && is_container_mode(value)))
			return err_set(reterr, ERR_INVALID, 0, "invalid %s mode: %s", modes[i].what, value);
	}
	return 0;
}

/* Modes of networks, and what can't be together with them. */
static int validate_network(const struct host_config *host, const struct container_config *config, char ***warnings,
	struct err **reterr)
{
	const char *mode = host->network_mode ? host->network_mode : "";
	bool is_host = strcmp(mode, "host") == 0;
	bool publishes = ports_wanted(host, config);
	const char *port;
	json_t *bindings;
	json_object_foreach (host->port_bindings, port, bindings) {
		if (!is_port(port))
			return err_set(reterr, ERR_INVALID, 0, "invalid port specification: \"%s\"", port);
	}
	int r = ports_check(host, reterr);
	if (r < 0)
		return r;
	if (strv_count(host->links) > 0 && (is_host || strncmp(mode, "container:", 10) == 0))
		return err_set(reterr, ERR_INVALID, 0,
			"conflicting options: %s type networking can't be used with links",
			is_host ? "host" : "container");
	if (strncmp(mode, "container:", 10) == 0) {
		if (!mode[10])
			return err_set(reterr, ERR_INVALID, 0, "invalid network mode: %s", mode);
		if (is_set(config->hostname))
			return err_set(reterr, ERR_INVALID, 0, "conflicting options: hostname and the network mode");
		if (strv_count(host->dns) > 0)
			return err_set(reterr, ERR_INVALID, 0, "conflicting options: dns and the network mode");
		if (strv_count(host->extra_hosts) > 0)
			return err_set(reterr, ERR_INVALID, 0,
				"conflicting options: custom host-to-IP mapping and the network mode");
		if (publishes)
			return err_set(reterr, ERR_INVALID, 0,
				"conflicting options: port publishing and the container type network mode");
		return 0;
	}
	if (publishes && is_host &&
		strv_appendf(warnings, "Published ports are discarded when using %s network mode", mode) < 0)
		return err_oom(reterr);
	return 0;
}

/* kernel.* of the IPC namespace, net.* of the network's: only while the container has its own. */
static int validate_sysctl(const char *name, const char *value, const struct host_config *host, struct err **reterr)
{
	const char *network = host->network_mode ? host->network_mode : "";
	const char *ipc = host->ipc_mode ? host->ipc_mode : "";
	if (!rules_sysctl_is_namespaced(name))
		return err_set(reterr, ERR_INVALID, 0,
			"sysctl '%s' is not allowed: it is not in a separate kernel namespace", name);
	if (!validate_is_plain(value))
		return err_set(reterr, ERR_INVALID, 0, "sysctl '%s': its value has a control character", name);
	if (rules_sysctl_is_network(name) && strcmp(network, "host") == 0)
		return err_set(reterr, ERR_INVALID, 0, "sysctl '%s' not allowed in host network namespace", name);
	if (rules_sysctl_is_ipc(name) && strcmp(ipc, "host") == 0)
		return err_set(reterr, ERR_INVALID, 0, "sysctl '%s' not allowed in host ipc namespace", name);
	return 0;
}

static int validate_sysctls(const struct host_config *host, struct err **reterr)
{
	struct map_entry *entry;
	for (size_t cursor = 0; host->sysctls && (entry = map_next(host->sysctls, &cursor));) {
		int r = validate_sysctl(entry->key, entry->value, host, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static int validate_rest(const struct host_config *host, const struct container_config *config, struct err **reterr)
{
	const char *runtime = host->runtime ? host->runtime : "";
	const char *isolation = host->isolation ? host->isolation : "";
	if (host->shm_size < 0)
		return err_set(reterr, ERR_INVALID, 0, "SHM size can not be less than 0");
	if (host->oom_score_adj < -OOM_SCORE_MAX || host->oom_score_adj > OOM_SCORE_MAX)
		return err_set(reterr, ERR_INVALID, 0, "Invalid value %lld, range for oom score adj is [-1000, 1000]",
			(long long)host->oom_score_adj);
	if (runtime[0] && strcmp(runtime, "tare") != 0 && strcmp(runtime, "runc") != 0)
		return err_set(reterr, ERR_INVALID, 0, "unknown or invalid runtime name: %s", runtime);
	if (isolation[0] && strcmp(isolation, "default") != 0)
		return err_set(reterr, ERR_INVALID, 0, "invalid isolation (%s): linux only supports 'default'",
			isolation);
	if (host->storage_opt && map_count(host->storage_opt) > 0)
		return err_set(reterr, ERR_INVALID, 0, "storage options are not supported by the storage driver");
	if (is_set(host->uts_mode) && (is_set(config->hostname) || is_set(config->domainname)))
		return err_set(reterr, ERR_INVALID, 0, "conflicting options: hostname and the UTS mode");
	if (is_set(host->volume_driver) && strcmp(host->volume_driver, "local") != 0)
		return err_set(reterr, ERR_NOT_FOUND, 0, "error looking up volume plugin %s: plugin \"%s\" not found",
			host->volume_driver, host->volume_driver);
	strv_foreach (group, host->group_add) {
		if (!validate_is_plain(*group))
			return err_set(reterr, ERR_INVALID, 0, "invalid additional group: it has a control character");
	}
	return 0;
}

int validate_host(const struct host_config *host, const struct container_config *config, char ***warnings,
	struct err **reterr)
{
	int r = validate_restart_policy(&host->restart_policy, host->auto_remove, reterr);
	if (r == 0)
		r = validate_resources(&host->resources, warnings, reterr);
	if (r == 0)
		r = validate_capabilities(host->cap_add, "CapAdd", reterr);
	if (r == 0)
		r = validate_capabilities(host->cap_drop, "CapDrop", reterr);
	if (r == 0)
		r = validate_addresses(host, reterr);
	if (r == 0)
		r = validate_modes(host, reterr);
	if (r == 0)
		r = validate_network(host, config, warnings, reterr);
	if (r == 0)
		r = validate_sysctls(host, reterr);
	if (r == 0)
		r = security_validate(host->security_opt, reterr);
	if (r == 0)
		r = logopts_validate(&host->log, reterr);
	return r < 0 ? r : validate_rest(host, config, reterr);
}
