/* SPDX-License-Identifier: ISC */
/*
 * core/replica.c - the entry's life. Who tells the peer is in replica_wire.c.
 *
 * Every handler changes claims, then calls replica_reconcile(), the one place that compares what should stand
 * in the switch with what does, and that removes an entry nobody claims. "Programmed" is what we believe the
 * switch holds of ours; dynamic entries that the switch learned by itself are not ours and are never deleted,
 * only replaced.
 */
#include "core/replica.h"

#include <stdlib.h>
#include <string.h>

#include "core/domain.h"
#include "core/memory.h"
#include "core/replica_wire.h"

void replica_init(struct replica *r, const struct domain_config *config)
{
	*r = (struct replica){
	    .node = config->node,
	    .ageing_ms = config->ageing_ms,
	    .grace_ms = config->grace_ms,
	    .entry_limit = config->entry_limit,
	    .via = config->via,
	    .leg_count = config->mclag_count,
	    .queue_head = SLOT_NONE,
	    .queue_tail = SLOT_NONE,
	    .snapshot_at = MSEC_NEVER,
	    .retry_at = MSEC_NEVER,
	    .peer_expires = MSEC_NEVER,
	    .adopting_until = MSEC_NEVER,
	};
	entry_table_init(&r->table, config->boot_id);
	r->legs = core_new(r->leg_count, sizeof *r->legs);
	for (size_t i = 0; i < r->leg_count; i++) {
		r->legs[i].mclag = config->mclags[i].id;
		r->legs[i].expires = MSEC_NEVER;
	}
}

void replica_release(struct replica *r)
{
	entry_table_release(&r->table);
	free(r->legs);
}

void replica_start(struct replica *r, struct step *s)
{
	r->adopting = true;
	r->adopting_until = msec_after(s->now, r->grace_ms);
}

static int compare_mclag(const void *mclag, const void *leg)
{
	return (int)*(const uint16_t *)mclag - (int)((const struct replica_leg *)leg)->mclag;
}

static struct replica_leg *leg_of(const struct replica *r, uint16_t mclag)
{
	return bsearch(&mclag, r->legs, r->leg_count, sizeof *r->legs, compare_mclag);
}

static void walk_all(struct replica *r)
{
	r->walk_left = r->table.slot_count;
}

/* Finds the entry, or makes it. A walk that is under way gets longer by the new one, or it would miss
 * another. */
static uint32_t find_or_add(struct replica *r, uint64_t key)
{
	uint32_t slot = entry_table_find(&r->table, key);

	if (slot != SLOT_NONE)
		return slot;
	slot = entry_table_add(&r->table, key);
	r->table.slots[slot].dump = r->dump;
	if (r->walk_left > 0)
		r->walk_left++;
	return slot;
}

/* --- claims ----------------------------------------------------------------------------------------- */

/* Same owner seen at the same place: the same mclag, whichever leaf sees it. */
static bool same_place(const struct claim *a, const struct claim *b)
{
	return a->mclag == b->mclag && a->mclag != 0;
}

static bool local_wins(const struct replica *r, const struct entry *e)
{
	if (e->local.fixed != e->peer.fixed)
		return e->local.fixed;
	if (e->local.moves != e->peer.moves)
		return e->local.moves > e->peer.moves;
	return r->node == 1;
}

static const struct claim *winner(const struct replica *r, const struct entry *e, bool *local)
{
	if (e->local.present && e->peer.present && !same_place(&e->local, &e->peer))
		*local = local_wins(r, e);
	else
		*local = e->local.present;
	if (*local)
		return &e->local;
	return e->peer.present ? &e->peer : NULL;
}

struct place replica_place(const struct replica *r, const struct entry *e)
{
	bool local;
	const struct claim *c = winner(r, e, &local);

	if (!c)
		return (struct place){.kind = PLACE_NONE};
	if (c->mclag)
		return (struct place){.kind = PLACE_LEG, .mclag = c->mclag};
	if (local)
		return (struct place){.kind = PLACE_ORPHAN, .port = e->port};
	return (struct place){.kind = PLACE_PEER_LINK};
}

static void set_local(struct replica *r, struct entry *e, struct claim c)
{
	struct claim *old = &e->local;

	if (old->present == c.present && old->mclag == c.mclag && old->moves == c.moves &&
	    old->fixed == c.fixed)
		return;
	r->local_count += (uint32_t)c.present - (uint32_t)old->present;
	*old = c;
	replica_enqueue(r, e);
}

/* What we believe the switch holds of ours. mclag: PLACE_LEG only. */
static void set_programmed(struct replica *r, struct entry *e, enum place_kind kind, uint16_t mclag)
{
	r->programmed_count += (uint32_t)(kind != PLACE_NONE) - (uint32_t)(e->programmed != PLACE_NONE);
	e->programmed = (uint8_t)kind;
	e->programmed_mclag = kind == PLACE_LEG ? mclag : 0;
}

