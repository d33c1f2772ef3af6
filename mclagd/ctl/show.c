/* SPDX-License-Identifier: ISC */
/*
 * ctl/show.c - each view is one or a few tables (ctl/table.h). A table of two columns without titles is the
 * form of "name value" lines.
 */
#include "ctl/show.h"

#include "proto/types.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LIST_TEXT_SIZE 160

char *age_format(int64_t ms, char text[static AGE_TEXT_SIZE])
{
	int64_t s = ms / 1000, m = s / 60, h = m / 60;

	if (ms < 0)
		snprintf(text, AGE_TEXT_SIZE, "never");
	else if (s == 0)
		snprintf(text, AGE_TEXT_SIZE, "%" PRId64 " ms", ms);
	else if (m == 0)
		snprintf(text, AGE_TEXT_SIZE, "%" PRId64 " s", s);
	else if (h == 0)
		snprintf(text, AGE_TEXT_SIZE, "%" PRId64 "m %" PRId64 "s", m, s % 60);
	else if (h < 24)
		snprintf(text, AGE_TEXT_SIZE, "%" PRId64 "h %" PRId64 "m", h, m % 60);
	else
		snprintf(text, AGE_TEXT_SIZE, "%" PRId64 "d %" PRId64 "h", h / 24, h % 24);
	return text;
}

static const char *yes(bool value, const char *word, const char *otherwise)
{
	return value ? word : otherwise;
}

static const char *known(const char *text)
{
	return text == NULL || text[0] == '\0' ? "-" : text;
}

/* "carrier,partner" or "-"; cut when there are too many. Returns text. */
static char *join(char *const *words, size_t count, char text[static LIST_TEXT_SIZE])
{
	size_t used = 0;

	snprintf(text, LIST_TEXT_SIZE, "-");
	for (size_t i = 0; i < count && used < LIST_TEXT_SIZE; i++)
		used +=
		    (size_t)snprintf(text + used, LIST_TEXT_SIZE - used, "%s%s", i > 0 ? "," : "", words[i]);
	return text;
}

static enum tone phase_tone(const char *phase)
{
	enum leg_phase value;

	if (leg_phase_parse(phase, &value) < 0)
		return TONE_PLAIN;
	switch (value) {
	case LEG_FORWARDING:
		return TONE_GOOD;
	case LEG_REQUESTING:
	case LEG_OPENING:
	case LEG_LEAVING:
		return TONE_WARN;
	case LEG_HELD:
		return TONE_BAD;
	case LEG_PHASE_COUNT:
		break;
	}
	return TONE_PLAIN;
}

/* --- status ------------------------------------------------------------------------------------------ */

static const struct column NAME_VALUE[] = {{NULL, false, 9}, {NULL, false, 0}};

static void show_health(const struct sheet *sheet, const Mclag__Control__Status *s)
{
	static const Mclag__Control__Daemon none = MCLAG__CONTROL__DAEMON__INIT;
	const Mclag__Control__Daemon *d = s->daemon != NULL ? s->daemon : &none;
	char age[AGE_TEXT_SIZE];
	const char *word = "?";
	enum tone tone = TONE_BAD;

	switch (s->health) {
	case MCLAG__CONTROL__HEALTH__HEALTHY:
		word = "healthy";
		tone = TONE_GOOD;
		break;
	case MCLAG__CONTROL__HEALTH__DEGRADED:
		word = "degraded";
		tone = TONE_WARN;
		break;
	case MCLAG__CONTROL__HEALTH__DOWN:
		word = "down";
		break;
	case _MCLAG__CONTROL__HEALTH_IS_INT_SIZE:
		break;
	}
	sheet_line(sheet, tone, 0, "%s%s", word, d->stopping ? ", stopping" : "");

	struct table *t = table_create(NAME_VALUE, 2, 0);

	table_cell(t, TONE_HEAD, "node");
	table_cell(t, TONE_PLAIN, "%u of domain %u, priority %u, up for %s, mclagd %s", d->node, d->domain,
		   d->priority, age_format(d->uptime_ms, age), known(d->version));
	table_cell(t, TONE_HEAD, "system");
	table_cell(t, d->arbitrating ? TONE_WARN : TONE_PLAIN, "%u,%s%s", d->system_priority,
		   known(d->system_mac),
		   d->arbitrating ? ", but arbitrating: a system id of its own is in use" : "");
	table_finish(t, sheet);
}

