/* SPDX-License-Identifier: ISC */
/*
 * The rules look at the dataplanes and the hosts from above, as no leaf can; a core's own view is asked only
 * for what it claims.
 */
#include "sim/invariants.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define SETTLE_ROLES     (500 * SIM_MS)
#define PARTNER_PATIENCE (1500 * SIM_MS) /* LACP's short timeout, less a period and some delay */

static struct domain_view view_of(const struct sim *s, int leaf)
{
	struct domain_view v;

	domain_view(s->nodes[leaf].domain, &v);
	return v;
}

static const struct port *leg_port(const struct sim *s, int leaf, size_t leg)
{
	return &s->switches[leaf].ports[1 + leg];
}

/* The leg carries data in both directions, as far as the host is concerned. */
static bool serves(const struct sim *s, int leaf, size_t leg)
{
	const struct port *p = leg_port(s, leaf, leg);
	const struct host *h = &s->hosts[leg];

	return p->carrier && p->forwarding && (!h->config.lacp || h->members[leaf].enabled);
}

/* "Exactly one primary while the session is up on both sides, after it settles." */
static void rule_1_one_primary(struct sim *s)
{
	if (!s->nodes[0].alive || !s->nodes[1].alive) {
		s->both_up = -1;
		return;
	}
	struct domain_view a = view_of(s, 0), b = view_of(s, 1);
	if (a.session != SESSION_UP || b.session != SESSION_UP) {
		s->both_up = -1;
		return;
	}
	if (s->both_up < 0)
		s->both_up = s->queue.now;
	if (s->queue.now - s->both_up < SETTLE_ROLES)
		return;
	if ((a.role == ROLE_PRIMARY) == (b.role == ROLE_PRIMARY) || a.role == ROLE_NONE ||
	    b.role == ROLE_NONE)
		sim_fail(s, "1: the session is up on both sides, and the roles are %s and %s",
			 role_name(a.role), role_name(b.role));
}

/* "No frame reaches another host twice, none returns to its sender's LAG": where both legs of an mclag carry
 * data and the peer link does too, frames from the peer link leave by neither. */
static void rule_2_isolated(struct sim *s)
{
	const struct port *a = &s->switches[0].ports[SIM_PEER_LINK],
			  *b = &s->switches[1].ports[SIM_PEER_LINK];

	if (!sim_peer_link_cable(s) || s->peer_link_silent || !a->forwarding || !b->forwarding)
		return;
	for (size_t i = 0; i < s->config.leg_count; i++) {
		const struct port *p[2] = {leg_port(s, 0, i), leg_port(s, 1, i)};
		if (!p[0]->forwarding || !p[1]->forwarding || !p[0]->carrier || !p[1]->carrier)
			continue;
		for (int leaf = 0; leaf < 2; leaf++) {
			if (!p[leaf]->isolated)
				sim_fail(s,
					 "2: both legs of mclag %u carry data, and leaf %d does not isolate "
					 "its leg",
					 p[leaf]->place.mclag, leaf + 1);
		}
	}
}

/* "A leg never forwards before its proof; a returning leg never before its grant." */
static void rule_3_proof(struct sim *s, int leaf, const struct action *a)
{
	struct domain_view v = view_of(s, leaf);
	int port = switch_index(s, leaf, a->gate.port);
	const struct port *mine = &s->switches[leaf].ports[port], *peers = &s->switches[1 - leaf].ports[port];
	bool mine_closed = !s->switches[leaf].ports[SIM_PEER_LINK].forwarding || !sim_peer_link_cable(s);
	bool closed = mine_closed || !s->switches[1 - leaf].ports[SIM_PEER_LINK].forwarding;

	switch (v.verdict) {
	case VERDICT_UNKNOWN:
		sim_fail(s, "3: node %d opens mclag %u, and nothing is known of the peer", leaf + 1,
			 mine->place.mclag);
		return;
	case VERDICT_ALIVE:
		if (!peers->isolated && s->switches[1 - leaf].powered && !closed)
			sim_fail(s, "3: node %d opens mclag %u, and the peer has not isolated its leg",
				 leaf + 1, mine->place.mclag);
		return;
	case VERDICT_RESTARTING:
	case VERDICT_SILENT:
		if (peers->forwarding && peers->carrier && !peers->isolated &&
		    s->switches[1 - leaf].powered && !closed)
			sim_fail(s, "3: node %d opens mclag %u beside the leg of a peer that cannot grant it",
				 leaf + 1, mine->place.mclag);
		return;
	case VERDICT_GONE:
	case VERDICT_SPLIT:
	case VERDICT_ALONE:
		if (!mine_closed)
			sim_fail(s,
				 "3: node %d opens mclag %u without a peer while the peer link carries data",
				 leaf + 1, mine->place.mclag);
		return;
	case VERDICT_COUNT:
		break;
	}
	sim_fail(s, "3: node %d has no verdict", leaf + 1);
}

