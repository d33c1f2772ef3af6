/* SPDX-License-Identifier: ISC */
/*
 * core/whatif.c - look, let it fail, look again, and say what differs.
 *
 * The only decisions here are those of the peer, which this leaf cannot compute: peer_leg_after() restates
 * hold.c for the other side, with what the peer told of its legs and the verdict it must come to. For
 * self-down that verdict is the one this leaf would reach about a dead peer, since both see the same paths.
 */
#include "core/whatif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/domain_state.h"
#include "core/memory.h"
#include "core/whatif_world.h"

#define LACP_SETTLES_MS 5000 /* a leg that changes its system id is back within this */

TYPES_DEFINE(question, QUESTIONS, QUESTION_COUNT)
TYPES_DEFINE(way, WAYS, WAY_COUNT)
TYPES_DEFINE(outage_kind, OUTAGES, OUTAGE_KIND_COUNT)
TYPES_DEFINE(assumption, ASSUMPTIONS, ASSUMPTION_COUNT)

struct look {
	const struct domain *domain;
	const struct whatif_ask *ask;
	struct whatif_answer *a;
	struct msec begin;    /* when it fails */
	int64_t detection_ms; /* from then to the verdict, at most */
	int64_t rtt_ms;       /* known, or no better than a keepalive's interval */
};

bool whatif_carries(const struct whatif_leg *leg)
{
	return leg->known && (leg->phase == LEG_FORWARDING || leg->phase == LEG_LEAVING);
}

/* --- looking ---------------------------------------------------------------------------------------- */

/* Whether what the peer told of its legs counts: its dataplane is there, and does not change behind us. */
static bool peer_counts(enum verdict v)
{
	return v == VERDICT_ALIVE || v == VERDICT_RESTARTING || v == VERDICT_SILENT;
}

static struct whatif_pair pair_now(const struct domain *d)
{
	return (struct whatif_pair){.verdict = d->liveness.verdict,
				    .role = d->role,
				    .session = d->session.state,
				    .session_path = d->session.path,
				    .peer_link = d->liveness.carrier && d->legs.peer_link_open &&
						 peer_counts(d->liveness.verdict),
				    .arbitrating = d->arbitrating};
}

static struct whatif_leg our_leg(const struct domain *d, size_t index)
{
	const struct leg *leg = &d->legs.legs[index];

	return (struct whatif_leg){
	    .known = true, .phase = leg->phase, .holds = leg_holds(&d->legs, leg, d->now)};
}

static void look_before(struct look *l)
{
	const struct domain *d = l->domain;
	bool settled = d->session.state == SESSION_UP || d->liveness.verdict != VERDICT_ALIVE;

	l->a->pair[WHATIF_BEFORE] = pair_now(d);
	for (size_t i = 0; i < d->legs.count; i++) {
		const struct leg *leg = &d->legs.legs[i];
		struct whatif_mclag *m = &l->a->mclags[i];

		m->id = leg->id;
		m->here[WHATIF_BEFORE] = our_leg(d, i);
		m->peer[WHATIF_BEFORE] =
		    (struct whatif_leg){.known = leg->peer_known && peer_counts(d->liveness.verdict),
					.phase = leg->peer.phase,
					.holds = leg->peer.holds};
		m->single = leg->carrier != (leg->peer_known && leg->peer.carrier);
		settled = settled && (leg->phase == LEG_HELD || leg->phase == LEG_FORWARDING);
	}
	l->a->assumptions |=
	    1u << ASSUME_COPY | 1u << ASSUME_PEER_RULE | 1u << ASSUME_ANSWERS | 1u << ASSUME_HARDWARE;
	if (!settled)
		l->a->assumptions |= 1u << ASSUME_UNSETTLED;
	if (!peer_counts(d->liveness.verdict))
		l->a->assumptions |= 1u << ASSUME_PEER_UNHEARD;
}

/* --- the peer's legs, by rule ----------------------------------------------------------------------- */

static enum role role_of_peer(const struct look *l)
{
	switch (l->a->pair[WHATIF_BEFORE].role) {
	case ROLE_PRIMARY:
		return ROLE_SECONDARY;
	case ROLE_SECONDARY:
		return ROLE_PRIMARY;
	case ROLE_NONE:
	case ROLE_COUNT:
		break;
	}
	return ROLE_NONE;
}

/* hold.c's held_without_peer_link(), seen from the peer; and, where system ids differ after a split, the
 * choice of a host, which stays where it is served. */
