/*
 * libseccomp looks for each number of a call by itself, 1,261 instructions for Docker's default profile. But most answers depend
 * on nothing but architecture and number, and neighbours have the same one. So the program is run for each architecture and
 * number that it can tell apart; numbers with the same answer are put together, and these ranges are searched by halves. Where
 * an argument is loaded, the program goes on as it was: from there on its instructions are copied. That leaves 318.
 *
 * The answers are the same for every number there is: the program compares numbers with constants and does nothing else with
 * them, so between two of these constants all have one answer. Whatever does more than that is left alone.
 *
 * Jumps go forward and are short. Hence the new program is written from its end: what is jumped to is there already, and where it
 * is too far away by now, it is put (an answer) or reached by a jump (all else) once more.
 */
#include "runtime/seccomp_shrink.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/seccomp.h>

#include "base/cleanup.h"
#include "runtime/seccomp_file.h"

#define OFFSET_ARCH offsetof(struct seccomp_data, arch)
#define OFFSET_NR   offsetof(struct seccomp_data, nr)
#define ARCHS_MAX   16
#define ANSWERS_MAX 16
#define REACH       250 /* of 255: one more instruction may come between */

/* What the accumulator may hold before an instruction. */
#define HOLDS_ARCH  1
#define HOLDS_NR    2
#define HOLDS_OTHER 4

/* What a call comes to: an answer, or the instruction that loads an argument. */
struct outcome {
	bool goes_on;
	uint32_t value;
};

struct range {
	uint32_t first; /* number; it ends where the next begins */
	struct outcome outcome;
};

struct shrinker {
	const struct sock_filter *program;
	size_t count;
	uint8_t holds[SECCOMP_INSTRUCTIONS_MAX];

	uint32_t archs[ARCHS_MAX];
	size_t arch_count;
	uint32_t bounds[2 * SECCOMP_INSTRUCTIONS_MAX + 1];
	size_t bound_count;
	struct range ranges[2 * SECCOMP_INSTRUCTIONS_MAX + 1]; /* of one architecture */

	bool is_copied[SECCOMP_INSTRUCTIONS_MAX];
	size_t copy[SECCOMP_INSTRUCTIONS_MAX]; /* where the instruction's copy is: so many instructions from the end */

	struct sock_filter out[SECCOMP_INSTRUCTIONS_MAX]; /* the last one first */
	size_t out_count;
	bool is_full;
	uint32_t answers[ANSWERS_MAX];
	size_t answer_at[ANSWERS_MAX];
	size_t answer_count;
};

/* --- reading --- */

static bool flow(struct shrinker *s, size_t to, uint8_t holds)
{
	if (to >= s->count)
		return false;
	s->holds[to] |= holds;
	return true;
}

static bool flow_both(struct shrinker *s, size_t pc, uint8_t holds)
{
	return flow(s, pc + 1 + s->program[pc].jt, holds) && flow(s, pc + 1 + s->program[pc].jf, holds);
}

static bool note_comparison(struct shrinker *s, const struct sock_filter *at, uint8_t holds)
{
	if (holds & HOLDS_ARCH) {
		size_t i = 0;
		while (i < s->arch_count && s->archs[i] != at->k)
			i++;
		if (BPF_OP(at->code) != BPF_JEQ || i == ARCHS_MAX)
			return false;
		s->archs[i] = at->k;
		s->arch_count += i == s->arch_count;
	}
	if (holds & HOLDS_NR) {
		s->bounds[s->bound_count++] = at->k;
		if (at->k < UINT32_MAX)
			s->bounds[s->bound_count++] = at->k + 1;
	}
	return true;
}

/* False: this is not a program that can be told all about. */
static bool look_at(struct shrinker *s, size_t pc)
{
	const struct sock_filter *at = &s->program[pc];
	uint8_t holds = s->holds[pc];

	switch (at->code) {
	case BPF_RET | BPF_K: return true;
	case BPF_JMP | BPF_JA: return flow(s, pc + 1 + at->k, holds);
	case BPF_LD | BPF_W | BPF_ABS:
		return flow(s, pc + 1, at->k == OFFSET_ARCH ? HOLDS_ARCH : at->k == OFFSET_NR ? HOLDS_NR : HOLDS_OTHER);
	case BPF_ALU | BPF_AND | BPF_K: return holds == HOLDS_OTHER && flow(s, pc + 1, holds);
	case BPF_JMP | BPF_JSET | BPF_K: return holds == HOLDS_OTHER && flow_both(s, pc, holds);
	case BPF_JMP | BPF_JEQ | BPF_K:
	case BPF_JMP | BPF_JGT | BPF_K:
	case BPF_JMP | BPF_JGE | BPF_K: return note_comparison(s, at, holds) && flow_both(s, pc, holds);
	}
	return false;
}

