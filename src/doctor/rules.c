/*
 * Foreign rules: what another program's chains do to packets of our networks. No accept of ours can undo a drop of theirs, so
 * each is named with the command that lets ours through. Packets are imagined (sys/nft_rules.h): one out of each network to
 * a web server, one to each published port (ports.c); what the legacy iptables has is not shown by nf_tables and is only told of.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>

#include "doctor/report.h"
#include "sys/links.h"

#define SECTION     "rules"
#define BRIDGES_MAX 64
#define OUTSIDE_V4  "198.51.100.7" /* of documentation: nobody's */
#define OUTSIDE_V6  "2001:db8:ffff::7"
#define PROBE_PORT  443

struct bridge {
	char name[IF_NAMESIZE];
	int index;
	bool is_internal, is_up;
	struct inet_address v4, v6; /* of a container */
	bool has_v4, has_v6;
};

struct scene {
	struct examination *examination;
	char alias[LINK_ALIAS_SIZE];
	struct bridge bridges[BRIDGES_MAX];
	size_t count;
	int uplink;
	char uplink_name[IF_NAMESIZE];
	/* The packet that is tried. */
	enum { INTO, OUT_OF, TO_HOST } way;
	const struct bridge *bridge; /* NULL: to the host */
	const struct nft_probe *probe;
	bool is_dropped;
};

/* --- what there is --- */

static int take_link(const struct link_info *link, void *user)
{
	struct scene *scene = user;
	if (link->index == scene->uplink)
		snprintf(scene->uplink_name, sizeof(scene->uplink_name), "%s", link->name);
	if (strcmp(link->kind, "bridge") != 0 || strcmp(link->alias, scene->alias) != 0 || scene->count == BRIDGES_MAX)
		return 0;
	struct bridge *bridge = &scene->bridges[scene->count++];
	*bridge = (struct bridge){ .index = link->index, .is_up = link->flags & IFF_UP };
	snprintf(bridge->name, sizeof(bridge->name), "%s", link->name);
	return 0;
}

static int take_address(int index, const struct inet_subnet *address, void *user)
{
	struct scene *scene = user;
	for (size_t i = 0; i < scene->count; i++) {
		struct bridge *bridge = &scene->bridges[i];
		const struct inet_address base = inet_subnet_base(address);
		if (bridge->index != index || (address->address.is_v6 && address->address.bytes[0] == 0xfe))
			continue;
		*(address->address.is_v6 ? &bridge->v6 : &bridge->v4) = inet_add(&base, 2);
		*(address->address.is_v6 ? &bridge->has_v6 : &bridge->has_v4) = true;
	}
	return 0;
}

static int take_route(const struct inet_subnet *to, const struct inet_address *gateway, int index, void *user)
{
	struct scene *scene = user;
	(void)gateway;
	if (to->prefix == 0 && scene->uplink == 0)
		scene->uplink = index;
	return 0;
}

static int take_internal(const struct nft_element *element, void *user)
{
	struct scene *scene = user;
	for (size_t i = 0; i < scene->count; i++) {
		if (strncmp((const char *)element->key.bytes, scene->bridges[i].name, IF_NAMESIZE) == 0)
			scene->bridges[i].is_internal = true;
	}
	return 0;
}

static void look_around(struct scene *scene)
{
	struct examination *examination = scene->examination;
	snprintf(scene->alias, sizeof(scene->alias), "tare %.200s", examination->options->exec_root);
	routes_each(&examination->route, take_route, scene);
	links_each(&examination->route, take_link, scene);
	addresses_each(&examination->route, take_address, scene);
	nft_elements_each(&examination->netfilter, NFPROTO_INET, examination->table, "internal", take_internal, scene);
}

/* --- whose it is --- */

static bool has_chain(const struct scene *scene, const struct nft_chain_info *chain, const char *begin)
{
	return nft_ruleset_has_chain(scene->examination->rules, chain->family, chain->table, begin);
}

static const char *family_word(uint8_t family)
{
	return family == NFPROTO_IPV4 ? "ip" : family == NFPROTO_IPV6 ? "ip6" : "inet";
}

enum owner { FIREWALLD, UFW, DOCKER, IPTABLES, SOMEBODY };
static const char *const owners[] = { "firewalld's", "ufw's", "Docker's", "iptables'", "somebody's" };

static enum owner owner_of(const struct scene *scene, const struct nft_chain_info *chain)
{
	if (strcmp(chain->table, "firewalld") == 0)
		return FIREWALLD;
	if (has_chain(scene, chain, "ufw"))
		return UFW;
	if (scene->way != TO_HOST && has_chain(scene, chain, "DOCKER-USER"))
		return DOCKER;
	bool is_of_iptables = chain->family != NFPROTO_INET && chain->name[0] >= 'A' && chain->name[0] <= 'Z' &&
			      (strcmp(chain->table, "filter") == 0 || strcmp(chain->table, "raw") == 0);
	return is_of_iptables ? IPTABLES : SOMEBODY;
}

