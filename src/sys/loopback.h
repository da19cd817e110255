/* The loopback interface of the calling process's network namespace. Bare calls (sys/bare_call.h): errno stays as it was. */
#pragma once

int loopback_up(void);

/* The same, and the socket that did it, which belongs to that namespace. */
int loopback_up_by(int *ret_socket);
