/* SPDX-License-Identifier: ISC */
/*
 * core/leg.c - one leg: leg_evaluate() compares its phase with its holds, leg_enter() is the one door between phases.
 *
 * Order matters in three places, and each says why: opening (grant, dataplane, then LACP), closing (LACP,
 * dataplane, then the peer), and a lost carrier (the peer first: it lifts isolation, the sooner the better).
 */
#include "core/leg.h"

/* Holds that close an open leg; the others only keep a closed one from opening. */
#define CLOSING_AT_ONCE  (HOLD_BIT(HOLD_CARRIER) | HOLD_BIT(HOLD_PARTNER) | HOLD_BIT(HOLD_DATAPLANE))
#define CLOSING_IN_ORDER (HOLD_BIT(HOLD_PEER_LINK) | HOLD_BIT(HOLD_STOPPING))

struct place leg_place(const struct leg *leg)
{
	return (struct place){.kind = PLACE_LEG, .mclag = leg->id};
}

bool leg_may_carry(enum leg_phase phase)
{
	return phase == LEG_OPENING || phase == LEG_FORWARDING || phase == LEG_LEAVING;
}

/* --- telling the peer ------------------------------------------------------------------------------- */

static struct leg_state describe(const struct mclags *ms, const struct leg *leg, struct msec now)
{
	struct leg_state st = {
	    .mclag = leg->id,
	    .carrier = leg->carrier,
	    .phase = leg->phase,
	    .holds = leg_holds(ms, leg, now),
	    .speed = leg->speed,
	};

	if (leg->speaker == SPEAKER_ENGINE) {
		st.actor = leg->lacp.actor;
		st.partner = leg->lacp.partner;
	}
	return st;
}

static bool info_equal(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key && a->port_priority == b->port_priority && a->port == b->port &&
	       a->state == b->state;
}

void leg_tell(struct mclags *ms, struct step *s, struct leg *leg)
{
	struct message m = {.kind = MESSAGE_LEG_STATE};
	const struct leg_state *was = &leg->told;

	if (!ms->pair.greeted)
		return;
	m.leg_state = describe(ms, leg, s->now);
	if (leg->told_valid && was->carrier == m.leg_state.carrier && was->phase == m.leg_state.phase &&
	    was->holds == m.leg_state.holds && was->speed == m.leg_state.speed &&
	    info_equal(&was->actor, &m.leg_state.actor) && info_equal(&was->partner, &m.leg_state.partner))
		return;
	leg->told = m.leg_state;
	leg->told_valid = true;
	step_send(s, &m);
}

void leg_send_handshake(struct step *s, enum message_kind kind, uint16_t id, uint32_t nonce, bool granted)
{
	struct message m = {.kind = kind};

	m.leg = (struct leg_handshake){.mclag = id, .nonce = nonce, .granted = granted};
	step_send(s, &m);
}

/* --- phases ----------------------------------------------------------------------------------------- */

void leg_enter(struct mclags *ms, struct step *s, struct leg *leg, enum leg_phase phase, enum reason reason)
{
	bool carried = leg_carries(leg);
	char holds[96];

	if (leg->phase == phase)
		return;
	leg->phase = phase;
	leg->reason = reason;
	leg->since = s->now;
	leg->leave_by = MSEC_NEVER;
	if (phase == LEG_HELD)
		step_trace(s, TRACE_MCLAG, carried ? TRACE_WARN : TRACE_INFO, leg->id,
			   "%s -> leg %u is held (%s)", reason_help(reason), (unsigned)leg->id,
			   hold_set_format(leg_holds(ms, leg, s->now), holds, sizeof holds));
	else
		step_trace(s, TRACE_MCLAG, TRACE_INFO, leg->id, "%s -> leg %u is %s", reason_help(reason),
			   (unsigned)leg->id, leg_phase_name(phase));
	if (carried != leg_carries(leg))
		ms->watch->changed(ms->watch, s, leg);
	ms->unsaved |= carried || leg_carries(leg);
}

/* Frames from the peer link never leave through a leg whose peer leg may be forwarding. */
void leg_isolate(struct step *s, struct leg *leg)
{
	bool on = leg->peer_open || leg->unwitnessed;

	if (leg->isolating || leg->isolated == on || !msec_reached(s->now, leg->isolate_retry_at))
		return;
	leg->isolating = true;
	step_trace(s, TRACE_MCLAG, TRACE_DEBUG, leg->id, "the peer's leg %u may %scarry data -> isolation %s",
		   (unsigned)leg->id, on ? "" : "not ", on ? "on" : "off");
	step_gate(s, ACTION_ISOLATE, leg_place(leg), on);
}

/* Closing. A lost carrier: no frame passes any more, so the peer is told first and lifts isolation at once.
 * Else our leg is closed before the peer hears of it: between lifting and closing, frames could go both ways
 * round. */