static int compare_numbers(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* The accumulator is 0 at first, which a comparison takes as what it compares with else. */
static bool read_program(struct shrinker *s)
{
	s->holds[0] = HOLDS_ARCH | HOLDS_NR;
	s->bounds[s->bound_count++] = 0;
	for (size_t pc = 0; pc < s->count; pc++)
		if (s->holds[pc] && !look_at(s, pc))
			return false;
	qsort(s->bounds, s->bound_count, sizeof(*s->bounds), compare_numbers);
	return true;
}

/* --- running --- */

static bool compare(const struct sock_filter *at, uint32_t value)
{
	switch (BPF_OP(at->code)) {
	case BPF_JEQ: return value == at->k;
	case BPF_JGT: return value > at->k;
	default: return value >= at->k;
	}
}

/* Of a program that ends without an answer, which the kernel refuses: an answer that kills. */
static struct outcome run(const struct shrinker *s, uint32_t arch, uint32_t nr)
{
	uint32_t value = 0;

	for (size_t pc = 0; pc < s->count;) {
		const struct sock_filter *at = &s->program[pc];
		switch (BPF_CLASS(at->code)) {
		case BPF_RET: return (struct outcome){ .value = at->k };
		case BPF_LD:
			if (at->k != OFFSET_ARCH && at->k != OFFSET_NR)
				return (struct outcome){ .goes_on = true, .value = (uint32_t)pc };
			value = at->k == OFFSET_ARCH ? arch : nr;
			pc++;
			break;
		default: /* what else there is, only behind a load of something else */
			pc += 1 + (BPF_OP(at->code) == BPF_JA ? at->k : compare(at, value) ? at->jt : at->jf);
		}
	}
	return (struct outcome){ .value = SECCOMP_RET_KILL_PROCESS };
}

static bool is_same(struct outcome a, struct outcome b)
{
	return a.goes_on == b.goes_on && a.value == b.value;
}

static size_t find_ranges(struct shrinker *s, uint32_t arch)
{
	size_t count = 0;

	for (size_t i = 0; i < s->bound_count; i++) {
		struct outcome outcome = run(s, arch, s->bounds[i]);
		if (count == 0 || !is_same(s->ranges[count - 1].outcome, outcome))
			s->ranges[count++] = (struct range){ .first = s->bounds[i], .outcome = outcome };
	}
	return count;
}

/* --- writing --- */

/* Returns where it is, seen from the end. */
static size_t put(struct shrinker *s, struct sock_filter instruction)
{
	if (s->out_count == SECCOMP_INSTRUCTIONS_MAX) {
		s->is_full = true;
		return s->out_count;
	}
	s->out[s->out_count++] = instruction;
	return s->out_count;
}

/* From the instruction that is put next. */
static uint32_t distance(const struct shrinker *s, size_t to)
{
	return (uint32_t)(s->out_count - to);
}

static size_t near(struct shrinker *s, size_t to)
{
	return distance(s, to) <= REACH ? to
					: put(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, distance(s, to), 0, 0));
}

static size_t put_answer(struct shrinker *s, uint32_t value)
{
	size_t i = 0;

	while (i < s->answer_count && s->answers[i] != value)
		i++;
	if (i < s->answer_count && distance(s, s->answer_at[i]) <= REACH)
		return s->answer_at[i];
	size_t at = put(s, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value));
	if (i < ANSWERS_MAX) {
		s->answers[i] = value;
		s->answer_at[i] = at;
		s->answer_count += i == s->answer_count;
	}
	return at;
}

static size_t put_branch(struct shrinker *s, uint16_t code, uint32_t k, size_t yes, size_t no)
{
	yes = near(s, yes);
	no = near(s, no);
	return put(s, (struct sock_filter)BPF_JUMP(code, k, (uint8_t)distance(s, yes), (uint8_t)distance(s, no)));
}

/* What comes next in the program is at `next`. */
static size_t put_before(struct shrinker *s, struct sock_filter instruction, size_t next)
{
	if (distance(s, next) > 0)
		put(s, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, distance(s, next), 0, 0));
	return put(s, instruction);
}

