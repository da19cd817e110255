#include "spec/egress.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>

#include "base/parse.h"
#include "base/strv.h"
#include "spec/oci_check.h"

#define LABEL_MAX 63 /* of a name, between two dots */

static const struct {
	const char *word;
	enum egress_default value;
} defaults[] = { { "allow", EGRESS_ALLOW }, { "audit", EGRESS_AUDIT }, { "deny", EGRESS_DENY } };

static const struct {
	const char *word;
	uint8_t number;
} protocols[] = { { "tcp", IPPROTO_TCP }, { "udp", IPPROTO_UDP }, { "sctp", IPPROTO_SCTP }, { "icmp", IPPROTO_ICMP } };

static int refuse(struct err **reterr, const char *word, const char *why)
{
	return err_set(reterr, ERR_INVALID, 0, "invalid egress policy \"%s\": %s", oci_printable(word), why);
}

/* --- places --- */

/* Takes "/tcp" off the end: a subnet's "/16" is none. NULL: fine. */
static const char *take_protocol(char *text, struct egress_rule *rule)
{
	char *slash = strrchr(text, '/');
	if (!slash || !isalpha((unsigned char)slash[1]))
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (strcmp(slash + 1, protocols[i].word) == 0) {
			rule->protocol = protocols[i].number;
			*slash = '\0';
			return NULL;
		}
	}
	return "a protocol is tcp, udp, sctp or icmp";
}

static const char *take_ports(char *text, struct egress_rule *rule)
{
	uint64_t first, last;
	char *dash = strchr(text, '-');
	if (dash)
		*dash++ = '\0';
	if (parse_u64(text, EGRESS_PORT_LAST, &first) < 0 || first == 0)
		return "a port is a number from 1 to 65535";
	last = first;
	if (dash && (parse_u64(dash, EGRESS_PORT_LAST, &last) < 0 || last < first))
		return "a range of ports is FIRST-LAST";
	rule->first_port = (uint16_t)first;
	rule->last_port = (uint16_t)last;
	return rule->protocol == IPPROTO_ICMP ? "icmp has no ports" : NULL;
}

/* Cuts the ports off the host, which begins at the value returned; NULL with `*ret_why`. */
static char *split_host(char *text, char **ret_ports, const char **ret_why)
{
	*ret_ports = NULL;
	char *colon = strchr(text, ':');
	if (*text != '[') {
		if (!colon || strchr(colon + 1, ':')) /* none, or an address of IPv6 */
			return text;
		*colon = '\0';
		*ret_ports = colon + 1;
		return text;
	}
	char *close = strchr(text, ']');
	*ret_why = "[ without ]";
	if (!close)
		return NULL;
	/* "[fd00::]/8" is meant as "[fd00::/8]" is. */
	memmove(close, close + 1, strlen(close));
	*ret_why = "what follows ] is a prefix or a port";
	if (*close == '/')
		close += strcspn(close, ":");
	if (*close == ':') {
		*close = '\0';
		*ret_ports = close + 1;
	} else if (*close) {
		return NULL;
	}
	return strchr(text, ':') ? text + 1 : NULL;
}

static bool is_label(const char *label, size_t len)
{
	if (len == 0 || len > LABEL_MAX || label[0] == '-' || label[len - 1] == '-')
		return false;
	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
			return false;
	}
	return true;
}

static const char *take_name(const char *host, struct egress_rule *rule)
{
	const char *at = strncmp(host, "*.", 2) == 0 ? host + 2 : host, *label = at;
	size_t len = strlen(host);
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (len >= sizeof(rule->name))
		return "the name is too long";
	for (size_t part = 0; part == 0 || (size_t)(at - host) < len; at += part + 1) {
		part = strcspn(at, ".");
		label = at;
		if (!is_label(at, part))
			return "neither a name nor an address";
	}
	if (isdigit((unsigned char)*label)) /* a top domain never begins so; an address that is none does */
		return "neither a name nor an address";
	for (size_t i = 0; i < len; i++)
		rule->name[i] = (char)tolower((unsigned char)host[i]);
	return NULL;
}

