/* SPDX-License-Identifier: ISC */
/*
 * Gates and entries are set at once, in the order asked, as mclagd/switch.h promises; what the switch has to
 * say of them, and of what it sees, is read a little later. A link report says what is true when it is read.
 */
#include "sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PEER_LINK_TRANSIT 20 /* microseconds */
#define FRAME_HOPS        8
#define NOT_OF_TABLE      (-1)

void switch_init(struct sim *s, int leaf)
{
	struct fake_switch *w = &s->switches[leaf];

	w->ports[SIM_PEER_LINK].place.kind = PLACE_PEER_LINK;
	w->port_count = 1;
	for (size_t i = 0; i < s->config.leg_count; i++)
		w->ports[w->port_count++].place =
		    (struct place){.kind = PLACE_LEG, .mclag = s->config.legs[i].id};
	for (size_t i = 0; i < s->config.orphan_count[leaf]; i++)
		w->ports[w->port_count++].place =
		    (struct place){.kind = PLACE_ORPHAN, .port = (int32_t)(10 + i)};
	w->rows = calloc(s->row_count, sizeof *w->rows);
	w->seen = calloc(s->row_count, sizeof *w->seen);
	if (!w->rows || !w->seen)
		abort();
	for (uint32_t i = 0; i < s->row_count; i++)
		w->seen[i] = -1;
}

void switch_release(struct sim *s, int leaf)
{
	free(s->switches[leaf].rows);
	free(s->switches[leaf].seen);
}

int switch_index(const struct sim *s, int leaf, struct place place)
{
	const struct fake_switch *w = &s->switches[leaf];

	for (size_t i = 0; i < w->port_count; i++) {
		const struct place *p = &w->ports[i].place;
		if (p->kind == place.kind && (p->kind != PLACE_LEG || p->mclag == place.mclag) &&
		    (p->kind != PLACE_ORPHAN || p->port == place.port))
			return (int)i;
	}
	return -1;
}

struct port *switch_port(struct sim *s, int leaf, struct place place)
{
	int i = switch_index(s, leaf, place);

	assert(i >= 0);
	return &s->switches[leaf].ports[i];
}

/* --- reports ---------------------------------------------------------------------------------------- */

static void report(struct sim *s, int leaf, int64_t more, const struct event *e)
{
	struct fake_switch *w = &s->switches[leaf];
	bool table = e->kind == EVENT_ENTRY || e->kind == EVENT_DUMP_BEGIN || e->kind == EVENT_DUMP_END ||
		     e->kind == EVENT_PROGRAM_FAILED;
	int64_t *told = table ? &w->table_told : &w->link_told;
	int64_t at = s->queue.now + dice_between(&s->dice, 0, s->config.report_max) + more;

	if (!s->nodes[leaf].alive || (table && w->overrun))
		return;
	if (e->kind != EVENT_LINK) {
		at = at > *told ? at : *told;
		*told = at;
	}
	queue_put(&s->queue, at,
		  &(struct happening){.kind = HAPPEN_REPORT,
				      .leaf = leaf,
				      .index = table ? (int)w->table_stamp : NOT_OF_TABLE,
				      .stamp = s->nodes[leaf].run,
				      .report = *e});
}

void switch_report(struct sim *s, const struct happening *h)
{
	const struct node *n = &s->nodes[h->leaf];
	struct event e = h->report;

	if (!n->alive || n->run != h->stamp ||
	    (h->index != NOT_OF_TABLE && (uint32_t)h->index != s->switches[h->leaf].table_stamp))
		return;
	if (e.kind == EVENT_LINK)
		e.link.carrier = switch_port(s, h->leaf, e.link.port)->carrier;
	node_event(s, h->leaf, &e);
}

static void report_link(struct sim *s, int leaf, int port, int64_t more)
{
	report(s, leaf, more,
	       &(struct event){.kind = EVENT_LINK,
			       .link = {.port = s->switches[leaf].ports[port].place, .speed = 10000}});
}