static void show_pair(const struct sheet *sheet, const Mclag__Control__Status *s)
{
	struct table *t = table_create(NAME_VALUE, 2, 0);
	char age[AGE_TEXT_SIZE];

	if (s->role != NULL) {
		table_cell(t, TONE_HEAD, "role");
		table_cell(t, TONE_PLAIN, "%s for %s, by %s, epoch %" PRIu64, s->role->role,
			   age_format(s->role->since_ms, age), s->role->reason, s->role->epoch);
	}
	table_cell(t, TONE_HEAD, "peer");
	if (s->verdict != NULL && s->peer != NULL)
		table_cell(t, TONE_PLAIN, "%s for %s; node %u, %s, epoch %" PRIu64 ", priority %u",
			   s->verdict->verdict, age_format(s->verdict->since_ms, age), s->peer->node,
			   s->peer->role, s->peer->epoch, s->peer->priority);
	else if (s->verdict != NULL)
		table_cell(t, TONE_PLAIN, "%s for %s", s->verdict->verdict,
			   age_format(s->verdict->since_ms, age));
	else
		table_cell(t, TONE_PLAIN, "-");
	if (s->session != NULL) {
		bool error = s->session->last_error[0] != '\0';

		table_cell(t, TONE_HEAD, "session");
		table_cell(t, TONE_PLAIN, "%s for %s%s%s%s%s", s->session->state,
			   age_format(s->session->since_ms, age), s->session->path[0] != '\0' ? " over " : "",
			   s->session->path, error ? "; " : "", error ? s->session->last_error : "");
	}
	if (s->peer_link != NULL) {
		table_cell(t, TONE_HEAD, "peer link");
		table_cell(t, s->peer_link->open ? TONE_PLAIN : TONE_WARN, "%s: %s, %s",
			   known(s->peer_link->port), yes(s->peer_link->carrier, "carrier", "no carrier"),
			   yes(s->peer_link->open, "open", "closed for data"));
	}
	if (s->tables != NULL && s->tables->mac != NULL) {
		const Mclag__Control__Table *m = s->tables->mac;

		table_cell(t, TONE_HEAD, "macs");
		table_cell(t, TONE_PLAIN, "%u: %u here, %u at the peer, %u programmed, %u not told; %s",
			   m->total, m->local, m->peer, m->programmed, m->queued,
			   !m->synced       ? "not synced"
			   : m->peer_synced ? "synced"
					    : "peer not synced");
	}
	table_finish(t, sheet);
}

static void show_paths(const struct sheet *sheet, const Mclag__Control__Status *s)
{
	static const struct column columns[] = {
	    {"PATH", false, 0}, {"STATE", false, 0}, {"FOR", true, 0},     {"HEARD", true, 0},
	    {"RTT", true, 0},   {"LOST", true, 0},   {"REMOTE", false, 0},
	};
	struct table *t = table_create(columns, 7, 0);
	char age[AGE_TEXT_SIZE];

	for (size_t i = 0; i < s->n_paths; i++) {
		const Mclag__Control__Path *p = s->paths[i];

		table_cell(t, TONE_PLAIN, "%s", known(p->name));
		table_cell(t, p->up && p->hears_us ? TONE_GOOD : TONE_BAD, "%s",
			   !p->up        ? "down"
			   : p->hears_us ? "up"
					 : "one-way");
		table_cell(t, TONE_PLAIN, "%s", age_format(p->changed_ms, age));
		table_cell(t, TONE_PLAIN, "%s", age_format(p->heard_ms, age));
		if (p->rtt_us < 0)
			table_cell(t, TONE_PLAIN, "-");
		else
			table_cell(t, TONE_PLAIN, "%" PRId64 ".%02d ms", p->rtt_us / 1000,
				   (int)(p->rtt_us % 1000 / 10));
		table_cell(t, TONE_PLAIN, "%" PRIu64, p->lost);
		table_cell(t, TONE_PLAIN, "%s%s%s", known(p->remote), p->error[0] != '\0' ? "; " : "",
			   p->error);
	}
	table_finish(t, sheet);
}

