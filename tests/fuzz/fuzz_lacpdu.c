/* SPDX-License-Identifier: ISC */
/* A slow-protocols frame from a host: refused with *pdu untouched, or a PDU that survives its own encoding.
 */
#include <string.h>

#include "core/lacpdu.h"
#include "fuzz.h"

static void require_equal(const struct lacp_info *a, const struct lacp_info *b)
{
	REQUIRE(a->system_priority == b->system_priority && mac_equal(a->system, b->system));
	REQUIRE(a->key == b->key && a->port_priority == b->port_priority && a->port == b->port);
	REQUIRE(a->state == b->state);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lacpdu pdu = {.collector_max_delay = UINT16_MAX}, back;
	const struct lacpdu untouched = pdu;
	uint8_t bytes[LACPDU_SIZE];
	enum lacpdu_error error = lacpdu_decode(data, size, &pdu);

	REQUIRE((unsigned)error < LACPDU_ERROR_COUNT);
	REQUIRE((error == LACPDU_SHORT) == (size < LACPDU_SIZE));
	if (error != LACPDU_OK) {
		require_equal(&pdu.actor, &untouched.actor);
		require_equal(&pdu.partner, &untouched.partner);
		REQUIRE(pdu.collector_max_delay == untouched.collector_max_delay);
		return 0;
	}
	REQUIRE(!mac_is_multicast(pdu.actor.system));
	lacpdu_encode(&pdu, bytes);
	REQUIRE(lacpdu_decode(bytes, sizeof(bytes), &back) == LACPDU_OK);
	require_equal(&pdu.actor, &back.actor);
	require_equal(&pdu.partner, &back.partner);
	REQUIRE(pdu.collector_max_delay == back.collector_max_delay);
	/* What version 1 knows is encoded where it was found. */
	REQUIRE(memcmp(bytes + 2, data + 2, 17) == 0 && memcmp(bytes + 22, data + 22, 17) == 0);
	REQUIRE(memcmp(bytes + 42, data + 42, 4) == 0);
	return 0;
}