static void clear_peer(struct replica *r, struct entry *e)
{
	if (!e->peer.present)
		return;
	replica_forget_received(r, e);
	e->peer = (struct claim){.moves = e->peer.moves};
	r->peer_count--;
}

/* Claims that time or an event has ended. */
static void expire_claims(struct replica *r, struct entry *e)
{
	if (e->peer.present) {
		bool stale = !r->receiving && r->session && e->peer_sweep != r->sweep;
		bool unreachable = r->orphans_gone && e->peer.mclag == 0;

		if (stale || unreachable || r->peer_expired)
			clear_peer(r, e);
	}
	if (e->local.present && !e->local.fixed && e->local.mclag) {
		const struct replica_leg *leg = leg_of(r, e->local.mclag);

		if (leg && leg->expired)
			set_local(r, e, (struct claim){.moves = e->local.moves});
	}
	if (e->local.present && e->peer.present && !same_place(&e->local, &e->peer) && !local_wins(r, e))
		set_local(r, e, (struct claim){.moves = e->local.moves}); /* it moved to the peer */
}

/* What a complete dump did not mention is not in the switch. */
static void expire_dump(struct replica *r, struct entry *e)
{
	if (r->dumping || e->dump == r->dump)
		return;
	e->dump = r->dump;
	if (e->programmed == PLACE_NONE && e->local.present && (!e->local.mclag || e->local.fixed))
		set_local(r, e, (struct claim){.moves = e->local.moves}); /* it went while we did not hear */
	set_programmed(r, e, PLACE_NONE, 0);
}

/* --- the switch ------------------------------------------------------------------------------------- */

/* Where this leaf's switch should send frames for the entry; PLACE_NONE = none of our business. */
static struct place desired(const struct replica *r, const struct entry *e)
{
	struct place p = replica_place(r, e);

	if (!mac_is_zero(r->peer_via) && mac_equal(entry_mac(e), r->peer_via))
		return (struct place){.kind = PLACE_PEER_LINK};
	if (p.kind == PLACE_LEG) {
		const struct replica_leg *leg = leg_of(r, p.mclag);

		if (!leg || !leg->open)
			return (struct place){.kind = PLACE_PEER_LINK};
	}
	return p;
}

static void program(struct replica *r, struct step *s, struct entry *e, struct place where)
{
	struct action *a = step_action(s, ACTION_PROGRAM);

	a->program.mac = entry_mac(e);
	a->program.vlan = entry_vlan(e);
	a->program.place = where;
	a->program.active = e->local.present;
	set_programmed(r, e, where.kind == PLACE_ORPHAN ? PLACE_NONE : where.kind, where.mclag);
	e->dump = r->dump;
}

static void unprogram(struct replica *r, struct step *s, struct entry *e)
{
	struct action *a = step_action(s, ACTION_UNPROGRAM);

	a->program.mac = entry_mac(e);
	a->program.vlan = entry_vlan(e);
	a->program.place = (struct place){
	    .kind = (enum place_kind)e->programmed, .mclag = e->programmed_mclag, .port = e->port};
	set_programmed(r, e, PLACE_NONE, 0);
}

static bool is_programmed(const struct entry *e, struct place where)
{
	return e->programmed == where.kind && (where.kind != PLACE_LEG || e->programmed_mclag == where.mclag);
}

/* The one door to the switch, and out of the table. e is gone afterwards when nobody needs it. */
void replica_reconcile(struct replica *r, struct step *s, uint32_t slot)
{
	struct entry *e = &r->table.slots[slot];
	struct place where;

	expire_dump(r, e);
	expire_claims(r, e);
	where = desired(r, e);
	switch (where.kind) {
	case PLACE_LEG:
	case PLACE_PEER_LINK:
		if (!is_programmed(e, where) && !e->local.fixed)
			program(r, s, e, where);
		break;
	case PLACE_ORPHAN: /* the switch learned it there: its own entry serves */
		if (e->programmed != PLACE_NONE)
			program(r, s, e, where);
		break;
	case PLACE_NONE:
		if (e->programmed != PLACE_NONE && !r->adopting)
			unprogram(r, s, e);
		if (e->programmed == PLACE_NONE && !e->queued && !e->sent.present)
			entry_table_remove(&r->table, slot);
		break;
	case PLACE_KIND_COUNT:
		break;
	}
}

static void note_move(struct replica *r, struct step *s, const struct entry *e, struct place to)
{
	char text[MAC_TEXT_SIZE];

	r->moves++;
	step_trace(s, TRACE_REPLICA, TRACE_DEBUG, to.mclag,
		   "seen at another place -> mac %s vlan %u moved to %s, count %u",
		   mac_format(entry_mac(e), text), (unsigned)entry_vlan(e), place_kind_name(to.kind),
		   e->local.moves);
}

