/*
 * A systemd manager, the system's or a user's, asked over D-Bus: through the bus, or by the manager's own socket where there is no
 * bus. One call after the other; each is bounded in time.
 */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "codec/dbus.h"

struct systemd;

/* ERR_UNSUPPORTED: systemd is not this host's init. */
int systemd_open(bool is_user, struct systemd **ret, struct err **reterr);
void systemd_close(struct systemd *self);
DEFINE_AUTOFREE(systemd, struct systemd *, systemd_close);

/* The manager's own group, from the hierarchy's root: "" of the system's, "/user.slice/..." of a user's. */
int systemd_control_group(struct systemd *self, char **ret, struct err **reterr);

/* A method of the manager's. With `waits` it returns a job, and its end is waited for. `ret_name`: borrowed, the D-Bus error's name,
 * "" if it is another. NULL: nobody asks. */
int systemd_call(struct systemd *self, const char *member, const char *signature, const struct dbus_body *body,
	bool waits, const char **ret_name, struct err **reterr);