static const char *proto_word(const struct scene *scene)
{
	return scene->probe->protocol == IPPROTO_UDP ? "udp" : "tcp";
}

/* What its program takes to let in what comes to a port of the host. */
static void let_to_host(const struct scene *scene, const struct nft_chain_info *chain, enum owner owner, char *remedy,
	size_t size)
{
	const char *proto = proto_word(scene), *iptables = chain->family == NFPROTO_IPV6 ? "ip6tables" : "iptables";
	unsigned port = scene->probe->port;
	switch (owner) {
	case FIREWALLD:
		snprintf(remedy, size, "firewall-cmd --permanent --add-port=%u/%s && firewall-cmd --reload", port,
			proto);
		break;
	case UFW: snprintf(remedy, size, "ufw allow %u/%s", port, proto); break;
	case DOCKER:
	case IPTABLES:
		snprintf(remedy, size, "%s -t %s -I %s -p %s --dport %u -j ACCEPT", iptables, chain->table, chain->name,
			proto, port);
		break;
	case SOMEBODY:
		snprintf(remedy, size, "nft insert rule %s %s %s %s dport %u accept", family_word(chain->family),
			chain->table, chain->name, proto, port);
		break;
	}
}

/* The same for a bridge's packets. */
static void let_through(const struct scene *scene, const struct nft_chain_info *chain, enum owner owner, char *remedy,
	size_t size)
{
	const char *bridge = scene->bridge->name, *iptables = chain->family == NFPROTO_IPV6 ? "ip6tables" : "iptables";
	bool into = scene->way == INTO;
	switch (owner) {
	case FIREWALLD:
		snprintf(remedy, size,
			"firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload", bridge);
		break;
	case UFW: snprintf(remedy, size, "ufw route allow %s on %s", into ? "out" : "in", bridge); break;
	case DOCKER:
		snprintf(remedy, size, "%s -I DOCKER-USER %s %s -j ACCEPT", iptables, into ? "-o" : "-i", bridge);
		break;
	case IPTABLES:
		snprintf(remedy, size, "%s -t %s -I %s %s %s -j ACCEPT", iptables, chain->table, chain->name,
			into ? "-o" : "-i", bridge);
		break;
	case SOMEBODY:
		snprintf(remedy, size, "nft insert rule %s %s %s %s \"%s\" accept", family_word(chain->family),
			chain->table, chain->name, into ? "oifname" : "iifname", bridge);
		break;
	}
}

static bool was_told(const struct examination *examination, const char *message)
{
	size_t i;
	json_t *check;
	json_array_foreach (json_object_get(examination->report, "Checks"), i, check) {
		if (strcmp(json_string_value(json_object_get(check, "Message")), message) == 0)
			return true;
	}
	return false;
}

static void on_verdict(const struct nft_verdict_of *verdict, void *user)
{
	struct scene *scene = user;
	const struct nft_chain_info *chain = verdict->chain;
	enum owner owner = owner_of(scene, chain);
	char remedy[256], what[96], message[512];
	if (verdict->fate == NFT_FATE_ACCEPTED)
		return;
	scene->is_dropped |= verdict->fate == NFT_FATE_DROPPED;
	if (scene->way == TO_HOST) {
		let_to_host(scene, chain, owner, remedy, sizeof(remedy));
		snprintf(what, sizeof(what), "to the host's port %u/%s", scene->probe->port, proto_word(scene));
	} else {
		let_through(scene, chain, owner, remedy, sizeof(remedy));
		snprintf(what, sizeof(what), "%s containers on %s", scene->way == INTO ? "to" : "from",
			scene->bridge->name);
	}
	bool is_unclear = verdict->fate == NFT_FATE_UNCLEAR;
	snprintf(message, sizeof(message), "the chain %s of the table %s %s (%s) %s packets %s%s", chain->name,
		family_word(chain->family), chain->table, owners[owner], is_unclear ? "may drop" : "drops", what,
		is_unclear           ? ": it depends on what can't be seen from here"
		: verdict->by_policy ? " by its policy"
				     : "");
	if (was_told(scene->examination, message))
		return;
	if (is_unclear)
		report_note(scene->examination, SECTION, "%s", message);
	else
		report_mend(scene->examination, SECTION, remedy, "%s", message);
}

static void try_out(struct scene *scene, const struct bridge *bridge, bool is_v6)
{
	struct nft_probe probe = { .protocol = IPPROTO_TCP,
		.port = PROBE_PORT,
		.in_index = bridge->index,
		.out_index = scene->uplink,
		.source = is_v6 ? bridge->v6 : bridge->v4 };
	inet_parse(is_v6 ? OUTSIDE_V6 : OUTSIDE_V4, &probe.destination);
	snprintf(probe.in, sizeof(probe.in), "%s", bridge->name);
	scene->probe = &probe;
	scene->bridge = bridge;
	scene->way = OUT_OF;
	nft_ruleset_try(scene->examination->rules, NF_INET_PRE_ROUTING, &probe, scene->examination->table, on_verdict,
		scene);
	snprintf(probe.out, sizeof(probe.out), "%s", scene->uplink_name);
	nft_ruleset_try(scene->examination->rules, NF_INET_FORWARD, &probe, scene->examination->table, on_verdict,
		scene);
}

