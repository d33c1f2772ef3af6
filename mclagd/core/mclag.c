/* SPDX-License-Identifier: ISC */
/*
 * core/mclag.c - handlers record what happened, then the legs are evaluated (core/leg.c). Here is what concerns both legs:
 * isolation, the grant handshake, and the peer link's gate. Isolation is derived, not remembered: our leg is
 * isolated exactly while the peer's may carry data (peer_open).
 */
#include "core/mclag.h"

#include <stdlib.h>
#include <string.h>

#include "core/domain.h"
#include "core/leg.h"
#include "core/memory.h"

static int compare_id(const void *id, const void *leg)
{
	return (int)*(const uint16_t *)id - (int)((const struct leg *)leg)->id;
}

static struct leg *find(const struct mclags *ms, uint16_t id)
{
	return bsearch(&id, ms->legs, ms->count, sizeof *ms->legs, compare_id);
}

/* --- isolation and the peer link -------------------------------------------------------------------- */

static void answer_request(struct step *s, struct leg *leg, bool granted)
{
	if (!leg->peer_nonce)
		return;
	step_trace(s, TRACE_MCLAG, granted ? TRACE_INFO : TRACE_WARN, leg->id,
		   granted ? "isolation is in the dataplane -> the peer's leg %u is granted"
			   : "isolation could not be set -> the peer's leg %u is refused",
		   (unsigned)leg->id);
	leg_send_handshake(s, MESSAGE_LEG_GRANT, leg->id, leg->peer_nonce, granted);
	leg->peer_nonce = 0;
}

/* Data may cross the peer link only while we know which of the peer's legs carry data, and our isolation
 * says the same. It stays open while the peer's dataplane may live on unchanged (silent, restarting). */
static bool peer_link_wanted(const struct mclags *ms)
{
	switch (ms->pair.verdict) {
	case VERDICT_ALIVE:
		break;
	case VERDICT_RESTARTING:
	case VERDICT_SILENT:
		return ms->peer_link_open;
	case VERDICT_UNKNOWN:
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
	case VERDICT_COUNT:
		return false;
	}
	if (ms->peer_link_open)
		return true;
	for (size_t i = 0; i < ms->count; i++) {
		if (ms->legs[i].isolating || ms->legs[i].isolated != ms->legs[i].peer_open)
			return false;
		if (leg_may_carry(ms->legs[i].phase) && !ms->legs[i].confirmed)
			return false;
	}
	return ms->pair.greeted && ms->peer_legs_known;
}

/* A leg may have opened while nobody could grant it: before the peer link opens, the peer must isolate its
 * own. */
static void confirm(const struct mclags *ms, struct step *s, struct leg *leg)
{
	if ((ms->peer_link_open && !leg->unwitnessed) || !ms->pair.greeted || !ms->peer_legs_known ||
	    leg->confirmed || leg->confirming || !leg_may_carry(leg->phase) ||
	    !msec_reached(s->now, leg->retry_at))
		return;
	leg->confirming = true;
	leg_ask(s, leg);
}

static void gate_peer_link(struct mclags *ms, struct step *s)
{
	bool open = peer_link_wanted(ms);

	if (open == ms->peer_link_open || !msec_reached(s->now, ms->peer_link_retry_at))
		return;
	ms->peer_link_open = open;
	step_trace(s, TRACE_MCLAG, TRACE_INFO, 0,
		   open ? "the peer's legs are known and isolated -> peer link open for data"
			: "the pair is apart -> peer link closed for data");
	step_gate(s, ACTION_FORWARD, (struct place){.kind = PLACE_PEER_LINK}, open);
	ms->unsaved = true;
}

/* The peer is not there (any more): its legs carry nothing. */
static void forget_peer(struct mclags *ms)
{
	for (size_t i = 0; i < ms->count; i++) {
		ms->legs[i].peer_known = false;
		ms->legs[i].peer_open = false;
		ms->legs[i].peer_nonce = 0;
		ms->legs[i].unwitnessed = false;
	}
	ms->peer_legs_known = false;
	ms->peer_listed = false;
}

/* The peer link is closed first: while isolation is lifted leg by leg, nothing may cross it. */
static void settle(struct mclags *ms, struct step *s)
{
	gate_peer_link(ms, s);
	for (size_t i = 0; i < ms->count; i++) {
		leg_isolate(s, &ms->legs[i]);
		confirm(ms, s, &ms->legs[i]);
	}
	for (size_t i = 0; i < ms->count; i++)
		leg_evaluate(ms, s, &ms->legs[i]);
}

/* --- events ----------------------------------------------------------------------------------------- */

