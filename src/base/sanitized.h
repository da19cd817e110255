/* A sanitizer's runtime maps terabytes and makes calls of its own: what is shut in with one has no limit of memory and no filter of calls. */
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
# define SANITIZED true
#else
# define SANITIZED false
#endif

/* A child on our stack never returns from the frames that it had there, so the sanitizer would go on guarding them. */
#if defined(__SANITIZE_ADDRESS__)
# include <sanitizer/asan_interface.h>
# define SANITIZED_FORGET_BYTES (1024 * 1024)
# define sanitized_forget_child() \
  __asan_unpoison_memory_region((char *)__builtin_frame_address(0) - SANITIZED_FORGET_BYTES, SANITIZED_FORGET_BYTES)
#else
# define sanitized_forget_child() ((void)0)
#endif