static hold_set peer_holds_apart(const struct look *l, const struct whatif_mclag *m, enum verdict verdict)
{
	bool self = l->ask->question == QUESTION_SELF_DOWN;
	bool served = whatif_carries(&m->here[self ? WHATIF_BEFORE : WHATIF_AFTER]);

	if (role_of_peer(l) == ROLE_PRIMARY || !served)
		return 0;
	if (verdict == VERDICT_ALIVE)
		return liveness_peer_link(&l->domain->liveness) == PEER_LINK_LOST ? HOLD_BIT(HOLD_PEER_LINK)
										  : 0;
	if (verdict != VERDICT_SPLIT)
		return 0;
	if (l->domain->config.on_split == SPLIT_ARBITRATE)
		return self ? 0 : HOLD_BIT(HOLD_PARTNER);
	return whatif_carries(&m->peer[WHATIF_BEFORE]) ? 0 : HOLD_BIT(HOLD_PEER_LINK);
}

/* verdict: the peer's of this leaf. */
static struct whatif_leg peer_leg_after(const struct look *l, const struct whatif_mclag *m,
					enum verdict verdict)
{
	const hold_set apart = HOLD_BIT(HOLD_BOOT) | HOLD_BIT(HOLD_SYNC) | HOLD_BIT(HOLD_GRANT);
	struct whatif_leg leg = m->peer[WHATIF_BEFORE];

	if (!leg.known)
		return leg;
	if (l->ask->question == QUESTION_PEER_DEAD)
		return (struct whatif_leg){.phase = LEG_HELD};
	leg.holds &= ~HOLD_BIT(HOLD_PEER_LINK);
	if (!peer_counts(verdict))
		leg.holds &= ~apart;
	leg.holds |= peer_holds_apart(l, m, verdict);
	leg.phase = leg.holds & ~HOLD_BIT(HOLD_GRANT) ? LEG_HELD : LEG_FORWARDING; /* a grant comes at once */
	if (leg.phase == LEG_FORWARDING)
		leg.holds = 0;
	return leg;
}

/* The leaf that answers is the peer then: what it would say of the pair. */
static struct whatif_pair pair_of_peer(const struct look *l, enum verdict verdict)
{
	bool takes_over = verdict == VERDICT_GONE || verdict == VERDICT_SILENT || verdict == VERDICT_ALONE;
	enum role role = role_of_peer(l);

	return (struct whatif_pair){.verdict = verdict,
				    .role = takes_over ? ROLE_PRIMARY : role,
				    .session = SESSION_DOWN,
				    .session_path = PATH_NONE,
				    .arbitrating = verdict == VERDICT_SPLIT && role != ROLE_PRIMARY &&
						   l->domain->config.on_split == SPLIT_ARBITRATE};
}

static void look_after(struct look *l)
{
	const struct domain *d = l->domain;
	struct whatif_pair *after = &l->a->pair[WHATIF_AFTER];
	bool self = l->ask->question == QUESTION_SELF_DOWN;

	*after = self ? pair_of_peer(l, d->liveness.verdict) : pair_now(d);
	for (size_t i = 0; i < d->legs.count; i++) {
		struct whatif_mclag *m = &l->a->mclags[i];

		if (!self)
			m->here[WHATIF_AFTER] = our_leg(d, i);
		m->peer[WHATIF_AFTER] = peer_leg_after(l, m, d->liveness.verdict);
	}
	if (self)
		l->a->assumptions |= 1u << ASSUME_MIRROR;
	if (after->verdict == VERDICT_SPLIT && d->config.on_split == SPLIT_ARBITRATE)
		l->a->assumptions |= 1u << ASSUME_CHOICE;
}

/* --- outages ---------------------------------------------------------------------------------------- */

static struct outage outage(enum outage_kind kind, int64_t min_ms, int64_t max_ms)
{
	return (struct outage){.kind = kind, .min_ms = min_ms, .max_ms = max_ms};
}

/* A leg was lost, and another that served before serves on. */
static struct outage outage_beside(const struct look *l, size_t index)
{
	const struct leg *leg = &l->domain->legs.legs[index];