void mclags_link(struct mclags *ms, struct step *s, const struct link_event *e)
{
	struct leg *leg = find(ms, e->port.mclag);
	bool changed;

	if (!leg)
		return;
	changed = leg->carrier != e->carrier;
	leg->carrier = e->carrier;
	leg->speed = e->speed;
	if (changed) {
		step_trace(s, TRACE_MCLAG, TRACE_INFO, leg->id, "leg %u: carrier %s", (unsigned)leg->id,
			   e->carrier ? "came" : "was lost");
		if (leg->speaker == SPEAKER_ENGINE)
			lacp_carrier(&leg->lacp, s, e->carrier);
	}
	leg_evaluate(ms, s, leg); /* tells the peer first, then the dataplane */
	if (changed)
		ms->watch->changed(ms->watch, s, leg); /* then the tables are tended */
}

void mclags_lacpdu(struct mclags *ms, struct step *s, uint16_t mclag, const struct lacpdu *pdu)
{
	struct leg *leg = find(ms, mclag);
	uint8_t before;

	if (!leg || leg->speaker != SPEAKER_ENGINE)
		return;
	before = leg->lacp.actor.state;
	lacp_receive(&leg->lacp, s, pdu);
	leg_evaluate(ms, s, leg);
	if (leg->lacp.actor.state != before && leg_carries(leg))
		ms->unsaved = true;
}

static void opened(struct mclags *ms, struct step *s, struct leg *leg)
{
	leg_enter(ms, s, leg, LEG_FORWARDING, leg->reason);
	if (leg->speaker == SPEAKER_ENGINE)
		lacp_open(&leg->lacp, s, true);
}

static void forward_done(struct mclags *ms, struct step *s, struct leg *leg, const struct done_event *e)
{
	if (e->ok) {
		if (e->on && leg->phase == LEG_OPENING)
			opened(ms, s, leg);
		return;
	}
	step_trace(s, TRACE_MCLAG, TRACE_WARN, leg->id,
		   "the switch refused to %s leg %u -> trying again in %d ms", e->on ? "open" : "close",
		   (unsigned)leg->id, MCLAG_RETRY_MS);
	leg->retry_at = msec_after(s->now, MCLAG_RETRY_MS);
	leg->refused = HOLD_DATAPLANE;
	if (e->on && leg->phase == LEG_OPENING)
		leg_close(ms, s, leg, REASON_DATAPLANE);
}

static void isolate_done(struct step *s, struct leg *leg, const struct done_event *e)
{
	leg->isolating = false;
	if (!e->ok) {
		leg->isolate_retry_at = msec_after(s->now, MCLAG_RETRY_MS);
		if (e->on) {
			answer_request(s, leg, false);
			leg->peer_open = leg->peer_known && leg_may_carry(leg->peer.phase);
		}
	} else {
		leg->isolated = e->on;
	}
	if (leg->isolated && leg->peer_open)
		answer_request(s, leg, true);
}

void mclags_done(struct mclags *ms, struct step *s, const struct done_event *e)
{
	struct leg *leg;

	if (e->port.kind == PLACE_PEER_LINK) {
		if (!e->ok) {
			ms->peer_link_open = !e->on;
			ms->peer_link_retry_at = msec_after(s->now, MCLAG_RETRY_MS);
		}
		settle(ms, s);
		return;
	}
	leg = find(ms, e->port.mclag);
	if (!leg)
		return;
	ms->unsaved = true;
	if (e->isolate)
		isolate_done(s, leg, e);
	else
		forward_done(ms, s, leg, e);
	leg_isolate(s, leg);
	gate_peer_link(ms, s);
	leg_evaluate(ms, s, leg);
}

/* Only in on-split: arbitrate: the leg closes, takes the other identity and opens on proof again. */
static void change_system(struct mclags *ms, struct step *s)
{
	struct mac system = ms->pair.arbitrating ? ms->own_system : ms->system;

	for (size_t i = 0; i < ms->count; i++) {
		struct leg *leg = &ms->legs[i];

		if (leg->speaker != SPEAKER_ENGINE || mac_equal(leg->lacp.config.system, system))
			continue;
		if (leg->phase != LEG_HELD)
			leg_close(ms, s, leg, REASON_SPLIT);
		lacp_set_system(&leg->lacp, s, system);
	}
}

static bool pair_equal(const struct pair *a, const struct pair *b)
{
	return a->verdict == b->verdict && a->role == b->role && a->peer_link == b->peer_link &&
	       a->greeted == b->greeted && a->synced == b->synced && a->late == b->late &&
	       a->arbitrating == b->arbitrating && a->stopping == b->stopping && a->frozen == b->frozen &&
	       a->abandoned == b->abandoned && a->unattended == b->unattended;
}

