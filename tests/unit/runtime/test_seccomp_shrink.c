/* A shortened filter answers as the one it was made from: many programs by chance, numbers and arguments around what they compare with. */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/audit.h>
#include <linux/seccomp.h>

#include "../unit.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "runtime/seccomp_compile.h"
#include "runtime/seccomp_shrink.h"
#include "spec/seccomp_default.h"

#define PROGRAM_MAX 600

static const uint32_t archs[] = { AUDIT_ARCH_X86_64, AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0 };

/* What the kernel does, for the instructions that there are here. */
static uint32_t answer(const struct sock_filter *program, size_t count, const struct seccomp_data *call)
{
	uint32_t value = 0;

	for (size_t pc = 0; pc < count; pc++) {
		const struct sock_filter *at = &program[pc];
		switch (at->code) {
		case BPF_RET | BPF_K: return at->k;
		case BPF_LD | BPF_W | BPF_ABS:
			assert_true(at->k + sizeof(value) <= sizeof(*call));
			memcpy(&value, (const char *)call + at->k, sizeof(value));
			break;
		case BPF_ALU | BPF_AND | BPF_K: value &= at->k; break;
		case BPF_JMP | BPF_JA: pc += at->k; break;
		case BPF_JMP | BPF_JEQ | BPF_K: pc += value == at->k ? at->jt : at->jf; break;
		case BPF_JMP | BPF_JGT | BPF_K: pc += value > at->k ? at->jt : at->jf; break;
		case BPF_JMP | BPF_JGE | BPF_K: pc += value >= at->k ? at->jt : at->jf; break;
		case BPF_JMP | BPF_JSET | BPF_K: pc += value & at->k ? at->jt : at->jf; break;
		default: fail_msg("instruction 0x%x", at->code);
		}
	}
	fail_msg("it ends without an answer");
	return 0;
}

static uint32_t some(uint32_t below)
{
	return (uint32_t)rand() % below;
}

static uint32_t near_constant(const struct sock_filter *program, size_t count)
{
	return some(8) == 0 ? (uint32_t)rand() : program[some((uint32_t)count)].k + some(3) - 1;
}

static void assert_same(const struct sock_filter *old, size_t count, const struct sock_filter *new, size_t new_count,
	int calls)
{
	for (int i = 0; i < calls; i++) {
		struct seccomp_data call = { .nr = (int)near_constant(old, count),
			.arch = archs[some(ARRAY_SIZE(archs))],
			.args = { near_constant(old, count), near_constant(old, count), some(4) } };
		assert_int_equal(answer(old, count, &call), answer(new, new_count, &call));
	}
}

/* --- by chance --- */

static struct sock_filter load(uint32_t offset)
{
	return (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset);
}

static struct sock_filter chance(size_t pc, size_t count)
{
	static const uint16_t jumps[] = { BPF_JEQ, BPF_JEQ, BPF_JGT, BPF_JGE };
	const uint32_t left = (uint32_t)(count - pc - 1);
	const uint32_t reach = left < 255 ? left : 255;

	const uint32_t kind = some(80);

	if (left == 0 || kind < 6)
		return (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | some(6));
	if (kind == 6)
		return load(offsetof(struct seccomp_data, args) + 8 * some(3));
	if (kind == 7)
		return load(offsetof(struct seccomp_data, nr));
	if (kind < 11)
		return (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, some(left), 0, 0);
	return (struct sock_filter)BPF_JUMP((uint16_t)(BPF_JMP | BPF_K | jumps[some(ARRAY_SIZE(jumps))]), some(400),
		(uint8_t)some(reach), (uint8_t)some(reach / 8 + 1));
}

static size_t make_program(struct sock_filter *program)
{
	size_t count = 0, whole = 20 + some(PROGRAM_MAX - 20);

	program[count++] = load(offsetof(struct seccomp_data, arch));
	program[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, archs[0], 0, (uint8_t)some(10));
	program[count++] = load(offsetof(struct seccomp_data, nr));
	while (count < whole) {
		program[count] = chance(count, whole);
		count++;
	}
	return count;
}