static size_t copy_one(struct shrinker *s, size_t pc)
{
	const struct sock_filter *at = &s->program[pc];

	switch (BPF_CLASS(at->code)) {
	case BPF_RET: return put_answer(s, at->k);
	case BPF_JMP:
		if (BPF_OP(at->code) == BPF_JA)
			return s->copy[pc + 1 + at->k];
		return put_branch(s, at->code, at->k, s->copy[pc + 1 + at->jt], s->copy[pc + 1 + at->jf]);
	default: return put_before(s, *at, s->copy[pc + 1]);
	}
}

static void mark_rest(struct shrinker *s, size_t pc)
{
	const struct sock_filter *at = &s->program[pc];

	if (BPF_CLASS(at->code) == BPF_JMP && BPF_OP(at->code) == BPF_JA) {
		s->is_copied[pc + 1 + at->k] = true;
	} else if (BPF_CLASS(at->code) == BPF_JMP) {
		s->is_copied[pc + 1 + at->jt] = true;
		s->is_copied[pc + 1 + at->jf] = true;
	} else if (BPF_CLASS(at->code) != BPF_RET) {
		s->is_copied[pc + 1] = true;
	}
}

static void mark_arch(struct shrinker *s, uint32_t arch)
{
	size_t count = find_ranges(s, arch);

	for (size_t i = 0; i < count; i++)
		if (s->ranges[i].outcome.goes_on)
			s->is_copied[s->ranges[i].outcome.value] = true;
}

/* All that is reached from where arguments are loaded. */
static void copy_rest(struct shrinker *s, uint32_t other_arch)
{
	mark_arch(s, other_arch);
	for (size_t i = 0; i < s->arch_count; i++)
		mark_arch(s, s->archs[i]);
	for (size_t pc = 0; pc < s->count; pc++)
		if (s->is_copied[pc])
			mark_rest(s, pc);
	for (size_t pc = s->count; pc-- > 0;)
		if (s->is_copied[pc])
			s->copy[pc] = copy_one(s, pc);
}

/* Recursion is as deep as the search: a dozen. */
static size_t put_search(struct shrinker *s, const struct range *ranges, size_t count)
{
	if (count == 1)
		return ranges->outcome.goes_on ? near(s, s->copy[ranges->outcome.value])
					       : put_answer(s, ranges->outcome.value);
	size_t half = count / 2;
	size_t above = put_search(s, ranges + half, count - half);
	size_t below = put_search(s, ranges, half);
	return put_branch(s, BPF_JMP | BPF_JGE | BPF_K, ranges[half].first, above, below);
}

static size_t put_load(struct shrinker *s, size_t offset, size_t next)
{
	return put_before(s, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset), next);
}

static size_t put_arch(struct shrinker *s, uint32_t arch)
{
	size_t count = find_ranges(s, arch);
	size_t search = put_search(s, s->ranges, count);

	return count == 1 && !s->ranges[0].outcome.goes_on ? search : put_load(s, OFFSET_NR, search);
}

/* One that the program has no comparison with stands for all of them. */
static uint32_t other_arch(const struct shrinker *s)
{
	uint32_t arch = 0;

	for (size_t i = 0; i < s->arch_count; i++)
		if (s->archs[i] == arch) {
			arch++;
			i = (size_t)-1;
		}
	return arch;
}

static void write_program(struct shrinker *s)
{
	const uint32_t other = other_arch(s);

	copy_rest(s, other);
	size_t next = put_arch(s, other);
	for (size_t i = s->arch_count; i-- > 0;)
		next = put_branch(s, BPF_JMP | BPF_JEQ | BPF_K, s->archs[i], put_arch(s, s->archs[i]), next);
	put_load(s, OFFSET_ARCH, next);
}

long seccomp_shrink(struct sock_filter *program, size_t count)
{
	_cleanup_free_ struct shrinker *s = count <= SECCOMP_INSTRUCTIONS_MAX ? calloc(1, sizeof(*s)) : NULL;

	if (!s)
		return count <= SECCOMP_INSTRUCTIONS_MAX ? -ENOMEM : (long)count;
	s->program = program;
	s->count = count;
	if (count == 0 || !read_program(s))
		return (long)count;
	write_program(s);
	if (s->is_full || s->out_count >= count)
		return (long)count;
	for (size_t i = 0; i < s->out_count; i++)
		program[i] = s->out[s->out_count - 1 - i];
	return (long)s->out_count;
}