static void report_entry(struct sim *s, int leaf, uint32_t mac, int port, enum sighting sighting)
{
	report(s, leaf, 0,
	       &(struct event){.kind = EVENT_ENTRY,
			       .entry = {.mac = sim_mac(mac),
					 .vlan = s->config.vlan,
					 .place = s->switches[leaf].ports[port].place,
					 .sighting = sighting}});
}

static enum sighting sighting_of(const struct row *r)
{
	switch (r->kind) {
	case ROW_NONE:
		break;
	case ROW_LEARNED:
		return SIGHTING_LEARNED;
	case ROW_WATCHED:
		return r->silent ? SIGHTING_INACTIVE : SIGHTING_ACTIVE;
	case ROW_OPERATOR:
		return SIGHTING_FIXED;
	case ROW_EXTERNAL:
		return SIGHTING_PRESENT;
	}
	return SIGHTING_GONE;
}

static void report_row(struct sim *s, int leaf, uint32_t mac)
{
	const struct row *r = &s->switches[leaf].rows[mac];

	report_entry(s, leaf, mac, r->port, sighting_of(r));
}

static void report_dump(struct sim *s, int leaf)
{
	report(s, leaf, 0, &(struct event){.kind = EVENT_DUMP_BEGIN});
	for (uint32_t i = 0; i < s->row_count; i++) {
		if (s->switches[leaf].rows[i].kind != ROW_NONE)
			report_row(s, leaf, i);
	}
	report(s, leaf, 0, &(struct event){.kind = EVENT_DUMP_END});
}

void switch_tell_all(struct sim *s, int leaf)
{
	struct fake_switch *w = &s->switches[leaf];

	w->link_told = w->table_told = s->queue.now;
	w->overrun = false;
	for (size_t i = 0; i < w->port_count; i++) {
		if (w->ports[i].place.kind != PLACE_ORPHAN)
			report_link(s, leaf, (int)i, 0);
	}
	report_dump(s, leaf);
}

void switch_overrun(struct sim *s, int leaf, int64_t lasts)
{
	struct fake_switch *w = &s->switches[leaf];

	w->table_stamp++;
	w->overrun = true;
	queue_put(&s->queue, s->queue.now + lasts,
		  &(struct happening){.kind = HAPPEN_DUMP, .leaf = leaf, .stamp = w->table_stamp});
}

void switch_dump(struct sim *s, const struct happening *h)
{
	struct fake_switch *w = &s->switches[h->leaf];

	if (h->stamp != w->table_stamp || !w->overrun)
		return; /* a later one, or a new daemon, which dumps anyway */
	w->overrun = false;
	report_dump(s, h->leaf);
}

/* --- the table -------------------------------------------------------------------------------------- */

static void drop_row(struct sim *s, int leaf, uint32_t mac)
{
	struct row *r = &s->switches[leaf].rows[mac];

	report_entry(s, leaf, mac, r->port, SIGHTING_GONE);
	r->kind = ROW_NONE;
}

static void learn(struct sim *s, int leaf, int port, uint32_t mac, int from)
{
	struct fake_switch *w = &s->switches[leaf];
	struct row *r = &w->rows[mac];
	bool moved = r->port != port, spoke;

	w->seen[mac] = s->queue.now;
	s->heard_from[mac] = from;
	s->heard_at[mac] = s->queue.now;
	switch (r->kind) {
	case ROW_NONE:
		*r = (struct row){.kind = ROW_LEARNED, .port = (uint8_t)port, .used = s->queue.now};
		report_row(s, leaf, mac);
		return;
	case ROW_LEARNED:
	case ROW_WATCHED:
		spoke = r->silent;
		r->silent = false;
		r->used = s->queue.now;
		r->port = (uint8_t)port;
		if (moved || spoke)
			report_row(s, leaf, mac);
		return;
	case ROW_EXTERNAL: /* traffic elsewhere takes it over, and it is like any learned one then */
		*r = (struct row){.kind = ROW_LEARNED, .port = (uint8_t)port, .used = s->queue.now};
		report_row(s, leaf, mac);
		return;
	case ROW_OPERATOR:
		if (moved) {
			r->port = (uint8_t)port;
			report_row(s, leaf, mac);
		}
		return;
	}
}

