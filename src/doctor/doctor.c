#include "doctor/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "doctor/report.h"
#include "network/sysctls.h"

#define TEXT_MAX 1024

int doctor_add(json_t *report, bool first, const char *section, const char *status, const char *message,
	const char *remedy)
{
	json_t *checks = json_object_get(report, "Checks");
	json_t *check = json_pack("{s:s, s:s, s:s}", "Section", section, "Status", status, "Message", message);
	if (remedy && check && json_object_set_new(check, "Remedy", json_string(remedy)) < 0) {
		json_decref(check);
		return -ENOMEM;
	}
	if (strcmp(status, "mend") == 0)
		json_object_set_new(report, "Healthy", json_false());
	int r = first ? json_array_insert_new(checks, 0, check) : json_array_append_new(checks, check);
	return r < 0 ? -ENOMEM : 0;
}

#define REPORT(status, remedy)                                           \
 do {                                                                    \
  char text[TEXT_MAX];                                                   \
  va_list arguments;                                                     \
  va_start(arguments, format);                                           \
  vsnprintf(text, sizeof(text), format, arguments);                      \
  va_end(arguments);                                                     \
  doctor_add(examination->report, false, section, status, text, remedy); \
 } while (0)

void report_ok(struct examination *examination, const char *section, const char *format, ...)
{
	REPORT("ok", NULL);
}

void report_note(struct examination *examination, const char *section, const char *format, ...)
{
	REPORT("note", NULL);
}

void report_mend(struct examination *examination, const char *section, const char *remedy, const char *format, ...)
{
	REPORT("mend", remedy);
}

static void open_kernel(struct examination *examination)
{
	int r = netlink_open(&examination->netfilter, NETLINK_NETFILTER);
	if (r == 0)
		r = nft_ruleset_read(&examination->netfilter, &examination->rules);
	if (r == -EPERM)
		report_note(examination, "rules", "only root may read the packet filters, so nothing is said of them");
	else if (r < 0)
		report_mend(examination, "kernel", "use a kernel with CONFIG_NF_TABLES",
			"nf_tables can't be read: %s: no bridge network can be made", strerror(-r));
	netlink_open(&examination->route, NETLINK_ROUTE);
	examination->forwards_v4 = sysctls_get("ipv4", "all", "forwarding") == 1;
	examination->forwards_v6 = sysctls_get("ipv6", "all", "forwarding") == 1;
}

int doctor_examine(const struct doctor_options *options, json_t **ret, struct err **reterr)
{
	struct examination examination = { .options = options, .netfilter = NETLINK_NONE, .route = NETLINK_NONE };
	examination.report = json_pack("{s:b, s:[], s:[]}", "Healthy", 1, "Checks", "Ports");
	if (!examination.report)
		return err_oom(reterr);
	table_name(options->exec_root, examination.table);
	open_kernel(&examination);
	examine_kernel(&examination);
	examine_folders(&examination);
	examine_rules(&examination);
	examine_ports(&examination);
	rules_finish(&examination);
	nft_ruleset_free(examination.rules);
	netlink_close(&examination.netfilter);
	netlink_close(&examination.route);
	*ret = examination.report;
	return 0;
}