/* Our switch sees the owner at `place`, a leg or an orphan port. */
static void seen(struct replica *r, struct step *s, struct entry *e, struct place place, bool fixed)
{
	struct claim c = {.present = true, .mclag = place.mclag, .fixed = fixed, .moves = e->local.moves};
	struct replica_leg *leg = leg_of(r, place.mclag);
	bool elsewhere =
	    e->local.present && (e->local.mclag != c.mclag || (!c.mclag && e->port != place.port));

	if (e->peer.present && !same_place(&c, &e->peer) && c.moves <= e->peer.moves) {
		c.moves = e->peer.moves + 1;
		elsewhere = true;
	} else if (elsewhere) {
		c.moves++;
	} else if (e->peer.present && c.moves < e->peer.moves) {
		c.moves = e->peer.moves;
	}
	if (leg && leg->expired) { /* seen before its opening was answered */
		leg->expired = false;
		leg->expires = msec_after(s->now, r->ageing_ms);
	}
	e->port = place.kind == PLACE_ORPHAN ? place.port : 0;
	set_local(r, e, c);
	if (elsewhere)
		note_move(r, s, e, place);
}

/* The entry stood at `place` and is gone there. */
static void gone(struct replica *r, struct entry *e, struct place place)
{
	const struct replica_leg *leg = place.kind == PLACE_LEG ? leg_of(r, place.mclag) : NULL;

	if (is_programmed(e, place))
		set_programmed(r, e, PLACE_NONE, 0);
	if (!e->local.present || e->local.mclag != place.mclag || place.kind == PLACE_PEER_LINK)
		return;
	if (place.kind == PLACE_ORPHAN && e->port != place.port)
		return;
	if (leg && !leg->carrier)
		return; /* flushed with the carrier: the host is still there, behind the peer's leg */
	set_local(r, e, (struct claim){.moves = e->local.moves});
}

void replica_sighting(struct replica *r, struct step *s, const struct entry_event *ev)
{
	uint64_t key = entry_key(ev->vlan, ev->mac);
	uint32_t slot;
	struct entry *e;

	if (mac_equal(ev->mac, r->via) || mac_is_multicast(ev->mac) || ev->place.kind == PLACE_NONE)
		return;
	if (ev->sighting == SIGHTING_GONE && entry_table_find(&r->table, key) == SLOT_NONE)
		return;
	slot = find_or_add(r, key);
	e = &r->table.slots[slot];
	if (ev->sighting != SIGHTING_GONE)
		e->dump = r->dump;
	switch (ev->sighting) {
	case SIGHTING_LEARNED:
	case SIGHTING_FIXED:
		set_programmed(r, e, PLACE_NONE,
			       0); /* what stands there is the switch's own, or the operator's */
		if (ev->place.kind != PLACE_PEER_LINK)
			seen(r, s, e, ev->place, ev->sighting == SIGHTING_FIXED);
		break;
	case SIGHTING_ACTIVE:
		/* We may have taken it out just before that was read: then it is set again. */
		if (e->programmed != PLACE_NONE || ev->place.kind != PLACE_LEG || r->dumping || r->adopting)
			set_programmed(r, e, ev->place.kind, ev->place.mclag);
		if (ev->place.kind != PLACE_PEER_LINK)
			seen(r, s, e, ev->place, false);
		break;
	case SIGHTING_INACTIVE:
		set_programmed(r, e, ev->place.kind, ev->place.mclag);
		if (ev->place.kind == PLACE_ORPHAN)
			e->port = ev->place.port;
		if (e->local.present && !e->local.fixed && e->local.mclag == ev->place.mclag)
			set_local(r, e, (struct claim){.moves = e->local.moves});
		break;
	case SIGHTING_PRESENT:
		set_programmed(r, e, ev->place.kind, ev->place.mclag);
		break;
	case SIGHTING_GONE:
		gone(r, e, ev->place);
		break;
	case SIGHTING_COUNT:
		break;
	}
	replica_reconcile(r, s, slot);
}

void replica_dump_begin(struct replica *r, struct step *s)
{
	(void)s;
	r->dump++;
	r->dumping = true;
}

void replica_dump_end(struct replica *r, struct step *s)
{
	(void)s;
	r->dumping = false;
	walk_all(r);
}

