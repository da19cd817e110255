/* What musl's has not, as glibc declares it. */
#pragma once
#include_next <sys/resource.h>

typedef int __rlimit_resource_t;