static void show_mclags(const struct sheet *sheet, const Mclag__Control__Status *s)
{
	static const struct column columns[] = {
	    {"MCLAG", true, 0}, {"PORT", false, 0}, {"LOCAL", false, 0},
	    {"FOR", true, 0},   {"PEER", false, 0}, {"HOLDS", false, 0},
	};
	static const Mclag__Control__Leg none = MCLAG__CONTROL__LEG__INIT;
	struct table *t = table_create(columns, 6, 0);
	char age[AGE_TEXT_SIZE], here[LIST_TEXT_SIZE], there[LIST_TEXT_SIZE];

	for (size_t i = 0; i < s->n_mclags; i++) {
		const Mclag__Control__Mclag *m = s->mclags[i];
		const Mclag__Control__Leg *local = m->local != NULL ? m->local : &none;
		const Mclag__Control__Leg *peer = m->peer != NULL ? m->peer : &none;

		join(local->holds, local->n_holds, here);
		join(peer->holds, peer->n_holds, there);
		table_cell(t, TONE_PLAIN, "%u", m->id);
		table_cell(t, TONE_PLAIN, "%s", known(m->port));
		table_cell(t, phase_tone(local->phase), "%s", known(local->phase));
		table_cell(t, TONE_PLAIN, "%s", age_format(local->since_ms, age));
		table_cell(t, phase_tone(peer->phase), "%s", known(peer->phase));
		if (local->n_holds > 0 && peer->n_holds > 0)
			table_cell(t, TONE_PLAIN, "here %s; peer %s", here, there);
		else if (local->n_holds > 0 || peer->n_holds > 0)
			table_cell(t, TONE_PLAIN, "%s %s", local->n_holds > 0 ? "here" : "peer",
				   local->n_holds > 0 ? here : there);
		else
			table_cell(t, TONE_PLAIN, "-");
	}
	if (s->n_mclags == 0)
		sheet_line(sheet, TONE_PLAIN, 0, "no mclag is configured");
	table_finish(t, sheet);
}

void show_list(const struct sheet *sheet, enum tone tone, const char *title, char *const *lines, size_t count)
{
	static const struct column columns[] = {{NULL, false, 0}, {NULL, false, 0}};
	struct table *t = table_create(columns, 2, 2);

	if (count > 0) {
		fputc('\n', sheet->out);
		sheet_line(sheet, TONE_HEAD, 0, "%s", title);
	}
	for (size_t i = 0; i < count; i++) {
		table_cell(t, tone, "-");
		table_cell(t, TONE_PLAIN, "%s", lines[i]);
	}
	table_finish(t, sheet);
}

void show_status(const struct sheet *sheet, const Mclag__Control__Status *status)
{
	show_health(sheet, status);
	show_pair(sheet, status);
	fputc('\n', sheet->out);
	show_paths(sheet, status);
	fputc('\n', sheet->out);
	show_mclags(sheet, status);
	show_list(sheet, TONE_BAD, "Findings", status->findings, status->n_findings);
	show_list(sheet, TONE_WARN, "What fails next", status->single_points, status->n_single_points);
}

/* --- ports ------------------------------------------------------------------------------------------- */

