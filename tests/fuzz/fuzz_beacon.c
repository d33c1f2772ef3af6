/* SPDX-License-Identifier: ISC */
/* The payload of a keepalive: refused with a reason, or a valid beacon that survives its own encoding. */
#include <errno.h>
#include <string.h>

#include "../valid.h"
#include "fuzz.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct beacon b = {.domain = UINT16_MAX}, back;
	char why[MESSAGE_WHY_SIZE] = "";
	uint8_t bytes[BEACON_LIMIT];

	if (beacon_decode(data, size, &b, why)) {
		REQUIRE(why[0] && memchr(why, 0, sizeof(why)));
		REQUIRE(b.domain == UINT16_MAX);
		return 0;
	}
	REQUIRE(valid_beacon(&b));
	size_t encoded = beacon_encode(&b, bytes);
	REQUIRE(encoded > 0 && encoded <= BEACON_LIMIT);
	REQUIRE(beacon_decode(bytes, encoded, &back, why) == 0);
	REQUIRE(b.domain == back.domain && b.epoch == back.epoch && b.role == back.role);
	REQUIRE(b.carrying == back.carrying);
	return 0;
}
