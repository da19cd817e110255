/*
 * The OCI runtime and, called by their names, the monitor, the resolver, the splice and the helper that makes bridges: one program, because
 * most of it is the same, and because libc is in it once then.
 */
#include <stdbool.h>
#include <string.h>

#include "monitor/program.h"
#include "network/dns_resolver.h"
#include "network/program.h"
#include "network/splice.h"
#include "runtime/command.h"

static bool is_called(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');

	return strcmp(slash ? slash + 1 : path, name) == 0;
}

int main(int argc, char **argv)
{
	if (argc > 0 && is_called(argv[0], "tare-monitor"))
		return program_main(argc, argv);
	if (argc > 0 && is_called(argv[0], RESOLVER_PROGRAM))
		return resolver_main(argc, argv);
	if (argc > 0 && is_called(argv[0], SPLICE_PROGRAM))
		return splice_main(argc, argv);
	if (argc > 0 && is_called(argv[0], "tare-network"))
		return network_main(argc, argv);
	return command_main(argc, argv);
}