static void show_lacp_info(struct table *t, const char *name, const Mclag__Control__LacpInfo *info)
{
	char state[LIST_TEXT_SIZE];

	table_cell(t, TONE_HEAD, "%s", name);
	if (info == NULL) {
		table_cell(t, TONE_PLAIN, "not known");
		return;
	}
	table_cell(t, TONE_PLAIN, "%u,%s key %u port %u,%u", info->system_priority, info->system, info->key,
		   info->port_priority, info->port);
	table_cell(t, TONE_PLAIN, "%s", "");
	table_cell(t, TONE_PLAIN, "%s", join(info->state, info->n_state, state));
}

/* Each hold with what it means: a hold is the question, its help the answer. */
static void show_holds(struct table *t, const char *name, char *const *holds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum hold hold;

		table_cell(t, TONE_HEAD, "%s", i == 0 ? name : "");
		table_cell(t, TONE_BAD, "%s: %s", holds[i],
			   hold_parse(holds[i], &hold) == 0 ? hold_help(hold) : "not known to this mclagctl");
	}
}

static const char *speed_format(uint32_t speed, char text[static AGE_TEXT_SIZE])
{
	if (speed == 0)
		return "speed not known";
	snprintf(text, AGE_TEXT_SIZE, "%u Mbit/s", speed);
	return text;
}

static void show_port(const struct sheet *sheet, const Mclag__Control__Port *p)
{
	struct table *t = table_create(NAME_VALUE, 2, 2);
	char age[AGE_TEXT_SIZE], speed[AGE_TEXT_SIZE];

	sheet_line(sheet, phase_tone(p->phase), 0, "mclag %u on %s: %s for %s, by %s", p->id, known(p->port),
		   p->phase, age_format(p->since_ms, age), p->reason);
	show_holds(t, "held by", p->holds, p->n_holds);
	table_cell(t, TONE_HEAD, "link");
	table_cell(t, TONE_PLAIN, "%s, %s, %s", yes(p->carrier, "carrier", "no carrier"),
		   speed_format(p->speed, speed),
		   yes(p->isolated, "isolated from the peer link", "not isolated"));
	table_cell(t, TONE_HEAD, "speaker");
	if (p->lacp_receive[0] == '\0') {
		table_cell(t, TONE_PLAIN, "%s", known(p->speaker));
	} else {
		table_cell(t, TONE_PLAIN, "%s: receive %s, mux %s; %" PRIu64 " PDUs in, %" PRIu64 " out",
			   p->speaker, p->lacp_receive, p->lacp_mux, p->pdus_in, p->pdus_out);
		show_lacp_info(t, "actor", p->actor);
		show_lacp_info(t, "partner", p->partner);
	}
	table_cell(t, TONE_HEAD, "peer leg");
	if (p->peer == NULL) {
		table_cell(t, TONE_PLAIN, "not known");
	} else {
		table_cell(t, phase_tone(p->peer->phase), "%s, %s, %s", p->peer->phase,
			   yes(p->peer->carrier, "carrier", "no carrier"),
			   speed_format(p->peer->speed, speed));
		show_holds(t, "  held by", p->peer->holds, p->peer->n_holds);
		if (p->peer->actor != NULL) {
			show_lacp_info(t, "  actor", p->peer->actor);
			show_lacp_info(t, "  partner", p->peer->partner);
		}
	}
	table_finish(t, sheet);
}

void show_ports(const struct sheet *sheet, const Mclag__Control__Ports *ports)
{
	if (ports->n_ports == 0)
		sheet_line(sheet, TONE_PLAIN, 0, "no mclag is configured");
	for (size_t i = 0; i < ports->n_ports; i++) {
		if (i > 0)
			fputc('\n', sheet->out);
		show_port(sheet, ports->ports[i]);
	}
}

/* --- mac --------------------------------------------------------------------------------------------- */