static void test_by_chance(void **state)
{
	static struct sock_filter old[PROGRAM_MAX], new[PROGRAM_MAX];
	size_t shortened = 0;
	(void)state;

	srand(1);
	for (int i = 0; i < 2000; i++) {
		size_t count = make_program(old);
		memcpy(new, old, count * sizeof(*old));
		long new_count = seccomp_shrink(new, count);
		assert_true(new_count > 0 && (size_t)new_count <= count);
		shortened += (size_t)new_count < count;
		assert_same(old, count, new, (size_t)new_count, 200);
	}

	assert_true(shortened > 100);
}

/* --- a number each, as libseccomp writes it: longer than a jump reaches --- */

static void test_numbers(void **state)
{
	static struct sock_filter old[1208], new[1208];
	size_t count = 0;
	(void)state;

	old[count++] = load(offsetof(struct seccomp_data, arch));
	old[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	old[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	old[count++] = load(offsetof(struct seccomp_data, nr));
	for (uint32_t nr = 0; nr < 600; nr++) {
		old[count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1);
		old[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
			nr % 3 ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | nr);
	}
	old[count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 1);
	memcpy(new, old, count * sizeof(*old));
	long new_count = seccomp_shrink(new, count);
	assert_true(new_count > 0 && (size_t)new_count < count);
	assert_same(old, count, new, (size_t)new_count, 20000);
}

/* --- what is left alone --- */

static void assert_untouched(struct sock_filter strange)
{
	struct sock_filter program[8];

	program[0] = load(offsetof(struct seccomp_data, nr));
	program[1] = strange;
	for (size_t i = 2; i < ARRAY_SIZE(program); i++)
		program[i] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_filter kept[ARRAY_SIZE(program)];
	memcpy(kept, program, sizeof(program));
	assert_int_equal(seccomp_shrink(program, ARRAY_SIZE(program)), ARRAY_SIZE(program));
	assert_memory_equal(kept, program, sizeof(program));
}

static void test_left_alone(void **state)
{
	(void)state;
	assert_untouched((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 1));
	assert_untouched((struct sock_filter)BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1));
	assert_untouched((struct sock_filter)BPF_STMT(BPF_ST, 1));
	assert_untouched((struct sock_filter)BPF_STMT(BPF_MISC | BPF_TAX, 0));
	assert_untouched((struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0));
	assert_untouched((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1, 0, 1));
	assert_untouched((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 0, 6)); /* one past the end */
	assert_untouched((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, UINT32_MAX, 0, 0));
	assert_int_equal(seccomp_shrink(NULL, 0), 0);
}

/* The whole way: the default profile is short, and says what it should. */
static void test_default_profile(void **state)
{
	_cleanup_(buf_finish) struct buf program = BUF_INIT(1024 * 1024);
	struct seccomp_target target = { 0 };
	struct oci_seccomp profile = { 0 };
	unsigned flags;
	(void)state;

	seccomp_target_host(&target);
	assert_int_equal(seccomp_default(&target, &profile, NULL), 0);
	assert_int_equal(seccomp_compile(&profile, &program, &flags, NULL), 0);
	json_finish(&oci_seccomp_table, &profile);
	size_t count = program.len / sizeof(struct sock_filter);
	assert_true(count > 50 && count < 500);
#ifdef __x86_64__
	const struct sock_filter *code = (const void *)program.data;
	struct seccomp_data read_call = { .nr = 0, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_data clone_plain = { .nr = 56, .arch = AUDIT_ARCH_X86_64, .args = { 0x11 } };
	struct seccomp_data clone_user = { .nr = 56, .arch = AUDIT_ARCH_X86_64, .args = { 0x10000011 } };
	struct seccomp_data newest = { .nr = 5000, .arch = AUDIT_ARCH_X86_64 };
	struct seccomp_data mount_i386 = { .nr = 21, .arch = AUDIT_ARCH_I386 };
	struct seccomp_data foreign = { .nr = 0, .arch = AUDIT_ARCH_AARCH64 };
	assert_int_equal(answer(code, count, &read_call), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(code, count, &clone_plain), SECCOMP_RET_ALLOW);
	assert_int_equal(answer(code, count, &clone_user), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(answer(code, count, &newest), SECCOMP_RET_ERRNO | ENOSYS);
	assert_int_equal(answer(code, count, &mount_i386), SECCOMP_RET_ERRNO | EPERM);
	assert_int_equal(answer(code, count, &foreign), SECCOMP_RET_KILL_THREAD);
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_chance),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_left_alone),
		cmocka_unit_test(test_default_profile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