static const char *take_host(const char *host, struct egress_rule *rule)
{
	if (strcmp(host, "*") == 0) {
		rule->is_all = true;
		return NULL;
	}
	if (strchr(host, '/')) {
		if (inet_parse_subnet(host, &rule->subnet) < 0)
			return "not a subnet";
		rule->subnet.address = inet_subnet_base(&rule->subnet);
		return NULL;
	}
	if (inet_parse(host, &rule->subnet.address) == 0) {
		rule->subnet.prefix = inet_bits(&rule->subnet.address);
		return NULL;
	}
	return strchr(host, ':') ? "not an address" : take_name(host, rule);
}

static const char *check_name(const struct egress_rule *rule)
{
	if (!rule->name[0])
		return NULL;
	if (rule->denies)
		return "a name can only be allowed; what is not allowed is denied by default=deny";
	if (rule->protocol == IPPROTO_ICMP || (rule->protocol && !egress_has_ports(rule)))
		return "a name with a protocol has a port too";
	return egress_has_ports(rule) && rule->last_port - rule->first_port >= EGRESS_NAME_PORTS_MAX
		       ? "a name has at most 16 ports"
		       : NULL;
}

/* `text` is written into. */
static const char *take_place(char *text, struct egress_rule *rule)
{
	const char *why = take_protocol(text, rule);
	char *ports, *host = why ? NULL : split_host(text, &ports, &why);
	rule->last_port = EGRESS_PORT_LAST;
	if (!host)
		return why;
	why = ports ? take_ports(ports, rule) : NULL;
	if (!why)
		why = take_host(host, rule);
	return why ?: check_name(rule);
}

/* --- words --- */

static int add_rule(struct egress *egress, const char *place, bool denies, struct err **reterr)
{
	char text[EGRESS_PLACE_SIZE];
	struct egress_rule rule = { .denies = denies };
	if (egress->count == EGRESS_RULES_MAX)
		return err_set(reterr, ERR_INVALID, 0, "an egress policy has at most %d rules", EGRESS_RULES_MAX);
	if (strlen(place) >= sizeof(text))
		return refuse(reterr, place, "too long");
	snprintf(text, sizeof(text), "%s", place);
	const char *why = take_place(text, &rule);
	if (why)
		return refuse(reterr, place, why);
	if (!egress->rules && !(egress->rules = calloc(EGRESS_RULES_MAX, sizeof(rule))))
		return err_oom(reterr);
	egress->rules[egress->count++] = rule;
	return 0;
}

static int add_rules(struct egress *egress, const char *list, bool denies, struct err **reterr)
{
	_autofree_(strv) char **places = strv_split(list, ',');
	int r = places ? 0 : err_oom(reterr);
	strv_foreach (place, places)
		r = r < 0 ? r : add_rule(egress, *place, denies, reterr);
	return r;
}

static int take_default(struct egress *egress, const char *word, bool *ret_said, struct err **reterr)
{
	const char *value = word + strlen("default=");
	for (size_t i = 0; i < ARRAY_SIZE(defaults); i++) {
		if (strcmp(value, defaults[i].word) != 0)
			continue;
		if (*ret_said && egress->otherwise != defaults[i].value)
			return refuse(reterr, word, "there is another default already");
		egress->otherwise = defaults[i].value;
		*ret_said = true;
		return 0;
	}
	return refuse(reterr, word, "the default is deny, audit or allow");
}

static int take_word(struct egress *egress, const char *word, bool *ret_said, struct err **reterr)
{
	if (strncmp(word, "allow=", 6) == 0)
		return add_rules(egress, word + 6, false, reterr);
	if (strncmp(word, "deny=", 5) == 0)
		return add_rules(egress, word + 5, true, reterr);
	if (strncmp(word, "default=", 8) == 0)
		return take_default(egress, word, ret_said, reterr);
	return refuse(reterr, word, "it is allow=PLACE, deny=PLACE or default=deny|audit|allow");
}

int egress_parse(char *const *words, struct egress *out, struct err **reterr)
{
	bool said_default = false;
	*out = (struct egress){ 0 };
	strv_foreach (word, words) {
		int r = take_word(out, *word, &said_default, reterr);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < out->count && !said_default; i++) {
		if (!out->rules[i].denies)
			out->otherwise = EGRESS_DENY;
	}
	return 0;
}

void egress_finish(struct egress *egress)
{
	free(egress->rules);
	*egress = (struct egress){ 0 };
}