void mclags_pair(struct mclags *ms, struct step *s, const struct pair *pair)
{
	enum verdict was = ms->pair.verdict;

	if (pair_equal(&ms->pair, pair))
		return;
	ms->pair = *pair;
	for (size_t i = 0; !pair->greeted && i < ms->count; i++) {
		ms->legs[i].peer_nonce = 0; /* nobody to answer, nobody answers */
		ms->legs[i].confirmed = ms->legs[i].confirming = false;
	}
	if (pair->verdict != was && (pair->verdict == VERDICT_GONE || pair->verdict == VERDICT_ALONE))
		forget_peer(ms);
	change_system(ms, s);
	settle(ms, s);
}

void mclags_session_start(struct mclags *ms, struct step *s)
{
	ms->peer_legs_known = false;
	for (size_t i = 0; i < ms->count; i++) {
		struct leg *leg = &ms->legs[i];

		leg->told_valid = false;
		leg->confirmed = leg->confirming = false;
		leg->peer_nonce = 0;
		leg->peer_told =
		    false; /* what was known stays until then: isolation is not lifted on a guess */
		if (leg->phase == LEG_REQUESTING)
			leg_enter(ms, s, leg, LEG_HELD, REASON_REPLACED);
		leg_tell(ms, s, leg);
	}
}

void mclags_peer_complete(struct mclags *ms, struct step *s)
{
	ms->peer_legs_known = true;
	ms->peer_listed = true;
	for (size_t i = 0; i < ms->count; i++) {
		struct leg *leg = &ms->legs[i];

		if (leg->peer_told)
			continue;
		leg->peer_known = false; /* the peer has no such leg */
		leg->peer_open = false;
	}
	settle(ms, s);
}

void mclags_peer_state(struct mclags *ms, struct step *s, const struct leg_state *state)
{
	struct leg *leg = find(ms, state->mclag);

	if (!leg)
		return; /* an mclag that only the peer has */
	leg->peer_known = true;
	leg->peer_told = true;
	leg->peer = *state;
	if (!leg_may_carry(leg->phase))
		leg->unwitnessed = false;   /* else once the peer has confirmed that it knows of the leg */
	if (state->phase != LEG_REQUESTING) /* then its LegRequest says more: it may be granted already */
		leg->peer_open = leg_may_carry(state->phase);
	if (!leg->peer_open)
		leg->peer_nonce = 0;
	leg_isolate(s, leg);
	leg_evaluate(ms, s, leg);
}

void mclags_peer_request(struct mclags *ms, struct step *s, const struct leg_handshake *h)
{
	struct leg *leg = find(ms, h->mclag);

	if (!leg) { /* nothing of ours can return its frames to that host */
		leg_send_handshake(s, MESSAGE_LEG_GRANT, h->mclag, h->nonce, true);
		return;
	}
	leg->peer_nonce = h->nonce;
	leg->peer_open = true;
	if (leg->isolated && !leg->isolating)
		answer_request(s, leg, true);
	else
		leg_isolate(s, leg);
}

void mclags_peer_grant(struct mclags *ms, struct step *s, const struct leg_handshake *h)
{
	struct leg *leg = find(ms, h->mclag);

	if (!leg || (leg->phase != LEG_REQUESTING && !leg->confirming) || h->nonce != leg->nonce)
		return; /* of a request that was given up */
	leg->confirmed = h->granted;
	if (leg->confirming) {
		leg->confirming = false;
		if (h->granted)
			leg->unwitnessed = false;
		else
			leg->retry_at = msec_after(s->now, MCLAG_RETRY_MS);
		leg_isolate(s, leg);
		gate_peer_link(ms, s);
		return;
	}
	if (h->granted && (leg->isolated || !leg_may_carry(leg->peer.phase))) {
		leg_opening(ms, s, leg, REASON_GRANTED);
		return;
	}
	leg->retry_at = msec_after(s->now, MCLAG_RETRY_MS);
	leg->refused = HOLD_GRANT;
	leg_close(ms, s, leg, REASON_REFUSED);
}

/* --- time, start, views ----------------------------------------------------------------------------- */

static void clear_due(struct step *s, struct msec *t)
{
	if (msec_reached(s->now, *t))
		*t = (struct msec){INT64_MIN};
}

void mclags_timer(struct mclags *ms, struct step *s)
{
	for (size_t i = 0; i < ms->count; i++) {
		struct leg *leg = &ms->legs[i];

		if (leg->speaker == SPEAKER_ENGINE && msec_reached(s->now, lacp_deadline(&leg->lacp)))
			lacp_timer(&leg->lacp, s);
		if (leg->phase == LEG_HELD && leg->refused == HOLD_DATAPLANE &&
		    msec_reached(s->now, leg->retry_at) && leg->retry_at.ms != INT64_MIN)
			step_gate(s, ACTION_FORWARD, leg_place(leg),
				  false); /* whatever was refused: closed is safe */
		clear_due(s, &leg->retry_at);
		clear_due(s, &leg->isolate_retry_at);
	}
	clear_due(s, &ms->peer_link_retry_at);
	settle(ms, s);
}

