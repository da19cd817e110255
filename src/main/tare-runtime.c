/*
 * The OCI runtime and, called by their names, the holder, the monitor, the resolver, the splice and the helper that makes bridges: one
 * program, because most of it is the same, and because libc is in it once then.
 */
#include <string.h>

#include "base/cleanup.h"
#include "holder/holder.h"
#include "monitor/program.h"
#include "network/dns_resolver.h"
#include "network/program.h"
#include "network/splice.h"
#include "runtime/command.h"

static const struct {
	const char *name;
	int (*main)(int argc, char **argv);
} programs[] = {
	{ "tared", holder_main },
	{ "tare-monitor", program_main },
	{ "tare-network", network_main },
	{ RESOLVER_PROGRAM, resolver_main },
	{ SPLICE_PROGRAM, splice_main },
};

int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	for (size_t i = 0; i < ARRAY_SIZE(programs); i++)
		if (strcmp(programs[i].name, name) == 0)
			return programs[i].main(argc, argv);
	return command_main(argc, argv);
}