void switch_age(struct sim *s, const struct happening *h)
{
	struct fake_switch *w = &s->switches[h->leaf];
	int64_t ageing = s->config.pair.ageing_ms * SIM_MS;

	if (!w->powered || h->stamp != w->power)
		return;
	for (uint32_t i = 0; i < s->row_count; i++) {
		struct row *r = &w->rows[i];
		if (s->queue.now - r->used < ageing)
			continue;
		if (r->kind == ROW_LEARNED) {
			drop_row(s, h->leaf, i);
		} else if (r->kind == ROW_WATCHED && !r->silent) {
			r->silent = true;
			report_row(s, h->leaf, i);
		}
	}
	queue_put(&s->queue, s->queue.now + ageing / 8, h);
}

void switch_operator(struct sim *s, int leaf, uint32_t mac, int port)
{
	struct row *r = &s->switches[leaf].rows[mac];

	s->switches[leaf].seen[mac] = -1;
	if (port >= 0) {
		*r = (struct row){.kind = ROW_OPERATOR, .port = (uint8_t)port};
		report_row(s, leaf, mac);
	} else if (r->kind != ROW_NONE) {
		drop_row(s, leaf, mac);
	}
}

/* --- power and carrier ------------------------------------------------------------------------------ */

void switch_carriers(struct sim *s, int leaf)
{
	struct fake_switch *w = &s->switches[leaf];

	for (size_t i = 0; i < w->port_count; i++) {
		bool carrier = w->ports[i].place.kind == PLACE_PEER_LINK ? sim_peer_link_cable(s)
			       : w->ports[i].place.kind == PLACE_LEG     ? sim_leg_cable(s, leaf, (int)i - 1)
									 : w->powered;
		if (carrier == w->ports[i].carrier)
			continue;
		w->ports[i].carrier = carrier;
		if (!w->powered)
			continue;
		if (w->ports[i].place.kind != PLACE_ORPHAN)
			report_link(s, leaf, (int)i,
				    carrier ? dice_between(&s->dice, 0, s->config.carrier_max) : 0);
		for (uint32_t mac = 0; !carrier && mac < s->row_count; mac++) {
			if (w->rows[mac].kind == ROW_LEARNED && w->rows[mac].port == i)
				drop_row(s, leaf, mac);
		}
	}
}

void switch_fail_closed(struct sim *s, int leaf)
{
	struct fake_switch *w = &s->switches[leaf];

	for (size_t i = 0; i < w->port_count; i++) {
		w->ports[i].forwarding = w->ports[i].place.kind == PLACE_ORPHAN;
		w->ports[i].isolated = false;
	}
}

void switch_power(struct sim *s, int leaf, bool on)
{
	struct fake_switch *w = &s->switches[leaf];

	w->powered = on;
	w->power++;
	memset(w->rows, 0, s->row_count * sizeof *w->rows);
	for (uint32_t i = 0; i < s->row_count; i++)
		w->seen[i] = -1;
	for (size_t i = 0; i < w->port_count; i++) {
		w->ports[i].refuse_forward = w->ports[i].refuse_isolate = 0;
	}
	switch_fail_closed(s, leaf);
	if (on)
		queue_put(&s->queue, s->queue.now,
			  &(struct happening){.kind = HAPPEN_AGE, .leaf = leaf, .stamp = w->power});
	for (int i = 0; i < 2; i++)
		switch_carriers(s, i);
	for (size_t i = 0; i < s->host_count; i++)
		host_cable(s, (int)i, leaf);
}

/* --- actions ---------------------------------------------------------------------------------------- */

