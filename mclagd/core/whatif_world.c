/* SPDX-License-Identifier: ISC */
/*
 * core/whatif_world.c - the simulator in small: answers are queued and delivered after the step, in the same
 * moment of virtual time; only what lasts (keepalives, LACPDUs, digests) has times of its own.
 *
 * A host here is what Linux bonding and Open vSwitch are: it collects and distributes as soon as the leaf is
 * in sync. Towards the pair's system id it is in sync if it is now; towards a leaf's own (after a split) when
 * no other leg serves it.
 */
#include "core/whatif_world.h"

#include <stdlib.h>

#include "core/domain_state.h"
#include "core/memory.h"

/* --- deliveries ------------------------------------------------------------------------------------- */

static struct delivery *deliver(struct world *w, enum event_kind kind)
{
	struct delivery *d;

	core_grow((void **)&w->deliveries, &w->room, w->count + 1, sizeof *w->deliveries);
	d = &w->deliveries[w->count++];
	*d = (struct delivery){.event = {.kind = kind}};
	return d;
}

static void hear(struct world *w, size_t path)
{
	const struct domain *d = w->domain;

	if (w->heard[path])
		deliver(w, EVENT_HEARD)->event.heard = (struct heard_event){
		    .path = (int)path,
		    .boot_id = d->liveness.boot_id,
		    .hears_us = true,
		    .beacon = {.domain = d->config.domain, .epoch = d->epoch, .carrying = true}};
}

static bool served_elsewhere(const struct world *w, const struct leg *leg)
{
	return w->question != QUESTION_PEER_DEAD && w->question != QUESTION_SELF_DOWN && leg->peer_known &&
	       leg->peer_open;
}

/* What the host on a leg says when it has heard our last PDU. */
static void partner_speaks(struct world *w, size_t index)
{
	const struct mclags *legs = &w->domain->legs;
	const struct leg *leg = &legs->legs[index];
	struct lacpdu pdu = {.actor = leg->lacp.partner, .partner = leg->lacp.actor};
	uint8_t state = w->partner_states[index];

	if (!w->partners[index] || !leg->carrier)
		return;
	if (!served_elsewhere(w, leg))
		state |= LACP_SYNC;
	else if (!mac_equal(leg->lacp.actor.system, legs->system))
		state &= (uint8_t)~LACP_SYNC;
	state &= (uint8_t) ~(LACP_COLLECTING | LACP_DISTRIBUTING);
	if ((state & LACP_SYNC) && (leg->lacp.actor.state & LACP_SYNC))
		state |= LACP_COLLECTING | LACP_DISTRIBUTING;
	pdu.actor.state = state;
	struct delivery *d = deliver(w, EVENT_LACPDU);

	d->event.lacpdu.mclag = leg->id;
	d->event.lacpdu.pdu = pdu;
}

static void partner_answers(struct world *w, uint16_t mclag)
{
	const struct mclags *legs = &w->domain->legs;

	for (size_t i = 0; i < legs->count; i++)
		if (legs->legs[i].id == mclag)
			partner_speaks(w, i);
}

static void peer_answers(struct world *w, const struct message *m)
{
	struct delivery *d;

	if (!w->talks)
		return;
	deliver(w, EVENT_ROOM)->event.room = w->session_room;
	if (m->kind != MESSAGE_LEG_REQUEST)
		return;
	d = deliver(w, EVENT_MESSAGE);
	d->message.kind = MESSAGE_LEG_GRANT;
	d->message.leg = m->leg;
	d->message.leg.granted = true;
}

static void digest(struct world *w)
{
	const struct replica *r = &w->domain->macs;
	struct delivery *d;

	if (!w->talks)
		return;
	d = deliver(w, EVENT_MESSAGE);
	d->message.kind = MESSAGE_DIGEST;
	d->message.mark = (struct table_mark){.table = TABLE_MAC,
					      .generation = r->peer_generation,
					      .count = r->received_count,
					      .digest = r->received_digest};
}

static void answer(struct world *w, const struct action *a)
{
	switch (a->kind) {
	case ACTION_SEND:
		peer_answers(w, &a->message);
		break;
	case ACTION_CLOSE:
		w->talks = false;
		break;
	case ACTION_PROBE:
		hear(w, (size_t)a->path);
		break;
	case ACTION_LACPDU:
		partner_answers(w, a->lacpdu.mclag);
		break;
	case ACTION_FORWARD:
	case ACTION_ISOLATE:
		deliver(w, EVENT_DONE)->event.done = (struct done_event){
		    .port = a->gate.port, .isolate = a->kind == ACTION_ISOLATE, .on = a->gate.on, .ok = true};
		break;
	case ACTION_PROGRAM:
	case ACTION_UNPROGRAM:
		w->rewritten++;
		break;
	case ACTION_USE_PATH: /* the session follows its path, and the tables are equal again */
	case ACTION_ACCEPT:
	case ACTION_STOPPED:
	case ACTION_BEACON:
	case ACTION_SAVE:
	case ACTION_KIND_COUNT:
		break;
	}
}

