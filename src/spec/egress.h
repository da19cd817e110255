/*
 * What a container may reach: the words of `--egress`, which are also HostConfig.Egress, the label tare.egress and
 * launch.network.egress. Each is one of
 *
 *	default=deny|audit|allow    what happens to all that no rule names: audit lets it go and counts it. Without it: deny
 *	                            where something is allowed, else allow
 *	allow=PLACE[,PLACE...]      may be reached
 *	deny=PLACE[,PLACE...]       may not, whatever allows it
 *
 *	PLACE:  HOST[:PORT[-PORT]][/tcp|udp|sctp|icmp]
 *	HOST:   a name, *.name (any name below it, not itself), an IPv4 or IPv6 address or subnet ([fd00::1]:443, fd00::/8), or
 *	        * for everything
 *
 * A place with a port and no protocol means tcp and udp; with neither, all protocols. Names are for `allow` alone, with at
 * most EGRESS_NAME_PORTS_MAX ports: what they lead to is what the container's resolver has answered.
 */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"
#include "base/inet.h"

#define EGRESS_RULES_MAX      256
#define EGRESS_NAME_PORTS_MAX 16
#define EGRESS_NAME_SIZE      254
#define EGRESS_PORT_LAST      65535
/* Of a rule's place as text, with its NUL. */
#define EGRESS_PLACE_SIZE (EGRESS_NAME_SIZE + sizeof("[]/128:65535-65535/sctp"))
/* The words in one label, with blanks between. */
#define EGRESS_LABEL "tare.egress"

enum egress_default { EGRESS_ALLOW, EGRESS_AUDIT, EGRESS_DENY };

struct egress_rule {
	bool denies;
	bool is_all;                    /* every address of both families */
	char name[EGRESS_NAME_SIZE];    /* in lower case; "": `subnet` counts */
	struct inet_subnet subnet;      /* no bits below the prefix */
	uint8_t protocol;               /* IPPROTO_*; 0: all, or tcp and udp if there are ports */
	uint16_t first_port, last_port; /* 0 and EGRESS_PORT_LAST: all */
};

/* Plain: zeroed is the policy that allows everything. */
struct egress {
	enum egress_default otherwise;
	struct egress_rule *rules;
	size_t count;
};

/* Into `out`, which the caller finishes. NULL or no words: everything is allowed. */
int egress_parse(char *const *words, struct egress *out, struct err **reterr);
void egress_finish(struct egress *egress);

/* The same policy in words as they are shown: the default first, then a word a rule. -ENOMEM */
int egress_print(const struct egress *egress, char ***ret);
/* Splits a label's text. -ENOMEM */
int egress_split(const char *label, char ***ret);

/* Whether anything is held back or counted. */
bool egress_is_set(const struct egress *egress);
bool egress_has_names(const struct egress *egress);
bool egress_has_ports(const struct egress_rule *rule);
/* Whether it lets something go to a place that no name led to. */
bool egress_lets(const struct egress *egress, const struct inet_address *address, uint8_t protocol, uint16_t port);
/* Whether the rule is one for that protocol and port. */
bool egress_rule_serves(const struct egress_rule *rule, uint8_t protocol, uint16_t port);
/* Whether a rule's name is that one, which is in lower case and has no final dot. */
bool egress_name_matches(const char *pattern, const char *name);
