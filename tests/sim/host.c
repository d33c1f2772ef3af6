/* SPDX-License-Identifier: ISC */
/*
 * A partner's LACP, small: what matters to the pair is when a port sends and takes data, and what it says.
 * Out-of-sync from the leaf takes a port out at once; a port joins when its leaf is in sync and, if the host
 * is of that kind, collects. As in 802.1AX, the leaf's synchronization counts only when it describes us as we
 * are.
 */
#include "sim/sim.h"

#include <string.h>

#define NEVER   INT64_MAX
#define FAST    (1 * (int64_t)SIM_SECOND)
#define SLOW    (30 * (int64_t)SIM_SECOND)
#define EXPIRY  (3 * (int64_t)SIM_SECOND)
#define LONG    (90 * (int64_t)SIM_SECOND)
#define AT_MOST 3 /* PDUs in one second */

static bool same_system(const struct lacp_info *a, const struct lacp_info *b)
{
	return a->system_priority == b->system_priority && mac_equal(a->system, b->system) &&
	       a->key == b->key;
}

static bool same_port(const struct lacp_info *a, const struct lacp_info *b)
{
	return same_system(a, b) && a->port_priority == b->port_priority && a->port == b->port &&
	       ((a->state ^ b->state) & LACP_AGGREGATION) == 0;
}

static bool cable(const struct sim *s, int host, int leaf)
{
	const struct host *h = &s->hosts[host];

	if (h->leaf >= 0)
		return h->on && h->leaf == leaf && s->switches[leaf].powered;
	return sim_leg_cable(s, leaf, h->port - 1);
}

static int64_t earliest(const struct host *h)
{
	int64_t at = NEVER;

	for (int i = 0; i < 2; i++) {
		const struct member *m = &h->members[i];
		at = m->expires < at ? m->expires : at;
		at = m->periodic < at ? m->periodic : at;
		at = m->joins < at ? m->joins : at;
		if (m->ntt && m->carrier && m->sent[0] + FAST < at)
			at = m->sent[0] + FAST;
	}
	return at;
}

static void arm(struct sim *s, int host)
{
	struct host *h = &s->hosts[host];
	int64_t at = earliest(h);

	if (at >= h->armed)
		return;
	h->armed = at > s->queue.now ? at : s->queue.now;
	queue_put(&s->queue, h->armed, &(struct happening){.kind = HAPPEN_HOST_TIMER, .index = host});
}

static void send_pdu(struct sim *s, int host, int i)
{
	struct host *h = &s->hosts[host];
	struct member *m = &h->members[i];
	int64_t now = s->queue.now;

	if (!m->carrier || now < m->sent[0] + FAST)
		return; /* the timer comes back to it */
	m->ntt = false;
	memmove(m->sent, m->sent + 1, (AT_MOST - 1) * sizeof *m->sent);
	m->sent[AT_MOST - 1] = now;
	bool fast =
	    m->rx != MEMBER_CURRENT ? m->rx == MEMBER_EXPIRED : (m->partner.state & LACP_TIMEOUT) != 0;
	bool speaks = h->config.active || (m->partner.state & LACP_ACTIVITY);
	m->periodic = speaks ? now + (fast ? FAST : SLOW) : NEVER;
	if (h->deaf || !cable(s, host, i) || dice_chance(&s->dice, s->config.pdu_loss))
		return;
	queue_put(&s->queue, sim_pdu_arrival(s, i, host, false),
		  &(struct happening){.kind = HAPPEN_PDU_AT_LEAF,
				      .leaf = i,
				      .index = host,
				      .pdu = {.actor = m->actor, .partner = m->partner}});
}

/* Which group of ports is used: the present one while a member is left, else the largest. */
static void select_group(struct host *h)
{
	int best = -1, best_count = 0;

	for (int i = 0; i < 2; i++) {
		struct member *m = &h->members[i];
		m->selected = m->carrier && m->rx == MEMBER_CURRENT && (m->partner.state & LACP_AGGREGATION);
	}
	for (int i = 0; i < 2; i++) {
		if (!h->members[i].selected)
			continue;
		int count = 0;
		for (int j = 0; j < 2; j++)
			count += h->members[j].selected &&
				 same_system(&h->members[i].partner, &h->members[j].partner);
		if (same_system(&h->members[i].partner, &h->group))
			count += 2;
		if (count > best_count) {
			best = i;
			best_count = count;
		}
	}
	h->group = best < 0 ? (struct lacp_info){0} : h->members[best].partner;
	for (int i = 0; i < 2; i++)
		h->members[i].selected =
		    h->members[i].selected && same_system(&h->members[i].partner, &h->group);
}

