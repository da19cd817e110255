/*
 * Beyond what libseccomp does: system calls that are newer than anything the profile knows get ENOSYS instead of its default
 * action, so that a C library that tries one first falls back to the older one. They are those with a number above the
 * largest that the profile names on that architecture; a few instructions before the filter proper see to it.
 */
#include "runtime/seccomp_compile.h"

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>

#include "base/io.h"
#include "base/strv.h"
#include "runtime/seccomp_file.h"
#include "runtime/seccomp_shrink.h"
#include "spec/seccomp_default.h"

#define ERRNO_MAX 4095
#define ARCHS_MAX 16
#define X32_BIT   0x40000000U

static const struct {
	const char *name;
	uint32_t action;
} actions[] = {
	{ "SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD },
	{ "SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS },
	{ "SCMP_ACT_TRAP", SCMP_ACT_TRAP },
	{ "SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0) },
	{ "SCMP_ACT_TRACE", SCMP_ACT_TRACE(0) },
	{ "SCMP_ACT_ALLOW", SCMP_ACT_ALLOW },
	{ "SCMP_ACT_LOG", SCMP_ACT_LOG },
	{ "SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY },
};

static const struct {
	const char *name;
	enum scmp_compare op;
} operators[] = {
	{ "SCMP_CMP_NE", SCMP_CMP_NE },
	{ "SCMP_CMP_LT", SCMP_CMP_LT },
	{ "SCMP_CMP_LE", SCMP_CMP_LE },
	{ "SCMP_CMP_EQ", SCMP_CMP_EQ },
	{ "SCMP_CMP_GE", SCMP_CMP_GE },
	{ "SCMP_CMP_GT", SCMP_CMP_GT },
	{ "SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ },
};

static const struct {
	const char *name;
	uint32_t arch;
	uint32_t audit; /* what the kernel calls it; 0: no ENOSYS for newer calls */
} archs[] = {
	{ "SCMP_ARCH_X86", SCMP_ARCH_X86, AUDIT_ARCH_I386 },
	{ "SCMP_ARCH_X86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64 },
	{ "SCMP_ARCH_X32", SCMP_ARCH_X32, 0 },
	{ "SCMP_ARCH_ARM", SCMP_ARCH_ARM, AUDIT_ARCH_ARM },
	{ "SCMP_ARCH_AARCH64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64 },
	{ "SCMP_ARCH_MIPS", SCMP_ARCH_MIPS, AUDIT_ARCH_MIPS },
	{ "SCMP_ARCH_MIPS64", SCMP_ARCH_MIPS64, AUDIT_ARCH_MIPS64 },
	{ "SCMP_ARCH_MIPS64N32", SCMP_ARCH_MIPS64N32, AUDIT_ARCH_MIPS64N32 },
	{ "SCMP_ARCH_MIPSEL", SCMP_ARCH_MIPSEL, AUDIT_ARCH_MIPSEL },
	{ "SCMP_ARCH_MIPSEL64", SCMP_ARCH_MIPSEL64, AUDIT_ARCH_MIPSEL64 },
	{ "SCMP_ARCH_MIPSEL64N32", SCMP_ARCH_MIPSEL64N32, AUDIT_ARCH_MIPSEL64N32 },
	{ "SCMP_ARCH_PPC", SCMP_ARCH_PPC, AUDIT_ARCH_PPC },
	{ "SCMP_ARCH_PPC64", SCMP_ARCH_PPC64, AUDIT_ARCH_PPC64 },
	{ "SCMP_ARCH_PPC64LE", SCMP_ARCH_PPC64LE, AUDIT_ARCH_PPC64LE },
	{ "SCMP_ARCH_S390", SCMP_ARCH_S390, AUDIT_ARCH_S390 },
	{ "SCMP_ARCH_S390X", SCMP_ARCH_S390X, AUDIT_ARCH_S390X },
	{ "SCMP_ARCH_PARISC", SCMP_ARCH_PARISC, AUDIT_ARCH_PARISC },
	{ "SCMP_ARCH_PARISC64", SCMP_ARCH_PARISC64, AUDIT_ARCH_PARISC64 },
	{ "SCMP_ARCH_RISCV64", SCMP_ARCH_RISCV64, AUDIT_ARCH_RISCV64 },
#ifdef SCMP_ARCH_LOONGARCH64 /* libseccomp 2.6 has these four */
	{ "SCMP_ARCH_LOONGARCH64", SCMP_ARCH_LOONGARCH64, AUDIT_ARCH_LOONGARCH64 },
	{ "SCMP_ARCH_M68K", SCMP_ARCH_M68K, AUDIT_ARCH_M68K },
	{ "SCMP_ARCH_SH", SCMP_ARCH_SH, AUDIT_ARCH_SHEL },
	{ "SCMP_ARCH_SHEB", SCMP_ARCH_SHEB, AUDIT_ARCH_SH },
#endif
};

static const struct {
	const char *name;
	unsigned flag;
} filter_flags[] = {
	{ "SECCOMP_FILTER_FLAG_TSYNC", 0 }, /* one thread is all there is */
	{ "SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG },
	{ "SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW },
	{ "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV },
};

struct arch_limit {
	uint32_t arch;
	uint32_t audit;
	int largest;
};

struct compiler {
	scmp_filter_ctx ctx;
	uint32_t default_action;
	bool notifies;
	struct arch_limit limits[ARCHS_MAX];
	size_t limit_count;
};

static int find_action(const char *name, const struct json_opt_int *errno_ret, uint32_t *ret, struct err **reterr)
{
	int64_t value = errno_ret->set ? errno_ret->value : EPERM;

	for (size_t i = 0; name && i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		bool takes_value = actions[i].action == SCMP_ACT_ERRNO(0) || actions[i].action == SCMP_ACT_TRACE(0);
		if (takes_value && (value < 0 || value > ERRNO_MAX))
			return err_set(reterr, ERR_INVALID, 0, "seccomp: errnoRet %lld is not between 0 and %d",
				(long long)value, ERRNO_MAX);
		*ret = actions[i].action | (takes_value ? (uint32_t)value : 0);
		return 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "seccomp: invalid action %s", name ? name : "");
}

static void add_limit(struct compiler *compiler, uint32_t arch, uint32_t audit)
{
	if (compiler->limit_count < ARCHS_MAX)
		compiler->limits[compiler->limit_count++] = (struct arch_limit){
			.arch = arch, .audit = audit, .largest = -1
		};
}

static int add_arch(struct compiler *compiler, const char *name, struct err **reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++) {
		if (strcmp(archs[i].name, name) != 0)
			continue;
		int r = seccomp_arch_add(compiler->ctx, archs[i].arch);
		if (r < 0 && r != -EEXIST)
			return err_errno(reterr, r, "seccomp: cannot add architecture %s", name);
		if (archs[i].arch != seccomp_arch_native())
			add_limit(compiler, archs[i].arch, archs[i].audit);
		return 0;
	}
	return err_set(reterr, ERR_INVALID, 0, "seccomp: invalid architecture %s", name);
}

static int add_archs(struct compiler *compiler, char *const *names, struct err **reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(archs); i++)
		if (archs[i].arch == seccomp_arch_native())
			add_limit(compiler, archs[i].arch, archs[i].audit);
	for (char *const *name = names; name && *name; name++) {
		int r = add_arch(compiler, *name, reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

static void note_number(struct compiler *compiler, const char *name)
{
	for (size_t i = 0; i < compiler->limit_count; i++) {
		int number = seccomp_syscall_resolve_name_arch(compiler->limits[i].arch, name);
		if (number >= 0 && number < (int)X32_BIT && number > compiler->limits[i].largest)
			compiler->limits[i].largest = number;
	}
}

static int read_arg(const struct oci_seccomp_arg *spec, struct scmp_arg_cmp *out, struct err **reterr)
{
	if (spec->index < 0 || spec->index > 5)
		return err_set(reterr, ERR_INVALID, 0, "seccomp: argument index %lld is not between 0 and 5",
			(long long)spec->index);
	for (size_t i = 0; spec->op && i < ARRAY_SIZE(operators); i++)
		if (strcmp(operators[i].name, spec->op) == 0) {
			*out = (struct scmp_arg_cmp){ .arg = (unsigned)spec->index,
				.op = operators[i].op,
				.datum_a = spec->value,
				.datum_b = spec->value_two };
			return 0;
		}
	return err_set(reterr, ERR_INVALID, 0, "seccomp: invalid operator %s", spec->op ? spec->op : "");
}

static int add_rule(struct compiler *compiler, uint32_t action, int number, const char *name,
	const struct scmp_arg_cmp *args, unsigned count, struct err **reterr)
{
	int r = seccomp_rule_add_array(compiler->ctx, action, number, count, args);

	/* A call that some of the architectures have not got is left out there. */
	if (r < 0 && r != -EEXIST && r != -EDOM)
		return err_errno(reterr, r, "seccomp: cannot add a rule for %s", name);
	return 0;
}

/* Conditions on different arguments must all hold; several on the same one are alternatives, a rule each. */
static int add_name(struct compiler *compiler, uint32_t action, const char *name, const struct scmp_arg_cmp *args,
	unsigned count, struct err **reterr)
{
	int number = seccomp_syscall_resolve_name(name);
	unsigned seen[6] = { 0 };
	bool alternatives = false;

	if (number == __NR_SCMP_ERROR) /* of a newer or another kernel */
		return 0;
	note_number(compiler, name);
	for (unsigned i = 0; i < count; i++)
		alternatives = alternatives || seen[args[i].arg]++;
	if (!alternatives)
		return add_rule(compiler, action, number, name, args, count, reterr);
	int r = 0;
	for (unsigned i = 0; i < count && r == 0; i++)
		r = add_rule(compiler, action, number, name, &args[i], 1, reterr);
	return r;
}

static int add_syscall(struct compiler *compiler, const struct oci_seccomp_syscall *spec, struct err **reterr)
{
	struct scmp_arg_cmp args[64];
	uint32_t action;
	int r = find_action(spec->action, &spec->errno_ret, &action, reterr);

	/* With which the process tells of the listener, before anybody listens. */
	if (r == 0 && action == SCMP_ACT_NOTIFY && strv_has(spec->names, "write"))
		r = err_set(reterr, ERR_INVALID, 0, "SCMP_ACT_NOTIFY cannot be used for the write syscall");
	compiler->notifies = compiler->notifies || (r == 0 && action == SCMP_ACT_NOTIFY);
	if (r == 0 && spec->arg_count > ARRAY_SIZE(args))
		r = err_set(reterr, ERR_INVALID, 0, "seccomp: more than %zu conditions in a rule", ARRAY_SIZE(args));
	for (size_t i = 0; i < spec->arg_count && r == 0; i++)
		r = read_arg(&spec->args[i], &args[i], reterr);
	for (char *const *name = spec->names; r == 0 && name && *name; name++) {
		if (action == compiler->default_action) {
			note_number(compiler, *name);
			continue;
		}
		r = add_name(compiler, action, *name, args, (unsigned)spec->arg_count, reterr);
	}
	return r;
}

static int read_flags(const struct oci_seccomp *profile, unsigned *ret, struct err **reterr)
{
	*ret = profile->flags ? 0 : SECCOMP_FILTER_FLAG_SPEC_ALLOW; /* as every runtime does */
	for (char *const *name = profile->flags; name && *name; name++) {
		size_t i = 0;
		while (i < ARRAY_SIZE(filter_flags) && strcmp(filter_flags[i].name, *name) != 0)
			i++;
		if (i == ARRAY_SIZE(filter_flags))
			return err_set(reterr, ERR_UNSUPPORTED, 0, "seccomp flag %s is not supported", *name);
		*ret |= filter_flags[i].flag;
	}
	return 0;
}

/* ---- ENOSYS for newer calls ---- */

static int append(struct buf *out, struct sock_filter instruction)
{
	return buf_append(out, &instruction, sizeof(instruction));
}

/* The accumulator holds the architecture before and after. */
static int append_limit(struct buf *out, uint32_t audit, int largest, int largest_x32)
{
	/* Without rules of their own, x32's numbers are the filter's business: both jumps leave it alone then. */
	bool has_x32 = audit == AUDIT_ARCH_X86_64 && largest_x32 >= 0;
	const struct sock_filter block[] = {
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, audit, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, (uint8_t)(has_x32 ? 1 : 3), 0),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)largest, 1, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, has_x32 ? (uint32_t)largest_x32 | X32_BIT : UINT32_MAX, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	};

	return buf_append(out, block, sizeof(block));
}

static int append_limits(const struct compiler *compiler, struct buf *out)
{
	int largest_x32 = -1;
	int r = append(out,
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)));

	for (size_t i = 0; i < compiler->limit_count; i++)
		if (compiler->limits[i].arch == SCMP_ARCH_X32)
			largest_x32 = compiler->limits[i].largest;
	for (size_t i = 0; i < compiler->limit_count && r == 0; i++)
		if (compiler->limits[i].audit && compiler->limits[i].largest >= 0)
			r = append_limit(out, compiler->limits[i].audit, compiler->limits[i].largest, largest_x32);
	return r;
}

static bool default_denies(uint32_t action)
{
	return action != SCMP_ACT_ALLOW && action != SCMP_ACT_LOG && (action & 0xffff0000U) != SCMP_ACT_TRACE(0);
}

/* ---- the whole ---- */

static int export_program(const struct compiler *compiler, struct buf *out, struct err **reterr)
{
	_autoclose_ int fd = memfd_create("bpf", MFD_CLOEXEC);
	int r = fd < 0 ? -errno : seccomp_export_bpf(compiler->ctx, fd);

	if (r < 0)
		return err_errno(reterr, r, "seccomp: cannot compile the profile");
	if (default_denies(compiler->default_action) && append_limits(compiler, out) < 0)
		return err_oom(reterr);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(reterr, -errno, "seccomp: cannot read the program");
	r = io_read_all(fd, out);
	if (r == -EFBIG || out->len / sizeof(struct sock_filter) > SECCOMP_INSTRUCTIONS_MAX)
		return err_set(reterr, ERR_INVALID, EFBIG, "the seccomp profile compiles to more than %d instructions",
			SECCOMP_INSTRUCTIONS_MAX);
	return r < 0 ? err_errno(reterr, r, "seccomp: cannot read the program") : 0;
}

static int shrink_program(struct buf *out, struct err **reterr)
{
	long count = seccomp_shrink((struct sock_filter *)(void *)out->data, out->len / sizeof(struct sock_filter));

	if (count < 0)
		return err_oom(reterr);
	out->len = (size_t)count * sizeof(struct sock_filter);
	return 0;
}

static int fill(struct compiler *compiler, const struct oci_seccomp *profile, struct err **reterr)
{
	/* Every architecture's set_no_new_privs is the caller's matter; a binary tree answers in a few steps. */
	seccomp_attr_set(compiler->ctx, SCMP_FLTATR_CTL_NNP, 0);
	seccomp_attr_set(compiler->ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	int r = add_archs(compiler, profile->architectures, reterr);
	for (size_t i = 0; i < profile->syscall_count && r == 0; i++)
		r = add_syscall(compiler, &profile->syscalls[i], reterr);
	return r;
}

int seccomp_compile(const struct oci_seccomp *profile, struct buf *out, unsigned *ret_flags, struct err **reterr)
{
	struct compiler compiler = { 0 };
	int r = read_flags(profile, ret_flags, reterr);

	if (r == 0)
		r = find_action(profile->default_action, &profile->default_errno_ret, &compiler.default_action, reterr);
	if (r == 0 && compiler.default_action == SCMP_ACT_NOTIFY)
		r = err_set(reterr, ERR_INVALID, 0, "SCMP_ACT_NOTIFY cannot be used as default action");
	if (r < 0)
		return r;
	compiler.ctx = seccomp_init(compiler.default_action);
	if (!compiler.ctx)
		return err_set(reterr, ERR_INVALID, 0, "seccomp: invalid default action %s", profile->default_action);
	r = fill(&compiler, profile, reterr);
	if (r == 0)
		r = export_program(&compiler, out, reterr);
	if (r == 0)
		r = shrink_program(out, reterr);
	seccomp_release(compiler.ctx);
	if (r == 0 && compiler.notifies && (!profile->listener_path || !*profile->listener_path))
		return err_set(reterr, ERR_INVALID, 0, "seccomp: SCMP_ACT_NOTIFY needs a listenerPath");
	if (compiler.notifies)
		*ret_flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER;
	else
		*ret_flags &= ~(unsigned)SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV; /* refused without a listener */
	return r;
}

static int read_request(int input, struct buf *text, json_t **ret, struct err **reterr)
{
	int r = io_read_all(input, text);

	if (r < 0)
		return err_errno(reterr, r, "cannot read the seccomp profile");
	return json_load(text->data ? text->data : "", text->len, ret, reterr);
}

static int read_caps(json_t *array, char ***ret)
{
	size_t i;
	json_t *item;

	json_array_foreach (array, i, item)
		if (json_is_string(item) && strv_append(ret, json_string_value(item)) < 0)
			return -ENOMEM;
	return 0;
}

static int load_profile(json_t *request, const struct seccomp_target *target, struct oci_seccomp *out,
	struct err **reterr)
{
	json_t *profile = json_object_get(request, "profile");
	if (!profile || json_is_null(profile))
		return seccomp_default(target, out, reterr);
	int r = seccomp_profile_resolve(profile, target, out, reterr);
	if (r == 0 && !out->default_action)
		return err_set(reterr, ERR_INVALID, 0, "the seccomp profile has no defaultAction");
	return r;
}

static int compile_request(int input, struct buf *out, struct err **reterr)
{
	_cleanup_(buf_finish) struct buf text = BUF_INIT(SECCOMP_REQUEST_MAX);
	_cleanup_(buf_finish) struct buf program = BUF_INIT(1024 * 1024);
	_autojson_ json_t *request = NULL;
	_autofree_(strv) char **caps = NULL;
	struct seccomp_target target = { 0 };
	struct oci_seccomp profile = { 0 };
	unsigned flags;
	int r = read_request(input, &text, &request, reterr);

	if (r < 0)
		return r;
	if (!json_is_object(request))
		return err_set(reterr, ERR_INVALID, 0, "the request is not a JSON object");
	if (read_caps(json_object_get(request, "capabilities"), &caps) < 0)
		return err_oom(reterr);
	seccomp_target_host(&target);
	target.capabilities = caps;
	r = load_profile(request, &target, &profile, reterr);
	if (r < 0)
		return r;
	r = seccomp_compile(&profile, &program, &flags, reterr);
	json_finish(&oci_seccomp_table, &profile);
	if (r < 0)
		return r;
	r = seccomp_file_write((const struct sock_filter *)(const void *)program.data,
		program.len / sizeof(struct sock_filter), flags, text.data, text.len, out);
	return r < 0 ? err_errno(reterr, r, "cannot write the seccomp filter") : 0;
}

int seccomp_compile_main(int input, int output)
{
	_cleanup_(buf_finish) struct buf result = BUF_INIT(SECCOMP_REQUEST_MAX + 1024 * 1024);
	_autofree_(err) struct err *error = NULL;
	int r = compile_request(input, &result, &error);

	if (r == 0)
		r = io_write_full(output, result.data, result.len);
	if (r < 0)
		dprintf(2, "%s\n", error ? err_message(error) : strerror(-r));
	return r < 0 ? 1 : 0;
}

/* ---- words ---- */

const char *const *seccomp_known_actions(void)
{
	static const char *const known[] = { "SCMP_ACT_ALLOW", "SCMP_ACT_ERRNO", "SCMP_ACT_KILL",
		"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG", "SCMP_ACT_NOTIFY", "SCMP_ACT_TRACE",
		"SCMP_ACT_TRAP", NULL };

	return known;
}

const char *const *seccomp_known_operators(void)
{
	static const char *const known[] = { "SCMP_CMP_EQ", "SCMP_CMP_GE", "SCMP_CMP_GT", "SCMP_CMP_LE", "SCMP_CMP_LT",
		"SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL };

	return known;
}

const char *const *seccomp_known_archs(void)
{
	static const char *const known[] = { "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM", "SCMP_ARCH_MIPS", "SCMP_ARCH_MIPS64",
		"SCMP_ARCH_MIPS64N32", "SCMP_ARCH_MIPSEL", "SCMP_ARCH_MIPSEL64", "SCMP_ARCH_MIPSEL64N32",
		"SCMP_ARCH_PPC", "SCMP_ARCH_PPC64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64", "SCMP_ARCH_S390",
		"SCMP_ARCH_S390X", "SCMP_ARCH_X32", "SCMP_ARCH_X86", "SCMP_ARCH_X86_64", NULL };

	return known;
}

const char *const *seccomp_known_flags(void)
{
	static const char *const known[] = { "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
		"SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", NULL };

	return known;
}
