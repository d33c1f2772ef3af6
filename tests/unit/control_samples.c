/* SPDX-License-Identifier: ISC */
/*
 * control_samples.c - the three states of a pair an operator meets, and one of each other view.
 */
#include "control_samples.h"

#include "mclagd/control_build.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define HOUR (INT64_C(3600) * 1000)

static Mclag__Control__Leg *leg(const char *phase, const char *holds, int64_t since_ms, const char *reason)
{
	Mclag__Control__Leg *m = build_message(&mclag__control__leg__descriptor);

	m->phase = build_text("%s", phase);
	m->carrier = strstr(holds, "carrier") == NULL;
	build_words(&m->holds, &m->n_holds, holds);
	m->since_ms = since_ms;
	m->reason = build_text("%s", reason);
	return m;
}

static void add_mclag(Mclag__Control__Status *s, uint32_t id, Mclag__Control__Leg *local,
		      Mclag__Control__Leg *peer)
{
	Mclag__Control__Mclag *m = build_message(&mclag__control__mclag__descriptor);

	m->id = id;
	m->port = build_text("swp%u", id);
	m->local = local;
	m->peer = peer;
	if (s->mclags == NULL)
		s->mclags = build_list(8);
	s->mclags[s->n_mclags++] = m;
}

static void add_path(Mclag__Control__Status *s, const char *name, int64_t heard_ms, const char *remote)
{
	Mclag__Control__Path *m = build_message(&mclag__control__path__descriptor);

	m->name = build_text("%s", name);
	m->up = heard_ms >= 0 && heard_ms < 500;
	m->hears_us = m->up;
	m->heard_ms = heard_ms;
	m->changed_ms = m->up ? 26 * HOUR : 4321;
	m->rtt_us = m->up ? 347 : -1;
	m->jitter_us = m->up ? 12 : -1;
	m->sent = 938112;
	m->received = heard_ms < 0 ? 0 : 938004;
	m->lost = heard_ms < 0 ? 0 : 3;
	m->remote = build_text("%s", remote);
	if (s->paths == NULL)
		s->paths = build_list(4);
	s->paths[s->n_paths++] = m;
}

static void set_identity(Mclag__Control__Status *s)
{
	s->daemon = build_message(&mclag__control__daemon__descriptor);
	s->daemon->version = build_text("0.1.0");
	s->daemon->uptime_ms = 26 * HOUR;
	s->daemon->domain = 1;
	s->daemon->node = 1;
	s->daemon->system_mac = build_text("02:00:00:00:00:aa");
	s->daemon->system_priority = 32768;
	s->daemon->priority = 100;
	s->peer_link = build_message(&mclag__control__peer_link__descriptor);
	s->peer_link->port = build_text("swp49");
	s->peer_link->carrier = s->peer_link->open = true;
}

static void set_pair(Mclag__Control__Status *s, const char *verdict, const char *role, const char *reason,
		     const char *session, int64_t since_ms)
{
	s->verdict = build_message(&mclag__control__verdict__descriptor);
	s->verdict->verdict = build_text("%s", verdict);
	s->verdict->since_ms = since_ms;
	s->role = build_message(&mclag__control__role__descriptor);
	s->role->role = build_text("%s", role);
	s->role->since_ms = since_ms;
	s->role->reason = build_text("%s", reason);
	s->role->epoch = 4;
	s->session = build_message(&mclag__control__session__descriptor);
	s->session->state = build_text("%s", session);
	s->session->since_ms = since_ms;
	s->session->reason = build_text("none");
}

static void set_peer(Mclag__Control__Status *s)
{
	s->peer = build_message(&mclag__control__peer__descriptor);
	s->peer->node = 2;
	s->peer->boot_id = build_text("9f86d081884c7d65");
	s->peer->role = build_text("secondary");
	s->peer->epoch = 4;
	s->peer->priority = 100;
	s->peer->carrying = true;
	s->peer->system_mac = build_text("02:00:00:00:00:aa");
	s->peer->system_priority = 32768;
	s->peer->via_mac = build_text("02:00:00:00:00:b2");
}

