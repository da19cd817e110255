/* What settings say of networks, looked over: the sentence names the key and what was expected. */
#pragma once

#include "engine/settings.h"

/* host-gateway-ip is moved into the list. */
int settings_check_networks(struct settings *settings, struct err **reterr);
