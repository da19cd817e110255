/*
 * A builder's configuration is an OCI document from the start, of the same defaults as the engine's containers (spec/defaults.h).
 * Setters fail only for want of memory, or because the caller gave a document of his own: that is kept in `failed` and said by create.
 */
#include "library/config.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "base/strv.h"
#include "spec/defaults.h"

#define PERIOD_DEFAULT_US 100000

/* Read by tare-runtime, which then makes the filter for the container's capabilities. */
#define SECCOMP_ANNOTATION "tare.seccomp"

struct tare_config {
	struct oci_spec spec;
	char *document; /* the caller's own, instead */
	size_t document_size;
	char *bundle;
	int failed; /* -errno */
};

static int set_text(char **target, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*target);
	*target = copy;
	return 0;
}

/* ---- the beginning ---- */

static int add_namespaces(struct oci_linux *config)
{
	static const char *const types[] = { "mount", "pid", "ipc", "uts", "cgroup", "network" };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(types); i++)
		r = defaults_add_namespace(config, types[i], NULL);
	return r;
}

static int add_process(struct oci_spec *spec)
{
	struct oci_process *process = spec->process = calloc(1, sizeof(*process));

	if (!process || !(process->capabilities = calloc(1, sizeof(*process->capabilities))))
		return -ENOMEM;
	char ***const sets[] = { &process->capabilities->bounding, &process->capabilities->effective,
		&process->capabilities->permitted };
	int r = set_text(&process->cwd, "/");
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(sets); i++)
		r = strv_extend(sets[i], (char *const *)default_capabilities);
	if (r == 0)
		r = strv_append(&process->env, DEFAULT_PATH_ENV);
	process->no_new_privileges = true;
	return r;
}

static int add_seccomp(struct oci_spec *spec)
{
	char *word = strdup("default");

	if (!spec->annotations)
		spec->annotations = map_new(free);
	if (!word || !spec->annotations || map_set(spec->annotations, SECCOMP_ANNOTATION, word) < 0) {
		free(word);
		return -ENOMEM;
	}
	return 0;
}

static int add_root(tare_config *config, const char *rootfs)
{
	struct oci_root *root = config->spec.root = calloc(1, sizeof(*root));

	if (!root)
		return -ENOMEM;
	root->path = realpath(rootfs, NULL);
	if (!root->path)
		return -errno;
	return set_text(&config->bundle, root->path);
}

/* ---- an ordinary user's ---- */