static void set_table(Mclag__Control__Status *s, uint32_t local, uint32_t peer, bool synced)
{
	Mclag__Control__Table *m = build_message(&mclag__control__table__descriptor);

	s->tables = build_message(&mclag__control__tables__descriptor);
	s->tables->mac = m;
	m->total = local > peer ? local : peer;
	m->local = m->sent_count = local;
	m->peer = m->received_count = peer;
	m->programmed = m->total;
	m->sent_digest = build_text("00000000deadbeef");
	m->received_digest = build_text("0000000000c0ffee");
	m->synced = m->peer_synced = synced;
}

static void make_healthy(Mclag__Control__Status *s)
{
	set_pair(s, "alive", "primary", "election", "up", 26 * HOUR);
	s->session->path = build_text("peer-link");
	set_peer(s);
	set_table(s, 1204, 980, true);
	add_path(s, "peer-link", 12, "fe80::ff:fe00:b2 port 5911");
	add_path(s, "mgmt", 87, "192.0.2.2 port 5911");
	add_mclag(s, 1, leg("forwarding", "-", 26 * HOUR, "granted"), leg("forwarding", "-", -1, ""));
	add_mclag(s, 7, leg("forwarding", "-", 61000, "granted"), leg("forwarding", "-", -1, ""));
	s->mclags[0]->local->isolated = s->mclags[1]->local->isolated = true;
}

static void make_degraded(Mclag__Control__Status *s)
{
	set_pair(s, "alive", "primary", "election", "up", 26 * HOUR);
	s->session->path = build_text("peer-link");
	set_peer(s);
	set_table(s, 1204, 980, true);
	add_path(s, "peer-link", 12, "fe80::ff:fe00:b2 port 5911");
	add_path(s, "mgmt", 4821, "192.0.2.2 port 5911");
	add_mclag(s, 1, leg("held", "carrier,partner", 4321, "carrier"), leg("forwarding", "-", -1, ""));
	add_mclag(s, 7, leg("held", "grant", 340, "lacp"), leg("held", "carrier,partner,sync", -1, ""));
	add_mclag(s, 9, leg("leaving", "stopping", 2000, "shutdown"), NULL);
	build_line(&s->findings, &s->n_findings, "path mgmt is down");
	build_line(&s->findings, &s->n_findings, "mclag 1: the local leg swp1 is held: carrier,partner");
	build_line(&s->findings, &s->n_findings,
		   "mclag 9: the local leg swp9 is leaving: out of sync was announced, "
		   "the host has not left yet; still carries data");
	build_line(&s->single_points, &s->n_single_points,
		   "path peer-link is the last one: one fault from blind");
	build_line(&s->single_points, &s->n_single_points,
		   "mclag 1: the peer's leg is the only one that forwards");
}

static void make_down(Mclag__Control__Status *s)
{
	set_pair(s, "unknown", "none", "start", "connecting", 3210);
	s->session->last_error =
	    build_text("connect 192.0.2.2 port 5911 over mgmt: connection refused; next try in 0.8 s");
	set_table(s, 0, 0, false);
	add_path(s, "peer-link", -1, "");
	add_path(s, "mgmt", -1, "192.0.2.2 port 5911");
	s->paths[0]->error = build_text("No such device");
	add_mclag(s, 65535, leg("held", "boot,sync", 3210, "start"), NULL);
	s->peer_link->open = false;
	build_line(&s->findings, &s->n_findings, "the peer is unknown: the peer was never heard since start");
	build_line(&s->findings, &s->n_findings, "path peer-link is down: the peer was never heard on it");
	build_line(&s->findings, &s->n_findings, "no mclag is known to forward, on this leaf or on the peer");
}

Mclag__Control__Status *sample_status(Mclag__Control__Health health)
{
	Mclag__Control__Status *s = build_message(&mclag__control__status__descriptor);

	s->health = health;
	set_identity(s);
	if (health == MCLAG__CONTROL__HEALTH__HEALTHY)
		make_healthy(s);
	else if (health == MCLAG__CONTROL__HEALTH__DEGRADED)
		make_degraded(s);
	else
		make_down(s);
	return s;
}

static Mclag__Control__LacpInfo *lacp(const char *system, uint32_t port, const char *state)
{
	Mclag__Control__LacpInfo *m = build_message(&mclag__control__lacp_info__descriptor);

	m->system_priority = 32768;
	m->system = build_text("%s", system);
	m->key = 7;
	m->port_priority = 255;
	m->port = port;
	build_words(&m->state, &m->n_state, state);
	return m;
}

