/* SPDX-License-Identifier: ISC */
/*
 * core/lacpdu.h - the LACPDU on the wire (IEEE 802.1AX 6.4.2) to a struct and back.
 *
 * Pure. The border for bytes from hosts: what lacpdu_decode() lets through is a well-formed version 1
 * LACPDU (or the version 1 part of a later one).
 */
#ifndef CORE_LACPDU_H
#define CORE_LACPDU_H

#include "proto/types.h"

#define LACPDU_SIZE 110 /* bytes after the Ethernet header, without FCS */

struct lacpdu {
	struct lacp_info actor, partner;
	uint16_t collector_max_delay; /* tens of microseconds */
};

/* Why a slow-protocols frame is not an LACPDU for us. */
#define LACPDU_ERRORS(X)                                                                                     \
	X(LACPDU_OK, "ok", "")                                                                               \
	X(LACPDU_SHORT, "short", "fewer than 110 bytes")                                                     \
	X(LACPDU_SUBTYPE, "subtype", "not LACP (marker, OAM, ...)")                                          \
	X(LACPDU_VERSION, "version", "version 0 is reserved")                                                \
	X(LACPDU_TLV, "tlv", "actor, partner or collector information malformed")                            \
	X(LACPDU_SYSTEM, "system", "the actor's system is a group address")
TYPES_DECLARE(lacpdu_error, LACPDU_ERRORS, LACPDU_ERROR_COUNT)

/* bytes: from the subtype on, i.e. after destination, source and EtherType. *pdu untouched unless LACPDU_OK.
 */
enum lacpdu_error lacpdu_decode(const uint8_t *bytes, size_t size, struct lacpdu *pdu);
void lacpdu_encode(const struct lacpdu *pdu, uint8_t bytes[static LACPDU_SIZE]);

#endif