	switch (l->ask->question) {
	case QUESTION_PEER_DEAD:
	case QUESTION_SELF_DOWN:
		return outage(OUTAGE_HOST, 0, 0);
	case QUESTION_LEG_DOWN:
		return outage(OUTAGE_MESSAGE, 0, l->rtt_ms);
	case QUESTION_PEER_LINK_DOWN:
	case QUESTION_BACKUP_DOWN:
	case QUESTION_COUNT:
		break;
	}
	return outage(OUTAGE_ORDER, 0, leg->speaker == SPEAKER_STATIC ? l->rtt_ms : l->domain->legs.leave_ms);
}

/* No leg serves on; one opens. */
static struct outage outage_until_open(const struct look *l, size_t index)
{
	const struct whatif_mclag *m = &l->a->mclags[index];
	int64_t after = 0;

	if (whatif_carries(&m->here[WHATIF_AFTER]))
		after = msec_since(l->domain->legs.legs[index].since, l->begin);
	else if (l->ask->question == QUESTION_SELF_DOWN)
		after = l->detection_ms;
	if (after < l->detection_ms || l->detection_ms == 0)
		return l->ask->question == QUESTION_LEG_DOWN
			   ? outage(OUTAGE_MESSAGE, 0, 2 * l->rtt_ms)
			   : outage(OUTAGE_REOPEN, after, after + 2 * l->rtt_ms);
	return outage(OUTAGE_DETECTION, after - l->domain->config.keepalive_ms, after + l->rtt_ms);
}

static struct outage outage_of(const struct look *l, size_t index)
{
	const struct whatif_mclag *m = &l->a->mclags[index];
	bool here = whatif_carries(&m->here[WHATIF_BEFORE]), peer = whatif_carries(&m->peer[WHATIF_BEFORE]);
	/* A leg that closed on the way and opened again carries data since then. */
	bool again = l->domain->legs.legs[index].since.ms > l->begin.ms;
	bool anew = l->ask->question == QUESTION_SELF_DOWN && l->a->pair[WHATIF_AFTER].arbitrating;
	bool here_on = here && whatif_carries(&m->here[WHATIF_AFTER]) && !again;
	bool peer_on = peer && whatif_carries(&m->peer[WHATIF_AFTER]) && !anew;

	if (!here && !peer)
		return outage(OUTAGE_UNSERVED, 0, 0);
	if (!whatif_carries(&m->here[WHATIF_AFTER]) && !whatif_carries(&m->peer[WHATIF_AFTER]))
		return outage(OUTAGE_CUT, 0, -1);
	if (here == here_on && peer == peer_on)
		return outage(OUTAGE_NONE, 0, 0);
	return here_on || peer_on ? outage_beside(l, index) : outage_until_open(l, index);
}

static bool worse(const struct outage *a, const struct outage *b)
{
	if (a->kind == OUTAGE_CUT || b->kind == OUTAGE_CUT)
		return a->kind == OUTAGE_CUT && b->kind != OUTAGE_CUT;
	return a->max_ms != b->max_ms ? a->max_ms > b->max_ms : a->kind > b->kind;
}

static void judge_outages(struct look *l)
{
	for (size_t i = 0; i < l->a->mclag_count; i++) {
		struct outage *o = &l->a->mclags[i].outage;

		*o = outage_of(l, i);
		if (o->kind != OUTAGE_UNSERVED && worse(o, &l->a->outage))
			l->a->outage = *o;
	}
}

/* --- entries ---------------------------------------------------------------------------------------- */

static struct whatif_mclag *mclag_of(struct whatif_answer *a, uint16_t id)
{
	for (size_t i = 0; i < a->mclag_count; i++)
		if (a->mclags[i].id == id)
			return &a->mclags[i];
	return NULL;
}

static enum way way_of(const struct look *l, struct place place, int when)
{
	const struct whatif_pair *pair = &l->a->pair[when];
	const struct whatif_mclag *m = mclag_of(l->a, place.mclag);
	bool from_peer = when == WHATIF_AFTER && l->ask->question == QUESTION_SELF_DOWN;

	if (place.kind == PLACE_LEG) {
		if (m && whatif_carries(from_peer ? &m->peer[when] : &m->here[when]))
			return WAY_LEG;
		return pair->peer_link && m && whatif_carries(&m->peer[when]) ? WAY_PEER_LINK : WAY_NONE;
	}
	if (place.kind == PLACE_ORPHAN)
		return from_peer ? WAY_NONE : WAY_ORPHAN;
	if (from_peer)
		return WAY_ORPHAN;
	return pair->peer_link ? WAY_PEER_LINK : WAY_NONE;
}

