/* SPDX-License-Identifier: ISC */
/* The trust border: bytes are refused with a reason, or are a valid message that survives its own encoding.
 */
#include <errno.h>
#include <string.h>

#include "../valid.h"
#include "fuzz.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m = {.kind = MESSAGE_KIND_COUNT}, back;
	char why[MESSAGE_WHY_SIZE] = "";
	uint8_t *bytes;
	size_t encoded;

	int rc = message_decode(data, size, &m, why);
	if (rc) {
		REQUIRE(rc == -EBADMSG || rc == -ENOMSG);
		REQUIRE(why[0] && memchr(why, 0, sizeof(why)));
		REQUIRE(m.kind == MESSAGE_KIND_COUNT);
		return 0;
	}
	REQUIRE(valid_message(&m));
	message_encode(&m, &bytes, &encoded);
	REQUIRE(encoded <= MESSAGE_LIMIT);
	REQUIRE(message_decode(bytes, encoded, &back, why) == 0);
	REQUIRE(message_equal(&m, &back) && message_equal(&back, &m));
	free(bytes);
	message_clear(&back);
	message_clear(&m);
	return 0;
}
