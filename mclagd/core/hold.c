/* SPDX-License-Identifier: ISC */
/*
 * core/hold.c - why a leg is not forwarding: behaviour.md section 2 as one function over the leg and the
 * pair.
 *
 * Pure and without memory: a hold is never set or cleared, it follows from what is known now.
 */
#include "core/leg.h"

bool leg_carries(const struct leg *leg)
{
	return leg->phase == LEG_FORWARDING || leg->phase == LEG_LEAVING;
}

static bool partner_ready(const struct leg *leg)
{
	if (leg->speaker == SPEAKER_STATIC)
		return true;
	return lacp_ready(&leg->lacp) && (leg->lacp.partner.state & LACP_SYNC);
}

/* behaviour.md section 2: session up or verdict gone/alone; both tables synced. */
static hold_set holds_of_verdict(const struct pair *p)
{
	switch (p->verdict) {
	case VERDICT_UNKNOWN:
		return HOLD_BIT(HOLD_BOOT);
	case VERDICT_ALIVE:
		return p->synced || p->late ? 0 : HOLD_BIT(HOLD_SYNC);
	case VERDICT_RESTARTING:
	case VERDICT_SILENT:
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
	case VERDICT_COUNT:
		break;
	}
	return 0;
}

/* The secondary holds its legs while the peer link is proven lost and the primary's leg serves the host. A
 * split with on-split: stay keeps that as it was; arbitrate opens under our own system id, the hosts choose.
 */
static bool held_without_peer_link(const struct mclags *ms, const struct leg *leg)
{
	const struct pair *p = &ms->pair;

	if (p->role == ROLE_PRIMARY || (leg->peer_known && !leg->peer_open))
		return false;
	if (ms->peer_listed && !leg->peer_known)
		return false; /* the peer has no such leg */
	if (p->verdict == VERDICT_SPLIT)
		return !p->arbitrating && !leg_carries(leg);
	if (p->verdict != VERDICT_ALIVE)
		return false;
	return p->peer_link == PEER_LINK_LOST || (p->peer_link == PEER_LINK_DOUBTFUL && !leg_carries(leg));
}

/* While there is no session the peer's leg stays as it was told: it isolates what we last said to be open, and a
 * leg that it said to be closed it cannot open. */
static bool harmless(const struct leg *leg)
{
	return (leg->told_valid && leg_may_carry(leg->told.phase)) || (leg->peer_known && !leg->peer_open);
}

/* Who must confirm isolation before this leg may carry data? */
static bool needs_grant(const struct mclags *ms, const struct leg *leg)
{
	switch (ms->pair.verdict) {
	case VERDICT_UNKNOWN:
		return true;
	case VERDICT_ALIVE: /* without a session nobody grants */
		return !ms->pair.unattended || (ms->peer_link_open && !harmless(leg));
	case VERDICT_RESTARTING:
		return !leg->peer_known || leg->peer_open;
	case VERDICT_SILENT: /* its dataplane lives on: safe only while its leg carries nothing, or no host uses it */
		if (ms->pair.abandoned && leg->speaker == SPEAKER_ENGINE)
			return false;
		return !leg->peer_known || leg->peer_open;
	case VERDICT_GONE:
	case VERDICT_ALONE:
	case VERDICT_SPLIT: /* the peer link carries no data then */
	case VERDICT_COUNT:
		break;
	}
	return false;
}

hold_set leg_holds(const struct mclags *ms, const struct leg *leg, struct msec now)
{
	hold_set holds = 0;

	if (!leg->carrier)
		holds |= HOLD_BIT(HOLD_CARRIER);
	if (!partner_ready(leg))
		holds |= HOLD_BIT(HOLD_PARTNER);
	if (ms->pair.stopping)
		holds |= HOLD_BIT(HOLD_STOPPING);
	if (held_without_peer_link(ms, leg))
		holds |= HOLD_BIT(HOLD_PEER_LINK);
	if (leg_carries(leg))
		return holds;
	if (ms->pair.frozen) /* the peer counts on it */
		holds |= HOLD_BIT(HOLD_STOPPING);
	holds |= holds_of_verdict(&ms->pair);
	if (leg->phase == LEG_HELD && leg->peer_open && (!leg->isolated || leg->isolating))
		holds |=
		    HOLD_BIT(HOLD_DATAPLANE); /* the peer's leg carries data, and ours is not isolated yet */
	if (!msec_reached(now, leg->retry_at))
		holds |= HOLD_BIT(leg->refused);
	if (needs_grant(ms, leg) && leg->phase != LEG_OPENING)
		holds |= HOLD_BIT(HOLD_GRANT);
	return holds;
}
