/* SPDX-License-Identifier: ISC */
/*
 * core/view.c - answers about a domain; changes nothing.
 */
#include <string.h>

#include "core/domain_state.h"

static void view_paths(const struct domain *d, struct domain_view *v)
{
	v->path_count = d->liveness.path_count;
	for (size_t i = 0; i < v->path_count; i++) {
		const struct liveness_path *p = &d->liveness.paths[i];

		v->paths[i] = (struct path_view){.ever = p->ever,
						 .up = p->up,
						 .hears_us = p->hears_us,
						 .heard = p->heard,
						 .changed = p->changed};
	}
}

static void view_macs(const struct replica *r, struct table_view *v)
{
	*v = (struct table_view){
	    .peer = r->peer_count,
	    .total = r->table.count,
	    .sent_digest = r->sent_digest,
	    .received_digest = r->received_digest,
	    .sent_count = r->sent_count,
	    .received_count = r->received_count,
	    .queued = r->queued,
	    .peer_synced = r->peer_synced,
	    .synced = r->synced,
	    .repairs = r->repairs,
	    .local = r->local_count,
	    .programmed = r->programmed_count,
	    .refused = r->refused,
	    .failed = r->failed,
	    .failing = !msec_is_never(r->retry_at),
	    .overflowed = r->overflowed,
	    .moves = r->moves,
	};
}

void domain_view(const struct domain *d, struct domain_view *v)
{
	*v = (struct domain_view){
	    .verdict = d->liveness.verdict,
	    .verdict_since = d->liveness.since,
	    .role = d->role,
	    .role_since = d->role_since,
	    .role_reason = d->role_reason,
	    .epoch = d->epoch,
	    .session = d->session.state,
	    .session_since = d->session.since,
	    .session_reason = d->session.reason,
	    .session_path = session_greeted(&d->session) ? d->session.over : d->session.path,
	    .peer_known = d->session.peer_known,
	    .peer = d->session.peer,
	    .peer_link_carrier = d->liveness.carrier,
	    .peer_link_open = d->legs.peer_link_open,
	    .arbitrating = d->arbitrating,
	    .stopping = d->stopping != REASON_NONE,
	    .mclag_count = d->legs.count,
	    .violations = d->session.violations,
	};
	memcpy(v->messages_in, d->session.in, sizeof v->messages_in);
	memcpy(v->messages_out, d->session.out, sizeof v->messages_out);
	view_paths(d, v);
	view_macs(&d->macs, &v->macs);
}

void domain_leg_view(const struct domain *d, size_t index, struct leg_view *v)
{
	const struct leg *leg = &d->legs.legs[index];

	*v = (struct leg_view){
	    .id = leg->id,
	    .phase = leg->phase,
	    .holds = leg_holds(&d->legs, leg, d->now),
	    .since = leg->since,
	    .reason = leg->reason,
	    .carrier = leg->carrier,
	    .speed = leg->speed,
	    .isolated = leg->isolated,
	    .speaker = leg->speaker,
	    .lacp_rx = "",
	    .lacp_mux = "",
	    .peer_known = leg->peer_known,
	    .peer = leg->peer,
	};
	if (leg->speaker != SPEAKER_ENGINE)
		return;
	v->lacp_rx = lacp_rx_name(leg->lacp.rx);
	v->lacp_mux = lacp_mux_name(leg->lacp.mux);
	v->actor = leg->lacp.actor;
	v->partner = leg->lacp.partner;
	v->pdus_in = leg->lacp.counters.received;
	v->pdus_out = leg->lacp.counters.sent;
}

bool domain_mac_next(const struct domain *d, size_t *cursor, struct mac_view *v)
{
	const struct replica *r = &d->macs;

	for (; *cursor < r->table.slot_count; (*cursor)++) {
		const struct entry *e = &r->table.slots[*cursor];
		bool local = e->local.present;

		if (!entry_used(e) || (!local && !e->peer.present && e->programmed == PLACE_NONE))
			continue;
		*v = (struct mac_view){
		    .mac = entry_mac(e),
		    .vlan = entry_vlan(e),
		    .place = replica_place(r, e),
		    .programmed = {.kind = (enum place_kind)e->programmed, .mclag = e->programmed_mclag},
		    .local = local,
		    .peer = e->peer.present,
		    .fixed = (local && e->local.fixed) || (e->peer.present && e->peer.fixed),
		    .moves = local ? e->local.moves : e->peer.moves,
		};
		(*cursor)++;
		return true;
	}
	return false;
}

void domain_resume_state(const struct domain *d, struct resume *r, struct leg_resume *legs)
{
	*r = (struct resume){
	    .verdict = d->liveness.verdict,
	    .role = d->role,
	    .epoch = d->epoch,
	    .peer_link_open = d->legs.peer_link_open,
	    .leg_count = d->legs.count,
	    .legs = legs,
	};
	for (size_t i = 0; i < d->legs.count; i++)
		leg_resume_state(&d->legs.legs[i], &legs[i]);
}