static void evaluate(struct sim *s, int host)
{
	struct host *h = &s->hosts[host];
	int64_t now = s->queue.now;

	select_group(h);
	for (int i = 0; i < 2; i++) {
		struct member *m = &h->members[i];
		if (!m->selected)
			m->joins = NEVER;
		else if (!(m->actor.state & LACP_SYNC) && m->joins == NEVER)
			m->joins = now + h->config.wait;
		bool sync = m->selected && ((m->actor.state & LACP_SYNC) || now >= m->joins);
		bool collecting = sync && (m->partner.state & LACP_SYNC);
		bool distributing = collecting && (h->config.eager || (m->partner.state & LACP_COLLECTING));
		uint8_t state =
		    (uint8_t)((h->config.active ? LACP_ACTIVITY : 0) | (h->config.fast ? LACP_TIMEOUT : 0) |
			      LACP_AGGREGATION | (sync ? LACP_SYNC : 0) | (collecting ? LACP_COLLECTING : 0) |
			      (distributing ? LACP_DISTRIBUTING : 0) |
			      (m->rx == MEMBER_DEFAULTED ? LACP_DEFAULTED : 0) |
			      (m->rx == MEMBER_EXPIRED ? LACP_EXPIRED : 0));
		if (sync)
			m->joins = NEVER;
		if (m->enabled && !distributing)
			h->lost_members++;
		m->enabled = distributing;
		if (state != m->actor.state)
			m->ntt = true;
		m->actor.state = state;
	}
	for (int i = 0; i < 2; i++) {
		if (h->members[i].ntt)
			send_pdu(s, host, i);
	}
	arm(s, host);
}

static void restart(struct sim *s, int host, int i)
{
	struct member *m = &s->hosts[host].members[i];

	m->rx = MEMBER_EXPIRED;
	m->expires = s->queue.now + EXPIRY;
	m->partner.state &= (uint8_t)~LACP_SYNC;
	m->ntt = m->ntt || s->hosts[host].config.active;
}

void host_init(struct sim *s)
{
	for (size_t i = 0; i < s->config.leg_count; i++)
		s->hosts[s->host_count++] =
		    (struct host){.leaf = -1, .port = (int)i + 1, .config = s->config.hosts[i]};
	for (int leaf = 0; leaf < 2; leaf++) {
		for (size_t i = 0; i < s->config.orphan_count[leaf]; i++)
			s->hosts[s->host_count++] =
			    (struct host){.leaf = leaf, .port = (int)(1 + s->config.leg_count + i)};
	}
	for (size_t i = 0; i < s->host_count; i++) {
		struct host *h = &s->hosts[i];
		h->on = true;
		h->armed = NEVER;
		for (int m = 0; m < 2; m++)
			h->members[m] = (struct member){
			    .expires = NEVER,
			    .periodic = NEVER,
			    .joins = NEVER,
			    .sent = {-2 * FAST, -2 * FAST, -2 * FAST},
			    .actor = {.system_priority = 65535,
				      .system = mac_from_u64(0x020000010000 + i),
				      .key = 1,
				      .port_priority = 255,
				      .port = (uint16_t)(m + 1)},
			};
		if (s->config.traffic_every > 0)
			queue_put(&s->queue,
				  s->queue.now + dice_between(&s->dice, 0, s->config.traffic_every),
				  &(struct happening){.kind = HAPPEN_TRAFFIC, .index = (int)i});
	}
}

void host_cable(struct sim *s, int host, int leaf)
{
	int64_t notice = s->hosts[host].config.notice;

	queue_put(&s->queue, s->queue.now + dice_between(&s->dice, 0, notice),
		  &(struct happening){.kind = HAPPEN_CARRIER, .leaf = leaf, .index = host});
}

void host_carrier(struct sim *s, const struct happening *h)
{
	struct member *m = &s->hosts[h->index].members[h->leaf];
	bool up = cable(s, h->index, h->leaf);

	if (up == m->carrier)
		return;
	m->carrier = up;
	if (s->hosts[h->index].leaf >= 0 || !s->hosts[h->index].config.lacp)
		return;
	if (up) {
		restart(s, h->index, h->leaf);
	} else {
		m->rx = MEMBER_EXPIRED;
		m->expires = m->periodic = NEVER;
	}
	evaluate(s, h->index);
}

