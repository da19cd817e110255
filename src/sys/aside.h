/*
 * One long call of the kernel's beside what its caller does meanwhile: a process that shares the caller's memory and descriptors,
 * for as long as that call takes. It shares libc's errno, too, so it makes bare calls (sys/bare_call.h) and no others.
 */
#pragma once

typedef long aside_fn(void *user);

/* NULL: nothing was begun, which aside_finish takes, too. */
struct aside *aside_begin(aside_fn *fn, void *user);

/* Waits, and gives what `fn` returned; -ECHILD if it was not begun, or was killed before it could say. */
long aside_finish(struct aside *aside);