/* core/lacp.h: "the leg must be able to carry data before synchronization is announced". */
static void rule_3_order(struct sim *s, int leaf, const struct action *a)
{
	const struct port *p =
	    switch_port(s, leaf, (struct place){.kind = PLACE_LEG, .mclag = a->lacpdu.mclag});

	if ((a->lacpdu.pdu.actor.state & (LACP_SYNC | LACP_COLLECTING | LACP_DISTRIBUTING)) && !p->forwarding)
		sim_fail(s, "3: node %d announces mclag %u in sync before it carries data", leaf + 1,
			 a->lacpdu.mclag);
}

/* "Losing any single thing never leaves an mclag with no forwarding leg, if one could forward." */
static void rule_4_service(struct sim *s)
{
	if (!s->promised)
		return;
	for (size_t i = 0; i < s->config.leg_count; i++) {
		if (!serves(s, 0, i) && !serves(s, 1, i))
			sim_fail(s, "4: mclag %u has lost both legs by a single fault", s->config.legs[i].id);
	}
}

static uint32_t members_lost(const struct sim *s, int except)
{
	uint32_t lost = 0;

	for (int i = 0; i < (int)s->config.leg_count; i++)
		lost += i == except ? 0 : s->hosts[i].lost_members;
	return lost;
}

void invariants_calm(struct sim *s, int except)
{
	s->calm = s->promised;
	s->calm_except = except;
	s->calm_since = s->queue.now;
	s->calm_lost = members_lost(s, except);
}

/* behaviour.md section 1, "the host sees: nothing": the backup path is cut, a daemon restarts within the
 * partner's timeout, or another host's leg goes. */
static void rule_4_calm(struct sim *s)
{
	if (!s->calm)
		return;
	if (s->queue.now - s->calm_since > PARTNER_PATIENCE && (!s->nodes[0].alive || !s->nodes[1].alive))
		s->calm = false; /* hosts notice by themselves */
	else if (members_lost(s, s->calm_except) != s->calm_lost)
		sim_fail(s, "4: a host has lost a member by what hosts do not see");
}

/* "LACP identity towards hosts changes only in arbitrate." */
static void rule_7_identity(struct sim *s, int leaf, const struct action *a)
{
	const struct domain_config *c = &s->nodes[leaf].config;
	const struct lacp_info *actor = &a->lacpdu.pdu.actor;
	bool own = mac_equal(actor->system, c->own_system);
	bool half = (actor->port & LACP_PORT_HALF) != 0;

	/* The last words of an arbitration are out of sync, when it is over. */
	bool last = !(actor->state & LACP_SYNC);
	if (own && (c->on_split != SPLIT_ARBITRATE || !(view_of(s, leaf).arbitrating || last)))
		sim_fail(s, "7: node %d shows its own system id without arbitrating", leaf + 1);
	if ((!own && !mac_equal(actor->system, c->system)) || actor->system_priority != c->system_priority ||
	    actor->key != a->lacpdu.mclag || half != (leaf == 1))
		sim_fail(s, "7: node %d shows another identity on mclag %u", leaf + 1, a->lacpdu.mclag);
}

void invariants_action(struct sim *s, int leaf, const struct action *a)
{
	if (a->kind == ACTION_FORWARD && a->gate.on && a->gate.port.kind == PLACE_LEG)
		rule_3_proof(s, leaf, a);
	if (a->kind == ACTION_LACPDU) {
		rule_3_order(s, leaf, a);
		rule_7_identity(s, leaf, a);
	}
}

/* What the core says of a leg is what its dataplane does. */
static void rule_3_claims(struct sim *s, int leaf)
{
	for (size_t i = 0; i < s->config.leg_count; i++) {
		struct leg_view v;
		domain_leg_view(s->nodes[leaf].domain, i, &v);
		bool may = v.phase == LEG_OPENING || v.phase == LEG_FORWARDING || v.phase == LEG_LEAVING;
		const struct port *p = leg_port(s, leaf, i);
		if (p->forwarding && !may && !(v.holds & HOLD_BIT(HOLD_DATAPLANE)))
			sim_fail(s, "3: leg %u of node %d is %s and forwards", v.id, leaf + 1,
				 leg_phase_name(v.phase));
		if (!p->forwarding && (v.phase == LEG_FORWARDING || v.phase == LEG_LEAVING))
			sim_fail(s, "3: leg %u of node %d is %s and does not", v.id, leaf + 1,
				 leg_phase_name(v.phase));
	}
}