/* --- time ------------------------------------------------------------------------------------------- */

static void tell(struct world *w, const struct event *e)
{
	domain_step(w->domain, &w->step, e);
	for (size_t i = 0; i < w->step.action_count; i++)
		answer(w, &w->step.actions[i]);
	step_clear(&w->step);
}

static void settle(struct world *w)
{
	while (w->head < w->count) {
		struct delivery d = w->deliveries[w->head++];

		if (d.event.kind == EVENT_MESSAGE) {
			if (!w->talks)
				continue;
			d.event.message = &d.message;
		}
		tell(w, &d.event);
	}
	w->head = w->count = 0;
}

/* What is due by itself, at this moment. */
static void happen(struct world *w)
{
	const struct domain_config *c = &w->domain->config;
	struct msec now = w->step.now;

	if (msec_reached(now, w->keepalive_at)) {
		w->keepalive_at = msec_after(now, c->keepalive_ms);
		for (size_t i = 0; i < c->path_count; i++)
			hear(w, i);
	}
	if (msec_reached(now, w->partner_at)) {
		w->partner_at = msec_after(now, LACP_FAST_PERIODIC_MS);
		for (size_t i = 0; i < w->domain->legs.count; i++)
			partner_speaks(w, i);
	}
	if (msec_reached(now, w->digest_at)) {
		w->digest_at = msec_after(now, c->session_timeout_ms / 3);
		digest(w);
	}
	settle(w);
	if (msec_reached(now, domain_deadline(w->domain)))
		tell(w, &(struct event){.kind = EVENT_TIMER});
	settle(w);
}

void world_run(struct world *w, struct msec until)
{
	for (;;) {
		struct msec next = msec_min(w->keepalive_at, msec_min(w->partner_at, w->digest_at));

		next = msec_min(next, domain_deadline(w->domain));
		if (next.ms > until.ms)
			return;
		w->step.now = next;
		happen(w);
	}
}

/* --- begin, fail, end ------------------------------------------------------------------------------- */

static void meet_hosts(struct world *w)
{
	const struct mclags *legs = &w->domain->legs;

	w->partners = core_new(legs->count, sizeof *w->partners);
	w->partner_states = core_new(legs->count, sizeof *w->partner_states);
	for (size_t i = 0; i < legs->count; i++) {
		const struct leg *leg = &legs->legs[i];

		w->partners[i] = leg->speaker == SPEAKER_ENGINE && leg->lacp.rx == LACP_RX_CURRENT;
		w->partner_states[i] = leg->lacp.partner.state;
	}
}

void world_begin(struct world *w, struct domain *domain, struct msec now)
{
	*w = (struct world){.domain = domain,
			    .question = QUESTION_COUNT,
			    .step = {.now = now},
			    .talks = session_greeted(&domain->session),
			    .session_room = domain->room,
			    .keepalive_at = now,
			    .partner_at = now,
			    .digest_at = now};
	for (size_t i = 0; i < domain->config.path_count; i++)
		w->heard[i] = domain->liveness.paths[i].up && domain->liveness.paths[i].hears_us;
	meet_hosts(w);
	happen(w);
}

static void lose_carrier(struct world *w, struct place port)
{
	tell(w, &(struct event){.kind = EVENT_LINK, .link = {.port = port}});
	settle(w);
}

static void fall_silent(struct world *w, bool peer_link, bool backups)
{
	bool any = false;

	for (size_t i = 0; i < w->domain->config.path_count; i++) {
		if (i == PATH_PEER_LINK ? peer_link : backups)
			w->heard[i] = false;
		any = any || w->heard[i];
	}
	w->talks = w->talks && any;
}

void world_fail(struct world *w, const struct whatif_ask *ask)
{
	w->question = ask->question;
	switch (ask->question) {
	case QUESTION_LEG_DOWN:
		lose_carrier(w, (struct place){.kind = PLACE_LEG, .mclag = ask->mclag});
		break;
	case QUESTION_PEER_LINK_DOWN:
		fall_silent(w, true, false);
		lose_carrier(w, (struct place){.kind = PLACE_PEER_LINK});
		break;
	case QUESTION_BACKUP_DOWN:
		fall_silent(w, false, true);
		break;
	case QUESTION_PEER_DEAD:
	case QUESTION_SELF_DOWN:
		fall_silent(w, true, true);
		lose_carrier(w, (struct place){.kind = PLACE_PEER_LINK});
		break;
	case QUESTION_COUNT:
		break;
	}
}

void world_end(struct world *w)
{
	step_release(&w->step);
	free(w->deliveries);
	free(w->partners);
	free(w->partner_states);
}
