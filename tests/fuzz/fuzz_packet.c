/* The beginning of any packet that a container sends, as the kernel logs it. */
#include "sys/nflog.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct nflog_packet packet;
	if (nflog_packet_parse(data, size, &packet) < 0)
		return 0;
	fuzz_check(size >= 20 && packet.source.is_v6 == packet.destination.is_v6);
	fuzz_check(packet.port == 0 || size >= 24);
	return 0;
}