void replica_program_failed(struct replica *r, struct step *s, const struct entry_event *ev)
{
	uint32_t slot = entry_table_find(&r->table, entry_key(ev->vlan, ev->mac));
	char text[MAC_TEXT_SIZE];

	r->failed++;
	if (msec_is_never(r->retry_at)) {
		bool again = msec_since(s->now, r->failed_at) < 2 * r->retry_ms;

		r->retry_ms = !again ? REPLICA_RETRY_MS : r->retry_ms * 2;
		if (r->retry_ms > REPLICA_RETRY_MAX_MS)
			r->retry_ms = REPLICA_RETRY_MAX_MS;
		r->retry_at = msec_after(s->now, r->retry_ms);
	}
	r->failed_at = s->now;
	if ((r->failed & (r->failed - 1)) == 0) /* each doubling: a full table refuses thousands */
		step_trace(
		    s, TRACE_REPLICA, TRACE_WARN, ev->place.mclag,
		    "the switch refused mac %s vlan %u at %s (%llu refused so far) -> again in %lld ms",
		    mac_format(ev->mac, text), (unsigned)ev->vlan, place_kind_name(ev->place.kind),
		    (unsigned long long)r->failed, (long long)r->retry_ms);
	if (slot != SLOT_NONE && is_programmed(&r->table.slots[slot], ev->place))
		set_programmed(r, &r->table.slots[slot], PLACE_NONE, 0);
}

void replica_leg(struct replica *r, struct step *s, uint16_t mclag, bool open, bool carrier)
{
	struct replica_leg *leg = leg_of(r, mclag);

	if (!leg)
		return;
	leg->carrier = carrier;
	if (leg->open == open)
		return;
	leg->open = open;
	leg->expired = false;
	leg->expires = open ? MSEC_NEVER : msec_after(s->now, r->ageing_ms);
	walk_all(r);
}

void replica_set_peer_via(struct replica *r, struct step *s, struct mac via)
{
	if (mac_equal(r->peer_via, via))
		return;
	r->peer_via = via;
	walk_all(r);
	if (!mac_is_zero(via))
		replica_reconcile(r, s, find_or_add(r, entry_key(0, via)));
}

void replica_adopted(struct replica *r)
{
	r->adopting = false;
	r->adopting_until = MSEC_NEVER;
	walk_all(r);
}

void replica_peer_gone(struct replica *r, struct step *s)
{
	(void)s;
	r->orphans_gone = true;
	replica_adopted(r);
}

/* The peer tells of an entry; the border has checked its fields. */
void replica_receive(struct replica *r, struct step *s, const struct mac_entry *m)
{
	uint64_t key = entry_key(m->vlan, m->mac);
	uint32_t slot = entry_table_find(&r->table, key);
	struct entry *e;

	if (mac_equal(m->mac, r->via) || mac_equal(m->mac, r->peer_via)) {
		r->refused++;
		return;
	}
	if (slot == SLOT_NONE) {
		if (m->gone)
			return;
		if (r->peer_count >= r->entry_limit) {
			r->refused++;
			r->overflowed = true;
			return;
		}
	}
	slot = find_or_add(r, key);
	e = &r->table.slots[slot];
	clear_peer(r, e);
	if (!m->gone) {
		e->peer =
		    (struct claim){.present = true, .mclag = m->mclag, .moves = m->moves, .fixed = m->fixed};
		e->peer_sweep = r->sweep;
		r->peer_count++;
		replica_count_received(r, e);
	}
	replica_reconcile(r, s, slot);
}

/* --- time ------------------------------------------------------------------------------------------- */

static void walk(struct replica *r, struct step *s)
{
	for (unsigned piece = 0; piece < REPLICA_WALK_PIECE && r->walk_left > 0; piece++) {
		if (r->walk_position >= r->table.slot_count)
			r->walk_position = 0;
		if (entry_used(&r->table.slots[r->walk_position]))
			replica_reconcile(r, s, r->walk_position);
		r->walk_position++;
		r->walk_left--;
	}
}

static bool due(struct step *s, struct msec *t)
{
	if (!msec_reached(s->now, *t))
		return false;
	*t = MSEC_NEVER;
	return true;
}

void replica_timer(struct replica *r, struct step *s)
{
	for (size_t i = 0; i < r->leg_count; i++) {
		if (due(s, &r->legs[i].expires)) {
			r->legs[i].expired = true;
			walk_all(r);
		}
	}
	if (due(s, &r->peer_expires)) {
		r->peer_expired = true;
		walk_all(r);
	}
	if (due(s, &r->adopting_until)) {
		r->adopting = false;
		walk_all(r);
	}
	if (due(s, &r->retry_at))
		walk_all(r);
	if (due(s, &r->snapshot_at) && r->session)
		replica_snapshot(r, s);
	walk(r, s);
}

struct msec replica_deadline(const struct replica *r, struct msec now)
{
	struct msec t =
	    msec_min(msec_min(r->peer_expires, r->retry_at), msec_min(r->adopting_until, r->snapshot_at));

	for (size_t i = 0; i < r->leg_count; i++)
		t = msec_min(t, r->legs[i].expires);
	return r->walk_left > 0 ? now : t;
}