static Mclag__Control__Port *port(uint32_t id, const char *phase, const char *reason, const char *holds)
{
	Mclag__Control__Port *m = build_message(&mclag__control__port__descriptor);

	m->id = id;
	m->port = build_text("swp%u", id);
	m->phase = build_text("%s", phase);
	m->since_ms = 61000;
	m->reason = build_text("%s", reason);
	build_words(&m->holds, &m->n_holds, holds);
	m->speaker = build_text("engine");
	m->lacp_receive = build_text("current");
	m->lacp_mux = build_text("distributing");
	m->carrier = m->isolated = true;
	m->speed = 10000;
	m->pdus_in = 2040;
	m->pdus_out = 2043;
	return m;
}

Mclag__Control__Ports *sample_ports(void)
{
	static const char *const good = "active,short,aggregation,sync,collecting,distributing";
	Mclag__Control__Ports *m = build_message(&mclag__control__ports__descriptor);
	Mclag__Control__PeerPort *peer = build_message(&mclag__control__peer_port__descriptor);
	Mclag__Control__PeerPort *held = build_message(&mclag__control__peer_port__descriptor);

	peer->phase = build_text("forwarding");
	peer->carrier = true;
	peer->speed = 10000;
	peer->actor = lacp("02:00:00:00:00:aa", 32769, good);
	peer->partner = lacp("52:54:00:12:34:56", 2, good);
	held->phase = build_text("held");
	build_words(&held->holds, &held->n_holds, "carrier");
	m->ports = build_list(3);
	m->n_ports = 3;
	m->ports[0] = port(1, "forwarding", "granted", "-");
	m->ports[0]->actor = lacp("02:00:00:00:00:aa", 1, good);
	m->ports[0]->partner = lacp("52:54:00:12:34:56", 1, good);
	m->ports[0]->peer = peer;
	m->ports[1] = port(7, "held", "lacp", "partner,not_a_hold_yet");
	m->ports[1]->actor = lacp("02:00:00:00:00:aa", 7, "active,short,aggregation,expired");
	m->ports[1]->peer = held;
	m->ports[2] = port(9, "requesting", "proof", "-");
	free(m->ports[2]->lacp_receive);
	free(m->ports[2]->speaker);
	m->ports[2]->lacp_receive = build_text("%s", "");
	m->ports[2]->speaker = build_text("static");
	m->ports[2]->speed = 0;
	m->ports[2]->isolated = false;
	return m;
}

static void add_entry(Mclag__Control__Mac *mac, const char *address, uint32_t vlan, uint32_t mclag,
		      const char *place)
{
	Mclag__Control__MacEntry *m = build_message(&mclag__control__mac_entry__descriptor);

	m->mac = build_text("%s", address);
	m->vlan = vlan;
	m->mclag = mclag;
	m->place = build_text("%s", place);
	m->programmed = build_text("%s", strcmp(place, "orphan") == 0 ? "none" : place);
	mac->entries[mac->n_entries++] = m;
}

Mclag__Control__Mac *sample_mac(void)
{
	Mclag__Control__Mac *m = build_message(&mclag__control__mac__descriptor);

	m->matched = 4;
	m->entries = build_list(4);
	add_entry(m, "52:54:00:12:34:57", 4094, 65535, "leg");
	add_entry(m, "52:54:00:12:34:56", 10, 7, "leg");
	add_entry(m, "00:1b:21:00:00:01", 10, 0, "orphan");
	add_entry(m, "00:1b:21:00:00:02", 0, 0, "peer_link");
	m->entries[0]->port = build_text("swp48s3");
	m->entries[0]->local = m->entries[0]->peer = true;
	m->entries[0]->moves = 12345;
	m->entries[1]->port = build_text("swp7");
	m->entries[1]->local = m->entries[1]->peer = m->entries[1]->fixed = true;
	m->entries[2]->local = true;
	m->entries[3]->port = build_text("swp49");
	m->entries[3]->peer = true;
	return m;
}

static void add_event(Mclag__Control__Events *events, const char *room, const char *level, uint32_t mclag,
		      const char *text)
{
	Mclag__Control__Event *m = build_message(&mclag__control__event__descriptor);
	int64_t number = (int64_t)events->n_events + 41;

	m->number = (uint64_t)number;
	m->time_us = INT64_C(1780000000123456) + number * 1000000;
	m->ago_ms = 100000 - number * 1000;
	m->room = build_text("%s", room);
	m->level = build_text("%s", level);
	m->mclag = mclag;
	m->text = build_text("%s", text);
	events->events[events->n_events++] = m;
}

