/*
 * The first content of a new volume: what the image has at its place. However long the copying takes, the monitor's loop goes
 * on: a child does it, and the start waits for the child's end.
 *
 * A volume that is being filled says so on itself (an attribute of its folder) until all is there. So one that was left half
 * filled, by a kill of whatever kind, is filled up by the next start: what is in it already is kept, and what is not, copied.
 * Two containers that fill one volume at once do each other's work; the first that is through may take the mark off.
 */
#pragma once

#include <stdbool.h>

#include <sys/types.h>

/* Whether it is empty, or was left half filled; or -errno. */
int fill_is_due(int volume_fd);

/*
 * A child that copies the image's folder into the volume's and exits with 0 or an errno; it ends with us, and holds no descriptor
 * but these. Returns its pid; 0: the image's folder is empty, and the volume has its owner and mode already; or -errno.
 */
pid_t fill_start(int image_fd, int volume_fd);