static int compare_entries(const void *a, const void *b)
{
	const Mclag__Control__MacEntry *left = *(Mclag__Control__MacEntry *const *)a;
	const Mclag__Control__MacEntry *right = *(Mclag__Control__MacEntry *const *)b;

	if (left->vlan != right->vlan)
		return left->vlan < right->vlan ? -1 : 1;
	return strcmp(left->mac, right->mac);
}

void show_mac(const struct sheet *sheet, Mclag__Control__Mac *mac)
{
	static const struct column columns[] = {
	    {"VLAN", true, 0},  {"MAC", false, 0},        {"PLACE", false, 0}, {"PORT", false, 0},
	    {"SEEN", false, 0}, {"PROGRAMMED", false, 0}, {"MOVES", true, 0},
	};
	struct table *t = table_create(columns, 7, 0);

	if (mac->n_entries > 0)
		qsort(mac->entries, mac->n_entries, sizeof(void *), compare_entries);
	for (size_t i = 0; i < mac->n_entries; i++) {
		const Mclag__Control__MacEntry *e = mac->entries[i];

		table_cell(t, TONE_PLAIN, "%u", e->vlan);
		table_cell(t, TONE_PLAIN, "%s", e->mac);
		if (e->mclag != 0)
			table_cell(t, TONE_PLAIN, "%s %u", e->place, e->mclag);
		else
			table_cell(t, TONE_PLAIN, "%s", e->place);
		table_cell(t, TONE_PLAIN, "%s", known(e->port));
		table_cell(t, TONE_PLAIN, "%s%s%s%s%s", e->local ? "here" : "",
			   e->local && e->peer ? "," : "", e->peer ? "peer" : "",
			   e->local || e->peer ? "" : "-", e->fixed ? ",fixed" : "");
		table_cell(t, TONE_PLAIN, "%s", e->programmed);
		table_cell(t, TONE_PLAIN, "%u", e->moves);
	}
	table_finish(t, sheet);
	sheet_line(sheet, TONE_PLAIN, 0, "%zu %s", mac->n_entries, mac->n_entries == 1 ? "entry" : "entries");
}

/* --- events ------------------------------------------------------------------------------------------ */

#define EVENT_COLUMNS 4
/* Events come in pieces: the widths are fixed. */
static const struct column EVENTS[EVENT_COLUMNS] = {
    {NULL, true, 6}, {NULL, false, 18}, {NULL, false, 8}, {NULL, false, 0}};

void show_events_title(const struct sheet *sheet)
{
	static const char *const titles[EVENT_COLUMNS] = {"NUMBER", "TIME", "ROOM", "EVENT"};
	struct table *t = table_create(EVENTS, EVENT_COLUMNS, 0);

	for (size_t i = 0; i < EVENT_COLUMNS; i++)
		table_cell(t, TONE_HEAD, "%s", titles[i]);
	table_finish(t, sheet);
}

static enum tone level_tone(const char *level)
{
	return strcmp(level, "warn") == 0 ? TONE_WARN : TONE_PLAIN;
}

void show_events(const struct sheet *sheet, const Mclag__Control__Events *events)
{
	struct table *t = table_create(EVENTS, EVENT_COLUMNS, 0);

	for (size_t i = 0; i < events->n_events; i++) {
		const Mclag__Control__Event *e = events->events[i];
		time_t seconds = (time_t)(e->time_us / 1000000);
		char when[32] = "-";
		struct tm local;

		if (localtime_r(&seconds, &local) != NULL)
			strftime(when, sizeof(when), "%m-%d %H:%M:%S", &local);
		table_cell(t, TONE_PLAIN, "%" PRIu64, e->number);
		table_cell(t, TONE_PLAIN, "%s.%03d", when, (int)(e->time_us / 1000 % 1000));
		table_cell(t, TONE_PLAIN, "%s", e->room);
		if (e->mclag != 0)
			table_cell(t, level_tone(e->level), "mclag %u: %s", e->mclag, e->text);
		else
			table_cell(t, level_tone(e->level), "%s", e->text);
	}
	table_finish(t, sheet);
}
