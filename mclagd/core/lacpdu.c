/* SPDX-License-Identifier: ISC */
/*
 * core/lacpdu.c - the LACPDU on the wire.
 *
 *	 offset
 *	      0  subtype (1), version
 *	      2  actor:     type (1), length (20), information (15), reserved (3)
 *	     22  partner:   type (2), length (20), information (15), reserved (3)
 *	     42  collector: type (3), length (16), maximum delay (2), reserved (12)
 *	     58  terminator: type (0), length (0), reserved (50); later versions put more TLVs here
 *
 * Version 1 stands at fixed offsets in every later version, so decoding reads these and nothing behind
 * them: reserved octets are "ignored on receipt", later versions are read as version 1 (802.1AX 6.4.2.3).
 */
#include "core/lacpdu.h"

#include <string.h>

enum {
	SUBTYPE_LACP = 1,
	VERSION = 1,
	TLV_ACTOR = 1,
	TLV_PARTNER = 2,
	TLV_COLLECTOR = 3,
	INFO_LENGTH = 20, /* a TLV's length counts its type and length octets */
	COLLECTOR_LENGTH = 16,

	ACTOR_AT = 2,
	PARTNER_AT = ACTOR_AT + INFO_LENGTH,
	COLLECTOR_AT = PARTNER_AT + INFO_LENGTH,
};

TYPES_DEFINE(lacpdu_error, LACPDU_ERRORS, LACPDU_ERROR_COUNT)

static uint16_t get16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void put16(uint8_t *at, uint16_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)(v & 0xff);
}

static bool is_tlv(const uint8_t *at, uint8_t type, uint8_t length)
{
	return at[0] == type && at[1] == length;
}

static struct lacp_info get_info(const uint8_t *tlv)
{
	struct lacp_info info = {
	    .system_priority = get16(tlv + 2),
	    .key = get16(tlv + 10),
	    .port_priority = get16(tlv + 12),
	    .port = get16(tlv + 14),
	    .state = tlv[16],
	};

	memcpy(info.system.byte, tlv + 4, sizeof(info.system.byte));
	return info;
}

static void put_info(uint8_t *tlv, uint8_t type, const struct lacp_info *info)
{
	tlv[0] = type;
	tlv[1] = INFO_LENGTH;
	put16(tlv + 2, info->system_priority);
	memcpy(tlv + 4, info->system.byte, sizeof(info->system.byte));
	put16(tlv + 10, info->key);
	put16(tlv + 12, info->port_priority);
	put16(tlv + 14, info->port);
	tlv[16] = info->state;
}

enum lacpdu_error lacpdu_decode(const uint8_t *bytes, size_t size, struct lacpdu *pdu)
{
	struct lacpdu decoded;

	if (size < LACPDU_SIZE)
		return LACPDU_SHORT;
	if (bytes[0] != SUBTYPE_LACP)
		return LACPDU_SUBTYPE;
	if (bytes[1] < VERSION)
		return LACPDU_VERSION;
	if (!is_tlv(bytes + ACTOR_AT, TLV_ACTOR, INFO_LENGTH) ||
	    !is_tlv(bytes + PARTNER_AT, TLV_PARTNER, INFO_LENGTH) ||
	    !is_tlv(bytes + COLLECTOR_AT, TLV_COLLECTOR, COLLECTOR_LENGTH))
		return LACPDU_TLV;
	decoded.actor = get_info(bytes + ACTOR_AT);
	decoded.partner = get_info(bytes + PARTNER_AT);
	decoded.collector_max_delay = get16(bytes + COLLECTOR_AT + 2);
	if (mac_is_multicast(decoded.actor.system))
		return LACPDU_SYSTEM;
	*pdu = decoded;
	return LACPDU_OK;
}

void lacpdu_encode(const struct lacpdu *pdu, uint8_t bytes[static LACPDU_SIZE])
{
	memset(bytes, 0, LACPDU_SIZE);
	bytes[0] = SUBTYPE_LACP;
	bytes[1] = VERSION;
	put_info(bytes + ACTOR_AT, TLV_ACTOR, &pdu->actor);
	put_info(bytes + PARTNER_AT, TLV_PARTNER, &pdu->partner);
	bytes[COLLECTOR_AT] = TLV_COLLECTOR;
	bytes[COLLECTOR_AT + 1] = COLLECTOR_LENGTH;
	put16(bytes + COLLECTOR_AT + 2, pdu->collector_max_delay);
}
