/* SPDX-License-Identifier: ISC */
/*
 * tests/valid.h - what must hold of everything message_decode() accepted, written a second time, from
 * message.h and not from the code: units and fuzzers hold the decoder to it.
 */
#ifndef TESTS_VALID_H
#define TESTS_VALID_H

#include "proto/message.h"

static inline bool valid_entry(const struct mac_entry *e, bool may_be_gone)
{
	return !mac_is_zero(e->mac) && !mac_is_multicast(e->mac) && e->vlan <= 4094 &&
	       (may_be_gone || !e->gone);
}

static inline bool valid_batch(const struct entry_batch *b, bool may_be_gone)
{
	if (b->table >= TABLE_COUNT || b->count < 1 || b->count > 1024 || !b->entries)
		return false;
	for (uint32_t i = 0; i < b->count; i++)
		if (!valid_entry(&b->entries[i], may_be_gone))
			return false;
	return true;
}

static inline bool valid_hello(const struct hello *h)
{
	return h->version_min >= 1 && h->version_max >= h->version_min && h->domain >= 1 &&
	       h->domain <= 4095 && (h->node == 1 || h->node == 2) && h->boot_id != 0 &&
	       (h->role == ROLE_NONE || h->role == ROLE_PRIMARY || h->role == ROLE_SECONDARY) &&
	       !mac_is_zero(h->system) && !mac_is_multicast(h->system) && !mac_is_multicast(h->via);
}

static inline bool valid_message(const struct message *m)
{
	switch (m->kind) {
	case MESSAGE_HELLO:
		return valid_hello(&m->hello);
	case MESSAGE_LEG_STATE:
		return m->leg_state.mclag >= 1 && m->leg_state.phase < LEG_PHASE_COUNT &&
		       m->leg_state.holds < 1u << HOLD_COUNT;
	case MESSAGE_LEG_REQUEST:
		return m->leg.mclag >= 1 && !m->leg.granted;
	case MESSAGE_LEG_GRANT:
		return m->leg.mclag >= 1;
	case MESSAGE_TABLE_BEGIN:
		return m->mark.table < TABLE_COUNT && m->mark.digest == 0;
	case MESSAGE_TABLE_END:
	case MESSAGE_DIGEST:
		return m->mark.table < TABLE_COUNT;
	case MESSAGE_ENTRIES:
		return valid_batch(&m->batch, false);
	case MESSAGE_UPDATE:
		return valid_batch(&m->batch, true);
	case MESSAGE_TABLE_ACK:
		return m->ack.table < TABLE_COUNT;
	case MESSAGE_GOODBYE:
		return m->goodbye.reason == REASON_SHUTDOWN
			   ? m->goodbye.seconds == 0
			   : m->goodbye.reason == REASON_RESTART && m->goodbye.seconds >= 1 &&
				 m->goodbye.seconds <= 600;
	case MESSAGE_KIND_COUNT:
		break;
	}
	return false;
}

static inline bool valid_beacon(const struct beacon *b)
{
	if (b->domain < 1 || b->domain > 4095 || b->role >= ROLE_COUNT)
		return false;
	if (b->goodbye == REASON_RESTART)
		return b->seconds >= 1 && b->seconds <= 600;
	return (b->goodbye == REASON_NONE || b->goodbye == REASON_SHUTDOWN) && b->seconds == 0;
}

#endif
