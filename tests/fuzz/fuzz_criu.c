/* What CRIU says: a message, or refused; its text ends within its bounds. */
#include <errno.h>
#include <string.h>

#include "runtime/criu.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct criu_message message;
	int r = criu_parse(data, size, &message);

	fuzz_check(r == 0 || r == -EBADMSG);
	fuzz_check(memchr(message.script, '\0', sizeof(message.script)) && message.fd == -1);
	return 0;
}