void leg_close(struct mclags *ms, struct step *s, struct leg *leg, enum reason reason)
{
	bool opened = leg_may_carry(leg->phase);

	leg->confirmed = leg->confirming = leg->unwitnessed = false;
	if (leg->speaker == SPEAKER_ENGINE)
		lacp_open(&leg->lacp, s, false);
	if (opened && leg->carrier)
		step_gate(s, ACTION_FORWARD, leg_place(leg), false);
	leg_enter(ms, s, leg, LEG_HELD, reason);
	leg_tell(ms, s, leg);
	if (opened && !leg->carrier)
		step_gate(s, ACTION_FORWARD, leg_place(leg), false);
	leg_isolate(s, leg);
}

void leg_opening(struct mclags *ms, struct step *s, struct leg *leg, enum reason reason)
{
	leg_enter(ms, s, leg, LEG_OPENING, reason);
	leg_tell(ms, s, leg); /* before the first frame: the peer keeps its leg isolated from now on */
	step_gate(s, ACTION_FORWARD, leg_place(leg), true);
}

/* Nobody can grant. A peer that is silent, restarts or has no session may be as alive as we are, and think the
 * same of us: while the peer link carries data, our leg is isolated on our side before it opens, so that two such
 * legs make no loop. */
static void leg_open_alone(struct mclags *ms, struct step *s, struct leg *leg)
{
	if (ms->peer_link_open && (!leg->isolated || leg->isolating)) {
		leg->unwitnessed = true;
		leg_isolate(s, leg);
		return;
	}
	leg_opening(ms, s, leg, REASON_NO_PEER);
}

void leg_ask(struct step *s, struct leg *leg)
{
	leg->nonce++;
	if (!leg->nonce)
		leg->nonce++;
	leg_send_handshake(s, MESSAGE_LEG_REQUEST, leg->id, leg->nonce, false);
}

static void leg_request(struct mclags *ms, struct step *s, struct leg *leg)
{
	leg_enter(ms, s, leg, LEG_REQUESTING, REASON_PROOF);
	leg_tell(ms, s, leg);
	leg_ask(s, leg);
}

static enum reason closing_reason(hold_set holds)
{
	if (holds & HOLD_BIT(HOLD_CARRIER))
		return REASON_CARRIER;
	if (holds & HOLD_BIT(HOLD_PARTNER))
		return REASON_LACP;
	if (holds & HOLD_BIT(HOLD_DATAPLANE))
		return REASON_DATAPLANE;
	if (holds & HOLD_BIT(HOLD_STOPPING))
		return REASON_SHUTDOWN;
	if (holds & HOLD_BIT(HOLD_PEER_LINK))
		return REASON_PEER_LINK;
	return REASON_PROOF_LOST;
}

static void leg_leave(struct mclags *ms, struct step *s, struct leg *leg, enum reason reason)
{
	if (leg->speaker == SPEAKER_STATIC) {
		leg_close(ms, s, leg, reason); /* no way to ask the host to leave */
		return;
	}
	leg_enter(ms, s, leg, LEG_LEAVING, reason);
	leg->leave_by = msec_after(s->now, ms->leave_ms);
	lacp_open(&leg->lacp, s, false);
	leg_tell(ms, s, leg);
}

void leg_evaluate(struct mclags *ms, struct step *s, struct leg *leg)
{
	hold_set holds = leg_holds(ms, leg, s->now);

	switch (leg->phase) {
	case LEG_HELD:
		if (!(holds & ~HOLD_BIT(HOLD_GRANT))) {
			if (!(holds & HOLD_BIT(HOLD_GRANT)))
				leg_open_alone(ms, s, leg);
			else if (ms->pair.greeted)
				leg_request(ms, s, leg);
		}
		break;
	case LEG_REQUESTING:
		if (holds & ~HOLD_BIT(HOLD_GRANT))
			leg_close(ms, s, leg, closing_reason(holds));
		else if (!holds)
			leg_open_alone(ms, s, leg);
		else if (!ms->pair.greeted)
			leg_close(ms, s, leg, REASON_TRANSPORT);
		break;
	case LEG_OPENING:
		if (holds & (CLOSING_AT_ONCE | CLOSING_IN_ORDER))
			leg_close(ms, s, leg, closing_reason(holds));
		break;
	case LEG_FORWARDING:
		if (holds & CLOSING_AT_ONCE)
			leg_close(ms, s, leg, closing_reason(holds));
		else if (holds & CLOSING_IN_ORDER)
			leg_leave(ms, s, leg, closing_reason(holds));
		break;
	case LEG_LEAVING:
		if (!leg->carrier || lacp_partner_left(&leg->lacp))
			leg_close(ms, s, leg, leg->carrier ? REASON_HOST_LEFT : REASON_CARRIER);
		else if (msec_reached(s->now, leg->leave_by))
			leg_close(ms, s, leg, REASON_TIMEOUT);
		break;
	case LEG_PHASE_COUNT:
		break;
	}
	leg_tell(ms, s, leg);
}