static struct msec if_pending(struct msec t)
{
	return t.ms == INT64_MIN ? MSEC_NEVER : t;
}

struct msec mclags_deadline(const struct mclags *ms)
{
	struct msec t = if_pending(ms->peer_link_retry_at);

	for (size_t i = 0; i < ms->count; i++) {
		const struct leg *leg = &ms->legs[i];

		t = msec_min(t, leg->leave_by);
		t = msec_min(t, if_pending(leg->retry_at));
		t = msec_min(t, if_pending(leg->isolate_retry_at));
		if (leg->speaker == SPEAKER_ENGINE)
			t = msec_min(t, lacp_deadline(&leg->lacp));
	}
	return t;
}

void mclags_init(struct mclags *ms, const struct domain_config *config, struct leg_watch *watch)
{
	*ms = (struct mclags){
	    .count = config->mclag_count,
	    .leave_ms = config->leave_ms,
	    .system = config->system,
	    .own_system = config->own_system,
	    .watch = watch,
	    .peer_link_retry_at = {INT64_MIN},
	};
	ms->legs = core_new(ms->count, sizeof *ms->legs);
	for (size_t i = 0; i < ms->count; i++) {
		const struct mclag_config *mc = &config->mclags[i];
		struct leg *leg = &ms->legs[i];
		struct lacp_config lacp = {
		    .mclag = mc->id,
		    .system = config->system,
		    .system_priority = config->system_priority,
		    .key = mc->id,
		    .port_priority = mc->port_priority,
		    .port = (uint16_t)((mc->id & 0x7fffu) | (config->node == 2 ? LACP_PORT_HALF : 0)),
		    .active = mc->active,
		    .fast = mc->fast,
		};

		leg->id = mc->id;
		leg->speaker = mc->speaker;
		leg->leave_by = MSEC_NEVER;
		leg->retry_at = (struct msec){INT64_MIN};
		leg->isolate_retry_at = (struct msec){INT64_MIN};
		lacp_init(&leg->lacp, &lacp);
	}
}

void mclags_release(struct mclags *ms)
{
	free(ms->legs);
}

static void resume_leg(struct mclags *ms, struct step *s, const struct leg_resume *r)
{
	struct leg *leg = find(ms, r->mclag);

	if (!leg)
		return;
	leg->isolated = r->isolated;
	leg->peer_open = r->isolated;
	if (!r->forwarding || (leg->speaker == SPEAKER_ENGINE && !(r->actor_state & LACP_SYNC))) {
		/* It was opening or leaving: that is not taken up. */
		step_gate(s, ACTION_FORWARD, leg_place(leg), false);
		return;
	}
	leg->carrier = true; /* the link dump that follows corrects it */
	if (leg->speaker == SPEAKER_ENGINE)
		lacp_resume(&leg->lacp, s, &r->partner, r->actor_state);
	leg_enter(ms, s, leg, LEG_FORWARDING, REASON_RESUME);
}

void mclags_start(struct mclags *ms, struct step *s, const struct resume *resume, bool arbitrating)
{
	for (size_t i = 0; i < ms->count; i++) {
		ms->legs[i].since = s->now;
		ms->legs[i].reason = REASON_START;
		if (arbitrating) {
			struct lacp_config own = ms->legs[i].lacp.config;

			own.system = ms->own_system;
			lacp_init(&ms->legs[i].lacp, &own);
		}
	}
	if (!resume)
		return;
	ms->peer_link_open = resume->peer_link_open;
	if (!ms->peer_link_open)
		step_gate(s, ACTION_FORWARD, (struct place){.kind = PLACE_PEER_LINK}, false);
	for (size_t i = 0; i < resume->leg_count; i++)
		resume_leg(ms, s, &resume->legs[i]);
}

bool mclags_carrying(const struct mclags *ms)
{
	for (size_t i = 0; i < ms->count; i++) {
		if (leg_carries(&ms->legs[i]))
			return true;
	}
	return false;
}

bool mclags_all_held(const struct mclags *ms)
{
	for (size_t i = 0; i < ms->count; i++) {
		if (ms->legs[i].phase != LEG_HELD)
			return false;
	}
	return true;
}

void leg_resume_state(const struct leg *leg, struct leg_resume *r)
{
	*r = (struct leg_resume){.mclag = leg->id, .forwarding = leg_carries(leg), .isolated = leg->isolated};
	if (leg->speaker == SPEAKER_ENGINE && r->forwarding) {
		r->actor_state = leg->lacp.actor.state;
		r->partner = leg->lacp.partner;
	}
}