Mclag__Control__Events *sample_events(void)
{
	Mclag__Control__Events *m = build_message(&mclag__control__events__descriptor);

	m->events = build_list(4);
	add_event(m, "session", "info", 0, "hello of node 2 -> syncing");
	add_event(m, "mclag", "info", 7, "carrier lost -> held");
	add_event(m, "liveness", "warn", 0,
		  "path mgmt: 5 keepalives missing, the other path is up, the peer link has carrier -> path "
		  "down, the "
		  "verdict stays alive; one fault from blind");
	add_event(m, "replica", "debug", 65535, "moved \033[31mtwice\n");
	return m;
}

static Mclag__Control__ReasonCounter *reason(const char *text, uint64_t count)
{
	Mclag__Control__ReasonCounter *m = build_message(&mclag__control__reason_counter__descriptor);

	m->reason = build_text("%s", text);
	m->count = count;
	return m;
}

static void add_keepalive(Mclag__Control__Counters *c, const char *path)
{
	Mclag__Control__KeepaliveCounters *m = build_message(&mclag__control__keepalive_counters__descriptor);

	m->path = build_text("%s", path);
	m->sent = 938112;
	m->heard = 938004;
	m->lost = 3;
	m->late = build_list(8);
	for (; m->n_late < 8; m->n_late++)
		m->late[m->n_late] = m->n_late == 0 ? 938000u : 112u >> m->n_late;
	m->dropped = build_list(2);
	m->n_dropped = 2;
	m->dropped[0] = reason("not signed with our secret", 17);
	m->dropped[1] = reason("sequence not newer", 2);
	c->keepalives[c->n_keepalives++] = m;
}

Mclag__Control__Counters *sample_counters(void)
{
	Mclag__Control__Counters *c = build_message(&mclag__control__counters__descriptor);

	c->messages = build_list(1);
	c->n_messages = 1;
	c->messages[0] = build_message(&mclag__control__message_counter__descriptor);
	c->messages[0]->message = build_text("leg_request");
	c->messages[0]->in = 3;
	c->messages[0]->out = 4;
	c->violations = 1;
	c->transport = build_message(&mclag__control__transport_counters__descriptor);
	c->transport->dialled = 12;
	c->transport->bytes_in = UINT64_C(123456789012);
	c->transport->ended = build_list(1);
	c->transport->n_ended = 1;
	c->transport->ended[0] = reason("cannot connect", 11);
	c->keepalives = build_list(2);
	add_keepalive(c, "peer-link");
	add_keepalive(c, "mgmt");
	c->lacp = build_list(1);
	c->n_lacp = 1;
	c->lacp[0] = build_message(&mclag__control__lacp_counters__descriptor);
	c->lacp[0]->id = 7;
	c->lacp[0]->pdus_in = 2040;
	c->lacp[0]->pdus_out = 2043;
	c->tables = build_list(1);
	c->n_tables = 1;
	c->tables[0] = build_message(&mclag__control__table_counters__descriptor);
	c->tables[0]->table = build_text("mac");
	c->tables[0]->moves = 5;
	c->kernel = build_list(1);
	c->n_kernel = 1;
	c->kernel[0] = build_message(&mclag__control__switch_counter__descriptor);
	c->kernel[0]->name = build_text("gate_repairs");
	c->kernel[0]->help = build_text("gates: changed by others, mended");
	c->kernel[0]->count = 1;
	c->control = build_message(&mclag__control__control_counters__descriptor);
	c->control->clients = c->control->requests = 9;
	c->journal = build_message(&mclag__control__journal_counters__descriptor);
	c->journal->events = 4711;
	c->journal->bytes = 268435440;
	c->journal->missed = 12;
	return c;
}

static Mclag__Control__PairForecast *pair_forecast(const char *verdict, const char *role, const char *path)
{
	Mclag__Control__PairForecast *m = build_message(&mclag__control__pair_forecast__descriptor);

	m->verdict = build_text("%s", verdict);
	m->role = build_text("%s", role);
	m->session = build_text("%s", path[0] != '\0' ? "up" : "down");
	m->path = build_text("%s", path);
	m->peer_link = path[0] != '\0';
	return m;
}