void host_pdu(struct sim *s, const struct happening *h)
{
	struct host *host = &s->hosts[h->index];
	struct member *m = &host->members[h->leaf];

	if (!m->carrier || !host->config.lacp || host->deaf || !cable(s, h->index, h->leaf))
		return;
	m->partner = h->pdu.actor;
	if (!same_port(&h->pdu.partner, &m->actor))
		m->partner.state &= (uint8_t)~LACP_SYNC;
	if (!same_port(&h->pdu.partner, &m->actor) ||
	    ((h->pdu.partner.state ^ m->actor.state) & (LACP_ACTIVITY | LACP_TIMEOUT | LACP_SYNC)))
		m->ntt = true;
	m->rx = MEMBER_CURRENT;
	m->expires = s->queue.now + (host->config.fast ? EXPIRY : LONG);
	if (m->periodic == NEVER && (host->config.active || (m->partner.state & LACP_ACTIVITY)))
		m->periodic = s->queue.now + FAST;
	if ((m->partner.state & LACP_TIMEOUT) && m->periodic > s->queue.now + FAST)
		m->periodic = s->queue.now + FAST;
	evaluate(s, h->index);
}

void host_timer(struct sim *s, const struct happening *h)
{
	struct host *host = &s->hosts[h->index];
	int64_t now = s->queue.now;

	if (now >= host->armed)
		host->armed = NEVER;
	for (int i = 0; i < 2; i++) {
		struct member *m = &host->members[i];
		if (m->expires <= now && m->rx == MEMBER_CURRENT) {
			restart(s, h->index, i);
		} else if (m->expires <= now) {
			m->rx = MEMBER_DEFAULTED;
			m->expires = NEVER;
			memset(&m->partner, 0, sizeof m->partner);
		}
		if (m->periodic <= now) {
			m->ntt = true;
			m->periodic = now + FAST;
		}
	}
	evaluate(s, h->index);
}

/* --- data ------------------------------------------------------------------------------------------- */

bool host_takes(const struct sim *s, int host, int leaf)
{
	const struct host *h = &s->hosts[host];

	if (!cable(s, host, leaf))
		return false;
	if (h->leaf >= 0)
		return h->leaf == leaf;
	return !h->config.lacp || (h->members[leaf].actor.state & LACP_COLLECTING);
}

bool host_send(struct sim *s, int host, uint32_t source, uint32_t target, uint32_t flow, uint32_t *id)
{
	struct host *h = &s->hosts[host];
	int in_use[2], count = 0;

	for (int i = 0; i < 2; i++) {
		bool use = h->leaf >= 0     ? h->leaf == i
			   : h->config.lacp ? h->members[i].enabled
					    : h->members[i].carrier;
		if (use && h->on)
			in_use[count++] = i;
	}
	if (count == 0)
		return false;
	int leaf = in_use[flow % (uint32_t)count];
	struct frame f = {.id = ++s->frames, .source = source, .target = target};
	s->flights[f.id % SIM_FLIGHTS] = (struct flight){.id = f.id, .source = host};
	if (id)
		*id = f.id;
	h->sent++;
	if (cable(s, host, leaf))
		switch_frame(s, leaf, h->port, f);
	return true;
}

/* 2: no frame from a host reaches another host twice; no frame returns to its sender's LAG. */
void host_receive(struct sim *s, int host, int leaf, struct frame f)
{
	struct flight *flight = &s->flights[f.id % SIM_FLIGHTS];

	if (!host_takes(s, host, leaf))
		return;
	if (f.target == FRAME_TO_ALL || s->owner[f.target] == host)
		s->hosts[host].received++; /* others see a flooded frame, and do not take it */
	if (flight->id != f.id)
		return;
	if (flight->source == host)
		sim_fail(s, "2: frame %u returns to its sender, host %d, by leaf %d", f.id, host + 1,
			 leaf + 1);
	else if (flight->received & 1u << host)
		sim_fail(s, "2: frame %u reaches host %d twice, now by leaf %d", f.id, host + 1, leaf + 1);
	flight->received |= 1u << host;
}

void host_traffic(struct sim *s, const struct happening *h)
{
	struct host *host = &s->hosts[h->index];

	queue_put(&s->queue, s->queue.now + dice_between(&s->dice, 1, 2 * s->config.traffic_every), h);
	if (host->quiet || !host->on)
		return;
	uint32_t source = dice_below(&s->dice, s->mac_count), target = dice_below(&s->dice, s->mac_count);
	for (uint32_t i = 0; i < s->mac_count && s->owner[source] != h->index; i++)
		source = (source + 1) % s->mac_count;
	if (s->owner[source] != h->index)
		return;
	bool all = dice_chance(&s->dice, 300000) || s->owner[target] == h->index;
	host_send(s, h->index, source, all ? FRAME_TO_ALL : target, (uint32_t)dice_roll(&s->dice), NULL);
}