static int map_own_id(unsigned id, struct oci_id_mapping **ret, size_t *ret_count)
{
	*ret = calloc(1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	**ret = (struct oci_id_mapping){ .container_id = 0, .host_id = id, .size = 1 };
	*ret_count = 1;
	return 0;
}

static void drop_option(char **options, const char *prefix)
{
	char **kept = options;

	for (char **option = options; option && *option; option++)
		if (strncmp(*option, prefix, strlen(prefix)) == 0)
			free(*option);
		else
			*kept++ = *option;
	if (kept)
		*kept = NULL;
}

/* He alone is mapped, as root; a group of another's does not exist then, and his own groups he most likely can't have. */
static int make_rootless(struct oci_spec *spec)
{
	struct oci_linux *config = &spec->linux_config;
	int r = defaults_add_namespace(config, "user", NULL);

	if (r == 0)
		r = map_own_id(geteuid(), &config->uid_mappings, &config->uid_mapping_count);
	if (r == 0)
		r = map_own_id(getegid(), &config->gid_mappings, &config->gid_mapping_count);
	for (size_t i = 0; i < spec->mount_count; i++)
		drop_option(spec->mounts[i].options, "gid=");
	return r;
}

static int add_defaults(tare_config *config)
{
	struct oci_spec *spec = &config->spec;
	int r = set_text(&spec->version, OCI_VERSION);

	if (r == 0)
		r = add_process(spec);
	if (r == 0)
		r = defaults_add_mounts(spec, DEFAULT_SHM_SIZE_BYTES);
	if (r == 0)
		r = geteuid() == 0 ? 0 : make_rootless(spec);
	if (r == 0)
		r = add_namespaces(&spec->linux_config);
	if (r == 0)
		r = defaults_set_paths(&spec->linux_config);
	if (r == 0)
		r = (spec->linux_config.resources = calloc(1, sizeof(struct oci_resources)))
			    ? defaults_add_device_rules(spec->linux_config.resources)
			    : -ENOMEM;
	return r < 0 ? r : add_seccomp(spec);
}

tare_config *tare_config_new(const char *rootfs)
{
	tare_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->failed = add_defaults(config);
	if (config->failed == 0)
		config->failed = rootfs ? add_root(config, rootfs) : -EINVAL;
	return config;
}

tare_config *tare_config_new_oci(const char *json, size_t size, const char *bundle)
{
	tare_config *config = calloc(1, sizeof(*config));

	if (!config)
		return NULL;
	config->document = strndup(json ? json : "", json ? size : 0);
	config->document_size = json ? strnlen(json, size) : 0;
	config->bundle = realpath(bundle ? bundle : "/", NULL);
	if (!config->document || !config->bundle)
		config->failed = config->document ? -errno : -ENOMEM;
	return config;
}

void tare_config_free(tare_config *config)
{
	if (!config)
		return;
	oci_spec_finish(&config->spec);
	free(config->document);
	free(config->bundle);
	free(config);
}

/* ---- the setters ---- */

/* Of whom a setter may say something, or NULL. */
static struct oci_spec *open_spec(tare_config *config)
{
	if (config && config->document && config->failed == 0)
		config->failed = -EBUSY;
	return config && config->failed == 0 ? &config->spec : NULL;
}

static void note(tare_config *config, int r)
{
	if (r < 0 && config->failed == 0)
		config->failed = r;
}

void tare_config_set_args(tare_config *config, const char *const *args)
{
	struct oci_spec *spec = open_spec(config);

	if (!spec)
		return;
	strv_free(TAKE(spec->process->args));
	note(config, args ? strv_extend(&spec->process->args, (char *const *)args) : -EINVAL);
}

void tare_config_add_env(tare_config *config, const char *entry)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		note(config, entry && strchr(entry, '=') ? strv_env_set(&spec->process->env, entry) : -EINVAL);
}

void tare_config_set_cwd(tare_config *config, const char *folder)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		note(config, set_text(&spec->process->cwd, folder ? folder : "/"));
}

void tare_config_set_user(tare_config *config, uid_t uid, gid_t gid)
{
	struct oci_spec *spec = open_spec(config);

	if (!spec)
		return;
	spec->process->user.uid = uid;
	spec->process->user.gid = gid;
}

void tare_config_set_hostname(tare_config *config, const char *name)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		note(config, name ? set_text(&spec->hostname, name) : -EINVAL);
}

void tare_config_set_readonly(tare_config *config, bool readonly)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		spec->root->readonly = readonly;
}

static void drop_network(struct oci_linux *config)
{
	struct oci_namespace *last = &config->namespaces[config->namespace_count - 1];

	if (strcmp(last->type, "network") != 0)
		return;
	free(last->type);
	config->namespace_count--;
}

void tare_config_set_network(tare_config *config, enum tare_network network)
{
	struct oci_spec *spec = open_spec(config);

	if (!spec)
		return;
	drop_network(&spec->linux_config); /* it is the last, always */
	if (network == TARE_NETWORK_NONE)
		note(config, defaults_add_namespace(&spec->linux_config, "network", NULL));
	else if (network != TARE_NETWORK_HOST)
		note(config, -EINVAL);
}

void tare_config_set_terminal(tare_config *config, bool terminal)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		spec->process->terminal = terminal;
}

static void set_number(uint64_t value, struct json_opt_int *out)
{
	if (value)
		*out = (struct json_opt_int){ true, value > INT64_MAX ? -1 : (int64_t)value };
}

void config_resources(const struct tare_limits *limits, struct oci_resources *out)
{
	set_number(limits->memory_bytes, &out->memory.limit);
	set_number(limits->memory_swap_bytes, &out->memory.swap);
	set_number(limits->pids, &out->pids.limit);
	set_number(limits->cpu_quota_us, &out->cpu.quota);
	set_number(limits->cpu_period_us, &out->cpu.period);
	if (limits->cpu_quota_us && !limits->cpu_period_us)
		set_number(PERIOD_DEFAULT_US, &out->cpu.period);
	set_number(limits->cpu_shares, &out->cpu.shares);
	if (limits->cpus)
		out->cpu.cpus = (char *)limits->cpus;
}

