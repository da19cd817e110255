/* Session keyrings. */
#pragma once

/* A new, empty, anonymous session keyring for the calling process and its children. 0 also where the kernel has no keys. */
int keyring_join_new_session(void);