static void print_place(const struct egress_rule *rule, char out[EGRESS_PLACE_SIZE])
{
	char host[EGRESS_PLACE_SIZE], ports[sizeof(":65535-65535")] = "";
	bool is_address = !rule->is_all && !rule->name[0];
	if (!is_address)
		snprintf(host, sizeof(host), "%s", rule->is_all ? "*" : rule->name);
	else if (rule->subnet.prefix == inet_bits(&rule->subnet.address))
		inet_print(&rule->subnet.address, host);
	else
		inet_print_subnet(&rule->subnet, host);
	if (egress_has_ports(rule) && rule->first_port == rule->last_port)
		snprintf(ports, sizeof(ports), ":%u", rule->first_port);
	else if (egress_has_ports(rule))
		snprintf(ports, sizeof(ports), ":%u-%u", rule->first_port, rule->last_port);
	bool has_brackets = is_address && rule->subnet.address.is_v6 && ports[0];
	const char *protocol = NULL;
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++) {
		if (rule->protocol == protocols[i].number)
			protocol = protocols[i].word;
	}
	snprintf(out, EGRESS_PLACE_SIZE, "%s%.255s%s%s%s%s", has_brackets ? "[" : "", host, has_brackets ? "]" : "",
		ports, protocol ? "/" : "", protocol ? protocol : "");
}

int egress_print(const struct egress *egress, char ***ret)
{
	_autofree_(strv) char **words = NULL;
	char place[EGRESS_PLACE_SIZE];
	int r = strv_appendf(&words, "default=%s", defaults[egress->otherwise].word);
	for (size_t i = 0; r == 0 && i < egress->count; i++) {
		print_place(&egress->rules[i], place);
		r = strv_appendf(&words, "%s=%s", egress->rules[i].denies ? "deny" : "allow", place);
	}
	if (r == 0)
		*ret = TAKE(words);
	return r;
}

int egress_split(const char *label, char ***ret)
{
	_autofree_(strv) char **words = NULL;
	for (size_t len; *label; label += len) {
		label += strspn(label, " \t\n");
		len = strcspn(label, " \t\n");
		int r = len ? strv_appendf(&words, "%.*s", (int)len, label) : 0;
		if (r < 0)
			return r;
	}
	*ret = TAKE(words);
	return 0;
}

/* --- questions --- */

bool egress_is_set(const struct egress *egress)
{
	return egress->otherwise != EGRESS_ALLOW || egress->count > 0;
}

bool egress_has_ports(const struct egress_rule *rule)
{
	return rule->first_port > 0 || rule->last_port < EGRESS_PORT_LAST;
}

bool egress_has_names(const struct egress *egress)
{
	for (size_t i = 0; i < egress->count; i++) {
		if (egress->rules[i].name[0])
			return true;
	}
	return false;
}

bool egress_rule_serves(const struct egress_rule *rule, uint8_t protocol, uint16_t port)
{
	bool has_ports = egress_has_ports(rule);
	if (rule->protocol == 0 && has_ports && protocol != IPPROTO_TCP && protocol != IPPROTO_UDP)
		return false;
	if (rule->protocol != 0 && rule->protocol != (protocol == IPPROTO_ICMPV6 ? IPPROTO_ICMP : protocol))
		return false;
	return !has_ports || (port >= rule->first_port && port <= rule->last_port);
}

bool egress_lets(const struct egress *egress, const struct inet_address *address, uint8_t protocol, uint16_t port)
{
	bool is_let = egress->otherwise != EGRESS_DENY;
	for (size_t i = 0; i < egress->count; i++) {
		const struct egress_rule *rule = &egress->rules[i];
		bool is_there = rule->is_all || (!rule->name[0] && inet_subnet_has(&rule->subnet, address));
		if (!is_there || !egress_rule_serves(rule, protocol, port))
			continue;
		if (rule->denies)
			return false;
		is_let = true;
	}
	return is_let;
}

bool egress_name_matches(const char *pattern, const char *name)
{
	size_t len = strlen(name), suffix = strlen(pattern);
	if (*pattern != '*')
		return *pattern && strcmp(pattern, name) == 0;
	suffix--; /* ".name" */
	return len > suffix && strcmp(name + len - suffix, pattern + 1) == 0;
}