void tare_config_set_limits(tare_config *config, const struct tare_limits *limits)
{
	struct oci_spec *spec = open_spec(config);

	if (!spec || !limits)
		return;
	struct oci_resources *resources = spec->linux_config.resources;
	char *cpus = TAKE(resources->cpu.cpus);
	config_resources(limits, resources);
	/* Ours to free from now on. */
	resources->cpu.cpus = limits->cpus ? strdup(limits->cpus) : cpus;
	note(config, limits->cpus && !resources->cpu.cpus ? -ENOMEM : 0);
	if (limits->cpus)
		free(cpus);
}

void tare_config_set_cgroup(tare_config *config, const char *path)
{
	struct oci_spec *spec = open_spec(config);

	if (spec)
		note(config, path ? set_text(&spec->linux_config.cgroups_path, path) : -EINVAL);
}

static int add_mount(struct oci_spec *spec, const char *target, const char *type, const char *source,
	const char *first_option, unsigned flags)
{
	const char *options[6] = { first_option, "nosuid", "nodev" };
	size_t count = 3;

	if (!target || !source || flags & ~(unsigned)(TARE_MOUNT_READONLY | TARE_MOUNT_NOEXEC))
		return -EINVAL;
	if (flags & TARE_MOUNT_READONLY)
		options[count++] = "rro";
	if (flags & TARE_MOUNT_NOEXEC)
		options[count] = "noexec";
	return defaults_add_mount(spec, target, type, source, options);
}

void tare_config_add_bind(tare_config *config, const char *source, const char *target, unsigned flags)
{
	struct oci_spec *spec = open_spec(config);

	if (!spec)
		return;
	char *path = source ? realpath(source, NULL) : NULL;
	note(config, path ? add_mount(spec, target, "bind", path, "rbind", flags) : source ? -errno : -EINVAL);
	free(path);
}

void tare_config_add_tmpfs(tare_config *config, const char *target, uint64_t size_bytes, unsigned flags)
{
	struct oci_spec *spec = open_spec(config);
	char size[32];

	if (!spec)
		return;
	snprintf(size, sizeof(size), "size=%llu", (unsigned long long)size_bytes);
	note(config, add_mount(spec, target, "tmpfs", "tmpfs", size, flags));
}

/* ---- the end ---- */

/* Both names are the ID's where none was given, and the configuration is as it was. */
static int print_spec(const tare_config *config, const char *id, struct buf *text)
{
	struct oci_spec spec = config->spec;

	if (!spec.hostname)
		spec.hostname = (char *)id;
	return json_print(&oci_spec_table, &spec, text);
}

int config_document(const tare_config *config, const char *id, struct buf *text, const char **ret_bundle,
	struct tare_error *error)
{
	if (!config)
		return error_set(error, TARE_INVALID, 0, "no configuration (out of memory when it was made?)");
	if (config->failed == -EBUSY)
		return error_set(error, TARE_INVALID, 0, "a configuration made from an OCI document has no setters");
	if (config->failed == -EINVAL)
		return error_set(error, TARE_INVALID, 0,
			"a setter of the configuration was given something that is not valid");
	if (config->failed < 0)
		return error_errno(error, config->failed, "cannot make the configuration");
	int r = config->document ? buf_append(text, config->document, config->document_size)
				 : print_spec(config, id, text);
	if (r == -EFBIG)
		return error_set(error, TARE_TOO_LARGE, E2BIG, "the configuration is over %d bytes", OCI_DOCUMENT_MAX);
	if (r < 0)
		return error_errno(error, r, "cannot write the configuration");
	*ret_bundle = config->bundle;
	return 0;
}

char *tare_config_json(const tare_config *config, const char *id)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(OCI_DOCUMENT_MAX);
	const char *bundle;

	return config_document(config, id ? id : "", &text, &bundle, NULL) < 0 ? NULL : buf_take(&text);
}
