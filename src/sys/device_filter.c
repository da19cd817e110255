#include "sys/device_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/bpf.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

#define INSNS_PER_RULE_MAX 12
#define ATTACHED_MAX       64

/* Registers after the prologue: r2 type, r3 access, r4 major, r5 minor. */
struct program {
	struct bpf_insn *insns;
	size_t count;
};

static void emit(struct program *program, uint8_t code, uint8_t dst, uint8_t src, int16_t off, int32_t imm)
{
	struct bpf_insn *insn = &program->insns[program->count++];

	*insn = (struct bpf_insn){ .code = code, .off = off, .imm = imm };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion" /* bit fields of four */
	insn->dst_reg = dst;
	insn->src_reg = src;
#pragma GCC diagnostic pop
}

static void emit_prologue(struct program *program)
{
	/* struct bpf_cgroup_dev_ctx: access_type (access << 16 | type), major, minor */
	emit(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_2, BPF_REG_1, 0, 0);
	emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_3, BPF_REG_2, 0, 0);
	emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_2, 0, 0, 0xffff);
	emit(program, BPF_ALU64 | BPF_RSH | BPF_K, BPF_REG_3, 0, 0, 16);
	emit(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_4, BPF_REG_1, 4, 0);
	emit(program, BPF_LDX | BPF_MEM | BPF_W, BPF_REG_5, BPF_REG_1, 8, 0);
}

static void emit_return(struct program *program, bool allow)
{
	emit(program, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
	emit(program, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Tests jump past the rule's return; their distance is known only at its end. */
static void emit_rule(struct program *program, const struct device_rule *rule)
{
	size_t jumps[4], jump_count = 0;
	int32_t type = rule->type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR;

	if (rule->type != 'a') {
		jumps[jump_count++] = program->count;
		emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_2, 0, 0, type);
	}
	if (rule->access != DEVICE_ALL) {
		/* allow: nothing beyond the rule's is asked; deny: some of the rule's is asked */
		emit(program, BPF_ALU64 | BPF_MOV | BPF_X, BPF_REG_1, BPF_REG_3, 0, 0);
		emit(program, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0,
			(int32_t)(rule->allow ? ~rule->access & DEVICE_ALL : rule->access));
		jumps[jump_count++] = program->count;
		emit(program, BPF_JMP | (rule->allow ? BPF_JNE : BPF_JEQ) | BPF_K, BPF_REG_1, 0, 0, 0);
	}
	if (rule->major != DEVICE_ANY) {
		jumps[jump_count++] = program->count;
		emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_4, 0, 0, (int32_t)rule->major);
	}
	if (rule->minor != DEVICE_ANY) {
		jumps[jump_count++] = program->count;
		emit(program, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_5, 0, 0, (int32_t)rule->minor);
	}
	emit_return(program, rule->allow);
	for (size_t i = 0; i < jump_count; i++)
		program->insns[jumps[i]].off = (int16_t)(program->count - jumps[i] - 1);
}

static bool matches_all(const struct device_rule *rule)
{
	return rule->type == 'a' && rule->access == DEVICE_ALL && rule->major == DEVICE_ANY &&
	       rule->minor == DEVICE_ANY;
}

/* Last rule first. Code behind a rule that matches everything would be unreachable, which the verifier refuses. */
static void emit_rules(struct program *program, const struct device_rule *rules, size_t count)
{
	emit_prologue(program);
	for (size_t i = count; i-- > 0;) {
		if (matches_all(&rules[i])) {
			emit_return(program, rules[i].allow);
			return;
		}
		emit_rule(program, &rules[i]);
	}
	emit_return(program, false);
}

bool device_filter_decide(const struct device_rule *rules, size_t count, char type, int64_t major, int64_t minor,
	unsigned access)
{
	for (size_t i = count; i-- > 0;) {
		const struct device_rule *rule = &rules[i];
		bool speaks = (rule->type == 'a' || rule->type == type) &&
			      (rule->major == DEVICE_ANY || rule->major == major) &&
			      (rule->minor == DEVICE_ANY || rule->minor == minor) &&
			      (rule->allow ? !(access & ~rule->access) : (access & rule->access) != 0);
		if (speaks)
			return rule->allow;
	}
	return false;
}

static int bpf(int command, union bpf_attr *attr)
{
	long r = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return r < 0 ? -errno : (int)r;
}

static int load(const struct program *program)
{
	static const char license[] = "Apache-2.0";
	union bpf_attr attr = { 0 };

	attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
	attr.insns = (uint64_t)(uintptr_t)program->insns;
	attr.insn_cnt = (uint32_t)program->count;
	attr.license = (uint64_t)(uintptr_t)license;
	return bpf(BPF_PROG_LOAD, &attr);
}

/* The new one is attached before the old ones go: there is no moment without any. */
static int replace(int cgroup_fd, int program_fd)
{
	uint32_t ids[ATTACHED_MAX];
	union bpf_attr query = { 0 }, attach = { 0 };

	query.query.target_fd = (uint32_t)cgroup_fd;
	query.query.attach_type = BPF_CGROUP_DEVICE;
	query.query.prog_ids = (uint64_t)(uintptr_t)ids;
	query.query.prog_cnt = ATTACHED_MAX;
	if (bpf(BPF_PROG_QUERY, &query) < 0)
		query.query.prog_cnt = 0;

	attach.target_fd = (uint32_t)cgroup_fd;
	attach.attach_bpf_fd = (uint32_t)program_fd;
	attach.attach_type = BPF_CGROUP_DEVICE;
	attach.attach_flags = BPF_F_ALLOW_MULTI;
	int r = bpf(BPF_PROG_ATTACH, &attach);
	for (uint32_t i = 0; i < query.query.prog_cnt && r >= 0; i++) {
		union bpf_attr get = { .prog_id = ids[i] };
		_autoclose_ int old = bpf(BPF_PROG_GET_FD_BY_ID, &get);
		union bpf_attr detach = { 0 };
		if (old < 0)
			continue;
		detach.target_fd = (uint32_t)cgroup_fd;
		detach.attach_bpf_fd = (uint32_t)old;
		detach.attach_type = BPF_CGROUP_DEVICE;
		r = bpf(BPF_PROG_DETACH, &detach);
	}
	return r < 0 ? r : 0;
}

int device_filter_attach(int cgroup_fd, const struct device_rule *rules, size_t count)
{
	if (count > DEVICE_RULES_MAX)
		return -E2BIG;
	_cleanup_free_ struct bpf_insn *insns = calloc(count * INSNS_PER_RULE_MAX + 16, sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	struct program program = { .insns = insns };
	emit_rules(&program, rules, count);
	_autoclose_ int fd = load(&program);
	return fd < 0 ? fd : replace(cgroup_fd, fd);
}
