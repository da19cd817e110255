/* What arrives on the channels between our processes; a broken peer must not take the other side along. */
#include <string.h>

#include "spec/handover.h"
#include "spec/holder.h"
#include "spec/messages.h"

#include "fuzz.h"

static void check_holder(const char *data, size_t len)
{
	struct holder_message message;
	char again[HOLDER_MESSAGE_MAX];
	if (holder_message_decode(data, len, &message) < 0)
		return;
	fuzz_check(holder_message_encode(&message, again, sizeof again) == (int)len);
	fuzz_check(memcmp(again, data, len) == 0);
}

static void check_handover(const struct message *message)
{
	struct handover request;
	if (handover_read(message, &request, NULL) < 0)
		return;
	fuzz_check(handover_kind(&request) < HANDOVER_KIND_COUNT);
	json_t *body = handover_message(message->id < 0 ? 0 : message->id, &request);
	fuzz_check(body);
	json_decref(body);
	handover_finish(&request);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message message;
	struct runstate state;
	struct err *err = NULL;
	check_holder((const char *)data, size);
	if (message_parse((const char *)data, size, &message, NULL) < 0)
		return 0;
	fuzz_check(message.op && message.version >= 1 && message.id >= MESSAGE_NO_ID);
	fuzz_check(message.surplus_len < size);
	if (message_outcome(&message, &err) < 0)
		fuzz_check(err && err->errnum > 0);
	err_free(err);
	if (message_document(&message, "state", &runstate_table, &state, NULL) == 0)
		runstate_finish(&state);
	check_handover(&message);
	message_finish(&message);
	return 0;
}