static void gate(struct sim *s, int leaf, const struct action *a)
{
	struct port *p = switch_port(s, leaf, a->gate.port);
	bool isolate = a->kind == ACTION_ISOLATE;
	int *refuse = isolate ? &p->refuse_isolate : &p->refuse_forward;
	bool ok = *refuse == 0 || (!isolate && !a->gate.on); /* closing is never refused */

	if (!ok)
		(*refuse)--;
	else if (isolate)
		p->isolated = a->gate.on;
	else
		p->forwarding = a->gate.on;
	report(
	    s, leaf, 0,
	    &(struct event){.kind = EVENT_DONE,
			    .done = {.port = a->gate.port, .isolate = isolate, .on = a->gate.on, .ok = ok}});
}

static void program(struct sim *s, int leaf, const struct program_action *p)
{
	uint32_t mac = sim_mac_index(s, p->mac);
	int port = switch_index(s, leaf, p->place);

	if (mac == UINT32_MAX || port < 0 || (p->vlan != s->config.vlan && mac < s->mac_count)) {
		sim_fail(s, "node %d programs an entry that nobody told of", leaf + 1);
		return;
	}
	struct row *r = &s->switches[leaf].rows[mac];
	enum row_kind kind = p->place.kind == PLACE_ORPHAN      ? ROW_LEARNED
			     : p->place.kind == PLACE_PEER_LINK ? ROW_EXTERNAL
								: ROW_WATCHED;
	*r = (struct row){.kind = kind, .port = (uint8_t)port, .used = s->queue.now};
	r->silent = kind == ROW_WATCHED && !p->active;
	report_row(s, leaf, mac);
}

void switch_perform(struct sim *s, int leaf, const struct action *a)
{
	if (a->kind == ACTION_FORWARD || a->kind == ACTION_ISOLATE) {
		gate(s, leaf, a);
	} else if (a->kind == ACTION_PROGRAM) {
		program(s, leaf, &a->program);
	} else {
		uint32_t mac = sim_mac_index(s, a->program.mac);
		int port = switch_index(s, leaf, a->program.place);
		if (mac == UINT32_MAX || port < 0)
			sim_fail(s, "node %d takes out an entry that nobody told of", leaf + 1);
		else if (s->switches[leaf].rows[mac].kind != ROW_NONE &&
			 s->switches[leaf].rows[mac].port == port)
			drop_row(s, leaf, mac);
	}
}

/* --- frames ----------------------------------------------------------------------------------------- */

static void leave(struct sim *s, int leaf, int in, int out, struct frame f)
{
	struct fake_switch *w = &s->switches[leaf];
	struct port *p = &w->ports[out];

	if (out == in || !p->carrier || !p->forwarding)
		return;
	if (out == SIM_PEER_LINK) {
		if (s->peer_link_silent)
			return;
		f.hops++;
		queue_put(&s->queue, s->queue.now + PEER_LINK_TRANSIT,
			  &(struct happening){.kind = HAPPEN_FRAME, .leaf = 1 - leaf, .frame = f});
		return;
	}
	if (in == SIM_PEER_LINK && p->place.kind == PLACE_LEG && p->isolated)
		return;
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];
		if (h->port == out && (h->leaf == -1 || h->leaf == leaf))
			host_receive(s, (int)i, leaf, f);
	}
}

void switch_frame(struct sim *s, int leaf, int in, struct frame f)
{
	struct fake_switch *w = &s->switches[leaf];

	if (!w->powered || !w->ports[in].carrier || !w->ports[in].forwarding)
		return;
	if (f.hops > FRAME_HOPS) {
		sim_fail(s, "2: frame %u goes in circles", f.id);
		return;
	}
	if (in != SIM_PEER_LINK)
		learn(s, leaf, in, f.source, s->flights[f.id % SIM_FLIGHTS].source);
	const struct row *r = f.target == FRAME_TO_ALL ? NULL : &w->rows[f.target];
	if (r && r->kind != ROW_NONE) {
		const struct port *p = &w->ports[r->port];
		bool backup = p->place.kind == PLACE_LEG && !p->carrier;
		leave(s, leaf, in, backup ? SIM_PEER_LINK : r->port, f);
		return;
	}
	for (size_t i = 0; i < w->port_count; i++)
		leave(s, leaf, in, (int)i, f);
}
