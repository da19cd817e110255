/* A policy that was accepted says what it means: its words are read as the same policy, and name nothing but what they may. */
#include <string.h>

#include "base/strv.h"
#include "spec/egress.h"

#include "fuzz.h"

static void check_rule(const struct egress_rule *rule)
{
	fuzz_check(rule->first_port <= rule->last_port);
	fuzz_check(rule->is_all || rule->name[0] || rule->subnet.prefix <= inet_bits(&rule->subnet.address));
	fuzz_check(!rule->name[0] || !rule->denies);
	for (const char *at = rule->name; *at; at++)
		fuzz_check(strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.*", *at));
	if (rule->name[0] && rule->name[0] != '*')
		fuzz_check(egress_name_matches(rule->name, rule->name));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ char *text = strndup((const char *)data, size);
	_autofree_(strv) char **words = NULL, **shown = NULL, **again = NULL;
	struct egress egress, same;
	fuzz_check(egress_split(text, &words) == 0);
	if (egress_parse(words, &egress, NULL) < 0) {
		egress_finish(&egress);
		return 0;
	}
	for (size_t i = 0; i < egress.count; i++)
		check_rule(&egress.rules[i]);
	fuzz_check(egress_print(&egress, &shown) == 0 && egress_parse(shown, &same, NULL) == 0);
	fuzz_check(egress_print(&same, &again) == 0 && strv_equal(shown, again));
	fuzz_check(same.count == egress.count && same.otherwise == egress.otherwise);
	egress_finish(&egress);
	egress_finish(&same);
	return 0;
}
