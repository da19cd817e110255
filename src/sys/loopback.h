/* The loopback interface of the calling thread's network namespace. */
#pragma once

int loopback_up(void);
