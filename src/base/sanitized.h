/* A sanitizer's runtime maps terabytes and makes calls of its own: what is shut in with one has no limit of memory and no filter of calls. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
# define SANITIZED true
#else
# define SANITIZED false
#endif