static bool leaf_carries(const struct whatif_answer *a, bool here, int when)
{
	for (size_t i = 0; i < a->mclag_count; i++)
		if (whatif_carries(here ? &a->mclags[i].here[when] : &a->mclags[i].peer[when]))
			return true;
	return false;
}

/* Nobody but the orphans of its own leaf can reach it. */
static bool orphan_is_cut(const struct look *l, bool here, int when)
{
	enum question q = l->ask->question;

	if (when == WHATIF_AFTER && q == (here ? QUESTION_SELF_DOWN : QUESTION_PEER_DEAD))
		return true;
	return !l->a->pair[when].peer_link && !leaf_carries(l->a, here, when);
}

static void cut_orphan(struct whatif_answer *a, const struct mac_view *v, bool here)
{
	if (a->orphans_cut < WHATIF_CUT_MAX)
		a->cut[a->orphans_cut] = (struct whatif_orphan){.mac = v->mac, .vlan = v->vlan, .here = here};
	a->orphans_cut++;
}

static void judge_entries(struct look *l, const struct mac_view *entries, size_t count)
{
	struct whatif_answer *a = l->a;
	bool cut[2];

	for (int here = 0; here < 2; here++)
		cut[here] = orphan_is_cut(l, here, WHATIF_AFTER) && !orphan_is_cut(l, here, WHATIF_BEFORE);
	for (size_t i = 0; i < count; i++) {
		const struct mac_view *v = &entries[i];
		struct whatif_mclag *m = v->place.kind == PLACE_LEG ? mclag_of(a, v->place.mclag) : NULL;

		a->ways[way_of(l, v->place, WHATIF_BEFORE)][way_of(l, v->place, WHATIF_AFTER)]++;
		if (m)
			m->entries++;
		if (v->place.kind == PLACE_ORPHAN && cut[1])
			cut_orphan(a, v, true);
		if (v->place.kind == PLACE_PEER_LINK && cut[0])
			cut_orphan(a, v, false);
	}
}

static struct mac_view *take_entries(const struct domain *d, size_t *count)
{
	struct mac_view *entries = core_new(d->macs.table.count + 1, sizeof *entries);
	size_t cursor = 0;

	for (*count = 0; *count < d->macs.table.count && domain_mac_next(d, &cursor, &entries[*count]);)
		*count += entries[*count].place.kind != PLACE_NONE;
	return entries;
}

/* --- the answer ------------------------------------------------------------------------------------- */

static void look_ahead(struct look *l, struct domain *copy, struct msec now)
{
	const struct domain_config *c = &copy->config;
	int64_t detection = c->keepalive_ms * c->multiplier;
	enum verdict was = copy->liveness.verdict;
	struct world w;

	l->begin = now;
	l->rtt_ms = l->ask->rtt_ms >= 0 ? l->ask->rtt_ms : c->keepalive_ms;
	l->a->virtual_ms = 2 * detection + c->leave_ms + LACP_SETTLES_MS;
	world_begin(&w, copy, now);
	world_fail(&w, l->ask);
	world_run(&w, msec_after(now, l->a->virtual_ms));
	world_end(&w);
	l->a->rewritten = w.rewritten;
	if (copy->liveness.verdict != was)
		l->detection_ms = msec_since(copy->liveness.since, now);
}

static bool has_leg(const struct domain *d, uint16_t id)
{
	for (size_t i = 0; i < d->legs.count; i++)
		if (d->legs.legs[i].id == id)
			return true;
	return false;
}

int whatif_ask(struct domain *copy, struct msec now, const struct whatif_ask *ask, struct whatif_answer *a)
{
	struct look l = {.domain = copy, .ask = ask, .a = a};
	size_t count;
	struct mac_view *entries;

	if (ask->question == QUESTION_LEG_DOWN && !has_leg(copy, ask->mclag))
		return -ENOENT;
	*a = (struct whatif_answer){.ask = *ask,
				    .mclag_count = copy->legs.count,
				    .mclags = core_new(copy->legs.count, sizeof *a->mclags)};
	entries = take_entries(copy, &count);
	look_before(&l);
	look_ahead(&l, copy, now);
	look_after(&l);
	judge_entries(&l, entries, count);
	judge_outages(&l);
	free(entries);
	return 0;
}

void whatif_release(struct whatif_answer *a)
{
	free(a->mclags);
	*a = (struct whatif_answer){0};
}
