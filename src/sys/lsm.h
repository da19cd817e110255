/* Linux security modules: which labels this kernel can give, and giving one to the next execve. */
#pragma once

#include <stdbool.h>

bool lsm_has_apparmor(void);
bool lsm_has_selinux(void);

/* For the next execve of the calling process; `proc_fd` is a private procfs (sys/procfs.h). Allocates nothing. */
int lsm_set_exec_apparmor(int proc_fd, const char *profile);
int lsm_set_exec_selinux(int proc_fd, const char *label);
