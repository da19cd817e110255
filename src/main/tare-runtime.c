/*
 * The OCI runtime and, called by their names, the holder, the monitor, the resolver, the splice and the helper that makes bridges: one
 * program, because most of it is the same, and because libc is in it once then.
 */
#include <string.h>

#include "holder/holder.h"
#include "monitor/program.h"
#include "network/dns_resolver.h"
#include "network/program.h"
#include "network/splice.h"
#include "runtime/command.h"

/* No table: what has pointers in it is each monitor's own memory. */
int main(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = slash ? slash + 1 : argc > 0 ? argv[0] : "";

	if (strcmp(name, "tare-monitor") == 0)
		return program_main(argc, argv);
	if (strcmp(name, "tared") == 0)
		return holder_main(argc, argv);
	if (strcmp(name, RESOLVER_PROGRAM) == 0)
		return resolver_main(argc, argv);
	if (strcmp(name, SPLICE_PROGRAM) == 0)
		return splice_main(argc, argv);
	if (strcmp(name, "tare-network") == 0)
		return network_main(argc, argv);
	return command_main(argc, argv);
}