static Mclag__Control__LegForecast *leg_forecast(const char *before, const char *after, const char *holds)
{
	Mclag__Control__LegForecast *m = build_message(&mclag__control__leg_forecast__descriptor);

	m->before = build_text("%s", before);
	m->after = build_text("%s", after);
	build_words(&m->holds, &m->n_holds, holds);
	return m;
}

static Mclag__Control__OutageForecast *outage_forecast(const char *kind, int64_t min_ms, int64_t max_ms)
{
	Mclag__Control__OutageForecast *m = build_message(&mclag__control__outage_forecast__descriptor);

	m->kind = build_text("%s", kind);
	m->min_ms = min_ms;
	m->max_ms = max_ms;
	m->help = build_text("lost carrier is told at once; the other leaf hears of it");
	return m;
}

static void add_forecast(Mclag__Control__WhatIf *w, uint32_t id, Mclag__Control__LegForecast *local,
			 Mclag__Control__LegForecast *peer, Mclag__Control__OutageForecast *outage)
{
	Mclag__Control__MclagForecast *m = build_message(&mclag__control__mclag_forecast__descriptor);

	m->id = id;
	m->port = build_text("swp%u", id);
	m->changes = outage->max_ms != 0;
	m->single = outage->max_ms < 0;
	m->local = local;
	m->peer = peer;
	m->entries = 480;
	m->outage = outage;
	if (w->mclags == NULL)
		w->mclags = build_list(4);
	w->mclags[w->n_mclags++] = m;
}

static void add_way(Mclag__Control__WhatIf *w, uint32_t count, const char *before, const char *after)
{
	Mclag__Control__WayForecast *m = build_message(&mclag__control__way_forecast__descriptor);

	m->before = build_text("%s", before);
	m->after = build_text("%s", after);
	m->count = count;
	if (w->entries == NULL)
		w->entries = build_list(4);
	w->entries[w->n_entries++] = m;
}

static void cut_one_orphan(Mclag__Control__WhatIf *w)
{
	w->orphans = build_list(1);
	w->orphans[0] = build_message(&mclag__control__orphan_forecast__descriptor);
	w->orphans[0]->mac = build_text("52:54:00:12:34:56");
	w->orphans[0]->vlan = 10;
	w->orphans[0]->local = true;
	w->n_orphans = 1;
	w->orphans_cut = 3;
}

Mclag__Control__WhatIf *sample_what_if(bool cut)
{
	Mclag__Control__WhatIf *w = build_message(&mclag__control__what_if__descriptor);

	w->impact = cut ? MCLAG__CONTROL__IMPACT__CUT : MCLAG__CONTROL__IMPACT__FELT;
	w->question = build_text("%s", cut ? "self-down" : "leg-down");
	w->id = cut ? 0 : 1;
	w->help = build_text("%s", cut ? "this leaf loses its power"
				       : "this leaf's leg of one mclag loses its carrier");
	w->before = pair_forecast("alive", "primary", "peer-link");
	w->after =
	    cut ? pair_forecast("gone", "primary", "") : pair_forecast("alive", "primary", "peer-link");
	w->after_at_peer = cut;
	add_forecast(w, 1, leg_forecast("forwarding", cut ? "dead" : "held", cut ? "-" : "carrier,partner"),
		     cut ? leg_forecast("held", "held", "carrier,partner")
			 : leg_forecast("forwarding", "forwarding", "-"),
		     cut ? outage_forecast("cut", 0, -1) : outage_forecast("message", 0, 2));
	add_forecast(w, 7, leg_forecast("forwarding", cut ? "dead" : "forwarding", "-"),
		     leg_forecast("forwarding", "forwarding", "-"), outage_forecast("none", 0, 0));
	add_way(w, 960, "leg", cut ? "none" : "leg");
	add_way(w, 480, "leg", cut ? "leg" : "peer_link");
	w->rewritten = 480;
	w->hosts_cut = cut;
	if (cut)
		cut_one_orphan(w);
	w->outage = cut ? outage_forecast("cut", 0, -1) : outage_forecast("message", 0, 2);
	w->virtual_ms = 9000;
	build_line(&w->assumptions, &w->n_assumptions,
		   "this leaf: computed by its own rules, on a copy of its state");
	build_line(&w->assumptions, &w->n_assumptions,
		   "the peer's legs: forecast by rule, from what it told last and this leaf's settings");
	return w;
}
