/*
 * A program that nobody can change: a copy in a memfd whose seals forbid writing, resizing, changing its mode and taking
 * the seals off. Executing it instead of the file on disk, a container that gets hold of /proc/PID/exe of a process of
 * ours holds a copy that can't be written (CVE-2019-5736).
 */
#pragma once

/* Copies the file open at `program_fd` (its offset stays). `name` shows in /proc. O_CLOEXEC. */
int sealed_copy(int program_fd, const char *name, int *ret_fd);