void invariants_dataplane(struct sim *s)
{
	rule_2_isolated(s);
	rule_4_service(s);
	rule_4_calm(s);
}

void invariants_step(struct sim *s, int leaf)
{
	invariants_dataplane(s);
	rule_1_one_primary(s);
	rule_3_claims(s, leaf);
}

/* --- after quiet ------------------------------------------------------------------------------------ */

static bool because(char why[static WHY_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool because(char why[static WHY_SIZE], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, WHY_SIZE, format, args);
	va_end(args);
	return false;
}

static bool node_whole(const struct sim *s, int leaf, char why[static WHY_SIZE])
{
	const struct node *n = &s->nodes[leaf];

	if (!n->alive || n->stopping || !s->switches[leaf].powered)
		return because(why, "node %d is not there", leaf + 1);
	struct domain_view v = view_of(s, leaf);
	if (v.verdict != VERDICT_ALIVE || v.session != SESSION_UP)
		return because(why, "node %d: peer %s, session %s", leaf + 1, verdict_name(v.verdict),
			       session_state_name(v.session));
	if (!v.macs.synced || !v.macs.peer_synced || v.macs.queued)
		return because(why, "node %d: tables are not synced", leaf + 1);
	if (!v.peer_link_open || !s->switches[leaf].ports[SIM_PEER_LINK].forwarding)
		return because(why, "node %d: the peer link is closed for data", leaf + 1);
	for (int i = 0; i < SIM_PATHS; i++) {
		if (!v.paths[i].up)
			return because(why, "node %d: path %d is down", leaf + 1, i);
	}
	for (size_t i = 0; i < s->config.leg_count; i++) {
		struct leg_view l;
		char holds[96];
		domain_leg_view(n->domain, i, &l);
		if (l.phase != LEG_FORWARDING || !l.isolated || !leg_port(s, leaf, i)->isolated)
			return because(why, "node %d: mclag %u is %s (%s)%s", leaf + 1, l.id,
				       leg_phase_name(l.phase), hold_set_format(l.holds, holds, sizeof holds),
				       l.isolated ? "" : ", not isolated");
		if (!serves(s, leaf, i))
			return because(why, "node %d: the host of mclag %u does not use the leg", leaf + 1,
				       l.id);
	}
	return true;
}

/* What the daemons may not have noticed yet. */
static bool world_whole(const struct sim *s, char why[static WHY_SIZE])
{
	for (int leaf = 0; leaf < 2; leaf++) {
		for (size_t i = 0; i < s->config.leg_count; i++) {
			if (!sim_leg_cable(s, leaf, (int)i) || s->hosts[i].deaf)
				return because(why, "leg %d:%u is cut", leaf + 1, s->config.legs[i].id);
		}
		for (int i = 0; i < SIM_PATHS; i++) {
			if (s->network.paths[i].loss[leaf] != s->config.paths[i].loss[leaf] ||
			    !network_passes(s, i, leaf))
				return because(why, "path %d is disturbed", i);
		}
	}
	return sim_peer_link_cable(s) || because(why, "the peer link is cut");
}

bool invariants_whole(const struct sim *s, char why[static WHY_SIZE])
{
	if (!world_whole(s, why))
		return false;
	if (!node_whole(s, 0, why) || !node_whole(s, 1, why))
		return false;
	struct domain_view a = view_of(s, 0), b = view_of(s, 1);
	if ((a.role == ROLE_PRIMARY) == (b.role == ROLE_PRIMARY))
		return because(why, "roles are %s and %s", role_name(a.role), role_name(b.role));
	return a.epoch == b.epoch || because(why, "epochs differ");
}

/* Where a leaf should keep a MAC that is at this host. */
static int expected_port(const struct sim *s, int leaf, int host)
{
	const struct host *h = &s->hosts[host];

	if (h->leaf >= 0)
		return h->leaf == leaf ? h->port : SIM_PEER_LINK;
	return leg_port(s, leaf, (size_t)h->port - 1)->forwarding ? h->port : SIM_PEER_LINK;
}

/* What a core holds, by MAC; all zero where it holds nothing. To be freed. */
static struct mac_view *entries_of(const struct sim *s, int leaf)
{
	struct mac_view *entries = calloc(s->row_count, sizeof *entries), e;
	size_t cursor = 0;

	if (!entries)
		abort();
	while (domain_mac_next(s->nodes[leaf].domain, &cursor, &e)) {
		uint32_t mac = sim_mac_index(s, e.mac);
		if (mac != UINT32_MAX)
			entries[mac] = e;
	}
	return entries;
}

static bool held(const struct mac_view *e)
{
	return !mac_is_zero(e->mac);
}

static bool entry_as_it_should(const struct sim *s, uint32_t mac, const struct mac_view *const e[2],
			       char why[static WHY_SIZE])
{
	bool has[2] = {held(e[0]), held(e[1])};

	for (int leaf = 0; leaf < 2; leaf++) {
		const struct row *r = &s->switches[leaf].rows[mac];
		int64_t seen = s->switches[leaf].seen[mac];
		bool fresh = seen >= 0 && s->queue.now - seen < s->config.pair.ageing_ms * SIM_MS * 3 / 4;
		if (has[leaf] != (r->kind != ROW_NONE))
			return because(why, "5: mac %u: node %d %s an entry, its switch %s", mac, leaf + 1,
				       has[leaf] ? "has" : "has not",
				       r->kind != ROW_NONE ? "has" : "has not");
		if (fresh && !has[leaf])
			return because(why, "6: mac %u is lost on node %d while its owner is seen", mac,
				       leaf + 1);
		if (!has[leaf] || e[leaf]->fixed)
			continue;
		if (e[leaf]->programmed.kind != PLACE_NONE &&
		    switch_index(s, leaf, e[leaf]->programmed) != r->port)
			return because(why, "5: mac %u: node %d thinks it is at %s, and it stands on port %u",
				       mac, leaf + 1, place_kind_name(e[leaf]->programmed.kind), r->port);
		if (s->heard_at[mac] > s->whole_since &&
		    r->port != expected_port(s, leaf, s->heard_from[mac]))
			return because(why, "5: mac %u of host %d stands on port %u of leaf %d", mac,
				       s->heard_from[mac] + 1, r->port, leaf + 1);
	}
	if (has[0] != has[1])
		return because(why, "5: mac %u: node %d has an entry, node %d has not", mac, has[0] ? 1 : 2,
			       has[0] ? 2 : 1);
	if (has[0] && (e[0]->local != e[1]->peer || e[1]->local != e[0]->peer || e[0]->fixed != e[1]->fixed))
		return because(why, "5: mac %u: local/peer is %d/%d on node 1 and %d/%d on node 2", mac,
			       e[0]->local, e[0]->peer, e[1]->local, e[1]->peer);
	return true;
}

bool invariants_tables(const struct sim *s, char why[static WHY_SIZE])
{
	for (int leaf = 0; leaf < 2; leaf++) {
		struct table_view from = view_of(s, leaf).macs, to = view_of(s, 1 - leaf).macs;
		if (from.sent_digest != to.received_digest || from.sent_count != to.received_count)
			return because(why, "5: node %d has told %u entries, node %d holds %u, digests %s",
				       leaf + 1, from.sent_count, 2 - leaf, to.received_count,
				       from.sent_digest == to.received_digest ? "equal" : "differ");
	}
	struct mac_view *held_by[2] = {entries_of(s, 0), entries_of(s, 1)};
	bool good = true;
	for (uint32_t mac = 0; good && mac < s->mac_count; mac++) {
		const struct mac_view *e[2] = {&held_by[0][mac], &held_by[1][mac]};
		good = entry_as_it_should(s, mac, e, why);
	}
	free(held_by[0]);
	free(held_by[1]);
	return good;
}

bool invariants_aged(const struct sim *s, char why[static WHY_SIZE])
{
	bool good = true;

	for (int leaf = 0; leaf < 2; leaf++) {
		struct mac_view *entries = entries_of(s, leaf);
		for (uint32_t mac = 0; good && mac < s->mac_count; mac++) {
			enum row_kind kind = s->switches[leaf].rows[mac].kind;
			if (kind != ROW_NONE && kind != ROW_OPERATOR)
				good = because(why,
					       "6: mac %u is kept in the switch of leaf %d past both agings",
					       mac, leaf + 1);
			else if (held(&entries[mac]) && !entries[mac].fixed)
				good = because(why, "6: mac %u is kept by node %d past both agings", mac,
					       leaf + 1);
		}
		free(entries);
	}
	return good;
}

bool invariants_reach(struct sim *s, int from, int to, uint32_t flow)
{
	uint32_t source = 0, target = 0, id;

	while (source < s->mac_count && s->owner[source] != from)
		source++;
	while (target < s->mac_count && s->owner[target] != to)
		target++;
	if (source == s->mac_count || target == s->mac_count)
		return true; /* all its MACs have moved away */
	if (!host_send(s, from, source, target, flow, &id) || !sim_run(s, SIM_MS))
		return false;
	return (s->flights[id % SIM_FLIGHTS].received & 1u << to) != 0;
}