static const struct bridge *find_bridge(const struct scene *scene, const char *name)
{
	for (size_t i = 0; i < scene->count; i++) {
		if (strcmp(scene->bridges[i].name, name) == 0)
			return &scene->bridges[i];
	}
	return NULL;
}

bool rules_let_in(struct examination *examination, const char *bridge, const struct inet_address *to, uint8_t protocol,
	uint16_t port)
{
	struct scene *scene = examination->scene;
	struct nft_probe probe = { .protocol = protocol, .port = port, .is_published = bridge, .destination = *to };
	if (!scene || (bridge && !(scene->bridge = find_bridge(scene, bridge))))
		return true;
	inet_parse(to->is_v6 ? OUTSIDE_V6 : OUTSIDE_V4, &probe.source);
	probe.in_index = scene->uplink;
	snprintf(probe.in, sizeof(probe.in), "%s", scene->uplink_name);
	if (bridge) {
		probe.out_index = scene->bridge->index;
		snprintf(probe.out, sizeof(probe.out), "%s", bridge);
	}
	scene->probe = &probe;
	scene->way = bridge ? INTO : TO_HOST;
	scene->is_dropped = false;
	nft_ruleset_try(examination->rules, bridge ? NF_INET_FORWARD : NF_INET_LOCAL_IN, &probe, examination->table,
		on_verdict, scene);
	return !scene->is_dropped;
}

void rules_finish(struct examination *examination)
{
	free(examination->scene);
	examination->scene = NULL;
}

static void examine_bridge(struct scene *scene, const struct bridge *bridge)
{
	if (!bridge->is_up)
		report_mend(scene->examination, SECTION, "ip link set up dev NAME, with its name",
			"the bridge %s is down: its containers reach nobody", bridge->name);
	if (bridge->has_v4 && !bridge->is_internal)
		try_out(scene, bridge, false);
	if (bridge->has_v6 && !bridge->is_internal)
		try_out(scene, bridge, true);
}

static void examine_forwarding(struct scene *scene)
{
	struct examination *examination = scene->examination;
	bool needs[2] = { false, false };
	for (size_t i = 0; i < scene->count; i++) {
		needs[0] |= scene->bridges[i].has_v4 && !scene->bridges[i].is_internal;
		needs[1] |= scene->bridges[i].has_v6 && !scene->bridges[i].is_internal;
	}
	if (needs[0] && !examination->forwards_v4)
		report_mend(examination, SECTION, "sysctl -w net.ipv4.ip_forward=1",
			"the host forwards no packets (net.ipv4.ip_forward is 0): containers reach nobody outside, nor are they reached");
	if (needs[1] && !examination->forwards_v6)
		report_mend(examination, SECTION, "sysctl -w net.ipv6.conf.all.forwarding=1",
			"the host forwards no IPv6 (net.ipv6.conf.all.forwarding is 0)");
}

/* Its names only: what it drops is not looked at. */
static void examine_legacy(struct scene *scene)
{
	const char *const files[] = { "/proc/net/ip_tables_names", "/proc/net/ip6_tables_names" };
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char word[64];
		FILE *file = fopen(files[i], "re");
		while (file && fscanf(file, "%63s", word) == 1) {
			if (strcmp(word, "filter") == 0)
				report_note(scene->examination, SECTION,
					"the legacy %s has a filter table, whose rules nf_tables does not show: if FORWARD's policy is DROP "
					"there (%s-legacy -S FORWARD), packets of containers are dropped",
					i ? "ip6tables" : "iptables", i ? "ip6tables" : "iptables");
		}
		if (file)
			fclose(file);
	}
}

void examine_rules(struct examination *examination)
{
	if (!examination->rules)
		return;
	struct scene *scene = examination->scene = calloc(1, sizeof(*scene));
	if (!scene)
		return;
	scene->examination = examination;
	look_around(scene);
	bool has_table = nft_table_exists(&examination->netfilter, NFPROTO_INET, examination->table) == 0;
	if (scene->count > 0 && !has_table)
		report_mend(examination, SECTION, "start the engine, which puts it back",
			"the table inet %s is not there: published ports and the walls between networks are down",
			examination->table);
	else if (has_table)
		report_ok(examination, SECTION, "the table inet %s is there", examination->table);
	examine_forwarding(scene);
	for (size_t i = 0; i < scene->count; i++)
		examine_bridge(scene, &scene->bridges[i]);
	examine_legacy(scene);
}
