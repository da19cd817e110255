/* The parts of an examination (doctor.h), each in a file of its name. */
#pragma once

#include "doctor/doctor.h"
#include "network/table.h"
#include "sys/nft_rules.h"

struct examination {
	const struct doctor_options *options;
	json_t *report;
	char table[TABLE_NAME_SIZE];
	struct netlink netfilter, route;
	struct nft_ruleset *rules; /* NULL: they can't be read */
	bool forwards_v4, forwards_v6;
	struct scene *scene; /* of rules.c; NULL: nothing is known of the rules */
};

void report_ok(struct examination *examination, const char *section, const char *format, ...) printf_like(3, 4);
void report_note(struct examination *examination, const char *section, const char *format, ...) printf_like(3, 4);
/* `remedy`: what to do, mostly a command. */
void report_mend(struct examination *examination, const char *section, const char *remedy, const char *format, ...)
	printf_like(4, 5);

void examine_kernel(struct examination *examination);
void examine_folders(struct examination *examination);
void examine_rules(struct examination *examination);
/* Of a packet from outside: whether a foreign rule lets it through to the container on that bridge; with `bridge` NULL, to a socket of
 * the host's. Who does not is named, once. */
bool rules_let_in(struct examination *examination, const char *bridge, const struct inet_address *to, uint8_t protocol,
	uint16_t port);
void rules_finish(struct examination *examination);
void examine_ports(struct examination *examination);
